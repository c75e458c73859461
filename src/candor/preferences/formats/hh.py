"""HH-RLHF: two whole transcripts, the better and the worse."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from candor.jsonl import Drop, Row
from candor.preferences import dialogues
from candor.preferences.formats.base import DIFFERENT_PROMPTS, NO_REPLY, Format, Item, pair


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


HH = Format(name="hh", fields="chosen, rejected as Human/Assistant transcripts", detects=_detects, read=_read)
