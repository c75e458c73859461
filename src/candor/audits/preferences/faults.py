"""Which annotators click a side, go along with the user, love length, guess, or rush: with the error rates kept.

The chance that any honest annotator of a panel is flagged for anything is at most 5%. Being in the minority is no
fault: who disagrees with the others is called random only where retests show it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from candor.audits.preferences.annotator_measures import Measure, Measures, agreement_with_others, measures
from candor.audits.preferences.outliers import (
    FEWEST,
    Bulk,
    Side,
    adjusted,
    bulk,
    counts_above,
    counts_below,
    reach,
    tail,
)
from candor.audits.preferences.pace import Pace, pace
from candor.audits.preferences.rates import counted
from candor.audits.preferences.retests import Retests
from candor.preferences.table import Judgements

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

LEVEL = 0.05
SIDE_SHARE, FLATTERY_SHARE, LENGTH_SHARE, CARELESS_SHARE = 0.53, 0.38, 0.04, 0.05
"""How the 5% are split among the kinds of fault."""

SIDE_SPREAD, FLATTERY_SPREAD, LENGTH_SPREAD, OTHERS_SPREAD, RETEST_SPREAD = 0.018, 0.03, 0.03, 0.015, 0.03
"""Standard deviations of honest annotators' true shares (length: slopes) that are granted in any case."""

FEWEST_JUDGED = 20
FEWEST_MIXED = 15
FEWEST_RETESTS = 8
MOSTLY_FAST = 0.5
NEAR_CHANCE = 0.1
"""So little above chance is no consistency to speak of, however many retests show that it is above."""


@dataclass(frozen=True, kw_only=True)
class Test:
    """One measure held against the panel. ``tested``, ``p`` (A,): family-wise p-values, 1 where not tested.

    ``usual`` is None, with the reason in ``why``, where the file does not allow the test.
    """

    tested: BoolArray
    p: FloatArray
    usual: Bulk | None
    why: str = ""
    reach: float | None = None


@dataclass(frozen=True, kw_only=True)
class Faults:
    """What A annotators were found to do, all (A,).

    Faults: ``side`` (prefers one side), ``flatters``, ``length`` (prefers what is longer, more than the others do),
    ``random`` (retests at chance), ``rushes`` (fast and at chance).
    No faults: ``minority`` (disagrees with the others, consistent with themselves), ``disagrees`` (too few retests to
    tell random from minority), ``inconsistent`` (retests below the panel's, above chance).
    """

    measures: Measures
    pace: Pace | None
    fast_share: FloatArray
    side_test: Test
    flattery_test: Test
    length_test: Test
    others_test: Test
    retest_test: Test
    side: BoolArray
    flatters: BoolArray
    length: BoolArray
    random: BoolArray
    rushes: BoolArray
    minority: BoolArray
    disagrees: BoolArray
    inconsistent: BoolArray

    @property
    def flagged(self) -> BoolArray:
        """Who has a fault, (A,)."""
        return self.side | self.flatters | self.length | self.random | self.rushes


def faults(judgements: Judgements) -> Faults:
    """Returns what the annotators of the file were found to do."""
    count = len(judgements.annotator_names)
    others = _test(
        agreement_with_others(judgements),
        count,
        OTHERS_SPREAD,
        CARELESS_SHARE,
        "below",
        "no two annotators judged the same pair",
        FEWEST_JUDGED,
    )
    disagrees = others.p < LEVEL
    found, speed = measures(judgements, disagrees), pace(judgements)
    side = _test(
        found.side, count, SIDE_SPREAD, SIDE_SHARE, "both", "no order of responses is known", FEWEST_JUDGED, disagrees
    )
    flattery = _test(
        found.flattery,
        count,
        FLATTERY_SPREAD,
        FLATTERY_SHARE,
        "above",
        "in no pair does exactly one response go along with the user",
        FEWEST_MIXED,
        disagrees,
    )
    length = _test(
        found.length,
        count,
        LENGTH_SPREAD,
        LENGTH_SHARE,
        "above",
        "no two responses differ in length",
        FEWEST_JUDGED,
        disagrees,
    )
    retest, at_chance = _retest(found.retests, count, others, disagrees)
    fast_share = _fast_share(judgements, speed, count)
    low = retest.p < LEVEL
    return Faults(
        measures=found,
        pace=speed,
        fast_share=fast_share,
        side_test=side,
        flattery_test=flattery,
        length_test=length,
        others_test=others,
        retest_test=retest,
        side=side.p < LEVEL,
        flatters=flattery.p < LEVEL,
        length=length.p < LEVEL,
        random=low & at_chance,
        rushes=_rushes(fast_share > MOSTLY_FAST, found, others, retest, at_chance),
        minority=disagrees & retest.tested & ~at_chance,
        disagrees=disagrees & ~retest.tested,
        inconsistent=low & ~at_chance,
    )


def _untested(count: int, why: str) -> Test:
    return Test(tested=np.zeros(count, dtype=bool), p=np.ones(count), usual=None, why=why)


def _test(
    measure: Measure | None,
    count: int,
    floor: float,
    share: float,
    side: Side,
    without: str,
    fewest: int,
    apart: BoolArray | None = None,
) -> Test:
    """``apart``: who does not take part in what is usual, where enough are left."""
    if measure is None:
        return _untested(count, without)
    tested = measure.n >= fewest
    if tested.sum() < FEWEST:
        have = "has" if tested.sum() == 1 else "have"
        known = counted(int(tested.sum()), "annotator")
        why = f"{known} {have} {fewest} such judgements or more, {FEWEST} are needed to compare"
        return _untested(count, why)
    values, variances = measure.adjusted[tested], measure.variance[tested]
    usual = _usual(values, variances, floor, None if apart is None else apart[tested])
    p = np.ones(count)
    p[tested] = tail(values, variances, usual, side)
    far = reach(usual, float(np.median(variances)), int(tested.sum()), share, side)
    return Test(tested=tested, p=adjusted(p, tested, share), usual=usual, reach=far)


def _usual(values: FloatArray, variances: FloatArray, floor: float, apart: BoolArray | None) -> Bulk:
    kept = np.ones(len(values), dtype=bool) if apart is None or (~apart).sum() < FEWEST else ~apart
    return bulk(values[kept], variances[kept], floor)


def _retest(retests: Retests | None, count: int, others: Test, disagrees: BoolArray) -> tuple[Test, BoolArray]:
    """Retests against the panel's, and who is at chance in them.

    Where others' judgements of the same pairs are known, only those who disagree with them are tested: the first test
    spends the error that honest annotators may cost, the second protects a minority. Elsewhere all are tested.
    """
    none = np.zeros(count, dtype=bool)
    if retests is None:
        return _untested(count, "nobody judged the same pair twice"), none
    known = retests.n >= FEWEST_RETESTS
    if known.sum() < FEWEST:
        have = "has" if known.sum() == 1 else "have"
        enough = counted(int(known.sum()), "annotator")
        why = f"{enough} {have} {FEWEST_RETESTS} retests or more, {FEWEST} are needed to compare"
        return _untested(count, why), none
    rate = retests.consistent[known] / retests.n[known]
    pooled = float(np.sum(retests.consistent[known]) / np.sum(retests.n[known]))
    variances = max(pooled * (1 - pooled), 0.01) / retests.n[known]
    usual = _usual(rate, variances, RETEST_SPREAD, disagrees[known])
    below, above = np.ones(count), np.zeros(count)
    below[known] = counts_below(retests.consistent[known], retests.n[known], usual)
    above[known] = counts_above(retests.consistent[known], retests.n[known], retests.chance[known])
    gated = known & disagrees
    alone = known & ~others.tested
    p = np.minimum(adjusted(below, gated, 1.0), adjusted(below, alone, CARELESS_SHARE))
    near = retests.consistent < (retests.chance + NEAR_CHANCE) * retests.n
    return Test(tested=known, p=p, usual=usual), known & ((above > LEVEL) | near)


def _fast_share(judgements: Judgements, speed: Pace | None, count: int) -> FloatArray:
    if speed is None:
        return np.full(count, np.nan)
    kept = np.flatnonzero((judgements.annotators >= 0) & np.isfinite(speed.fast))
    who = judgements.annotators[kept]
    with np.errstate(invalid="ignore"):
        return np.bincount(who, weights=speed.fast[kept], minlength=count) / np.bincount(who, minlength=count)


def _rushes(fast: BoolArray, found: Measures, others: Test, retest: Test, at_chance: BoolArray) -> BoolArray:
    """Fast, and at chance on retests, or where there are none on what others said of the same pairs."""
    careless = np.zeros(len(fast), dtype=bool)
    if retest.usual is not None and found.retests is not None:
        below = np.ones(len(fast))
        at = retest.tested & fast
        below[at] = counts_below(found.retests.consistent[at], found.retests.n[at], retest.usual)
        careless |= (adjusted(below, at, CARELESS_SHARE) < LEVEL) & at_chance
    if others.usual is not None and found.others is not None:
        measure, unseen = found.others, others.tested & ~retest.tested & fast
        with np.errstate(invalid="ignore"):
            above = (measure.share - 0.5) / np.sqrt(measure.variance) > 1.645
        careless |= unseen & (others.p < LEVEL) & ~above
    return fast & careless
