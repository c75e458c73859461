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
    """Lays each tree out as prompt, reply, reply, ... and pads on the right.

    A place sees itself, and the places before it that are of its own reply or of the prompt; so a reply's hidden states
    are those of prompt + reply alone. Padding sees only itself, as a row of attention may not be empty.
    """
    longest = max(tree.length for tree in trees)
    ids = torch.full((len(trees), longest), pad_id, dtype=torch.long)
    positions = torch.zeros((len(trees), longest), dtype=torch.long)
    segments = torch.full((len(trees), longest), -1, dtype=torch.long)
    last: list[int] = []
    for row, tree in enumerate(trees):
        place, start = 0, len(tree.prompt)
        for segment, tokens in enumerate((tree.prompt, *tree.replies)):
            span = slice(place, place + len(tokens))
            ids[row, span] = torch.tensor(tokens, dtype=torch.long)
            first = start if segment else 0
            positions[row, span] = torch.arange(first, first + len(tokens))
            segments[row, span] = segment
            place += len(tokens)
            if segment:
                last.append(row * longest + place - 1)
    looks, seen = segments.unsqueeze(2), segments.unsqueeze(1)
    causal = torch.ones((longest, longest), dtype=torch.bool).tril()
    allowed = causal & ((seen == looks) | (seen == 0)) & (looks >= 0)
    allowed |= torch.eye(longest, dtype=torch.bool)
    return TreeBatch(
        input_ids=ids, attention_mask=allowed.unsqueeze(1), position_ids=positions, last=torch.tensor(last)
    )
