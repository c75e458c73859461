"""Made-up comparisons whose truth is known: words have utilities, labels follow Bradley-Terry, some are flipped."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from candor.records import Choice, Comparison
from judged import comparison

LETTERS = list("abcdefghijklmnopqrstuvwxyz")


def word_pairs(
    count: int, *, flips: float = 0.0, scale: float = 6.0, words: int = 20, vocabulary: int = 200, seed: int = 0
) -> tuple[list[Comparison], NDArray[np.bool_]]:
    """Comparisons of two responses of random words, and which labels were flipped.

    The chosen response is drawn with the log-odds ``scale`` times the difference of the responses' mean utilities times
    the root of ``words``; then a share ``flips`` of the labels is turned.
    """
    rng = np.random.default_rng(seed)
    names = np.array(["".join(rng.choice(LETTERS, rng.integers(3, 9))) for _ in range(vocabulary)])
    utility = rng.normal(size=vocabulary)
    frequency = 1 / np.arange(1, vocabulary + 1) ** 0.8
    drawn = rng.choice(vocabulary, size=(count, 2, words), p=frequency / frequency.sum())
    totals = [[utility[np.unique(side)].sum() / np.sqrt(words) for side in pair] for pair in drawn]
    gap = np.array([second - first for first, second in totals])
    second_wins = rng.random(count) < 1 / (1 + np.exp(-scale * gap))
    flipped = rng.random(count) < flips
    data = [
        comparison(Choice(best=int(won)), *(" ".join(names[side]) for side in pair), prompt=f"p{i}", identity=f"c{i}")
        for i, (pair, won) in enumerate(zip(drawn, second_wins ^ flipped, strict=True))
    ]
    return data, flipped
