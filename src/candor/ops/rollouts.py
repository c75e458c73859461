"""What one round of sampling leaves behind, as tensors, and the per-token reward that PPO learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from candor.errors import InputError
from candor.ops.batches import Batch, Row, make_batch
from candor.ops.kl import k1
from candor.records import Completion


@dataclass(frozen=True, kw_only=True)
class Replies:
    """Sampled replies behind their prompts. ``logp`` (N, T): the sampler's log-probability (nats) of each reply token.

    ``complete`` (N,) bool: the reply ended by itself. ``group`` (N,) long: replies with one number share a prompt.
    """

    batch: Batch
    logp: Tensor
    complete: Tensor
    group: Tensor

    def to(self, device: torch.device | str) -> Replies:
        return Replies(
            batch=self.batch.to(device),
            logp=self.logp.to(device),
            complete=self.complete.to(device),
            group=self.group.to(device),
        )


@dataclass(frozen=True, kw_only=True)
class Rollouts:
    """N scored replies of up to T places (prompt, reply, padding). Entry t of every (N, T) tensor is about token t.

    ``logp`` and ``ref_logp`` (N, T), nats: of token t given those before it, under the policy it was drawn from and
    under the reference, at the sampling temperature. ``values`` (N, T): the value of the state *before* token t.
    All three are 0 outside the reply. ``rewards`` (N,): the scorer's number for each reply.
    """

    replies: Replies
    ref_logp: Tensor
    values: Tensor
    rewards: Tensor

    @property
    def mask(self) -> Tensor:
        return self.replies.batch.reply_mask

    @property
    def logp(self) -> Tensor:
        return self.replies.logp


def collate(
    prompt_tokens: Sequence[Sequence[int]], completions: Sequence[Completion], *, group: Sequence[int], pad_id: int
) -> Replies:
    """Returns ``completions[i]`` laid out behind ``prompt_tokens[i]``; ``group[i]`` is its prompt's number.

    Raises InputError where a completion has no tokens, or not one log-probability for each.
    """
    for completion in completions:
        if not completion.token_ids or len(completion.token_ids) != len(completion.logprobs):
            raise InputError(
                f"{len(completion.token_ids)} tokens with {len(completion.logprobs)} log-probabilities",
                where=f"completion {completion.id}",
                fix="PPO needs a sampler that returns the log-probability of every token it drew",
            )
    rows = [
        Row(tokens=(*prompt, *completion.token_ids), prompt_length=len(prompt))
        for prompt, completion in zip(prompt_tokens, completions, strict=True)
    ]
    batch = make_batch(rows, pad_id)
    flat = torch.tensor([logprob for completion in completions for logprob in completion.logprobs])
    return Replies(
        batch=batch,
        logp=torch.zeros(batch.reply_mask.shape).masked_scatter(batch.reply_mask, flat),
        complete=torch.tensor([completion.stop_reason == "eos" for completion in completions]),
        group=torch.tensor(group),
    )


def trim(batch: Batch, rows: Tensor) -> tuple[Batch, slice]:
    """The given rows without the columns that are padding in all of them, and which columns were kept.

    ``rows`` (n,) long. Works whichever side the padding is on.
    """
    used = batch.attention_mask[rows].any(0).nonzero()
    columns = slice(int(used[0]), int(used[-1]) + 1)
    return (
        Batch(
            input_ids=batch.input_ids[rows, columns],
            attention_mask=batch.attention_mask[rows, columns],
            position_ids=batch.position_ids[rows, columns],
            reply_mask=batch.reply_mask[rows, columns],
        ),
        columns,
    )


def final_scores(
    rewards: Tensor, complete: Tensor, *, missing_eos: Literal["replace", "subtract"], missing_eos_score: float
) -> Tensor:
    """The scores (N,) that count, where a reply without its end of sequence is worth less.

    ``replace``: it gets ``missing_eos_score`` instead of its own (N+ details, after Stiennon 2020). ``subtract``: the
    size of ``missing_eos_score``, whatever its sign, is taken off its own (TRL).
    """
    if missing_eos == "replace":
        return torch.where(complete, rewards, torch.full_like(rewards, missing_eos_score))
    return torch.where(complete, rewards, rewards - abs(missing_eos_score))


def token_rewards(rollouts: Rollouts, scores: Tensor, *, kl_coef: float) -> Tensor:
    """``-kl_coef (logp - ref_logp)`` on every reply token, plus the score once, on the last. (N, T), 0 elsewhere.

    Source: Ziegler 2019, equation 2; Stiennon 2020, section 3.4.
    """
    mask = rollouts.mask
    is_last = mask & (mask.flip(1).cumsum(1).flip(1) == 1)
    penalty = kl_coef * k1(rollouts.logp, rollouts.ref_logp)
    return torch.where(mask, -penalty, 0.0) + torch.where(is_last, scores.unsqueeze(1), 0.0)
