"""Links that let somebody in, once: a new annotator into a project, or the owner of an account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select, update

from candor.errors import InputError
from candor.projects.accounts.accounts import RANK, Account, RoleName, account_of, create_account, set_password
from candor.projects.accounts.secrets import new_token, stored
from candor.projects.schema import invitations, projects
from candor.projects.setup import Project, add_member, check_pool, find_member, find_project

DAYS = 7.0
LONGEST_DAYS = 90.0


def invite(
    connection: Connection,
    *,
    role: RoleName,
    by: Account | None,
    project: Project | None = None,
    pool: str | None = None,
    note: str = "",
    days: float = DAYS,
    now: float,
) -> str:
    """Makes an invitation and returns its token: it is shown this once. ``by`` None: whoever runs the server.

    Raises InputError for a role above that of whoever invites, a pool that the project does not have, odd days.
    """
    if by is not None and not _may_invite(by.role, role):
        raise InputError(f"cannot invite as {role}", where="field 'role'", fix="ask an admin")
    if pool is not None and project is None:
        raise InputError("a pool belongs to a project", where="field 'pool'", fix="name the project")
    if project is not None:
        check_pool(project, pool)
    values = {"role": role, "project_id": project.id if project else None, "pool": pool, "note": note[:200]}
    return _made(connection, values, by, days, now)


def sign_in_link(
    connection: Connection, account: Account, *, by: Account | None, days: float = DAYS, now: float
) -> str:
    """A link that signs an existing account in, once. Raises InputError for an account above whoever makes it."""
    if by is not None and not _may_invite(by.role, account.role):
        raise InputError("only an admin may do that", where=account.name)
    return _made(connection, {"role": account.role, "for_account": account.id}, by, days, now)


def _made(connection: Connection, values: Mapping[str, Any], by: Account | None, days: float, now: float) -> str:
    if not 0 < days <= LONGEST_DAYS:
        raise InputError(f"a link lasts up to {LONGEST_DAYS:.0f} days", where="field 'days'")
    token = new_token()
    connection.execute(
        insert(invitations).values(
            token_hash=stored(token),
            created_by=by.id if by else None,
            created_at=now,
            expires_at=now + days * 86400,
            **values,
        )
    )
    return token


def describe(connection: Connection, token: str, *, now: float) -> Mapping[str, Any]:
    """What a link is for: role, project (title or None), name of the account it signs in (or None).

    Raises InputError where it does not work (any more).
    """
    row = _valid(connection, token, now)
    title = None
    if row["project_id"] is not None:
        title = connection.execute(select(projects.c.title).where(projects.c.id == row["project_id"])).scalar_one()
    name = None if row["for_account"] is None else account_of(connection, row["for_account"]).name
    return {"role": row["role"], "project": title, "name": name}


def accept(
    connection: Connection, token: str, *, name: str | None = None, password: str | None = None, now: float
) -> Account:
    """Uses a link up and returns the account: a new one with its membership, or the one that the link is for.

    Raises InputError where the link does not work, or where name or password do not do; it then still works.
    """
    row = _valid(connection, token, now)
    used = connection.execute(
        update(invitations)
        .where(invitations.c.id == row["id"], invitations.c.used_at.is_(None), invitations.c.revoked_at.is_(None))
        .values(used_at=now)
    )
    if not used.rowcount:
        raise _no_link()
    if row["for_account"] is not None:
        account = account_of(connection, row["for_account"])
        if not account.active:
            raise _no_link()
        if password:
            set_password(connection, account, password, now=now)
    else:
        if not name or not password:
            raise InputError("choose a name and a password", where="field 'name'" if not name else "field 'password'")
        account = create_account(connection, name, row["role"], password=password, now=now)
        if row["project_id"] is not None:
            slug = connection.execute(select(projects.c.slug).where(projects.c.id == row["project_id"])).scalar_one()
            project = find_project(connection, slug)
            pool = row["pool"] if row["pool"] in project.settings.pools else None
            add_member(connection, project, account.id, pool=pool, now=now)
    connection.execute(update(invitations).where(invitations.c.id == row["id"]).values(used_by=account.id))
    return account


def list_invitations(connection: Connection, project_id: int, *, now: float) -> list[Mapping[str, Any]]:
    """A project's links that still work: id, role, pool, note, created_at, expires_at."""
    query = (
        select(invitations)
        .where(
            invitations.c.project_id == project_id,
            invitations.c.used_at.is_(None),
            invitations.c.revoked_at.is_(None),
            invitations.c.expires_at > now,
        )
        .order_by(invitations.c.id)
    )
    fields = ("id", "role", "pool", "note", "created_at", "expires_at")
    rows = connection.execute(query).mappings().all()
    return [{name: row[name] for name in fields} for row in rows if _maker_still_may(connection, row)]


def revoke_invitation(connection: Connection, project_id: int, invitation_id: int, *, now: float) -> None:
    """Ends a project's link. Raises InputError where the project has no such link."""
    done = connection.execute(
        update(invitations)
        .where(
            invitations.c.id == invitation_id, invitations.c.project_id == project_id, invitations.c.used_at.is_(None)
        )
        .values(revoked_at=now)
    )
    if not done.rowcount:
        raise InputError("no such invitation", where=f"invitation {invitation_id}")


def _valid(connection: Connection, token: str, now: float) -> Mapping[Any, Any]:
    query = select(invitations).where(
        invitations.c.token_hash == stored(token),
        invitations.c.used_at.is_(None),
        invitations.c.revoked_at.is_(None),
        invitations.c.expires_at > now,
    )
    row = connection.execute(query).mappings().one_or_none()
    if row is None or not _maker_still_may(connection, row):
        raise _no_link()
    return row


def _maker_still_may(connection: Connection, row: Mapping[Any, Any]) -> bool:
    """Whether whoever made a link could make it now: else somebody who is let go keeps doors open for later."""
    if row["created_by"] is None:  # whoever runs the server
        return True
    maker = account_of(connection, row["created_by"])
    role = row["role"] if row["for_account"] is None else account_of(connection, row["for_account"]).role
    if not maker.active or not _may_invite(maker.role, role):
        return False
    if row["project_id"] is None or maker.role == "admin":
        return True
    member = find_member(connection, row["project_id"], maker.id)
    return member is not None and member.active


def _may_invite(maker: RoleName, role: RoleName) -> bool:
    return maker != "annotator" and RANK[role] <= RANK[maker]


def _no_link() -> InputError:
    return InputError("this link has been used, has expired, or is none", fix="ask for a new one")
