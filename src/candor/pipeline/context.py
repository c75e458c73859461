"""What every stage is given: the recipe, the finished stages before it, and whom to tell."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn
from transformers import PreTrainedModel

from candor.annotators.panel import Panel
from candor.errors import InputError
from candor.models.chat import encode_prompt
from candor.models.compute import DTYPES, BFloat16Sampler, compute_in
from candor.models.load import Policy, Reward, load_policy, load_reward
from candor.models.window import window, within
from candor.pipeline import sources
from candor.pipeline.plan import Planned, panel_of
from candor.pipeline.progress import Reporter
from candor.protocols import ReplyReader, Sampler
from candor.recipe import Recipe, TrainingConfig
from candor.recipe_io import BASE
from candor.records import Demonstration, Prompt
from candor.runs import RunStore

CHECKPOINT = "checkpoint"

Trains = TypeVar("Trains", bound=TrainingConfig)


@dataclass(frozen=True, kw_only=True)
class Context:
    """``recipe`` is resolved; ``plan`` holds its stages in order, the base first."""

    recipe: Recipe
    plan: tuple[Planned, ...]
    store: RunStore
    tell: Reporter
    reader: ReplyReader

    @property
    def seed(self) -> int:
        return self.recipe.seed

    def directory(self, planned: Planned) -> Path:
        return self.store.stage_path(planned.index, planned.name)

    @property
    def device(self) -> torch.device:
        return device(self.recipe.model.device)

    @property
    def dtype(self) -> torch.dtype:
        return DTYPES[self.recipe.model.dtype]

    def checkpoint(self, planned: Planned) -> str | Path:
        """Where the model of a finished stage lies, or the model that the recipe starts from."""
        return self.recipe.model.path if planned.type == BASE else self.directory(planned) / CHECKPOINT

    def policy(self, planned: Planned) -> Policy:
        """Loads the policy of a finished stage (or the model that the recipe starts from), to be used as it is."""
        policy = self.weights(planned, self.dtype)
        compute_in(self.dtype, policy.model)
        return policy

    def reward(self, planned: Planned) -> Reward:
        """Loads the reward model of a finished stage, to be used as it is."""
        self._make_room()
        reward = load_reward(self.checkpoint(planned), dtype=self.dtype)
        reward.model.to(self.device)
        compute_in(self.dtype, reward.model)
        return reward

    def weights(self, planned: Planned, dtype: torch.dtype) -> Policy:
        """Loads a policy held in ``dtype``, on the device in use; how it computes is not settled yet."""
        self._make_room()
        policy = load_policy(self.checkpoint(planned), dtype=dtype)
        policy.model.to(self.device)
        return policy

    def _make_room(self) -> None:
        """Frees models that nobody holds any more: modules refer to each other in circles, and so outlive their use."""
        if self.device.type == "cuda":
            gc.collect()
            torch.cuda.empty_cache()

    def sampler(self, model: PreTrainedModel, make: Callable[[PreTrainedModel], Sampler]) -> Sampler:
        """A sampler of a model that trains, in the recipe's precision; ``make`` makes one for a model."""
        return make(model) if self.dtype == torch.float32 else BFloat16Sampler(model, make)

    def panel(self, planned: Planned) -> Panel:
        """The panel in whose eyes a stage's replies are judged; never shown to training."""
        config, feedback = panel_of(planned, self.plan)
        return Panel(config, self.reader, feedback, self.seed)  # type: ignore[arg-type]

    def demonstrations(self, source: str) -> Sequence[Demonstration]:
        return sources.demonstrations(source, seed=self.seed)

    def train_prompts(self, source: str) -> Sequence[Prompt]:
        """Prompts to train on; ``source`` may name a finished compare stage."""
        stages = {planned.name: self.directory(planned) for planned in self.plan}
        return sources.train_prompts(source, seed=self.seed, stages=stages)


def model_source(given: str | Path) -> str:
    """What to load: a checkpoint or a hub name as it is given, of the directory of a run's stage the model it left."""
    place = Path(given)
    if (place / CHECKPOINT / "config.json").is_file() and not (place / "config.json").is_file():
        return str(place / CHECKPOINT)
    return str(given)


def device(name: str = "auto") -> torch.device:
    """The device of that name; auto is one accelerator where there is one, else the CPU.

    Raises InputError for an accelerator that is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    wanted = torch.device(name)
    if wanted.type == "cuda" and (wanted.index or 0) >= torch.cuda.device_count():
        what = f"there is no device {name!r}: CUDA devices seen: {torch.cuda.device_count()}"
        raise InputError(what, where="model.device", fix='use "auto" or "cpu"')
    return wanted


def fitting(stage: Trains, model: nn.Module, context: Context) -> Trains:
    """The stage with a ``max_length`` that the model's context holds; told where the recipe asked for more."""
    fits = within(model, stage.max_length)
    if fits == stage.max_length:
        return stage
    if "max_length" in stage.model_fields_set:
        context.tell.note(f"{stage.name}: max_length = {fits}, the model's context, instead of {stage.max_length}")
    return stage.model_copy(update={"max_length": fits})


def prompts_that_fit(
    policy: Policy, prompts: Sequence[Prompt], max_new_tokens: int, note: Callable[[str], None]
) -> list[Prompt]:
    """The prompts that leave room for a reply in the model's context; the others are counted and told."""
    places = window(policy.model)
    if places is None:
        return list(prompts)
    kept = [p for p in prompts if len(encode_prompt(policy.tokenizer, p)) + max_new_tokens <= places]
    if len(kept) < len(prompts):
        note(f"{len(prompts) - len(kept)} of {len(prompts)} prompts left out: they do not fit {places} tokens")
    return kept
