"""Conversations as files hold them: plain strings, message lists, and Human/Assistant transcripts."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from candor.jsonl import Row, json_type
from candor.records import ROLES, Claim, Message, Prompt, Role, to_json

T = TypeVar("T")

HUMAN = "\n\nHuman:"
ASSISTANT = "\n\nAssistant:"
_TURN = re.compile(r"\n\n(Human|Assistant):")
_STARTS_WITH_HUMAN = re.compile(r"\s*Human:")
_ROLE_OF: dict[str, Role] = {"Human": "user", "Assistant": "assistant"}

_ABSENT: tuple[Any, ...] = (None, "")  # an empty cell of a table is an empty text

NOT_USER_LAST = "the prompt does not end with the user"
EMPTY_PROMPT = "the prompt is empty"
EMPTY_REPLY = "a reply is empty"


def is_transcript(value: Any) -> bool:
    """Whether a value is a string of Human and Assistant turns, as in HH-RLHF."""
    return isinstance(value, str) and _STARTS_WITH_HUMAN.match(value) is not None


def transcript(messages: Sequence[Message]) -> str:
    """Messages of user and assistant as a transcript that awaits the assistant; see :func:`transcript_messages`."""
    turns = (f"{HUMAN if m.role == 'user' else ASSISTANT} {m.content}" for m in messages)
    return "".join(turns) + ASSISTANT


def transcript_messages(text: str) -> tuple[Message, ...]:
    """Messages of a transcript; white space around each turn is removed.

    Turns of one speaker in a row become one message: chat templates want speakers to alternate. A last turn without any
    text (the cue for the assistant to speak) is left off.
    """
    pieces = _TURN.split("\n\n" + text.lstrip())[1:]  # nothing stands before the first turn, see is_transcript
    messages: list[Message] = []
    for speaker, content in zip(pieces[::2], pieces[1::2], strict=True):
        role, content = _ROLE_OF[speaker], content.strip()
        if messages and messages[-1].role == role:
            messages[-1] = Message(role=role, content=f"{messages[-1].content}\n\n{content}".strip())
        else:
            messages.append(Message(role=role, content=content))
    if messages and not messages[-1].content:
        messages.pop()
    return tuple(messages)


def plain_prompt(messages: Sequence[Message]) -> str | None:
    """Returns one user message as it is, several as a transcript; None where that would not be read back as it was."""
    if len(messages) == 1 and messages[0].role == "user" and not is_transcript(messages[0].content):
        return messages[0].content
    if not all(m.role in ("user", "assistant") for m in messages):
        return None
    text = transcript(messages)
    return text if is_transcript(text) and transcript_messages(text) == tuple(messages) else None


def message_list(row: Row, field: str, value: Any) -> tuple[Message, ...]:
    """Returns the messages of ``[{"role": ..., "content": ...}, ...]``.

    Raises InputError naming the entry that does not fit.
    """
    if not isinstance(value, list):
        raise row.error(f"expected a string or a list of messages, found {json_type(value)}", field=field)
    messages = []
    for i, entry in enumerate(value):
        place = f"{field}[{i}]"
        if not isinstance(entry, dict):
            raise row.error(f"expected a message, found {json_type(entry)}", field=place)
        for key in ("role", "content"):
            if not isinstance(entry.get(key), str):
                found = json_type(entry[key]) if key in entry else "nothing"
                raise row.error(f"expected a string, found {found}", field=f"{place}.{key}")
        if entry["role"] not in ROLES:
            fix = f"roles are {', '.join(ROLES)}"
            raise row.error(f"unknown role '{entry['role']}'", field=f"{place}.role", fix=fix, reason="unknown role")
        messages.append(Message(role=entry["role"], content=entry["content"]))
    return tuple(messages)


def prompt_messages(row: Row, field: str) -> tuple[Message, ...]:
    """Returns a prompt's messages: of a plain string (one user message), a transcript, or a list of messages."""
    value = row.require(field)
    if is_transcript(value):
        return transcript_messages(value)
    if isinstance(value, str):
        return (Message(role="user", content=value),)
    return message_list(row, field, value)


def prompt_problem(messages: Sequence[Message]) -> str | None:
    """Why messages do not make a prompt, or None where they do."""
    if not messages or not any(m.content.strip() for m in messages):
        return EMPTY_PROMPT
    return None if messages[-1].role == "user" else NOT_USER_LAST


def make_prompt(row: Row, messages: tuple[Message, ...], *, prompt_id: str = "") -> Prompt:
    """A prompt with the row's ``claim`` and ``tags``, if it has them.

    Without an id of its own a prompt is named by its content, claim included: the same prompt has the same id in every
    file.
    """
    claim = decode(row, "claim", Claim) if row.fields.get("claim") not in _ABSENT else None
    tags = decode(_without_nulls(row, "tags"), "tags", dict[str, str]) if row.fields.get("tags") not in _ABSENT else {}
    return Prompt(id=prompt_id or content_id(messages, claim), messages=messages, claim=claim, tags=tags)


def _without_nulls(row: Row, field: str) -> Row:
    """A column of objects holds null under the keys that only other rows have."""
    value = row.fields[field]
    if not isinstance(value, dict) or None not in value.values():
        return row
    return replace(row, fields={**row.fields, field: {k: v for k, v in value.items() if v is not None}})


def content_id(messages: Sequence[Message], claim: Claim | None) -> str:
    """16 hexadecimal digits that stand for the content of a prompt."""
    # Lengths, so that no content can pass for the start of another message.
    text = "".join([f"{m.role}{len(m.content)}:{m.content}" for m in messages])
    if claim is not None:
        text += json.dumps(to_json(claim), sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def decode(row: Row, field: str, kind: type[T]) -> T:
    """Returns a field (or the whole row, where ``field`` is empty) read as a record.

    Raises InputError with the first field that is missing or has the wrong type.
    """
    value = row.require(field) if field else dict(row.fields)
    try:
        return cast(T, _adapter(cast(Hashable, kind)).validate_python(value))
    except ValidationError as error:
        first = error.errors()[0]
        names = [field, *(str(part) for part in first["loc"])]
        what = first["msg"].lower()
        raise row.error(what, field=".".join(name for name in names if name)) from error


@lru_cache
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast(Any, kind))
