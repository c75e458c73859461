"""Nectar: seven answers to a prompt, each with its rank."""

from __future__ import annotations

from collections.abc import Iterator

from candor.jsonl import Row
from candor.preferences import dialogues
from candor.preferences.formats.as_rows import FORM, TEXT, WHOLE, Line, Unwritten, Writer, each_alone, ranks
from candor.preferences.formats.base import Format, Item, compared, has, label, number, ranking
from candor.records import Comparison


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


def _write(comparison: Comparison) -> Iterator[Line]:
    given, prompt = ranks(comparison, start=1), dialogues.plain_prompt(comparison.prompt.messages)
    if isinstance(given, Unwritten) or prompt is None:
        yield given if isinstance(given, Unwritten) else Unwritten(FORM)
        return
    answers = [
        {"answer": response.text, "model": response.policy, "rank": rank}
        for response, rank in zip(comparison.responses, given, strict=True)
    ]
    yield {"prompt": prompt, "answers": answers}


NECTAR = Format(
    name="nectar",
    fields="prompt, answers (answer, model, rank)",
    detects=lambda fields: has(fields, "prompt", "answers"),
    read=_read,
    writer=Writer(
        rows=each_alone(_write),
        columns={"prompt": TEXT, "answers": [{"answer": TEXT, "model": TEXT, "rank": WHOLE}]},
    ),
)
