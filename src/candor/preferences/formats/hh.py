"""HH-RLHF: two whole transcripts, the better and the worse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from candor.jsonl import Drop, Row
from candor.preferences import dialogues
from candor.preferences.formats.as_rows import (
    CLAIM,
    FORM,
    PAIRS,
    TEXT,
    Line,
    Sided,
    Unwritten,
    Writer,
    each_alone,
    filled,
    preferred,
)
from candor.preferences.formats.base import DIFFERENT_PROMPTS, NO_REPLY, Format, Item, pair
from candor.records import Comparison, to_json

TURN_INSIDE = "a reply that looks like several turns of a transcript"


def _read(row: Row) -> Item:
    """Splits both transcripts at their last Assistant turn; what stands before has to be the same."""
    if row.fields.get("prompt") is not None:
        raise row.error("the first row had no 'prompt'", field="prompt", fix="keep one format per file")
    prompt_a, mark_a, chosen = row.text("chosen").rpartition(dialogues.ASSISTANT)
    prompt_b, mark_b, rejected = row.text("rejected").rpartition(dialogues.ASSISTANT)
    if not (mark_a and mark_b) or dialogues.HUMAN in chosen or dialogues.HUMAN in rejected:
        return Drop(line=row.line, reason=NO_REPLY)
    if prompt_a != prompt_b:
        return Drop(line=row.line, reason=DIFFERENT_PROMPTS)
    if not dialogues.is_transcript(prompt_a):
        return Drop(line=row.line, reason=dialogues.NOT_USER_LAST)
    return pair(row, dialogues.transcript_messages(prompt_a), chosen.strip(), rejected.strip())


def _detects(fields: Mapping[str, Any]) -> bool:
    both = dialogues.is_transcript(fields.get("chosen")) and dialogues.is_transcript(fields.get("rejected"))
    return both and fields.get("prompt") is None


def _write(comparison: Comparison) -> Iterator[Line]:
    """White space around a turn is not part of a transcript, and a reply may not look like two turns."""
    messages = tuple(replace(m, content=m.content.strip()) for m in comparison.prompt.messages)
    asked = dialogues.transcript(messages).removesuffix(dialogues.ASSISTANT)
    held = all(m.role in ("user", "assistant") for m in messages) and dialogues.is_transcript(asked)
    held = held and dialogues.transcript_messages(asked) == messages

    def row(sided: Sided, better: int, worse: int) -> Line:
        texts = [sided.text(index).strip() for index in (better, worse)]
        if not held:
            return Unwritten(FORM)
        if any(mark in text for text in texts for mark in (dialogues.HUMAN, dialogues.ASSISTANT)):
            return Unwritten(TURN_INSIDE)
        whole = [f"{asked}{dialogues.ASSISTANT} {text}" for text in texts]
        claim, tags = to_json(comparison.prompt.claim), dict(comparison.prompt.tags)
        return filled({"chosen": whole[0], "rejected": whole[1], "claim": claim, "tags": tags})

    return preferred(comparison, row)


HH = Format(
    name="hh",
    fields="chosen, rejected as Human/Assistant transcripts",
    detects=_detects,
    read=_read,
    writer=Writer(rows=each_alone(_write), columns={"chosen": TEXT, "rejected": TEXT, "claim": CLAIM, "tags": PAIRS}),
)
