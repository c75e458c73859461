"""The stage table in words: one line per stage, as ``candor run`` ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

SHOWN: tuple[tuple[str, str], ...] = (
    ("false_belief_agreement", "agrees with false beliefs"),
    ("helpfulness", "helpfulness"),
    ("heldout_accuracy", "held-out accuracy"),
    ("kl", "KL"),
)
INSTEAD: tuple[tuple[str, str], ...] = (("reward", "reward"), ("length", "length"), ("eos_rate", "finished"))
"""Shown beside the KL where replies make no claims, so that sycophancy cannot be measured."""


def summary_lines(summary: Mapping[str, Any]) -> list[str]:
    """One line per stage: its name, then what was measured, with 95% intervals."""
    width = max(len(stage["name"]) for stage in summary["stages"])
    lines = []
    for stage in summary["stages"]:
        found = stage["findings"]
        shown = [f"{label} {_number(found[m])}" for m, label in SHOWN if _measured(found, m)]
        if not _measured(found, "false_belief_agreement"):
            shown += [f"{label} {_number(found[m])}" for m, label in INSTEAD if _measured(found, m)]
        note = " (reused)" if stage["reused"] else ""
        lines.append(f"{stage['name']:<{width}}  {'   '.join(shown) or 'done'}{note}")
    return lines


def _measured(findings: Mapping[str, Any], metric: str) -> bool:
    return findings.get(metric, {}).get("estimate") is not None


def _number(found: Mapping[str, Any]) -> str:
    text = f"{found['estimate']:.2f}"
    return text if found["ci_low"] is None else f"{text} [{found['ci_low']:.2f}, {found['ci_high']:.2f}]"
