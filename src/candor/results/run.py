"""A run directory as an object: findings, curves, replies and comparisons as data frames, charts, checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from candor.errors import InputError
from candor.records import Finding
from candor.runs import Manifest, read_findings, read_json, read_manifest, stage_dirs

if TYPE_CHECKING:
    import altair
    import polars

CHECKPOINT = "checkpoint"
POLICY_TYPES = ("base", "sft", "ppo")


@dataclass(frozen=True)
class Run:
    """A run directory, read back. In a notebook it shows its stage table.

    ``run.findings``, ``run.metrics(...)``, ``run.samples(...)`` and ``run.comparisons`` are polars data frames;
    ``run.chart(...)`` and ``run.charts`` are Altair charts. Files are read when they are first asked for and kept.
    Raises InputError where there is no such directory.
    """

    path: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", Path(self.path))
        if not self.path.is_dir():
            raise InputError("no such run directory", where=str(self.path), fix="give the folder that holds stages/")

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The stage table: ``{"name", "seed", "seconds", "stages": [{"name", "type", ..., "findings"}]}``."""
        return dict(read_json(self.path / "summary.json"))

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """The recipe as it was run, every default filled in, as plain values."""
        return dict(read_json(self.path / "recipe.resolved.json"))

    @cached_property
    def finding_records(self) -> list[Finding]:
        """Every measured number of the run, as records."""
        return read_findings(self.path)

    @cached_property
    def findings(self) -> polars.DataFrame:
        """Every measured number of the run, a row each.

        Columns: stage, probe, subject, metric, estimate, ci_low, ci_high (95%), n, seed, details (JSON text).
        An estimate is null, with the reason in ``details``, where nothing could be measured.
        """
        from candor.results.frames import findings_frame

        return findings_frame(self.finding_records)

    def metrics(self, stage: str) -> polars.DataFrame:
        """The training curves of a stage: a row per update, ``step`` first; and, beside PPO's own, the panel's view.

        Raises InputError where there is no such stage or it trains nothing.
        """
        from candor.results.frames import metrics_frame

        return metrics_frame(self.directory(stage))

    def samples(self, stage: str) -> polars.DataFrame:
        """The audited replies of a stage's policy, a row each: the prompt, its claim, the reply and how it was read.

        ``subject`` is ``sampled`` or ``greedy``. Raises InputError where there is no such stage or no audit of it.
        """
        from candor.results.frames import samples_frame

        return samples_frame(self.directory(stage))

    @cached_property
    def comparisons(self) -> polars.DataFrame:
        """What the annotators saw and said: a row per response of each comparison.

        ``rank`` counts from 1 (best; ties share one), ``score`` holds ratings where those were given, ``shown`` is the
        place on the annotator's screen from 1, null where nobody recorded it.
        """
        from candor.results.frames import comparisons_frame

        compares = {name: path for name, path in self.stages.items() if self.manifests[name].type == "compare"}
        return comparisons_frame(compares)

    @cached_property
    def alarms(self) -> polars.DataFrame:
        """What the training loop warned of: a row per alarm that was ``raised`` or ``cleared``.

        Columns: stage, step (the update), event, name, severity, seen, cause, setting (what to change).
        """
        from candor.results.frames import alarms_frame

        return alarms_frame(self.stages)

    def chart(self, name: str) -> altair.LayerChart:
        """One chart by name, as a notebook displays it; ``sycophancy`` is the first. Names: ``list(run.charts)``.

        Raises InputError for a name that this run has no chart of.
        """
        made = self.charts.get(name)
        if made is None:
            raise InputError(f"no chart {name!r}", where=str(self.path), fix=f"one of: {', '.join(self.charts)}")
        return made

    @cached_property
    def charts(self) -> Mapping[str, altair.LayerChart]:
        """The charts of the report by name, with titles, legends and tooltips of their own."""
        from candor.results.charts import Charts

        return Charts(self.path)

    @cached_property
    def manifests(self) -> dict[str, Manifest]:
        """The manifests of the finished stages by name, in order."""
        found = (read_manifest(directory) for directory in stage_dirs(self.path))
        return {manifest.name: manifest for manifest in found if manifest is not None}

    @cached_property
    def stages(self) -> dict[str, Path]:
        """The directories of the finished stages by name, in order."""
        manifests = ((directory, read_manifest(directory)) for directory in stage_dirs(self.path))
        return {manifest.name: directory for directory, manifest in manifests if manifest is not None}

    @property
    def policies(self) -> tuple[str, ...]:
        """The finished stages that have a policy, in order; ``base`` is the model as it was given."""
        return tuple(name for name, manifest in self.manifests.items() if manifest.type in POLICY_TYPES)

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    def directory(self, stage: str) -> Path:
        """The directory of a finished stage. Raises InputError where there is none of that name."""
        directory = self.stages.get(stage)
        if directory is None:
            known = ", ".join(self.stages) or "none"
            raise InputError(f"no finished stage {stage!r}", where=str(self.path), fix=f"finished stages: {known}")
        return directory

    def checkpoint(self, stage: str) -> Path:
        """The Hugging Face checkpoint that a stage left. Raises InputError where it left none."""
        directory = self.stages.get(stage)
        if directory is None or not (directory / CHECKPOINT).is_dir():
            raise InputError(f"no finished stage {stage!r} with a checkpoint", where=str(self.path))
        return directory / CHECKPOINT

    def policy_source(self, stage: str) -> str:
        """What to load a stage's policy from: its checkpoint, or for the base the model that the recipe names.

        Raises InputError where the stage is not finished or has no policy.
        """
        directory = self.directory(stage)
        manifest = self.manifests[stage]
        if manifest.type not in POLICY_TYPES:
            raise InputError(
                f"the stage {stage!r} has no policy: it is of type {manifest.type}",
                where=str(self.path),
                fix=f"stages with one: {', '.join(self.policies)}",
            )
        return str(manifest.config["path"]) if manifest.type == "base" else str(directory / CHECKPOINT)

    def _repr_html_(self) -> str:
        from candor.results.html import run_html

        return run_html(self.path, self.summary)


def default_stages(run: Run) -> list[str]:
    """The last policy, beside the last SFT one where that is another. Raises InputError where there is no policy."""
    policies = run.policies
    if not policies:
        raise InputError("no stage with a policy is finished", where=str(run.path), fix="let candor run finish one")
    tuned = [name for name in policies if run.manifests[name].type == "sft"]
    return list(dict.fromkeys([*tuned[-1:], policies[-1]]))
