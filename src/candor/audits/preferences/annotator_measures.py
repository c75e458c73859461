"""What is measured of every annotator: side, going along with the user, length, agreement with others, retests.

Each measure is a mean over the annotator's comparisons. Beside the plain share it has an **adjusted** value, in which
each judgement is taken against what others said of the same pair: that leaves the expectation of an honest annotator as
it is and takes off the part of the noise that is the pair's, not the annotator's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from candor.audits.preferences.clustered import intersection
from candor.audits.preferences.retests import Retests, retests, sets_of
from candor.preferences.table import Judgements

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

AGREEMENT_FEATURE = "agreement"
"""The feature that says whether a response goes along with the user's stated view (above .5), NaN without a view."""

LEAST_VARIANCE = 1e-3
"""A kind of group whose members are all alike still has some: so it cannot outweigh all others."""
LONGEST = 2.0
"""Standard deviations of length from which a longer response counts no more: no pair decides alone."""
FEWEST_OF_A_KIND = 100
"""Groups of repeats from which their own variance is taken, instead of that of all groups."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One number of each of A annotators, all (A,); ``n`` comparisons stand behind it, NaN where there are none.

    ``share``: as it is in the file; ``adjusted``: against what others said of the same pairs; ``variance``: of
    ``adjusted`` by sampling, with the panel's variance of a comparison; repeats of a comparison count as one.
    """

    n: FloatArray
    share: FloatArray
    adjusted: FloatArray
    variance: FloatArray


@dataclass(frozen=True, kw_only=True)
class Measures:
    """Everything that is known of A annotators; None where the file cannot show it of anybody."""

    judgements: IntArray
    seconds: FloatArray
    side: Measure | None
    flattery: Measure | None
    length: Measure | None
    others: Measure | None
    retests: Retests | None


def agreement_with_others(judgements: Judgements) -> Measure | None:
    """Returns how often another judgement of the same pair, drawn at random, is the same; None without any."""
    pairs, same, apart = _same(judgements)
    return _measure(judgements, pairs, same, np.zeros(len(pairs)), apart)


def sameness(judgements: Judgements) -> FloatArray:
    """Returns how often others answered as each comparison does, (C,); NaN where nobody else judged its pairs."""
    kept, same, _ = _same(judgements)
    comparison = judgements.pairs.comparison[kept]
    with np.errstate(invalid="ignore"):
        return np.asarray(
            np.bincount(comparison, weights=same, minlength=len(judgements))
            / np.bincount(comparison, minlength=len(judgements))
        )


def _same(judgements: Judgements) -> tuple[IntArray, FloatArray, BoolArray]:
    consensus = _consensus(judgements, None)
    kept = np.flatnonzero(consensus.others > 0)
    return kept, consensus.counts[kept, consensus.code[kept]] / consensus.others[kept], consensus.apart


def measures(judgements: Judgements, apart: BoolArray | None = None) -> Measures:
    """Returns the measures of every annotator that is named.

    ``apart`` (A,): annotators whose judgements say nothing of the others', nor the others' of theirs: they are not
    counted among what others said, and their own judgements are taken as they are.
    """
    known = judgements.annotators >= 0
    count = len(judgements.annotator_names)
    consensus = _consensus(judgements, apart)
    return Measures(
        judgements=np.bincount(judgements.annotators[known], minlength=count),
        seconds=medians(judgements.annotators, judgements.seconds, count),
        side=_side(judgements, consensus),
        flattery=_flattery(judgements, consensus),
        length=_length(judgements, consensus),
        others=agreement_with_others(judgements),
        retests=retests(judgements),
    )


def medians(groups: IntArray, values: FloatArray, count: int) -> FloatArray:
    """Returns the median of the finite values in each of ``count`` groups, NaN without any; group -1 is left out."""
    kept = np.flatnonzero((groups >= 0) & np.isfinite(values))
    order = kept[np.lexsort((values[kept], groups[kept]))]
    sizes = np.bincount(groups[order], minlength=count)
    starts = np.cumsum(sizes) - sizes
    some = sizes > 0
    found = np.full(count, np.nan)
    low, high = starts[some] + (sizes[some] - 1) // 2, starts[some] + sizes[some] // 2
    found[some] = (values[order[low]] + values[order[high]]) / 2
    return found


@dataclass(frozen=True, kw_only=True)
class _Consensus:
    """Of each judged pair (Q,): how many judgements others gave, how many of each outcome, and the outcome's code."""

    others: IntArray
    counts: FloatArray  # (Q, 3): second preferred, equal, first preferred, from the canonical side
    code: IntArray
    prediction: FloatArray  # of the canonical outcome, minus 1/2
    apart: BoolArray  # (A,)


def _consensus(judgements: Judgements, apart: BoolArray | None) -> _Consensus:
    pairs = judgements.pairs
    apart = np.zeros(len(judgements.annotator_names), dtype=bool) if apart is None else apart
    who = judgements.annotators[pairs.comparison]
    who = np.where(who >= 0, who, len(judgements.annotator_names) + pairs.comparison)
    span = int(who.max()) + 1 if len(who) else 1
    _, entry = np.unique(pairs.unit * span + who, return_inverse=True)
    code = (2 * pairs.canonical_outcome).astype(np.int64)
    units = int(pairs.unit.max()) + 1 if len(pairs) else 0
    entries = int(entry.max()) + 1 if len(pairs) else 0
    alone = np.append(apart, False)[judgements.annotators[pairs.comparison]]  # -1, nobody knows who, is the last
    counted = np.where(alone, 0.0, 1.0)
    of_unit = np.bincount(pairs.unit * 3 + code, weights=counted, minlength=3 * units).reshape(-1, 3)
    of_entry = np.bincount(entry * 3 + code, weights=counted, minlength=3 * entries).reshape(-1, 3)
    counts = (of_unit[pairs.unit] - of_entry[entry]).astype(float)
    counts[alone] = 0.0
    others = counts.sum(axis=1)
    lean = (counts[:, 2] - counts[:, 0]) / np.maximum(others, 1)  # -1 to 1
    own = (code - 1).astype(float)
    judged = others > 0
    squares = float(np.sum(own[judged] ** 2))
    # How far one judgement tells of another of the same pair; a product, as which item is canonical says nothing.
    rho = float(np.clip(np.sum(own[judged] * lean[judged]) / squares, 0.0, 0.95)) if squares else 0.0
    shrunk = others * rho / (1 + (others - 1) * rho) if rho else np.zeros(len(others))
    return _Consensus(
        others=others.astype(np.int64), counts=counts, code=code, prediction=shrunk * lean / 2, apart=apart
    )


def _side(judgements: Judgements, consensus: _Consensus) -> Measure | None:
    """How often the response shown first is preferred, ties left out."""
    pairs = judgements.pairs
    kept = np.flatnonzero(pairs.ordered & (pairs.outcome != 0.5))
    towards = np.where(pairs.flipped, -1.0, 1.0)[kept]
    towards = towards * consensus.prediction[kept]
    return _measure(judgements, kept, pairs.outcome[kept], towards, consensus.apart, pairs.flipped[kept])


def _flattery(judgements: Judgements, consensus: _Consensus) -> Measure | None:
    """How often the response that goes along with the user is preferred, of pairs in which exactly one does."""
    if AGREEMENT_FEATURE not in judgements.feature_names:
        return None
    pairs, agrees = judgements.pairs, judgements.feature(AGREEMENT_FEATURE)
    first, second = agrees[pairs.first], agrees[pairs.second]
    mixed = np.isfinite(first) & np.isfinite(second) & ((first > 0.5) != (second > 0.5)) & (pairs.outcome != 0.5)
    kept = np.flatnonzero(mixed)
    with_first = first[kept] > 0.5
    chosen = np.where(with_first, pairs.outcome[kept], 1 - pairs.outcome[kept])
    towards = np.where(pairs.flipped[kept] ^ ~with_first, -1.0, 1.0)
    return _measure(judgements, kept, chosen, towards * consensus.prediction[kept], consensus.apart)


def _length(judgements: Judgements, consensus: _Consensus) -> Measure | None:
    """What one standard deviation more of log length does to the probability of being preferred.

    ``share``: how often the longer response is preferred. ``adjusted``: the slope of each annotator's answers, taken
    against what others said of the same pairs, on the difference in length. A share would do, but a slope needs 2/pi of
    the judgements, since pairs of nearly one length say next to nothing.
    """
    pairs, size = judgements.pairs, np.log(np.maximum(judgements.characters, 1))
    apart = size[pairs.first] - size[pairs.second]
    named = judgements.annotators[pairs.comparison] >= 0
    kept = np.flatnonzero((apart != 0) & (pairs.outcome != 0.5) & named)
    if not len(kept):
        return None
    x = np.clip(apart[kept] / np.sqrt(np.mean(apart[kept] ** 2)), -LONGEST, LONGEST)
    towards = np.where(pairs.flipped[kept], -1.0, 1.0)
    left = pairs.outcome[kept] - 0.5 - towards * consensus.prediction[kept]
    comparison = pairs.comparison[kept]
    counts = np.bincount(comparison, minlength=len(judgements))
    at = np.flatnonzero(counts)

    def mean(column: FloatArray) -> FloatArray:
        return np.bincount(comparison, weights=column, minlength=len(judgements))[at] / counts[at]

    total, who = len(judgements.annotator_names), judgements.annotators[at]
    group = intersection(who, sets_of(judgements)[at])
    times = np.bincount(group)
    who_of = np.zeros(len(times), np.int64)
    who_of[group] = who
    along = np.bincount(group, weights=mean(x * left)) / times
    squares = np.bincount(group, weights=mean(x * x)) / times

    def of_annotator(values: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(who_of, weights=values, minlength=total), dtype=float)

    with np.errstate(invalid="ignore", divide="ignore"):
        slope = np.nan_to_num(of_annotator(along) / of_annotator(squares))
        noise = (along - slope[who_of] * squares) / np.sqrt(squares)  # of one variance, whatever the lengths
        weight = _weights(noise, np.minimum(times, 3) + 4 * consensus.apart[who_of], who_of, total)
        information = of_annotator(weight * squares)
        n = np.bincount(who, minlength=total).astype(float)
        chosen = np.bincount(
            who, weights=mean(np.where(x > 0, pairs.outcome[kept], 1 - pairs.outcome[kept])), minlength=total
        )
        return Measure(
            n=n, share=chosen / n, adjusted=of_annotator(weight * along) / information, variance=1 / information
        )


def _measure(
    judgements: Judgements,
    pairs: IntArray,
    values: FloatArray,
    predicted: FloatArray,
    apart: BoolArray,
    turned: BoolArray | None = None,
) -> Measure | None:
    """Means over pairs of a comparison, then over the annotator's repeats of it, then over the annotator's comparisons.

    A repeat is no new observation: of one judged twice only the mean counts, with the weight that the variance of such
    means in this panel gives it. ``turned`` (of each pair) says which way round it was shown: two answers to one
    comparison shown both ways say more about side than two to different ones. None without any comparison.
    """
    comparison = judgements.pairs.comparison[pairs]
    counts = np.bincount(comparison, minlength=len(judgements))
    at = np.flatnonzero((counts > 0) & (judgements.annotators >= 0))
    if not len(at):
        return None

    def mean(column: FloatArray) -> FloatArray:
        return np.bincount(comparison, weights=column, minlength=len(judgements))[at] / counts[at]

    value, total = mean(values), len(judgements.annotator_names)
    residual = value - mean(predicted)
    who = judgements.annotators[at]
    group = intersection(who, sets_of(judgements)[at])
    size = np.bincount(group)
    who_of = np.zeros(len(size), np.int64)
    who_of[group] = who
    of_group = np.bincount(group, weights=residual) / size
    other_way = np.zeros(len(size)) if turned is None else np.bincount(group, weights=mean(turned.astype(float)) > 0.5)
    kind = np.minimum(size - other_way, 3) * 4 + np.minimum(other_way, 3)
    kind = np.minimum(kind, np.minimum(other_way, 3) * 4 + np.minimum(size - other_way, 3)).astype(np.int64)
    kind = np.where(apart[who_of], kind + 16, kind)
    weight = _weights(of_group, kind, who_of, total)
    with np.errstate(invalid="ignore", divide="ignore"):
        n = np.bincount(who, minlength=total).astype(float)
        share = np.bincount(who, weights=value, minlength=total) / n
        weights = np.bincount(who_of, weights=weight, minlength=total)
        adjusted = np.bincount(who_of, weights=weight * of_group, minlength=total) / weights
        return Measure(n=n, share=share, adjusted=adjusted, variance=1 / weights)


def _weights(values: FloatArray, kinds: IntArray, who: IntArray, total: int) -> FloatArray:
    """One over the variance of each value around its annotator's mean, by kind of group, pooled over annotators."""
    n = np.maximum(np.bincount(who, minlength=total), 1)
    centred = values - (np.bincount(who, weights=values, minlength=total) / n)[who]
    freedom = len(values) - int(np.count_nonzero(np.bincount(who)))  # a mean was taken off per annotator
    lost = len(values) / (freedom if freedom > 0 else 1)
    all_of_them = float(np.mean(centred**2)) * lost
    members = np.bincount(kinds, minlength=1)
    with np.errstate(invalid="ignore"):
        of_kind = np.bincount(kinds, weights=centred**2) / members * lost
    of_kind = np.where(members >= FEWEST_OF_A_KIND, of_kind, all_of_them).astype(float)
    return np.asarray(1.0 / np.maximum(of_kind[kinds], LEAST_VARIANCE))
