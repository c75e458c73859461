"""Nectar: seven answers to a prompt, each with its rank."""

from __future__ import annotations

from candor.jsonl import Row
from candor.preferences import dialogues
from candor.preferences.formats.base import Format, Item, compared, has, label, number, ranking


def _read(row: Row) -> Item:
    answers = row.objects("answers")
    order = ranking(row, [number(answer, "rank") for answer in answers], "answers")
    return compared(
        row,
        dialogues.prompt_messages(row, "prompt"),
        [answer.text("answer") for answer in answers],
        order,
        policies=[label(answer, "model") for answer in answers],
    )


NECTAR = Format(
    name="nectar",
    fields="prompt, answers (answer, model, rank)",
    detects=lambda fields: has(fields, "prompt", "answers"),
    read=_read,
)
