"""The first half of a PPO update: which prompts, what was sampled, what it scored, and what each token earned."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from candor.errors import InputError
from candor.ops.advantages import explained_variance, gae, masked_mean, masked_std, whiten
from candor.ops.batches import Batch, micro_batches
from candor.ops.kl import k1, k3
from candor.ops.logprobs import forward_inputs, token_logprobs
from candor.ops.randomness import batch_indices
from candor.ops.rollouts import Replies, Rollouts, final_scores, token_rewards, trim
from candor.protocols import Scorer
from candor.recipe import PPOStage
from candor.records import Completion, Prompt

Encode = Callable[[Prompt], Sequence[int]]


@dataclass(frozen=True, kw_only=True)
class Question:
    """A prompt and its tokens."""

    prompt: Prompt
    tokens: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Credit:
    """What the update learns from, all (N, T): ``advantages``, ``returns``; ``rewards`` are per token, KL included."""

    rewards: Tensor
    advantages: Tensor
    returns: Tensor
    raw_advantages: Tensor  # before whitening


def questions_that_fit(prompts: Sequence[Prompt], encode: Encode, config: PPOStage) -> list[Question]:
    """The prompts that leave room for ``max_new_tokens`` within ``max_length``.

    Prompts are not cut here: the sampler would have to see the same cut. ``ppo`` counts those left out in the metric
    ``prompts_dropped``. Raises InputError where none fits.
    """
    room = config.max_length - config.max_new_tokens
    every = [Question(prompt=prompt, tokens=tuple(encode(prompt))) for prompt in prompts]
    kept = [question for question in every if 0 < len(question.tokens) <= room]
    fix = "raise max_length or lower max_new_tokens"
    if not kept:
        raise InputError(f"none of {len(every)} prompts has between 1 and {room} tokens", where="ppo prompts", fix=fix)
    return kept


def questions_of_update(kept: Sequence[Question], config: PPOStage, step: int, seed: int) -> list[Question]:
    """The prompts of update ``step`` (0-based), each once per completion asked for: depends on its arguments alone."""
    distinct = batch_indices(len(kept), config.batch_size // config.responses, step, seed, "ppo", "prompts")
    return [kept[i] for i in distinct]


def score(scorer: Scorer, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> Tensor:
    """The scorer's numbers (N,). Raises InputError where one is not finite."""
    rewards = torch.tensor(scorer.score(prompts, completions), dtype=torch.float32)
    bad = (~rewards.isfinite()).nonzero().flatten().tolist()
    if bad:
        raise InputError(
            f"the scorer gave {rewards[bad[0]].item()} to {len(bad)} of {len(rewards)} replies",
            where=f"prompt {prompts[bad[0]].id}, reply {completions[bad[0]].text!r}",
            fix="check the reward model",
        )
    return rewards


def evaluate(
    replies: Replies, rewards: Tensor, *, value: nn.Module, reference: nn.Module, config: PPOStage
) -> Rollouts:
    """Returns the replies with what else the update needs: the reference's log-probabilities and the values.

    One forward pass of each over length-sorted micro-batches, without gradients. The policy's own log-probabilities are
    the sampler's.
    """
    ref_logp, values = torch.zeros_like(replies.logp), torch.zeros_like(replies.logp)
    lengths = replies.batch.attention_mask.sum(1).tolist()
    for part in micro_batches(lengths, config.micro_batch_size):
        rows = torch.tensor(part, device=replies.logp.device)
        batch, columns = trim(replies.batch, rows)
        with torch.inference_mode():
            part_logp = token_logprobs(reference, batch, config.temperature).logprobs
            part_values = token_values(value, batch)
        # Copied into ordinary tensors: those made under inference_mode cannot enter the value loss's graph.
        ref_logp[rows, columns] = part_logp
        values[rows, columns] = part_values
    return Rollouts(replies=replies, ref_logp=ref_logp, values=values, rewards=rewards.to(values.device))


def token_values(value: nn.Module, batch: Batch) -> Tensor:
    """The value (B, T) of the state before each reply token; 0 elsewhere.

    The module's output at place t has seen token t, so the state before t is its output one place earlier.
    """
    after: Tensor = value(**forward_inputs(value, batch))
    before = torch.cat([torch.zeros_like(after[:, :1]), after[:, :-1]], dim=1)
    return torch.where(batch.reply_mask, before, 0.0)


def assign_credit(rollouts: Rollouts, config: PPOStage, kl_coef: float) -> Credit:
    """Score and KL to per-token rewards, advantages and returns, whitened over the whole batch as configured."""
    scores = final_scores(
        rollouts.rewards,
        rollouts.replies.complete,
        missing_eos=config.missing_eos,
        missing_eos_score=config.missing_eos_score,
    )
    rewards = token_rewards(rollouts, scores, kl_coef=kl_coef)
    if config.whiten_rewards:
        rewards = whiten(rewards, rollouts.mask, shift_mean=False)
    credit = gae(rewards, rollouts.values, rollouts.mask, gamma=config.gamma, lam=config.lam)
    advantages = whiten(credit.advantages, rollouts.mask) if config.whiten_advantages else credit.advantages
    return Credit(rewards=rewards, advantages=advantages, returns=credit.returns, raw_advantages=credit.advantages)


def rollout_metrics(rollouts: Rollouts, credit: Credit) -> dict[str, float]:
    """What the replies themselves tell: means over replies, except ``ref_perplexity`` and the last two (over tokens).

    ``kl_se`` is the standard error of ``kl``.
    """
    mask = rollouts.mask
    per_reply = k1(rollouts.logp, rollouts.ref_logp).sum(1)
    return {
        "reward": rollouts.rewards.mean().item(),
        "return": credit.rewards.sum(1).mean().item(),
        "kl": per_reply.mean().item(),
        "kl_se": per_reply.std().item() / math.sqrt(len(per_reply)) if len(per_reply) > 1 else math.inf,
        "kl_k3": k3(rollouts.logp, rollouts.ref_logp).sum(1).mean().item(),
        "length": mask.sum(1).float().mean().item(),
        "eos_rate": rollouts.replies.complete.float().mean().item(),
        "ref_perplexity": (-masked_mean(rollouts.ref_logp, mask)).exp().item(),
        "explained_variance": explained_variance(rollouts.values, credit.returns, mask),
        "adv_std": masked_std(credit.raw_advantages, mask).item(),
    }
