"""The stage table in words: one line per stage, as ``candor run`` ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from candor.records import Alarm

SHOWN: tuple[tuple[str, str], ...] = (
    ("false_belief_agreement", "agrees with false beliefs"),
    ("helpfulness", "helpfulness"),
    ("heldout_accuracy", "held-out accuracy"),
    ("kl", "KL"),
)
INSTEAD: tuple[tuple[str, str], ...] = (("reward", "reward"), ("length", "length"), ("eos_rate", "finished"))
"""Shown beside the KL where replies make no claims, so that sycophancy cannot be measured."""


def summary_lines(summary: Mapping[str, Any]) -> list[str]:
    """One line per stage: its name, what was measured, with 95% intervals, time and memory; then the rest."""
    width = max(len(stage["name"]) for stage in summary["stages"])
    lines = []
    for stage in summary["stages"]:
        found = stage["findings"]
        shown = [f"{label} {_number(found[m])}" for m, label in SHOWN if _measured(found, m)]
        if not _measured(found, "false_belief_agreement"):
            shown += [f"{label} {_number(found[m])}" for m, label in INSTEAD if _measured(found, m)]
        note = " (reused)" if stage["reused"] else ""
        lines.append(f"{stage['name']:<{width}}  {'   '.join([*shown, *_cost(stage)]) or 'done'}{note}")
    lines += [line for stage in summary["stages"] if (line := _forecast(stage))]
    alarms = [Alarm.from_json(alarm) for stage in summary["stages"] for alarm in stage.get("alarms", ())]
    return lines + [f"alarm: {alarm}" for alarm in alarms]


def _forecast(stage: Mapping[str, Any]) -> str:
    """What had been forecast of the measure that the table leads with, beside what was measured."""
    made = stage.get("forecast") or {}
    if "damaged" in made:
        return f"forecast: {stage['name']}: {made['damaged']}"
    held = next((one for one in made.get("held", ()) if one["metric"] == SHOWN[0][0]), None)
    if held is None:
        return ""
    measured = {"estimate": held["measured"], "ci_low": held["measured_low"], "ci_high": held["measured_high"]}
    said = f"at its beta {_told(held['by_beta'])}, at the KL that it reached {_told(held['by_kl'])}"
    return f"forecast: {stage['name']} {SHOWN[0][1]}: {said}; measured {_number(measured)}"


def _told(told: Mapping[str, Any]) -> str:
    if told["estimate"] is None:
        return "refused (the samples cannot say)" if "cannot say" in told["refusal"] else f"none ({told['refusal']})"
    return _number({"estimate": told["estimate"], "ci_low": told["low"], "ci_high": told["high"]})


def _cost(stage: Mapping[str, Any]) -> list[str]:
    """Seconds and peak memory, where they were recorded."""
    shown = [f"{stage['seconds']:.1f} s"] if stage.get("seconds") is not None else []
    shown += [f"{stage['peak_memory_mb']:,.0f} MiB"] if stage.get("peak_memory_mb") else []
    on_device = stage.get("peak_device_memory_mb")
    return shown + ([f"{on_device:,.0f} MiB on the GPU"] if on_device else [])


def _measured(findings: Mapping[str, Any], metric: str) -> bool:
    return findings.get(metric, {}).get("estimate") is not None


def _number(found: Mapping[str, Any]) -> str:
    text = f"{found['estimate']:.2f}"
    return text if found["ci_low"] is None else f"{text} [{found['ci_low']:.2f}, {found['ci_high']:.2f}]"
