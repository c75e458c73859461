"""What a full factorial says: effects, interactions and Shapley values, with the training seed as the unit.

``outcomes`` is an array (seeds, 2, ..., 2): the outcome of every cell, an axis for each factor, index 1 where it
is as it is and 0 where it is clean. With v(S) the outcome where the factors in S are as they are, the others clean:

- total: v(all) - v(none)
- main effect of i: the mean, over the settings of the others, of v(S + i) - v(S)
- interaction of i and j: the mean, over the settings of the others, of v(S + i + j) - v(S + i) - v(S + j) + v(S):
  what i adds more where j is as it is
- Shapley value of i: the mean of v(S + i) - v(S) over all orders in which the factors could be set as they are
  (Shapley 1953); the values of all factors add up to the total
- share of i: Shapley value over total

All but the share are linear in the cells, so that each seed gives one number and the interval is Student's t over
seeds. The share is a ratio of two means of the same seeds: its interval is Fieller's (1954), which is bounded exactly
where the total's interval leaves out 0; elsewhere the share is not measured.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import t as student

from candor.audits.stats import LEVEL, FloatArray, Interval, holm

TINY = 1e-12


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One number with its interval over seeds; ``by_seed`` are what it is the mean of.

    ``interval`` is None with a single seed. ``p`` is two-sided, of no effect; None with a single seed.
    """

    name: str
    estimate: float
    interval: Interval | None
    p: float | None
    by_seed: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Share:
    """A factor's part of the total. ``estimate`` is None, and ``why`` says so, where the total may be 0."""

    name: str
    estimate: float | None
    interval: Interval | None
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Effects:
    """``claimed``: the factors whose Shapley value differs from 0 after Holm's correction over the factors."""

    total: Effect
    main: tuple[Effect, ...]
    interactions: tuple[Effect, ...]
    shapley: tuple[Effect, ...]
    shares: tuple[Share, ...]
    claimed: tuple[str, ...] = field(default=())


def effects(outcomes: FloatArray, factors: Sequence[str], *, level: float = LEVEL) -> Effects:
    """Returns everything that the factorial says. ``outcomes`` (seeds, 2, ..., 2): an axis per factor, in order.

    Raises ValueError for another shape, no seed, or an outcome that is no number.
    """
    n = len(factors)
    if outcomes.shape[1:] != (2,) * n or not n or not len(outcomes):
        raise ValueError(f"expected (seeds, {', '.join('2' * n)}), got {outcomes.shape}")
    if not np.isfinite(outcomes).all():
        raise ValueError("an outcome is no number")

    def measured(name: str, weights: FloatArray) -> Effect:
        return mean_effect(name, outcomes.reshape(len(outcomes), -1) @ weights.ravel(), level=level)

    total = measured("total", total_weights(n))
    shapley = tuple(measured(name, shapley_weights(n, i)) for i, name in enumerate(factors))
    known = [effect.p for effect in shapley if effect.p is not None]
    adjusted = holm(known) if len(known) == n else [1.0] * n
    return Effects(
        total=total,
        main=tuple(measured(name, contrast(n, [i])) for i, name in enumerate(factors)),
        interactions=tuple(
            measured(" x ".join(factors[i] for i in chosen), contrast(n, chosen))
            for size in range(2, n + 1)
            for chosen in itertools.combinations(range(n), size)
        ),
        shapley=shapley,
        shares=tuple(share(effect, total, level=level) for effect in shapley),
        claimed=tuple(name for name, p in zip(factors, adjusted, strict=True) if p < 1 - level),
    )


def cells(n: int) -> Iterator[tuple[int, ...]]:
    """Every setting of ``n`` factors: 1 where one is as it is, 0 where it is clean; all clean first, all as is last."""
    return itertools.product((0, 1), repeat=n)


def total_weights(n: int) -> FloatArray:
    """Returns the weights (2, ..., 2) of the cells in the total."""
    weights = np.zeros((2,) * n)
    weights[(1,) * n], weights[(0,) * n] = 1.0, -1.0
    return weights


def contrast(n: int, chosen: Sequence[int]) -> FloatArray:
    """Returns the weights of one factor's main effect, or of an interaction of several: differences of differences.

    Over the settings of the other factors it is averaged.
    """
    weights = np.full((2,) * n, 1.0 / 2 ** (n - len(chosen)))
    for cell in cells(n):
        weights[cell] *= math.prod(1.0 if cell[i] else -1.0 for i in chosen)
    return weights


def shapley_weights(n: int, factor: int) -> FloatArray:
    """Returns the weights of one factor's Shapley value: |S|! (n - |S| - 1)! / n! for each set S of the others."""
    weights = np.zeros((2,) * n)
    for cell in cells(n):
        others = sum(cell) - cell[factor]
        weight = math.factorial(others) * math.factorial(n - others - 1) / math.factorial(n)
        weights[cell] = weight if cell[factor] else -weight
    return weights


def mean_effect(name: str, values: FloatArray, *, level: float = LEVEL) -> Effect:
    """The mean of one number per seed, with Student's t interval and test of 0."""
    mean, n = float(values.mean()), len(values)
    by_seed = tuple(float(value) for value in values)
    if n < 2:
        return Effect(name=name, estimate=mean, interval=None, p=None, by_seed=by_seed)
    error = float(values.std(ddof=1)) / math.sqrt(n)
    half = float(student.ppf(0.5 + level / 2, n - 1)) * error
    interval = Interval(low=mean - half, high=mean + half, method="t over seeds")
    if error < TINY:  # all seeds agree to the last digit: as where a factor cannot matter
        p = 1.0 if abs(mean) < TINY else 0.0
    else:
        p = float(2 * student.sf(abs(mean) / error, n - 1))
    return Effect(name=name, estimate=mean, interval=interval, p=p, by_seed=by_seed)


def share(part: Effect, total: Effect, *, level: float = LEVEL) -> Share:
    """Part over total, with Fieller's interval: the ratios rho at which part - rho * total may have mean 0."""
    if total.interval is None:
        return Share(name=part.name, estimate=None, interval=None, why="one seed says nothing of how seeds differ")
    if total.interval.low <= 0 <= total.interval.high:
        return Share(name=part.name, estimate=None, interval=None, why="the total may be 0")
    x, y = np.array(part.by_seed), np.array(total.by_seed)
    covariance = np.cov(x, y) / len(x) * float(student.ppf(0.5 + level / 2, len(x) - 1)) ** 2
    # (x - rho y)^2 <= t^2 Var(x - rho y) / n is a rho^2 - 2 b rho + c <= 0, with a > 0 as the total's interval has no 0
    a = y.mean() ** 2 - covariance[1, 1]
    b = x.mean() * y.mean() - covariance[0, 1]
    c = x.mean() ** 2 - covariance[0, 0]
    spread = math.sqrt(max(b * b - a * c, 0.0))
    interval = Interval(low=(b - spread) / a, high=(b + spread) / a, method="Fieller over seeds")
    return Share(name=part.name, estimate=float(x.mean() / y.mean()), interval=interval)
