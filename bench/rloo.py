"""A single RLOO update made of Candor's public pieces, of the same size as TRL's: for comparison, not for use.

    A_i = R_i - mean of the others' R in its group, R = score - beta * sum(logp - ref_logp)
    loss = -mean_i min(rho_i A_i, clip(rho_i, 1 - eps, 1 + eps) A_i), rho_i = exp(log p(reply_i) - log p_old(reply_i))

A group is the replies to one prompt; with one reply per prompt, the whole batch. Source: Ahmadian 2024,
arXiv 2402.14740; TRL's clipping by sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from candor.models.scorer import TokenScorer
from candor.ops.logprobs import reply_logprobs, scatter
from candor.ops.packing import Layout, Part
from candor.ops.randomness import batch_indices, step_seed
from candor.ops.rollouts import Replies, collate
from candor.protocols import Sampler
from candor.records import Prompt
from candor.training.layout import token_budget
from candor.training.state import apply_update

CLIP = 0.2


def rloo(
    policy: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    prompts: Sequence[Prompt],
    encode: Callable[[Prompt], Sequence[int]],
    reference: nn.Module,
    sampler: Sampler,
    scorer: TokenScorer,
    batch_size: int,
    samples: int,
    beta: float,
    lr: float,
    seed: int,
    pad_id: int,
) -> Iterator[int]:
    """Updates ``policy`` without end; yields the number of tokens sampled for each update.

    ``policy``, ``reference`` and ``scorer`` must allow rows that several replies share (:mod:`candor.ops.packing`).
    """
    device = next(policy.parameters()).device
    layout = Layout(share=True, pad_id=pad_id, device=device, token_budget=token_budget(device))
    step = 0
    while True:
        drawn = batch_indices(len(prompts), batch_size // samples, step, seed, "ppo", "prompts")
        asked = [prompts[i] for i in drawn]
        sampled = sampler.sample(asked, n=samples, seed=step_seed(seed, "rloo", step))
        replies = collate([tokens for prompt in asked for tokens in [encode(prompt)] * samples], sampled).to(device)
        parts = layout.row_parts(replies.rows)
        old = replies.logp.sum(1)
        ref_logp, scores = torch.zeros_like(old), torch.zeros_like(old)
        with torch.inference_mode():
            for part in parts:
                ref_logp[part.items] = _sequence_logp(reference, replies, part)
                scores[part.items] = scorer.score_batch(part.batch)
        advantages = leave_one_out(scores - beta * (old - ref_logp), samples if samples > 1 else batch_size)
        for part in parts:
            ratio = (_sequence_logp(policy, replies, part) - old[part.items]).exp()
            clipped = ratio.clamp(1 - CLIP, 1 + CLIP)
            gain = torch.minimum(ratio * advantages[part.items], clipped * advantages[part.items])
            (-gain.sum() / batch_size).backward()
        apply_update(optimizer, lr=lr, max_grad_norm=1.0)
        step += 1
        yield sum(len(reply.token_ids) for reply in sampled)


def leave_one_out(rewards: Tensor, group: int) -> Tensor:
    """Each reward (N,) less the mean of the others in its group of ``group`` neighbours."""
    grouped = rewards.view(-1, group)
    others = (grouped.sum(1, keepdim=True) - grouped) / (group - 1)
    return (grouped - others).flatten()


def _sequence_logp(model: nn.Module, replies: Replies, part: Part) -> Tensor:
    """The log-probability (n,) of each whole reply of a part."""
    return scatter(reply_logprobs(model, part.batch).logprobs, replies.mask[part.items]).sum(1)
