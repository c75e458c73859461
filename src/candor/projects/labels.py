"""What people said, read back: as comparisons for training and audits, or with everything known about each answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, exists, func, select

from candor.projects.assignment import Arm, Purpose
from candor.projects.items import Gold, ItemKind
from candor.projects.schema import items, members, submissions, tasks
from candor.records import Comparison, Completion, Judgement, Message, Prompt, judgement_from_json

SOURCE = "collect"

AT_ONCE = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """One standing answer and everything that is known about how it came about.

    ``prompt`` is what the annotator saw: without the user's belief in the hidden arm. ``seconds`` is the time in which
    the page was visible, ``total_seconds`` from first sight to answer. ``retest_of``: the annotator's first answer.
    """

    submission_id: str
    item_id: int
    item_key: str
    kind: ItemKind
    purpose: Purpose
    round: int
    account_id: int
    handle: str
    batch: int
    answer: Judgement
    shown_order: tuple[int, ...]
    arm: Arm | None
    propensity: float | None
    drawn: str
    seconds: float | None
    total_seconds: float | None
    focus_lost: int
    received_at: float
    surplus: bool
    prompt: Prompt
    responses: tuple[Completion, ...]
    gold: Gold | None
    retest_of: str | None


def read_judgements(
    connection: Connection,
    project_id: int,
    *,
    kinds: Sequence[ItemKind] = ("main", "gold", "calibration"),
    batch: int | None = None,
) -> list[Judged]:
    """Every answer that stands, in the order in which they were stored; ``batch``: of this batch's items only."""
    texts: dict[int, tuple[Prompt, tuple[Message, ...] | None, tuple[Completion, ...], Gold | None]] = {}
    found: list[Judged] = []
    first: dict[tuple[int, int], str] = {}
    for row in connection.execute(_standing(project_id, kinds, batch)).mappings():
        key = row["item_id"]
        if key not in texts:
            texts[key] = _texts(connection, key)
        if row["round"] == 0 and not row["surplus"]:
            first[key, row["account_id"]] = row["submission_id"]
        found.append(_judged(row, *texts[key], first.get((key, row["account_id"]))))
    return found


def read_labels(
    connection: Connection,
    project_id: int,
    *,
    kinds: Sequence[ItemKind] = ("main",),
    batch: int | None = None,
    retests: bool = True,
    surplus: bool = True,
) -> Iterator[Comparison]:
    """Standing answers as comparisons: what was seen, in which order, what was said, by whom (the member's handle).

    ``retests`` and ``surplus``: whether second looks, and answers beyond the overlap, are among them.
    """
    for judged in read_judgements(connection, project_id, kinds=kinds, batch=batch):
        if (retests or judged.round == 0) and (surplus or not judged.surplus):
            yield comparison_of(judged)


def comparison_of(judged: Judged) -> Comparison:
    """An answer as a comparison."""
    return Comparison(
        id=judged.submission_id,
        prompt=judged.prompt,
        responses=judged.responses,
        judgement=judged.answer,
        shown_order=judged.shown_order,
        annotator=judged.handle,
        seconds=judged.seconds,
        at=datetime.fromtimestamp(judged.received_at, UTC).isoformat(timespec="seconds"),
        source=SOURCE,
    )


def last_submission(connection: Connection, project_id: int) -> tuple[int, int]:
    """The number of rows and the id of the latest: unchanged means that no label has changed."""
    query = select(func.count(), func.max(submissions.c.id)).where(submissions.c.project_id == project_id)
    count, last = connection.execute(query).one()
    return count, last or 0


def _standing(project_id: int, kinds: Sequence[ItemKind], batch: int | None) -> Select[Any]:
    taken_back = submissions.alias("taken_back")
    query = (
        select(
            submissions,
            items.c.key.label("item_key"),
            items.c.kind.label("item_kind"),
            items.c.batch,
            tasks.c.round,
            tasks.c.purpose,
            tasks.c.propensity,
            tasks.c.drawn,
            members.c.handle,
        )
        .join(items, items.c.id == submissions.c.item_id)
        .join(tasks, tasks.c.id == submissions.c.task_id)
        .join(
            members,
            (members.c.project_id == submissions.c.project_id) & (members.c.account_id == submissions.c.account_id),
        )
        .where(
            submissions.c.project_id == project_id,
            submissions.c.kind == "answer",
            items.c.kind.in_(kinds),
            ~exists().where(taken_back.c.supersedes == submissions.c.submission_id),
        )
        .order_by(submissions.c.id)
        .execution_options(yield_per=AT_ONCE)
    )
    return query if batch is None else query.where(items.c.batch == batch)


def _texts(
    connection: Connection, item_id: int
) -> tuple[Prompt, tuple[Message, ...] | None, tuple[Completion, ...], Gold | None]:
    query = select(items.c.prompt, items.c.hidden, items.c.responses, items.c.gold).where(items.c.id == item_id)
    prompt, hidden, responses, gold = connection.execute(query).one()
    return (
        Prompt.from_json(prompt),
        None if hidden is None else tuple(Message(**message) for message in hidden),
        tuple(Completion.from_json(response) for response in responses),
        None if gold is None else Gold.from_json(gold),
    )


def _judged(
    row: Any,
    prompt: Prompt,
    hidden: tuple[Message, ...] | None,
    responses: tuple[Completion, ...],
    gold: Gold | None,
    first: str | None,
) -> Judged:
    timing = row["timing"]
    if row["arm"] == "hidden" and hidden is not None:
        prompt = Prompt(id=f"{prompt.id}:hidden", messages=hidden, claim=None, tags=prompt.tags)
    return Judged(
        submission_id=row["submission_id"],
        item_id=row["item_id"],
        item_key=row["item_key"],
        kind=row["item_kind"],
        purpose=row["purpose"],
        round=row["round"],
        account_id=row["account_id"],
        handle=row["handle"],
        batch=row["batch"],
        answer=judgement_from_json(row["answer"]),
        shown_order=tuple(row["shown_order"]),
        arm=row["arm"],
        propensity=row["propensity"],
        drawn=row["drawn"],
        seconds=row["seconds"],
        total_seconds=timing.get("total"),
        focus_lost=int(timing.get("focus_lost", 0)),
        received_at=row["received_at"],
        surplus=row["surplus"],
        prompt=prompt,
        responses=responses,
        gold=gold,
        retest_of=first if row["round"] else None,
    )
