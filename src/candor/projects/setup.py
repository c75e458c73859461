"""Projects and their members: made, found and changed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal, get_args

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from candor.errors import InputError
from candor.projects.schema import members, projects
from candor.projects.settings import Settings, read_settings

TaskKind = Literal["comparison", "ranking", "rating"]
TASKS: tuple[TaskKind, ...] = get_args(TaskKind)

_SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,79}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """A project as it stands. ``batch``: items of this batch and of earlier ones are handed out."""

    id: int
    slug: str
    title: str
    task: TaskKind
    instructions: str
    settings: Settings
    batch: int
    seed: int
    paused: bool
    archived: bool
    created_at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """Who takes part in a project. ``handle`` is the name in exports; ``cap`` overrules the project's."""

    project_id: int
    account_id: int
    handle: str
    pool: str | None
    cap: int | None
    active: bool


def create_project(
    connection: Connection,
    *,
    slug: str,
    title: str = "",
    task: TaskKind = "comparison",
    instructions: str = "",
    settings: Settings | None = None,
    seed: int = 0,
    now: float,
) -> Project:
    """Makes a project and returns it. Raises InputError for a slug that is taken or none, and for an unknown task."""
    if not _SLUG.fullmatch(slug):
        raise InputError(
            "not a project's short name", where=slug[:100], fix="lower-case letters, digits, - and _, at most 80"
        )
    if task not in TASKS:
        raise InputError(f"unknown task '{task}'", where=slug, fix=f"one of {', '.join(TASKS)}")
    values = {
        "slug": slug,
        "title": title or slug,
        "task": task,
        "instructions": instructions,
        "settings": (settings or Settings()).model_dump(mode="json"),
        "seed": seed,
        "created_at": now,
    }
    try:
        with connection.begin_nested():
            connection.execute(insert(projects).values(**values))
    except IntegrityError as error:
        raise InputError("there is a project of this name", where=slug, fix="choose another short name") from error
    return find_project(connection, slug)


_PROJECT = select(projects).where(projects.c.slug == bindparam("slug"))
_MEMBER = select(members).where(
    members.c.project_id == bindparam("project"), members.c.account_id == bindparam("account")
)


def find_project(connection: Connection, slug: str) -> Project:
    """The project of a short name. Raises InputError, with the names there are, where there is none."""
    row = connection.execute(_PROJECT, {"slug": slug}).mappings().one_or_none()
    if row is None:
        names = connection.execute(select(projects.c.slug).order_by(projects.c.slug).limit(20)).scalars().all()
        raise InputError("no such project", where=slug[:100], fix=f"projects: {', '.join(names) or 'none yet'}")
    return _project(row)


def list_projects(connection: Connection, *, account_id: int | None = None) -> list[Project]:
    """All projects, or those that an account takes part in, in the order in which they were made."""
    query = select(projects).order_by(projects.c.id)
    if account_id is not None:
        query = query.join(members, members.c.project_id == projects.c.id).where(
            members.c.account_id == account_id, members.c.active
        )
    return [_project(row) for row in connection.execute(query).mappings()]


CHANGEABLE = ("title", "instructions", "settings", "batch", "paused", "archived")


def change_project(connection: Connection, project: Project, changes: Mapping[Any, Any]) -> Project:
    """Changes a project and returns it; ``settings`` may hold only those that change.

    Raises InputError for what cannot be changed.
    """
    unknown = next((name for name in changes if name not in CHANGEABLE), None)
    if unknown is not None:
        raise InputError("cannot be changed", where=f"field '{unknown}'", fix=f"one of {', '.join(CHANGEABLE)}")
    values = dict(changes)
    if "settings" in values:
        values["settings"] = _merged(project.settings, values["settings"]).model_dump(mode="json")
    if values:
        connection.execute(update(projects).where(projects.c.id == project.id).values(**values))
    return find_project(connection, project.slug)


def _merged(settings: Settings, changes: Any) -> Settings:
    if not isinstance(changes, Mapping):
        raise InputError("expected an object", where="field 'settings'")
    raw = settings.model_dump(mode="json")
    gate = changes.get("gate")
    merged = {**raw, **changes}
    if isinstance(gate, Mapping):
        merged["gate"] = {**raw["gate"], **gate}
    return read_settings(merged)


def add_member(
    connection: Connection,
    project: Project,
    account_id: int,
    *,
    handle: str = "",
    pool: str | None = None,
    cap: int | None = None,
    now: float,
) -> Member:
    """Lets an account take part, or brings it back, and returns its membership.

    ``handle`` is a neutral name in exports (a01, a02, ...) by default.

    Raises InputError for a pool that the project does not have, and for a handle that is somebody else's.
    """
    check_pool(project, pool)
    # Two who join at once get one handle each: the second waits here until the first is in.
    connection.execute(select(projects.c.id).where(projects.c.id == project.id).with_for_update(key_share=True))
    found = find_member(connection, project.id, account_id)
    if found is not None:
        given = {"pool": pool, "cap": cap}
        changes = {"active": True} | {name: value for name, value in given.items() if value is not None}
        change_member(connection, project, found, changes)
    else:
        taken = [member.handle for member in list_members(connection, project.id)]
        if handle in taken:
            raise InputError("another member has this name in exports", where=handle, fix="choose another")
        connection.execute(
            insert(members).values(
                project_id=project.id,
                account_id=account_id,
                handle=handle or next(name for n in count(len(taken) + 1) if (name := f"a{n:02d}") not in taken),
                pool=pool,
                cap=cap,
                joined_at=now,
            )
        )
    member = find_member(connection, project.id, account_id)
    assert member is not None
    return member


def check_pool(project: Project, pool: str | None) -> None:
    """Raises InputError for a pool that the project does not have."""
    if pool is not None and pool not in project.settings.pools:
        known = ", ".join(project.settings.pools) or "none: set pools first"
        raise InputError(f"no such pool '{pool}'", where=project.slug, fix=f"pools: {known}")


def find_member(connection: Connection, project_id: int, account_id: int) -> Member | None:
    """An account's part in a project, or None where it has none."""
    values = {"project": project_id, "account": account_id}
    row = connection.execute(_MEMBER, values).mappings().one_or_none()
    return None if row is None else _member(row)


def list_members(connection: Connection, project_id: int) -> list[Member]:
    """Everybody who takes part, or did, by handle."""
    query = select(members).where(members.c.project_id == project_id).order_by(members.c.handle)
    return [_member(row) for row in connection.execute(query).mappings()]


def change_member(connection: Connection, project: Project, member: Member, changes: Mapping[Any, Any]) -> None:
    """Changes a member's pool, cap or whether they are active. Raises InputError for anything else."""
    unknown = next((name for name in changes if name not in ("pool", "cap", "active")), None)
    if unknown is not None:
        raise InputError("cannot be changed", where=f"field '{unknown}'", fix="one of pool, cap, active")
    check_pool(project, changes.get("pool"))
    where = (members.c.project_id == member.project_id) & (members.c.account_id == member.account_id)
    if changes:
        connection.execute(update(members).where(where).values(**changes))


def _project(row: Mapping[Any, Any]) -> Project:
    return Project(**{**row, "settings": read_settings(row["settings"], where=row["slug"])})


def _member(row: Mapping[Any, Any]) -> Member:
    return Member(**{name: row[name] for name in Member.__slots__})
