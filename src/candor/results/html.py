"""A run's stage table as a notebook shows it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from candor.report.measures import measure
from candor.report.numbers import Estimate, with_limits

COLUMNS = ("false_belief_agreement", "true_belief_agreement", "helpfulness", "kl", "reward", "heldout_accuracy")


def run_html(path: Path, summary: Mapping[str, Any]) -> str:
    """One row per stage, one column per metric that some stage measured, with 95% intervals."""
    stages = summary["stages"]
    shown = [m for m in COLUMNS if any(_estimate(stage, m).measured for stage in stages)]
    head = "".join(f"<th>{escape(measure(metric).label)}</th>" for metric in shown)
    rows = "".join(_row(stage, shown) for stage in stages)
    title = f"{escape(str(summary['name']))}, seed {summary['seed']}: <code>{escape(str(path))}</code>"
    return f"<table><caption>{title}</caption><thead><tr><th>stage</th>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(stage: Mapping[str, Any], metrics: list[str]) -> str:
    cells = []
    for metric in metrics:
        found = _estimate(stage, metric)
        cells.append(f"<td>{with_limits(found, measure(metric).unit) if found.measured else ''}</td>")
    return f"<tr><th>{escape(stage['name'])}</th>{''.join(cells)}</tr>"


def _estimate(stage: Mapping[str, Any], metric: str) -> Estimate:
    return Estimate.from_json(stage["findings"].get(metric) or {})
