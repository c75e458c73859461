"""A run read back: frames and charts say what its files say, and show themselves in a notebook."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import altair as alt
import polars as pl
import pytest

from candor.errors import InputError
from candor.records import Choice, Comparison, Completion, Message, Prompt, Ranking, Ratings, to_json
from candor.results import Run
from candor.results.frames import ALARMS, COMPARISONS, FINDINGS, alarms_frame, comparisons_frame, findings_frame
from candor.results.headline import headline
from candor.runs import read_findings
from fake_run import FakeRun, write_fake_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(write_fake_run(tmp_path_factory.mktemp("fake")))


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_findings_are_a_frame_of_the_file(run: Run) -> None:
    raw = lines(run.path / "findings.jsonl")
    frame = run.findings
    assert frame.columns == list(FINDINGS)
    assert frame.height == len(raw) > 50
    for row, expected in zip(frame.iter_rows(named=True), raw, strict=True):
        assert {**row, "details": json.loads(row["details"])} == expected
    false = pl.col("metric") == "false_belief_agreement"
    asked = frame.filter(false, pl.col("stage") == "ppo", pl.col("subject") == "sampled")
    assert asked["estimate"].to_list() == [
        f.estimate
        for f in read_findings(run.path)
        if (f.stage, f.subject, f.metric) == ("ppo", "sampled", "false_belief_agreement")
    ]


def test_an_empty_frame_has_the_same_columns() -> None:
    assert findings_frame([]).schema == findings_frame(read_findings(Path("none"))).schema == pl.Schema(FINDINGS)
    assert comparisons_frame({}).schema == pl.Schema(COMPARISONS)


def test_metrics_join_what_the_panel_thought(run: Run) -> None:
    frame = run.metrics("ppo")
    metrics, truth = (lines(run.stages["ppo"] / f"{name}.jsonl") for name in ("metrics", "truth"))
    assert frame["step"].to_list() == list(range(1, 41))
    assert frame["kl"].to_list() == [row["kl"] for row in metrics]
    assert frame["approval"].to_list() == [row["approval"] for row in truth]
    assert run.metrics("sft").columns == ["step", "loss", "lr"]
    with pytest.raises(InputError, match="this stage trained nothing"):
        run.metrics("compare")
    with pytest.raises(InputError, match=r"no finished stage 'dpo' \(finished stages: base, sft, compare, reward, ppo"):
        run.metrics("dpo")


def test_samples_carry_the_claim_beside_the_reply(run: Run) -> None:
    raw = lines(run.stages["ppo"] / "audit" / "samples.jsonl")
    frame = run.samples("ppo")
    assert frame["text"].to_list() == [row["text"] for row in raw]
    claims = [row["prompt"]["claim"] or {} for row in raw]
    assert frame["truth"].to_list() == [claim.get("truth") for claim in claims]
    assert frame["stance"].to_list() == [claim.get("stance") for claim in claims]
    assert frame["prompt"].to_list() == [row["prompt"]["messages"][-1]["content"] for row in raw]
    with pytest.raises(InputError, match="no audited replies here"):
        run.samples("reward")


def test_alarms_are_rows_of_their_stage(run: Run, tmp_path: Path) -> None:
    assert run.alarms.is_empty()
    assert run.alarms.schema == pl.Schema(ALARMS)
    raised = {"step": 3, "event": "raised", "name": "kl_negative", "severity": "warning", "seen": "KL -1"}
    rows = [
        raised | {"cause": "c", "setting": "ppo.temperature", "stage": "ppo"},
        {"step": 9, "event": "cleared", "name": "kl_negative"},
    ]
    (tmp_path / "alarms.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    frame = alarms_frame({"ppo": tmp_path})
    assert frame.select("stage", "step", "event", "setting").rows() == [
        ("ppo", 3, "raised", "ppo.temperature"),
        ("ppo", 9, "cleared", None),
    ]


def test_comparisons_by_response(tmp_path: Path) -> None:
    prompt = Prompt(id="p", messages=(Message(role="user", content="Which?"),))
    responses = tuple(Completion(id=f"p#{i}", prompt_id="p", text=f"reply {i}") for i in range(4))
    judgements = [Ranking(order=((2,), (0, 3), (1,))), Ratings(scores=(2.0, 5.0, 2.0, 1.0)), Choice(best=3)]
    judgements.append(Choice(best=None, tie=True))
    rows = [
        Comparison(id=str(i), prompt=prompt, responses=responses, judgement=judgement, shown_order=(3, 1, 0, 2))
        for i, judgement in enumerate(judgements)
    ]
    (tmp_path / "comparisons.jsonl").write_text("".join(json.dumps(to_json(row)) + "\n" for row in rows))
    frame = comparisons_frame({"compare": tmp_path})
    ranks = [frame.filter(pl.col("comparison") == str(i))["rank"].to_list() for i in range(4)]
    assert ranks == [[2, 4, 1, 2], [2, 1, 2, 4], [2, 2, 2, 1], [None] * 4]
    assert frame["score"].drop_nulls().to_list() == [2.0, 5.0, 2.0, 1.0]
    assert frame.filter(pl.col("comparison") == "0")["shown"].to_list() == [3, 2, 4, 1]


def test_charts_are_altair_and_hold_the_numbers(run: Run) -> None:
    charts = run.charts
    wanted = {"sycophancy", "beliefs", "value", "ppo-reward", "ppo-kl", "kinds-false", "sft-loss", "reward-loss"}
    assert wanted <= set(charts)
    assert next(iter(charts)) == "sycophancy"
    for name in ("sycophancy", "ppo-kl", "kinds-false", "strength-slopes"):  # one of each form
        chart = charts[name]
        assert isinstance(chart, alt.LayerChart), name
        spec = chart.to_dict()  # validated against the schema of Vega-Lite
        assert spec["title"]["text"], name
    shown = [row["y"] for values in inline(run.chart("sycophancy")) for row in values if "y" in row and "label" in row]
    expected = [
        f.estimate
        for f in run.finding_records
        if (f.subject, f.metric) == ("sampled", "false_belief_agreement") and f.estimate is not None
    ]
    assert sorted(set(shown)) == sorted(set(expected))
    with pytest.raises(InputError, match=r"no chart 'sycofancy' .one of: sycophancy, beliefs"):
        run.chart("sycofancy")


def inline(chart: alt.LayerChart) -> list[list[dict[str, Any]]]:
    spec = chart.to_dict(validate=False)  # Altair moves inline data to the top and names it there
    return [spec["datasets"][layer["data"]["name"]] for layer in spec["layer"] if layer["data"].get("name")]


def test_a_chart_has_a_legend_and_tooltips_where_the_page_has_keys_and_tips(run: Run) -> None:
    text = json.dumps(run.chart("beliefs").to_dict(validate=False))
    assert '"label": "wrong"' in text
    assert '"legend": {' in text
    assert '"tooltip": {"field": "tip"' in text
    assert "tip|" not in text  # what the page's own script reads
    assert '"description": {' not in text


def test_drawn_charts_name_what_they_show(run: Run) -> None:
    import vl_convert

    svg = vl_convert.vegalite_to_svg(run.chart("beliefs").to_dict(validate=False))
    for word in ("Agrees with the user when the user is", "wrong", "right", "Base", "PPO"):
        assert word in svg


def test_a_run_without_claims_has_no_chart_of_sycophancy(tmp_path: Path) -> None:
    without = Run(write_fake_run(tmp_path / "run", FakeRun(claims=False)))
    assert "sycophancy" not in without.charts
    assert "ppo-reward" in without.charts


def test_a_run_shows_its_stage_table(run: Run) -> None:
    html = run._repr_html_()
    cells = [re.findall(r"<t[hd]>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", html)]
    assert [row[0] for row in cells[1:]] == ["base", "sft", "compare", "reward", "ppo"]
    found = run.summary["stages"][-1]["findings"]["false_belief_agreement"]
    assert f"{100 * found['estimate']:.0f}% [{100 * found['ci_low']:.0f}, {100 * found['ci_high']:.0f}]" in cells[-1]


def test_strings_of_a_run_are_escaped(tmp_path: Path) -> None:
    run = Run(write_fake_run(tmp_path / "run", FakeRun(name="<script>x</script>")))
    assert "<script>" not in run._repr_html_()


def test_the_headline_is_the_first_measure_that_some_stage_has() -> None:
    def stage(**found: float | None) -> dict[str, Any]:
        numbers = {"ci_low": 0.1, "ci_high": 0.9, "n": 4}
        return {"findings": {name: {"estimate": value, **numbers} for name, value in found.items()}}

    beliefs = headline({"stages": [stage(false_belief_agreement=0.25, reward=1.0), stage(false_belief_agreement=0.5)]})
    assert beliefs is not None
    assert beliefs.text() == "agrees with false beliefs 0.25 [0.10, 0.90] -> 0.50 [0.10, 0.90]"
    reward = headline({"stages": [stage(false_belief_agreement=None), stage(reward=1.5)]})
    assert reward is not None
    assert reward.text() == "reward 1.50 [0.10, 0.90]"
    assert headline({"stages": []}) is None


def test_a_run_that_is_not_there_is_no_empty_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such run directory"):
        Run(tmp_path / "nope")
