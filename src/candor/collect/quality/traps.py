"""Gold items, by what tempts to the wrong answer: who falls for length, for politeness, for flattery."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from candor.audits.preferences.rates import clustered_share
from candor.audits.stats import holm
from candor.collect.quality.linear import Limits, clustered_linear, clusterings
from candor.collect.quality.posterior import NOTHING, beta_posterior
from candor.preferences.table import FloatArray, IntArray
from candor.projects.items import TRAPS, Trap
from candor.projects.labels import Judged
from candor.projects.submissions import agrees_with

TITLES: Mapping[Trap, str] = {
    "plain": "plain",
    "long_wrong": "the wrong one is longer",
    "polite_wrong": "the wrong one is more polite",
    "flatters_wrong": "the wrong one goes along with the user",
}
FEWEST = 10
"""Answers to each of two kinds from which they are compared."""
LEVEL = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class TrapKind:
    """Accuracy on one kind of gold item; ``less_plain``: less that on plain ones (NaN where it cannot be said)."""

    trap: Trap
    accuracy: Limits
    less_plain: Limits


@dataclass(frozen=True, kw_only=True, slots=True)
class Traps:
    """Accuracy on gold items: of all annotators over all kinds, by kind, and by annotator.

    ``overall`` and kinds: Wilson's interval at the sample size that allows for annotators being few; annotators: Beta
    posterior under Jeffreys' prior.
    """

    overall: Limits
    kinds: tuple[TrapKind, ...]
    annotators: Mapping[str, Limits]
    by_kind: Mapping[str, Mapping[Trap, Limits]]


def traps(judged: Sequence[Judged]) -> Traps:
    """Accuracy on the first answers to gold items. Calibration items are left out: they tell what was right."""
    seen = [one for one in judged if one.kind == "gold" and one.gold is not None and one.round == 0]
    right = np.array([_right(one) for one in seen], dtype=float)
    who = _codes([one.handle for one in seen])
    item = _codes([str(one.item_id) for one in seen])
    kind = np.array([one.gold.trap if one.gold else "plain" for one in seen], dtype=object)
    names = sorted({one.handle for one in seen})
    handles = np.array([one.handle for one in seen], dtype=object)
    return Traps(
        overall=accuracy(right, who),
        kinds=tuple(_kind(trap, right, who, item, kind) for trap in TRAPS if np.any(kind == trap)),
        annotators={name: _beta(right[handles == name]) for name in names},
        by_kind={
            name: {t: _beta(right[at]) for t in TRAPS if (at := (handles == name) & (kind == t)).any()}
            for name in names
        },
    )


def failing(found: Traps, bound: float) -> dict[str, list[str]]:
    """Who is shown to answer gold below the ``bound``: on which kinds, or on all together, in words.

    Binomial tests against the bound, one-sided, Holm over annotators and kinds: the chance that anybody at the bound is
    named is at most 5%. It is held against no panel, so it works where most annotators share a fault; it needs gold:
    of 30 annotators somebody who guesses is found in about 80 answers, who always falls for one kind in ten of it.
    """
    from scipy.stats import binom

    cells: list[tuple[str, str, float]] = []
    for name, overall in found.annotators.items():
        of_kinds = [(TITLES[trap], limits) for trap, limits in found.by_kind[name].items()]
        for title, limits in [("all kinds together", overall), *of_kinds]:
            cells.append((name, title, float(binom.cdf(round(right_of(limits)), limits.n, bound))))
    if not cells:
        return {}
    below: dict[str, list[str]] = {}
    for (name, title, _), p in zip(cells, holm([cell[2] for cell in cells]), strict=True):
        if p < LEVEL:
            below.setdefault(name, []).append(title)
    return below


def right_of(limits: Limits) -> float:
    """How many were right, from the mean of the posterior under Jeffreys' prior."""
    return limits.estimate * (limits.n + 1) - 0.5


def _right(one: Judged) -> bool:
    return one.gold is not None and agrees_with(one.answer, one.gold.answer)


def _codes(names: Sequence[str]) -> IntArray:
    return np.unique(np.asarray(names, dtype=str), return_inverse=True)[1].astype(np.int64)


def _beta(right: FloatArray) -> Limits:
    return beta_posterior(float(right.sum()), len(right))


def accuracy(right: FloatArray, who: IntArray) -> Limits:
    """The share that is right, with an interval that allows for annotators being of different quality."""
    if not len(right):
        return NOTHING
    rate = clustered_share(right > 0.5, who)
    return Limits(estimate=rate.estimate, low=rate.low, high=rate.high, n=rate.n)


def _kind(trap: Trap, right: FloatArray, who: IntArray, item: IntArray, kind: np.ndarray) -> TrapKind:
    of, plain = kind == trap, kind == "plain"
    difference = NOTHING
    if trap != "plain" and min(of.sum(), plain.sum()) >= FEWEST:
        rows = of | plain
        design = np.column_stack([np.ones(int(rows.sum())), of[rows].astype(float)])
        codes = clusterings(who[rows], item[rows])
        difference = clustered_linear(design, right[rows], codes, np.array([[0.0, 1.0]]))[0]
    return TrapKind(trap=trap, accuracy=accuracy(right[of], who[of]), less_plain=difference)
