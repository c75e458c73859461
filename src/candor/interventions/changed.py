"""What an intervention made of its items, and how often it did what: nothing is changed in silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from candor.annotators.raters import random_generator

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Changed(Generic[Item]):
    """``items`` after the intervention; ``counts`` by what was done, such as ``given``, ``offending``, ``changed``."""

    items: tuple[Item, ...]
    counts: Mapping[str, int]


def drawn(count: int, share: float, seed: int, *labels: str) -> frozenset[int]:
    """A random ``share`` of ``range(count)``, rounded; a larger share contains a smaller one of the same seed."""
    order = random_generator("intervention", seed, *labels).permutation(count)
    return frozenset(int(i) for i in order[: int(np.floor(share * count + 0.5))])


def drawn_items(items: Sequence[Item], share: float, seed: int, *labels: str) -> list[Item]:
    """Returns items in random order, ``share`` times their number: every one once before any comes again."""
    wanted = int(np.floor(share * len(items) + 0.5))
    found: list[Item] = []
    turn = 0
    while len(found) < wanted:
        order = random_generator("intervention", seed, *labels, turn).permutation(len(items))
        found.extend(items[int(i)] for i in order[: wanted - len(found)])
        turn += 1
    return found
