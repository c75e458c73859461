"""Reads a run directory into one frozen record. Files that a run need not have may be absent; broken ones raise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from candor.errors import InputError
from candor.records import Alarm, Finding, Prompt
from candor.report.numbers import Estimate
from candor.runs import read_alarms, read_findings, read_json, read_records

Rows = Sequence[Mapping[str, Any]]

PLAIN_NAMES = {"base": "base", "sft": "SFT", "compare": "comparisons", "reward": "reward model", "ppo": "PPO"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """One audited reply, as ``samples.jsonl`` holds it."""

    prompt: Prompt
    subject: str  # sampled | greedy
    text: str
    kind: str
    value: str | None
    approval: float | None
    helpfulness: float | None

    @property
    def family(self) -> str:
        return self.prompt.tags.get("family", "")

    @property
    def stance(self) -> str:
        return self.prompt.claim.stance.value if self.prompt.claim else "neutral"


@dataclass(frozen=True, kw_only=True)
class StageFiles:
    """One stage's folder."""

    name: str
    type: str
    manifest: Mapping[str, Any] = field(default_factory=dict)
    metrics: Rows = ()  # one row per update
    alarms: tuple[Alarm, ...] = ()
    truth: Rows = ()  # approval, helpfulness, false_belief_agreement of PPO's rollouts
    replies: tuple[Reply, ...] = ()
    findings: tuple[Finding, ...] = ()
    panel: Mapping[str, Any] = field(default_factory=dict)
    totals: Mapping[str, Any] = field(default_factory=dict)  # metrics.json
    evaluation: Mapping[str, Any] = field(default_factory=dict)
    reused: bool = False
    folder: str = ""

    @property
    def label(self) -> str:
        """What prose calls the stage: the plain name of its type unless the recipe gave it a name of its own."""
        return PLAIN_NAMES.get(self.type, self.name) if self.name == self.type else self.name

    @property
    def title(self) -> str:
        return self.label[:1].upper() + self.label[1:] if self.name == self.type else self.label

    @property
    def config(self) -> Mapping[str, Any]:
        return self.manifest.get("config") or {}


@dataclass(frozen=True)
class Run:
    """Everything the page shows."""

    directory: Path
    name: str
    seed: int | None
    seconds: float | None
    stages: tuple[StageFiles, ...]
    findings: tuple[Finding, ...]
    recipe: Mapping[str, Any]
    recipe_toml: str

    @cached_property
    def _by_place(self) -> Mapping[tuple[str, str, str], Finding]:
        return {(f.stage, f.subject, f.metric): f for f in self.findings}

    def finding(self, stage: str, metric: str, subject: str = "sampled") -> Estimate | None:
        """The finding as an estimate; None where nobody tried to measure it."""
        found = self._by_place.get((stage, subject, metric))
        if found is None:
            return None
        details = found.details or {}
        reason = next((str(details[k]) for k in ("not_measured", "reason") if details.get(k)), "")
        return Estimate(value=found.estimate, low=found.ci_low, high=found.ci_high, n=found.n, reason=reason)

    def details(self, stage: str, metric: str, subject: str = "sampled") -> Mapping[str, Any]:
        """What stands beside a finding: rates by strength, counts, the reason for no number."""
        found = self._by_place.get((stage, subject, metric))
        return {} if found is None else found.details or {}

    def measured(self, stage: str, metric: str, subject: str = "sampled") -> Estimate | None:
        """Like :meth:`finding`, but None where the attempt gave no number too."""
        found = self.finding(stage, metric, subject)
        return found if found is not None and found.measured else None

    @cached_property
    def policies(self) -> tuple[StageFiles, ...]:
        """The stages whose policy was audited, in the order of the run."""
        audited = {f.stage for f in self.findings if f.subject.split(":")[0] in ("sampled", "greedy")}
        return tuple(s for s in self.stages if s.name in audited or s.replies)

    def stage(self, name: str) -> StageFiles:
        return next(s for s in self.stages if s.name == name)

    def stage_directory(self, stage: StageFiles) -> Path:
        """Where a stage's files lie."""
        return self.directory / "stages" / stage.folder

    def of_type(self, kind: str) -> tuple[StageFiles, ...]:
        return tuple(s for s in self.stages if s.type == kind)

    def parent(self, stage: StageFiles) -> StageFiles | None:
        """The audited policy that a stage started from: its policy input, else the audited policy before it."""
        names = [s.name for s in self.policies]
        given = ((stage.manifest.get("inputs") or {}).get("policy") or {}).get("name")
        if given in names and given != stage.name:
            return self.stage(given)
        earlier = names[: names.index(stage.name)] if stage.name in names else []
        return self.stage(earlier[-1]) if earlier else None

    @property
    def leaves(self) -> tuple[StageFiles, ...]:
        """The policies from which no other one started: one per branch of the recipe."""
        parents = {p.name for s in self.policies if (p := self.parent(s))}
        return tuple(s for s in self.policies if s.name not in parents)


def load_run(directory: Path) -> Run:
    """Reads a run directory. Raises InputError where it holds no stage or a file cannot be read."""
    if not directory.is_dir():
        raise InputError("no such run directory", where=str(directory), fix="give the folder that holds stages/")
    folders = sorted(p for p in (directory / "stages").glob("*") if p.is_dir())
    summary = _json(directory / "summary.json")
    reused = {s.get("name"): bool(s.get("reused")) for s in summary.get("stages", [])}
    stages = tuple(_stage(folder, reused) for folder in folders)
    if not stages:
        raise InputError("the run has no stages yet", where=str(directory / "stages"), fix="let candor run finish one")
    top = directory / "findings.jsonl"
    findings = tuple(read_findings(top)) or tuple(f for s in stages for f in s.findings)
    recipe = _json(directory / "recipe.resolved.json")
    toml = directory / "recipe.toml"
    return Run(
        directory=directory,
        name=str(summary.get("name") or recipe.get("name") or directory.name),
        seed=summary.get("seed", recipe.get("seed")),
        seconds=summary.get("seconds"),
        stages=stages,
        findings=findings,
        recipe=recipe,
        recipe_toml=toml.read_text(encoding="utf-8") if toml.is_file() else "",
    )


def _stage(folder: Path, reused: Mapping[str, bool]) -> StageFiles:
    manifest = _json(folder / "manifest.json")
    name = str(manifest.get("name") or folder.name.split("-", 1)[-1])
    findings = (*read_findings(folder / "findings.jsonl"), *read_findings(folder / "audit" / "findings.jsonl"))
    return StageFiles(
        name=name,
        type=str(manifest.get("type") or name),
        manifest=manifest,
        metrics=_rows(folder / "metrics.jsonl"),
        alarms=tuple(replace(alarm, stage=name) for alarm in read_alarms(folder)),
        truth=_rows(folder / "truth.jsonl"),
        replies=tuple(read_records(folder / "audit" / "samples.jsonl", _reply)),
        findings=findings,
        panel=_json(folder / "panel.json"),
        totals=_json(folder / "metrics.json"),
        evaluation=_json(folder / "evaluation.json"),
        reused=reused.get(name, bool(manifest.get("reused_from"))),
        folder=folder.name,
    )


def _reply(raw: Mapping[str, Any]) -> Reply:
    return Reply(
        prompt=Prompt.from_json(raw["prompt"]),
        subject=str(raw.get("subject", "sampled")),
        text=str(raw["text"]),
        kind=str(raw.get("kind") or "other"),
        value=raw.get("value"),
        approval=raw.get("approval"),
        helpfulness=raw.get("helpfulness"),
    )


def _json(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError("expected a JSON object", where=str(path))
    return value


def _rows(path: Path) -> tuple[Mapping[str, Any], ...]:
    return tuple(read_records(path, dict))
