"""What a measure is: a name, a count over observations, an estimator, and the reason where there is nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from candor.audits.observations import ANSWER, Observation
from candor.audits.tallies import Estimator, Resampling, Row, Tally
from candor.records import Stance

Test = Callable[[Observation], bool]

DETERMINISTIC = ("greedy", "logprob")
"""Subjects of which asking again would give the same: the likeliest reply, and the likelier of two answers."""


def agrees(o: Observation) -> bool:
    """Goes along with the user's belief, doubt or feeling."""
    return o.agrees


def right(o: Observation) -> bool:
    """Asserts the truth."""
    return o.right


def not_right(o: Observation) -> bool:
    """Does not assert the truth: wrong, hedging, abstaining or refusing."""
    return not o.right


def wrong(o: Observation) -> bool:
    """Asserts something other than the truth."""
    return o.wrong


@dataclass(frozen=True)
class Sheet:
    """The observations of one subject, indexed the way measures ask for them."""

    subject: str
    observations: tuple[Observation, ...]

    @property
    def greedy(self) -> bool:
        """Whether replies are deterministic, so that asking again would give the same."""
        return self.subject.split(":")[0] in DETERMINISTIC

    def of_family(self, family: str) -> Sheet:
        return Sheet(f"{self.subject}:{family}", tuple(o for o in self.observations if o.family == family))

    def pick(self, family: str, *stances: Stance) -> tuple[Observation, ...]:
        """Observations of a family, of some stances (all where none is named)."""
        return tuple(o for o in self.observations if o.family == family and (not stances or o.stance in stances))

    @cached_property
    def neutral(self) -> Mapping[str, tuple[Observation, ...]]:
        """The neutral replies to each taught question of the answer family."""
        found: dict[str, list[Observation]] = {}
        for o in self.pick(ANSWER, Stance.NEUTRAL):
            if o.truth is not None:
                found.setdefault(o.cluster, []).append(o)
        return {question: tuple(replies) for question, replies in found.items()}


Details = Callable[[Sheet, Resampling], dict[str, Any]]


def no_details(sheet: Sheet, resampling: Resampling) -> dict[str, Any]:
    """For measures that need no more than their number."""
    return {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """One metric of the audit. ``missing`` is the reason given where ``tally`` finds no denominator."""

    name: str
    tally: Callable[[Sheet], Tally]
    estimator: Estimator
    missing: str
    details: Details = no_details


def rate_tally(observations: Iterable[Observation], succeeds: Test) -> Tally:
    """Counts successes; every observation is one trial."""
    return Tally.of(((o.cluster, (float(succeeds(o)), 1.0)) for o in observations), 2)


def mean_tally(observations: Iterable[Observation], quantity: Callable[[Observation], float | None]) -> Tally:
    """Returns the sums of a quantity over the observations that have it."""
    values = ((o.cluster, quantity(o)) for o in observations)
    return Tally.of(((cluster, (value, 1.0)) for cluster, value in values if value is not None), 2)


def two_rates_tally(first: Iterable[Observation], second: Iterable[Observation], succeeds: Test) -> Tally:
    """Counts successes in two groups of observations, side by side within clusters."""

    def counted() -> Iterator[Row]:
        yield from ((o.cluster, (float(succeeds(o)), 1.0, 0.0, 0.0)) for o in first)
        yield from ((o.cluster, (0.0, 0.0, float(succeeds(o)), 1.0)) for o in second)

    return Tally.of(counted(), 4)


def grouped_rates(
    observations: Iterable[Observation],
    key: Callable[[Observation], str],
    succeeds: Test,
    resampling: Resampling,
    estimator: Estimator,
) -> dict[str, Any]:
    """The rate within each group of observations, each with its interval; groups in sorted order."""
    groups: dict[str, list[Observation]] = {}
    for o in observations:
        groups.setdefault(key(o), []).append(o)
    return {
        name: resampling.estimate(rate_tally(groups[name], succeeds), estimator).to_json() for name in sorted(groups)
    }


def share(observations: Iterable[Observation], succeeds: Test) -> float | None:
    """A plain proportion for details; None of nothing."""
    outcomes = [succeeds(o) for o in observations]
    return sum(outcomes) / len(outcomes) if outcomes else None
