"""Prompts on both sides of a split, or in two files: what is held out was seen in training.

A split is what the prompts' tag ``split`` says, or the file of a directory that a comparison came from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from candor.audits.preferences.form import HYGIENE, cannot_tell, finding
from candor.audits.preferences.rates import between, clustered_share
from candor.audits.preferences.seen_texts import TextFacts
from candor.audits.preferences.shown import example
from candor.audits.preferences.survey import Survey
from candor.records import Check, Finding, Verdict

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

NAME, TITLE = "leakage", "Leakage between splits"
OTHER = "Rows shared with the other file"

PART = 0.5
"""With this share of its comparisons in another file, a file is taken for a part of it, not for its held-out side."""

_SHOWN = 5


def leakage_checks(survey: Survey, texts: TextFacts | None, other: Survey | None) -> list[Check]:
    """Returns the check of the splits of a file, and, where there is a second file, the check of leakage to it."""
    found = [between_splits(survey, texts)]
    if other is not None:
        found.append(between_files(survey, other, texts))
    return found


def between_splits(survey: Survey, texts: TextFacts | None) -> Check:
    """Returns the check for prompts of a split that stand, or nearly stand, in another split of the same data."""
    split, names = _splits(survey, texts)
    if len(names) < 2:
        why = "The data name no splits: neither a tag 'split' of the prompts nor several files."
        return cannot_tell(NAME, HYGIENE, TITLE, why, "Give the directory with all splits, or the other file.")
    prompts, groups = survey.judgements.prompts, _groups(survey, texts)
    findings, told, shown, worst = [], [], [], 0.0
    for a, b in combinations(range(len(names)), 2):
        smaller, larger = sorted((a, b), key=lambda s: (int((split == s).sum()), s))
        inside, beside = split == smaller, split == larger
        near = inside & np.isin(groups, groups[beside])
        exact = inside & np.isin(prompts, prompts[beside])
        subject = f"{names[smaller]} in {names[larger]}"
        for metric, hit in (("same_prompt", exact), ("same_or_near_prompt", near | exact)):
            rate = clustered_share(hit[inside], groups[inside])
            findings.append(finding(NAME, metric, rate.estimate, rate.low, rate.high, n=rate.n, subject=subject))
        worst = max(worst, rate.estimate)
        if near.any() or exact.any():
            told.append(f"{between(rate)} of the comparisons of '{names[smaller]}' are on prompts of '{names[larger]}'")
            shown += [(int(i), f"its prompt is also in '{names[larger]}'") for i in np.flatnonzero(near | exact)]
    return _check(survey, NAME, TITLE, findings, told, shown, worst, f"the {len(names)} splits", texts)


def between_files(survey: Survey, other: Survey, texts: TextFacts | None) -> Check:
    """Returns the check for prompts, and whole comparisons, that stand in a second file too."""
    mine, theirs = survey.judgements, other.judgements
    second = None if texts is None else texts.other
    groups = _groups(survey, texts)
    near = np.isin(groups, second.groups) if second is not None else np.zeros(len(mine), dtype=bool)
    exact = np.isin(mine.prompts, theirs.prompts)
    items = np.isin(mine.items, theirs.items)
    responses = np.zeros(len(mine), dtype=bool)
    if len(mine):
        responses = np.logical_and.reduceat(items, mine.starts[:-1])
    findings, told, worst = [], [], 0.0
    for metric, hit in (("same_comparison", responses), ("same_prompt", exact), ("same_or_near_prompt", near | exact)):
        rate = clustered_share(hit, groups)
        findings.append(finding("leakage_to_other", metric, rate.estimate, rate.low, rate.high, n=rate.n))
        worst = rate.estimate if np.isfinite(rate.estimate) else 0.0
    if worst:
        told.append(f"{between(rate)} of the comparisons are on prompts of the other file")
        told.append(f"{int(responses.sum()):,} are on the same responses too")
    shown = [(int(i), "its prompt is also in the other file") for i in np.flatnonzero(near | exact)]
    check = _check(survey, "leakage_to_other", OTHER, findings, told, shown, worst, "the two files", texts)
    if not len(mine) or responses.mean() < PART:
        return check
    part = "One file is largely a part of the other, as after filtering; where one is to be held out, that is leakage."
    return replace(check, verdict=Verdict.NOTE, meaning=f"{check.meaning} {part}", advice="")


def _check(
    survey: Survey,
    name: str,
    title: str,
    findings: Sequence[Finding],
    told: Sequence[str],
    shown: Sequence[tuple[int, str]],
    worst: float,
    where: str,
    texts: TextFacts | None,
) -> Check:
    meaning = f"{'; '.join(told)}." if told else f"No prompt is shared between {where}."
    if texts is None:
        meaning += " Near-duplicate prompts were not looked for."
    return Check(
        name=name,
        group=HYGIENE,
        title=title,
        verdict=Verdict.CONCERN if worst >= 0.01 else Verdict.NOTE if told else Verdict.FINE,
        meaning=meaning[0].upper() + meaning[1:],
        advice="Take these prompts out of one of the two before you measure anything on it." if told else "",
        findings=tuple(findings),
        examples=tuple(example(survey, number, why) for number, why in shown[:_SHOWN]),
    )


def _splits(survey: Survey, texts: TextFacts | None) -> tuple[IntArray, tuple[str, ...]]:
    """The split of each comparison, (C,), and the names; comparisons without one are -1."""
    if texts is not None and len(texts.split_names) > 1:
        return texts.split, texts.split_names
    judgements = survey.judgements
    return (judgements.files, judgements.file_names) if len(judgements.file_names) > 1 else (judgements.files, ())


def _groups(survey: Survey, texts: TextFacts | None) -> IntArray:
    return survey.judgements.prompts if texts is None else texts.groups
