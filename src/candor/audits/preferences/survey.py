"""One pass over a file of comparisons: columns for the statistics, a sample with texts for what has to read them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from candor.preferences.formats import Numbered
from candor.preferences.table import Describe, Judgements, TableBuilder, hash64
from candor.records import Comparison

__all__ = ["SAMPLE", "Collector", "Numbered", "Sample", "Survey", "survey"]

SAMPLE = 20_000


class Collector(Protocol):
    """Sees every comparison of the pass, with its texts, and keeps what it needs of it."""

    def see(self, number: int, comparison: Comparison) -> None:
        """Takes comparison ``number`` (its place in the table)."""
        ...


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What is known of a file after one pass.

    ``sample``: comparisons with their texts by number, all of them or a uniform sample, in the order of the file.
    ``rows``: rows read; ``dropped`` and ``bad``: rows by reason. ``seed``: for the randomness of every check.
    """

    judgements: Judgements
    sample: Mapping[int, Comparison]
    seed: int
    source: str = ""
    format: str = ""
    rows: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    bad: Mapping[str, int] = field(default_factory=dict)

    @property
    def sampled(self) -> bool:
        """Whether ``sample`` is only a part of the comparisons."""
        return len(self.sample) < len(self.judgements)


class Sample:
    """A uniform sample of at most ``limit`` comparisons that does not depend on their order.

    Each comparison gets a number from its id, its place and the seed; the lowest are kept.
    """

    def __init__(self, limit: int, seed: int) -> None:
        self._limit, self._seed = limit, seed
        self._kept: list[tuple[int, int, Comparison]] = []  # a heap with the highest number on top

    def see(self, number: int, comparison: Comparison) -> None:
        """Takes a comparison and keeps it, or not."""
        key = (-hash64(f"{self._seed}\x1f{comparison.id}"), -number)
        if len(self._kept) < self._limit:
            heapq.heappush(self._kept, (*key, comparison))
        elif key > self._kept[0][:2]:
            heapq.heapreplace(self._kept, (*key, comparison))

    def __iter__(self) -> Iterator[tuple[int, Comparison]]:
        yield from sorted(((-number, comparison) for _, number, comparison in self._kept), key=lambda kept: kept[0])


def survey(
    comparisons: Iterable[Numbered],
    *,
    describe: Describe | None = None,
    feature_names: Sequence[str] = (),
    collectors: Sequence[Collector] = (),
    sample: int = SAMPLE,
    seed: int = 0,
) -> Survey:
    """Returns what one pass over the comparisons leaves; texts are kept for at most ``sample`` of them."""
    table, kept = TableBuilder(describe, feature_names), Sample(sample, seed)
    for item in comparisons:
        number = table.add(item.comparison, row=item.row, file=item.file)
        for collector in (kept, *collectors):
            collector.see(number, item.comparison)
    return Survey(judgements=table.build(), sample=dict(kept), seed=seed)
