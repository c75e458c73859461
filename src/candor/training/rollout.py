"""The first half of a PPO update: which prompts, what was sampled, what it scored, and what each token earned."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import cycle, islice
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from candor.errors import InputError, NotFiniteError
from candor.models.heads import reply_values
from candor.ops.advantages import explained_variance, gae, masked_mean, masked_std, whiten
from candor.ops.bonus import Bonus
from candor.ops.kl import k1, k3
from candor.ops.logprobs import reply_logprobs, scatter
from candor.ops.packing import Layout, PackedBatch, Part, Tree
from candor.ops.randomness import batch_indices
from candor.ops.rollouts import Replies, Rollouts, final_scores, token_rewards
from candor.protocols import Scorer
from candor.recipe import PPOStage
from candor.records import Completion, Prompt
from candor.training.layout import flat_logprobs, layout_for

Encode = Callable[[Prompt], Sequence[int]]


@runtime_checkable
class BatchScorer(Protocol):
    """A scorer that reads the policy's own token batches."""

    def score_batch(self, batch: PackedBatch) -> Tensor:
        """Returns one score (N,) per reply of the batch."""
        ...


@dataclass(frozen=True, kw_only=True)
class Question:
    """A prompt and its tokens."""

    prompt: Prompt
    tokens: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Credit:
    """What the update learns from, all (N, L): ``advantages``, ``returns``; ``rewards`` are per token, KL included."""

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


def layout_of(
    kept: Sequence[Question],
    models: Mapping[str, nn.Module],
    reference: nn.Module,
    scorer: Scorer | BatchScorer,
    config: PPOStage,
    pad_id: int,
) -> Layout:
    """The layout that policy, value, reference and a batch scorer all allow, tried on as long a tree as may come."""
    prompt = max((question.tokens for question in kept), key=len)
    reply = tuple(islice(cycle(prompt), config.max_new_tokens))
    longest = Tree(prompt=prompt, replies=(reply, reply[:1]))
    policy, value = models["policy"], models["value"]
    outputs: list[Callable[[PackedBatch], Tensor]]
    outputs = [partial(flat_logprobs, policy), partial(flat_logprobs, reference), partial(reply_values, value)]
    if isinstance(scorer, BatchScorer):
        outputs.append(scorer.score_batch)
    return layout_for(outputs, longest, [policy, value, reference], config, pad_id)


def parts_of(replies: Replies, rows: Sequence[int], layout: Layout) -> list[Part]:
    """Some of the replies laid out; the parts' ``items`` are places among all replies."""
    parts = layout.row_parts([replies.rows[i] for i in rows])
    return [Part(items=[rows[i] for i in part.items], batch=part.batch) for part in parts]


def evaluate(
    replies: Replies,
    parts: Sequence[Part],
    prompts: Sequence[Prompt],
    completions: Sequence[Completion],
    *,
    value: nn.Module,
    reference: nn.Module,
    scorer: Scorer | BatchScorer,
    config: PPOStage,
) -> Rollouts:
    """Returns the replies with what else the update needs: scores, the reference's log-probabilities, values.

    One pass over ``parts`` (all replies, laid out) for all three models, without gradients; a scorer that reads text is
    asked once for all. The policy's own log-probabilities are the sampler's. Raises NotFiniteError for a score that
    is not finite.
    """
    device = replies.logp.device
    ref_logp, values = torch.zeros_like(replies.logp), torch.zeros_like(replies.logp)
    rewards = torch.zeros(len(replies.rows), device=device)
    for part in parts:
        rows = torch.tensor(part.items, device=device)
        mask = replies.mask[rows]
        with torch.inference_mode():
            part_logp = reply_logprobs(reference, part.batch, config.temperature).logprobs
            part_values = reply_values(value, part.batch)
            if isinstance(scorer, BatchScorer):
                rewards[rows] = scorer.score_batch(part.batch)
        # Copied into ordinary tensors: those made under inference_mode cannot enter the value loss's graph.
        ref_logp[rows] = scatter(part_logp, mask)
        values[rows] = scatter(part_values, mask)
    if not isinstance(scorer, BatchScorer):
        rewards = torch.tensor(scorer.score(prompts, completions), dtype=torch.float32, device=device)
    _check_finite(rewards, prompts, completions)
    return Rollouts(replies=replies, ref_logp=ref_logp, values=values, rewards=rewards)


def with_bonus(rollouts: Rollouts, bonus: Bonus) -> Rollouts:
    """Returns the rollouts with each reply's bonus added to its score."""
    amounts = torch.tensor(bonus.amounts, dtype=torch.float32, device=rollouts.rewards.device)
    return replace(rollouts, rewards=rollouts.rewards + amounts)


def _check_finite(rewards: Tensor, prompts: Sequence[Prompt], completions: Sequence[Completion]) -> None:
    bad = (~rewards.isfinite()).nonzero().flatten().tolist()
    if bad:
        raise NotFiniteError(
            f"the scorer gave {rewards[bad[0]].item()} to {len(bad)} of {len(rewards)} replies",
            where=f"prompt {prompts[bad[0]].id}, reply {completions[bad[0]].text!r}",
            fix="check the reward model",
        )


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
