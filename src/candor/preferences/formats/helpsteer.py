"""HelpSteer 2 and 3: ratings of single responses, and pairs with a signed strength.

Where a row keeps what each annotator said, each becomes a comparison, and the figure made from them is left off: it
says nothing new. The annotators are not named; that they differ within a row is all that is known of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from candor.jsonl import Drop, Row
from candor.preferences import dialogues
from candor.preferences.formats.as_rows import (
    FORM,
    MESSAGES,
    REAL,
    TEXT,
    Line,
    Unwritten,
    Writer,
    each_alone,
    filled,
    signed,
    told,
)
from candor.preferences.formats.base import (
    ABSENT,
    Format,
    Groups,
    Item,
    by_sign,
    compared,
    each,
    has,
    labels,
    number,
)
from candor.records import Comparison, Message, Ratings, Role

_TURN = re.compile(r"\n?<extra_id_1>(User|Assistant)\n")
_ROLES: Mapping[str, Role] = {"User": "user", "Assistant": "assistant"}


def _prompt(row: Row) -> tuple[Message, ...]:
    """The first turn is the user's; the others follow their marks."""
    if not isinstance(row.require("prompt"), str):
        return dialogues.prompt_messages(row, "prompt")
    return _turns(row.text("prompt"))


def _turns(text: str) -> tuple[Message, ...]:
    first, *rest = _TURN.split(text)
    turns = [Message(role=_ROLES[role], content=text) for role, text in zip(rest[::2], rest[1::2], strict=True)]
    return (Message(role="user", content=first), *turns) if first.strip() or not turns else tuple(turns)


def _helpfulness(row: Row) -> float:
    """One figure, or a list with one per annotator, of which the mean is taken: which is whose is not known."""
    value = row.require("helpfulness")
    if isinstance(value, list) and value:
        return fmean(number(row.inner("helpfulness", {"score": v}, i), "score") for i, v in enumerate(value))
    return number(row, "helpfulness")


def _check(row: Row) -> None:
    row.text("response")
    _helpfulness(row)


def _join(rows: Sequence[Row]) -> Item:
    scores = Ratings(scores=tuple(_helpfulness(row) for row in rows))
    return compared(rows[0], _prompt(rows[0]), [row.text("response") for row in rows], scores)


RATINGS = Format(
    name="helpsteer2",
    fields="prompt, response, helpfulness (and correctness, coherence, complexity, verbosity)",
    detects=lambda fields: has(fields, "prompt", "response", "helpfulness"),
    read=Groups(key=_prompt, check=_check, join=lambda rows: each(rows, _join)),
)


def _read_preference(row: Row) -> Sequence[Item]:
    texts = [row.text("response_1"), row.text("response_2")]
    overall = number(row, "preference_strength")
    single = _individual(row, "all_preferences_unprocessed", "strength")
    return _judged(row, _prompt(row), texts, overall, single, labels(row, "split"))


def _read_third(row: Row) -> Sequence[Item]:
    texts = [row.text("response1"), row.text("response2")]
    overall = number(row, "overall_preference")
    single = _individual(row, "individual_preference", "score")
    return _judged(
        row, dialogues.prompt_messages(row, "context"), texts, overall, single, labels(row, "domain", "language")
    )


def _individual(row: Row, field: str, score: str) -> list[float]:
    if row.fields.get(field) in ABSENT:
        return []
    return [number(entry, score) for entry in row.objects(field)]


def _judged(
    row: Row,
    messages: tuple[Message, ...],
    texts: Sequence[str],
    overall: float,
    single: Sequence[float],
    tags: Mapping[str, str],
) -> Sequence[Item]:
    if not single:
        return [compared(row, messages, texts, by_sign(overall), tags=tags)]
    found = [
        compared(row, messages, texts, by_sign(strength), tags=tags, part=f"/{place}")
        for place, strength in enumerate(single, start=1)
    ]
    return found[:1] if isinstance(found[0], Drop) else found  # a row is dropped once


def _write_preference(comparison: Comparison) -> Iterator[Line]:
    strength, messages = signed(comparison), comparison.prompt.messages
    if isinstance(strength, Unwritten):
        yield strength
        return
    names = {role: name for name, role in _ROLES.items()}
    first, *rest = messages
    prompt = first.content + "".join(f"\n<extra_id_1>{names.get(m.role)}\n{m.content}" for m in rest)
    if _turns(prompt) != messages:
        yield Unwritten(FORM)
        return
    a, b = comparison.responses
    yield filled(
        {
            "prompt": prompt,
            "response_1": a.text,
            "response_2": b.text,
            "preference_strength": strength,
            "split": comparison.prompt.tags.get("split"),
        }
    )


def _write_third(comparison: Comparison) -> Iterator[Line]:
    strength, tags = signed(comparison), comparison.prompt.tags
    if isinstance(strength, Unwritten):
        yield strength
        return
    a, b = comparison.responses
    yield filled(
        {
            "domain": tags.get("domain"),
            "language": tags.get("language"),
            "context": told(comparison.prompt.messages),
            "response1": a.text,
            "response2": b.text,
            "overall_preference": strength,
            "individual_preference": [{"score": strength}],
        }
    )


def _detects_pairs(fields: Mapping[str, Any]) -> bool:
    return has(fields, "prompt", "response_1", "response_2", "preference_strength")


PREFERENCES = Format(
    name="helpsteer2-preferences",
    fields="prompt, response_1, response_2, preference_strength (below 0: response 1 is better)",
    detects=_detects_pairs,
    read=_read_preference,
    writer=Writer(
        rows=each_alone(_write_preference),
        columns={"prompt": TEXT, "response_1": TEXT, "response_2": TEXT, "preference_strength": REAL, "split": TEXT},
    ),
)

THIRD = Format(
    name="helpsteer3",
    fields="context, response1, response2, overall_preference, individual_preference",
    detects=lambda fields: has(fields, "context", "response1", "response2", "overall_preference"),
    read=_read_third,
    writer=Writer(
        rows=each_alone(_write_third),
        columns={
            "domain": TEXT,
            "language": TEXT,
            "context": MESSAGES,
            "response1": TEXT,
            "response2": TEXT,
            "overall_preference": REAL,
            "individual_preference": [{"score": REAL}],
        },
    ),
)
