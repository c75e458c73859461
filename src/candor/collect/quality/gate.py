"""Whether a batch of labels may be released: each measure against its bound, or how much more it takes to tell.

A batch passes when every check passes. What cannot be told does not pass. The bounds are the project's settings. One
rule for all: a check fails where the whole 95% interval lies on the wrong side of its bound; it passes where the whole
interval lies on the right side, or reaches across the bound and is narrow; else it cannot be told. So a good batch at
the very bound is blocked by one check in 40, and a bad one that passes is at most about a half width beyond the bound.
How narrow: ``ALPHA_HALF``, ``FLIPS_HALF``, ``TRAPS_HALF``, ``COEFFICIENT_HALF`` (side, length, politeness, agreement
with the user, the arm's effect), ``PAY_HALF`` of the bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from candor.audits.preferences import agreement
from candor.audits.preferences.effects import AGREEMENT, SIDE, Design, Effect, label_effects
from candor.audits.preferences.retests import retests
from candor.audits.preferences.survey import Survey
from candor.audits.stats import wilson
from candor.collect.quality.arm import ArmEffect, arm_effect
from candor.collect.quality.columns import Remembered, surveyed
from candor.collect.quality.linear import Limits
from candor.collect.quality.pay import Worked, effective_hourly
from candor.collect.quality.posterior import NOTHING
from candor.collect.quality.traps import TITLES, Traps, traps
from candor.projects.labels import Judged
from candor.projects.settings import Gate, Settings

ALPHA_HALF, FLIPS_HALF, TRAPS_HALF, COEFFICIENT_HALF = 0.1, 0.06, 0.1, 0.5
"""Half widths up to which an interval that reaches across a bound counts as narrow."""
PAY_HALF = 0.25
"""As a share of the bound."""
FEWEST_PAIRS, FEWEST_RETESTS, FEWEST_GOLD, FEWEST_TIMED = 30, 30, 30, 30
RARE = 200
"""Judged pairs from which a feature that differs in fewer than ten of them is too rare to matter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class GateCheck:
    """One measure. ``passes`` is None where it cannot be told; ``more``: how many more answers would do, about."""

    name: str
    title: str
    passes: bool | None
    meaning: str
    bound: str
    more: int | None = None
    measured: Limits = NOTHING


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """The answer of the gate on a batch (None: on all of them)."""

    batch: int | None
    checks: tuple[GateCheck, ...]

    @property
    def passes(self) -> bool:
        return all(check.passes is True for check in self.checks)

    @property
    def reasons(self) -> list[str]:
        """Why it does not pass."""
        return [check.meaning for check in self.checks if check.passes is not True]


def gate(
    judged: Sequence[Judged],
    settings: Settings,
    workers: Sequence[Worked] = (),
    *,
    batch: int | None = None,
    describe: Remembered | None = None,
) -> Release:
    """Puts a batch (its answers, gold among them, and what its annotators did) to the gate and returns every check."""
    survey = surveyed(judged, describe=describe)
    return Release(batch=batch, checks=tuple(_checks(survey, judged, settings, workers)))


def _checks(survey: Survey, judged: Sequence[Judged], settings: Settings, workers: Sequence[Worked]) -> list[GateCheck]:
    bounds = settings.gate
    found = [alpha_check(survey, bounds), flips_check(survey, bounds), traps_check(traps(judged), bounds)]
    found += coefficient_checks(survey, bounds)
    arm = arm_effect(judged)
    if arm is not None:
        found.append(arm_check(arm, bounds))
    return [*found, pay_check(workers, settings)]


def decided(measured: Limits, bound: float, half: float, *, least: bool) -> bool | None:
    """True, False or None by the module's rule; ``least``: the bound is to be reached, not kept under."""
    if not math.isfinite(measured.estimate) or not measured.known:
        return None
    below, above = measured.high < bound, measured.low > bound
    if below or above:
        return above if least else below
    return True if (measured.high - measured.low) / 2 <= half else None


def more_needed(measured: Limits, half: float, n: float, fewest: int) -> int:
    """How many more would make the interval as narrow as ``half``: widths fall with the root of their number."""
    if not measured.known:
        return max(fewest - int(n), 1)
    width = (measured.high - measured.low) / 2
    return max(fewest - int(n), math.ceil(n * ((width / half) ** 2 - 1)), 1)


def alpha_check(survey: Survey, bounds: Gate) -> GateCheck:
    """Krippendorff's alpha; interval over prompts."""
    bound, title = bounds.alpha_at_least, "Annotators agree"
    found = [
        (f, check.details)
        for check in agreement.checks(survey)
        for f in check.findings
        if f.metric.startswith("krippendorff_alpha") and f.estimate is not None
    ]
    limit = f"alpha of {bound:g} or more"
    if not found:
        return GateCheck(
            name="alpha", title=title, passes=None, bound=limit, more=FEWEST_PAIRS,
            meaning=f"Too few items were judged by two annotators: {FEWEST_PAIRS} at least are needed.",
        )  # fmt: skip
    first, details = found[0]
    measured = _limits(first.estimate, first.ci_low, first.ci_high, first.n)
    units = int(details.get("pairs_judged_by_several", first.n))
    passes = decided(measured, bound, ALPHA_HALF, least=True)
    said = f"Krippendorff's alpha is {said_of(measured)}, on {units:,} items judged by several."
    more = None
    if passes is None:
        more = more_needed(measured, ALPHA_HALF, units, FEWEST_PAIRS)
        said += f" That is too wide to tell: about {more:,} more items with several labels would do."
    return GateCheck(name="alpha", title=title, passes=passes, meaning=said, bound=limit, more=more, measured=measured)


def flips_check(survey: Survey, bounds: Gate) -> GateCheck:
    """Side-swapped retests that are answered the other way; Wilson's interval."""
    bound, title = bounds.flips_at_most, "Answers hold when sides are swapped"
    found = retests(survey.judgements)
    n = 0.0 if found is None else float(found.swapped_n.sum())
    limit = f"at most {bound:.0%} flipped"
    if found is None or not n:
        return GateCheck(
            name="flips", title=title, passes=None, bound=limit, more=FEWEST_RETESTS,
            meaning=f"Nobody has judged an item again with the sides swapped: {FEWEST_RETESTS} retests are needed.",
        )  # fmt: skip
    flipped = float(np.nansum((1 - found.swapped) * found.swapped_n))
    over = wilson(min(max(flipped, 0.0), n), n)
    measured = Limits(estimate=flipped / n, low=over.low, high=over.high, n=int(n))
    passes = decided(measured, bound, FLIPS_HALF, least=False) if n >= FEWEST_RETESTS else None
    said = f"{percent_of(measured)} of {int(n):,} side-swapped retests were answered the other way."
    more = None
    if passes is None:
        more = more_needed(measured, FLIPS_HALF, n, FEWEST_RETESTS)
        said += f" That is too few to tell: about {more:,} more would do."
    return GateCheck(name="flips", title=title, passes=passes, meaning=said, bound=limit, more=more, measured=measured)


def traps_check(found: Traps, bounds: Gate) -> GateCheck:
    """Accuracy on gold items: over all kinds, and no kind of trap wholly below the bound."""
    bound, title = bounds.traps_at_least, "Gold items are answered rightly"
    limit, n = f"{bound:.0%} right or more, on every kind", found.overall.n
    if n < FEWEST_GOLD:
        return GateCheck(
            name="traps", title=title, passes=None, bound=limit, more=FEWEST_GOLD - n, measured=found.overall,
            meaning=f"{n:,} answers to gold items are too few to tell: {FEWEST_GOLD - n:,} more would do.",
        )  # fmt: skip
    measured = found.overall
    if measured.estimate >= 1 or not measured.known:
        over = wilson(measured.estimate * n, n)
        measured = Limits(estimate=measured.estimate, low=over.low, high=over.high, n=n)
    passes = decided(measured, bound, TRAPS_HALF, least=True)
    said = f"{percent_of(measured)} of {n:,} answers to gold items are right."
    fallen = [kind for kind in found.kinds if kind.accuracy.known and kind.accuracy.high < bound]
    if fallen:
        passes = False
        parts = [f"{TITLES[kind.trap]}: {percent_of(kind.accuracy)}" for kind in fallen]
        said += f" Below the bound where {'; '.join(parts)}."
    more = None
    if passes is None:
        more = more_needed(measured, TRAPS_HALF, n, FEWEST_GOLD)
        said += f" That is too wide to tell: about {more:,} more would do."
    return GateCheck(name="traps", title=title, passes=passes, meaning=said, bound=limit, more=more, measured=measured)


COEFFICIENTS = {
    SIDE: ("side", "No side is preferred", "being shown first"),
    "log_words": ("length", "Length does not decide", "one standard deviation more of length"),
    "politeness": ("politeness", "Politeness does not decide", "one standard deviation more of polite words"),
    AGREEMENT: ("agreement", "Agreeing with the user does not decide", "agreeing with the user's stated view"),
}


def coefficient_checks(survey: Survey, bounds: Gate) -> list[GateCheck]:
    """The preference audit's regression: log odds of side, length, politeness and agreement with the user."""
    design = Design(survey.judgements, seed=survey.seed)
    effects = label_effects(survey.judgements, seed=survey.seed, design=design)
    return [_coefficient(effects.of(name), name, len(design), bounds) for name in COEFFICIENTS]


def _coefficient(effect: Effect | None, feature: str, pairs: int, bounds: Gate) -> GateCheck:
    name, title, what = COEFFICIENTS[feature]
    bound = bounds.coefficient_at_most
    limit = f"log odds within {bound:g} either way"
    if effect is None or not effect.known:
        differ = 0 if effect is None else effect.differ
        why = "it is not recorded" if effect is None else effect.why_not
        rare = pairs >= RARE and differ < 10 and feature != SIDE
        more = None if rare else max(RARE - pairs, 10)
        said = f"The effect of {what} was not estimated: {why}."
        said += " That is too rare to matter." if rare else f" About {more:,} more judgements would do."
        return GateCheck(name=name, title=title, passes=True if rare else None, meaning=said, bound=limit, more=more)
    measured = Limits(estimate=effect.estimate, low=effect.low, high=effect.high, n=effect.n)
    return _within_bound(measured, name, title, f"The log odds of {what} are", bound)


def arm_check(arm: ArmEffect, bounds: Gate) -> GateCheck:
    """The effect of stating the belief, as a cause; only going along with it is a fault."""
    said = (
        f"Stating the belief moves the preference for the agreeing reply by {said_of(arm.difference)} (a cause: "
        "the same replies with the belief hidden). In log odds that is"
    )
    return _within_bound(
        arm.log_odds, "arm", "Stating a belief does not decide", said, bounds.coefficient_at_most, one_sided=True
    )


def _within_bound(
    measured: Limits, name: str, title: str, lead: str, bound: float, *, one_sided: bool = False
) -> GateCheck:
    limit = f"log odds {'at most' if one_sided else 'within'} {bound:g}{'' if one_sided else ' either way'}"
    beyond = measured.low > bound or (measured.high < -bound and not one_sided)
    reaches = measured.high > bound or (measured.low < -bound and not one_sided)
    width = (measured.high - measured.low) / 2
    passes: bool | None = not beyond
    said = f"{lead} {said_of(measured)}."
    more = None
    if not beyond and reaches and width > COEFFICIENT_HALF:
        passes, more = None, more_needed(measured, COEFFICIENT_HALF, measured.n, 0)
        said += f" That is too wide to tell: about {more:,} more judgements of such items would do."
    elif beyond:
        said += " The whole interval lies beyond the bound."
    return GateCheck(name=name, title=title, passes=passes, meaning=said, bound=limit, more=more, measured=measured)


def pay_check(workers: Sequence[Worked], settings: Settings) -> GateCheck:
    """Effective pay for an hour of visible time."""
    title = "An hour of work is paid as agreed"
    bound = settings.gate.hourly_at_least if settings.gate.hourly_at_least is not None else settings.pay_per_hour
    if settings.pay_per_hour is None or bound is None:
        said = "The project has no rate of pay, so nothing is promised and nothing is held against it."
        return GateCheck(name="hourly", title=title, passes=True, meaning=said, bound="none")
    measured, limit = effective_hourly(workers, settings), f"{bound:g} {settings.currency} or more"
    if measured.n < FEWEST_TIMED or not measured.known:
        wanted = max(FEWEST_TIMED - measured.n, 1)
        said = f"{measured.n:,} timed tasks of {len(workers):,} people are too few to tell: {wanted:,} more would do."
        return GateCheck(
            name="hourly", title=title, passes=None, meaning=said, bound=limit, more=wanted, measured=measured
        )
    passes, more = decided(measured, bound, PAY_HALF * bound, least=True), None
    said = f"An hour of visible time was paid {said_of(measured)} {settings.currency}."
    if passes is None:
        more = more_needed(measured, PAY_HALF * bound, measured.n, FEWEST_TIMED)
        said += f" That is too wide to tell: about {more:,} more timed tasks, by other annotators, would do."
    if passes is False:
        said += " The whole interval lies under the bound: set the expected time or the rate higher, and pay the rest."
    return GateCheck(name="hourly", title=title, passes=passes, meaning=said, bound=limit, more=more, measured=measured)


def _limits(estimate: float | None, low: float | None, high: float | None, n: int) -> Limits:
    e, lo, hi = (math.nan if v is None else v for v in (estimate, low, high))
    return Limits(estimate=e, low=lo, high=hi, n=n)


def said_of(measured: Limits) -> str:
    """``0.41 (0.33 to 0.49)``."""
    if not measured.known:
        return f"{measured.estimate:.2f} (interval unknown)"
    return f"{measured.estimate:.2f} ({measured.low:.2f} to {measured.high:.2f})"


def percent_of(measured: Limits) -> str:
    """``41% (33% to 49%)``."""
    if not measured.known:
        return f"{measured.estimate:.0%}"
    return f"{measured.estimate:.0%} ({measured.low:.0%} to {measured.high:.0%})"


def gate_document(release: Release) -> dict[str, Any]:
    """What the page shows of the gate, as JSON values."""
    return {
        "passes": release.passes,
        "batch": release.batch,
        "checks": [
            {
                "name": check.name,
                "title": check.title,
                "passes": check.passes,
                "meaning": check.meaning,
                "bound": check.bound,
                "more": check.more,
                "measured": limits_json(check.measured),
            }
            for check in release.checks
        ],
    }


def limits_json(limits: Limits) -> dict[str, Any] | None:
    """Returns limits as JSON values; None where there is no estimate and no observation."""
    if not limits.n and not math.isfinite(limits.estimate):
        return {"estimate": None, "low": None, "high": None, "n": 0}
    values = {name: getattr(limits, name) for name in ("estimate", "low", "high")}
    return {n: (float(v) if math.isfinite(v) else None) for n, v in values.items()} | {"n": limits.n}
