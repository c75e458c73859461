"""Token sequences to padded tensors and micro-batches. Masks come from lengths, never from token ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

Side = Literal["left", "right"]

TOKEN_BUDGET = 2048
"""Padded tokens per micro-batch where no size is asked for: bounds memory, and keeps activations near the cache."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """Padded rows. ``B`` rows of ``T`` places.

    ``input_ids`` (B, T) long; ``attention_mask`` (B, T) long, 1 on real tokens; ``position_ids`` (B, T) long, counted
    from the first real token; ``reply_mask`` (B, T) bool, True on the tokens of the reply (its EOS included), which are
    what losses and log-probabilities are about.
    """

    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    reply_mask: Tensor

    def to(self, device: torch.device | str) -> Batch:
        """Returns the same batch on a device."""
        moved = {name: getattr(self, name).to(device) for name in self.__slots__}
        return Batch(**moved)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One tokenised conversation: ``tokens`` = prompt + reply, of which the first ``prompt_length`` are the prompt."""

    tokens: tuple[int, ...]
    prompt_length: int

    @property
    def reply_length(self) -> int:
        return len(self.tokens) - self.prompt_length


@dataclass(kw_only=True)
class Truncation:
    """What did not fit: ``cut`` prompts lost tokens on their left, ``dropped`` examples were left out, of ``total``."""

    total: int = 0
    cut: int = 0
    dropped: int = 0
    dropped_ids: list[str] = field(default_factory=list)


def fit_prompt(prompt: Sequence[int], reply_length: int, max_length: int) -> tuple[int, ...] | None:
    """Cuts ``prompt`` from the left to fit ``max_length`` with a reply of ``reply_length`` tokens.

    The end of a conversation matters most, and a reply is never cut: cutting its end would hide the EOS. Returns None
    where not even one token of prompt fits beside the reply.
    """
    room = max_length - reply_length
    if room < 1 or not prompt:
        return None
    return tuple(prompt[max(0, len(prompt) - room) :])


def position_ids(attention_mask: Tensor) -> Tensor:
    """Returns positions (B, T) counted from each row's first real token; places of padding get 0."""
    mask = attention_mask.long()
    return (mask.cumsum(-1) - 1).clamp_min(0) * mask


def last_token_index(attention_mask: Tensor) -> Tensor:
    """Returns the index (B,) of each row's last real token, from the mask (B, T) alone, whatever the padding side."""
    places = torch.arange(attention_mask.shape[1], device=attention_mask.device)
    return (attention_mask.long() * places).argmax(-1)


def pad(sequences: Sequence[Sequence[int]], pad_id: int, side: Side = "right") -> tuple[Tensor, Tensor]:
    """Returns ``input_ids`` and ``attention_mask``, (B, longest), both long."""
    lengths = torch.tensor([len(s) for s in sequences])
    longest = int(lengths.max())
    places = torch.arange(longest).expand(len(sequences), longest)
    real = places < lengths.unsqueeze(1) if side == "right" else places >= longest - lengths.unsqueeze(1)
    flat = torch.tensor([token for sequence in sequences for token in sequence], dtype=torch.long)
    ids = torch.full(real.shape, pad_id, dtype=torch.long).masked_scatter(real, flat)
    return ids, real.long()


def make_batch(rows: Sequence[Row], pad_id: int, side: Side = "right") -> Batch:
    """Returns ``rows`` padded into one batch, just long enough for the longest."""
    ids, mask = pad([row.tokens for row in rows], pad_id, side)
    positions = position_ids(mask)
    prompt_lengths = torch.tensor([row.prompt_length for row in rows]).unsqueeze(1)
    reply_mask = mask.bool() & (positions >= prompt_lengths)
    return Batch(input_ids=ids, attention_mask=mask, position_ids=positions, reply_mask=reply_mask)


def micro_batches(
    lengths: Sequence[int], size: int | None = None, *, token_budget: int = TOKEN_BUDGET
) -> list[list[int]]:
    """Returns rows ``0..n-1`` as lists of at most ``size`` rows of similar length, shortest first.

    Without ``size``, each list is the largest whose padded tokens (rows x longest) stay within ``token_budget`` (one
    row at the least). Sorting by length trims padding. Rows of equal length keep their order. Raises ValueError for a
    size below 1.
    """
    if size is not None and size < 1:
        raise ValueError(f"a micro-batch has at least 1 row, not {size}")
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    parts: list[list[int]] = []
    for i in order:
        if parts and (len(parts[-1]) < size if size else (len(parts[-1]) + 1) * lengths[i] <= token_budget):
            parts[-1].append(i)
        else:
            parts.append([i])
    return parts
