"""Intervals and tests for audits: pure functions of arrays, each with its source.

The unit of independence is the **cluster** (one question, asked in many ways), never the reply. Every statistic that
is resampled here is a function of per-cluster sums, so a bootstrap is one matrix product: resampling 2,000 replies to
150 questions 1,000 times takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

FloatArray = NDArray[np.float64]
Statistic = Callable[[FloatArray], FloatArray]
"""Maps sums of shape (..., columns) to values of shape (...); NaN where the sums leave it undefined."""

LEVEL = 0.95
_TINY = 1e-12


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """Limits of a confidence interval, and how they were found."""

    low: float
    high: float
    method: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Bootstrap:
    """An estimate with its cluster-bootstrap interval. ``undefined`` counts the resamples that gave NaN."""

    estimate: float
    interval: Interval | None
    spread: float  # largest minus smallest resampled value; 0 means that the data cannot show their own uncertainty
    undefined: int


def z_value(level: float = LEVEL) -> float:
    """The normal quantile of a two-sided interval: 1.96 for 95%."""
    return float(norm.ppf(0.5 + level / 2))


def wilson(successes: float, n: float, level: float = LEVEL) -> Interval:
    """Wilson's score interval of a proportion (Wilson 1927; Newcombe 1998, Stat. Med. 17:857, method 3).

    For independent observations only. Raises ValueError unless 0 <= successes <= n and n > 0.
    """
    if not n > 0 or not 0 <= successes <= n:
        raise ValueError(f"wilson needs 0 <= successes <= n and n > 0, got {successes} of {n}")
    z = z_value(level)
    p, shrink = successes / n, 1 + z * z / n
    centre = (p + z * z / (2 * n)) / shrink
    half = z * float(np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))) / shrink
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return Interval(low=low, high=high, method="wilson")


def difference_of_independent(p1: float, first: Interval, p2: float, second: Interval) -> Interval:
    """Interval of p1 - p2 from the intervals of p1 and p2 ("square and add").

    With Wilson intervals it is Newcombe's hybrid score interval (1998, Stat. Med. 17:873, method 10). It assumes
    independence, which is conservative where the two are positively correlated, as paired proportions are.
    """
    gap = p1 - p2
    low = gap - float(np.hypot(p1 - first.low, second.high - p2))
    high = gap + float(np.hypot(first.high - p1, p2 - second.low))
    return Interval(low=low, high=high, method=f"square-and-add of {first.method}")


def mcnemar_exact(lost: int, gained: int) -> float:
    """Exact two-sided p-value of McNemar's test: ``lost`` pairs went yes -> no, ``gained`` went no -> yes.

    Binomial(lost + gained, 1/2); 1.0 without discordant pairs. One pair per cluster only.
    """
    if lost + gained == 0:
        return 1.0
    return float(binomtest(lost, lost + gained, 0.5).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values (Holm 1979), in the order given: controls the family-wise error rate."""
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    stepped = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]


def log_linear_rate(successes: FloatArray, n: FloatArray) -> FloatArray:
    """(successes + 1/2) / (n + 1), which never reaches 0 or 1 (Hautus 1995); NaN where n is 0."""
    with np.errstate(invalid="ignore"):
        return np.where(n > 0, (successes + 0.5) / (n + 1.0), np.nan)


def d_prime(hits: FloatArray, signals: FloatArray, false_alarms: FloatArray, noises: FloatArray) -> FloatArray:
    """Sensitivity d' = z(H) - z(F) with the log-linear correction (Stanislaw & Todorov 1999, eq. 2; Hautus 1995)."""
    return norm.ppf(log_linear_rate(hits, signals)) - norm.ppf(log_linear_rate(false_alarms, noises))


def criterion(hits: FloatArray, signals: FloatArray, false_alarms: FloatArray, noises: FloatArray) -> FloatArray:
    """Bias c = -(z(H) + z(F)) / 2 with the log-linear correction; below 0: says yes readily."""
    return -(norm.ppf(log_linear_rate(hits, signals)) + norm.ppf(log_linear_rate(false_alarms, noises))) / 2


def d_prime_variance(hits: float, signals: float, false_alarms: float, noises: float) -> float:
    """Gourevitch & Galanter's (1967) large-sample variance of d', at log-linear rates; that of c is a quarter of it."""
    total = 0.0
    for successes, n in ((hits, signals), (false_alarms, noises)):
        rate = (successes + 0.5) / (n + 1.0)
        total += rate * (1 - rate) / (n * norm.pdf(norm.ppf(rate)) ** 2)
    return float(total)


@lru_cache(maxsize=32)
def resample_counts(clusters: int, resamples: int, seed: int) -> FloatArray:
    """How often each cluster is drawn in each resample: (resamples, clusters), every row sums to ``clusters``.

    A pure function of its arguments; read-only because it is shared.
    """
    rng = np.random.default_rng([seed & (2**63 - 1), clusters])
    drawn = rng.integers(clusters, size=(resamples, clusters)) + clusters * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=resamples * clusters).reshape(resamples, clusters).astype(float)
    counts.flags.writeable = False
    return counts


def cluster_bootstrap(
    sums: FloatArray,
    statistic: Statistic,
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = LEVEL,
    method: Literal["bca", "percentile"] = "bca",
) -> Bootstrap:
    """Interval of ``statistic`` of the column totals of ``sums`` (clusters, columns), by drawing whole clusters.

    Percentile, or bias-corrected and accelerated (BCa; Efron 1987; Efron & Tibshirani 1993, ch. 14) with the
    acceleration from the leave-one-cluster-out jackknife; ties with the estimate count half in the bias correction,
    since rates are discrete. The interval is None where there is one cluster or the statistic is undefined.
    """
    totals = sums.sum(axis=0)
    estimate = float(statistic(totals))
    clusters = len(sums)
    if clusters < 2 or not np.isfinite(estimate):
        return Bootstrap(estimate=estimate, interval=None, spread=0.0, undefined=0)
    draws = statistic(resample_counts(clusters, resamples, seed) @ sums)
    kept = draws[np.isfinite(draws)]
    if not len(kept):
        return Bootstrap(estimate=estimate, interval=None, spread=0.0, undefined=resamples)
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    if method == "bca":
        tails = _bca_tails(tails, kept, estimate, statistic(totals - sums))
    low, high = np.quantile(kept, tails)
    interval = Interval(low=float(low), high=float(high), method=f"{method} bootstrap over clusters")
    return Bootstrap(estimate=estimate, interval=interval, spread=float(np.ptp(kept)), undefined=len(draws) - len(kept))


def _bca_tails(tails: FloatArray, draws: FloatArray, estimate: float, jackknife: FloatArray) -> FloatArray:
    below = np.mean(draws < estimate - _TINY) + np.mean(np.abs(draws - estimate) <= _TINY) / 2
    if not 0 < below < 1:
        return tails
    bias = norm.ppf(below)
    left_out = jackknife[np.isfinite(jackknife)]
    influence = (left_out.mean() if len(left_out) else 0.0) - left_out
    scale = 6 * np.sum(influence**2) ** 1.5
    acceleration = np.sum(influence**3) / scale if scale > _TINY else 0.0
    z = bias + norm.ppf(tails)
    return np.asarray(norm.cdf(bias + z / (1 - acceleration * z)), dtype=float)


def paired_difference(
    before: FloatArray,
    after: FloatArray,
    statistic: Statistic,
    *,
    resamples: int = 1000,
    seed: int = 0,
    level: float = LEVEL,
) -> Bootstrap:
    """Interval of statistic(after) - statistic(before), both (clusters, columns): a cluster is drawn on both sides."""
    columns = before.shape[1]

    def change(sums: FloatArray) -> FloatArray:
        return statistic(sums[..., columns:]) - statistic(sums[..., :columns])

    return cluster_bootstrap(np.hstack([before, after]), change, resamples=resamples, seed=seed, level=level)


def sign_flip_test(
    before: FloatArray, after: FloatArray, statistic: Statistic, *, flips: int = 9999, seed: int = 0
) -> float:
    """Two-sided p-value of no change, by swapping before and after within whole clusters at random.

    McNemar's test for clusters of any size (with one pair per cluster it is McNemar's, up to Monte Carlo error).
    Returns (1 + #{|swapped| >= |observed|}) / (1 + flips), never 0 (Phipson & Smyth 2010); NaN if undefined.
    """
    observed = float(statistic(after.sum(axis=0)) - statistic(before.sum(axis=0)))
    if not np.isfinite(observed):
        return float("nan")
    rng = np.random.default_rng([seed & (2**63 - 1), len(before), flips])
    swap = (rng.random((flips, len(before))) < 0.5).astype(float)
    moved = swap @ (after - before)
    swapped = statistic(after.sum(axis=0) - moved) - statistic(before.sum(axis=0) + moved)
    # An undefined swap counts as extreme: conservative.
    extreme = np.sum(~(np.abs(swapped) < abs(observed) - _TINY))
    return float((1 + extreme) / (1 + flips))
