"""What an audit or an experiment found: its checks and its document, as a notebook shows them, and its page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from candor.records import Check, to_json
from candor.report.checks import words, write_page
from candor.report.checks.document import parse
from candor.runs.provenance import now

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, kw_only=True)
class Checked:
    """The checks, the document that holds every number, and where the page is (None: not written).

    In a notebook it shows itself as a table of verdicts.
    """

    checks: tuple[Check, ...]
    document: Mapping[str, Any]
    page: Path | None = None

    @property
    def frame(self) -> pl.DataFrame:
        """A row per finding: its check, the verdict, estimate, interval and n."""
        return checks_frame(self.document)

    def _repr_html_(self) -> str:
        return checks_html(self.document)


def checked(
    kind: str,
    source: str,
    checks: Sequence[Check],
    *,
    seed: int,
    data: Mapping[str, Any],
    seconds: float,
    against: Mapping[str, Any] | None = None,
    out: Path | None = None,
) -> Checked:
    """Returns the document of an audit or an experiment, written with its page where ``out`` is given.

    ``kind`` is one of ``report.checks.kinds.KINDS``; ``data["facts"]`` holds pairs of label and value that say what was
    read or run; ``against``: the document's part about what it is compared with (source, data, checks, changes).
    Raises InputError where ``out`` holds something else or cannot be written.
    """
    document = {
        "candor": metadata.version("candor-rlhf"),
        "kind": kind,
        "source": source,
        "seed": seed,
        "created": now(),
        "data": data,
        "checks": to_json(checks),
        "against": against,
        "seconds": round(seconds, 3),
    }
    page = None if out is None else write_page(document, Path(out))
    return Checked(checks=tuple(checks), document=document, page=page)


def checks_html(document: Mapping[str, Any]) -> str:
    """Returns an HTML table with one row per check, concerns first. Raises InputError for another document."""
    read = parse(document)
    rows = []
    for check in words.by_urgency(read.checks):
        face, figure = words.FACES[check.verdict], words.headline(check)
        shown = "" if figure is None else f"{figure[1]} {figure[2]}, n = {figure[3]:,}"
        cells = (f"{face.symbol} {face.word}", check.title, check.meaning, shown)
        rows.append("<tr>" + "".join(f"<td style='text-align:left'>{escape(cell)}</td>" for cell in cells) + "</tr>")
    title = f"{escape(read.source)}: {escape(words.verdict_sentence(read.checks))}"
    head = "".join(f"<th style='text-align:left'>{name}</th>" for name in ("verdict", "check", "found", "figure"))
    return f"<table><caption>{title}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def checks_frame(document: Mapping[str, Any]) -> pl.DataFrame:
    """Returns a row per finding: check, verdict and the columns of findings; ``details`` is JSON text.

    Raises InputError where it is of no known kind.
    """
    import polars as pl

    schema: dict[str, Any] = {
        "check": pl.String, "group": pl.String, "verdict": pl.String, "metric": pl.String, "subject": pl.String,
        "estimate": pl.Float64, "ci_low": pl.Float64, "ci_high": pl.Float64, "n": pl.Int64, "details": pl.String,
    }  # fmt: skip
    rows = [
        {
            "check": check.name,
            "group": check.group,
            "verdict": check.verdict.value,
            "metric": finding.metric,
            "subject": finding.subject,
            "estimate": finding.estimate,
            "ci_low": finding.ci_low,
            "ci_high": finding.ci_high,
            "n": finding.n,
            "details": json.dumps(finding.details, ensure_ascii=False),
        }
        for check in parse(document).checks
        for finding in check.findings
    ]
    return pl.DataFrame(rows, schema=schema)
