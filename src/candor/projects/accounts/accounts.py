"""People (and programs) who sign in: admins, leads, annotators."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from sqlalchemy import Connection, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from candor.errors import InputError
from candor.projects.accounts.passwords import hash_password
from candor.projects.accounts.sessions import revoke_sessions
from candor.projects.schema import accounts, invitations

RoleName = Literal["admin", "lead", "annotator"]
ROLE_NAMES: tuple[RoleName, ...] = get_args(RoleName)
RANK: Mapping[RoleName, int] = {"annotator": 0, "lead": 1, "admin": 2}

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """An account; ``role``: an admin may do all, a lead leads the projects that they are a member of."""

    id: int
    name: str
    role: RoleName
    active: bool
    has_password: bool
    created_at: float


def create_account(
    connection: Connection, name: str, role: RoleName, *, password: str | None = None, now: float
) -> Account:
    """Makes an account and returns it. Raises InputError for a name that is taken or none, and for a weak password."""
    name = checked_name(name)
    if role not in ROLE_NAMES:
        raise InputError(f"unknown role '{role}'", where=f"account '{name}'", fix=f"one of {', '.join(ROLE_NAMES)}")
    hashed = None if password is None else hash_password(password)
    try:
        with connection.begin_nested():
            connection.execute(
                insert(accounts).values(name=name, role=role, password_hash=hashed, active=True, created_at=now)
            )
    except IntegrityError as error:
        raise InputError("the name is taken", where=f"account '{name}'", fix="choose another") from error
    return find_account(connection, name)


def checked_name(name: str) -> str:
    """The name in lower case. Raises InputError where it is none."""
    name = name.strip().lower()
    if not _NAME.fullmatch(name):
        fix = "1 to 80 lower-case letters, digits, . _ and -"
        raise InputError("not a name to sign in with", where="field 'name'", fix=fix)
    return name


def find_account(connection: Connection, name: str) -> Account:
    """The account of a name. Raises InputError where there is none."""
    row = connection.execute(select(accounts).where(accounts.c.name == name.strip().lower())).mappings().one_or_none()
    if row is None:
        raise InputError("no such account", where=name[:80])
    return _account(row)


_ACCOUNT = select(accounts).where(accounts.c.id == bindparam("account"))


def account_of(connection: Connection, account_id: int) -> Account:
    """The account of an id."""
    return _account(connection.execute(_ACCOUNT, {"account": account_id}).mappings().one())


def list_accounts(connection: Connection) -> list[Account]:
    """All accounts, by name."""
    return [_account(row) for row in connection.execute(select(accounts).order_by(accounts.c.name)).mappings()]


def change_account(connection: Connection, account: Account, changes: Mapping[str, Any], *, now: float) -> Account:
    """Changes ``role`` or ``active``, signs the account out everywhere (its rights have changed) and returns it.

    Raises InputError for anything else, and where no active admin would be left.
    """
    unknown = next((name for name in changes if name not in ("role", "active")), None)
    if unknown is not None:
        raise InputError("cannot be changed", where=f"field '{unknown}'", fix="role or active")
    if changes.get("role", account.role) not in ROLE_NAMES:
        raise InputError("unknown role", where="field 'role'", fix=f"one of {', '.join(ROLE_NAMES)}")
    if not changes:
        return account
    admins = _held_admins(connection)
    account = account_of(connection, account.id)  # as it is now that no other change of admins can happen
    stays = changes.get("role", account.role) == "admin" and changes.get("active", account.active)
    if admins == [account.id] and not stays:
        raise InputError("the last admin has to stay one", where=account.name, fix="make another admin first")
    connection.execute(update(accounts).where(accounts.c.id == account.id).values(**changes))
    _sign_out(connection, account.id, now=now)
    return account_of(connection, account.id)


def set_password(connection: Connection, account: Account, password: str, *, now: float) -> None:
    """Sets a password and signs the account out everywhere. Raises InputError for a weak one."""
    keep_hash(connection, account.id, hash_password(password))
    _sign_out(connection, account.id, now=now)


def keep_hash(connection: Connection, account_id: int, hashed: str) -> None:
    """Stores the hash of a password: of a new one, or of the same one made with today's settings."""
    connection.execute(update(accounts).where(accounts.c.id == account_id).values(password_hash=hashed))


def password_hash(connection: Connection, name: str, *, hold: bool = False) -> tuple[int, str | None] | None:
    """Id and hash of an active account, or None: read before the slow comparison, which needs no transaction.

    ``hold``: neither changes until the transaction ends.
    """
    query = select(accounts.c.id, accounts.c.password_hash).where(
        accounts.c.name == name.strip().lower()[:80], accounts.c.active
    )
    row = connection.execute(query.with_for_update(key_share=True) if hold else query).one_or_none()
    return None if row is None else (row.id, row.password_hash)


def _sign_out(connection: Connection, account_id: int, *, now: float) -> None:
    """Ends the sessions of an account, and links that would begin others."""
    revoke_sessions(connection, account_id, now=now)
    unused = invitations.c.used_at.is_(None) & invitations.c.revoked_at.is_(None)
    connection.execute(
        update(invitations).where(invitations.c.for_account == account_id, unused).values(revoked_at=now)
    )


def _held_admins(connection: Connection) -> list[int]:
    """The active admins, who stay what they are until the transaction ends: two cannot demote each other at once."""
    query = select(accounts.c.id).where(accounts.c.role == "admin", accounts.c.active).order_by(accounts.c.id)
    return list(connection.execute(query.with_for_update(key_share=True)).scalars())


def _account(row: Mapping[Any, Any]) -> Account:
    return Account(
        id=row["id"],
        name=row["name"],
        role=row["role"],
        active=row["active"],
        has_password=row["password_hash"] is not None,
        created_at=row["created_at"],
    )
