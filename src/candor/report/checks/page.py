"""Puts the page together: verdicts first, then every check with its numbers, charts and examples."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from candor.records import Chart, Check, Example, Finding
from candor.report import shell
from candor.report.checks import charts, compare, words
from candor.report.checks.document import Document, tallies
from candor.report.checks.kinds import source_name
from candor.report.checks.telling import ROWS
from candor.report.checks.values import clip_label
from candor.report.figures import Figure
from candor.report.numbers import seconds_as_text

LARGEST = 5_000_000  # bytes of a page


@dataclass(frozen=True)
class Detail:
    """How much of an audit is shown: a page stays small whatever the file held."""

    text: int = shell.LONGEST_TEXT
    examples: int = 6
    rows: int = ROWS
    charts: int = 6
    findings: int = 80
    changes: int = 120


DETAILS = (
    Detail(),
    Detail(text=600, examples=4, charts=3, rows=40, findings=40, changes=80),
    Detail(text=300, examples=2, charts=1, rows=20, findings=15, changes=40),
    Detail(text=120, examples=1, charts=0, rows=0, findings=5, changes=15),
)
"""From the most to the least; the first that stays under ``LARGEST`` is taken."""


@dataclass(frozen=True)
class ShownExample:
    """A row of the file: where it is, why it is shown, and its texts."""

    place: str  # what is copied: file:row
    row: int
    file: str
    why: str
    texts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ShownFinding:
    """A line of a check's table."""

    metric: str
    subject: str
    value: str
    interval: str
    n: int
    reason: str


@dataclass(frozen=True)
class ShownCheck:
    """A check as the page tells it. ``more`` counts what is only in the document: findings, examples, charts."""

    id: str
    check: Check
    face: words.Face
    figure: tuple[str, str, str, int] | None
    measured: int
    findings: tuple[ShownFinding, ...]
    figures: tuple[Figure, ...]
    examples: tuple[ShownExample, ...]
    more: Mapping[str, int]


def render(document: Document) -> str:
    """The whole page as text; every string of the document is escaped by the template engine."""
    template = shell.environment().get_template("checks.html")
    for detail in DETAILS:
        text = template.render(**context(document, detail))
        if len(text.encode("utf-8")) <= LARGEST:
            break
    return text


def context(document: Document, detail: Detail) -> dict[str, Any]:
    """What the template sees."""
    checks = [shown(check, f"c{i}-{_slug(check.name)}", document, detail) for i, check in enumerate(document.checks)]
    groups: dict[str, list[ShownCheck]] = {}
    for one in checks:
        groups.setdefault(one.check.group.casefold(), []).append(one)
    urgency = list(words.FACES)
    return {
        "document": document,
        "kind": document.kind,
        "data": document.data,
        "file": source_name(document.source),
        "style": shell.style("checks.css"),
        "script": shell.script("checks.js"),
        "sentence": words.verdict_sentence(document.checks),
        "rest": words.rest_sentence(document.checks),
        "checks": sorted(checks, key=lambda one: urgency.index(one.check.verdict)),
        "groups": [(name, f"g{i}-{_slug(name)}", inside) for i, (name, inside) in enumerate(groups.items())],
        "faces": [(face, document.kind.means(verdict)) for verdict, face in words.FACES.items()],
        "counts": [(words.FACES[verdict], document.counts[verdict]) for verdict in words.FACES],
        "facts": compare.facts(document.data),
        "dropped": tallies(document.data, "dropped"),
        "bad": tallies(document.data, "bad"),
        "against": compare.against(document, detail.changes) if document.against else None,
        "took": seconds_as_text(float(document.seconds)) if document.seconds is not None else "not measured",
        "created": document.created.replace("T", " ").replace("+00:00", " UTC"),
        "shortened": detail is not DETAILS[0],
        "short": words.short,
    }


def shown(check: Check, id: str, document: Document, detail: Detail) -> ShownCheck:
    """A check with as much of it as ``detail`` allows."""
    figures = [
        charts.figure(_clipped(chart), f"{id}-{i}", rows=detail.rows, file=document.kind.document)
        for i, chart in enumerate(check.charts[: detail.charts])
    ]
    examples = check.examples[: detail.examples]
    findings = check.findings[: detail.findings]
    return ShownCheck(
        id=id,
        check=check,
        face=words.FACES[check.verdict],
        figure=words.headline(check),
        measured=sum(finding.estimate is not None for finding in check.findings),
        findings=tuple(_finding(one) for one in findings),
        figures=tuple(figures),
        examples=tuple(_example(one, document.source, detail) for one in examples),
        more={
            "findings": len(check.findings) - len(findings),
            "charts": len(check.charts) - len(figures),
            "examples": len(check.examples) - len(examples),
        },
    )


def _finding(finding: Finding) -> ShownFinding:
    value, interval = words.measured(words.estimate(finding), words.unit_of(finding.metric, finding))
    subject = clip_label(words.subject(finding), 80)
    reason = clip_label(str(finding.details.get("not_measured", "")), 200)
    return ShownFinding(words.spoken(finding.metric), subject, value, interval, finding.n, reason)


def _example(example: Example, source: str, detail: Detail) -> ShownExample:
    name = source_name(example.file or source)
    texts = [(clip_label(title, 60), shell.clip(text, detail.text)) for title, text in example.texts.items()]
    most = 2 * detail.examples + 2  # of a ranking of many responses
    return ShownExample(f"{name}:{example.row}", example.row, name, shell.clip(example.why, 400), tuple(texts[:most]))


def _clipped(chart: Chart) -> Chart:
    title, x_title, y_title = (clip_label(text, 120) for text in (chart.title, chart.x_title, chart.y_title))
    return replace(chart, title=title, x_title=x_title, y_title=y_title)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40]
