"""The page of an audit of preferences, its files and its words: on documents that nobody had to compute."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from candor.errors import InputError
from candor.records import Chart, Check, Example, Verdict, to_json
from candor.report.checks import charts, check_place, planes, render_page, words, write_page
from candor.report.checks.compare import against, facts
from candor.report.checks.document import parse, tallies, visible
from candor.report.checks.kinds import KINDS
from candor.report.checks.page import LARGEST
from candor.report.numbers import Estimate
from candor.results.checks import checks_frame, checks_html
from fake_audit import FakeAudit, change, document

HOSTILE = "</script><script>alert('x')</script><img src=x onerror=alert(1)>\" ' & {{ 7 * 7 }} \x1b[31m"


@pytest.fixture(scope="module")
def page() -> str:
    return render_page(document(FakeAudit(against=True)))


@pytest.fixture(scope="module")
def hostile() -> str:
    return render_page(document(FakeAudit(source=f"data/{HOSTILE}", hostile=HOSTILE, against=True, annotators=20)))


class Tags(HTMLParser):
    """Every start tag of a page with its attributes, and the text outside scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside not in ("script", "style"):
            self.text += data


# What the page tells


def test_the_first_sentence_names_the_concerns(page: str) -> None:
    assert '<h1 id="headline">3 concerns: side bias; length and style; agreement with the user&#39;s view.</h1>' in page
    assert "Of the other 5 checks: 1 note, 2 fine and 2 that these data cannot answer." in page


def test_every_check_has_its_verdict_sentence_and_figure(page: str) -> None:
    summary = page[page.index('id="checks"') : page.index('id="how"')]
    order = [title for title in re.findall(r'<a href="#c\d[^"]*">([^<]+)</a>', summary)]
    assert order[:3] == ["Side bias", "Length and style", "Agreement with the user&#39;s view"]
    assert len(order) == 8
    words_seen = re.findall(r'class="verdict v-\w+"><span aria-hidden="true">.</span> ([a-z ]+)</span>', summary)
    assert words_seen == ["concern"] * 3 + ["note"] + ["cannot tell"] * 2 + ["fine"] * 2
    assert '<b>1.62</b> <span class="ci">[1.41, 1.86]</span><small>odds ratio, n&nbsp;=&nbsp;2,200</small>' in summary
    assert '<b>2.1%</b> <span class="ci">[1.8, 2.4]</span>' in summary
    assert "Two annotators choose the same response in 71%" in summary


def test_checks_stand_under_their_group_with_advice_numbers_and_rows(page: str) -> None:
    headings = re.findall(r'<h2 id="h-g\d[^"]*">([^<]+)</h2>', page)
    assert headings == ["Data", "Agreement", "Annotators", "What the labels reward", "Consistency", "Labels"]
    check = page[page.index('<article class="check v-concern" id="c4-length"') :].split("</article>")[0]
    assert "What to do</b> Compare responses of like length" in check
    assert check.count("<tr>") >= 6
    assert 'Row <b>21</b> of <bdi class="file">pairs.jsonl</bdi>' in check
    assert '<code class="place">pairs.jsonl:21</code>' in check
    assert "Chart: What goes along with being preferred. longer by one SD: 1.84 [1.71, 1.98]" in check


def test_what_is_not_measured_is_said_and_never_a_number(page: str) -> None:
    check = page[page.index('id="c1-truncation"') :].split("</article>")[0]
    assert "not measured" in check
    assert "no context size was given" in check
    assert not re.search(r"\b(nan|None|inf)\b", Tags(page).text, re.IGNORECASE)
    control = document(FakeAudit(charts=False))
    before = render_page(control).count("not measured")
    control["checks"][2]["findings"][0]["estimate"] = None
    assert render_page(control).count("not measured") > before


def test_rows_left_out_are_told_with_reason_and_lines(page: str) -> None:
    part = page[page.index('id="read"') : page.index('id="against"')]
    assert "both responses are the same" in part
    assert "<td>200</td><td>3, 18, 191 …</td>" in part
    assert "Rows that could not be read" in part
    assert "<td>2</td><td>5012, 5013</td>" in part
    without = document(FakeAudit(charts=False))
    without["data"] |= {"dropped": {}, "bad": {}}
    assert "No row was left out." in render_page(without)


def test_two_files_stand_side_by_side_with_differences(page: str) -> None:
    part = page[page.index('id="against"') : page.index('id="provenance"')]
    assert "before.jsonl</b> counts as before" in part
    assert "2 of 4 differences shown are clear" in part
    assert re.search(
        r'class="clear"><th scope="row">odds ratio, lists<small>Length and style</small></th><td>1.90</td>', part
    )
    assert '<b>+5 points</b><span class="quiet">, clear</span></td><td class="ci">[+2, +8]</td>' in part
    assert "−0.06" in part
    assert "not measured" in part
    assert 'id="against"' not in render_page(document(FakeAudit(charts=False)))


def test_a_difference_has_one_sign() -> None:
    raw = document(FakeAudit(against=True, charts=False))
    raw["against"]["changes"] = [
        change("x", metric, "all", 0.1, 0.2, 0.05)
        for metric in ("gain_from_doubling", "pairwise_agreement", "odds_ratio")
    ]
    told = [(c.before, c.difference, c.interval, c.clear) for c in against(parse(raw), 9).changes]
    assert told == [
        ("+10.0 points", "+10 points", "[+5, +15]", True),
        ("10.0%", "+10 points", "[+5, +15]", True),
        ("0.100", "+0.10", "[0.05, 0.15]", True),
    ]


def test_changes_that_lead_the_wrong_way_round_are_refused() -> None:
    raw = document(FakeAudit(against=True))
    change = raw["against"]["changes"][0]
    change["before"], change["after"] = change["after"], change["before"]
    with pytest.raises(InputError, match="from the other file"):
        parse(raw)


def test_a_file_without_concerns_and_one_without_checks() -> None:
    good = render_page(document(FakeAudit(concerns=False, charts=False)))
    assert "No concern in 8 checks." in good
    assert "Among them: 1 note, 5 fine and 2 that these data cannot answer." in good
    empty = render_page(document(FakeAudit(checks=False)))
    assert "Nothing was checked." in empty
    assert "No check was made of this file." in empty
    bare = render_page({"kind": "preferences", "source": "x.jsonl"})
    assert "Nothing is recorded of what was read." in bare
    assert "not recorded" in bare


def test_the_page_asks_for_nothing_and_has_every_id_once(page: str) -> None:
    for tag, attributes in Tags(page).tags:
        for name in ("src", "href", "action", "srcset"):
            value = attributes.get(name) or ""
            assert value.startswith(("#", "data:")) or not value, (tag, value)
    assert not re.search(r"url\((?!data:|\"data:|#)|@import", page)
    ids = [attributes["id"] for _, attributes in Tags(page).tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {(a.get("href") or "").lstrip("#") for tag, a in Tags(page).tags if tag == "a"}
    assert links <= set(ids)


# Hostile texts


def test_no_text_of_the_file_becomes_markup(page: str, hostile: str) -> None:
    plain, evil = (Tags(one) for one in (page, hostile))
    for tag in ("script", "img", "iframe", "object", "style"):
        assert sum(t == tag for t, _ in evil.tags) == sum(t == tag for t, _ in plain.tags), tag
    assert not any(name.startswith("on") for _, attributes in evil.tags for name in attributes)
    assert "{{ 7 * 7 }}" in evil.text
    assert "\x1b" not in hostile
    # Control: unescaped it would be found.
    assert sum(t == "img" for t, _ in Tags(page + HOSTILE).tags) == 1


def test_names_in_charts_are_escaped_and_their_numbers_kept() -> None:
    rows = tuple(
        {"label": name, "estimate": 0.5, "low": 0.4, "high": 0.6, "n": 9} for name in ("v1.23456</text>", "a\nb")
    )
    picture = str(charts.figure(Chart(kind="intervals", title="t", x_title="x", y_title="", rows=rows), "n").picture)
    assert "v1.23456&lt;/text&gt;" in picture
    assert "</text></text>" not in picture
    assert "a b: 0.50 [0.40, 0.60], n = 9" in picture


def test_control_characters_and_halves_of_characters_are_made_visible() -> None:
    assert visible("a\x00b\x1b[31m\ud800\u202ec\td\ne\r\nf") == "a�b�[31m��c\td\ne\nf"
    assert visible("Größe 日本語 🎉 שלום") == "Größe 日本語 🎉 שלום"


@pytest.mark.parametrize("count", [12, 40])
def test_any_file_gives_a_page_of_at_most_five_megabytes(count: int) -> None:
    text = "<&\"'>" * 800
    row = {"label": text[:200], "estimate": 1.0, "low": 0.5, "high": 2.0, "n": 5, "flagged": True}
    chart = Chart(kind="intervals", title=text, x_title=text, y_title=text, rows=(row,) * (900 if count < 20 else 0))
    finding = replace(parse(document()).checks[0].findings[0], subject=text[:500], metric=text[:500])
    example = Example(row=1, why=text, file=text, texts={text[:50] + str(i): text for i in range(12)})
    check = Check(
        name="n", group="data", title=text, verdict=Verdict.CONCERN, meaning=text, advice=text,
        findings=(finding,) * 120, examples=(example,) * 7,
    )  # fmt: skip
    raw = document(FakeAudit(checks=False))
    made = [replace(check, name=f"n{i}", group=f"group {i // 5}", charts=(chart,) * (i == 0)) for i in range(count)]
    raw["checks"] = to_json(made)
    raw["data"]["dropped"] = {f"{text[:2000]}{i}": {"count": 9, "first_lines": list(range(99))} for i in range(500)}
    page = render_page(raw)
    assert len(page.encode()) <= LARGEST
    assert "shows less of each check" in page
    assert "shows less of each check" not in render_page(document(FakeAudit(charts=False)))


# Charts


def chart(kind: Any, rows: list[dict[str, Any]], **more: Any) -> Chart:
    return Chart(**{"kind": kind, "title": "t", "x_title": "x", "y_title": "y", "rows": tuple(rows), **more})


ONE_ROW: dict[str, dict[str, Any]] = {
    "intervals": {"label": "a", "estimate": 1.5, "low": 1.0, "high": 2.0, "n": 10, "flagged": True},
    "bars": {"label": "a", "value": 3.0, "series": ""},
    "curve": {"series": "", "x": 1.0, "y": 2.0, "low": None, "high": None},
    "points": {"label": "a", "x": 1.0, "y": 2.0, "flagged": False},
    "plane": {
        "label": "a", "series": "", "x": 1.0, "x_low": 0.5, "x_high": 1.5, "y": 2.0, "y_low": 1.0, "y_high": 3.0,
        "flagged": False,
    },
    "map": {"label": "a", "x": "b", "y": "c", "value": 1.0},
}  # fmt: skip


@pytest.mark.parametrize("kind", ONE_ROW)
def test_every_kind_draws_one_row_no_row_and_missing_numbers(kind: str) -> None:
    row = ONE_ROW[kind]
    missing = {key: None if isinstance(value, float) else value for key, value in row.items()}
    drawn = charts.figure(chart(kind, [row, missing], reference=1.0), "one")
    assert drawn.picture.count("data-tip") >= 1
    assert drawn.table is not None
    assert "not measured" in drawn.table.rows[1]
    assert 'aria-label="Chart: t. ' in drawn.picture
    for rows in ([], [missing], [{**row, **{k: math.nan for k, v in row.items() if isinstance(v, float)}}]):
        empty = charts.figure(chart(kind, rows), "empty")
        assert empty.picture == ""
        assert empty.note == "Nothing here could be measured."


def test_a_long_chart_keeps_what_is_flagged_and_says_what_is_left_out() -> None:
    rows = [{**ONE_ROW["intervals"], "label": f"rater {i}", "flagged": i in (3, 299)} for i in range(300)]
    drawn = charts.figure(chart("intervals", rows), "long")
    assert "60 of 300 shown; all are in audit.json." in drawn.note
    assert drawn.table is not None
    labels = [row[0] for row in drawn.table.rows]
    assert len(labels) == 60
    assert {"rater 3", "rater 299"} <= set(labels)
    assert labels == sorted(labels, key=lambda label: int(label.split()[1]))


def test_one_endless_interval_does_not_flatten_the_others() -> None:
    rows = [{**ONE_ROW["intervals"], "estimate": e, "low": e - 0.1, "high": e + 0.1} for e in (1.0, 1.2, 0.9)]
    wide = [*rows, {**ONE_ROW["intervals"], "estimate": 1.1, "low": -1e9, "high": 1e9}]
    domain = charts._domain([0.9, 1.0, 1.1, 1.2], [-1e9, 0.8, 1.3, 1e9], 1.0, log=False)
    assert -1.0 < domain[0] < 0.8 < 1.3 < domain[1] < 3.0
    assert "cut at its edge" in charts.figure(chart("intervals", wide), "wide").note
    assert charts.figure(chart("intervals", rows), "narrow").note == ""


def test_marks_of_an_axis_of_small_shares_differ() -> None:
    rows = [{"series": "", "x": x, "y": 0.0, "low": 0.0, "high": 0.008} for x in (512.0, 1024.0, 2048.0)]
    drawn = charts.figure(chart("curve", rows, x_title="context (tokens)", y_title="share cut"), "small")
    marks = re.findall(r">([\d.]+%)</text>", drawn.picture)
    assert len(marks) > 3
    assert len(set(marks)) == len(marks)
    assert "0.2%" in marks


def test_odds_ratios_lie_on_a_logarithmic_axis() -> None:
    row = {**ONE_ROW["intervals"], "estimate": 2.0, "low": 1.0, "high": 4.0}
    on_log = charts.figure(chart("intervals", [row], x_title="odds ratio", reference=1.0), "log")
    assert on_log.drawings[0].spec["layer"][-1]["encoding"]["x"]["scale"]["type"] == "log"
    plain = charts.figure(chart("intervals", [row], reference=1.0), "plain")
    assert "type" not in plain.drawings[0].spec["layer"][-1]["encoding"]["x"]["scale"]
    below = charts.figure(chart("intervals", [{**row, "low": -1.0}], x_title="odds ratio"), "below")
    assert "type" not in below.drawings[0].spec["layer"][-1]["encoding"]["x"]["scale"]


def test_flagged_marks_differ_in_shape_and_have_a_legend() -> None:
    rows = [ONE_ROW["points"], {**ONE_ROW["points"], "x": 3.0, "flagged": True}]
    assert [key.shape for key in charts.figure(chart("points", rows), "p").keys] == ["diamond", "circle"]
    assert charts.figure(chart("points", rows[:1]), "p").keys == ()


def cross(label: str, x: float, y: float, **more: Any) -> dict[str, Any]:
    ends = {"x_low": x - 0.1, "x_high": x + 0.1, "y_low": y - 0.1, "y_high": y + 0.1}
    return {"label": label, "series": "", "x": x, "y": y, "flagged": False} | ends | more


def test_a_plane_tells_series_by_shape_and_flagged_ones_by_filling() -> None:
    rows = [cross("a", 0.1, 0.5, series="data"), cross("b", 0.5, 0.2, series="reward", flagged=True)]
    drawn = charts.figure(chart("plane", rows, x_title="helpfulness", y_title="honesty (share)"), "plane")
    assert [(key.label, key.shape, key.hollow) for key in drawn.keys] == [
        ("data", "circle", False), ("reward", "square", False), ("flagged", "circle", False),
        ("not flagged", "circle", True),
    ]  # fmt: skip
    assert "b, reward: helpfulness 0.50 [0.40, 0.60], honesty (share) 20% [10, 30]" in drawn.picture
    assert [one.css_class for one in drawn.drawings] == ["wide", "narrow"]
    assert charts.figure(chart("plane", [cross("a", 0, 0)]), "plane").keys == ()


def test_labels_of_a_plane_cover_neither_each_other_nor_a_point() -> None:
    domains = {"x": (0.0, 1.0), "y": (0.0, 1.0)}
    crowd = [cross(f"point {i}", 0.5, 0.5 + 0.001 * i, flagged=i == 9) for i in range(10)]
    kept = planes.placed(crowd, domains, (340, 330), 16)
    assert kept[0]["label"] == "point 9"
    assert len(kept) < 10
    apart = [cross(f"point {i}", 0.1 + 0.2 * (i % 4), 0.1 + 0.1 * i) for i in range(8)]
    assert len(planes.placed(apart, domains, (900, 460), 16)) == 8


def test_a_map_orders_numbers_keeps_names_and_writes_values_into_cells() -> None:
    rows = [{"label": "", "x": x, "y": y, "value": x * y} for x in (10.0, 0.5) for y in (2.0, 1.0, 3.0)]
    spec = charts.figure(chart("map", rows), "map").drawings[0].spec
    assert '["0.5", "10"]' in json.dumps(spec["layer"][0]["encoding"]["x"]).replace("\\", "")
    assert '["3", "2", "1"]' in json.dumps(spec["layer"][0]["encoding"]["y"]).replace("\\", "")
    named = [{"label": "", "x": x, "y": "r", "value": v} for x, v in (("q", 0.25), ("p", None))]
    drawn = charts.figure(chart("map", named, title="share of prompts"), "named")
    assert "x q, y r: 25.0%" in drawn.picture
    assert "x p, y r: not measured" in drawn.picture


def cells_of(drawn: Any) -> Any:
    (values,) = drawn.drawings[0].spec["datasets"].values()
    return values


def test_a_map_keeps_every_cell_and_turns_its_colour_at_the_reference() -> None:
    rows = [{"label": "", "x": i % 12, "y": i // 12, "value": i - 70.0} for i in range(144)]
    drawn = charts.figure(chart("map", rows, reference=0.0), "map")
    assert drawn.note == ""
    cells = cells_of(drawn)
    assert len(cells) == 144
    assert len({cell["c"] for cell in cells}) == 2
    assert cells[70]["o"] == min(cell["o"] for cell in cells)
    assert max(cell["o"] for cell in cells) <= planes.STRONGEST
    assert len({cell["c"] for cell in cells_of(charts.figure(chart("map", rows), "map"))}) == 1


# Kinds


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_page_in_its_own_words(kind: str) -> None:
    raw = document(FakeAudit(charts=False)) | {"kind": kind, "data": {"facts": [["Prompts", 1200], ["Judge", None]]}}
    page = render_page(raw)
    assert f'<p class="kicker">{KINDS[kind].title} <b class="file">' in page
    assert "<dt>Prompts</dt><dd>1,200</dd>" in page
    assert "<dt>Judge</dt><dd>not measured</dd>" in page
    assert ("audit.json" in page) is KINDS[kind].audit
    assert (f"{kind}.json" in page) is not KINDS[kind].audit
    assert ("Associations" in page) is (kind == "preferences")
    assert checks_frame(raw).height > 0


def test_an_experiment_lies_beside_what_it_ran(tmp_path: Path) -> None:
    (tmp_path / "cells").mkdir()
    raw = document(FakeAudit(charts=False)) | {"kind": "frontier"}
    check_place(tmp_path, "frontier")
    for _ in range(2):
        assert write_page(raw, tmp_path) == tmp_path / "frontier.html"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells", "frontier.html", "frontier.json"]
    write_page(raw | {"kind": "judges"}, tmp_path)
    with pytest.raises(InputError, match="something other than an audit"):  # the control
        check_place(tmp_path, "reward")
    (tmp_path / "judges.json").write_text('{"kind": "mine"}')
    with pytest.raises(InputError, match=r"judges\.json there is none of kind judges"):
        check_place(tmp_path, "judges")


# Numbers and words


@pytest.mark.parametrize(
    ("estimate", "low", "high", "unit", "shown"),
    [
        (0.712, 0.684, 0.741, "share", ("71%", "[68, 74]")),
        (0.0212, 0.0185, 0.0242, "share", ("2.1%", "[1.8, 2.4]")),
        (1.84, 1.71, 1.98, "number", ("1.84", "[1.71, 1.98]")),
        (7.5, 0.2, 290.0, "number", ("7.5", "[0.2, 290.0]")),
        (12_345.6, 11_000.0, 14_000.0, "number", ("12,346", "[11,000, 14,000]")),
        (0.052, 0.022, 0.082, "points", ("+5 points", "[+2, +8]")),
        (None, None, None, "share", ("not measured", "")),
        (5.0, None, None, "number", ("5", "")),
        (0.0, 0.0, 0.0, "share", ("0.0%", "[0.0, 0.0]")),
    ],
)
def test_numbers_have_as_many_decimals_as_their_interval_is_worth(
    estimate: float | None, low: float | None, high: float | None, unit: Any, shown: tuple[str, str]
) -> None:
    assert words.measured(Estimate(value=estimate, low=low, high=high), unit) == shown


def test_metrics_that_are_shares_are_told_by_name_or_by_their_own_word() -> None:
    assert words.unit_of("pairwise_agreement") == "share"
    assert words.unit_of("krippendorff_alpha") == "number"
    assert words.unit_of("odds_ratio") == "number"
    finding = parse(document()).checks[0].findings[0]
    assert words.unit_of("odds_ratio", replace(finding, details={"unit": "share"})) == "share"


def test_many_concerns_are_counted_and_the_first_named() -> None:
    check = parse(document()).checks[0]
    made = [replace(check, title=title, verdict=Verdict.CONCERN) for title in ("A", "B", "C", "D", "E", "F", "HH rows")]
    assert words.verdict_sentence(made) == "7 concerns: a, b, c, d and 3 more."
    assert words.verdict_sentence(made[-1:]) == "1 concern: HH rows."
    asked = [replace(check, title=title, verdict=Verdict.CONCERN) for title in ("Are they fast?", "Length")]
    assert words.verdict_sentence(asked) == "2 concerns: are they fast; length."
    assert words.rest_sentence(made) == ""


def test_the_figure_of_a_check_is_the_one_that_its_sentence_tells() -> None:
    check = next(check for check in parse(document()).checks if check.name == "length")
    assert words.headline(check) == ("odds ratio, longer by one SD", "1.84", "[1.71, 1.98]", 9_700)
    lists = replace(check, meaning="Longer ones win (1.84), and lists are preferred 1.22 times as often.")
    assert words.headline(lists) == ("odds ratio, lists", "1.22", "[1.08, 1.38]", 9_700)
    whole = replace(check.findings[-1], subject="all")
    assert words.headline(replace(lists, findings=(*check.findings, whole))) == (
        "odds ratio", "7.5", "[0.2, 290.0]", 9_700,
    )  # fmt: skip
    many = replace(check, meaning="Some are flagged.", findings=check.findings * 5)
    assert words.headline(many) is None
    assert words.headline(replace(check, findings=())) is None


def test_a_long_meaning_is_told_in_whole_sentences() -> None:
    assert words.short("One is 2.5 of it. Two. " + "X" * 300 + ". Four.") == "One is 2.5 of it. Two."
    assert words.short("X" * 300 + ". Two.") == "X" * 300 + "."


def test_facts_are_shares_of_what_they_are_part_of() -> None:
    told = dict(facts(document()["data"]))
    assert told["Time taken is known"] == "8,000 (80.0%)"
    assert told["Judgements"] == "9,400 choices, 600 rankings"
    assert told["Ties"] == "310 (2.7%)"  # of 11,540 pairs
    assert told["Texts read"] == "all"
    assert dict(facts({"median_words": None}))["Words per response (median)"] == "not measured"


def test_tallies_come_with_the_most_frequent_first() -> None:
    data = {"dropped": {"rare": {"count": 1}, "often": {"count": 9, "first_lines": [4]}}}
    assert [(t.reason, t.count, t.first_lines) for t in tallies(data, "dropped")] == [
        ("often", 9, (4,)),
        ("rare", 1, ()),
    ]


def test_verdicts_that_moved_are_told_by_check() -> None:
    read = parse(document(FakeAudit(against=True, concerns=False)))
    verdicts = {title: (before, after) for title, before, after in against(read, 10).verdicts}
    assert verdicts["Side bias"] == (words.FACES[Verdict.CONCERN], words.FACES[Verdict.FINE])
    assert verdicts["What more labels would buy"][0] is None


# Files


def test_both_files_are_written_and_an_earlier_audit_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "audits" / "pairs"
    page = write_page(document(FakeAudit(charts=False)), out)
    assert page == out / "preferences.html"
    assert sorted(path.name for path in out.iterdir()) == ["audit.json", "preferences.html"]
    assert json.loads((out / "audit.json").read_text()) == json.loads(json.dumps(document(FakeAudit(charts=False))))
    write_page(document(FakeAudit(concerns=False, charts=False)), out)
    assert "No concern" in page.read_text()
    assert sorted(path.name for path in out.parent.iterdir()) == ["pairs"]


def test_numbers_of_numpy_and_endless_ones_and_half_characters_are_written(tmp_path: Path) -> None:
    raw = document(FakeAudit(charts=False))
    finding = raw["checks"][2]["findings"][0]
    finding |= {"estimate": np.float64(0.5), "n": np.int64(7), "ci_low": math.nan, "ci_high": np.float32("inf")}
    raw["checks"][0]["examples"][0]["texts"]["prompt"] = "half \ud800 a character"
    write_page(raw, tmp_path / "out")
    read = json.loads((tmp_path / "out" / "audit.json").read_text())
    written = read["checks"][2]["findings"][0]
    assert (written["estimate"], written["n"], written["ci_low"], written["ci_high"]) == (0.5, 7, None, None)
    assert read["checks"][0]["examples"][0]["texts"]["prompt"] == "half \ud800 a character"


def test_a_place_that_holds_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("years of work")
    (tmp_path / "file").write_text("")
    other = tmp_path / "other"
    other.mkdir()
    (other / "audit.json").write_text('{"kind": "reward"}')
    for place in (foreign, tmp_path / "file", other):
        with pytest.raises(InputError, match=re.escape(str(place))):
            write_page(document(FakeAudit(charts=False)), place)
        with pytest.raises(InputError):
            check_place(place, "preferences")
    assert (foreign / "thesis.tex").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    check_place(tmp_path / "empty", "preferences")
    check_place(tmp_path / "not there yet", "preferences")


def test_notes_beside_an_earlier_audit_are_not_deleted(tmp_path: Path) -> None:
    write_page(document(FakeAudit(charts=False)), tmp_path / "out")
    (tmp_path / "out" / "notes.md").write_text("mine")
    with pytest.raises(InputError, match=r"notes\.md"):
        write_page(document(FakeAudit(charts=False)), tmp_path / "out")


@pytest.mark.parametrize("raw", [{}, {"kind": "thesis"}, {"kind": "preferences", "checks": [{"name": "x"}]}, []])
def test_what_is_no_audit_is_refused(raw: Any) -> None:
    with pytest.raises(InputError, match=r"audit\.json"):
        parse(raw)


# Notebooks


def test_a_notebook_gets_a_table_and_a_frame() -> None:
    raw = document(FakeAudit(hostile="<script>"))
    html = checks_html(raw)
    assert html.count("<tr>") == 9
    assert "<script>" not in html
    assert "▲ concern" in html
    frame = checks_frame(raw)
    assert frame.columns[:5] == ["check", "group", "verdict", "metric", "subject"]
    assert frame.height == sum(len(check["findings"]) for check in raw["checks"])
    assert frame.filter(check="agreement")["estimate"].to_list() == [0.712, 0.412]
    empty = checks_frame(document(FakeAudit(checks=False)))
    assert (empty.height, empty.schema) == (0, frame.schema)


def test_nothing_is_written_among_a_runs_stages(tmp_path: Path) -> None:
    """The next candor run clears away what is no stage of its recipe."""
    run = tmp_path / "run"
    (run / "stages").mkdir(parents=True)
    places = [run / "stages", run / "stages" / "04-ppo", run / "stages" / "04-ppo" / "deeper"]
    for place in places:
        check_place(place, "attribution")  # control: a directory of that name alone is nobody's
    (run / "recipe.resolved.json").write_text("{}")
    for place in places:
        with pytest.raises(InputError, match="belongs to the run"):
            check_place(place, "attribution")
    check_place(run / "judges", "judges")
    check_place(run, "attribution")
