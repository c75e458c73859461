"""Blind spots: slices of held-out pairs in which a reward model cannot tell better from worse.

A slice is a conjunction of up to two features (a relation, a stance, a kind of reply, ...). They are searched for on
two fifths of the questions and tested on the others, so that what chance made look bad is not claimed. A slice is blind
where its edge over a coin, accuracy - 1/2, is less than three fifths of the edge on all other pairs:

    D = (accuracy in the slice - 1/2) - 0.6 (accuracy in the rest - 1/2) < 0

tested one-sided with standard errors clustered by question, Holm-corrected over the slices that are tested.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import t as student

from candor.audits.reward.scores import mean_finding
from candor.audits.stats import LEVEL, holm
from candor.records import Finding

FloatArray = NDArray[np.float64]

LEAST_PAIRS, LEAST_QUESTIONS = 20, 4
"""What a slice needs in each part to be looked at."""

TAKEN = 3
"""Slices that are taken to the second part: the worst of the first that are not part of each other."""

SUSPECT = 0.25
"""The one-sided p-value on the first part below which a slice is taken on."""

KEEPS = 0.6
"""The share of the others' edge over a coin that a slice has to keep."""

SEARCHED = 0.4
"""The share of questions that slices are searched for on; the others test them."""

MOST = 0.7
"""Share of all pairs beyond which a slice is no part but the whole."""


@dataclass(frozen=True, kw_only=True)
class JudgedPair:
    """A held-out pair: ``gap`` is the better reply's score less the worse one's; ``features`` describe the pair.

    ``start``: a policy's log-odds of the better reply over the worse one; None: not asked, taken as even.
    """

    question: str
    gap: float
    features: Mapping[str, str]
    texts: Mapping[str, str]
    start: float | None = None


@dataclass(frozen=True, kw_only=True)
class Slice:
    """What was found of one slice on the second part; ``p`` is adjusted over the slices that were tested.

    ``pairs`` index the pairs given, of both parts.
    """

    terms: tuple[tuple[str, str], ...]
    accuracy: float
    interval: tuple[float, float]
    rest: float
    n: int
    questions: int
    p: float
    pairs: tuple[int, ...]

    @property
    def blind(self) -> bool:
        return self.p < 1 - LEVEL

    def __str__(self) -> str:
        return " and ".join(f"{name} = {value}" for name, value in self.terms)


@dataclass(frozen=True, kw_only=True)
class Search:
    """``tested``: the slices taken to the second part, of ``looked_at``; ``accuracy``: of all pairs."""

    tested: tuple[Slice, ...]
    looked_at: int
    accuracy: Finding

    @property
    def blind(self) -> tuple[Slice, ...]:
        return tuple(one for one in self.tested if one.blind)


def find_blind_spots(pairs: Sequence[JudgedPair], *, seed: int = 0, bootstrap: int = 1000) -> Search:
    """Returns the slices that were suspected on one part of the questions and what the others say of them.

    The parts follow from the questions' names and ``seed``, not from the order of the pairs. Raises ValueError
    without pairs.
    """
    if not pairs:
        raise ValueError("no pairs to search")
    right = np.array([1.0 if pair.gap > 0 else 0.5 if pair.gap == 0 else 0.0 for pair in pairs])
    names, question = np.unique(np.array([pair.question for pair in pairs]), return_inverse=True)
    order = np.argsort([sha256(f"{seed} {name}".encode()).hexdigest() for name in names])
    searched = np.zeros(len(names), dtype=bool)
    searched[order[: int(SEARCHED * len(names))]] = True
    first = searched[question]
    slices = list(_slices(pairs, first, question))
    suspected = sorted(
        ((_test(right[first], mask[first], question[first]), terms, mask) for terms, mask in slices),
        key=lambda item: (item[0], item[1]),
    )
    taken = _distinct([(terms, mask) for p, terms, mask in suspected if p < SUSPECT])[:TAKEN]
    second = ~first
    adjusted = holm([_test(right[second], mask[second], question[second]) for _, mask in taken])
    tested = tuple(
        _told(terms, mask, second, right, question, p, seed, bootstrap)
        for (terms, mask), p in zip(taken, adjusted, strict=True)
    )
    rows = [(pair.question, value) for pair, value in zip(pairs, right.tolist(), strict=True)]
    accuracy = mean_finding("pair_accuracy", rows, seed=seed, bootstrap=bootstrap)
    return Search(tested=tested, looked_at=len(slices), accuracy=accuracy)


def worse_under(pairs: Sequence[JudgedPair], beta: float) -> float:
    """Returns the share of the worse reply that optimising the score under ``beta`` brings, of the two replies.

    The optimum pi* ~ pi e^{r / beta} adds gap / beta to the log-odds of the better reply over the worse one, which
    start where the policy has them; from an even start the worse one's share is 1 / (1 + e^{gap / beta}). An infinite
    beta gives the policy as it is.
    """
    gaps = np.array([pair.gap for pair in pairs])
    starts = np.array([pair.start or 0.0 for pair in pairs])
    return float(np.mean(expit(-(starts + gaps / beta))))


def _slices(
    pairs: Sequence[JudgedPair], first: NDArray[np.bool_], question: NDArray[np.intp]
) -> Iterator[tuple[tuple[tuple[str, str], ...], NDArray[np.bool_]]]:
    """Every conjunction of one or two features with enough pairs and questions in both parts."""
    values: dict[tuple[str, str], NDArray[np.bool_]] = {}
    for name in sorted({name for pair in pairs for name in pair.features}):
        column = np.array([pair.features.get(name, "") for pair in pairs])
        for value in np.unique(column):
            if value:
                values[name, str(value)] = column == value

    def enough(mask: NDArray[np.bool_]) -> bool:
        if mask.mean() > MOST:
            return False
        return all(
            (mask & part).sum() >= LEAST_PAIRS and len(np.unique(question[mask & part])) >= LEAST_QUESTIONS
            for part in (first, ~first)
        )

    single = {term: mask for term, mask in values.items() if enough(mask)}
    yield from (((term,), mask) for term, mask in single.items())
    for (one, mask), (other, with_it) in itertools.combinations(single.items(), 2):
        if one[0] != other[0] and enough(both := mask & with_it):
            yield (one, other), both


def _test(right: FloatArray, inside: NDArray[np.bool_], question: NDArray[np.intp]) -> float:
    """The one-sided p-value of D >= 0, by the sandwich over questions with a small-sample factor."""
    within, without = right[inside] - 0.5, right[~inside] - 0.5
    if not len(within) or not len(without):
        return 1.0
    edge, rest = float(within.mean()), float(without.mean())
    if rest <= 0:
        return 1.0  # there is nothing that the slice could lack
    statistic = edge - KEEPS * rest
    influence = np.zeros(len(right))
    influence[inside] = (within - edge) / len(within)
    influence[~inside] = -KEEPS * (without - rest) / len(without)
    sums = np.bincount(question, weights=influence)
    groups = len(np.unique(question[inside]))
    error = float(np.sqrt((sums**2).sum() * groups / max(1, groups - 1)))
    if error == 0:
        return 0.0 if statistic < 0 else 1.0
    return float(student.cdf(statistic / error, groups - 1))


def _distinct(
    found: Sequence[tuple[tuple[tuple[str, str], ...], NDArray[np.bool_]]],
) -> list[tuple[tuple[tuple[str, str], ...], NDArray[np.bool_]]]:
    """Without slices that lie within a worse one, but for a fifth, or hold it, but for a fifth."""
    kept: list[tuple[tuple[tuple[str, str], ...], NDArray[np.bool_]]] = []
    for terms, mask in found:
        if all((mask & other).sum() < 0.8 * min(mask.sum(), other.sum()) for _, other in kept):
            kept.append((terms, mask))
    return kept


def _told(
    terms: tuple[tuple[str, str], ...],
    mask: NDArray[np.bool_],
    second: NDArray[np.bool_],
    right: FloatArray,
    question: NDArray[np.intp],
    p: float,
    seed: int,
    bootstrap: int,
) -> Slice:
    inside, outside = mask & second, ~mask & second
    rows = [(str(q), value) for q, value in zip(question[inside].tolist(), right[inside].tolist(), strict=True)]
    found = mean_finding("slice_accuracy", rows, seed=seed, bootstrap=bootstrap)
    assert found.ci_low is not None, "a slice has several questions"
    assert found.ci_high is not None
    return Slice(
        terms=terms,
        accuracy=float(right[inside].mean()),
        interval=(found.ci_low, found.ci_high),
        rest=float(right[outside].mean()),
        n=found.n,
        questions=len({q for q, _ in rows}),
        p=p,
        pairs=tuple(np.flatnonzero(mask).tolist()),
    )
