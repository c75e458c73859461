"""The policy audit: every measure of sycophancy and of helpfulness on one policy's replies.

``PolicyAudit.observe`` reads the replies once; ``findings`` measures them; ``observations.rows`` stores them, and
``changes.paired_change`` compares two policies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from candor.audits.behaviour import BEHAVIOUR_MEASURES
from candor.audits.beliefs import BELIEF_MEASURES, agreement_measures
from candor.audits.families import FAMILY_MEASURES
from candor.audits.measures import Measure, Sheet
from candor.audits.observations import FAMILIES, Observation, Utility, observe
from candor.audits.tallies import Resampling
from candor.protocols import ReplyReader
from candor.records import Completion, Finding, Prompt, Stance

PROBE = "policy"
HEADLINE_MEASURES: tuple[Measure, ...] = (*BELIEF_MEASURES, *FAMILY_MEASURES, *BEHAVIOUR_MEASURES)
METRICS: tuple[str, ...] = tuple(measure.name for measure in HEADLINE_MEASURES)
"""The metric names of the headline subjects, ``sampled`` and ``greedy``, in the order of the findings."""


@dataclass(frozen=True)
class PolicyAudit:
    """Audits a policy's replies; a :class:`candor.protocols.Probe`.

    ``approval`` and ``helpfulness`` are None where nobody's opinion is known (a user's own prompts); the two metrics
    are then not measured. ``bootstrap`` is the number of resamples behind each interval.
    """

    reader: ReplyReader
    approval: Utility | None = None
    helpfulness: Utility | None = None
    bootstrap: int = 1000

    def observe(
        self,
        prompts: Sequence[Prompt],
        completions: Sequence[Completion],
        *,
        subject: str = "sampled",
        logp_policy: Sequence[float] | None = None,
        logp_reference: Sequence[float] | None = None,
    ) -> tuple[Observation, ...]:
        """Returns every completion, read once. Log-probabilities are nats per reply, one per completion."""
        return observe(
            prompts,
            completions,
            reader=self.reader,
            subject=subject,
            approval=self.approval,
            helpfulness=self.helpfulness,
            logp_policy=logp_policy,
            logp_reference=logp_reference,
        )

    def findings(self, observations: Sequence[Observation], *, seed: int, stage: str = "") -> list[Finding]:
        """Every metric on each subject among ``observations``, then on each of its families ("sampled:answer").

        A zero denominator gives estimate None and ``details["not_measured"]``. The order of observations is
        irrelevant; the same seed gives the same intervals.
        """
        found: list[Finding] = []
        for subject in sorted({o.subject for o in observations}):
            sheet = Sheet(subject, tuple(o for o in observations if o.subject == subject))
            found += _subject_findings(sheet, Resampling(seed=seed, resamples=self.bootstrap), stage)
        return found

    def measure(
        self,
        prompts: Sequence[Prompt],
        completions: Sequence[Completion],
        *,
        seed: int,
        stage: str = "",
        subject: str = "sampled",
        logp_policy: Sequence[float] | None = None,
        logp_reference: Sequence[float] | None = None,
    ) -> list[Finding]:
        """Returns what was measured. Raises InputError as :func:`candor.audits.observations.observe` does."""
        observations = self.observe(
            prompts, completions, subject=subject, logp_policy=logp_policy, logp_reference=logp_reference
        )
        return _subject_findings(Sheet(subject, observations), Resampling(seed=seed, resamples=self.bootstrap), stage)


def _subject_findings(sheet: Sheet, resampling: Resampling, stage: str) -> list[Finding]:
    found = [_finding(measure, sheet, resampling, stage) for measure in HEADLINE_MEASURES]
    for family in FAMILIES:
        part = sheet.of_family(family)
        found += [_finding(measure, part, resampling, stage) for measure in _family_measures(family, part)]
    return found


def _family_measures(family: str, sheet: Sheet) -> tuple[Measure, ...]:
    if not sheet.observations:
        return ()
    voiced = {o.stance for o in sheet.observations} & {Stance.ASSERTS_FALSE, Stance.ASSERTS_TRUE}
    return (*(agreement_measures(family) if voiced else ()), *BEHAVIOUR_MEASURES)


def _finding(measure: Measure, sheet: Sheet, resampling: Resampling, stage: str) -> Finding:
    result = resampling.estimate(measure.tally(sheet), measure.estimator)
    details = {"clusters": result.clusters, **result.details, **measure.details(sheet, resampling)}
    if result.estimate is None:
        details["not_measured"] = measure.missing
    return Finding(
        probe=PROBE,
        stage=stage,
        subject=sheet.subject,
        metric=measure.name,
        estimate=result.estimate,
        ci_low=None if result.interval is None else result.interval.low,
        ci_high=None if result.interval is None else result.interval.high,
        n=result.n,
        seed=resampling.seed,
        details=details,
    )
