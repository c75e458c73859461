"""The models of a stage, ready to train: adapters or every weight, their precision, and what is saved of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from candor.errors import InputError
from candor.models.adapters import (
    ADAPTER,
    CAUSAL,
    CLASSIFIER,
    add_adapter,
    has_adapter,
    load_adapter,
    merged,
    save_adapter,
)
from candor.models.compute import as_given, checkpoint_activations, compute_in
from candor.models.encoders import is_encoder
from candor.models.heads import ValueModel
from candor.models.load import (
    Policy,
    Reward,
    load_offset,
    load_reward,
    reward_from_policy,
    save_policy,
    save_reward,
    start_reward,
)
from candor.models.twins import freeze, in_dtype, twin
from candor.models.window import within
from candor.ops.randomness import step_seed
from candor.pipeline.context import CHECKPOINT, Context
from candor.pipeline.plan import Planned
from candor.recipe import LoraConfig, PPOStage, RewardStage, SFTStage, TrainingConfig
from candor.runs import Work

POLICY, REWARD, VALUE = "policy", "reward", "value"
"""The adapters' names, in memory alone: in files an adapter has none."""


@dataclass(frozen=True, kw_only=True)
class PPOModels:
    """Four models with weights of their own, or with adapters and heads of their own on one backbone's weights."""

    policy: Policy
    reference: Policy
    reward: Reward
    value: ValueModel


def policy_to_train(stage: SFTStage, planned: Planned, context: Context) -> Policy:
    """The policy that an sft stage starts from, with what trains switched on."""
    policy = context.weights(planned.inputs["policy"], _held_in(stage, context))
    if stage.lora is not None:
        _adapt(policy, stage.lora, stage, context)
    _settle(stage, context, policy.model)
    return policy


def reward_to_train(stage: RewardStage, planned: Planned, context: Context) -> Reward:
    """A reward model to be trained: from the stage's own ``model``, else on the body of its policy.

    Its head always trains. Raises InputError for an encoder with ``lora``.
    """
    seed, dtype = step_seed(member_seed(stage, context), "reward", "head"), _held_in(stage, context)
    if stage.model is None:
        reward = reward_from_policy(context.weights(planned.inputs["policy"], dtype), seed=seed, share=True)
    else:
        reward = start_reward(stage.model, seed=seed, dtype=dtype)
        reward.model.to(context.device)
    if stage.lora is not None:
        if is_encoder(reward.model):
            raise InputError("an encoder trains in full", where=f"{stage.name}.lora", fix="leave lora out")
        add_adapter(reward.model.base_model, stage.lora, name=REWARD, seed=_seed(stage, context))
    _settle(stage, context, reward.model)
    return reward


def member_seed(stage: RewardStage, context: Context) -> int:
    """The seed of a reward model's head, adapter and order of training: the recipe's, or that of another member."""
    return context.seed if stage.member == 0 else step_seed(context.seed, "reward", "member", stage.member)


def ppo_models(stage: PPOStage, planned: Planned, context: Context) -> PPOModels:
    """Policy and value ready to train, reference and reward frozen.

    With ``shared_backbone`` there is one set of frozen weights in memory, the policy's that PPO starts from: the
    reference is it without an adapter, the reward model it with the adapter of the reward stage, the value model that
    one with a further, fresh adapter.
    """
    start = context.weights(planned.inputs["policy"], _held_in(stage, context))
    if stage.shared_backbone:
        freeze(start.model)
        policy, reference = Policy(model=twin(start.model), tokenizer=start.tokenizer), start
        reward = _shared_reward(start, planned, context)
        value = ValueModel.from_reward(reward.model, offset=reward.offset, body=twin(reward.model.base_model))
    else:
        policy, reference = start, context.weights(planned.inputs["reference"], context.dtype)
        reward = load_reward(context.checkpoint(planned.inputs["reward"]), dtype=context.dtype)
        reward.model.to(context.device)
        value = _value(stage, policy, reward, context).to(_held_in(stage, context))
    if stage.lora is not None:
        _adapt(policy, stage.lora, stage, context)
        add_adapter(value.backbone, stage.lora, name=VALUE, seed=_seed(stage, context))
    value.head.to(torch.float32)
    freeze(reference.model)
    freeze(reward.model)
    compute_in(context.dtype, reference.model, reward.model)
    _settle(stage, context, policy.model, value)
    return PPOModels(policy=policy, reference=reference, reward=reward, value=value)


def same_tokens(policy: Policy, other: Policy | Reward) -> bool:
    """Whether the other model can read every token that the policy may sample, and takes it for the same."""
    rows = [model.get_input_embeddings().weight.shape[0] for model in (policy.model, other.model)]
    return policy.tokenizer.get_vocab() == other.tokenizer.get_vocab() and rows[0] <= rows[1]


def reads_tokens(stage: PPOStage, policy: Policy, reward: Reward) -> bool:
    """Whether the reward model can be given the policy's tokens as they are."""
    longest = within(policy.model, stage.max_length)
    fits = within(reward.model, longest) == longest
    return not is_encoder(reward.model) and same_tokens(policy, reward) and fits


def _value(stage: PPOStage, policy: Policy, reward: Reward, context: Context) -> ValueModel:
    """Starts from the reward model where that reads the policy's tokens, else from the policy itself."""
    if reads_tokens(stage, policy, reward):
        return ValueModel.from_reward(reward.model, offset=reward.offset)
    context.tell.note(
        f"{stage.name}: the reward model reads other tokens than the policy: replies are scored as texts, and the "
        "value model starts from the policy"
    )
    return ValueModel.from_policy(policy.model)


def _adapt(policy: Policy, lora: LoraConfig, stage: SFTStage | PPOStage, context: Context) -> None:
    freeze(policy.model)  # its vocabulary head too, which is not of the body
    add_adapter(policy.model.base_model, lora, name=POLICY, seed=_seed(stage, context))


def _shared_reward(start: Policy, planned: Planned, context: Context) -> Reward:
    directory = context.directory(planned.inputs["reward"])
    reward = reward_from_policy(start, seed=0, share=True)
    load_adapter(reward.model, directory / ADAPTER, name=REWARD)
    return Reward(model=reward.model, tokenizer=reward.tokenizer, offset=load_offset(directory / CHECKPOINT))


def save_trained_policy(work: Work, policy: Policy, planned: Planned, context: Context) -> None:
    """Leaves ``checkpoint/``, plain and in the recipe's precision, and the adapter, if it has one, in ``adapter/``."""
    save_policy(work.path / CHECKPOINT, Policy(model=_finished(policy, context), tokenizer=policy.tokenizer))
    if has_adapter(policy.model):
        base = _base(planned, context)
        save_adapter(work.path / ADAPTER, policy.model, name=POLICY, task=CAUSAL, base=base)


def save_trained_reward(work: Work, reward: Reward, planned: Planned, context: Context) -> None:
    """Leaves ``checkpoint/`` (with the offset) and the adapter, if there is one, with its head in ``adapter/``."""
    plain = Reward(model=_finished(reward, context), tokenizer=reward.tokenizer, offset=reward.offset)
    save_reward(work.path / CHECKPOINT, plain)
    if has_adapter(reward.model):
        base = _base(planned, context)
        save_adapter(work.path / ADAPTER, reward.model, name=REWARD, task=CLASSIFIER, base=base)


def _finished(trained: Policy | Reward, context: Context) -> PreTrainedModel:
    """A plain model in the recipe's precision, on the CPU: a second copy might not fit where the first one trains."""
    plain = in_dtype(merged(twin(trained.model, lambda tensor: tensor.cpu())), context.dtype)
    as_given(plain)
    return plain


def _held_in(stage: TrainingConfig, context: Context) -> torch.dtype:
    """Weights that train are float32 masters; under an adapter they are frozen and held as the recipe says."""
    return torch.float32 if stage.lora is None else context.dtype


def _seed(stage: SFTStage | RewardStage | PPOStage, context: Context) -> int:
    seed = member_seed(stage, context) if isinstance(stage, RewardStage) else context.seed
    return step_seed(seed, stage.type, "lora")


def _settle(stage: TrainingConfig, context: Context, *models: torch.nn.Module) -> None:
    compute_in(context.dtype, *models)
    if stage.gradient_checkpointing:
        for model in models:
            checkpoint_activations(model)


def _base(planned: Planned, context: Context) -> str:
    """What an adapter names as its base: a path within the run directory, so that a run can be moved."""
    source = planned.inputs["policy"]
    path = context.checkpoint(source)
    return path if isinstance(path, str) else path.relative_to(context.store.run_dir).as_posix()
