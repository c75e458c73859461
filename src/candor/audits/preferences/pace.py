"""How fast judgements are for what there was to read: a normal pace, and a group of fast ones where there is one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from candor.preferences.table import Judgements

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

BINS = 400
SLOWEST = 2.5
"""Robust standard deviations above the median from which a time is a pause, which says nothing of the pace."""
FEWEST_TIMED = 100
APART = 2.0
"""The two means must lie this many mean standard deviations apart: closer, one of them is a skewed tail."""
LEAST_RATIO = 2.7
"""The fast pace is at least so many times the normal one: people's own paces differ by less."""
LEAST_SHARE, MOST_SHARE = 0.005, 0.5


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The pace of C comparisons. ``residual`` (C,): log seconds less what the length predicts, NaN where unknown.

    ``fast`` (C,): probability of belonging to the fast group, 0 where there is none and NaN where there is no time.
    ``slope``: of log seconds on log characters read; ``share``, ``ratio``: of the fast group, how many judgements and
    how many times the normal pace; None without such a group.
    """

    residual: FloatArray
    fast: FloatArray
    slope: float
    timed: int
    share: float | None
    ratio: float | None


def pace(judgements: Judgements) -> Pace | None:
    """Returns the pace, or None with fewer than FEWEST_TIMED times.

    Log seconds are regressed on log characters read; the residuals are a mixture of two normals, fitted by EM on a
    histogram. Two groups are claimed only where BIC wants them, the fast one is LEAST_RATIO times as fast, their
    means lie APART, and the fast one is not the larger one.
    """
    timed = np.flatnonzero(np.isfinite(judgements.seconds) & (judgements.seconds > 0))
    if len(timed) < FEWEST_TIMED:
        return None
    read = judgements.prompt_characters + np.add.reduceat(judgements.characters, judgements.starts[:-1])
    x, y = np.log1p(read[timed].astype(float)), np.log(judgements.seconds[timed])
    x = x - x.mean()
    slope = float(np.dot(x, y - y.mean()) / np.dot(x, x)) if np.ptp(x) > 1e-9 else 0.0
    values = y - slope * x
    values = values - np.median(values)
    residual, fast = np.full(len(judgements), np.nan), np.full(len(judgements), np.nan)
    residual[timed], fast[timed] = values, 0.0
    found = _two_paces(values)
    if found is not None:
        means, sds, weights = found
        fast[timed] = _fast(values, means, sds, weights)
    return Pace(
        residual=residual,
        fast=fast,
        slope=slope,
        timed=len(timed),
        share=None if found is None else float(np.mean(fast[timed])),
        ratio=None if found is None else float(np.exp(found[0][1] - found[0][0])),
    )


def _densities(values: FloatArray, means: FloatArray, sds: FloatArray, weights: FloatArray) -> FloatArray:
    z = (values[:, None] - means) / sds
    return np.asarray(weights / sds * np.exp(-z * z / 2) / np.sqrt(2 * np.pi) + 1e-300)


def _fast(values: FloatArray, means: FloatArray, sds: FloatArray, weights: FloatArray) -> FloatArray:
    # Beyond the two means the wider normal would win on both sides, and the slow side is never fast.
    inside = np.clip(values, means[0], means[1])
    densities = _densities(inside, means, sds, weights)
    return np.asarray(densities[:, 0] / densities.sum(axis=1))


def _two_paces(values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray] | None:
    """Means, standard deviations and weights of the fast and the normal pace, or None where one pace is enough."""
    scale = 1.4826 * float(np.median(np.abs(values)))
    values = values[values < SLOWEST * scale] if scale > 0 else values
    if not len(values) or np.ptp(values) < 1e-9:
        return None
    counts, edges = np.histogram(values, bins=BINS)
    points, n = (edges[:-1] + edges[1:]) / 2, counts.sum()
    mean = float(np.average(points, weights=counts))
    sd = float(np.sqrt(np.average((points - mean) ** 2, weights=counts)))
    single = float(counts @ np.log(_densities(points, np.array([mean]), np.array([sd]), np.ones(1)).sum(axis=1)))
    best, fit = -np.inf, None
    for start in (0.02, 0.1, 0.3):
        cut = np.quantile(values, start)
        means, sds, weights = np.array([cut - sd / 2, mean]), np.array([sd / 2, sd]), np.array([start, 1 - start])
        for _ in range(300):
            densities = _densities(points, means, sds, weights)
            shares = counts[:, None] * densities / densities.sum(axis=1, keepdims=True)
            totals = np.maximum(shares.sum(axis=0), 1e-9)
            moved = np.abs(totals / n - weights).max()
            means, weights = (shares * points[:, None]).sum(axis=0) / totals, totals / n
            sds = np.sqrt((shares * (points[:, None] - means) ** 2).sum(axis=0) / totals + (sd / 20) ** 2)
            if moved < 1e-7:
                break
        likelihood = float(counts @ np.log(_densities(points, means, sds, weights).sum(axis=1)))
        if likelihood > best:
            best, fit = likelihood, (means, sds, weights)
    assert fit is not None
    order = np.argsort(fit[0])
    means, sds, weights = (part[order] for part in fit)
    wanted = 2 * (best - single) > 3 * np.log(n)  # BIC: three parameters more
    apart = means[1] - means[0] > max(APART * sds.mean(), np.log(LEAST_RATIO))
    return (means, sds, weights) if wanted and apart and LEAST_SHARE <= weights[0] < MOST_SHARE else None
