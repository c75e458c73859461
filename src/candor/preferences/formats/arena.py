"""Chatbot Arena: two models talk to one person, who says which is better, that they tie, or that both are bad."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from candor.jsonl import Drop, Row, json_type
from candor.preferences import dialogues
from candor.preferences.formats.as_rows import (
    MESSAGES,
    REAL,
    TEXT,
    Line,
    Unwritten,
    Writer,
    each_alone,
    filled,
    told,
    two_by_two,
)
from candor.preferences.formats.base import Format, Item, compared, has, label, labels, moment, side
from candor.records import Choice, Comparison, Message

DIVERGED = "the conversations differ before the last reply"
NO_REPLY = "a conversation does not end with the assistant"
_BOTH_BAD = 3
_WINNERS = {
    "model_a": 0,
    "model_b": 1,
    "tie": 2,
    "tie (bothbad)": _BOTH_BAD,
    "both_bad": _BOTH_BAD,
    "bothbad": _BOTH_BAD,
}


def _read(row: Row) -> Item:
    won = side(row, "winner", _WINNERS)
    conversations = [_conversation(row, "conversation_a"), _conversation(row, "conversation_b")]
    if any(not messages or messages[-1].role != "assistant" for messages in conversations):
        return Drop(line=row.line, reason=NO_REPLY)
    if conversations[0][:-1] != conversations[1][:-1]:
        return Drop(line=row.line, reason=DIVERGED)
    judgement = Choice(best=won) if won < 2 else Choice(best=None, tie=won != _BOTH_BAD, both_bad=won == _BOTH_BAD)
    return compared(
        row,
        conversations[0][:-1],
        [messages[-1].content for messages in conversations],
        judgement,
        policies=[label(row, "model_a"), label(row, "model_b")],
        annotator=label(row, "judge", "evaluation_session_id"),
        at=moment(row, "tstamp"),
        shown_order=(0, 1),  # the interface shows model A first
        tags=labels(row, "language"),
    )


def _conversation(row: Row, field: str) -> tuple[Message, ...]:
    """Messages whose content is a text, or (in later releases) a list of parts, of which the texts are taken."""
    value = row.require(field)
    if not isinstance(value, list):
        raise row.error(f"expected a list of messages, found {json_type(value)}", field=field)
    return dialogues.message_list(row, field, [_plain(entry) for entry in value])


def _plain(entry: Any) -> Any:
    if not isinstance(entry, dict) or not isinstance(entry.get("content"), list):
        return entry
    parts = [part.get("text") for part in entry["content"] if isinstance(part, dict) and part.get("text")]
    return {**entry, "content": "\n".join(part for part in parts if isinstance(part, str))}


NO_ORDER = "the order shown is not known: this format says that model A came first"


def _write(comparison: Comparison) -> Iterator[Line]:
    """The response that was shown first as model A's."""
    messages = comparison.prompt.messages
    for sided in two_by_two(comparison):
        if sided.shown_first is None:
            yield Unwritten(NO_ORDER)
            continue
        a, b = (sided.first, sided.second) if sided.shown_first == sided.first else (sided.second, sided.first)
        winner = "model_a" if sided.better == a else "model_b"
        if sided.better is None:
            winner = "tie (bothbad)" if sided.both_bad else "tie"
        yield filled(
            {
                "question_id": comparison.id,
                "model_a": sided.policy(a),
                "model_b": sided.policy(b),
                "winner": winner,
                "judge": comparison.annotator,
                "conversation_a": told((*messages, Message(role="assistant", content=sided.text(a)))),
                "conversation_b": told((*messages, Message(role="assistant", content=sided.text(b)))),
                "language": comparison.prompt.tags.get("language"),
                "tstamp": _seconds(comparison.at),
            }
        )


def _seconds(at: str | None) -> float | None:
    """Seconds since 1970, where a time says how far it is from UTC."""
    try:
        moment_ = datetime.fromisoformat(at or "")
    except ValueError:
        return None
    return None if moment_.tzinfo is None else moment_.timestamp()


_COLUMNS = {
    "question_id": TEXT,
    "model_a": TEXT,
    "model_b": TEXT,
    "winner": TEXT,
    "judge": TEXT,
    "conversation_a": MESSAGES,
    "conversation_b": MESSAGES,
    "language": TEXT,
    "tstamp": REAL,
}

ARENA = Format(
    name="chatbot-arena",
    fields="model_a, model_b, conversation_a, conversation_b, winner",
    detects=lambda fields: has(fields, "conversation_a", "conversation_b", "winner"),
    read=_read,
    writer=Writer(rows=each_alone(_write), columns=_COLUMNS),
)
