"""What is known of one annotator: the panel as a prior that lets outliers be outliers, and their own answers.

A prior that is the panel's spread alone would pull a side-clicker halfway to the others. So the prior is a mixture:
with probability 1 - ``STRANGE`` one of the panel (its centre and spread), else anybody. Posteriors are mixtures as
well, with weights by how well each part foretold the data; limits are their 2.5% and 97.5% quantiles.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from candor.audits.preferences.outliers import Bulk
from candor.collect.quality.linear import Limits

STRANGE = 0.1
"""Share of annotators, before anything is known of them, who may be anywhere."""
ANYWHERE = 0.25
"""Standard deviation of the share of such an annotator around one half."""

NOTHING = Limits(estimate=math.nan, low=math.nan, high=math.nan, n=0)


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the posterior: its weight, its mean, and its distribution function."""

    weight: float
    mean: float
    below: Callable[[float], float]


def normal_posterior(value: float, variance: float, n: int, usual: Bulk | None) -> Limits:
    """A share (0 to 1) of which ``value`` was measured with a sampling ``variance``; ``usual``: the panel's, if known.

    Without a panel to compare with the prior is N(1/2, ANYWHERE^2) alone.
    """
    if not n or not math.isfinite(value) or not math.isfinite(variance):
        return NOTHING
    parts = [(1.0 if usual is None else STRANGE, 0.5, ANYWHERE**2)]
    if usual is not None:
        parts.append((1 - STRANGE, usual.centre, usual.spread**2 + usual.error**2))
    scored = []
    for weight, centre, spread in parts:
        total = spread + variance
        fit = weight * math.exp(-((value - centre) ** 2) / (2 * total)) / math.sqrt(total)
        mean, error = (centre * variance + value * spread) / total, math.sqrt(spread * variance / total)
        scored.append(_Part(fit, mean, _normal_below(mean, error)))
    return _mixture(scored, n, -1.0, 2.0)


def beta_posterior(successes: float, n: float, usual: Bulk | None = None) -> Limits:
    """A probability of which ``successes`` of ``n`` were seen; exact with few. Without a panel: Jeffreys' prior."""
    from scipy.special import betainc, betaln

    if not n:
        return NOTHING
    parts = [(1.0, 0.5, 0.5)]
    if usual is not None:
        mean = min(max(usual.centre, 1e-3), 1 - 1e-3)
        most = 0.95 * math.sqrt(mean * (1 - mean))
        spread = min(max(math.hypot(usual.spread, usual.error), 1e-4), most)
        size = mean * (1 - mean) / spread**2 - 1
        parts = [(STRANGE, 1.0, 1.0), (1 - STRANGE, mean * size, (1 - mean) * size)]
    logs = [math.log(w) + betaln(a + successes, b + n - successes) - betaln(a, b) for w, a, b in parts]
    scored = []
    for log, (_, a, b) in zip(logs, parts, strict=True):
        one, other = a + successes, b + n - successes
        below = _beta_below(betainc, one, other)
        scored.append(_Part(math.exp(log - max(logs)), one / (one + other), below))
    return _mixture(scored, round(n), 0.0, 1.0)


def transformed(limits: Limits, function: Callable[[float], float]) -> Limits:
    """Returns limits on another, increasing scale."""
    estimate, low, high = (function(v) if math.isfinite(v) else v for v in (limits.estimate, limits.low, limits.high))
    return Limits(estimate=estimate, low=low, high=high, n=limits.n)


def _normal_below(mean: float, error: float) -> Callable[[float], float]:
    return lambda x: 0.5 * math.erfc((mean - x) / (error * math.sqrt(2)))


def _beta_below(betainc: Callable[[float, float, float], float], one: float, other: float) -> Callable[[float], float]:
    return lambda x: float(betainc(one, other, x))


def _mixture(parts: list[_Part], n: int, floor: float, ceiling: float) -> Limits:
    total = sum(part.weight for part in parts)
    if not total:  # so far from every prior that all underflow: the widest part is what is left
        parts, total = [_Part(1.0, parts[0].mean, parts[0].below)], 1.0

    def below(x: float) -> float:
        return sum(part.weight * part.below(x) for part in parts) / total

    def quantile(level: float) -> float:
        low, high = floor, ceiling
        for _ in range(50):
            middle = (low + high) / 2
            low, high = (middle, high) if below(middle) < level else (low, middle)
        return (low + high) / 2

    mean = sum(part.weight * part.mean for part in parts) / total
    return Limits(estimate=float(np.clip(mean, floor, ceiling)), low=quantile(0.025), high=quantile(0.975), n=n)
