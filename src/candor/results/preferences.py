"""An audit of preferences as a notebook shows it: a short table, and a data frame of its findings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

from candor.report.preferences import words
from candor.report.preferences.document import parse

if TYPE_CHECKING:
    import polars as pl


def audit_html(document: Mapping[str, Any]) -> str:
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


def audit_frame(document: Mapping[str, Any]) -> pl.DataFrame:
    """Returns a row per finding: check, verdict and the columns of findings; ``details`` is JSON text.

    Raises InputError where the document is none of an audit of preferences.
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
