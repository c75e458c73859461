"""Shares and means with intervals that allow for clusters, in one pass over arrays.

A million comparisons leave no room for a bootstrap over prompts: these intervals need two sums per cluster.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from candor.audits.stats import wilson

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Rate:
    """An estimate with its 95% interval, from ``n`` observations in ``clusters`` clusters; NaN where there are none."""

    estimate: float
    low: float
    high: float
    n: int
    clusters: int


def clustered_mean(values: FloatArray, clusters: IntArray) -> Rate:
    """Returns the mean of values (N,) with an interval that is robust to dependence within clusters (N,).

    The sum of squares of the clusters' totals of residuals, times G / (G - 1) (Liang & Zeger 1986), and the t quantile
    of G - 1 degrees of freedom. The limits are NaN with fewer than two clusters.
    """
    from scipy.special import stdtrit

    n = len(values)
    if not n:
        return Rate(estimate=np.nan, low=np.nan, high=np.nan, n=0, clusters=0)
    estimate = float(values.mean())
    totals = _cluster_totals(values - estimate, clusters)
    groups = len(totals)
    if groups < 2:
        return Rate(estimate=estimate, low=np.nan, high=np.nan, n=n, clusters=groups)
    error = float(np.sqrt(groups / (groups - 1) * np.sum(totals**2))) / n
    half = float(stdtrit(groups - 1, 0.975)) * error
    return Rate(estimate=estimate, low=estimate - half, high=estimate + half, n=n, clusters=groups)


def clustered_share(hits: NDArray[np.bool_], clusters: IntArray) -> Rate:
    """Returns the share of hits (N,) with Wilson's interval at the effective sample size of Korn & Graubard (1998).

    The effective size is p (1 - p) over the clustered variance, at most N; where no or all observations are hits, it is
    the number of clusters, the most cautious choice.
    """
    mean = clustered_mean(hits.astype(np.float64), clusters)
    if not mean.n:
        return mean
    p = mean.estimate
    size = float(mean.clusters)
    if 0 < p < 1 and np.isfinite(mean.high) and mean.high > mean.low:
        from scipy.special import stdtrit

        error = (mean.high - mean.low) / 2 / float(stdtrit(mean.clusters - 1, 0.975))
        size = min(p * (1 - p) / error**2, float(mean.n))
    interval = wilson(p * size, size)
    return Rate(estimate=p, low=interval.low, high=interval.high, n=mean.n, clusters=mean.clusters)


def _cluster_totals(values: FloatArray, clusters: IntArray) -> FloatArray:
    labels = np.unique(clusters, return_inverse=True)[1]
    return np.bincount(labels, weights=values).astype(np.float64)


def percent(value: float) -> str:
    """A share in words: ``12%``, ``0.31%``, ``under 0.01%``."""
    if not np.isfinite(value):
        return "an unknown share"
    if value == 0:
        return "0%"
    hundred = abs(value) * 100
    if hundred < 0.01:
        return "under 0.01%"
    return f"{value * 100:.{0 if hundred >= 10 else 1 if hundred >= 1 else 2}f}%"


def between(rate: Rate) -> str:
    """A share with its interval in words."""
    return f"{percent(rate.estimate)} (95% interval {percent(max(rate.low, 0.0))} to {percent(rate.high)})"


def counted(count: int, noun: str) -> str:
    """A number of things in words: ``1 pair``, ``36,000 pairs``; ``noun`` is one whose plural ends in s."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
