"""Credit assignment: generalised advantage estimation and whitening, on masked (rows, tokens) tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Advantages:
    """Per token, 0 where masked: ``advantages`` (N, T) and ``returns`` (N, T), the value function's targets."""

    advantages: Tensor
    returns: Tensor


def gae(rewards: Tensor, values: Tensor, mask: Tensor, *, gamma: float, lam: float) -> Advantages:
    """Generalised advantage estimation (Schulman 2016, equations 11-16) over each row's unmasked tokens.

    ``rewards`` (N, T): what token t earned. ``values`` (N, T): the value of the state *before* token t. ``mask``
    (N, T): true on the tokens of the reply, one unbroken run per row.

        delta_t = r_t + gamma V_{t+1} - V_t,   A_t = delta_t + gamma lam A_{t+1},   return_t = A_t + V_t

    **The step past the end of sequence.** Here the score is earned *by* the last token, so the state after it is
    terminal: its value is 0 by definition, and nothing there is learned. The N+ implementation gives the score one
    step later, at the state past the end of sequence, and therefore lets its value mask reach that step: the value
    there has to learn the score, and until it has, its error leaks into the last token's advantage (the more, the
    smaller lam). With that value equal to the score both layouts give the same advantages (a test holds this); ours
    has no such error to start with, and treats replies cut at the length limit, which have no step past the end, like
    the others. What the wider mask protects against, losing the value of the state in which the end of sequence is
    chosen, cannot happen here: that state is the one before the last unmasked token, and is inside the mask.
    """
    keep = mask.to(values.dtype)
    advantages = torch.zeros_like(values)
    running = torch.zeros_like(values[:, 0])
    next_value = torch.zeros_like(values[:, 0])
    for t in reversed(range(values.shape[1])):
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        running = keep[:, t] * (delta + gamma * lam * running)
        advantages[:, t] = running
        next_value = keep[:, t] * values[:, t]
    return Advantages(advantages=advantages, returns=advantages + values * keep)


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Mean of the unmasked entries (a scalar). NaN where the mask is empty."""
    keep = mask.to(values.dtype)
    return (values * keep).sum() / keep.sum()


def masked_std(values: Tensor, mask: Tensor) -> Tensor:
    """Population standard deviation of the unmasked entries (a scalar)."""
    return masked_mean((values - masked_mean(values, mask)) ** 2, mask).sqrt()


def whiten(values: Tensor, mask: Tensor, *, shift_mean: bool = True) -> Tensor:
    """Returns the unmasked entries of (N, T) values scaled to unit variance; masked ones become 0.

    The mean becomes 0, or stays what it was with ``shift_mean=False`` (for rewards, whose sign means something). The
    statistics are those of the whole tensor: pass the whole batch, never a micro-batch. Source: ``whiten`` of
    lm-human-preferences; N+ details, "reward whitening" and "advantage whitening".
    """
    mean = masked_mean(values, mask)
    scaled = (values - mean) * torch.rsqrt(masked_mean((values - mean) ** 2, mask) + 1e-8)
    if not shift_mean:
        scaled = scaled + mean
    return scaled * mask.to(values.dtype)


def explained_variance(values: Tensor, returns: Tensor, mask: Tensor) -> float:
    """``1 - Var(returns - values) / Var(returns)`` of unmasked (N, T) entries; 0 where returns do not vary."""
    spread = masked_std(returns, mask).item() ** 2
    return 0.0 if spread < 1e-12 else 1.0 - masked_std(returns - values, mask).item() ** 2 / spread
