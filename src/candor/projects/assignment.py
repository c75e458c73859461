"""Who judges what next: leases with fences, overlap that is never exceeded, draws whose probability is recorded."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, and_, bindparam, exists, func, insert, or_, select, update

from candor.projects.items import Item, item_of
from candor.projects.openings import draw, openings
from candor.projects.schema import items, members, tasks
from candor.projects.setup import Member, Project

Purpose = Literal["main", "gold", "calibration", "retest"]
Arm = Literal["shown", "hidden"]

TRIES = 20
"""How often another item is drawn where somebody else was quicker."""


# Statements are built once: building one takes SQLAlchemy longer than most of them take the database.
_MEMBER = (
    select(members.c.active)
    .where(members.c.project_id == bindparam("project"), members.c.account_id == bindparam("account"))
    .with_for_update()
)
_HELD = (
    select(tasks)
    .where(
        tasks.c.project_id == bindparam("project"),
        tasks.c.account_id == bindparam("account"),
        tasks.c.state == "leased",
    )
    .order_by(tasks.c.leased_at.desc(), tasks.c.id.desc())
    .limit(1)
)
_EXPIRED = (
    select(tasks.c.id, tasks.c.item_id, tasks.c.purpose)
    .where(
        tasks.c.state == "leased", tasks.c.expires_at <= bindparam("now"), tasks.c.project_id == bindparam("project")
    )
    .order_by(tasks.c.item_id)
    .limit(100)
    .with_for_update(skip_locked=True)
)
_ITEM = select(items).where(items.c.id == bindparam("item"))
_ROOMY_ITEM = _ITEM.where(items.c.active, items.c.labels + items.c.leases < items.c.overlap).with_for_update(
    skip_locked=True
)
_ONE_MORE_LEASE = update(items).where(items.c.id == bindparam("item")).values(leases=items.c.leases + 1)
_TASK_OF = select(tasks).where(
    tasks.c.item_id == bindparam("item"),
    tasks.c.account_id == bindparam("account"),
    tasks.c.round == bindparam("round"),
)
_NEW_TASK = insert(tasks).returning(tasks.c.id)
_IN_TURN = and_(
    items.c.project_id == bindparam("project"),
    items.c.kind == bindparam("kind"),
    items.c.active,
    items.c.batch <= bindparam("batch"),
    or_(items.c.pool.is_(None), items.c.pool == bindparam("pool")),
    ~exists().where(
        tasks.c.item_id == items.c.id,
        tasks.c.account_id == bindparam("account"),
        tasks.c.round == 0,
        tasks.c.state != "expired",  # a lease that was taken back is none
    ),
)
_COUNT_IN_TURN = select(func.count()).select_from(items).where(_IN_TURN)
_ANY_WANTED = select(exists().where(_IN_TURN, items.c.labels < items.c.overlap))
_NTH_IN_TURN = select(items).where(_IN_TURN).order_by(items.c.id).offset(bindparam("nth")).limit(1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """An item in an annotator's hands. ``fence`` grows with every lease: an answer under an older one came late.

    ``propensity`` is the probability with which the item was drawn among those open to this annotator, None where
    nothing was drawn (calibration and gold come in turn).
    """

    id: int
    account_id: int
    item: Item
    round: int
    purpose: Purpose
    fence: int
    shown_order: tuple[int, ...]
    arm: Arm | None
    propensity: float | None
    drawn: str
    expires_at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Nothing:
    """No task now. ``why``: paused, inactive, cap, done or wait; ``retry_after``: seconds until one may be there."""

    why: Literal["paused", "inactive", "cap", "done", "wait"]
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class _Draw:
    item: Item
    purpose: Purpose
    propensity: float | None
    drawn: str
    round: int = 0


def next_task(
    connection: Connection, project: Project, member: Member, rng: random.Random, *, now: float
) -> Task | Nothing:
    """The annotator's open task, or a new one: calibration first, then retests, gold and open items by chance.

    An item is drawn uniformly with probability ``uniform_share`` and else among those whose next answer is expected to
    tell most. Nobody gets an item twice, but for its retest, which shows the responses in the opposite order.
    """
    if project.paused or project.archived:
        return Nothing(why="paused")
    if not _locked(connection, member):
        return Nothing(why="inactive")
    held = _held(connection, project, member, now)
    if held is not None:
        return held
    release_expired(connection, project.id, now=now)
    cap = member.cap if member.cap is not None else project.settings.cap
    if cap is not None and _judged(connection, project, member) >= cap:
        return Nothing(why="cap")
    for purpose in _purposes(project, rng):
        draw = _draw(connection, project, member, purpose, rng, now)
        if draw is not None:
            return _lease(connection, project, member, draw, rng, now)
    wait = _until_more(connection, project, member, now)
    return Nothing(why="done") if wait is None else Nothing(why="wait", retry_after=wait)


def _purposes(project: Project, rng: random.Random) -> list[Purpose]:
    """In which order to look: a retest or a gold item comes first with its rate, and retests also when all is done."""
    order: list[Purpose] = ["calibration"] if project.settings.calibration else []
    chance = rng.random()
    if chance < project.settings.retest_rate:
        order.append("retest")
    elif chance < project.settings.retest_rate + project.settings.gold_rate:
        order.append("gold")
    return [*order, "main", "retest", "gold"]


def _locked(connection: Connection, member: Member) -> bool:
    """Lets one request of an annotator pass at a time, and says whether they may work."""
    values = {"project": member.project_id, "account": member.account_id}
    return bool(connection.execute(_MEMBER, values).scalar_one_or_none())


def _held(connection: Connection, project: Project, member: Member, now: float) -> Task | None:
    """The task that the annotator holds. A lease that ran out and that nobody took back goes on under a new fence."""
    whose = {"project": project.id, "account": member.account_id}
    row = connection.execute(_HELD, whose).mappings().one_or_none()
    if row is None:
        return None
    item = connection.execute(_ITEM, {"item": row["item_id"]}).one()
    if not item.active:
        _release(connection, row)
        return _held(connection, project, member, now)
    if row["expires_at"] > now:
        return task_of(row, item_of(item))
    values = {"fence": row["fence"] + 1, "leased_at": now, "expires_at": _expiry(project, now)}
    connection.execute(update(tasks).where(tasks.c.id == row["id"]).values(**values))
    return task_of({**row, **values}, item_of(item))


def release_expired(connection: Connection, project_id: int, *, now: float) -> int:
    """Takes back the leases that ran out, so that others can have the items. Returns how many."""
    rows = connection.execute(_EXPIRED, {"project": project_id, "now": now}).mappings().all()
    for row in rows:
        _release(connection, row)
    return len(rows)


def _release(connection: Connection, row: Mapping[Any, Any]) -> None:
    connection.execute(update(tasks).where(tasks.c.id == row["id"]).values(state="expired"))
    if row["purpose"] == "main":
        connection.execute(update(items).where(items.c.id == row["item_id"]).values(leases=items.c.leases - 1))


def _judged(connection: Connection, project: Project, member: Member) -> int:
    query = select(func.count()).where(
        tasks.c.project_id == project.id,
        tasks.c.account_id == member.account_id,
        tasks.c.state == "done",
        tasks.c.purpose != "calibration",
    )
    return connection.execute(query).scalar_one()


def _draw(
    connection: Connection, project: Project, member: Member, purpose: Purpose, rng: random.Random, now: float
) -> _Draw | None:
    match purpose:
        case "main":
            return _draw_main(connection, project, member, rng)
        case "retest":
            return _draw_retest(connection, project, member, rng, now)
        case "gold" | "calibration":
            return _draw_in_turn(connection, project, member, purpose, rng)


def _draw_main(connection: Connection, project: Project, member: Member, rng: random.Random) -> _Draw | None:
    share = project.settings.uniform_share
    for _ in range(TRIES):
        found = openings(connection, project, member)
        if found is None:
            return None
        uniform = rng.random() < share
        item_id = draw(connection, project, member, found, rng, uniform=uniform)
        row = None if item_id is None else _take(connection, item_id)
        if row is not None:
            propensity = found.propensity(row.information, share)
            return _Draw(item_of(row), "main", propensity, "uniform" if uniform else "information")
    return None


def _take(connection: Connection, item_id: int) -> Any:
    """Locks an item that still has room and counts the lease; None where somebody was quicker or is at it."""
    row = connection.execute(_ROOMY_ITEM, {"item": item_id}).one_or_none()
    if row is not None:
        connection.execute(_ONE_MORE_LEASE, {"item": item_id})
    return row


def _draw_retest(
    connection: Connection, project: Project, member: Member, rng: random.Random, now: float
) -> _Draw | None:
    if not project.settings.retest_rate or not _retests_wanted(connection, project, member):
        return None
    due = _retests(project, member, now - project.settings.retest_after_hours * 3600)
    count = connection.execute(select(func.count()).select_from(items).join(tasks).where(due)).scalar_one()
    if not count:
        return None
    query = select(items).join(tasks).where(due).order_by(tasks.c.id).offset(rng.randrange(count)).limit(1)
    return _Draw(item_of(connection.execute(query).one()), "retest", 1 / count, "uniform", round=1)


def _retests(project: Project, member: Member, before: float) -> ColumnElement[bool]:
    """Open items that the annotator judged before a moment and that were not shown to them again."""
    again = tasks.alias("again")
    return and_(
        tasks.c.project_id == project.id,
        tasks.c.account_id == member.account_id,
        tasks.c.state == "done",
        tasks.c.purpose == "main",
        tasks.c.leased_at <= before,
        items.c.active,
        ~exists().where(
            again.c.item_id == tasks.c.item_id,
            again.c.account_id == tasks.c.account_id,
            again.c.round == 1,
            again.c.state != "expired",
        ),
    )


def _retests_wanted(connection: Connection, project: Project, member: Member) -> bool:
    """Whether retests are still below their share of what the annotator judged."""
    query = (
        select(tasks.c.purpose, func.count())
        .where(
            tasks.c.project_id == project.id,
            tasks.c.account_id == member.account_id,
            tasks.c.state.in_(("done", "skipped")),
            tasks.c.purpose.in_(("main", "retest")),
        )
        .group_by(tasks.c.purpose)
    )
    counts = {purpose: count for purpose, count in connection.execute(query)}
    retests, total = counts.get("retest", 0), sum(counts.values())
    return bool(retests < project.settings.retest_rate * total)


def _draw_in_turn(
    connection: Connection, project: Project, member: Member, kind: Literal["gold", "calibration"], rng: random.Random
) -> _Draw | None:
    """Calibration in the order in which it was made, the same for all; gold in an order of each annotator's own."""
    if kind == "gold" and not project.settings.gold_rate:
        return None
    values = {
        "project": project.id,
        "kind": kind,
        "batch": project.batch,
        "pool": member.pool,
        "account": member.account_id,
        "nth": 0,
    }
    if kind == "gold":
        count = connection.execute(_COUNT_IN_TURN, values).scalar_one()
        values["nth"] = rng.randrange(count) if count else 0
    row = connection.execute(_NTH_IN_TURN, values).one_or_none()
    return None if row is None else _Draw(item_of(row), kind, None, "turn")


def _lease(
    connection: Connection, project: Project, member: Member, draw: _Draw, rng: random.Random, now: float
) -> Task:
    key = {"item": draw.item.id, "account": member.account_id}
    before = connection.execute(_TASK_OF, key | {"round": draw.round}).mappings().one_or_none()
    lease: dict[str, Any] = {
        "purpose": draw.purpose,
        "state": "leased",
        "propensity": draw.propensity,
        "drawn": draw.drawn,
        "leased_at": now,
        "expires_at": _expiry(project, now),
    }
    if before is not None:  # it was taken back once: the same order and arm, under a new fence
        lease["fence"] = before["fence"] + 1
        connection.execute(update(tasks).where(tasks.c.id == before["id"]).values(**lease))
        return task_of({**before, **lease}, draw.item)
    lease |= {
        "project_id": project.id,
        "item_id": draw.item.id,
        "account_id": member.account_id,
        "round": draw.round,
        "fence": 1,
        "counted": False,
    }
    if draw.round:
        first = connection.execute(_TASK_OF, key | {"round": 0}).one()
        lease |= {"shown_order": list(reversed(first.shown_order)), "arm": first.arm}
    else:
        order = list(range(len(draw.item.responses)))
        rng.shuffle(order)
        lease |= {"shown_order": order, "arm": _arm(project, draw.item, member)}
    task_id = connection.execute(_NEW_TASK, lease).scalar_one()
    return task_of({**lease, "id": task_id}, draw.item)


def _arm(project: Project, item: Item, member: Member) -> Arm | None:
    """A fair coin per item within annotator, fixed by the project's seed: asking again shows the same."""
    if item.hidden is None:
        return None
    text = f"{project.seed}:{project.slug}:{item.key}:{member.handle}"
    return "hidden" if hashlib.sha256(text.encode()).digest()[0] & 1 else "shown"


def _until_more(connection: Connection, project: Project, member: Member, now: float) -> float | None:
    """Seconds until a retest is due or somebody's lease on an item that is open to this annotator may run out."""
    moments: list[float] = []
    if project.settings.retest_rate and _retests_wanted(connection, project, member):
        judged = (
            select(func.min(tasks.c.leased_at)).select_from(items.join(tasks)).where(_retests(project, member, now))
        )
        first = connection.execute(judged).scalar_one()
        if first is not None:
            moments.append(first + project.settings.retest_after_hours * 3600)
    values = {"project": project.id, "kind": "main", "batch": project.batch, "pool": member.pool}
    if connection.execute(_ANY_WANTED, values | {"account": member.account_id}).scalar_one():
        ends = connection.execute(
            select(func.min(tasks.c.expires_at)).where(tasks.c.project_id == project.id, tasks.c.state == "leased")
        ).scalar_one()
        moments.append(ends if ends is not None else now + 5)
    return max(min(moments) - now, 1.0) if moments else None


def _expiry(project: Project, now: float) -> float:
    return now + project.settings.lease_minutes * 60


def task_of(row: Mapping[Any, Any], item: Item) -> Task:
    """A task from its row."""
    return Task(
        id=row["id"],
        account_id=row["account_id"],
        item=item,
        round=row["round"],
        purpose=row["purpose"],
        fence=row["fence"],
        shown_order=tuple(row["shown_order"]),
        arm=row["arm"],
        propensity=row["propensity"],
        drawn=row["drawn"],
        expires_at=row["expires_at"],
    )
