"""Pay by expected minutes, whatever was answered; what it comes to for each hour that was really spent.

Never by agreement with the majority: that pays for guessing what others say. Retests and gold are paid like all the
rest: who could tell them apart by their pay would work on them alone. A skip is paid by the time that it took, up to
the expected minutes: unpaid, it would be cheaper to answer what one cannot judge; paid in full, to skip everything.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import betabinom

from candor.audits.preferences.outliers import FEWEST, adjusted, bulk
from candor.collect.quality.linear import Limits
from candor.collect.quality.posterior import NOTHING
from candor.projects.settings import Settings

SKIP_SPREAD = 0.03
"""Standard deviation of honest annotators' true shares of skips that is granted in any case."""
FEWEST_TASKS = 20
LEVEL = 0.05


@dataclass(frozen=True, kw_only=True, slots=True)
class Worked:
    """What one annotator did: ``judgements`` of all kinds and ``skips``, the minutes paid for both, those measured.

    ``expected``: of answers the expected minutes, of skips the time they took up to those. ``visible``: the measured
    time in which the page was to be seen.
    """

    name: str
    judgements: int
    skips: int
    expected: float
    visible: float

    @property
    def tasks(self) -> int:
        return self.judgements + self.skips


def amount(worked: Worked, settings: Settings) -> float | None:
    """What is owed; None where the project has no rate."""
    return None if settings.pay_per_hour is None else worked.expected / 60 * settings.pay_per_hour


def hourly(worked: Worked, settings: Settings) -> float | None:
    """What an hour of visible time came to; None without a rate or without measured time."""
    owed = amount(worked, settings)
    return None if owed is None or worked.visible <= 0 else owed / (worked.visible / 60)


def effective_hourly(workers: Sequence[Worked], settings: Settings) -> Limits:
    """What an hour came to over all annotators: total pay over total time, an interval over annotators (linearised).

    NaN limits with one annotator; no estimate without a rate or measured time.
    """
    timed = [one for one in workers if one.visible > 0]
    if settings.pay_per_hour is None or not timed:
        return NOTHING
    paid = np.array([one.expected / 60 * settings.pay_per_hour for one in timed])
    hours = np.array([one.visible / 60 for one in timed])
    ratio, n = float(paid.sum() / hours.sum()), sum(one.tasks for one in timed)
    if len(timed) < 2:
        return Limits(estimate=ratio, low=math.nan, high=math.nan, n=n)
    from scipy.special import stdtrit

    count = len(timed)
    error = math.sqrt(count / (count - 1) * float(np.sum((paid - ratio * hours) ** 2))) / float(hours.sum())
    half = float(stdtrit(count - 1, 0.975)) * error
    return Limits(estimate=ratio, low=ratio - half, high=ratio + half, n=n)


def skips_much(workers: Sequence[Worked]) -> list[str]:
    """Who skips more than the others do, at a family-wise level of 5%: paid skips invite it, and this is the answer.

    Beta-binomial tail around the panel's centre and spread (as for retests, docs/annotators.md); nobody with fewer than
    five annotators of 20 tasks each, since nobody can say then who is the odd one out.
    """
    known = [one for one in workers if one.tasks >= FEWEST_TASKS]
    if len(known) < FEWEST:
        return []
    tasks = np.array([one.tasks for one in known], dtype=float)
    skips = np.array([one.skips for one in known], dtype=float)
    pooled = min(max(float(np.median(skips / tasks)), 0.01), 0.99)
    usual = bulk(skips / tasks, pooled * (1 - pooled) / tasks, SKIP_SPREAD)
    mean = min(max(usual.centre, 0.01), 0.99)
    spread = min(math.hypot(usual.spread, usual.error), 0.95 * math.sqrt(mean * (1 - mean)))
    size = mean * (1 - mean) / spread**2 - 1
    p = np.asarray(betabinom.sf(skips - 1, tasks, mean * size, (1 - mean) * size))
    found = adjusted(p, np.ones(len(known), dtype=bool), 1.0)
    return [one.name for one, value in zip(known, found, strict=True) if value < LEVEL]


def rule(settings: Settings) -> str:
    """How pay is worked out, in a sentence."""
    how = (
        f"expected minutes of a task = words / {settings.words_per_minute:g} + {settings.seconds_per_judgement:g} s; "
        "retests and checks are paid alike, skips by the time they took up to that; never by agreement with others"
    )
    if settings.pay_per_hour is None:
        return f"No rate is set. Counted are {how}."
    return f"{settings.pay_per_hour:g} {settings.currency} an hour of expected time; {how}."


def pay_document(workers: Sequence[Worked], settings: Settings) -> dict[str, Any]:
    """What the page shows of pay, as JSON values."""
    rows = []
    for one in workers:
        owed, each = amount(one, settings), hourly(one, settings)
        rows.append(
            {
                "name": one.name,
                "judgements": one.judgements,
                "skips": one.skips,
                "minutes": round(one.expected, 2),
                "visible_minutes": round(one.visible, 2),
                "amount": None if owed is None else round(owed, 2),
                "hourly": None if each is None else round(each, 2),
            }
        )
    return {"rows": rows, "currency": settings.currency, "rule": rule(settings), "skips_much": skips_much(workers)}
