"""Chatbot Arena: two models talk to one person, who says which is better, that they tie, or that both are bad."""

from __future__ import annotations

from typing import Any

from candor.jsonl import Drop, Row, json_type
from candor.preferences import dialogues
from candor.preferences.formats.base import Format, Item, compared, has, label, labels, moment, side
from candor.records import Choice, Message

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


ARENA = Format(
    name="chatbot-arena",
    fields="model_a, model_b, conversation_a, conversation_b, winner",
    detects=lambda fields: has(fields, "conversation_a", "conversation_b", "winner"),
    read=_read,
)
