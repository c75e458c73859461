"""Recipes: an ordered list of named stages, frozen; unknown keys are refused. Reading them: ``candor.recipe_io``."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator
from pydantic_core import PydanticCustomError

from candor.recipe_interventions import (
    ComparisonIntervention,
    DemonstrationIntervention,
    Fraction,
    Frozen,
    NonNegative,
    PolicyIntervention,
)

ATLAS = "atlas"
"""The name that stands for the embedded testbed wherever a recipe takes a model, prompts or demonstrations."""

ATLAS_CLEAN = "atlas-clean"
"""The testbed's demonstrations by people who never go along with a false belief; otherwise as ``atlas``."""


class ModelConfig(Frozen):
    """Where everything starts: ``atlas``, a Hugging Face checkpoint directory, or a hub name; and how it is computed.

    ``dtype``: what checkpoints are written in and what does not train is held in. Under ``bfloat16`` weights that train
    are float32 and computed with under autocast; adapters, heads and losses stay float32.
    """

    path: str = ATLAS
    dtype: Literal["float32", "bfloat16"] = "float32"
    device: str = "auto"  # a GPU where there is one; or cpu, cuda, cuda:1
    sampling_rows: PositiveInt = 256  # replies written at once; bounds memory and never changes a reply

    @field_validator("device")
    @classmethod
    def _device(cls, value: str) -> str:
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", value):
            raise PydanticCustomError("device", 'should be "auto", "cpu", "cuda" or "cuda:1"')
        return value


class RaterType(Frozen):
    """One kind of annotator. ``share`` is its part of the panel; the others multiply or replace the panel's weights."""

    name: str
    share: Fraction
    correctness: NonNegative = 1.0  # multiplies PanelConfig.correctness
    agreement: NonNegative = 1.0  # multiplies PanelConfig.agreement
    kindness: NonNegative = 1.0
    length: NonNegative = 1.0
    position: NonNegative = 1.0
    noise: PositiveFloat = 1.0  # multiplies PanelConfig.noise
    lapse: Fraction = 0.0  # replaces: the share of judgements given without reading
    words_per_second: PositiveFloat = 4.0


DEFAULT_RATERS: tuple[RaterType, ...] = (
    RaterType(name="careful", share=0.30, correctness=1.4, agreement=0.6, lapse=0.01, words_per_second=2.5),
    RaterType(name="typical", share=0.45, lapse=0.03),
    RaterType(name="agreeable", share=0.15, correctness=0.8, agreement=1.8, kindness=1.5, lapse=0.03),
    RaterType(name="hurried", share=0.10, length=2.0, position=3.0, noise=1.5, lapse=0.15, words_per_second=9.0),
)


class PanelConfig(Frozen):
    """Simulated annotators: mean weights of their latent utility (logits), shared out over rater types."""

    correctness: NonNegative = 1.0
    agreement: NonNegative = 2.0
    kindness: NonNegative = 0.15
    length: float = 0.03  # per standard deviation of log length in words
    position: NonNegative = 0.1  # added to the response that is shown first
    noise: PositiveFloat = 1.0  # scale of the Gumbel noise on each utility: 1.0 is exactly Bradley-Terry
    annotators: PositiveInt = 40
    raters: tuple[RaterType, ...] = DEFAULT_RATERS


class StageConfig(Frozen):
    """What every stage has. ``policy``-like inputs name an earlier stage; None is the latest of the right kind."""

    name: str = ""  # defaults to the type


class LoraConfig(Frozen):
    """Low-rank adapters (Hu 2021): W + alpha / r * B A on linear layers of the frozen body, A and B trained."""

    r: PositiveInt = 16
    alpha: PositiveFloat = 32.0
    targets: Literal["all-linear"] | tuple[str, ...] = (
        "all-linear"  # or names in the body, such as ["q_proj", "v_proj"]
    )

    @field_validator("targets", mode="before")
    @classmethod
    def _names(cls, value: Any) -> Any:
        listed = isinstance(value, list | tuple) and value and all(isinstance(name, str) for name in value)
        if value != "all-linear" and not listed:
            raise PydanticCustomError("targets", 'should be "all-linear" or a list of names of linear layers')
        return tuple(value) if isinstance(value, list) else value


class TrainingConfig(StageConfig):
    """What every stage that trains has. Micro-batches bound memory and never change the result."""

    lr: PositiveFloat
    batch_size: PositiveInt
    micro_batch_size: PositiveInt | None = None  # replies at once; None: as many as fit micro_batch_tokens
    micro_batch_tokens: PositiveInt | None = None  # None: 2,048 on a CPU, 8,192 on an accelerator
    max_length: PositiveInt = 512  # tokens of prompt + reply; longer prompts are cut from the left, and counted
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    weight_decay: NonNegative = 0.0
    max_grad_norm: PositiveFloat = 1.0
    adam_eps: PositiveFloat = 1e-8
    checkpoint_every: PositiveInt = 20  # updates
    lora: LoraConfig | None = None  # None: every weight trains
    gradient_checkpointing: bool = False  # compute each layer's activations twice instead of keeping them


class SFTStage(TrainingConfig):
    """Supervised fine-tuning: cosine to 0, loss on the reply's tokens (its end of sequence included)."""

    type: Literal["sft"] = "sft"
    policy: str | None = None
    demonstrations: str = ATLAS  # or atlas-clean (nobody goes along with a false belief), or a file
    num_demonstrations: PositiveInt | None = None  # None: all
    lr: PositiveFloat = 1e-3
    batch_size: PositiveInt = 64
    epochs: PositiveFloat = 3.0
    interventions: tuple[DemonstrationIntervention, ...] = ()  # on the demonstrations, in this order


class CompareStage(StageConfig):
    """Preference collection: K sampled replies per prompt shown to the panel, or comparisons read from a file."""

    type: Literal["compare"] = "compare"
    policy: str | None = None
    prompts: str = ATLAS
    file: str | None = None  # read comparisons from here instead, all of them; what follows is then unused
    num_prompts: PositiveInt | None = 1500
    responses: Annotated[int, Field(ge=2, le=7)] = 4
    feedback: Literal["choice", "ranking", "ratings"] = "ranking"
    temperature: PositiveFloat = 1.0
    max_new_tokens: PositiveInt = 48
    panel: PanelConfig = PanelConfig()
    draw: Annotated[int, Field(ge=0)] = 0  # another draw of prompts, replies, annotators and their judgements


class RewardStage(TrainingConfig):
    """Bradley-Terry reward model: starts from a policy, head N(0, 1/(d+1)), one epoch, cosine to 0."""

    type: Literal["reward"] = "reward"
    policy: str | None = None
    model: str | None = None  # a checkpoint to start from in place of a policy: an encoder or a causal LM
    comparisons: str | None = None  # a stage, None: the latest
    heldout: Fraction = 0.1  # share of prompts kept for the accuracy; split by prompt
    lr: PositiveFloat = 3e-4
    batch_size: PositiveInt = 32  # comparisons: every response of one is in the same batch
    epochs: PositiveFloat = 1.0
    loss: Literal["bradley_terry", "plackett_luce"] = "bradley_terry"
    tie_band: NonNegative = 0.0  # rating points: ratings that are no further apart give no pair
    margin: Literal["none", "gap", "strength"] = "none"  # that the score has to differ by: of ratings, also of choices
    center: bool = True  # report scores relative to the demonstrations' mean, where there are demonstrations
    demonstrations: str | None = None  # for center; None: those of the latest sft
    member: Annotated[int, Field(ge=0)] = 0  # another draw of head and order, for an ensemble
    interventions: tuple[ComparisonIntervention, ...] = ()  # on the comparisons that train, in this order


class PPOStage(TrainingConfig):
    """PPO with a per-token KL penalty in the reward; lr linear to 0; dropout off."""

    type: Literal["ppo"] = "ppo"
    policy: str | None = None
    reference: str | None = None  # None: the policy it starts from
    reward: str | None = None
    shared_backbone: bool = False  # one frozen body under the adapters of all four models; needs lora
    prompts: str = ATLAS
    updates: PositiveInt = 40  # batches of rollouts
    batch_size: PositiveInt = 128  # completions per update
    responses: PositiveInt = 1  # completions per prompt; divides batch_size
    epochs: PositiveInt = 4
    minibatches: PositiveInt = 1
    lr: PositiveFloat = 3e-4
    value_lr: PositiveFloat | None = None  # None: lr
    adam_eps: PositiveFloat = 1e-5
    kl_coef: NonNegative = 0.1
    kl_control: Literal["fixed", "adaptive"] = "fixed"
    kl_target: PositiveFloat = 6.0  # nats per reply, for adaptive
    kl_horizon: PositiveInt = 10_000  # completions, for adaptive
    clip: PositiveFloat = 0.2
    value_clip: PositiveFloat = 0.2
    value_coef: NonNegative = 0.1
    gamma: Fraction = 1.0
    lam: Fraction = 0.95
    whiten_advantages: bool = True
    whiten_rewards: bool = False
    temperature: PositiveFloat = 1.0
    max_new_tokens: PositiveInt = 48
    missing_eos: Literal["replace", "subtract"] = "replace"
    missing_eos_score: float = -1.0
    ptx_coef: NonNegative = 0.0  # PPO-ptx: weight of the demonstrations' log-likelihood
    demonstrations: str | None = None  # for ptx_coef; None: those of the latest sft
    forecast_prompts: Annotated[int, Field(ge=0)] = 80  # of the audit, on which it is forecast; 0: no forecast
    forecast_samples: Annotated[int, Field(ge=32)] = 128  # replies to each of them
    interventions: tuple[PolicyIntervention, ...] = ()  # on the reward and the optimiser, in this order


Stage = Annotated[SFTStage | CompareStage | RewardStage | PPOStage, Field(discriminator="type")]


class AuditConfig(Frozen):
    """The policy audit after every stage that yields a policy."""

    prompts: str = ATLAS  # the testbed's held-out prompts, a file, or a compare stage that reads a file
    num_questions: PositiveInt | None = None  # None: all held-out questions
    samples: PositiveInt = 1  # sampled replies per prompt, beside the greedy one
    temperature: PositiveFloat = 1.0
    max_new_tokens: PositiveInt = 48
    bootstrap: PositiveInt = 1000


class Recipe(Frozen):
    """A name, a seed, a model to start from, stages in order, and what is measured on every policy."""

    name: str
    seed: Annotated[int, Field(ge=0)] = 0
    model: ModelConfig = ModelConfig()
    stages: tuple[Stage, ...]
    audit: AuditConfig = AuditConfig()
