"""Pay by the minutes that a judgement takes a careful reader: never by its outcome, and skips are paid."""

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
    """Minutes to read prompt and responses once and to decide."""
    characters = sum(len(m.content) for m in item.prompt.messages) + sum(len(r.text) for r in item.responses)
    return characters / WORD / settings.words_per_minute + settings.seconds_per_judgement / 60


def earned(connection: Connection, project: Project, member: Member) -> Pay:
    """What a member has earned so far: each task that they answered or skipped, once, retests and gold among them."""
    query = (
        select(tasks.c.item_id, func.count())
        .where(
            tasks.c.project_id == project.id,
            tasks.c.account_id == member.account_id,
            tasks.c.state.in_(("done", "skipped")),
        )
        .group_by(tasks.c.item_id)
    )
    counts = {item: count for item, count in connection.execute(query)}
    minutes = sum(
        counts[item] * value for item, value in _minutes(connection, project, member).items() if item in counts
    )
    seen = select(func.sum(submissions.c.seconds)).where(
        submissions.c.project_id == project.id,
        submissions.c.account_id == member.account_id,
        submissions.c.kind != "undo",
    )
    rate = project.settings.pay_per_hour
    return Pay(
        tasks=sum(counts.values()),
        minutes=minutes,
        visible_minutes=(connection.execute(seen).scalar_one() or 0.0) / 60,
        amount=None if rate is None else round(minutes / 60 * rate, 2),
    )


def _minutes(connection: Connection, project: Project, member: Member) -> dict[int, float]:
    """Expected minutes of each item that the member had."""
    from candor.projects.items import item_of

    query = select(items).where(
        items.c.id.in_(
            select(tasks.c.item_id).where(tasks.c.project_id == project.id, tasks.c.account_id == member.account_id)
        )
    )
    return {row.id: expected_minutes(item_of(row), project.settings) for row in connection.execute(query)}
