"""Each annotator: reliability, side, agreement with the user, length and speed, with intervals, and what is wrong.

The tests are those of ``candor audit preferences`` (docs/annotators.md), with their error rates: nobody is flagged for
disagreeing with the others.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from candor.audits.preferences.annotator_measures import Measure
from candor.audits.preferences.faults import FEWEST_JUDGED, Faults, Test, faults
from candor.audits.preferences.outliers import Bulk
from candor.collect.quality.linear import Limits
from candor.collect.quality.posterior import NOTHING, beta_posterior, normal_posterior, transformed
from candor.preferences.table import Judgements
from candor.projects.labels import Judged
from candor.records import Verdict

FAULTS = {
    "side": "prefers one side, more than the others do",
    "flatters": "goes along with the user more than the others do",
    "length": "prefers the longer response more than the others do",
    "random": "answers retests at random",
    "rushes": "fast, and no better than chance on retests",
}
REMARKS = {
    "minority": "disagrees with the others and repeats their own answers: another mind, and no fault",
    "disagrees": "disagrees with the others; only retests can say whether carelessly",
    "inconsistent": "repeats their own answers less often than the others, more often than chance",
}
NEAREST = 0.01
"""Shares are kept this far from 0 and 1 before their log odds are taken."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Annotator:
    """What is known of one annotator.

    ``reliability``: the chance that an answer says what its annotator holds, from retests. ``with_others``: agreement
    with others corrected for chance, which says nothing of quality where minds differ. ``side`` (0: none) and
    ``agreement`` (0: as the panel): log odds. ``length``: log odds of preferring the longer, against the panel.
    ``flips``: share of side-swapped retests answered the other way.
    """

    name: str
    judgements: int
    reliability: Limits
    with_others: Limits
    side: Limits
    agreement: Limits
    length: Limits
    flips: Limits
    seconds_median: float | None
    words_per_minute: float | None
    flags: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def reasons(self) -> list[str]:
        """The flags and remarks in words."""
        return [FAULTS[flag] for flag in self.flags] + [REMARKS[remark] for remark in self.remarks]

    @property
    def verdict(self) -> Verdict:
        """A concern where anything is flagged, a note where anything is remarked on."""
        if self.flags:
            return Verdict.CONCERN
        if self.judgements < FEWEST_JUDGED:
            return Verdict.CANNOT_TELL
        return Verdict.NOTE if self.remarks else Verdict.FINE


def measured(judgements: Judgements, judged: Sequence[Judged] = ()) -> list[Annotator]:
    """Every annotator of the table, by name; ``judged``: the same answers, for the words read in a minute."""
    if not judgements.annotator_names:
        return []
    found = faults(judgements)
    paces = reading_pace(judged)
    return [_annotator(judgements, found, k, paces) for k in range(len(judgements.annotator_names))]


def _annotator(judgements: Judgements, found: Faults, k: int, paces: dict[str, float]) -> Annotator:
    measures, retests = found.measures, found.measures.retests
    name, seconds = judgements.annotator_names[k], float(measures.seconds[k])
    consistency = flips = NOTHING
    if retests is not None and retests.n[k]:
        consistency = beta_posterior(float(retests.consistent[k]), float(retests.n[k]), found.retest_test.usual)
        if retests.swapped_n[k]:
            n = float(retests.swapped_n[k])
            flips = beta_posterior(float((1 - retests.swapped[k]) * n), n)
    return Annotator(
        name=name,
        judgements=int(measures.judgements[k]),
        reliability=transformed(consistency, held),
        with_others=transformed(_share(measures.others, found.others_test, k), lambda p: 2 * p - 1),
        side=transformed(_share(measures.side, found.side_test, k), log_odds),
        agreement=_against_panel(measures.flattery, found.flattery_test, k),
        length=_against_panel(measures.length, found.length_test, k, slope=True),
        flips=flips,
        seconds_median=seconds if math.isfinite(seconds) else None,
        words_per_minute=paces.get(name),
        flags=tuple(flag for flag in FAULTS if getattr(found, flag)[k]),
        remarks=tuple(remark for remark in REMARKS if getattr(found, remark)[k]),
    )


def held(consistency: float) -> float:
    """The chance r that an answer says what its annotator holds: two answers are the same with r^2 + (1 - r)^2."""
    return (1 + math.sqrt(max(2 * consistency - 1, 0.0))) / 2


def log_odds(share: float) -> float:
    """The log odds of a share, kept finite."""
    kept = min(max(share, NEAREST), 1 - NEAREST)
    return math.log(kept / (1 - kept))


def _share(measure: Measure | None, test: Test, k: int) -> Limits:
    if measure is None or not measure.n[k]:
        return NOTHING
    usual = test.usual if test.tested[k] else None
    return normal_posterior(float(measure.adjusted[k]), float(measure.variance[k]), int(measure.n[k]), usual)


def _against_panel(measure: Measure | None, test: Test, k: int, *, slope: bool = False) -> Limits:
    """Log odds less the panel's; a slope of a probability is taken for log odds at one half, 4 times as much.

    Adjusted values have the panel's own lean taken off with others' answers, so only differences mean something.
    """
    if measure is None or not measure.n[k] or test.usual is None:
        return NOTHING
    value, usual = float(measure.adjusted[k]), test.usual
    if slope:
        around = normal_posterior(value + 0.5, float(measure.variance[k]), int(measure.n[k]), _moved(usual, 0.5))
        return transformed(around, lambda x: 4 * (x - 0.5 - usual.centre))
    mean = float(np.nansum(measure.share * measure.n) / np.sum(measure.n))
    moved = normal_posterior(
        value - usual.centre + mean, float(measure.variance[k]), int(measure.n[k]), _moved(usual, mean - usual.centre)
    )
    return transformed(moved, lambda share: log_odds(share) - log_odds(mean))


def _moved(usual: Bulk, by: float) -> Bulk:
    return replace(usual, centre=usual.centre + by)


def reading_pace(judged: Sequence[Judged]) -> dict[str, float]:
    """Median words read in a minute by each annotator: words of prompt and responses over the visible time."""
    words: dict[int, int] = {}
    paces: defaultdict[str, list[float]] = defaultdict(list)
    for one in judged:
        if one.seconds is None or one.seconds <= 0:
            continue
        if one.item_id not in words:
            texts = [m.content for m in one.prompt.messages] + [r.text for r in one.responses]
            words[one.item_id] = sum(len(text.split()) for text in texts)
        paces[one.handle].append(words[one.item_id] / one.seconds * 60)
    return {name: float(np.median(values)) for name, values in paces.items()}
