"""Plain tables of one's own: two responses and a winner in a row, or one response and its rating."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from candor.jsonl import Row
from candor.preferences import dialogues
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
from candor.records import Choice, Message, Ratings

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


PAIRS = Format(
    name="pairs",
    fields="prompt, response_a, response_b, winner (a, b, tie, both_bad)",
    detects=_detects_pair,
    read=_read_pair,
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


RATINGS = Format(
    name="ratings",
    fields="prompt, response, rating",
    detects=lambda fields: has(fields, "prompt", "response", "rating"),
    read=Groups(key=_key, check=_rated, join=lambda rows: each(rows, _join)),
)
