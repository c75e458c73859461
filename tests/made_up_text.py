"""Made-up words for tests that need texts which have nothing in common."""

from __future__ import annotations

import random

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def sentence(rng: random.Random, words: int) -> str:
    """So many words of two to nine letters."""
    return " ".join("".join(rng.choices(LETTERS, k=rng.randint(2, 9))) for _ in range(words))
