"""API tokens: a program signs in as the account that made the token, with its rights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select, update

from candor.errors import InputError
from candor.projects.accounts.secrets import new_token, stored
from candor.projects.accounts.sessions import SEEN_EVERY, Session
from candor.projects.schema import accounts, api_tokens

PREFIX = "candor_"


def create_token(connection: Connection, account_id: int, name: str, *, now: float) -> str:
    """Makes a token and returns it: it is shown this once. Raises InputError for a name that is none."""
    if not 1 <= len(name.strip()) <= 80:
        raise InputError("a token's name has 1 to 80 characters", where="field 'name'")
    token = new_token(PREFIX)
    values = {"account_id": account_id, "name": name.strip(), "token_hash": stored(token), "created_at": now}
    connection.execute(insert(api_tokens).values(**values))
    return token


def find_token(connection: Connection, token: str, *, now: float) -> Session | None:
    """Who a token stands for, or None."""
    query = (
        select(api_tokens.c.id, api_tokens.c.used_at, accounts.c.id.label("account"), accounts.c.name, accounts.c.role)
        .join(accounts, accounts.c.id == api_tokens.c.account_id)
        .where(api_tokens.c.token_hash == stored(token), api_tokens.c.revoked_at.is_(None), accounts.c.active)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    stale = row.used_at is None or row.used_at < now - SEEN_EVERY
    return Session(id=row.id, account_id=row.account, name=row.name, role=row.role, csrf="", stale=stale)


def mark_used(connection: Connection, token: Session, *, now: float) -> None:
    """Notes that a token was used."""
    connection.execute(update(api_tokens).where(api_tokens.c.id == token.id).values(used_at=now))


def list_tokens(connection: Connection, account_id: int) -> list[Mapping[str, Any]]:
    """An account's tokens that still work: id, name, created_at, used_at."""
    query = (
        select(api_tokens.c.id, api_tokens.c.name, api_tokens.c.created_at, api_tokens.c.used_at)
        .where(api_tokens.c.account_id == account_id, api_tokens.c.revoked_at.is_(None))
        .order_by(api_tokens.c.id)
    )
    fields = ("id", "name", "created_at", "used_at")
    return [dict(zip(fields, row, strict=True)) for row in connection.execute(query)]


def revoke_token(connection: Connection, account_id: int, token_id: int, *, now: float) -> None:
    """Ends one of an account's own tokens. Raises InputError where it has no such token."""
    done = connection.execute(
        update(api_tokens)
        .where(api_tokens.c.id == token_id, api_tokens.c.account_id == account_id, api_tokens.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    if not done.rowcount:
        raise InputError("no such token of yours", where=f"token {token_id}")
