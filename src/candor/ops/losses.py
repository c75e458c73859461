"""Losses of supervised fine-tuning and of reward models: a SUM over tokens or pairs, over one global denominator.

The denominator is that of the whole batch, passed in by the loop: gradients accumulated over micro-batches then equal
those of one big batch, whatever the micro-batch size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def sft_loss(logprobs: Tensor, *, denominator: float) -> Tensor:
    """Negative log-likelihood of the replies: -sum_t log p(y_t | x, y_<t) / denominator.

    ``logprobs``: of the reply tokens, of any shape, 0 at places that are none; ``denominator``: the reply tokens of the
    whole batch. Returns a scalar. Source: InstructGPT 2022, section 3.5.
    """
    return -logprobs.sum() / denominator


def bradley_terry(
    chosen: Tensor,
    rejected: Tensor,
    *,
    denominator: float,
    margin: Tensor | float = 0.0,
    weight: Tensor | float = 1.0,
) -> Tensor:
    """Bradley-Terry loss: sum_i -w_i log sigmoid(r_chosen - r_rejected - margin) / denominator.

    ``chosen``, ``rejected``, ``margin``, ``weight`` (P,), one entry per pair. For a ranking of K replies all C(K, 2)
    pairs stand in one batch, each with weight 1/C(K, 2), and ``denominator`` counts rankings. Returns a scalar.
    Source: InstructGPT 2022, equation 1; the margin: Llama 2 (2023), equation 2.
    ``logsigmoid`` stays finite where log(sigmoid(.)) is -inf.
    """
    return -(F.logsigmoid(chosen - rejected - margin) * weight).sum() / denominator


def plackett_luce(scores: Tensor, ranks: Tensor, *, denominator: float, weight: Tensor | float = 1.0) -> Tensor:
    """Plackett-Luce loss: sum over rankings and places of log sum_{j in C_i} exp(s_j) - s_i, over ``denominator``.

    C_i holds i and all replies ranked strictly below it. ``scores`` (R, K); ``ranks`` (R, K) long, 0 is best, equal
    ranks are a tie (which says nothing about its members' order), -1 marks a place without a reply; ``weight`` (R,) or
    one for all. With K = 2 this is Bradley-Terry; with one reply at rank 0 and all others at rank 1 it is the best-of-K
    softmax of Ziegler 2019.
    """
    present = ranks >= 0
    below = (ranks.unsqueeze(1) > ranks.unsqueeze(2)) | torch.eye(ranks.shape[1], dtype=torch.bool, device=ranks.device)
    considered = below & present.unsqueeze(1)
    spread = scores.unsqueeze(1).expand(considered.shape).masked_fill(~considered, -torch.inf)
    # A place without a reply considers nothing: its row is replaced before the logsumexp, whose gradient would be NaN.
    spread = torch.where(present.unsqueeze(2), spread, torch.zeros_like(spread))
    losses = (spread.logsumexp(-1) - scores).masked_fill(~present, 0.0)
    return (losses.sum(-1) * weight).sum() / denominator
