"""How far a project has come."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, case, exists, func, select

from candor.projects.schema import items, submissions, tasks
from candor.projects.setup import Member, Project


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """Counts of a project. ``wanted``: the labels that its items need in all; ``labels``: those given."""

    items: int
    gold: int
    calibration: int
    wanted: int
    labels: int
    complete: int
    surplus: int
    retests: int
    gold_answers: int
    skips: int
    undone: int
    leased: int
    annotators: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Mine:
    """One annotator's work: judgements given, items skipped, items that are still open to them (None: not known)."""

    done: int
    skipped: int
    left: int | None


def overview(connection: Connection, project: Project) -> Overview:
    """Counts what there is and what has been done."""
    of_kind = {
        kind: (count, wanted or 0, labels or 0, complete or 0)
        for kind, count, wanted, labels, complete in connection.execute(
            select(
                items.c.kind,
                func.count(),
                func.sum(items.c.overlap),
                func.sum(items.c.labels),
                func.sum(case((items.c.labels >= items.c.overlap, 1), else_=0)),
            )
            .where(items.c.project_id == project.id, items.c.active)
            .group_by(items.c.kind)
        )
    }
    main = of_kind.get("main", (0, 0, 0, 0))
    taken_back = submissions.alias("taken_back")
    said: dict[tuple[str, str, bool], int] = {
        (kind, purpose, surplus): count
        for kind, purpose, surplus, count in connection.execute(
            select(submissions.c.kind, tasks.c.purpose, submissions.c.surplus, func.count())
            .join(tasks, tasks.c.id == submissions.c.task_id)
            .where(
                submissions.c.project_id == project.id,
                ~exists().where(taken_back.c.supersedes == submissions.c.submission_id),
            )
            .group_by(submissions.c.kind, tasks.c.purpose, submissions.c.surplus)
        )
    }

    def count(kind: str, *, purpose: str | None = None, surplus: bool | None = None) -> int:
        return sum(n for (k, p, s), n in said.items() if k == kind and purpose in (None, p) and surplus in (None, s))

    leased = select(func.count()).where(tasks.c.project_id == project.id, tasks.c.state == "leased")
    people = select(func.count(func.distinct(submissions.c.account_id))).where(submissions.c.project_id == project.id)
    return Overview(
        items=main[0],
        gold=of_kind.get("gold", (0,))[0],
        calibration=of_kind.get("calibration", (0,))[0],
        wanted=int(main[1]),
        labels=int(main[2]),
        complete=int(main[3]),
        surplus=count("answer", surplus=True),
        retests=count("answer", purpose="retest", surplus=False),
        gold_answers=count("answer", purpose="gold", surplus=False),
        skips=count("skip"),
        undone=count("undo"),
        leased=connection.execute(leased).scalar_one(),
        annotators=connection.execute(people).scalar_one(),
    )


def mine(connection: Connection, project: Project, member: Member) -> Mine:
    """Counts what one annotator has done, from their tasks alone."""
    query = (
        select(tasks.c.state, func.count())
        .where(tasks.c.project_id == project.id, tasks.c.account_id == member.account_id)
        .group_by(tasks.c.state)
    )
    states = {state: count for state, count in connection.execute(query)}
    total = select(func.count()).where(
        items.c.project_id == project.id,
        items.c.kind == "main",
        items.c.active,
        items.c.batch <= project.batch,
        items.c.labels < items.c.overlap,
        (items.c.pool.is_(None)) | (items.c.pool == member.pool),
        ~exists().where(
            tasks.c.item_id == items.c.id,
            tasks.c.account_id == member.account_id,
            tasks.c.round == 0,
            tasks.c.state.in_(("done", "skipped")),
        ),
    )
    left = connection.execute(total).scalar_one()
    done, cap = states.get("done", 0), member.cap if member.cap is not None else project.settings.cap
    return Mine(
        done=done,
        skipped=states.get("skipped", 0),
        left=left if cap is None else min(left, max(cap - done, 0)),
    )


_DONE = select(func.count()).where(
    tasks.c.account_id == bindparam("account"), tasks.c.project_id == bindparam("project"), tasks.c.state == "done"
)


def done_count(connection: Connection, project: Project, member: Member) -> int:
    """How many tasks an annotator has answered."""
    values = {"project": project.id, "account": member.account_id}
    return connection.execute(_DONE, values).scalar_one()
