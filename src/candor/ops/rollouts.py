"""What one round of sampling leaves behind, as tensors, and the per-token reward that PPO learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from candor.errors import InputError
from candor.ops.batches import Row
from candor.ops.kl import k1
from candor.ops.logprobs import scatter
from candor.records import Completion


@dataclass(frozen=True, kw_only=True)
class Replies:
    """N sampled replies of up to L tokens. ``rows``: each behind its prompt, as token ids.

    ``mask`` (N, L) bool, True where a reply has a token; ``logp`` (N, L), nats: the sampler's log-probability of each
    token, 0 elsewhere. ``complete`` (N,) bool: the reply ended by itself.
    """

    rows: tuple[Row, ...]
    mask: Tensor
    logp: Tensor
    complete: Tensor

    def to(self, device: torch.device | str) -> Replies:
        return Replies(
            rows=self.rows,
            mask=self.mask.to(device),
            logp=self.logp.to(device),
            complete=self.complete.to(device),
        )


@dataclass(frozen=True, kw_only=True)
class Rollouts:
    """N scored replies of up to L tokens. Entry t of every (N, L) tensor is about token t of the reply.

    ``logp`` and ``ref_logp`` (N, L), nats: of token t given those before it, under the policy it was drawn from and
    under the reference, at the sampling temperature. ``values`` (N, L): the value of the state *before* token t.
    All three are 0 beyond the reply's end. ``rewards`` (N,): the scorer's number for each reply.
    """

    replies: Replies
    ref_logp: Tensor
    values: Tensor
    rewards: Tensor

    @property
    def mask(self) -> Tensor:
        return self.replies.mask

    @property
    def logp(self) -> Tensor:
        return self.replies.logp


def collate(prompt_tokens: Sequence[Sequence[int]], completions: Sequence[Completion]) -> Replies:
    """Returns ``completions[i]`` behind ``prompt_tokens[i]``.

    Raises InputError where a completion has no tokens, or not one log-probability for each.
    """
    for completion in completions:
        if not completion.token_ids or len(completion.token_ids) != len(completion.logprobs):
            raise InputError(
                f"{len(completion.token_ids)} tokens with {len(completion.logprobs)} log-probabilities",
                where=f"completion {completion.id}",
                fix="PPO needs a sampler that returns the log-probability of every token it drew",
            )
    lengths = torch.tensor([len(completion.token_ids) for completion in completions])
    mask = torch.arange(int(lengths.max())) < lengths.unsqueeze(1)
    flat = torch.tensor([logprob for completion in completions for logprob in completion.logprobs])
    return Replies(
        rows=tuple(
            Row(tokens=(*prompt, *completion.token_ids), prompt_length=len(prompt))
            for prompt, completion in zip(prompt_tokens, completions, strict=True)
        ),
        mask=mask,
        logp=scatter(flat, mask),
        complete=torch.tensor([completion.stop_reason == "eos" for completion in completions]),
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
    """``-kl_coef (logp - ref_logp)`` on every reply token, plus the score once, on the last. (N, L), 0 elsewhere.

    Source: Ziegler 2019, equation 2; Stiennon 2020, section 3.4.
    """
    mask = rollouts.mask
    is_last = mask & (mask.flip(1).cumsum(1).flip(1) == 1)
    penalty = kl_coef * k1(rollouts.logp, rollouts.ref_logp)
    return torch.where(mask, -penalty, 0.0) + torch.where(is_last, scores.unsqueeze(1), 0.0)
