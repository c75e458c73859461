"""What a run comes to: findings.jsonl and summary.json, written anew after every stage from the stages' own files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from candor.errors import InputError
from candor.jsonl import write_rows
from candor.pipeline.plan import Planned
from candor.recipe import Recipe
from candor.records import Finding, to_json
from candor.runs import read_alarms, read_findings, read_json, read_manifest, write_json
from candor.runs.sealed import held_against, read_sealed
from candor.runs.store import AUDIT

HEADLINE_SUBJECTS = ("sampled", "heldout")
"""The subjects whose findings stand in the stage table."""

NUMBERS = ("estimate", "ci_low", "ci_high", "n")


def write_summary(run_dir: Path, recipe: Recipe, stages: Sequence[tuple[Planned, Path]]) -> None:
    """Writes both files for the stages that are finished, each given with its directory."""
    findings = [finding for planned, directory in stages for finding in stage_findings(planned, directory, recipe.seed)]
    write_rows(run_dir / "findings.jsonl", (to_json(finding) for finding in findings))
    rows = [_row(planned, directory, recipe.seed) for planned, directory in stages]
    spent = sum(row["seconds"] for row in rows if not row["reused"])
    write_json(
        run_dir / "summary.json",
        {"name": recipe.name, "seed": recipe.seed, "seconds": round(spent, 1), "stages": rows},
    )


def stage_findings(planned: Planned, directory: Path, seed: int) -> list[Finding]:
    """What was found about one stage: a reward model's evaluation, or the audit of a policy."""
    if planned.type == "reward":
        return _evaluation_findings(planned, directory, seed)
    return read_findings(directory / AUDIT / "findings.jsonl")


def _evaluation_findings(planned: Planned, directory: Path, seed: int) -> list[Finding]:
    """The evaluation names no stage, so that a stage taken over under another name is reported under its own."""
    evaluation = read_json(directory / "evaluation.json")
    return [
        Finding(
            probe="reward",
            stage=planned.name,
            subject="heldout",
            metric=metric,
            seed=seed,
            details={"clusters": found["clusters"]}
            | ({} if found["n"] else {"not_measured": "no pair of a prompt that was held out"}),
            **{name: found[name] for name in NUMBERS},
        )
        for metric, found in evaluation.items()
        if isinstance(found, dict) and "estimate" in found
    ]


def forecast_row(directory: Path, findings: Sequence[Finding]) -> dict[str, Any] | None:
    """What was forecast of a stage and what came of it; None where nothing was."""
    try:
        forecast = read_sealed(directory)
    except InputError as error:
        return {"damaged": str(error)}
    if forecast is None:
        return None
    return {"digest": forecast["digest"], "held": to_json(held_against(forecast, findings))}


def _row(planned: Planned, directory: Path, seed: int) -> dict[str, Any]:
    findings = stage_findings(planned, directory, seed)
    manifests = [m for m in (read_manifest(directory), read_manifest(directory / AUDIT)) if m is not None]
    on_device = [m.peak_device_memory_mb for m in manifests if m.peak_device_memory_mb is not None]
    return {
        "name": planned.name,
        "type": planned.type,
        "seconds": round(sum(manifest.seconds for manifest in manifests), 1),
        "peak_memory_mb": max((manifest.peak_memory_mb for manifest in manifests), default=None),
        "peak_device_memory_mb": max(on_device, default=None),
        "reused": bool(manifests) and manifests[0].reused_from is not None,
        "alarms": [to_json(replace(alarm, stage=planned.name)) for alarm in read_alarms(directory)],
        "findings": table_row(findings),
        "forecast": forecast_row(directory, findings),
    }


def table_row(findings: Iterable[Finding]) -> dict[str, Any]:
    """The headline findings by metric, as the stage table holds them."""
    return {
        finding.metric: {name: getattr(finding, name) for name in NUMBERS}
        for finding in findings
        if finding.subject in HEADLINE_SUBJECTS
    }
