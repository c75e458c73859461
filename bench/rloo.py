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

from candor.ops.batches import micro_batches
from candor.ops.logprobs import token_logprobs
from candor.ops.randomness import batch_indices, step_seed
from candor.ops.rollouts import Replies, collate, trim
from candor.protocols import Sampler, Scorer
from candor.records import Prompt
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
    scorer: Scorer,
    batch_size: int,
    samples: int,
    beta: float,
    lr: float,
    seed: int,
    pad_id: int,
) -> Iterator[int]:
    """Updates ``policy`` without end; yields the number of tokens sampled for each update."""
    device = next(policy.parameters()).device
    step = 0
    while True:
        drawn = batch_indices(len(prompts), batch_size // samples, step, seed, "ppo", "prompts")
        asked = [prompts[i] for i in drawn]
        sampled = sampler.sample(asked, n=samples, seed=step_seed(seed, "rloo", step))
        each = [prompt for prompt in asked for _ in range(samples)]
        scores = torch.tensor(scorer.score(each, sampled), device=device)
        tokens = {prompt.id: tuple(encode(prompt)) for prompt in asked}
        group = [i for i in range(len(asked)) for _ in range(samples)]
        replies = collate([tokens[prompt.id] for prompt in each], sampled, group=group, pad_id=pad_id).to(device)
        old, ref_logp = replies.logp.sum(1), torch.zeros(len(each), device=device)
        with torch.inference_mode():
            for rows, logp in _sequence_logp(reference, replies):
                ref_logp[rows] = logp
        advantages = leave_one_out(scores - beta * (old - ref_logp), samples if samples > 1 else batch_size)
        for rows, logp in _sequence_logp(policy, replies):
            ratio = (logp - old[rows]).exp()
            clipped = ratio.clamp(1 - CLIP, 1 + CLIP)
            loss = -torch.minimum(ratio * advantages[rows], clipped * advantages[rows]).sum() / batch_size
            loss.backward()
        apply_update(optimizer, lr=lr, max_grad_norm=1.0)
        step += 1
        yield sum(len(reply.token_ids) for reply in sampled)


def leave_one_out(rewards: Tensor, group: int) -> Tensor:
    """Each reward (N,) less the mean of the others in its group of ``group`` neighbours."""
    grouped = rewards.view(-1, group)
    others = (grouped.sum(1, keepdim=True) - grouped) / (group - 1)
    return (grouped - others).flatten()


def _sequence_logp(model: nn.Module, replies: Replies) -> Iterator[tuple[Tensor, Tensor]]:
    """The rows of each micro-batch and the log-probability (n,) of their replies."""
    for part in micro_batches(replies.batch.attention_mask.sum(1).tolist()):
        rows = torch.tensor(part, device=replies.logp.device)
        batch, _ = trim(replies.batch, rows)
        yield rows, token_logprobs(model, batch).logprobs.sum(1)
