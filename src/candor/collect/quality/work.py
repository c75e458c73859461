"""What each annotator did, what is paid for it, and how long it took, from the database."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from candor.collect.quality.pay import Worked
from candor.projects.pay import work_of
from candor.projects.schema import items, members, submissions
from candor.projects.setup import Project


def worked(connection: Connection, project: Project, *, batch: int | None = None) -> list[Worked]:
    """Everybody who has answered or skipped a task, by handle; ``batch``: tasks on this batch's items only."""
    done = work_of(connection, project, batch=batch)
    of_batch = [] if batch is None else [items.c.batch == batch]
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
            judgements=done[account].judgements,
            skips=done[account].skips,
            expected=done[account].minutes,
            visible=visible.get(account, 0.0),
        )
        for account, handle in connection.execute(people.order_by(members.c.handle))
        if account in done
    ]
