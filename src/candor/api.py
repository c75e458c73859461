"""What ``import candor`` gives: run recipes, read runs, and the pieces of which a training loop is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from candor.errors import InputError
from candor.generation import InProcessSampler
from candor.models.chat import decode_reply, encode_prompt, encode_reply
from candor.models.heads import ValueModel
from candor.models.load import (
    Policy,
    Reward,
    load_policy,
    load_reward,
    reward_from_policy,
    save_policy,
    save_reward,
    start_reward,
)
from candor.models.replies import reply_batch
from candor.models.scorer import RewardScorer
from candor.ops.logprobs import sequence_logprobs
from candor.pipeline import run as pipeline
from candor.pipeline.progress import Reporter, Silent, working
from candor.recipe import Recipe
from candor.recipe_io import apply_overrides, load_recipe
from candor.records import (
    Claim,
    Comparison,
    Completion,
    Demonstration,
    Finding,
    Message,
    Pair,
    ParsedReply,
    Prompt,
    ReplyKind,
    Stance,
)
from candor.runs import read_findings, read_json, read_manifest, stage_dirs

__all__ = [
    "Claim",
    "Comparison",
    "Completion",
    "Demonstration",
    "Finding",
    "InProcessSampler",
    "InputError",
    "Message",
    "Pair",
    "ParsedReply",
    "Policy",
    "Prompt",
    "Recipe",
    "ReplyKind",
    "Reward",
    "RewardScorer",
    "Run",
    "Stance",
    "ValueModel",
    "apply_overrides",
    "decode_reply",
    "encode_prompt",
    "encode_reply",
    "load_policy",
    "load_recipe",
    "load_reward",
    "pretrain_atlas",
    "reply_batch",
    "reward_from_policy",
    "run",
    "save_policy",
    "save_reward",
    "sequence_logprobs",
    "start_reward",
]


@dataclass(frozen=True)
class Run:
    """A run directory, read back."""

    path: Path

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The stage table: ``{"name", "seed", "seconds", "stages": [{"name", "type", ..., "findings"}]}``."""
        return dict(read_json(self.path / "summary.json"))

    @cached_property
    def findings(self) -> list[Finding]:
        """Every measured number of the run."""
        return read_findings(self.path)

    @cached_property
    def stages(self) -> dict[str, Path]:
        """The directories of the finished stages by name, in order."""
        manifests = ((directory, read_manifest(directory)) for directory in stage_dirs(self.path))
        return {manifest.name: directory for directory, manifest in manifests if manifest is not None}

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    def checkpoint(self, stage: str) -> Path:
        """The Hugging Face checkpoint that a stage left. Raises InputError where it left none."""
        directory = self.stages.get(stage)
        if directory is None or not (directory / "checkpoint").is_dir():
            raise InputError(f"no finished stage {stage!r} with a checkpoint", where=str(self.path))
        return directory / "checkpoint"


def run(
    recipe: Recipe | str | Path | None = None,
    *,
    out: str | Path | None = None,
    seed: int | None = None,
    overrides: Iterable[str] = (),
    tell: Reporter | None = None,
) -> Run:
    """Runs a recipe (an object, a file, a packaged name, or None for the default) and returns the finished run.

    ``out`` defaults to ``runs/<name>-seed<seed>`` under the current directory. ``overrides`` are texts such as
    ``"ppo.kl_coef=0.2"``. Called again with the same arguments it resumes, or returns at once.
    Raises InputError for anything that the caller can set right.
    """
    wanted = prepare(recipe, seed=seed, overrides=overrides)
    return Run(pipeline.run(wanted, Path(out) if out else default_directory(wanted), tell=tell))


def prepare(
    recipe: Recipe | str | Path | None = None, *, seed: int | None = None, overrides: Iterable[str] = ()
) -> Recipe:
    """The recipe that :func:`run` will run. Raises InputError for what cannot be used."""
    if seed is not None and seed < 0:
        raise InputError(f"expected 0 or more, got {seed}", where="seed")
    loaded = recipe if isinstance(recipe, Recipe) else load_recipe(recipe)
    changed = apply_overrides(loaded, overrides)
    return changed if seed is None else changed.model_copy(update={"seed": seed})


def default_directory(recipe: Recipe) -> Path:
    """Where a recipe runs unless told otherwise."""
    return Path("runs") / f"{recipe.name}-seed{recipe.seed}"


def pretrain_atlas(out: str | Path, *, seed: int = 0, tell: Reporter | None = None) -> Path:
    """Pretrains the embedded testbed's base model from nothing into ``out`` and returns it."""
    from candor.experiments.pretrain_atlas import pretrain

    tell = tell or Silent()
    with working(tell, "pretrain"):
        for update in pretrain(Path(out), seed=seed):
            tell.update(update.step, update.metrics)
    return Path(out)
