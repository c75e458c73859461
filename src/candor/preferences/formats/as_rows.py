"""What every writer is made of: a comparison becomes rows, or the reason why a format cannot hold it.

A writer stands beside the reader of its format, and what it writes is read back by that: what was judged, and how, is
the same then, or the comparison is left out and counted. Nothing is made up to fill a format's fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from candor.preferences import dialogues
from candor.records import Choice, Comparison, Message, Ranking, Ratings

TIE = "tie"
BOTH_BAD = "both bad"
FORM = "the prompt has a form that this format cannot hold"
ONLY_CHOICES = "no choice: this format holds choices"
ONLY_TWO = "a choice among more than two"
ONLY_RANKINGS = "no ranking: this format holds rankings"
ONLY_RATINGS = "no ratings: this format holds ratings"
PARTIAL = "a ranking that leaves responses out"
STRENGTH = "a strength that this format has no figure for"
SAME_AGAIN = "one annotator's second ratings of a prompt: this format could not tell them apart"


@dataclass(frozen=True, slots=True)
class Unwritten:
    """Why something that was said gives no row."""

    reason: str


Line = Mapping[str, Any] | Unwritten
WriteRows = Callable[[Iterable[Comparison]], Iterator[Line]]

TEXT, REAL, WHOLE, TRUTH, PAIRS = "text", "real", "whole", "truth", "pairs"
"""What a column holds: a string, a float, an integer, a boolean, a mapping of strings to strings."""

MESSAGES: Any = [{"role": TEXT, "content": TEXT}]
CLAIM: Any = {"question": TEXT, "truth": TEXT, "asserted": TEXT, "stance": TEXT, "strength": WHOLE}


@dataclass(frozen=True, kw_only=True, slots=True)
class Writer:
    """How a format is written.

    ``columns`` says what each field holds, a list in a list and a record in a mapping; None where that has no end (a
    tree), so that only JSON lines can hold it.
    """

    rows: WriteRows
    columns: Mapping[str, Any] | None


def each_alone(rows_of: Callable[[Comparison], Iterable[Line]]) -> WriteRows:
    """A writer that needs one comparison at a time; what no reader would take is left out before."""

    def write(comparisons: Iterable[Comparison]) -> Iterator[Line]:
        for comparison in comparisons:
            problem = unreadable(comparison)
            if problem is None:
                yield from rows_of(comparison)
            else:
                yield Unwritten(problem)

    return write


def unreadable(comparison: Comparison) -> str | None:
    """Why every reader of a foreign format would drop this, or None."""
    problem = dialogues.prompt_problem(comparison.prompt.messages)
    if problem is None and len(comparison.responses) < 2:
        return "fewer than two responses to compare"
    if problem is None and not all(response.text.strip() for response in comparison.responses):
        return dialogues.EMPTY_REPLY
    return problem


def filled(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row without what is not known."""
    return {name: value for name, value in row.items() if value is not None and value not in ("", {}, [])}


def told(prompt_messages: Sequence[Message]) -> list[dict[str, str]]:
    """Messages as files have them."""
    return [{"role": message.role, "content": message.content} for message in prompt_messages]


# Two at a time -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Sided:
    """What a comparison says of two of its responses (indices). ``better`` is None for a tie and where both are bad.

    ``strength`` is None where nobody was asked for one: a ranking, ratings.
    """

    comparison: Comparison
    first: int
    second: int
    better: int | None
    both_bad: bool = False
    strength: float | None = None

    @property
    def shown_first(self) -> int | None:
        """Which of the two stood in the earlier place; None where nobody recorded it."""
        return next((i for i in self.comparison.shown_order if i in (self.first, self.second)), None)

    def text(self, index: int) -> str:
        """The response's text."""
        return self.comparison.responses[index].text

    def policy(self, index: int) -> str:
        """Who wrote the response."""
        return self.comparison.responses[index].policy


def two_by_two(comparison: Comparison) -> Iterator[Sided]:
    """What was said of each two of the responses: of the best against each other one; in a ranking, of all ranked."""
    count, judgement = len(comparison.responses), comparison.judgement
    match judgement:
        case Choice(best=int(best), strength=strength, tie=False, both_bad=False):
            for other in range(count):
                if other != best:
                    first, second = sorted((best, other))
                    yield Sided(comparison=comparison, first=first, second=second, better=best, strength=strength)
        case Choice(both_bad=both_bad):
            for first, second in combinations(range(count), 2):
                yield Sided(comparison=comparison, first=first, second=second, better=None, both_bad=both_bad)
        case Ranking(order=order):
            place = {index: -number for number, group in enumerate(order) for index in group}
            yield from _by_score(comparison, place)
        case Ratings(scores=scores):
            yield from _by_score(comparison, dict(enumerate(scores)))


def _by_score(comparison: Comparison, score: Mapping[int, float]) -> Iterator[Sided]:
    for first, second in combinations(sorted(score), 2):
        gap = score[first] - score[second]
        better = None if gap == 0 else first if gap > 0 else second
        yield Sided(comparison=comparison, first=first, second=second, better=better)


def preferred(comparison: Comparison, row_of: Callable[[Sided, int, int], Line]) -> Iterator[Line]:
    """Yields rows of a format in which one of two is better; ``row_of`` gets the indices of that and of the other.

    Ties and "both bad" have none.
    """
    for sided in two_by_two(comparison):
        if sided.better is None:
            yield Unwritten(BOTH_BAD if sided.both_bad else TIE)
        else:
            yield row_of(sided, sided.better, sided.second if sided.better == sided.first else sided.first)


def signed(comparison: Comparison) -> float | Unwritten:
    """A choice between two as a signed strength, below 0 where the first is better; the reverse of ``by_sign``."""
    match comparison.judgement:
        case Choice() if len(comparison.responses) != 2:
            return Unwritten(ONLY_TWO)
        case Choice(both_bad=True):
            return Unwritten(BOTH_BAD)
        case Choice(tie=True):
            return 0.0
        case Choice(best=best, strength=strength) if strength > 0:
            return strength if best else -strength
        case Choice():
            return Unwritten(STRENGTH)
    return Unwritten(ONLY_CHOICES)


def ranks(comparison: Comparison, *, start: int) -> list[int] | Unwritten:
    """The rank of every response, ``start`` for the best; ties share one, and the next is one more."""
    match comparison.judgement:
        case Ranking(order=order):
            place = {index: number for number, group in enumerate(order, start=start) for index in group}
            if len(place) < len(comparison.responses):
                return Unwritten(PARTIAL)
            return [place[index] for index in range(len(comparison.responses))]
    return Unwritten(ONLY_RANKINGS)


def scores(comparison: Comparison) -> tuple[float, ...] | Unwritten:
    """The ratings, on the scale on which they were given."""
    match comparison.judgement:
        case Ratings(scores=given):
            return given
    return Unwritten(ONLY_RATINGS)
