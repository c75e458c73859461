"""The texts of the rows that checks point at, read from the file again: that costs less than keeping them all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from candor.preferences.formats import fetch_comparisons
from candor.records import Check, Choice, Comparison, Example, Message, Ranking, Ratings

LONGEST = 4_000
"""Characters of a text that are kept; what is cut says so."""


def with_texts(source: str | Path, checks: Iterable[Check], *, skip_bad: bool = False) -> list[Check]:
    """Returns the checks with the prompt and the responses of every example filled in."""
    checks = list(checks)
    wanted = {(example.file, example.row) for check in checks for example in check.examples if not example.texts}
    if not wanted:
        return checks
    found = {(item.file, item.row): item.comparison for item in fetch_comparisons(source, wanted, skip_bad=skip_bad)}
    return [replace(check, examples=tuple(_filled(example, found) for example in check.examples)) for check in checks]


def _filled(example: Example, found: Mapping[tuple[str, int], Comparison]) -> Example:
    comparison = found.get((example.file, example.row))
    if example.texts or comparison is None:
        return example
    return replace(example, texts=shown_texts(comparison))


def shown_texts(comparison: Comparison) -> dict[str, str]:
    """Returns the prompt and the responses of a comparison by title, the title saying what was said of each."""
    texts = {"prompt": clip(_conversation(comparison.prompt.messages))}
    for index, response in enumerate(comparison.responses):
        title = f"response {index + 1}: {_said(comparison, index)}"
        texts[title] = clip(response.text)
    return texts


def clip(text: str) -> str:
    """Returns a text, cut where it is long, and then saying so."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} … [cut after {LONGEST:,} of {len(text):,} characters]"


def _conversation(messages: Iterable[Message]) -> str:
    spoken = list(messages)
    if len(spoken) == 1:
        return spoken[0].content
    return "\n\n".join(f"{message.role}: {message.content}" for message in spoken)


def _said(comparison: Comparison, index: int) -> str:
    match comparison.judgement:
        case Choice(both_bad=True):
            return "both bad"
        case Choice(tie=True):
            return "tie"
        case Choice(best=best):
            return "chosen" if index == best else "rejected"
        case Ratings(scores=scores):
            return f"rated {scores[index]:g}"
        case Ranking(order=order):
            place = next((place for place, group in enumerate(order, start=1) if index in group), None)
            return "not ranked" if place is None else f"ranked {place}"
