"""A labelling project in a database, with annotators, for tests of who gets what and what is kept."""

from __future__ import annotations

import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert, select

from candor.projects.assignment import Nothing, Task, next_task
from candor.projects.database import Database
from candor.projects.items import Gold, ItemKind, NewItem, add_items
from candor.projects.schema import accounts
from candor.projects.settings import Settings
from candor.projects.setup import Member, Project, add_member, create_project, find_member
from candor.projects.submissions import Receipt, Sent, submit
from candor.records import Choice, Completion, Message, Prompt

START = 1_800_000_000.0
HOUR = 3600.0


def an_item(key: str, *, kind: ItemKind = "main", responses: int = 2, pool: str | None = None, **more: Any) -> NewItem:
    prompt = Prompt(id=key, messages=(Message(role="user", content=f"Question {key}?"),))
    replies = tuple(Completion(id=f"{key}/{n}", prompt_id=key, text=f"Reply {n} to {key}.") for n in range(responses))
    gold = None if kind == "main" else Gold(answer=Choice(best=0), why="It is right.")
    return NewItem(key=key, prompt=prompt, responses=replies, kind=kind, pool=pool, gold=gold, **more)


@dataclass(kw_only=True)
class Site:
    """A project with its members; ``now`` is set by the test."""

    database: Database
    project: Project
    members: list[Member]
    rng: random.Random
    now: float = START

    def next(self, who: int, *, rng: random.Random | None = None) -> Task | Nothing:
        with self.database.writing() as connection:
            return next_task(connection, self.project, self.members[who], rng or self.rng, now=self.now)

    def task(self, who: int) -> Task:
        task = self.next(who)
        assert isinstance(task, Task), task
        return task

    def answer(
        self, who: int, task: Task, *, best: int = 0, fence: int | None = None, submission_id: str = "", now: float = 0
    ) -> Receipt:
        """Prefers the response of an index (not a place)."""
        sent = Sent(
            submission_id=submission_id or new_id(),
            task_id=task.id,
            fence=task.fence if fence is None else fence,
            kind="answer",
            answer={"best": task.shown_order.index(best), "strength": 1},
            timing={"total": 9.0, "visible": 8.0},
        )
        return self.send(who, sent, now=now)

    def send(self, who: int, sent: Sent, *, now: float = 0) -> Receipt:
        with self.database.writing() as connection:
            return submit(connection, self.project, self.members[who], sent, now=now or self.now)

    def rows(self, table: Any) -> list[Any]:
        with self.database.reading() as connection:
            return list(connection.execute(select(table).order_by(table.c.id)))


def a_site(
    database: Database,
    *,
    main: int = 0,
    annotators: int = 2,
    more: Sequence[NewItem] = (),
    member_pools: Sequence[str | None] = (),
    **settings: Any,
) -> Site:
    """``main`` items i0, i1, ... and ``more``; members a01, a02, ... Neither gold nor retests unless asked for."""
    database.clock = lambda: START
    chosen = Settings(**{"gold_rate": 0.0, "retest_rate": 0.0, "minimum_seconds": 0.0, **settings})
    with database.writing() as connection:
        project = create_project(connection, slug="test", settings=chosen, now=START)
        add_items(connection, project, [*(an_item(f"i{n}") for n in range(main)), *more], now=START)
        members = []
        for n in range(annotators):
            values = {"name": f"annotator{n}", "role": "annotator", "active": True, "created_at": START}
            account = connection.execute(insert(accounts).values(**values).returning(accounts.c.id)).scalar_one()
            pool = member_pools[n] if n < len(member_pools) else None
            add_member(connection, project, account, pool=pool, now=START)
            member = find_member(connection, project.id, account)
            assert member is not None
            members.append(member)
    return Site(database=database, project=project, members=members, rng=random.Random(0))


def new_id() -> str:
    return str(uuid.uuid4())
