"""Several replies behind one copy of their prompt, in one row: each reply attends to the prompt and to itself alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """A prompt and its replies, as token ids."""

    prompt: tuple[int, ...]
    replies: tuple[tuple[int, ...], ...]

    @property
    def length(self) -> int:
        """Tokens in a row that holds the prompt once."""
        return len(self.prompt) + sum(len(reply) for reply in self.replies)


@dataclass(frozen=True, kw_only=True, slots=True)
class TreeBatch:
    """Padded trees: ``B`` rows of ``T`` places with ``N`` replies in all.

    ``input_ids``, ``position_ids`` (B, T) long: a reply's positions go on from the prompt's. ``attention_mask``
    (B, 1, T, T) bool, True where the place of the third index may look at that of the fourth. ``last`` (N,) long: where
    each reply's last token lies in the flattened (B * T) places, row by row.
    """

    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    last: Tensor

    def to(self, device: torch.device | str) -> TreeBatch:
        return TreeBatch(**{name: getattr(self, name).to(device) for name in self.__slots__})


def make_trees(trees: Sequence[Tree], pad_id: int) -> TreeBatch:
    """Returns each tree laid out as prompt, reply, reply, ... and padded on the right.

    A place sees itself, and the places before it that are of its own reply or of the prompt; so a reply's hidden states
    are those of prompt + reply alone. Padding sees only itself, as a row of attention may not be empty.
    """
    longest = max(tree.length for tree in trees)
    ids: list[list[int]] = []
    positions: list[list[int]] = []
    segments: list[list[int]] = []
    last: list[int] = []
    for row, tree in enumerate(trees):
        start = len(tree.prompt)
        row_ids, row_positions, row_segments = list(tree.prompt), list(range(start)), [0] * start
        for segment, reply in enumerate(tree.replies, start=1):
            row_ids.extend(reply)
            row_positions.extend(range(start, start + len(reply)))
            row_segments.extend([segment] * len(reply))
            last.append(row * longest + len(row_ids) - 1)
        short = longest - len(row_ids)
        ids.append(row_ids + [pad_id] * short)
        positions.append(row_positions + [0] * short)
        segments.append(row_segments + [-1] * short)
    segment_ids = torch.tensor(segments)
    looks, seen = segment_ids.unsqueeze(2), segment_ids.unsqueeze(1)
    causal = torch.ones((longest, longest), dtype=torch.bool).tril()
    allowed = causal & ((seen == looks) | (seen == 0)) & (looks >= 0)
    allowed |= torch.eye(longest, dtype=torch.bool)
    return TreeBatch(
        input_ids=torch.tensor(ids),
        attention_mask=allowed.unsqueeze(1),
        position_ids=torch.tensor(positions),
        last=torch.tensor(last),
    )
