"""Learning-rate schedules: factors in [0, 1] as pure functions of the step.

``step`` counts the updates done so far, so the first update is made at ``step = 0`` and the last at ``total - 1``; a
decaying schedule would reach 0 at ``step = total``. Warm-up rises linearly over the first ``warmup`` updates, of which
none has a learning rate of 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable

Schedule = Callable[[int, int, int], float]


def _warmup(step: int, warmup: int) -> float | None:
    return (step + 1) / (warmup + 1) if step < warmup else None


def _progress(step: int, total: int, warmup: int) -> float:
    return min(1.0, (step - warmup) / max(1, total - warmup))


def constant(step: int, total: int, warmup: int = 0) -> float:
    """1 after the warm-up."""
    rising = _warmup(step, warmup)
    return 1.0 if rising is None else rising


def linear(step: int, total: int, warmup: int = 0) -> float:
    """A fall from 1 to 0 in a straight line: 1 - (step - warmup) / (total - warmup)."""
    rising = _warmup(step, warmup)
    return 1.0 - _progress(step, total, warmup) if rising is None else rising


def cosine(step: int, total: int, warmup: int = 0) -> float:
    """A fall from 1 to 0 along half a cosine: (1 + cos(pi (step - warmup) / (total - warmup))) / 2."""
    rising = _warmup(step, warmup)
    return 0.5 * (1.0 + math.cos(math.pi * _progress(step, total, warmup))) if rising is None else rising
