"""Answers, skips and undos: only ever added, each under an id that the client made: sending twice is harmless."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

from sqlalchemy import Connection, bindparam, exists, select, update
from sqlalchemy.dialects import postgresql, sqlite

from candor.errors import InputError
from candor.projects.assignment import Purpose, Task, task_of
from candor.projects.information import expected_information
from candor.projects.items import answer_by_places, answers_by_index, check_judgement, item_of
from candor.projects.schema import items, submissions, tasks
from candor.projects.setup import Member, Project
from candor.records import Choice, Judgement, Ranking, Ratings, judgement_from_json, to_json

Status = Literal["counted", "surplus", "skipped", "undone"]

UNDO_LAST = 10
"""How many of one's latest submissions may be taken back."""

TEXT = 2_000
"""Characters that a reason or a comment may have."""

_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")


class NotFound(InputError):
    """There is no such thing, or it is somebody else's."""


class Conflict(InputError):
    """What was sent contradicts what is stored, which stays as it is."""


# Statements are built once: building one takes SQLAlchemy longer than most of them take the database.
_SUBMISSION = select(submissions).where(submissions.c.submission_id == bindparam("id"))
_TASK = (
    select(tasks)
    .where(
        tasks.c.id == bindparam("task"),
        tasks.c.project_id == bindparam("project"),
        tasks.c.account_id == bindparam("account"),
    )
    .with_for_update()
)
_INSERT = {  # nothing is inserted where the id, or what it takes back, is taken
    "sqlite": sqlite.insert(submissions).on_conflict_do_nothing().returning(submissions.c.id),
    "postgresql": postgresql.insert(submissions).on_conflict_do_nothing().returning(submissions.c.id),
}
_SETTLED = (
    update(tasks)
    .where(tasks.c.id == bindparam("task"))
    .values(state=bindparam("now_state"), counted=bindparam("counts"))
)
_LEASES_MOVED = (
    update(items).where(items.c.id == bindparam("item")).values(leases=items.c.leases + bindparam("more_leases"))
)
_LABELS_MOVED = _LEASES_MOVED.values(labels=items.c.labels + bindparam("more_labels"), information=bindparam("tells"))
_RESPONSES = select(items.c.responses).where(items.c.id == bindparam("item"))
_taken_back = submissions.alias("taken_back")
_STANDING = (  # the answers that count towards an item's overlap
    select(submissions.c.answer)
    .join(tasks, tasks.c.id == submissions.c.task_id)
    .where(
        submissions.c.item_id == bindparam("item"),
        submissions.c.kind == "answer",
        ~submissions.c.surplus,
        tasks.c.purpose == "main",
        ~exists().where(_taken_back.c.supersedes == submissions.c.submission_id),
    )
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """What a client sent about a task. ``answer`` is by places, as the annotator saw them."""

    submission_id: str
    task_id: int
    fence: int
    kind: Literal["answer", "skip"]
    answer: Mapping[Any, Any] | None = None
    reason: str | None = None
    comment: str | None = None
    timing: Mapping[str, float] | None = None
    client_at: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What became of a submission. ``replayed``: it was there before. ``right`` and ``correct``: of calibration only.

    ``status``: ``counted`` (one of the labels that the item needs, or a retest, gold or calibration answer),
    ``surplus`` (kept, though the item had all its labels or the task its answer), ``skipped``, ``undone``.
    """

    submission_id: str
    status: Status
    purpose: Purpose
    replayed: bool = False
    right: bool | None = None
    correct: Mapping[Any, Any] | None = None
    why: str = ""


def submit(connection: Connection, project: Project, member: Member, sent: Sent, *, now: float) -> Receipt:
    """Stores an answer or a skip and returns its receipt; the same one again changes nothing and is answered alike.

    An answer whose lease ran out counts where the item still has room and is kept as surplus where not; so is another
    answer to a task that has one. Raises NotFound for a task of somebody else, Conflict where the id stands for
    something else, InputError for an answer that does not fit.
    """
    _check(sent)
    body = _hash(sent)
    row = _task(connection, project, member, sent.task_id)  # first: a repeat waits here until the first is stored
    before = _replayed(connection, member, sent.submission_id, body)
    if before is not None:
        return before
    order = tuple(row["shown_order"])
    answer = None
    if sent.kind == "answer":
        answer = answers_by_index(order, sent.answer or {}, where="field 'answer'")
        check_judgement(project, answer, len(order), where="field 'answer'")
    surplus = not _takes(connection, row, sent)
    values = {
        "submission_id": sent.submission_id,
        "body_hash": body,
        "kind": sent.kind,
        "answer": None if answer is None else to_json(answer),
        "reason": sent.reason,
        "comment": sent.comment,
        "fence": sent.fence,
        "surplus": surplus,
        "timing": dict(sent.timing or {}),
        "seconds": (sent.timing or {}).get("visible"),
        "client_at": sent.client_at,
        "received_at": now,
    }
    if not _stored(connection, row, values):
        return _replay_or_conflict(connection, member, sent.submission_id, body)
    if not surplus:
        _settle(connection, project, row, sent.kind)
    elif row["state"] == "expired":  # they have judged it, late: it does not come to them again
        state = "done" if sent.kind == "answer" else "skipped"
        connection.execute(_SETTLED, {"task": row["id"], "now_state": state, "counts": False})
    return _receipt(connection, row, values)


def undo(
    connection: Connection, project: Project, member: Member, submission_id: str, undo_id: str, *, now: float
) -> Task:
    """Takes one's own submission back and returns its task, leased again; both stay on record.

    Raises NotFound for a submission of somebody else, Conflict where it was taken back before, is not among the last
    ten, or where others have labelled the item in the meantime, InputError for an id that is none.
    """
    if not _ID.fullmatch(undo_id):
        raise InputError("expected 16 to 64 letters, digits, - and _", where="field 'submission_id'")
    query = select(submissions).where(
        submissions.c.submission_id == submission_id,
        submissions.c.project_id == project.id,
        submissions.c.account_id == member.account_id,
        submissions.c.kind != "undo",
    )
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise NotFound("no such submission of yours", where=submission_id[:64])
    task = _task(connection, project, member, row["task_id"])
    undone = connection.execute(
        select(submissions.c.submission_id).where(submissions.c.supersedes == submission_id)
    ).scalar_one_or_none()
    if undone == undo_id:
        return _task_again(connection, task)
    if undone is not None:
        raise Conflict("was taken back before", where=submission_id)
    if row["id"] < _oldest_undoable(connection, project, member):
        raise Conflict(f"only the last {UNDO_LAST} can be taken back", where=submission_id)
    if task["purpose"] == "calibration":
        raise Conflict("the right answer was shown: it cannot be taken back", where=submission_id)
    if not row["surplus"] and row["kind"] == "skip" and task["purpose"] == "main" and not _room(connection, task):
        raise Conflict("others have labelled it in the meantime", where=submission_id)
    values = {
        "submission_id": undo_id,
        "body_hash": _digest(["undo", submission_id]),
        "kind": "undo",
        "supersedes": submission_id,
        "fence": task["fence"],
        "surplus": row["surplus"],
        "timing": {},
        "received_at": now,
    }
    if not _stored(connection, task, values):
        raise Conflict("this id stands for something else", where=undo_id)
    if row["surplus"]:
        return _task_again(connection, task)
    lease = {"state": "leased", "counted": False, "fence": task["fence"] + 1, "leased_at": now}
    lease["expires_at"] = now + project.settings.lease_minutes * 60
    connection.execute(update(tasks).where(tasks.c.id == task["id"]).values(**lease))
    if task["purpose"] == "main":
        _count(connection, project, task["item_id"], labels=-1 if task["counted"] else 0, leases=1)
    return _task_again(connection, {**task, **lease})


def own_submissions(connection: Connection, project: Project, member: Member, *, limit: int) -> list[Mapping[Any, Any]]:
    """One's own latest submissions, the newest first: id, moment, kind, the prompt's last message, whether undone."""
    query = (
        select(
            submissions.c.submission_id,
            submissions.c.received_at,
            submissions.c.kind,
            items.c.prompt,
            exists().where(_taken_back.c.supersedes == submissions.c.submission_id).label("undone"),
        )
        .join(items, items.c.id == submissions.c.item_id)
        .where(
            submissions.c.project_id == project.id,
            submissions.c.account_id == member.account_id,
            submissions.c.kind != "undo",
        )
        .order_by(submissions.c.id.desc())
        .limit(limit)
    )
    return [dict(row) for row in connection.execute(query).mappings()]


def _check(sent: Sent) -> None:
    if not _ID.fullmatch(sent.submission_id):
        raise InputError("expected 16 to 64 letters, digits, - and _", where="field 'submission_id'")
    for name, text in (("reason", sent.reason), ("comment", sent.comment)):
        if text is not None and (len(text) > TEXT or "\x00" in text):
            raise InputError(f"longer than {TEXT} characters, or not plain text", where=f"field '{name}'")
    if sent.kind == "skip" and not (sent.reason or "").strip():
        raise InputError("a skip needs its reason", where="field 'reason'")
    for name, value in (sent.timing or {}).items():
        if not isfinite(value) or not 0 <= value < 1e7:
            raise InputError("not a time", where=f"field 'timing.{name}'")
    if sent.client_at is not None and not (isfinite(sent.client_at) and abs(sent.client_at) < 1e11):
        raise InputError("not a moment", where="field 'client_at'")


def _hash(sent: Sent) -> str:
    """Of what was said; not of how long it took, which a client may measure anew when it sends again."""
    return _digest([sent.task_id, sent.fence, sent.kind, sent.answer, sent.reason, sent.comment])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def _replayed(connection: Connection, member: Member, submission_id: str, body: str) -> Receipt | None:
    """The receipt of a submission that is stored, or None. Raises Conflict where the id stands for something else."""
    row = connection.execute(_SUBMISSION, {"id": submission_id}).mappings().one_or_none()
    if row is None:
        return None
    if row["account_id"] != member.account_id or row["body_hash"] != body or row["kind"] == "undo":
        raise Conflict("this id stands for something else", where=submission_id, fix="make a new one")
    task = connection.execute(select(tasks).where(tasks.c.id == row["task_id"])).mappings().one()
    return _receipt(connection, task, row, replayed=True)


def _replay_or_conflict(connection: Connection, member: Member, submission_id: str, body: str) -> Receipt:
    found = _replayed(connection, member, submission_id, body)
    if found is None:  # the row that was in the way belongs to a transaction that was undone meanwhile
        raise Conflict("could not be stored", where=submission_id, fix="send it again")
    return found


def _task(connection: Connection, project: Project, member: Member, task_id: int) -> Mapping[Any, Any]:
    values = {"task": task_id, "project": project.id, "account": member.account_id}
    row = connection.execute(_TASK, values).mappings().one_or_none()
    if row is None:
        raise NotFound("no such task of yours", where=f"task {task_id}")
    return row


def _takes(connection: Connection, task: Mapping[Any, Any], sent: Sent) -> bool:
    """Whether the task takes the submission as its own; a lease that somebody took back is first won back."""
    if sent.fence != task["fence"]:
        return False
    if task["state"] == "leased":
        return True
    if task["state"] != "expired":
        return False
    if task["purpose"] != "main":
        return True
    if not _room(connection, task):
        return False
    connection.execute(update(items).where(items.c.id == task["item_id"]).values(leases=items.c.leases + 1))
    return True


def _room(connection: Connection, task: Mapping[Any, Any]) -> bool:
    query = (
        select(items.c.id)
        .where(items.c.id == task["item_id"], items.c.labels + items.c.leases < items.c.overlap)
        .with_for_update()
    )
    return connection.execute(query).one_or_none() is not None


def _stored(connection: Connection, task: Mapping[Any, Any], values: Mapping[Any, Any]) -> bool:
    """Adds a row; False where one of this id has come in meanwhile."""
    whole = {
        "project_id": task["project_id"],
        "item_id": task["item_id"],
        "task_id": task["id"],
        "account_id": task["account_id"],
        "shown_order": task["shown_order"],
        "arm": task["arm"],
        **values,
    }
    insert = _INSERT[connection.dialect.name]
    return connection.execute(insert, whole).scalar_one_or_none() is not None


def _settle(connection: Connection, project: Project, task: Mapping[Any, Any], kind: str) -> None:
    counts = kind == "answer" and task["purpose"] == "main"
    state = "done" if kind == "answer" else "skipped"
    connection.execute(_SETTLED, {"task": task["id"], "now_state": state, "counts": counts})
    if task["purpose"] == "main":
        _count(connection, project, task["item_id"], labels=int(counts), leases=-1)


def _count(connection: Connection, project: Project, item_id: int, *, labels: int, leases: int) -> None:
    """Moves an item's counts and, where its labels change, what the next one is expected to tell."""
    if not labels:
        connection.execute(_LEASES_MOVED, {"item": item_id, "more_leases": leases})
        return
    rows = connection.execute(_STANDING, {"item": item_id}).scalars()
    answers = [judgement_from_json(raw) for raw in rows]
    responses = len(connection.execute(_RESPONSES, {"item": item_id}).scalar_one())
    values = {
        "item": item_id,
        "more_leases": leases,
        "more_labels": labels,
        "tells": expected_information(project.task, responses, answers),
    }
    connection.execute(_LABELS_MOVED, values)


def _oldest_undoable(connection: Connection, project: Project, member: Member) -> int:
    query = (
        select(submissions.c.id)
        .where(
            submissions.c.project_id == project.id,
            submissions.c.account_id == member.account_id,
            submissions.c.kind != "undo",
        )
        .order_by(submissions.c.id.desc())
        .limit(UNDO_LAST)
    )
    return connection.execute(query).scalars().all()[-1]


def _task_again(connection: Connection, task: Mapping[Any, Any]) -> Task:
    return task_of(task, item_of(connection.execute(select(items).where(items.c.id == task["item_id"])).one()))


def _receipt(
    connection: Connection, task: Mapping[Any, Any], row: Mapping[Any, Any], *, replayed: bool = False
) -> Receipt:
    status: Status = "skipped" if row["kind"] == "skip" else "surplus" if row["surplus"] else "counted"
    receipt = Receipt(submission_id=row["submission_id"], status=status, purpose=task["purpose"], replayed=replayed)
    if task["purpose"] != "calibration" or row["answer"] is None:
        return receipt
    item = item_of(connection.execute(select(items).where(items.c.id == task["item_id"])).one())
    if item.gold is None:
        return receipt
    return Receipt(
        submission_id=receipt.submission_id,
        status=status,
        purpose=task["purpose"],
        replayed=replayed,
        right=agrees_with(judgement_from_json(row["answer"]), item.gold.answer),
        correct=answer_by_places(task["shown_order"], item.gold.answer),
        why=item.gold.why,
    )


def agrees_with(answer: Judgement, right: Judgement) -> bool:
    """Whether an answer is the right one: the same best response, the same order, each rating at most one grade off."""
    match answer, right:
        case Choice(), Choice():
            return (answer.best, answer.tie, answer.both_bad) == (right.best, right.tie, right.both_bad)
        case Ranking(), Ranking():
            return [set(group) for group in answer.order] == [set(group) for group in right.order]
        case Ratings(), Ratings():
            return all(abs(a - b) <= 1 for a, b in zip(answer.scores, right.scores, strict=True))
    return False
