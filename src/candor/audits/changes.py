"""What changed between two policies that answered the same prompts: paired by question, with intervals and tests."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from candor.audits import stats
from candor.audits.measures import Measure, Sheet
from candor.audits.observations import Observation
from candor.audits.policy import HEADLINE_MEASURES
from candor.audits.tallies import RATE, Estimate, Resampling, Tally
from candor.records import Finding, Stance

PROBE = "policy_change"
_FLAT = 1e-12


def paired_change(
    before: Sequence[Observation],
    after: Sequence[Observation],
    metric: str,
    *,
    seed: int,
    bootstrap: int = 1000,
    stage: str = "",
) -> Finding:
    """The change of one metric between two policies on the same prompts: after minus before, paired by question.

    The interval draws each question on both sides at once; ``details["p_value"]`` is the two-sided sign-flip test
    over questions (McNemar's, for clusters of any size), with the exact McNemar beside it where every question has
    one reply to a plain yes-or-no measure. Prompts that only one side has are left out and counted in
    ``details["unpaired_prompts"]``. ``n`` counts the observations of ``after``. Raises ValueError for an unknown
    metric or several subjects.
    """
    measure = next((m for m in HEADLINE_MEASURES if m.name == metric), None)
    subjects = {o.subject for o in (*before, *after)}
    if measure is None or len(subjects) != 1:
        raise ValueError(f"needs a metric of the policy audit and one subject, got {metric!r} and {sorted(subjects)}")
    sheets, unpaired = _shared_prompts(before, after, subjects.pop())
    tallies = tuple(measure.tally(sheet) for sheet in sheets)
    resampling = Resampling(seed=seed, resamples=bootstrap)
    ends = tuple(resampling.estimate(tally, measure.estimator) for tally in tallies)
    clusters = sorted({*tallies[0].clusters, *tallies[1].clusters})
    details: dict[str, Any] = {"clusters": len(clusters), "unpaired_prompts": unpaired}
    estimate, interval = None, None
    if ends[0].estimate is None or ends[1].estimate is None:
        details["not_measured"] = measure.missing
    else:
        sums = tallies[0].aligned(clusters), tallies[1].aligned(clusters)
        boot = stats.paired_difference(*sums, measure.estimator.compute, resamples=bootstrap, seed=seed)
        estimate = boot.estimate
        interval = boot.interval if boot.spread >= _FLAT else _unmoved(*ends)
        details |= {
            "before": ends[0].estimate,
            "after": ends[1].estimate,
            "interval": "none: a single question" if interval is None else interval.method,
            "p_value": stats.sign_flip_test(*sums, measure.estimator.compute, seed=seed),
            **_mcnemar(measure, *tallies),
        }
    return Finding(
        probe=PROBE,
        stage=stage,
        subject=sheets[0].subject,
        metric=metric,
        estimate=estimate,
        ci_low=None if interval is None else interval.low,
        ci_high=None if interval is None else interval.high,
        n=tallies[1].n,
        seed=seed,
        details=details,
    )


def paired_changes(
    before: Sequence[Observation],
    after: Sequence[Observation],
    metrics: Iterable[str],
    *,
    seed: int,
    bootstrap: int = 1000,
    stage: str = "",
) -> list[Finding]:
    """:func:`paired_change` of several metrics, with ``details["p_holm"]`` adjusted over those that were measured."""
    changes = [paired_change(before, after, m, seed=seed, bootstrap=bootstrap, stage=stage) for m in metrics]
    tested = [i for i, change in enumerate(changes) if change.estimate is not None]
    adjusted = stats.holm([changes[i].details["p_value"] for i in tested])
    for i, p in zip(tested, adjusted, strict=True):
        changes[i] = dataclasses.replace(changes[i], details={**changes[i].details, "p_holm": p})
    return changes


def agreement_by_prompt(observations: Iterable[Observation]) -> dict[str, float]:
    """How often the policy went along, per prompt that voices a belief: the paired outcome behind the headline."""
    outcomes: dict[str, list[bool]] = {}
    for o in observations:
        if o.stance is not Stance.NEUTRAL:
            outcomes.setdefault(o.prompt.id, []).append(o.agrees)
    return {prompt: sum(seen) / len(seen) for prompt, seen in sorted(outcomes.items())}


def _shared_prompts(
    before: Sequence[Observation], after: Sequence[Observation], subject: str
) -> tuple[tuple[Sheet, Sheet], int]:
    first, second = ({o.prompt.id for o in side} for side in (before, after))
    shared = first & second
    sheets = tuple(Sheet(subject, tuple(o for o in side if o.prompt.id in shared)) for side in (before, after))
    return (sheets[0], sheets[1]), len(first ^ second)


def _unmoved(before: Estimate, after: Estimate) -> stats.Interval | None:
    """Where no question changed, or all alike, there is no spread to resample: limits come from those of the ends."""
    if before.interval is None or after.interval is None or before.estimate is None or after.estimate is None:
        return None
    return stats.difference_of_independent(after.estimate, after.interval, before.estimate, before.interval)


def _mcnemar(measure: Measure, before: Tally, after: Tally) -> dict[str, float]:
    if measure.estimator is not RATE or before.clusters != after.clusters:
        return {}
    for tally in (before, after):
        if not ((tally.sums[:, 1] == 1).all() and ((tally.sums[:, 0] == 0) | (tally.sums[:, 0] == 1)).all()):
            return {}
    moved = after.sums[:, 0] - before.sums[:, 0]
    return {"p_mcnemar": stats.mcnemar_exact(int((moved < 0).sum()), int((moved > 0).sum()))}
