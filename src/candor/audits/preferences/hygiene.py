"""What is wrong with a file before anybody asks what its labels mean.

Copies, contradictions, empty and equal responses, near-duplicate prompts, prompts on both sides of a split, and what a
context size cuts off.

The collector :class:`~candor.audits.preferences.seen_texts.SeenTexts` takes part in the pass over the file, for what
columns do not hold. Without it the checks that need it say that they cannot tell.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from candor.audits.preferences.form import HYGIENE, cannot_tell, finding
from candor.audits.preferences.leakage import leakage_checks
from candor.audits.preferences.rates import Rate, between, clustered_share, percent
from candor.audits.preferences.retests import groups_of
from candor.audits.preferences.seen_texts import TextFacts
from candor.audits.preferences.shown import example, examples
from candor.audits.preferences.survey import Survey
from candor.audits.preferences.truncation import TokenCount, truncation
from candor.preferences.table import Judgements
from candor.records import Check, Example, Finding, Verdict

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_SHOWN = 5
_MIX = np.uint64(0x9E3779B97F4A7C15)


def checks(
    survey: Survey,
    *,
    texts: TextFacts | None = None,
    context: int | None = None,
    tokens: TokenCount | None = None,
    other: Survey | None = None,
) -> list[Check]:
    """Returns the checks of hygiene.

    ``texts``: what the collector saw; ``context``: a number of tokens; ``tokens``: counts those of a text, 4
    characters a token where it is None; ``other``: a second file to look for leakage to, whose texts are in
    ``texts.other``.
    """
    found = [copies(survey, texts), contradictions(survey), identical(survey), blank(survey, texts)]
    found.append(near_duplicate_prompts(survey, texts))
    found.extend(leakage_checks(survey, texts, other))
    found.append(truncation(survey, context=context, tokens=tokens))
    return found


def copies(survey: Survey, texts: TextFacts | None) -> Check:
    """Returns the check for rows that stand in the file more than once."""
    judgements, name, title = survey.judgements, "copies", "Copies of comparisons"
    if not len(judgements):
        return cannot_tell(name, HYGIENE, title, "There are no comparisons.")
    again = repeated(row_keys(judgements))
    rate = clustered_share(again, judgements.prompts)
    findings = [_share(name, "copied_rows", rate)]
    near = _near_copies(judgements, texts) & ~again if texts is not None else None
    meaning = f"{int(again.sum()):,} of {len(again):,} comparisons repeat an earlier one in every respect"
    meaning += f": {between(rate)}." if again.any() else "."
    if near is not None:
        close = clustered_share(near, judgements.prompts)
        findings.append(_share(name, "nearly_copied_rows", close))
        if near.any():
            meaning += f" {int(near.sum()):,} more do so but for small edits of the prompt ({percent(close.estimate)})."
    advice = "Drop the copies: they count one judgement several times and make intervals too narrow."
    shown = np.flatnonzero(again | near if near is not None else again)[:_SHOWN]
    bad = again.any() or (near is not None and near.any())
    verdict = Verdict.CONCERN if rate.estimate >= 0.01 else Verdict.NOTE if bad else Verdict.FINE
    return Check(
        name=name,
        group=HYGIENE,
        title=title,
        verdict=verdict,
        meaning=meaning,
        advice=advice if bad else "",
        findings=tuple(findings),
        examples=examples(survey, shown.tolist(), "repeats an earlier row"),
    )


def contradictions(survey: Survey) -> Check:
    """Returns the check for one pair of responses that was judged both ways by one hand, or by nobody knows whom."""
    judgements, name, title = survey.judgements, "contradictions", "Contradicting repeats"
    pairs = judgements.pairs
    judge = judgements.annotators[pairs.comparison]
    within = repeated(groups_of(pairs.comparison, pairs.unit))  # two systems that wrote the same: judged at once
    decided = np.flatnonzero((pairs.outcome != 0.5) & ~within)
    unit, who, said = pairs.unit[decided], judge[decided], pairs.canonical_outcome[decided] > 0.5
    keys = np.unique(np.stack([unit, who], axis=1), axis=0, return_inverse=True)[1].ravel()
    times, wins = np.bincount(keys), np.bincount(keys, weights=said)
    again = times > 1
    if not again.any():
        why = (
            "No two responses were judged twice by the same annotator or by unknown ones, so that none can contradict."
        )
        return cannot_tell(
            name, HYGIENE, title, why, "Show some pairs a second time, on another day and sides swapped."
        )
    both = again & (wins > 0) & (wins < times)
    first = np.unique(keys, return_index=True)[1]
    rate = clustered_share(both[again], judgements.prompts[pairs.comparison[decided[first[again]]]])
    unknown = who[first] < 0
    details = {
        "by_the_same_annotator": int((both & ~unknown).sum()),
        "by_unknown_annotators": int((both & unknown).sum()),
    }
    flagged = np.flatnonzero(both[keys])[:_SHOWN]
    concern = rate.low > 0.2
    return Check(
        name=name,
        group=HYGIENE,
        title=title,
        verdict=Verdict.CONCERN if concern else Verdict.NOTE if both.any() else Verdict.FINE,
        meaning=f"Of {rate.n:,} pairs of responses that one annotator (or unknown ones) judged more than once, "
        f"{int(both.sum()):,} were judged both ways: {between(rate)}.",
        advice="Count both judgements, or neither: keeping the first is a coin flip." if both.any() else "",
        findings=(_share(name, "contradicted_pairs", rate),),
        examples=examples(survey, pairs.comparison[decided[flagged]].tolist(), "judged the other way in another row"),
        details=details,
    )


def identical(survey: Survey) -> Check:
    """Returns the check for comparisons of which two responses have the same text."""
    judgements, name, title = survey.judgements, "identical", "Identical responses"
    if not len(judgements):
        return cannot_tell(name, HYGIENE, title, "There are no comparisons.")
    of = judgements.comparison_of
    order = np.lexsort((judgements.texts, of))
    same = (np.diff(of[order]) == 0) & (np.diff(judgements.texts[order]) == 0)
    hit = np.zeros(len(judgements), dtype=bool)
    hit[of[order][1:][same]] = True
    values = judgements.values[order]
    apart = same & np.isfinite(values[1:]) & np.isfinite(values[:-1]) & (values[1:] != values[:-1])
    preferred = len(np.unique(of[order][1:][apart]))
    rate = clustered_share(hit, judgements.prompts)
    meaning = f"{int(hit.sum()):,} of {len(hit):,} comparisons hold the same text twice"
    meaning += f": {between(rate)}." if hit.any() else "."
    if preferred:
        meaning += f" In {preferred:,} of them one of the two equal texts was preferred."
    return Check(
        name=name,
        group=HYGIENE,
        title=title,
        verdict=Verdict.CONCERN
        if rate.estimate >= 0.01 or preferred > 10
        else Verdict.NOTE
        if hit.any()
        else Verdict.FINE,
        meaning=meaning,
        advice="Leave them out: they teach nothing but where a rater clicks." if hit.any() else "",
        findings=(_share(name, "identical_responses", rate),),
        examples=examples(survey, np.flatnonzero(hit)[:_SHOWN].tolist(), "two responses are the same"),
        details={"preferred_all_the_same": preferred},
    )


def blank(survey: Survey, texts: TextFacts | None) -> Check:
    """Returns the check for responses without any text."""
    judgements, name, title = survey.judgements, "empty", "Empty responses"
    if not len(judgements):
        return cannot_tell(name, HYGIENE, title, "There are no comparisons.")
    hit = np.zeros(len(judgements), dtype=bool)
    hit[judgements.comparison_of[judgements.characters == 0]] = True
    if texts is not None:
        hit |= texts.blank
    rate = clustered_share(hit, judgements.prompts)
    dropped = sum(count for reason, count in survey.dropped.items() if "empty" in reason)
    meaning = f"{int(hit.sum()):,} of {len(hit):,} comparisons hold a response without text"
    meaning += f": {between(rate)}." if hit.any() else "."
    if dropped:
        meaning += f" {dropped:,} rows were left out for that reason while reading."
    return Check(
        name=name,
        group=HYGIENE,
        title=title,
        verdict=Verdict.CONCERN if rate.estimate >= 0.01 else Verdict.NOTE if hit.any() or dropped else Verdict.FINE,
        meaning=meaning,
        advice="Find out whether they are failures of the export or replies that were really empty."
        if hit.any()
        else "",
        findings=(_share(name, "empty_responses", rate),),
        examples=examples(survey, np.flatnonzero(hit)[:_SHOWN].tolist(), "a response is empty"),
    )


def near_duplicate_prompts(survey: Survey, texts: TextFacts | None) -> Check:
    """Returns the check for prompts that are the same but for small edits."""
    judgements, name, title = survey.judgements, "near_duplicates", "Near-duplicate prompts"
    if texts is None or not len(judgements):
        return cannot_tell(name, HYGIENE, title, "The prompts' texts were not compared.")
    sizes, own = texts.near.sizes, np.unique(texts.prompt_of)
    members = np.bincount(texts.near.groups[own], minlength=len(sizes) + 1)
    hit = members[texts.near.groups[own]] > 1
    rate = clustered_share(hit, texts.near.groups[own])
    largest = int(members.max())
    meaning = f"{int(hit.sum()):,} of {len(own):,} different prompts have a near-duplicate"
    meaning += f": {between(rate)}. The largest group has {largest:,}." if hit.any() else "."
    if texts.near.unchecked:
        meaning += f" {texts.near.unchecked:,} candidates were too many to compare, so there may be more."
    crowded = largest > max(20, 0.05 * len(own))
    advice = "Candor keeps them on one side of a split; do the same wherever you split by hand." if hit.any() else ""
    if crowded:
        advice += " One group is so large that the file may hold one prompt in many copies: look at it."
    verdict = Verdict.CONCERN if crowded else Verdict.NOTE if hit.any() else Verdict.FINE
    return Check(
        name=name,
        group=HYGIENE,
        title=title,
        verdict=verdict,
        meaning=meaning,
        advice=advice.strip(),
        findings=(_share(name, "near_duplicate_prompts", rate),),
        examples=_near_examples(survey, texts),
        details={"unchecked": texts.near.unchecked, "largest_group": largest},
    )


def row_keys(judgements: Judgements) -> IntArray:
    """A number for all that a row says, (C,): equal for copies, whatever order their responses stand in."""
    said = _mix(judgements.items, np.round(np.nan_to_num(judgements.values, nan=-999.0) * 1024).astype(np.int64))
    said = _mix(said, judgements.places)
    total = _sums(judgements, said)
    for column in (judgements.annotators, np.nan_to_num(judgements.seconds, nan=-1.0).view(np.int64), judgements.kinds):
        total = _mix(total, column)
    strengths = np.round(judgements.strengths * 1024).astype(np.int64)
    return _mix(_mix(total, judgements.both_bad.astype(np.int64)), strengths)


def repeated(keys: IntArray) -> BoolArray:
    """Whether an earlier row has the same key, (C,)."""
    first = np.unique(keys, return_index=True)[1]
    again = np.ones(len(keys), dtype=bool)
    again[first] = False
    return again


def _near_copies(judgements: Judgements, texts: TextFacts) -> BoolArray:
    """Rows whose prompt is a near-duplicate of an earlier row's, with the same responses, annotator and judgement."""
    values = np.round(np.nan_to_num(judgements.values, nan=-999.0) * 1024).astype(np.int64)
    total = _mix(_sums(judgements, _mix(judgements.texts, values)), judgements.annotators)
    return repeated(_mix(total, texts.groups))


def _sums(judgements: Judgements, of_responses: IntArray) -> IntArray:
    if not len(judgements):
        return np.empty(0, np.int64)
    return np.add.reduceat(of_responses.view(np.uint64), judgements.starts[:-1]).view(np.int64)


def _mix(a: IntArray, b: IntArray) -> IntArray:
    """One 64-bit number for two, (N,): wrap-around arithmetic that mixes as a hash does."""
    mixed = (a.view(np.uint64) ^ (b.view(np.uint64) * _MIX)) * np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(31)
    return (mixed * np.uint64(0x94D049BB133111EB)).view(np.int64)


def _near_examples(survey: Survey, texts: TextFacts) -> tuple[Example, ...]:
    order = np.argsort(-texts.near.similarity, kind="stable")
    first = dict(zip(texts.prompt_of[::-1].tolist(), range(len(texts.prompt_of) - 1, -1, -1), strict=True))
    shown: list[Example] = []
    for k in order:
        a, b = texts.near.pairs[k].tolist()
        if a in first and b in first:
            row = survey.judgements.where(first[a])[1]
            why = f"{percent(float(texts.near.similarity[k]))} of its pieces are those of the prompt of row {row}"
            shown.append(example(survey, first[b], why))
        if len(shown) == _SHOWN:
            break
    return tuple(shown)


def _share(check: str, metric: str, rate: Rate, subject: str = "all") -> Finding:
    return finding(check, metric, rate.estimate, rate.low, rate.high, n=rate.n, subject=subject)
