"""From observations to numbers: per-cluster sums, and the estimators that turn sums into an estimate with an interval.

A measure counts rows ``(cluster, values)``; an estimator is a function of the column totals, with a fallback for data
on which the bootstrap has no width. A model that agrees in every one of 120 questions has not been shown to agree
always: resampling identical clusters says [1, 1], so the interval there is Wilson's with one observation per cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from candor.audits import firth, stats
from candor.audits.observations import STRENGTHS
from candor.audits.stats import FloatArray, Interval, Statistic

Row = tuple[str, tuple[float, ...]]

SLOPE_COLUMNS = 2 * len(STRENGTHS)
_X = np.asarray(STRENGTHS, dtype=float)
_DESIGN = firth.intercept_and(_X)
_FLAT = 1e-12


@dataclass(frozen=True, kw_only=True)
class Tally:
    """Sums by cluster: ``sums`` is (clusters, columns), ``n`` the observations counted. Clusters are sorted by name."""

    clusters: tuple[str, ...]
    sums: FloatArray
    n: int

    @classmethod
    def of(cls, counted: Iterable[Row], columns: int) -> Tally:
        """Returns the sums of (cluster, values) rows, each with ``columns`` values."""
        by_cluster: dict[str, list[tuple[float, ...]]] = {}
        n = 0
        for cluster, values in counted:
            by_cluster.setdefault(cluster, []).append(values)
            n += 1
        names = tuple(sorted(by_cluster))
        # Sorting what is summed makes the sums, and so everything after, independent of the order of the replies.
        sums = [np.sum(np.asarray(sorted(by_cluster[name])), axis=0) for name in names]
        return cls(clusters=names, sums=np.asarray(sums, dtype=float).reshape(len(names), columns), n=n)

    @property
    def totals(self) -> FloatArray:
        return np.asarray(self.sums.sum(axis=0), dtype=float)

    def aligned(self, clusters: Iterable[str]) -> FloatArray:
        """Sums in the order of ``clusters``; zeros for a cluster that was not counted."""
        place = {name: i for i, name in enumerate(self.clusters)}
        zeros = np.zeros(self.sums.shape[1])
        return np.asarray([self.sums[place[name]] if name in place else zeros for name in clusters], dtype=float)


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimator:
    """``compute`` maps totals (..., columns) to values; ``special`` may give an interval where the bootstrap cannot."""

    compute: Statistic
    special: Callable[[Tally, float, float], Interval | None]  # (tally, estimate, spread of the bootstrap)
    columns: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """A number with its interval. All None where the denominator is zero."""

    estimate: float | None
    interval: Interval | None
    n: int
    clusters: int
    details: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        low, high = (None, None) if self.interval is None else (self.interval.low, self.interval.high)
        return {"estimate": self.estimate, "ci_low": low, "ci_high": high, "n": self.n, "clusters": self.clusters}


@dataclass(frozen=True, kw_only=True, slots=True)
class Resampling:
    """How intervals are drawn: a seed and a number of resamples."""

    seed: int
    resamples: int = 1000

    def estimate(self, tally: Tally, estimator: Estimator) -> Estimate:
        """The estimator's value on ``tally`` with a 95% interval over clusters."""
        if tally.n == 0:
            return Estimate(estimate=None, interval=None, n=0, clusters=0)
        boot = stats.cluster_bootstrap(tally.sums, estimator.compute, resamples=self.resamples, seed=self.seed)
        if not np.isfinite(boot.estimate):
            return Estimate(estimate=None, interval=None, n=tally.n, clusters=len(tally.clusters))
        interval = estimator.special(tally, boot.estimate, boot.spread) or boot.interval
        details: dict[str, Any] = {"interval": "none: a single question" if interval is None else interval.method}
        if boot.undefined:
            details["undefined_resamples"] = boot.undefined
        if estimator is RATE:
            details["numerator"], details["denominator"] = (float(total) for total in tally.totals)
        return Estimate(
            estimate=boot.estimate, interval=interval, n=tally.n, clusters=len(tally.clusters), details=details
        )


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(denominator > 0, numerator / denominator, np.nan), dtype=float)


def _rate(s: FloatArray) -> FloatArray:
    return _ratio(s[..., 0], s[..., 1])


def _difference(s: FloatArray) -> FloatArray:
    return _ratio(s[..., 0], s[..., 1]) - _ratio(s[..., 2], s[..., 3])


def _d_prime(s: FloatArray) -> FloatArray:
    return stats.d_prime(s[..., 0], s[..., 1], s[..., 2], s[..., 3])


def _criterion(s: FloatArray) -> FloatArray:
    return stats.criterion(s[..., 0], s[..., 1], s[..., 2], s[..., 3])


def _slope(s: FloatArray) -> FloatArray:
    return firth.firth_logistic(_DESIGN, s[..., : len(_X)], s[..., len(_X) :]).coef[..., 1]


def _mean_interval(tally: Tally, estimate: float, spread: float) -> Interval | None:
    if len(tally.clusters) > 1 and spread < 1e-9 * max(1.0, abs(estimate)):
        return Interval(low=estimate, high=estimate, method="all observations are equal")
    return None


def _per_cluster(tally: Tally, numerator: int, denominator: int) -> tuple[float, int]:
    """Successes and trials with every cluster counted once: the most cautious effective sample size."""
    counted = tally.sums[tally.sums[:, denominator] > 0]
    return float(np.sum(counted[:, numerator] / counted[:, denominator])), len(counted)


def _rate_interval(tally: Tally, estimate: float, spread: float) -> Interval | None:
    ones = tally.sums[:, 1]
    single = bool(np.all(ones == 1) and np.all((tally.sums[:, 0] == 0) | (tally.sums[:, 0] == 1)))
    flat = spread < _FLAT and (estimate < _FLAT or estimate > 1 - _FLAT)
    if single or flat:
        successes, n = _per_cluster(tally, 0, 1)
        return stats.wilson(min(max(round(successes, 9), 0.0), n), n)
    return None


def _difference_interval(tally: Tally, estimate: float, spread: float) -> Interval | None:
    if spread >= _FLAT:
        return None
    rates = [_per_cluster(tally, column, column + 1) for column in (0, 2)]
    first, second = (stats.wilson(min(max(round(x, 9), 0.0), n), n) for x, n in rates)
    limits = stats.difference_of_independent(rates[0][0] / rates[0][1], first, rates[1][0] / rates[1][1], second)
    # Clusters of unequal size may put the estimate beside the difference of the per-cluster rates.
    return Interval(low=min(limits.low, estimate), high=max(limits.high, estimate), method=limits.method)


def _detection_interval(scale: float) -> Callable[[Tally, float, float], Interval | None]:
    def interval(tally: Tally, estimate: float, spread: float) -> Interval | None:
        # Unanimous hits (or false alarms) do not vary between resamples, though z is least certain just there; nor does
        # what every question says alike.
        unanimous = [tally.totals[i] in (0.0, tally.totals[i + 1]) for i in (0, 2)]
        if not any(unanimous) and spread >= _FLAT:
            return None
        hits, false_alarms = _per_cluster(tally, 0, 1), _per_cluster(tally, 2, 3)
        half = scale * stats.z_value() * stats.d_prime_variance(*hits, *false_alarms) ** 0.5
        return Interval(low=estimate - half, high=estimate + half, method="gourevitch-galanter, one per cluster")

    return interval


def _slope_interval(tally: Tally, estimate: float, spread: float) -> Interval | None:
    levels = len(_X)
    totals = tally.totals
    if not firth.separated(_X[totals[levels:] > 0], *(t[totals[levels:] > 0] for t in np.split(totals, 2))):
        return None
    # Separated in the data, separated in every resample: the bootstrap would be far too narrow.
    counted = [_per_cluster(tally, s, s + levels) for s in range(levels)]
    successes, trials = np.array(counted, dtype=float).T
    limits = firth.firth_profile(_DESIGN, successes, trials, 1)
    # Separated slopes grow with the number of replies, and the estimate counts more of them than the interval does.
    return Interval(low=min(limits.low, estimate), high=max(limits.high, estimate), method=limits.method)


RATE = Estimator(compute=_rate, special=_rate_interval, columns=2)
"""Columns (successes, trials), weights allowed: a proportion."""
MEAN = Estimator(compute=_rate, special=_mean_interval, columns=2)
"""Columns (sum, count): the mean of a quantity that is not a proportion."""
DIFFERENCE = Estimator(compute=_difference, special=_difference_interval, columns=4)
"""Columns (successes, trials, successes, trials): the first proportion minus the second."""
D_PRIME = Estimator(compute=_d_prime, special=_detection_interval(1.0), columns=4)
"""Columns (hits, signals, false alarms, noises)."""
CRITERION = Estimator(compute=_criterion, special=_detection_interval(0.5), columns=4)
"""Columns (hits, signals, false alarms, noises)."""
SLOPE = Estimator(compute=_slope, special=_slope_interval, columns=SLOPE_COLUMNS)
"""Columns (successes at strength 0..3, trials at strength 0..3): Firth's logistic coefficient per step of strength."""
