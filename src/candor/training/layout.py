"""How a stage lays out its micro-batches, settled once before its first update."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from candor.models.compute import sharing_tolerance
from candor.ops.batches import TOKEN_BUDGET
from candor.ops.logprobs import reply_logprobs, takes_positions
from candor.ops.packing import Layout, PackedBatch, Tree, allows_sharing
from candor.recipe import TrainingConfig

ACCELERATOR_TOKEN_BUDGET = 8192
"""Tokens per micro-batch on an accelerator, where larger matrices pay; ``TOKEN_BUDGET`` keeps to a CPU's cache."""


def flat_logprobs(policy: nn.Module, batch: PackedBatch) -> Tensor:
    """Returns the log-probability (M,) of every reply token, nats, at temperature 1."""
    return reply_logprobs(policy, batch).logprobs


def layout_for(
    outputs: Sequence[Callable[[PackedBatch], Tensor]],
    longest: Tree,
    models: Sequence[nn.Module],
    config: TrainingConfig,
    pad_id: int,
) -> Layout:
    """Returns the layout that all ``models`` allow; ``outputs`` are theirs, tried on the longest tree there will be."""
    device = next(models[0].parameters()).device
    share = all(map(takes_positions, models))
    tolerance = max(map(sharing_tolerance, models))
    return Layout(
        share=share and all(allows_sharing(output, longest, pad_id, device, tolerance) for output in outputs),
        pad_id=pad_id,
        device=device,
        size=config.micro_batch_size,
        token_budget=config.micro_batch_tokens or token_budget(device),
    )


def token_budget(device: torch.device) -> int:
    """Tokens per micro-batch where the recipe does not say."""
    return TOKEN_BUDGET if device.type == "cpu" else ACCELERATOR_TOKEN_BUDGET
