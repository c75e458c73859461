"""What is wrong with a file before anybody asks what its labels mean.

Copies, contradictions, empty and equal responses, near-duplicate prompts, prompts on both sides of a split, and what a
context size cuts off.

The collector :class:`~candor.audits.preferences.seen_texts.SeenTexts` takes part in the pass over the file, for what
columns do not hold. Without it the checks that need it say that they cannot tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from candor.audits.preferences.clustered import intersection
from candor.audits.preferences.form import HYGIENE, cannot_tell, finding
from candor.audits.preferences.leakage import leakage_checks
from candor.audits.preferences.rates import Rate, between, clustered_share, counted, percent
from candor.audits.preferences.seen_texts import TextFacts
from candor.audits.preferences.shown import example, examples
from candor.audits.preferences.survey import Survey
from candor.audits.preferences.truncation import TokenCount, truncation
from candor.preferences.table import Judgements
from candor.records import Check, Example, Finding, Verdict

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

_SHOWN = 5
SECOND_OPINIONS = 0.1
"""Where so many repeated pairs were judged both ways, people were asked twice: equal untimed rows may be no copies."""
CONTRADICTED, FEWEST_REPEATED = 0.3, 20
"""The share of pairs judged both ways by one hand that is a concern: that of self-consistency below 70%."""
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
    maybe = _may_be_second_opinions(judgements, again)
    if maybe:
        meaning += (
            " No time is recorded and pairs were judged both ways too, so these may be second opinions that agree."
        )
        advice = "Drop them only if nobody was asked twice; record times, which tell a copy from a second opinion."
    shown = np.flatnonzero(again | near if near is not None else again)[:_SHOWN]
    bad = again.any() or (near is not None and near.any())
    concern = rate.estimate >= 0.01 and not maybe
    return Check(
        name=name,
        group=HYGIENE,
        title=title,
        verdict=Verdict.CONCERN if concern else Verdict.NOTE if bad else Verdict.FINE,
        meaning=meaning,
        advice=advice if bad else "",
        findings=tuple(findings),
        examples=examples(survey, shown.tolist(), "repeats an earlier row"),
    )


def _may_be_second_opinions(judgements: Judgements, copied: BoolArray) -> bool:
    """Whether most copies have no time, and enough of what was judged again was judged the other way."""
    repeats = judged_again(judgements)
    untimed = copied & ~np.isfinite(judgements.seconds)
    return bool(2 * untimed.sum() > copied.sum() and repeats.both.sum() >= SECOND_OPINIONS * repeats.again.sum() > 0)


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """Decided judged pairs, D of them, by the H pairs of responses that one hand judged (or nobody knows whose).

    ``decided`` (D,): numbers of judged pairs; ``keys`` (D,): which of the H; ``first`` (H,): the first of each, into
    ``decided``; ``again`` and ``both`` (H,): judged more than once, and both ways; ``unknown`` (H,): by nobody knows
    whom.
    """

    decided: IntArray
    keys: IntArray
    first: IntArray
    again: BoolArray
    both: BoolArray
    unknown: BoolArray


def judged_again(judgements: Judgements) -> Repeats:
    """Returns which pairs of responses one hand judged more than once; what stands twice in one row counts once."""
    pairs = judgements.pairs
    within = repeated(intersection(pairs.comparison, pairs.unit))  # two systems that wrote the same: judged at once
    decided = np.flatnonzero((pairs.outcome != 0.5) & ~within)
    who, said = judgements.annotators[pairs.comparison[decided]], pairs.canonical_outcome[decided] > 0.5
    keys = np.unique(np.stack([pairs.unit[decided], who], axis=1), axis=0, return_inverse=True)[1].ravel()
    times, wins = np.bincount(keys), np.bincount(keys, weights=said)
    first = np.unique(keys, return_index=True)[1]
    again = times > 1
    both = again & (wins > 0) & (wins < times)
    return Repeats(decided=decided, keys=keys, first=first, again=again, both=both, unknown=who[first] < 0)


def contradictions(survey: Survey) -> Check:
    """Returns the check for one pair of responses that was judged both ways by one hand, or by nobody knows whom."""
    judgements, name, title = survey.judgements, "contradictions", "Contradicting repeats"
    pairs, found = judgements.pairs, judged_again(judgements)
    decided, again, both, unknown = found.decided, found.again, found.both, found.unknown
    if not again.any():
        why = (
            "No two responses were judged twice by the same annotator or by unknown ones, so that none can contradict."
        )
        return cannot_tell(
            name, HYGIENE, title, why, "Show some pairs a second time, on another day and sides swapped."
        )
    prompts = judgements.prompts[pairs.comparison[decided[found.first]]]
    rate = clustered_share(both[again], prompts[again])
    by_one = clustered_share(both[again & ~unknown], prompts[again & ~unknown])
    details = {
        "by_the_same_annotator": int((both & ~unknown).sum()),
        "by_unknown_annotators": int((both & unknown).sum()),
    }
    flagged = np.flatnonzero(both[found.keys])[:_SHOWN]
    concern = by_one.n >= FEWEST_REPEATED and by_one.low > CONTRADICTED
    said = f"Of {counted(rate.n, 'pair')} of responses judged more than once by one annotator"
    said += " or by unknown ones" if unknown[again].any() else ""
    said += f", {int(both.sum()):,} {'was' if both.sum() == 1 else 'were'} judged both ways: {between(rate)}."
    if unknown[again].any():
        said += " Unknown annotators may be different people, who merely disagree: see agreement."
    return Check(
        name=name,
        group=HYGIENE,
        title=title,
        verdict=Verdict.CONCERN if concern else Verdict.NOTE if both.any() else Verdict.FINE,
        meaning=said,
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


def row_keys(judgements: Judgements, content: IntArray | None = None) -> IntArray:
    """A number for all that a row says, (C,): equal for copies, whatever order their responses stand in.

    ``content`` (R,): what stands for each response, its text and prompt unless given.
    """
    content = judgements.items if content is None else content
    said = _mix(content, np.round(np.nan_to_num(judgements.values, nan=-999.0) * 1024).astype(np.int64))
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
    """Rows that are copies of an earlier one but for the prompt, which is a near-duplicate of the earlier one's."""
    return repeated(_mix(row_keys(judgements, judgements.texts), texts.groups))


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
