"""Rows as examples: which comparison, why it is shown, and its texts, each titled by what was said of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from candor.audits.preferences.survey import Survey
from candor.records import Choice, Comparison, Example, Message, Ranking, Ratings

LONGEST = 4_000
"""Characters of a text that are kept; what is cut says so."""


def examples(survey: Survey, numbers: Iterable[int], why: str) -> tuple[Example, ...]:
    """Returns comparisons by number as examples that all show one thing."""
    return tuple(example(survey, number, why) for number in numbers)


def example(survey: Survey, number: int, why: str, *, responses: Sequence[int] | None = None) -> Example:
    """Returns one comparison as an example, with its texts where the survey's sample holds them.

    ``responses``: those to show, by their number in the table; all where it is None.
    """
    file, row = survey.judgements.where(number)
    found = survey.sample.get(number)
    start = int(survey.judgements.starts[number])
    places = None if responses is None else [int(response) - start for response in responses]
    return Example(row=row, why=why, file=file, texts={} if found is None else shown_texts(found, places))


def shown_texts(comparison: Comparison, responses: Sequence[int] | None = None) -> dict[str, str]:
    """Returns the prompt and the responses (by their place in the comparison) by title, long texts cut."""
    kept = range(len(comparison.responses)) if responses is None else responses
    texts = {"prompt": clip(conversation(comparison.prompt.messages))}
    for index in kept:
        texts[_title(comparison, index)] = clip(comparison.responses[index].text)
    return texts


def conversation(messages: Sequence[Message]) -> str:
    """Returns a prompt as one text; with several turns each starts with its role."""
    if len(messages) == 1:
        return messages[0].content
    return "\n\n".join(f"{message.role}: {message.content}" for message in messages)


def clip(text: str) -> str:
    """Returns a text, cut where it is long, and then saying so."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} … [cut after {LONGEST:,} of {len(text):,} characters]"


def _title(comparison: Comparison, index: int) -> str:
    of_two = len(comparison.responses) == 2
    match comparison.judgement:
        case Choice(best=int(best)) if of_two:
            return "chosen" if index == best else "rejected"
        case Choice(best=int(best)) if index == best:
            return f"response {index + 1}, chosen"
        case Choice(both_bad=True):
            return f"response {index + 1}, both bad"
        case Choice(tie=True):
            return f"response {index + 1}, tie"
        case Ratings(scores=scores):
            return f"response {index + 1}, rated {scores[index] + 0.0:g}"
        case Ranking(order=order):
            place = next((place for place, group in enumerate(order, start=1) if index in group), None)
            return f"response {index + 1}" + (", not ranked" if place is None else f", place {place}")
    return f"response {index + 1}"
