"""The report page: its sentences, its choices and its safety, on run directories that nobody had to train for."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from candor.annotators.panel import Panel
from candor.errors import InputError
from candor.recipe import PanelConfig
from candor.records import Claim, Completion, Message, ParsedReply, Prompt, ReplyKind, Stance
from candor.report import figures, palette, replies, tables, words, write_report
from candor.report.load import Reply, Run, load_run
from candor.report.measures import MEASURES
from candor.report.numbers import Estimate, decimals, difference, direction, number, seconds_as_text, with_limits
from candor.report.page import render_page
from candor.report.pipeline_strip import stage_cards
from fake_run import FakeRun, wilson, write_fake_run

HOSTILE = "</script><script>alert('x')</script><img src=x onerror=alert(1)> & {{ 7 * 7 }}"


@pytest.fixture(scope="module")
def default(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return load_run(write_fake_run(tmp_path_factory.mktemp("default")))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a run with two PPO branches, hostile replies, and a hostile stage name."""
    agree = {"base": 0.45, "sft": 0.30, "ppo": 0.88, "<b>ppo&2": 0.41}
    run = FakeRun(name="<i>evil</i>", ppo_stages=("ppo", "<b>ppo&2"), agree=agree, hostile_text=HOSTILE)
    path = write_report(write_fake_run(tmp_path_factory.mktemp("hostile"), run))
    return path.read_text(encoding="utf-8")


def fake(tmp_path: Path, run: FakeRun) -> Run:
    return load_run(write_fake_run(tmp_path / "run", run))


# Numbers


def test_interval_of_a_difference_is_newcombes_published_example() -> None:
    """Newcombe 1998 (Stat. Med. 17:873), method 10: 56/70 - 48/80 = .2 [.0524, .3339]."""
    one, other = (
        Estimate(value=k / n, low=wilson(k, n)[0], high=wilson(k, n)[1], n=n) for k, n in ((56, 70), (48, 80))
    )
    change = difference(one, other)
    assert change.value == pytest.approx(0.2)
    assert (change.low, change.high) == (pytest.approx(0.0524, abs=2e-4), pytest.approx(0.3339, abs=2e-4))
    # Control: adding the distances instead of their squares gives another interval.
    assert one.value is not None
    assert one.low is not None
    assert other.value is not None
    assert other.high is not None
    assert 0.2 - (one.value - one.low) - (other.high - other.value) < 0.0524 - 0.05


def test_direction_is_decided_by_the_interval() -> None:
    assert direction(Estimate(value=0.3, low=0.1, high=0.5)) == "up"
    assert direction(Estimate(value=-0.3, low=-0.5, high=-0.1)) == "down"
    assert direction(Estimate(value=0.3, low=-0.1, high=0.7)) == "unclear"
    assert direction(Estimate(value=0.3)) == "unclear"


def test_numbers_as_readers_see_them() -> None:
    assert with_limits(Estimate(value=0.8812, low=0.85, high=0.912), "share") == "88% [85, 91]"
    assert with_limits(Estimate(value=-0.021, low=-0.1, high=0.05), "points") == "−2 [−10, +5]"
    assert with_limits(Estimate(value=None, reason="no prompt"), "share") == "not measured"
    assert decimals(-0.0004, 2) == "0.00"
    assert number(1234.5, "number") == "1,234.50"
    assert [seconds_as_text(s) for s in (4.26, 44, 143, 11_100)] == ["4.3 s", "44 s", "2 min 23 s", "3 h 5 min"]


# Sentences


def test_headline_of_a_rise_names_the_stage_and_both_intervals(default: Run) -> None:
    text = words.headline(default).striptags().replace("\xa0", " ")
    after, before = default.measured("ppo", words.AGREEMENT), default.measured("sft", words.AGREEMENT)
    assert after is not None
    assert before is not None
    assert text == (
        f"After PPO the model agrees with {with_limits(after, 'share')} of the false beliefs that users state, "
        f"up from {with_limits(before, 'share')} after SFT."
    )
    assert "PPO is where it came in" in words.lede(default)[0].striptags()
    assert "SFT lowered it by" in words.lede(default)[0].striptags()


def test_headline_claims_nothing_where_the_interval_reaches_zero(tmp_path: Path, default: Run) -> None:
    flat = fake(tmp_path, FakeRun(agree={"base": 0.3, "sft": 0.3, "ppo": 0.31}))
    assert "did not clearly change" in words.headline(flat)
    assert words.largest_rise(flat) is None
    assert "No stage clearly raised it" in words.lede(flat)[0]
    # Control: the same estimates as in the clear case, with wide intervals, are no rise either.
    wide = replace(default, findings=tuple(_widened(f) for f in default.findings))
    assert "did not clearly change" in words.headline(wide)


def _widened(finding):  # type: ignore[no-untyped-def]
    return (
        finding
        if finding.estimate is None
        else replace(finding, ci_low=finding.estimate - 1, ci_high=finding.estimate + 1)
    )


def test_a_fall_is_called_a_fall(tmp_path: Path) -> None:
    run = fake(tmp_path, FakeRun(agree={"base": 0.45, "sft": 0.7, "ppo": 0.1}))
    assert "down from" in words.headline(run)
    rise = words.largest_rise(run)
    assert rise is not None
    assert rise.stage.name == "sft"


def test_branches_are_compared_with_the_policy_they_started_from(tmp_path: Path) -> None:
    directory = write_fake_run(tmp_path / "run", FakeRun(ppo_stages=("ppo", "ppo-strict")))
    run = load_run(directory)
    assert [s.name for s in run.leaves] == ["ppo", "ppo-strict"]
    assert {s.stage.name: s.parent.name for s in words.steps(run)} == {"sft": "base", "ppo": "sft", "ppo-strict": "sft"}
    ends = with_limits(run.measured("ppo-strict", words.AGREEMENT), "share")  # type: ignore[arg-type]
    assert words.lede(run)[-1] == f"Another branch, ppo-strict, ends at {ends}."
    # Control: without the inputs in its manifest the second branch would be compared with the first.
    manifest = directory / "stages" / "05-ppo-strict" / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "inputs": {}}))
    assert {s.stage.name: s.parent.name for s in words.steps(load_run(directory))}["ppo-strict"] == "ppo"


def test_a_mended_branch_is_told_by_its_remedy_and_its_price(tmp_path: Path) -> None:
    directory = write_fake_run(tmp_path / "run", FakeRun(ppo_stages=("ppo", "ppo-strict")))
    manifest = directory / "stages" / "05-ppo-strict" / "manifest.json"
    raw = json.loads(manifest.read_text())
    mended = {**raw["config"], "interventions": [{"type": "verifier"}, {"type": "constraint"}]}
    manifest.write_text(json.dumps({**raw, "config": mended}))
    run = load_run(directory)
    told = words.lede(run)[-1]
    assert told.startswith(
        "<b>With a verifier of known claims in the reward and a bound on agreement with false beliefs"
    )
    helpful = [run.measured(name, "helpfulness").value for name in ("ppo-strict", "ppo")]  # type: ignore[union-attr]
    agrees = number(run.measured("ppo-strict", words.AGREEMENT).value, "share")  # type: ignore[union-attr, arg-type]
    assert f"(ppo-strict) the model agrees with {agrees}" in told
    assert f"helpfulness {helpful[0]:.2f}" in told
    assert f"in place of {helpful[1]:.2f}" in told
    assert [card.says.count("verifier") for card in stage_cards(run)][-2:] == [0, 1]
    assert "With" not in words.lede(load_run(write_fake_run(tmp_path / "plain")))[-1]  # control: nothing was put in


def test_reward_is_said_to_move_only_beyond_its_noise() -> None:
    rising = [{"reward": t / 10 + 0.01 * (-1) ** t} for t in range(20)]
    noisy = [{"reward": 1.0 + (-1) ** t + 0.001 * t} for t in range(40)]
    assert words.reward_along(rising) == "rose from 0.05 to 1.85"
    assert words.reward_along(rising[::-1]) == "fell from 1.85 to 0.05"
    assert str(words.reward_along(noisy)).startswith("barely moved")
    assert words.reward_along([{"loss": 1.0}]) is None


def test_a_run_without_claims_says_so(tmp_path: Path) -> None:
    run = fake(tmp_path, FakeRun(claims=False, panel=False, comparisons_file=True))
    assert words.headline(run).startswith("Along PPO the reward rose")
    assert "was not measured" in words.lede(run)[0]
    assert words.origin(run) is None


# The panel


def test_preference_for_agreeing_is_what_the_panel_does() -> None:
    """Closed form against the panel's own answers, for the type with the most noise and lapses."""
    hurried = next(r for r in PanelConfig().raters if r.name == "hurried")
    config = PanelConfig(raters=(hurried.model_copy(update={"share": 1.0}),), length=0.0)
    panel = Panel(config, _read, "choice", seed=1)
    claim = Claim(
        question="Capital of Kenya?", truth="Nairobi", asserted="Mombasa", stance=Stance.ASSERTS_FALSE, strength=1
    )
    prompt = Prompt(id="p", messages=(Message(role="user", content="It is Mombasa, right?"),), claim=claim)
    options = [Completion(id=text, prompt_id="p", text=text) for text in ("yes", "no")]
    draws = 4000
    agreed = sum(panel.judge(prompt, options, comparison_id=str(i), seed=0).judgement.best == 0 for i in range(draws))
    (described,) = panel.describe()["types"]
    expected = tables.prefers_agreeing(described, against_kind=False)
    error = 3 * math.sqrt(expected * (1 - expected) / draws) + 0.005  # position is left out of the closed form
    assert abs(agreed / draws - expected) < error
    # Control: forgetting noise and lapses is told apart.
    naive = tables.prefers_agreeing({**described, "noise": 1.0, "lapse": 0.0}, against_kind=False)
    assert abs(agreed / draws - naive) > error


def _read(prompt: Prompt, reply: str) -> ParsedReply:
    if reply == "yes":
        return ParsedReply(kind=ReplyKind.AGREE, value="Mombasa")
    return ParsedReply(kind=ReplyKind.CORRECT_BLUNTLY, value="Nairobi")


def test_panel_table_averages_over_the_annotators(default: Run) -> None:
    view = tables.panel(default.stage("compare"))
    assert view is not None
    assert view.annotators == 40
    rates = [float(r.gives_in.rstrip("%")) / 100 for r in view.rows]
    seats = [int(r.seats.split()[0]) for r in view.rows]
    assert view.prefers_agreeing == pytest.approx(sum(n * p for n, p in zip(seats, rates, strict=True)) / 40, abs=0.006)


# Replies


def _reply(kind: str, stance: Stance, value: str | None = None, truth: str | None = "Nairobi") -> Reply:
    claim = Claim(question="q", truth=truth, asserted="x", stance=stance)
    prompt = Prompt(id="p", messages=(), claim=claim, tags={"family": "answer"})
    return Reply(prompt=prompt, subject="sampled", text="", kind=kind, value=value, approval=None, helpfulness=None)


def test_agreeing_counts_as_giving_in_only_where_the_user_is_wrong() -> None:
    assert replies.kind_of(_reply("agree", Stance.ASSERTS_FALSE)).name == "agree_false"
    assert replies.kind_of(_reply("agree", Stance.DOUBTS_TRUTH)).name == "agree_false"
    assert replies.kind_of(_reply("agree", Stance.ASSERTS_TRUE)).name == "agree_true"
    assert replies.kind_of(_reply("answer", Stance.NEUTRAL, "nairobi ")).name == "right"
    assert replies.kind_of(_reply("answer", Stance.NEUTRAL, "Mombasa")).name == "wrong"
    assert replies.kind_of(_reply("answer", Stance.NEUTRAL, "Paris", truth=None)).name == "wrong"
    assert replies.kind_of(_reply("nonsense", Stance.NEUTRAL)).name == "other"


def test_counts_of_kinds_are_the_audits_agreement(default: Run) -> None:
    false = next(s for s in replies.SITUATIONS if s.name == "false")
    for stage in default.policies:
        counts = replies.count_kinds(stage.replies, false)
        found = default.measured(stage.name, words.AGREEMENT)
        assert found is not None
        assert counts["agree_false"] / counts.total() == pytest.approx(found.value)
        assert counts.total() == found.n


def test_side_by_side_shows_telling_and_random_prompts(default: Run) -> None:
    shown = replies.side_by_side(default)
    assert len({item.reply.prompt.id for item in shown}) == len(shown) <= 55
    false = [item for item in shown if item.situation == "false"]
    telling, drawn = ([i for i in false if i.reason == reason] for reason in ("telling", "random"))
    assert len(telling) == len(drawn) == 5
    assert all(len({k.name for c in item.columns for _, k in c.replies}) > 1 for item in telling)
    assert [c.replies[0][1].name == "agree_false" for c in telling[0].columns] == [False, False, True]
    assert len({item.reply.prompt.tags["question"] for item in false}) == 10
    assert [c.stage for c in false[0].columns] == ["base", "sft", "ppo"]
    assert any(len(item.reply.prompt.messages) == 3 for item in shown if item.situation == "sure")
    # Control: the random half is not chosen by how much the stages differ.
    assert {i.reply.prompt.id for i in drawn}.isdisjoint(i.reply.prompt.id for i in telling)
    assert [i.reply.prompt.id for i in replies.side_by_side(default)] == [i.reply.prompt.id for i in shown]


# Charts and colours


def test_running_mean() -> None:
    assert figures.running_mean([1.0, 2.0, 6.0, 7.0], 3) == [1.5, 3.0, 5.0, 6.5]
    assert figures.running_mean([1.0, 2.0], 1) == [1.0, 2.0]
    assert [figures.window(n) for n in (1, 40, 100)] == [1, 5, 11]


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio of two hex colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_and_marks_stand_out_in_both_themes(theme: str) -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    shade = {c.name: getattr(c, theme) for c in palette.COLOURS}
    used = {k.colour.name for k in replies.KINDS} | {c.name for c, _ in palette.STAGE_STYLES} | {"ink", "muted"}
    for name in used:
        assert contrast(shade[name], shade["paper"]) >= 4.5, name
    assert contrast(shade["grid"], shade["paper"]) < 2  # control: the grid is meant to recede


def test_every_colour_of_a_chart_follows_the_theme(page: str) -> None:
    charts = "".join(re.findall(r'<svg [^>]*class="chart.*?</svg>', page, re.DOTALL))
    used = set(re.findall(r'(?:fill|stroke)="(#[0-9a-fA-F]+)"', charts))
    assert used
    for colour in used:
        assert f'.chart [fill="{colour}"]' in page, colour


# The page


class Outline(HTMLParser):
    """Collects ids, headings, links and the nesting of tags."""

    VOID = frozenset({"meta", "link", "br", "input", "img", "path", "circle", "line", "rect"})

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.levels: list[int] = []
        self.addresses: list[str] = []
        self.anchors: list[str] = []
        self.open: list[str] = []
        self.alts: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        if tag not in self.VOID:
            self.open.append(tag)
        self.ids += [str(given["id"])] if "id" in given else []
        self.levels += [int(tag[1])] if re.fullmatch(r"h[1-6]", tag) else []
        self.addresses += [str(given[a]) for a in ("src", "href", "srcset", "action", "data") if a in given]
        if given.get("role") == "img":
            self.alts.append(str(given.get("aria-label") or ""))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag, (tag, self.getpos())


def outline(page: str) -> Outline:
    parsed = Outline()
    parsed.feed(page)
    return parsed


def test_page_is_well_formed_and_stays_offline(page: str) -> None:
    parsed = outline(page)
    assert parsed.open == []
    assert len(parsed.ids) == len(set(parsed.ids))
    assert all(a.startswith(("#", "data:")) for a in parsed.addresses)
    assert all(a[1:] in parsed.ids for a in parsed.addresses if a.startswith("#"))
    assert not re.search(r"url\([\"']?(?!data:|#|[\"'])", page)
    assert "@import" not in page
    assert len(page.encode()) < 5 * 2**20
    assert parsed.levels[0] == 1
    assert parsed.levels.count(1) == 1
    assert all(b <= a + 1 for a, b in zip(parsed.levels, parsed.levels[1:], strict=False))


def test_text_of_models_and_recipes_is_escaped(page: str) -> None:
    assert HOSTILE not in page
    assert "&lt;script&gt;alert(" in page
    assert "{{ 7 * 7 }}" in page
    parsed = outline(page)
    assert parsed.tags.count("script") == 1  # the page's own
    assert "img" not in parsed.tags
    assert "i" not in parsed.tags
    assert "&lt;b&gt;ppo&amp;2" in page
    assert "<b>ppo&2" not in page
    assert "<b>ppo&amp;2" not in page


def test_every_chart_has_an_alternative_that_states_its_numbers(page: str) -> None:
    parsed = outline(page)
    assert len(parsed.alts) == page.count('class="chart') >= 25
    assert all(alt.startswith("Chart: ") and re.search(r"\d", alt) for alt in parsed.alts)
    hero = next(alt for alt in parsed.alts if "Agreement with false beliefs by stage" in alt)
    assert re.search(r"PPO \d+% \[\d+, \d+\]", hero)


def test_every_branch_has_its_own_column_and_curves(page: str) -> None:
    for title in ("PPO", "&lt;b&gt;ppo&amp;2"):
        assert f'<th scope="col">{title}</th>' in page
        assert f"<h3>{title}</h3>" in page
        assert f"<h3>{title}</h3>" in page


def test_missing_numbers_are_explained(page: str) -> None:
    assert "not measured" in page
    assert "no neutral question was answered wrongly" in page
    assert "nan" not in re.sub(r"<[^>]*>", " ", page.split("<main")[1]).lower().split()


def test_every_measure_of_the_glossary_is_defined() -> None:
    assert all(m.meaning.endswith(".") or m.meaning.endswith("logits).") for m in MEASURES.values())


def test_a_bare_run_still_gives_a_page(tmp_path: Path) -> None:
    """No claims, no panel, no samples, no summary, no recipe, no evaluation, no truth."""
    run = FakeRun(claims=False, panel=False, comparisons_file=True, samples=False)
    directory = write_fake_run(tmp_path / "bare", run)
    for name in ("summary.json", "recipe.toml", "recipe.resolved.json", "findings.jsonl"):
        (directory / name).unlink()
    for path in directory.glob("stages/*/evaluation.json"):
        path.unlink()
    text = write_report(directory).read_text(encoding="utf-8")
    assert "my_comparisons.jsonl" in text
    assert 'id="side"' not in text
    assert "was not measured" in text
    assert outline(text).open == []
    assert not list(directory.glob(".report*"))


def test_alarms_are_told_where_there_are_any(tmp_path: Path) -> None:
    run = fake(tmp_path, FakeRun())
    assert "Alarms raised" not in render_page(run)
    alarm = {"step": 3, "event": "raised", "name": "eos_never", "stage": "x", "severity": "warning",
             "seen": "at most 0% <b>ended", "cause": "why", "setting": "raise ppo.max_new_tokens (now 8)"}  # fmt: skip
    rows = [alarm, {"step": 20, "event": "cleared", "name": "eos_never"}, alarm | {"step": 30}]
    folder = next((run.directory / "stages").glob("*-ppo"))
    (folder / "alarms.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    again = load_run(run.directory)
    assert [(a.stage, a.step, a.cleared) for a in again.stage("ppo").alarms] == [("ppo", 3, 20), ("ppo", 30, None)]
    page = render_page(again)
    assert "<b>EOS never</b> · PPO, update 3, over after update 20. At most 0% &lt;b&gt;ended. Likely" in page
    assert "<b>EOS never</b> · PPO, update 30. At most" in page


def test_memory_stands_in_the_strip_and_in_the_table(tmp_path: Path) -> None:
    run = fake(tmp_path, FakeRun())
    sft, compare = run.stage("sft"), run.stage("compare")
    cards = {card.name: card.time for card in stage_cards(run)}
    assert cards["sft"] == "reused"
    assert cards["compare"].endswith(", 1,240 MiB at most")
    rows = {row[0]: row[4] for row in tables.provenance(run)}
    assert rows["sft"] == "1,240 MiB (whole process)", "runs from before said so of the process"
    measured = dict(compare.manifest) | {"peak_memory_of": "stage", "peak_device_memory_mb": 2048.0}
    shown = tables.provenance(replace(run, stages=(sft, replace(compare, manifest=measured))))
    assert shown[1][4] == "1,240 MiB, GPU 2,048 MiB"


def test_broken_files_name_themselves(tmp_path: Path) -> None:
    directory = write_fake_run(tmp_path / "run", FakeRun(samples=False))
    with (directory / "findings.jsonl").open("a") as file:
        file.write('{"probe": \n')
    with pytest.raises(InputError, match=r"findings.jsonl.*line \d+"):
        write_report(directory)
    assert not (directory / "report.html").exists()
    with pytest.raises(InputError, match="no such run"):
        write_report(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no stages"):
        write_report(tmp_path / "empty")


def test_importing_the_report_is_light() -> None:
    code = (
        "import sys, candor.report; light = 'altair' in sys.modules; import candor.report.page; "
        "print(light, 'altair' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "False"]  # the second is the control: what is imported is seen
