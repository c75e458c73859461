"""PPO's clipped losses: token sums over one global denominator, so that micro-batch size never changes the gradient."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class PolicyLoss:
    """``loss`` carries the gradient. The shares are sums over the same denominator, so micro-batches' add up."""

    loss: Tensor
    clip_frac: Tensor  # share of tokens whose clipped term is the larger one: their gradient is 0
    approx_kl: Tensor  # mean of half the squared log ratio: KL(old || new), second order
    max_log_ratio: Tensor  # max |log ratio|: 0 before any update, if the sampler and the policy agree


@dataclass(frozen=True, kw_only=True)
class ValueLoss:
    """``loss`` carries the gradient; ``clip_frac``: the share of tokens whose clipped term is the larger one."""

    loss: Tensor
    clip_frac: Tensor


def policy_loss(
    logp: Tensor, old_logp: Tensor, advantages: Tensor, mask: Tensor, *, clip: float, denominator: float
) -> PolicyLoss:
    """``sum max(-A rho, -A clip(rho, 1 - clip, 1 + clip)) / denominator`` with ``rho = exp(logp - old_logp)``.

    All tensors have one shape; ``mask`` is true on the reply's tokens. Source: Schulman 2017 (PPO), equation 7.
    """
    log_ratio = torch.where(mask, logp - old_logp, 0.0)
    ratio = log_ratio.exp()
    unclipped = -advantages * ratio
    clipped = -advantages * ratio.clamp(1.0 - clip, 1.0 + clip)
    detached = log_ratio.detach()
    return PolicyLoss(
        loss=torch.where(mask, torch.maximum(unclipped, clipped), 0.0).sum() / denominator,
        clip_frac=(mask & (clipped > unclipped)).sum() / denominator,
        approx_kl=0.5 * detached.square().sum() / denominator,
        max_log_ratio=detached.abs().max(),
    )


def value_loss(
    values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor, *, clip: float, denominator: float
) -> ValueLoss:
    """``sum 0.5 max((V - R)^2, (V_old + clip(V - V_old, -clip, clip) - R)^2) / denominator``.

    All tensors have one shape. Source: the value clipping of lm-human-preferences and of the N+ details.
    """
    near = old_values + (values - old_values).clamp(-clip, clip)
    unclipped, clipped = (values - returns).square(), (near - returns).square()
    return ValueLoss(
        loss=0.5 * torch.where(mask, torch.maximum(unclipped, clipped), 0.0).sum() / denominator,
        clip_frac=(mask & (clipped > unclipped)).sum() / denominator,
    )
