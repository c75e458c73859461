"""Pay by the minutes that a judgement takes a careful reader, never by its outcome; skips by the time they took."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from candor.projects.items import Item
from candor.projects.schema import items, submissions, tasks
from candor.projects.settings import Settings
from candor.projects.setup import Member, Project

WORD = 6.0
"""Characters of a word and the space after it (English text)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pay:
    """What somebody has earned: ``minutes`` expected, ``visible_minutes`` measured, both over ``tasks``."""

    tasks: int
    minutes: float
    visible_minutes: float
    amount: float | None


def expected_minutes(item: Item, settings: Settings) -> float:
    """The minutes that it takes to read prompt and responses once and to decide."""
    characters = sum(len(m.content) for m in item.prompt.messages) + sum(len(r.text) for r in item.responses)
    return characters / WORD / settings.words_per_minute + settings.seconds_per_judgement / 60


def earned(connection: Connection, project: Project, member: Member) -> Pay:
    """What a member has earned so far: each task that they answered or skipped, once, retests and gold among them."""
    done = work_of(connection, project, account_id=member.account_id).get(member.account_id)
    seen = select(func.sum(submissions.c.seconds)).where(
        submissions.c.project_id == project.id,
        submissions.c.account_id == member.account_id,
        submissions.c.kind != "undo",
    )
    rate = project.settings.pay_per_hour
    minutes = done.minutes if done else 0.0
    return Pay(
        tasks=done.judgements + done.skips if done else 0,
        minutes=minutes,
        visible_minutes=(connection.execute(seen).scalar_one() or 0.0) / 60,
        amount=None if rate is None else round(minutes / 60 * rate, 2),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """Tasks answered and skipped, and the ``minutes`` that are paid for both."""

    judgements: int
    skips: int
    minutes: float


def work_of(
    connection: Connection, project: Project, *, account_id: int | None = None, batch: int | None = None
) -> dict[int, Done]:
    """What everybody (or one account) did, by account; ``batch``: on this batch's items only.

    An answer is paid by its expected minutes, whatever it took. A skip is paid by the time in which it was on the
    screen, up to those minutes: nobody loses by skipping what they cannot judge, and nobody lives on skipping (see
    docs/collect-pay.md for what pay in full would invite).
    """
    one = [] if account_id is None else [tasks.c.account_id == account_id]
    query = select(tasks.c.id, tasks.c.account_id, tasks.c.item_id, tasks.c.state).where(
        tasks.c.project_id == project.id, tasks.c.state.in_(("done", "skipped")), *one
    )
    rows = connection.execute(query).all()
    minutes = _minutes(connection, project, account_id, batch)
    looked = {
        task: seconds or 0.0
        for task, seconds in connection.execute(
            select(submissions.c.task_id, func.max(submissions.c.seconds))
            .where(submissions.c.project_id == project.id, submissions.c.kind == "skip")
            .group_by(submissions.c.task_id)
        )
    }
    sums: dict[int, list[float]] = {}
    for task, account, item, state in rows:
        if item not in minutes:
            continue
        found = sums.setdefault(account, [0, 0, 0.0])
        found[state == "skipped"] += 1
        found[2] += minutes[item] if state == "done" else min(minutes[item], looked.get(task, 0.0) / 60)
    return {
        account: Done(judgements=int(done), skips=int(skips), minutes=paid)
        for account, (done, skips, paid) in sums.items()
    }


def _minutes(connection: Connection, project: Project, account_id: int | None, batch: int | None) -> dict[int, float]:
    """Expected minutes of each item of the project, or of those that an account had."""
    from candor.projects.items import item_of

    query = select(items).where(items.c.project_id == project.id)
    if account_id is not None:
        query = query.where(items.c.id.in_(select(tasks.c.item_id).where(tasks.c.account_id == account_id)))
    if batch is not None:
        query = query.where(items.c.batch == batch)
    return {row.id: expected_minutes(item_of(row), project.settings) for row in connection.execute(query)}
