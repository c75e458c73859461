"""What every stage is given: the recipe, the finished stages before it, and whom to tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from candor.annotators.panel import Panel
from candor.models.chat import encode_prompt
from candor.models.load import Policy, Reward, load_policy, load_reward, reward_from_policy, start_reward
from candor.models.window import window, within
from candor.ops.randomness import step_seed
from candor.pipeline import sources
from candor.pipeline.plan import Planned, panel_of
from candor.pipeline.progress import Reporter
from candor.protocols import ReplyReader
from candor.recipe import Recipe, RewardStage, TrainingConfig
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

    def policy(self, planned: Planned) -> Policy:
        """Loads the policy of a finished stage (or the model that the recipe starts from), on the device in use."""
        path = self.recipe.model.path if planned.type == BASE else self.directory(planned) / CHECKPOINT
        policy = load_policy(path)
        policy.model.to(device())
        return policy

    def new_reward(self, planned: Planned, stage: RewardStage) -> Reward:
        """A reward model to be trained: from the stage's own ``model``, else from its policy, on the device in use."""
        seed = step_seed(self.seed, "reward", "head")
        if stage.model is None:
            return reward_from_policy(self.policy(planned.inputs["policy"]), seed=seed)
        reward = start_reward(stage.model, seed=seed)
        reward.model.to(device())
        return reward

    def reward(self, planned: Planned) -> Reward:
        """Loads the reward model of a finished stage, on the device in use."""
        reward = load_reward(self.directory(planned) / CHECKPOINT)
        reward.model.to(device())
        return reward

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


def device() -> torch.device:
    """One accelerator where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


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
