"""Replies behind their prompts, laid out for one forward pass with as few tokens and as little padding as possible.

A *tree* is a prompt and its replies. Where a model allows it (full attention, given positions), a row holds several
trees side by side, each prompt once, and every reply attends to its own prompt and to itself alone; rows are filled
evenly. Elsewhere every reply has a row of its own behind a copy of its prompt. Both layouts name the same places, so
that losses and log-probabilities do not know which one they are computed on.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from candor.ops.batches import TOKEN_BUDGET, Row, micro_batches

ATTENTION_PER_TOKEN = 1 / 768
"""What one more place in a row adds to the cost of each of its tokens, where everything else about a token costs 1.

Full attention is quadratic in the row's length: fewer, longer rows waste less on padding and more on attention. For a
transformer of width d about 1 / (6 d); the exact value matters little.
"""

LONGEST_ROW = 6
"""A row is never made longer than so many times its longest tree."""

ROW_COUNTS_TRIED = 24

SHARING_TOLERANCE = 1e-4
"""Results further apart than this, shared row against separate rows, mean that a model cannot share rows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """A prompt and its replies, as token ids."""

    prompt: tuple[int, ...]
    replies: tuple[tuple[int, ...], ...]

    @property
    def length(self) -> int:
        """Tokens in a row that holds the prompt once."""
        return len(self.prompt) + sum(map(len, self.replies))

    @classmethod
    def of(cls, row: Row) -> Tree:
        """A prompt with one reply."""
        return cls(prompt=row.tokens[: row.prompt_length], replies=(row.tokens[row.prompt_length :],))

    @property
    def unshared_length(self) -> int:
        """Tokens in rows that hold a copy of the prompt for every reply."""
        return len(self.prompt) * len(self.replies) + sum(map(len, self.replies))


@dataclass(frozen=True, kw_only=True, slots=True)
class PackedBatch:
    """``B`` rows of ``T`` places with ``N`` replies of ``M`` tokens in all.

    ``input_ids``, ``position_ids`` (B, T) long: a reply's positions go on from its prompt's. ``attention_mask`` (B, T)
    long, 1 on real tokens, or (B, 1, T, T) bool, True where the place of the third index may look at that of the
    fourth. ``predictors`` (M,) long: where in the flattened (B * T) places the output that predicts each reply token
    stands, reply by reply in the order they were given; ``targets`` (M,) long: those tokens. ``last`` (N,) long: the
    flattened place of each reply's last token.
    """

    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    predictors: Tensor
    targets: Tensor
    last: Tensor

    def to(self, device: torch.device | str) -> PackedBatch:
        """Returns the same batch on a device."""
        return PackedBatch(**{name: getattr(self, name).to(device) for name in self.__slots__})


def balanced(lengths: Sequence[int], rows: int) -> list[list[int]]:
    """Returns items ``0..n-1`` in at most ``rows`` rows of about equal length: longest first, into the emptiest row."""
    heap = [(0, row) for row in range(rows)]
    filled: list[list[int]] = [[] for _ in range(rows)]
    for i in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        used, row = heapq.heappop(heap)
        filled[row].append(i)
        heapq.heappush(heap, (used + lengths[i], row))
    return [row for row in filled if row]


def fill_rows(lengths: Sequence[int]) -> list[list[int]]:
    """Returns items ``0..n-1`` in rows, as many as cost least: padding against attention, which grows with the row."""
    total, longest = sum(lengths), max(lengths)
    fewest, most = math.ceil(total / (longest * LONGEST_ROW)), math.ceil(total / longest)
    candidates = range(fewest, most + 1, max(1, (most - fewest) // ROW_COUNTS_TRIED))

    def cost(rows: list[list[int]]) -> float:
        width = max(sum(lengths[i] for i in row) for row in rows)
        return len(rows) * width * (1.0 + width * ATTENTION_PER_TOKEN)

    return min((balanced(lengths, count) for count in candidates), key=cost)


def pack(
    trees: Sequence[Tree], pad_id: int, *, share: bool, rows: int | None = None, token_budget: int = TOKEN_BUDGET
) -> PackedBatch:
    """Returns ``trees`` laid out in one batch; ``predictors``, ``targets`` and ``last`` follow their order.

    With ``share`` rows hold several trees (``rows`` of them, or as many as cost least), a prompt that would make its
    row longer than ``token_budget`` is repeated; without it every reply has a row. Raises ValueError for a tree without
    a prompt or without replies, or with an empty reply.
    """
    if not all(tree.prompt and tree.replies and all(tree.replies) for tree in trees):
        raise ValueError("a tree needs a prompt, replies, and a token in each of them")
    pieces = _pieces(trees, token_budget if share else 0)
    lengths = [len(trees[t].prompt) + sum(len(trees[t].replies[r]) for r in replies) for t, replies in pieces]
    if not share:
        filled = [[i] for i in range(len(pieces))]
    else:
        filled = fill_rows(lengths) if rows is None else balanced(lengths, rows)
    width = max(sum(lengths[i] for i in row) for row in filled)
    layout = _Layout(width, pad_id)
    for row in filled:
        layout.start_row()
        for i in row:
            layout.add(trees, *pieces[i])
    return layout.batch(trees, share=share)


def split(
    trees: Sequence[Tree], *, share: bool, size: int | None = None, token_budget: int = TOKEN_BUDGET
) -> list[list[int]]:
    """Returns trees ``0..n-1`` as micro-batches of similar lengths: ``size`` replies or ``token_budget`` tokens.

    A tree is never divided, so one that is larger alone makes a micro-batch. Without ``size``, shared micro-batches
    hold about the same number of tokens each.
    """
    if size is not None or not share:
        lengths = [tree.length if share else tree.unshared_length for tree in trees]
        most = max(len(tree.replies) for tree in trees)
        return micro_batches(lengths, None if size is None else max(1, size // most), token_budget=token_budget)
    order = sorted(range(len(trees)), key=lambda i: trees[i].length)
    total = sum(tree.length for tree in trees)
    each = total / math.ceil(total / token_budget)
    parts: list[list[int]] = [[]]
    used = 0
    for i in order:
        if parts[-1] and used + trees[i].length / 2 > each * len(parts):
            parts.append([])
        parts[-1].append(i)
        used += trees[i].length
    return parts


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One micro-batch: ``items`` are the places of its trees (or replies) in what it was made from, in its order."""

    items: list[int]
    batch: PackedBatch


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How micro-batches for some models are laid out; ``size``: replies at once, where a recipe sets it."""

    share: bool
    pad_id: int
    device: torch.device | str = "cpu"
    size: int | None = None
    token_budget: int = TOKEN_BUDGET

    @classmethod
    def for_rows(
        cls,
        outputs: Callable[[PackedBatch], Tensor],
        rows: Sequence[Row],
        pad_id: int,
        device: torch.device,
        tolerance: float = SHARING_TOLERANCE,
    ) -> Layout:
        """Returns the layout for one pass over ``rows``, sharing where the model allows it for the longest of them.

        ``outputs`` gives a tensor over a batch's replies (N,) or reply tokens (M,).
        """
        if not rows:
            return cls(share=False, pad_id=pad_id, device=device)
        longest = Tree.of(max(rows, key=lambda row: len(row.tokens)))
        share = allows_sharing(outputs, longest, pad_id, device, tolerance)
        return cls(share=share, pad_id=pad_id, device=device)

    def length(self, tree: Tree) -> int:
        """Returns the tokens that ``tree`` takes."""
        return tree.length if self.share else tree.unshared_length

    def parts(self, trees: Sequence[Tree]) -> list[Part]:
        """Returns ``trees`` as micro-batches on the device; none is divided."""
        parts = split(trees, share=self.share, size=self.size, token_budget=self.token_budget)
        return [Part(items=items, batch=self._packed([trees[i] for i in items])) for items in parts]

    def row_parts(self, rows: Sequence[Row]) -> list[Part]:
        """Returns ``rows`` as micro-batches on the device, those with one prompt together; ``items`` are rows."""
        if not rows:
            return []
        groups = self._with_one_prompt(rows)
        trees = [
            Tree(
                prompt=rows[group[0]].tokens[: rows[group[0]].prompt_length],
                replies=tuple(rows[i].tokens[rows[i].prompt_length :] for i in group),
            )
            for group in groups
        ]
        return [
            Part(items=[row for tree in part.items for row in groups[tree]], batch=part.batch)
            for part in self.parts(trees)
        ]

    def _with_one_prompt(self, rows: Sequence[Row]) -> list[list[int]]:
        """Rows by prompt, as many together as fit a micro-batch."""
        if not self.share:
            return [[i] for i in range(len(rows))]
        by_prompt: dict[tuple[int, ...], list[list[int]]] = {}
        room: dict[tuple[int, ...], int] = {}
        for i, row in enumerate(rows):
            prompt = row.tokens[: row.prompt_length]
            groups = by_prompt.setdefault(prompt, [])
            full = not groups or room[prompt] < row.reply_length or len(groups[-1]) == self.size
            if full:
                groups.append([])
                room[prompt] = self.token_budget - row.prompt_length
            groups[-1].append(i)
            room[prompt] -= row.reply_length
        return [group for groups in by_prompt.values() for group in groups]

    def _packed(self, trees: Sequence[Tree]) -> PackedBatch:
        packed = pack(trees, self.pad_id, share=self.share, token_budget=self.token_budget)
        return packed.to(self.device)


def allows_sharing(
    outputs: Callable[[PackedBatch], Tensor],
    tree: Tree,
    pad_id: int,
    device: torch.device,
    tolerance: float = SHARING_TOLERANCE,
) -> bool:
    """Tells, by trying it on ``tree``, whether a model's ``outputs`` are the same in a shared row.

    They are not where attention has a window that the tree exceeds, looks ahead, or counts positions by itself: pass
    the longest tree there will be. ``outputs`` gives a tensor over the batch's replies (N,) or reply tokens
    (M,). The shared row holds the tree twice, once with its first reply alone, so that both kinds are tried.
    """
    tried = [tree, Tree(prompt=tree.prompt, replies=tree.replies[:1])]
    with torch.inference_mode():
        apart = outputs(pack(tried, pad_id, share=False).to(device))
        try:
            shared = outputs(pack(tried, pad_id, share=True, rows=1, token_budget=2**62).to(device))
        except (RuntimeError, ValueError, TypeError, IndexError):
            return False
    return bool(torch.allclose(apart, shared, rtol=tolerance, atol=tolerance))


def _pieces(trees: Sequence[Tree], room: int) -> list[tuple[int, list[int]]]:
    """Trees cut into (tree, replies) that fit ``room`` tokens with their prompt, at least one reply each."""
    pieces: list[tuple[int, list[int]]] = []
    for t, tree in enumerate(trees):
        used = math.inf
        for r, reply in enumerate(tree.replies):
            if used + len(reply) > room:
                pieces.append((t, []))
                used = len(tree.prompt)
            pieces[-1][1].append(r)
            used += len(reply)
    return pieces


class _Layout:
    """Rows under construction."""

    def __init__(self, width: int, pad_id: int) -> None:
        self.width, self.pad_id = width, pad_id
        self.ids: list[list[int]] = []
        self.positions: list[list[int]] = []
        self.segments: list[list[int]] = []  # one number per prompt copy and per reply
        self.parents: list[list[int]] = []  # the segment of a place's prompt
        self.starts: dict[tuple[int, int], tuple[int, int]] = {}  # where a reply starts, and where its prompt ends
        self._segment = 0

    def start_row(self) -> None:
        for column in (self.ids, self.positions, self.segments, self.parents):
            column.append([])

    def add(self, trees: Sequence[Tree], tree: int, replies: Sequence[int]) -> None:
        prompt = trees[tree].prompt
        parent = self._extend(prompt, 0, None)
        end = self._place() - 1
        for reply in replies:
            self.starts[tree, reply] = self._place(), end
            self._extend(trees[tree].replies[reply], len(prompt), parent)

    def _place(self) -> int:
        return (len(self.ids) - 1) * self.width + len(self.ids[-1])

    def _extend(self, tokens: Sequence[int], position: int, parent: int | None) -> int:
        segment, self._segment = self._segment, self._segment + 1
        self.ids[-1].extend(tokens)
        self.positions[-1].extend(range(position, position + len(tokens)))
        self.segments[-1].extend([segment] * len(tokens))
        self.parents[-1].extend([segment if parent is None else parent] * len(tokens))
        return segment

    def batch(self, trees: Sequence[Tree], *, share: bool) -> PackedBatch:
        predictors: list[int] = []
        targets: list[int] = []
        last: list[int] = []
        for t, tree in enumerate(trees):
            for r, reply in enumerate(tree.replies):
                start, prompt_end = self.starts[t, r]
                predictors.append(prompt_end)
                predictors.extend(range(start, start + len(reply) - 1))
                targets.extend(reply)
                last.append(start + len(reply) - 1)
        segments = self._padded(self.segments, -1)
        return PackedBatch(
            input_ids=self._padded(self.ids, self.pad_id),
            position_ids=self._padded(self.positions, 0),
            attention_mask=self._mask(segments) if share else (segments >= 0).long(),
            predictors=torch.tensor(predictors),
            targets=torch.tensor(targets),
            last=torch.tensor(last),
        )

    def _mask(self, segments: Tensor) -> Tensor:
        """(B, 1, T, T): a place sees itself and what is before it in its own segment and its prompt's.

        Padding sees only itself, as a row of attention may not be empty.
        """
        parents = self._padded(self.parents, -2)
        seen = segments.unsqueeze(1)
        allowed = (seen == segments.unsqueeze(2)) | (seen == parents.unsqueeze(2))
        allowed &= torch.ones((self.width, self.width), dtype=torch.bool).tril()
        allowed &= (segments >= 0).unsqueeze(2)
        allowed |= torch.eye(self.width, dtype=torch.bool)
        return allowed.unsqueeze(1)

    def _padded(self, rows: list[list[int]], value: int) -> Tensor:
        return torch.tensor([row + [value] * (self.width - len(row)) for row in rows])
