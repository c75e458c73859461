"""What each annotator did and how long it was expected to take, from the database."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import Connection, func, select

from candor.collect.quality.pay import Worked
from candor.projects.items import item_of
from candor.projects.pay import expected_minutes
from candor.projects.schema import items, members, submissions, tasks
from candor.projects.setup import Project


def worked(connection: Connection, project: Project, *, batch: int | None = None) -> list[Worked]:
    """Everybody who has answered or skipped a task, by handle; ``batch``: tasks on this batch's items only.

    Each task counts once, as in :func:`candor.projects.pay.earned`: taking an answer back and giving another is one.
    """
    of_batch = [] if batch is None else [items.c.batch == batch]
    minutes = {
        row.id: expected_minutes(item_of(row), project.settings)
        for row in connection.execute(select(items).where(items.c.project_id == project.id, *of_batch))
    }
    done: defaultdict[int, list[float]] = defaultdict(lambda: [0, 0, 0.0])
    query = select(tasks.c.account_id, tasks.c.item_id, tasks.c.state).where(
        tasks.c.project_id == project.id, tasks.c.state.in_(("done", "skipped"))
    )
    for account, item, state in connection.execute(query):
        if item in minutes:
            found = done[account]
            found[state == "skipped"] += 1
            found[2] += minutes[item]
    seen = (
        select(submissions.c.account_id, func.sum(submissions.c.seconds))
        .join(items, items.c.id == submissions.c.item_id)
        .where(submissions.c.project_id == project.id, submissions.c.kind != "undo", *of_batch)
        .group_by(submissions.c.account_id)
    )
    visible = {account: (seconds or 0.0) / 60 for account, seconds in connection.execute(seen)}
    people = select(members.c.account_id, members.c.handle).where(members.c.project_id == project.id)
    return [
        Worked(
            name=handle,
            judgements=int(done[account][0]),
            skips=int(done[account][1]),
            expected=done[account][2],
            visible=visible.get(account, 0.0),
        )
        for account, handle in connection.execute(people.order_by(members.c.handle))
        if account in done
    ]
