"""Verdicts and numbers in words, the same on the page, in the terminal and in a notebook. Quick to import."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from candor.records import Check, Finding, Verdict
from candor.report.numbers import Estimate, Unit, limits, number

NAMED = 4  # concerns that the first sentence names
MANY = 200  # findings that are looked for in the sentence
FEW = 12  # findings of single annotators or features of which the first may stand for all


@dataclass(frozen=True)
class Face:
    """How a verdict looks: never by colour alone."""

    word: str
    symbol: str
    css: str


FACES: dict[Verdict, Face] = {
    Verdict.CONCERN: Face("concern", "▲", "v-concern"),
    Verdict.NOTE: Face("note", "●", "v-note"),
    Verdict.CANNOT_TELL: Face("cannot tell", "?", "v-unknown"),
    Verdict.FINE: Face("fine", "✓", "v-fine"),
}
"""In the order in which a reader wants to see them."""

_SENTENCES = re.compile(r"(?<=[.?]) (?=[A-Z0-9])")
_QUESTIONS = ("are ", "can ", "do ", "does ", "how ", "is ", "what ", "which ", "who ")
_BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_SHARES = ("share", "rate", "accuracy", "agreement", "precision", "recall", "coverage")
_UNITS: dict[str, Unit] = {
    **dict.fromkeys(
        (
            "copied_rows", "nearly_copied_rows", "contradicted_pairs", "identical_responses", "empty_responses",
            "near_duplicate_prompts", "same_prompt", "same_or_near_prompt", "same_comparison", "comparisons_cut",
            "pairwise_agreement_without_ties", "accuracy_ceiling", "noise_ceiling", "agreement_with_user",
            "agreement_with_others", "self_consistency", "clear", "contested", "arbitrary", "wrong_labels",
            "cyclic_majorities", "cyclic_triads", "self_consistency_swapped", "self_consistency_same_order",
            "flagged_annotators",
        ),
        "share",
    ),
    **dict.fromkeys(
        (
            "chosen_minus_rejected_cut", "chosen_longer_after_dropping", "gain_from_doubling",
            "agreement_of_fast_minus_rest",
        ),
        "points",
    ),
}  # fmt: skip
"""Of metrics whose names do not tell: shares, and differences of shares."""


def by_urgency(checks: Sequence[Check]) -> list[Check]:
    """The checks, concerns first; those of one verdict stay in their order."""
    order = list(FACES)
    return sorted(checks, key=lambda check: order.index(check.verdict))


def verdict_sentence(checks: Sequence[Check]) -> str:
    """The audit in one sentence, such as ``2 concerns: length and position bias``."""
    found = [inline(check.title) for check in checks if check.verdict is Verdict.CONCERN]
    if not checks:
        return "Nothing was checked."
    if not found:
        return f"No concern in {_count(len(checks), 'check')}."
    named = found if len(found) <= NAMED + 1 else [*found[:NAMED], f"{len(found) - NAMED} more"]
    return f"{_count(len(found), 'concern')}: {listed(named)}."


def rest_sentence(checks: Sequence[Check]) -> str:
    """What the checks came to apart from concerns; empty where there is nothing to say."""
    counts = {verdict: sum(check.verdict is verdict for check in checks) for verdict in Verdict}
    parts = []
    if counts[Verdict.NOTE]:
        parts.append(f"{_count(counts[Verdict.NOTE], 'note')}")
    if counts[Verdict.FINE]:
        parts.append(f"{counts[Verdict.FINE]} fine")
    if counts[Verdict.CANNOT_TELL]:
        parts.append(f"{counts[Verdict.CANNOT_TELL]} that these data cannot answer")
    if not parts:
        return ""
    concerns = counts[Verdict.CONCERN]
    lead = "Among them" if not concerns else f"Of the other {len(checks) - concerns} checks"
    return f"{lead if len(checks) - concerns > 1 else 'Besides'}: {listed(parts)}."


def short(meaning: str, longest: int = 240) -> str:
    """As many whole sentences as fit, at least one: what a table has room for."""
    first, *others = _SENTENCES.split(" ".join(meaning.split()))
    for sentence in others:
        if len(first) + len(sentence) >= longest:
            break
        first += f" {sentence}"
    return first


def inline(title: str) -> str:
    """A title as part of a sentence; abbreviations keep their capitals."""
    title = title.rstrip("?.")
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]


def listed(parts: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``; semicolons where a part is a sentence or has an ``and`` of its own."""
    if any(" and " in part or part.startswith(_QUESTIONS) for part in parts):
        return "; ".join(parts)
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def spoken(name: str) -> str:
    """The name of a metric in words."""
    return name.replace("_", " ").strip()


def unit_of(metric: str, finding: Finding | None = None) -> Unit:
    """Whether a metric is shown as a share (in percent) or as a plain number.

    A finding's ``details["unit"]`` decides where it is given, its name elsewhere.
    """
    told = None if finding is None else finding.details.get("unit")
    if told == "share" or told == "points" or told == "number":
        return told
    if metric in _UNITS:
        return _UNITS[metric]
    last = metric.rsplit("_", 1)[-1]
    return "share" if last in _SHARES or metric.startswith("share_") else "number"


def measured(estimate: Estimate, unit: Unit) -> tuple[str, str]:
    """The value and its interval as text; ``("not measured", "")`` where there is none."""
    if estimate.value is None:
        return "not measured", ""
    digits = _digits(estimate, unit)
    value = number(estimate.value, unit, digits=digits)
    return value + (" points" if unit == "points" else ""), limits(estimate, unit, digits=digits)


def headline(check: Check) -> tuple[str, str, str, int] | None:
    """The number that stands for a check: metric, value, interval and n; None where none does.

    Of the numbers of everything, or else of a part, it is the one that the check's sentence tells first; of a few of
    which it tells none, the first.
    """
    found = [finding for finding in check.findings if finding.estimate is not None]
    found = [finding for finding in found if finding.subject in ("", "all")] or found
    chosen = _told_first(found[:MANY], short(check.meaning))
    if chosen is None and len(found) <= FEW:
        chosen = next(iter(found), None)
    if chosen is None:
        return None
    about = f", {subject(chosen)}" if subject(chosen) else ""
    return spoken(chosen.metric) + about, *measured(estimate(chosen), unit_of(chosen.metric, chosen)), chosen.n


def _told_first(found: Sequence[Finding], sentence: str) -> Finding | None:
    sentence = _BRACKETS.sub("", sentence)  # intervals: their ends are no estimates
    places = []
    for place, finding in enumerate(found):
        value = measured(estimate(finding), unit_of(finding.metric, finding))[0].removesuffix(" points").lstrip("+")
        seen = re.search(rf"(?<![\d.,]){re.escape(value)}(?!\d)", sentence) if "." in value or "%" in value else None
        if seen is not None:
            places.append((seen.start(), place))
    return found[min(places)[1]] if places else None


def subject(finding: Finding) -> str:
    """What a finding is of, in words where its ``details["title"]`` has them; empty for everything."""
    if finding.subject in ("", "all"):
        return ""
    return str(finding.details.get("title") or finding.subject)


def estimate(finding: Finding) -> Estimate:
    """A finding's number with its interval."""
    reason = str(finding.details.get("not_measured", ""))
    return Estimate(value=finding.estimate, low=finding.ci_low, high=finding.ci_high, n=finding.n, reason=reason)


def _digits(estimate: Estimate, unit: Unit) -> int:
    """As many decimals as the interval, or else the size, makes worth reading; at most four."""
    scale = 100.0 if unit in ("share", "points") else 1.0
    value = scale * (estimate.value or 0.0)
    ends = [] if estimate.low is None or estimate.high is None else [scale * estimate.low, scale * estimate.high]
    reach = min((gap for end in ends if (gap := abs(end - value)) > 0), default=0.0)
    if reach > 0:
        digits = -math.floor(math.log10(reach / 2)) if scale == 100 else 1 - math.floor(math.log10(reach))
        digits -= scale == 1 and digits > 2
        small = min((abs(x) for x in (value, *ends) if x), default=1.0)
        digits = max(digits, min(2, -math.floor(math.log10(small))) if scale == 1 else 0)  # 0.2 is not told as 0
    elif scale == 100:
        digits = 1
    else:
        digits = 0 if value == int(value) else 2 - math.floor(math.log10(abs(value)))
    return max(0, min(4, digits))


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
