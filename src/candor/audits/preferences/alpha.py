"""Krippendorff's alpha of values that several coders gave to the same units, some of them missing, with intervals.

alpha = 1 - Do / De: the disagreement that is observed within units over the one that is expected when values are
paired regardless of the unit (Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", sections C and D).
Everything is a sum over units, so a million values take one pass and a bootstrap is a matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from candor.audits.stats import LEVEL, Interval, Statistic, cluster_bootstrap, resample_counts

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

Level = Literal["nominal", "ordinal", "interval"]
"""Ratio data need a true zero, which neither choices nor ranks nor ratings have."""

RESAMPLES = 1000
MOST_BLOCKS = 1000
"""More clusters than this are put into so many blocks at random before they are drawn: blocks are as independent."""
MOST_CODER_BLOCKS = 300
FEWEST_CODERS = 5
"""With fewer, drawing coders anew says nothing of other coders."""


@dataclass(frozen=True, kw_only=True)
class Coding:
    """What is pairable of N values: P (unit, coder) entries in units that at least two coders valued.

    ``unit``, ``coder`` (P,): numbers 0, 1, ... of what is left. ``moments`` (P, F): at the nominal level the share of
    each category among the values that the coder gave to the unit, otherwise 1, v and v^2, averaged over them: a coder
    who valued a unit twice counts once. ``coders_of`` (U,): how many coders valued each unit. ``cluster_of`` (U,): the
    cluster of each unit.
    """

    level: Level
    unit: IntArray
    coder: IntArray
    moments: FloatArray
    coders_of: IntArray
    cluster_of: IntArray

    @property
    def n(self) -> int:
        """The pairable values, repeats by one coder counted once."""
        return len(self.unit)

    @property
    def units(self) -> int:
        """The units that at least two coders valued."""
        return len(self.coders_of)

    @cached_property
    def coders(self) -> int:
        """The coders of pairable values."""
        return int(self.coder.max()) + 1 if self.n else 0

    @cached_property
    def clusters(self) -> int:
        """The clusters of the units."""
        return int(self.cluster_of.max()) + 1 if self.units else 0


def coding(units: IntArray, coders: IntArray, values: FloatArray, clusters: IntArray, *, level: Level) -> Coding:
    """Returns the pairable part of N values, all arrays (N,); NaN is a missing value.

    The clusters are those of the units: every value of a unit has the same. At the ordinal level a value is replaced
    by the mean rank of its category among the pairable values, which makes the squared difference of two the
    ordinal metric of Krippendorff 2011, section E.
    """
    known = np.flatnonzero(np.isfinite(values))
    entry, _, unit, coder = _entries(units[known], coders[known])
    coders_of = np.bincount(unit)
    enough = coders_of[unit] >= 2
    kept = enough[entry]
    value, cluster = values[known][kept], clusters[known][kept]
    renumber = np.cumsum(enough) - 1
    entry = renumber[entry[kept]]
    _, unit = np.unique(unit[enough], return_inverse=True)
    _, coder = np.unique(coder[enough], return_inverse=True)
    share = 1.0 / np.bincount(entry)[entry] if len(entry) else np.empty(0)
    features = _features(value, share, level)
    columns = [np.bincount(entry, weights=share * column, minlength=len(unit)) for column in features]
    moments = np.stack(columns, axis=1).astype(float)
    cluster_of = np.zeros(int(unit.max()) + 1 if len(unit) else 0, np.int64)
    cluster_of[unit[entry]] = cluster
    return Coding(
        level=level,
        unit=unit.astype(np.int64),
        coder=coder.astype(np.int64),
        moments=moments,
        coders_of=np.bincount(unit).astype(np.int64) if len(unit) else np.empty(0, np.int64),
        cluster_of=np.unique(cluster_of, return_inverse=True)[1].astype(np.int64),
    )


def _entries(units: IntArray, coders: IntArray) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """The (unit, coder) entry of each value, one value of each entry, and each entry's unit and coder."""
    _, unit = np.unique(units, return_inverse=True)
    names, coder = np.unique(coders, return_inverse=True)
    code = unit.astype(np.int64) * max(len(names), 1) + coder
    found, first, entry = np.unique(code, return_index=True, return_inverse=True)
    return entry, first, found // max(len(names), 1), found % max(len(names), 1)


def _features(value: FloatArray, share: FloatArray, level: Level) -> list[FloatArray]:
    if level == "nominal":
        categories = np.unique(value)
        return [(value == category).astype(float) for category in categories] or [np.empty(0)]
    if level == "ordinal":
        categories, code = np.unique(value, return_inverse=True)
        counts = np.bincount(code, weights=share, minlength=len(categories))
        value = (np.cumsum(counts) - counts / 2)[code]
    else:
        value = value - (value.mean() if len(value) else 0.0)  # alpha does not change, and squares stay exact
    return [np.ones(len(value)), value, value**2]


def _sums(coding: Coding, moments: FloatArray | None = None) -> FloatArray:
    """Per unit: the disagreement among its values, how many there are, and the totals of their moments, (U, 2 + F)."""
    x = coding.moments if moments is None else moments
    totals = np.stack([np.bincount(coding.unit, weights=column, minlength=coding.units) for column in x.T], axis=1)
    m = coding.coders_of.astype(float)
    if coding.level == "nominal":
        own = np.bincount(coding.unit, weights=np.einsum("pf,pf->p", x, x), minlength=coding.units)
        apart = m * (m - 1) - (np.einsum("uf,uf->u", totals, totals) - own)
    else:
        own = np.bincount(coding.unit, weights=x[:, 1] ** 2, minlength=coding.units)
        apart = 2 * (m - 1) * totals[:, 2] - 2 * (totals[:, 1] ** 2 - own)
    return np.column_stack([apart / (m - 1), m, totals])


def _expected(sums: FloatArray, level: Level) -> FloatArray:
    """De from totals of the moments (..., F)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        if level == "nominal":
            n = sums.sum(axis=-1)
            return np.asarray((n**2 - (sums**2).sum(axis=-1)) / (n * (n - 1)))
        n = sums[..., 0]
        return np.asarray(2 * (n * sums[..., 2] - sums[..., 1] ** 2) / (n * (n - 1)))


def _alpha_of(level: Level) -> Statistic:
    def alpha(sums: FloatArray) -> FloatArray:
        expected = _expected(sums[..., 2:], level)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(expected > 1e-12, 1 - sums[..., 0] / sums[..., 1] / expected, np.nan))

    return alpha


def _same(sums: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(1 - sums[..., 0] / sums[..., 1])


def alpha(coding: Coding) -> float:
    """Returns alpha; NaN where no unit has two values or all values are equal."""
    return float(_alpha_of(coding.level)(_sums(coding).sum(axis=0))) if coding.n else float("nan")


def agreement(coding: Coding) -> float:
    """Returns how often two coders gave one unit the same value, each value counted once; NaN without any.

    Raises ValueError at another level than the nominal, where values are more or less near and not the same or not.
    """
    if coding.level != "nominal":
        raise ValueError(f"agreement is of nominal values, these are {coding.level}")
    return float(_same(_sums(coding).sum(axis=0))) if coding.n else float("nan")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """An estimate with two intervals: over the clusters of units, and over coders (None where there are too few)."""

    estimate: float
    over_clusters: Interval | None
    over_coders: Interval | None


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """Alpha, and (at the nominal level) the share of agreeing pairs of values, each with its intervals."""

    alpha: Measured
    same: Measured | None


def measure(coding: Coding, *, seed: int, over_coders: bool = True, resamples: int = RESAMPLES) -> Agreement:
    """Returns alpha and agreement with 95% bootstrap intervals: clusters drawn anew (BCa), and coders (percentile).

    At the ordinal level the ranks of the categories stay those of all the data. ``over_coders=False`` where the coders
    are not known.
    """
    sums = _sums(coding)
    blocks = _blocks(coding.cluster_of, coding.clusters, MOST_BLOCKS, seed)
    by_block: FloatArray = sums
    if coding.n:
        by_block = np.stack([np.bincount(blocks, weights=column) for column in sums.T], axis=1).astype(float)
    draws = None
    if over_coders and coding.coders >= FEWEST_CODERS:
        draws = _coder_draws(coding, seed, resamples)

    def measured(statistic: Statistic) -> Measured:
        if not coding.n:
            return Measured(estimate=float("nan"), over_clusters=None, over_coders=None)
        drawn = cluster_bootstrap(by_block, statistic, resamples=resamples, seed=seed)
        over = None if draws is None else _percentile(statistic(draws))
        return Measured(estimate=drawn.estimate, over_clusters=drawn.interval, over_coders=over)

    same = measured(_same) if coding.level == "nominal" else None
    return Agreement(alpha=measured(_alpha_of(coding.level)), same=same)


@dataclass(frozen=True, kw_only=True)
class Chance:
    """Where alpha and agreement lie (95%) without any agreement but chance's; ``same`` at the nominal level only."""

    alpha: Interval
    same: Interval | None


def chance(coding: Coding, *, seed: int, work: float = 1e7) -> Chance:
    """Returns where alpha and agreement lie when the same values are dealt to the units at random.

    The design is kept: how many values each unit has. As many deals as ``work`` entries allow, between 20 and 400.
    """
    rng = np.random.default_rng([seed & (2**63 - 1), coding.n])
    deals = int(np.clip(work / max(coding.n, 1), 20, 400))
    totals = np.array([_sums(coding, rng.permutation(coding.moments)).sum(axis=0) for _ in range(deals)])
    same = _around(_same(totals)) if coding.level == "nominal" else None
    return Chance(alpha=_around(_alpha_of(coding.level)(totals)), same=same)


def _around(values: FloatArray) -> Interval:
    centre, spread = float(np.mean(values)), 1.96 * float(np.std(values, ddof=1))
    return Interval(low=centre - spread, high=centre + spread, method="simulation")


def _percentile(draws: FloatArray) -> Interval | None:
    kept = draws[np.isfinite(draws)]
    if len(kept) < len(draws) / 2:
        return None
    low, high = np.quantile(kept, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(low=float(low), high=float(high), method="percentile bootstrap over annotators")


def _blocks(cluster_of: IntArray, clusters: int, most: int, seed: int) -> IntArray:
    if clusters <= most:
        return cluster_of
    rng = np.random.default_rng([seed & (2**63 - 1), clusters, most])
    return np.asarray(rng.permutation(clusters)[cluster_of] % most, dtype=np.int64)


def _coder_draws(coding: Coding, seed: int, resamples: int) -> FloatArray:
    """Sums as of :func:`_sums`, one row a resample of the coders, (resamples, 2 + F).

    Disagreement is a sum over pairs of coders, so a coder drawn w times and another drawn v times meet w v times; a
    coder never meets their own copy. How much a unit counts stays as it was in the data. Many coders are drawn in
    blocks.
    """
    from scipy.sparse import csr_array

    blocks = _blocks(np.arange(coding.coders), coding.coders, MOST_CODER_BLOCKS, seed)
    groups = int(blocks.max()) + 1
    group, x = blocks[coding.coder], coding.moments
    weight = 1.0 / (coding.coders_of[coding.unit] - 1.0)

    def crossed(left: FloatArray, right: FloatArray) -> FloatArray:
        """Sum over units of weight * left of one coder * right of another, by group, (groups, groups)."""
        shape = (coding.units, groups)
        a = csr_array((left * weight, (coding.unit, group)), shape=shape)
        b = csr_array((right, (coding.unit, group)), shape=shape)
        products = np.asarray((a.T @ b).todense())
        products[np.diag_indices(groups)] -= np.bincount(group, weights=left * weight * right, minlength=groups)
        return products

    ones = np.ones(coding.n)
    met = crossed(ones, ones)
    if coding.level == "nominal":
        apart = met - sum(crossed(column, column) for column in x.T)
    else:
        squares = crossed(x[:, 2], ones)
        apart = squares + squares.T - 2 * crossed(x[:, 1], x[:, 1])
    totals = np.stack([np.bincount(group, weights=column, minlength=groups) for column in x.T], axis=1)
    drawn = resample_counts(groups, resamples, seed + 1)

    def quadratic(matrix: FloatArray) -> FloatArray:
        within = np.diag(matrix)
        return np.asarray(np.einsum("rg,rg->r", drawn @ matrix, drawn) + (drawn - drawn**2) @ within)

    return np.column_stack([quadratic(apart), quadratic(met), drawn @ totals])
