"""The same comparison put to the same annotator again: who repeats their answer, in which order shown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from candor.audits.preferences.clustered import intersection
from candor.preferences.table import Judgements

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Retests:
    """How each of A annotators answers a comparison again, all (A,).

    ``n``: answers beyond the first, ``consistent``: the expected number of them that repeat an earlier answer,
    ``chance``: the probability of that for somebody who answers at random but calls as many ties. ``swapped`` and
    ``same_order``: consistency (share) where the order shown was turned or kept, with their numbers of comparisons.
    """

    n: FloatArray
    consistent: FloatArray
    chance: FloatArray
    swapped: FloatArray
    swapped_n: FloatArray
    same_order: FloatArray
    same_order_n: FloatArray


def sets_of(judgements: Judgements) -> IntArray:
    """Returns a number for the set of responses of each comparison, (C,): the same for the same responses."""
    if not len(judgements):
        return np.empty(0, np.int64)
    mixed = judgements.items * np.int64(0x2545F4914F6CDD1D) ^ (judgements.items >> np.int64(29))
    return np.unique(np.add.reduceat(mixed, judgements.starts[:-1]), return_inverse=True)[1].astype(np.int64)


def retests(judgements: Judgements) -> Retests | None:
    """Returns how the named annotators answer the same comparison again, or None where nobody ever does.

    Two answers are the same when the same pair has the same outcome; a ranking counts with the share of its pairs.
    """
    pairs, total = judgements.pairs, len(judgements.annotator_names)
    who = judgements.annotators[pairs.comparison]
    again = intersection(np.maximum(judgements.annotators, 0), sets_of(judgements))
    answered = np.zeros(len(judgements), dtype=bool)
    answered[pairs.comparison] = True
    times = np.bincount(again, weights=answered & (judgements.annotators >= 0))
    kept = np.flatnonzero((who >= 0) & (times[again[pairs.comparison]] >= 2))
    if not len(kept):
        return None
    test = np.unique(again[pairs.comparison[kept]], return_inverse=True)[1].astype(np.int64)
    tests = int(test.max()) + 1
    entry = intersection(test, pairs.unit[kept])
    code = (2 * pairs.canonical_outcome[kept]).astype(np.int64)
    shown = np.where(pairs.ordered[kept], pairs.flipped[kept].astype(np.int64), 2)
    entries = int(entry.max()) + 1
    counts = np.bincount((entry * 3 + shown) * 3 + code, minlength=9 * entries).reshape(-1, 3, 3).astype(float)
    test_of, who_of = np.zeros(entries, np.int64), np.zeros(tests, np.int64)
    test_of[entry], who_of[test] = test, who[kept]
    same, kept_order, swapped, ties, answers = (_means(test_of, c, tests) for c in _repeated(counts))
    more = answers - 1

    def of_annotator(values: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        some = np.isfinite(values)
        n = np.bincount(who_of[some], weights=weights[some], minlength=total).astype(float)
        with np.errstate(invalid="ignore"):
            return np.bincount(who_of[some], weights=(values * weights)[some], minlength=total) / n, n

    ones = np.ones(tests)
    consistent, n = of_annotator(same, more)
    tie = of_annotator(ties, more)[0]
    swapped_share, swapped_n = of_annotator(swapped, ones)
    same_order, same_order_n = of_annotator(kept_order, ones)
    return Retests(
        n=n,
        consistent=np.nan_to_num(consistent * n),
        chance=np.nan_to_num(tie**2 + (1 - tie) ** 2 / 2, nan=0.5),
        swapped=swapped_share,
        swapped_n=swapped_n,
        same_order=same_order,
        same_order_n=same_order_n,
    )


def _repeated(counts: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
    """From answers by order shown (one way, the other, unknown) and outcome, (E, 3, 3), of each pair that was repeated.

    Shares of equal answers: of any two, of two in the same order, of two in swapped order (NaN without such two); the
    share of ties, and the number of answers.
    """
    pooled, ordered = counts.sum(axis=1), counts[:, :2]
    answers, by_order = pooled.sum(axis=1), ordered.sum(axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        same = (pooled * (pooled - 1)).sum(axis=1) / (answers * (answers - 1))
        in_order = (ordered * (ordered - 1)).sum(axis=(1, 2)) / (by_order * (by_order - 1)).sum(axis=1)
        swapped = (ordered[:, 0] * ordered[:, 1]).sum(axis=1) / (by_order[:, 0] * by_order[:, 1])
    return same, in_order, swapped, pooled[:, 1] / answers, answers


def _means(groups: IntArray, values: FloatArray, count: int) -> FloatArray:
    some = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        sums = np.bincount(groups[some], weights=values[some], minlength=count)
        return np.asarray(sums / np.bincount(groups[some], minlength=count))
