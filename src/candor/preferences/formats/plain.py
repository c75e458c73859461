"""Plain tables of one's own: two responses and a winner in a row, or one response and its rating."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from candor.jsonl import Row
from candor.preferences import dialogues
from candor.preferences.formats.as_rows import (
    FORM,
    REAL,
    SAME_AGAIN,
    TEXT,
    Line,
    Unwritten,
    Writer,
    each_alone,
    filled,
    scores,
    two_by_two,
    unreadable,
)
from candor.preferences.formats.base import (
    ABSENT,
    Format,
    Groups,
    Item,
    compared,
    each,
    has,
    label,
    moment,
    number,
    number_or_none,
    side,
)
from candor.records import Choice, Comparison, Message, Ratings

_SIDES = {"a": 0, "b": 1, "response_a": 0, "response_b": 1, "model_a": 0, "model_b": 1}
_TIE, _BOTH_BAD = 2, 3
_WINNERS = {**_SIDES, "tie": _TIE, "both_bad": _BOTH_BAD, "both bad": _BOTH_BAD, "bothbad": _BOTH_BAD}
_WINNER_FIELDS = ("winner", "choice", "preference")


def _winner_field(fields: Mapping[str, Any]) -> str:
    return next((name for name in _WINNER_FIELDS if name in fields), _WINNER_FIELDS[0])


def _read_pair(row: Row) -> Item:
    won = side(row, _winner_field(row.fields), _WINNERS)
    strength = number_or_none(row, "strength")
    first = None if row.fields.get("shown_first") in ABSENT else side(row, "shown_first", _SIDES)
    if won < _TIE:
        judgement = Choice(best=won, strength=1.0 if strength is None else strength)
    else:
        judgement = Choice(best=None, tie=won == _TIE, both_bad=won == _BOTH_BAD)
    return compared(
        row,
        dialogues.prompt_messages(row, "prompt"),
        [row.text("response_a"), row.text("response_b")],
        judgement,
        policies=[label(row, "model_a"), label(row, "model_b")],
        annotator=label(row, "annotator"),
        seconds=number_or_none(row, "seconds"),
        at=moment(row, "at"),
        shown_order=() if first is None else (first, 1 - first),
    )


def _detects_pair(fields: Mapping[str, Any]) -> bool:
    return has(fields, "prompt", "response_a", "response_b") and any(name in fields for name in _WINNER_FIELDS)


def _write_pairs(comparison: Comparison) -> Iterator[Line]:
    """All that is known of two responses; of more, what was said of each two of them."""
    prompt = dialogues.plain_prompt(comparison.prompt.messages)
    for sided in two_by_two(comparison):
        if prompt is None:
            yield Unwritten(FORM)
            continue
        winner = "a" if sided.better == sided.first else "b"
        if sided.better is None:
            winner = "both_bad" if sided.both_bad else "tie"
        first = {sided.first: "a", sided.second: "b", None: None}[sided.shown_first]
        yield filled(
            {
                "prompt": prompt,
                "response_a": sided.text(sided.first),
                "response_b": sided.text(sided.second),
                "winner": winner,
                "strength": sided.strength,
                "annotator": comparison.annotator,
                "seconds": comparison.seconds,
                "at": comparison.at,
                "shown_first": first,
                "model_a": sided.policy(sided.first),
                "model_b": sided.policy(sided.second),
            }
        )


_PAIR_COLUMNS = {
    "prompt": TEXT,
    "response_a": TEXT,
    "response_b": TEXT,
    "winner": TEXT,
    "strength": REAL,
    "annotator": TEXT,
    "seconds": REAL,
    "at": TEXT,
    "shown_first": TEXT,
    "model_a": TEXT,
    "model_b": TEXT,
}

PAIRS = Format(
    name="pairs",
    fields="prompt, response_a, response_b, winner (a, b, tie, both_bad)",
    detects=_detects_pair,
    read=_read_pair,
    writer=Writer(rows=each_alone(_write_pairs), columns=_PAIR_COLUMNS),
)


def _rated(row: Row) -> tuple[str, float]:
    return row.text("response"), number(row, "rating")


def _key(row: Row) -> tuple[tuple[Message, ...], str]:
    return dialogues.prompt_messages(row, "prompt"), label(row, "annotator")


def _join(rows: Sequence[Row]) -> Item:
    texts, scores = zip(*map(_rated, rows), strict=True)
    seconds = [number_or_none(row, "seconds") for row in rows]
    known = [second for second in seconds if second is not None]
    return compared(
        rows[0],
        dialogues.prompt_messages(rows[0], "prompt"),
        texts,
        Ratings(scores=scores),
        policies=[label(row, "model") for row in rows],
        annotator=label(rows[0], "annotator"),
        seconds=sum(known) if len(known) == len(rows) else None,
        at=moment(rows[0], "at"),
    )


def _write_ratings(comparisons: Iterable[Comparison]) -> Iterator[Line]:
    """A row per response. What an annotator said of a prompt's responses is one comparison: they can do so once."""
    seen: set[tuple[str, str]] = set()
    for comparison in comparisons:
        problem, given = unreadable(comparison), scores(comparison)
        prompt = dialogues.plain_prompt(comparison.prompt.messages)
        key = (dialogues.content_id(comparison.prompt.messages, None), comparison.annotator)
        if isinstance(given, Unwritten) or problem is not None:
            yield given if isinstance(given, Unwritten) else Unwritten(problem or "")
        elif prompt is None or key in seen:
            yield Unwritten(FORM if prompt is None else SAME_AGAIN)
        else:
            seen.add(key)
            share = None if comparison.seconds is None else comparison.seconds / len(given)
            for response, score in zip(comparison.responses, given, strict=True):
                yield filled(
                    {
                        "prompt": prompt,
                        "response": response.text,
                        "rating": score,
                        "annotator": comparison.annotator,
                        "model": response.policy,
                        "seconds": share,
                        "at": comparison.at,
                    }
                )


_RATING_COLUMNS = {
    "prompt": TEXT,
    "response": TEXT,
    "rating": REAL,
    "annotator": TEXT,
    "model": TEXT,
    "seconds": REAL,
    "at": TEXT,
}

RATINGS = Format(
    name="ratings",
    fields="prompt, response, rating",
    detects=lambda fields: has(fields, "prompt", "response", "rating"),
    read=Groups(key=_key, check=_rated, join=lambda rows: each(rows, _join)),
    writer=Writer(rows=_write_ratings, columns=_RATING_COLUMNS),
)
