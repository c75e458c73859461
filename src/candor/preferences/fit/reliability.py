"""How reliably annotators judge, without a model: agreement with others on the same pairs, corrected for chance."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from candor.preferences.fit._numbers import FloatArray, IntArray, indices, one_of
from candor.preferences.fit.marginal import Estimate


@dataclass(frozen=True, kw_only=True)
class ReliabilityFit:
    """Agreement corrected for chance, 2 P(agree) - 1, of the panel and of each annotator (K,).

    0 is a coin, 1 is always the same answer as any other annotator. ``panel`` is that of two random annotators on a
    random pair. ``reliability`` (K,) is that of one annotator with a random other; ``errors``, ``low`` and ``high``
    (K,) belong to it, and ``n`` (K,) counts the annotator's labels of pairs that others labelled too. Annotators
    without any have NaN and the interval from -1 to 1.
    """

    panel: Estimate
    reliability: FloatArray
    errors: FloatArray
    low: FloatArray
    high: FloatArray
    n: FloatArray


def agreement_reliability(
    pair: ArrayLike,
    annotator: ArrayLike,
    outcome: ArrayLike,
    *,
    annotators: int | None = None,
    cluster: ArrayLike | None = None,
    level: float = 0.95,
) -> ReliabilityFit:
    """Returns agreement corrected for chance, with intervals whose truth is that of a very large draw of the design.

    Arrays (N,) are as in ``annotators_marginal``; each label is compared with the labels of other annotators on the
    same pair, and counts once. With two answers of which either may be named first, chance agreement is one half
    (Bennett, Alpert and Goldstein 1954, "S"). It is also where all answer by side alone, if sides are drawn anew for
    each annotator; where all see the same order, a shared side bias counts as agreement.

    Variances are two-way: by pair (or ``cluster``), since all labels of a pair share its difficulty, and by annotator,
    since the others are a sample too (Cameron, Gelbach and Miller 2011). Intervals are Wilson's at the number of labels
    that would give the same variance, with a t quantile (one annotator:
    Satterthwaite's degrees of freedom over the two ways; panel: one less than there are annotators).

    Raises ValueError for arrays that do not fit and an outcome other than 0 and 1.
    """
    pairs = indices("pair", pair)
    who = indices("annotator", annotator, annotators, length=len(pairs))
    names = (int(who.max(initial=-1)) + 1) if annotators is None else annotators
    answer = one_of("outcome", outcome, (0, 1), len(pairs))
    groups = pairs if cluster is None else indices("cluster", cluster, length=len(pairs))
    rows = _compared(pairs, who, answer, groups)
    shared = rows.one >= 0
    label_agreement = np.bincount(rows.label, rows.agree * rows.weight, minlength=len(pairs))
    counted = np.bincount(rows.label[shared], rows.weight[shared], minlength=len(pairs)) > 0
    n = np.bincount(who[counted], minlength=names).astype(float)
    with np.errstate(invalid="ignore"):
        share = np.bincount(who[counted], label_agreement[counted], minlength=names) / n
    variance, degrees = _per_annotator(rows, share, n, names)
    low, high = _wilson(share, variance, n, degrees, level)
    return ReliabilityFit(
        panel=_panel(rows, int(counted.sum()), level),
        reliability=2 * share - 1,
        errors=np.where(n > 0, 2 * np.sqrt(variance), np.inf),
        low=np.where(n > 0, 2 * low - 1, -1.0),
        high=np.where(n > 0, 2 * high - 1, 1.0),
        n=n,
    )


@dataclass(frozen=True, kw_only=True)
class _Compared:
    """Ordered pairs of labels (M,) of one pair by two annotators; ``weight`` sums to 1 over the others of a label."""

    label: IntArray
    one: IntArray
    two: IntArray
    cluster: IntArray
    agree: FloatArray
    weight: FloatArray


def _compared(pair: IntArray, who: IntArray, answer: FloatArray, groups: IntArray) -> _Compared:
    order = np.lexsort((answer, who, pair))  # the same order whatever that of the rows
    first, second = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for a, b in _within(pair[order]):
        apart = who[order[a]] != who[order[b]]
        first += [order[a[apart]], order[b[apart]]]
        second += [order[b[apart]], order[a[apart]]]
    label, other = np.concatenate(first), np.concatenate(second)
    others = np.bincount(label, minlength=len(pair))
    return _Compared(
        label=label,
        one=who[label],
        two=who[other],
        cluster=groups[label],
        agree=(answer[label] == answer[other]).astype(float),
        weight=1.0 / np.maximum(others[label], 1),
    )


def _within(pair: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Every two entries of the same pair, for sorted pairs: (earlier, later)."""
    one, distance = np.arange(len(pair)), 0
    while len(one):
        distance += 1
        one = one[one + distance < len(pair)]
        one = one[pair[one] == pair[one + distance]]
        yield one, one + distance


def _square_sums(values: FloatArray, owner: IntArray, part: IntArray, owners: int) -> tuple[FloatArray, FloatArray]:
    """Per owner: the sum of squares of its parts' sums, and the number of its parts (owners,)."""
    key, place = np.unique(owner * (int(part.max(initial=0)) + 1) + part, return_inverse=True)
    sums = np.bincount(place, values, minlength=len(key))
    of = key // (int(part.max(initial=0)) + 1)
    squares = np.bincount(of, sums**2, minlength=owners).astype(float)  # of nothing, bincount gives integers
    return squares, np.bincount(of, minlength=owners).astype(float)


def _per_annotator(rows: _Compared, share: FloatArray, n: FloatArray, names: int) -> tuple[FloatArray, FloatArray]:
    """Two-way variance of each annotator's share, and its degrees of freedom."""
    influence = rows.weight * (rows.agree - share[rows.one]) / n[rows.one]
    by_cluster, clusters = _square_sums(influence, rows.one, rows.cluster, names)
    by_other, others = _square_sums(influence, rows.one, rows.two, names)
    both = rows.cluster * (int(rows.two.max(initial=0)) + 1) + rows.two
    overlap, _ = _square_sums(influence, rows.one, np.unique(both, return_inverse=True)[1], names)
    by_cluster *= _corrected(clusters)
    by_other *= _corrected(others)
    variance, extra = _two_ways(by_cluster, by_other, overlap)
    below = by_cluster**2 / np.maximum(clusters - 1, 1) + extra**2 / np.maximum(others - 1, 1)
    degrees = np.divide(variance**2, below, out=np.maximum(clusters - 1, 1), where=below > 0)
    return variance, np.maximum(degrees, 1.0)


def _two_ways(by_cluster: FloatArray, by_other: FloatArray, overlap: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Variance, and the part of it that annotators add to that of clusters, which is never below 0."""
    extra = np.maximum(by_other - overlap, 0.0)
    return by_cluster + extra, extra


def _corrected(count: FloatArray) -> FloatArray:
    return np.where(count > 1, count / np.maximum(count - 1, 1), 1.0)


def _wilson(
    share: FloatArray, variance: FloatArray, n: FloatArray, degrees: FloatArray, level: float
) -> tuple[FloatArray, FloatArray]:
    """Wilson's limits at the number of independent labels that would give ``variance``."""
    from scipy.special import stdtrit

    t = stdtrit(degrees, 0.5 + level / 2)
    plain = share * (1 - share)
    with np.errstate(invalid="ignore", divide="ignore"):
        size = np.maximum(np.where(variance > 0, plain / variance, n), 1.0)
        shrink = 1 + t * t / size
        centre = (share + t * t / (2 * size)) / shrink
        half = t * np.sqrt(plain / size + t * t / (4 * size * size)) / shrink
    return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)


def _panel(rows: _Compared, n: int, level: float) -> Estimate:
    """Of two random annotators; leaving one out leaves out every comparison it is in, on either side."""
    if not n:
        return Estimate(estimate=np.nan, error=np.inf, low=-1.0, high=1.0, n=0)
    share = float(rows.weight @ rows.agree) / n
    influence = rows.weight * (rows.agree - share) / n
    zero = np.zeros(len(influence), dtype=np.int64)
    by_cluster, clusters = _square_sums(influence, zero, rows.cluster, 1)
    twice, who = np.tile(influence, 2), np.concatenate([rows.one, rows.two])
    both = np.tile(rows.cluster, 2) * (int(who.max()) + 1) + who
    overlap, _ = _square_sums(twice, np.zeros(len(who), dtype=np.int64), np.unique(both, return_inverse=True)[1], 1)
    by_cluster *= _corrected(clusters)
    part = np.bincount(who, np.tile(rows.weight, 2) / n)
    left_out = np.bincount(who, twice) / np.maximum(1.0 - part, 0.1)  # the jackknife over annotators
    count = np.array([float((part > 0).sum())])
    by_who = np.array([left_out @ left_out]) * (count - 1) / count
    variance, _ = _two_ways(by_cluster, by_who, overlap)
    degrees = np.maximum(np.minimum(clusters, count) - 1, 1.0)
    low, high = _wilson(np.array([share]), variance, np.array([float(n)]), degrees, level)
    limits = (2 * float(low[0]) - 1, 2 * float(high[0]) - 1)
    return Estimate(estimate=2 * share - 1, error=2 * float(np.sqrt(variance[0])), low=limits[0], high=limits[1], n=n)
