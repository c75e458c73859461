"""Main items that are open to an annotator: counted and drawn from, in time that hardly grows with the project.

What is open at all is counted from an index that holds open items only (``ix_items_open``); what this annotator has
had of it comes off, from their own tasks. A draw takes any open item and draws again where they have had it, which
leaves each of the others as likely as the next.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, bindparam, exists, func, or_, select, union_all

from candor.projects.schema import items, tasks
from candor.projects.setup import Member, Project

_FITS = and_(
    items.c.active,
    items.c.batch <= bindparam("batch"),
    or_(items.c.pool.is_(None), items.c.pool == bindparam("pool")),
    items.c.overlap > items.c.labels + items.c.leases,  # written as in the index, or SQLite does not recognise it
)
_OPEN = and_(items.c.project_id == bindparam("project"), items.c.kind == "main", _FITS)
_THEIRS = and_(tasks.c.account_id == bindparam("account"), tasks.c.round == 0, tasks.c.state != "expired")
_HAD = exists().where(tasks.c.item_id == items.c.id, _THEIRS)

_COUNTS = union_all(
    select(items.c.information, func.count()).where(_OPEN).group_by(items.c.information),
    select(items.c.information, -func.count())
    # Nothing of _OPEN that an index of items could begin with: the way is from the annotator's tasks to their items.
    .join_from(tasks, items, items.c.id == tasks.c.item_id)
    .where(_THEIRS, tasks.c.project_id == bindparam("project"), tasks.c.purpose == "main", _FITS)
    .group_by(items.c.information),
)

_ANY = select(items.c.id.label("id")).where(_OPEN)
_ANY_TOP = _ANY.where(items.c.information == bindparam("information"))


def _nth(query: Any) -> Any:
    """The nth of a query, and whether the annotator has had it: looked up for that one alone."""
    one = query.offset(bindparam("nth")).limit(1).subquery()
    return select(one.c.id, exists().where(tasks.c.item_id == one.c.id, _THEIRS))


_NTH_OF_ALL, _NTH_OF_TOP = _nth(_ANY), _nth(_ANY_TOP)
_NTH_OF_LEFT = _ANY.where(~_HAD).offset(bindparam("nth")).limit(1)
_NTH_OF_TOP_LEFT = _ANY_TOP.where(~_HAD).offset(bindparam("nth")).limit(1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Openings:
    """What an annotator could get: ``total`` items; ``ties`` of them tell most, which is ``most`` nats.

    ``open_total`` and ``open_ties`` count what they have had as well.
    """

    total: int
    ties: int
    most: float
    open_total: int
    open_ties: int

    def propensity(self, information: float, uniform_share: float) -> float:
        """The probability with which an item of this information is drawn."""
        top = (1 - uniform_share) / self.ties if information == self.most else 0.0
        return uniform_share / self.total + top


def openings(connection: Connection, project: Project, member: Member) -> Openings | None:
    """What is open to an annotator now; None where nothing is."""
    open_: dict[float, int] = {}
    had: dict[float, int] = {}
    for information, count in connection.execute(_COUNTS, _who(project, member)):
        if count > 0:
            open_[information] = count
        else:
            had[information] = -count
    left = {value: count - had.get(value, 0) for value, count in open_.items() if count > had.get(value, 0)}
    if not left:
        return None
    most = max(left)
    return Openings(
        total=sum(left.values()),
        ties=left[most],
        most=most,
        open_total=sum(open_.values()),
        open_ties=open_[most],
    )


def draw(
    connection: Connection, project: Project, member: Member, found: Openings, rng: random.Random, *, uniform: bool
) -> int | None:
    """The id of one of the openings, each as likely (``uniform``) or each of those that tell most; None if it went."""
    left, all_ = (found.total, found.open_total) if uniform else (found.ties, found.open_ties)
    values = _who(project, member) | {"information": found.most}
    if 2 * left < all_:  # most draws would be for nothing: there the way around what they have had is the shorter one
        query = _NTH_OF_LEFT if uniform else _NTH_OF_TOP_LEFT
        return connection.execute(query, values | {"nth": rng.randrange(left)}).scalar_one_or_none()
    query = _NTH_OF_ALL if uniform else _NTH_OF_TOP
    while True:
        row = connection.execute(query, values | {"nth": rng.randrange(all_)}).one_or_none()
        if row is None:
            return None
        if not row[1]:
            return int(row[0])


def _who(project: Project, member: Member) -> dict[str, Any]:
    return {"project": project.id, "batch": project.batch, "pool": member.pool, "account": member.account_id}
