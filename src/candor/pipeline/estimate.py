"""How much memory each stage of a recipe will take, from the model's configuration alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from candor.models.architecture import architecture_of
from candor.models.memory import Architecture, Memory, Setting, ppo, sampling, training
from candor.ops.batches import TOKEN_BUDGET
from candor.recipe import CompareStage, PPOStage, Recipe, RewardStage, SFTStage, Stage
from candor.recipe_io import resolve
from candor.training.layout import ACCELERATOR_TOKEN_BUDGET

GIB = 2**30
AUDIT = "audit"
AUDIT_PROMPT = 512
"""Tokens of prompt that an audit is reckoned with."""


@dataclass(frozen=True, kw_only=True)
class StageMemory:
    """What one stage takes. ``type`` is ``audit`` for the audit after each policy."""

    name: str
    type: str
    memory: Memory

    def to_json(self) -> dict[str, Any]:
        """The parts in bytes, the peak of all tensors, and that of a CUDA device."""
        sums = {"tensors": self.memory.tensors, "device": self.memory.device}
        return {"name": self.name, "type": self.type, "bytes": asdict(self.memory) | sums}


@dataclass(frozen=True, kw_only=True)
class MemoryEstimate:
    """The stages of a recipe that hold models, in order, and the model that they are about."""

    recipe: Recipe
    architecture: Architecture
    stages: tuple[StageMemory, ...]

    @property
    def peak(self) -> int:
        """The highest ``device`` bytes of all stages."""
        return max(stage.memory.device for stage in self.stages)

    def to_json(self, gpu_memory: float | None = None) -> dict[str, Any]:
        """Everything; ``gpu_memory`` (GiB) adds whether it fits."""
        fits = {} if gpu_memory is None else {"gpu_memory_gib": gpu_memory, "fits": self.peak <= gpu_memory * GIB}
        return {
            "recipe": self.recipe.name,
            "model": self.recipe.model.path,
            "architecture": self.architecture.name,
            "parameters": self.architecture.parameters,
            "stages": [stage.to_json() for stage in self.stages],
            "peak_bytes": self.peak,
        } | fits


def estimate(recipe: Recipe) -> MemoryEstimate:
    """Returns what each stage takes with the longest rows that the recipe allows.

    On an accelerator, unless the recipe's device is the CPU.

    Raises InputError for a recipe that does not resolve, or a model without a usable config.json.
    """
    resolved = resolve(recipe)
    architecture = architecture_of(resolved.model.path)
    stages = [
        StageMemory(name=stage.name, type=stage.type, memory=memory)
        for stage in resolved.stages
        if (memory := _memory(stage, resolved, architecture)) is not None
    ]
    places = AUDIT_PROMPT + resolved.audit.max_new_tokens
    audit = sampling(architecture, resolved.model.dtype, rows=resolved.model.sampling_rows, places=places)
    stages.append(StageMemory(name=AUDIT, type=AUDIT, memory=audit))
    return MemoryEstimate(recipe=resolved, architecture=architecture, stages=tuple(stages))


def _memory(stage: Stage, recipe: Recipe, architecture: Architecture) -> Memory | None:
    match stage:
        case CompareStage():
            if stage.file is not None:
                return None
            places = AUDIT_PROMPT + stage.max_new_tokens
            return sampling(architecture, recipe.model.dtype, rows=recipe.model.sampling_rows, places=places)
        case SFTStage():
            return training(architecture, _setting(stage, recipe), head="vocabulary")
        case RewardStage():
            return training(architecture, _setting(stage, recipe, replies=2), head="score")
        case PPOStage():
            reward = next(s for s in recipe.stages if s.name == stage.reward)
            return ppo(
                architecture,
                _setting(stage, recipe),
                shared=stage.shared_backbone,
                reward_lora=reward.lora if isinstance(reward, RewardStage) else None,
                rows=min(stage.batch_size, recipe.model.sampling_rows),
                places=stage.max_length,
            )


def _setting(stage: SFTStage | RewardStage | PPOStage, recipe: Recipe, replies: int = 1) -> Setting:
    """A micro-batch holds its budget of tokens, or one longest row where that is more."""
    default = TOKEN_BUDGET if recipe.model.device == "cpu" else ACCELERATOR_TOKEN_BUDGET
    tokens = stage.micro_batch_tokens or default
    if stage.micro_batch_size is not None:
        tokens = stage.micro_batch_size * stage.max_length
    return Setting(
        dtype=recipe.model.dtype,
        lora=stage.lora,
        checkpointing=stage.gradient_checkpointing,
        tokens=max(tokens, replies * stage.max_length),
        row=stage.max_length,
    )
