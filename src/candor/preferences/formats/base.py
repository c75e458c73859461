"""What every format is made of: how it is told, how it is read, and how a row becomes a comparison."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf, isfinite
from typing import Any

from candor.jsonl import Drop, Row, json_type
from candor.preferences import dialogues
from candor.preferences.containers import stem
from candor.preferences.formats.as_rows import Writer
from candor.records import Choice, Comparison, Completion, Judgement, Message, Prompt, Ranking

DIFFERENT_PROMPTS = "chosen and rejected have different prompts"
NO_REPLY = "chosen or rejected does not end with the assistant"
TOO_FEW = "fewer than two responses to compare"

Item = Comparison | Drop
ReadRow = Callable[[Row], Item | Sequence[Item]]
"""Gives what one row holds. Raises InputError for a row that does not fit."""

ABSENT: tuple[Any, ...] = (None, "")
"""What stands for a value that is not there: null, and an empty cell of a table."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Groups:
    """How a format that spreads comparisons over several rows is read.

    ``key`` names the group of a row, ``check`` raises InputError for a row that does not fit, and ``join`` gives what
    the rows of one group (those that fit) hold, each with the row that it is to be found at.
    """

    key: Callable[[Row], Hashable]
    check: Callable[[Row], object]
    join: Callable[[Sequence[Row]], Iterable[tuple[Row, Item]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """One way in which files hold comparisons. ``fields`` is for people: error messages and the documentation.

    ``writer`` is None for what is only read; docs/formats.md says why.
    """

    name: str
    fields: str
    detects: Callable[[Mapping[str, Any]], bool]
    read: ReadRow | Groups
    writer: Writer | None = None


def has(fields: Mapping[str, Any], *names: str) -> bool:
    """Whether a row has all of these fields."""
    return all(name in fields for name in names)


def response_id(row: Row, name: str) -> str:
    """The id of a response of a row: unique within its file."""
    return f"{stem(row.path.name)}:{row.line}/{name}"


def pair(
    row: Row,
    messages: tuple[Message, ...],
    chosen: str,
    rejected: str,
    *,
    judgement: Judgement | None = None,
    comparison_id: str = "",
    policies: tuple[str, str] = ("", ""),
    annotator: str = "",
    seconds: float | None = None,
    at: str | None = None,
    shown_order: tuple[int, ...] = (),
) -> Item:
    """A comparison of two replies, of which the first was chosen unless ``judgement`` says otherwise.

    The row's own ``claim`` and ``tags`` are kept. A prompt or a reply that is empty makes it a :class:`Drop`.
    """
    problem = dialogues.prompt_problem(messages)
    if problem is None and not (chosen.strip() and rejected.strip()):
        problem = dialogues.EMPTY_REPLY
    if problem is not None:
        return Drop(line=row.line, reason=problem)
    prompt = dialogues.make_prompt(row, messages)
    source = stem(row.path.name)
    name = f"{source}:{row.line}"
    return Comparison(
        id=comparison_id or name,
        prompt=prompt,
        responses=(
            Completion(id=f"{name}/chosen", prompt_id=prompt.id, text=chosen, policy=policies[0]),
            Completion(id=f"{name}/rejected", prompt_id=prompt.id, text=rejected, policy=policies[1]),
        ),
        judgement=judgement or Choice(best=0),
        shown_order=shown_order,
        annotator=annotator,
        seconds=seconds,
        at=at,
        source=source,
    )


def compared(
    row: Row,
    messages: tuple[Message, ...],
    texts: Sequence[str],
    judgement: Judgement,
    *,
    part: str = "",
    policies: Sequence[str] = (),
    annotator: str = "",
    seconds: float | None = None,
    at: str | None = None,
    shown_order: tuple[int, ...] = (),
    tags: Mapping[str, str] | None = None,
) -> Item:
    """A comparison of two or more responses, numbered from 1; ``part`` tells several comparisons of a row apart.

    A prompt or a response that is empty, or fewer than two responses, makes it a :class:`Drop`.
    """
    problem = dialogues.prompt_problem(messages)
    if problem is None and len(texts) < 2:
        problem = TOO_FEW
    if problem is None and not all(text.strip() for text in texts):
        problem = dialogues.EMPTY_REPLY
    if problem is not None:
        return Drop(line=row.line, reason=problem)
    source = stem(row.path.name)
    name = f"{source}:{row.line}{part}"
    prompt = Prompt(id=dialogues.content_id(messages, None), messages=messages, tags=dict(tags or {}))
    responses = tuple(
        Completion(id=f"{name}/{i + 1}", prompt_id=prompt.id, text=text, policy=policies[i] if policies else "")
        for i, text in enumerate(texts)
    )
    return Comparison(
        id=name,
        prompt=prompt,
        responses=responses,
        judgement=judgement,
        shown_order=shown_order,
        annotator=annotator,
        seconds=seconds,
        at=at,
        source=source,
    )


def number(row: Row, field: str) -> float:
    """The value of ``field``, a finite number. Raises InputError for anything else."""
    value = row.require(field)
    if row.untyped and isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise row.error(f"expected a number, found '{value[:40]}'", field=field, reason="not a number") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise row.error(f"expected a number, found {json_type(value)}", field=field)
    try:
        value = float(value)
    except OverflowError:
        value = inf
    if not isfinite(value):
        raise row.error(f"expected a finite number, found {value}", field=field)
    return value


def whole(row: Row, field: str) -> int:
    """The value of ``field``, a whole number. Raises InputError for anything else."""
    value = number(row, field)
    if value != int(value):
        raise row.error(f"expected a whole number, found {value}", field=field, reason="not a whole number")
    return int(value)


def number_or_none(row: Row, field: str) -> float | None:
    """The value of ``field``, or None where the row has none."""
    return None if row.fields.get(field) in ABSENT else number(row, field)


def label(row: Row, *names: str) -> str:
    """Returns a name or an id: the first of these fields that is there, numbers as text; empty where none is.

    Raises InputError where it is something else.
    """
    for name in names:
        value = row.fields.get(name)
        if value in ABSENT:
            continue
        if isinstance(value, str):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise row.error(f"expected a string, found {json_type(value)}", field=name)
    return ""


def labels(row: Row, *names: str) -> dict[str, str]:
    """Those of these fields that are there, as tags."""
    return {name: value for name in names if (value := label(row, name))}


def moment(row: Row, field: str) -> str | None:
    """When something happened, as ISO 8601; seconds since 1970 are read as UTC. None where nobody recorded it.

    Raises InputError for what is no time.
    """
    value = row.fields.get(field)
    if value in ABSENT:
        return None
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and not row.untyped:
        return value
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return value
    try:
        return datetime.fromtimestamp(number(row, field), UTC).isoformat()
    except (OverflowError, OSError, ValueError) as error:
        raise row.error("not a moment in time", field=field, fix="expected seconds since 1970") from error


def ranking(row: Row, ranks: Sequence[float], field: str, *, gaps: bool = False) -> Ranking:
    """Returns responses grouped by rank, the lowest best. Ranks count on (1, 2, 2, 3) or skip as in sport (1, 2, 2, 4).

    Raises InputError where a rank is missing, unless ``gaps`` are allowed: responses may have been taken out.
    """
    order = tuple(tuple(index for index, rank in enumerate(ranks) if rank == value) for value in sorted(set(ranks)))
    if not gaps and order:
        start = min(ranks)
        dense = [start + place for place in range(len(order))]
        skipping = [start + sum(map(len, order[:place])) for place in range(len(order))]
        if sorted(set(ranks)) not in (dense, skipping) or start not in (0, 1):
            told = ", ".join(f"{rank:g}" for rank in ranks)
            what = f"the ranks {told[:80]} have a gap"
            raise row.error(what, field=field, fix="ranks start at 1 and leave none out", reason="ranks with a gap")
    return Ranking(order=order)


def by_sign(strength: float) -> Choice:
    """The choice that a signed strength says: below 0 the first of two is better, above it the second, 0 a tie."""
    if strength == 0:
        return Choice(best=None, tie=True)
    return Choice(best=int(strength > 0), strength=abs(strength))


def side(row: Row, field: str, names: Mapping[str, int]) -> int:
    """Which response a value of ``field`` names. Raises InputError for a name that is none of them."""
    value = row.require(field)
    found = names.get(value.strip().lower()) if isinstance(value, str) else None
    if found is None:
        told = f"'{value[:40]}'" if isinstance(value, str) else json_type(value)
        known = ", ".join(names)
        raise row.error(f"unknown value {told}", field=field, fix=f"known are {known}", reason="unknown value")
    return found


def each(rows: Sequence[Row], item: Callable[[Sequence[Row]], Item]) -> Iterator[tuple[Row, Item]]:
    """A group that holds one comparison, found at its first row."""
    yield rows[0], item(rows)
