"""Signed-in browsers. A session's token is never stored, and never the same before and after signing in."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, insert, select, update

from candor.projects.accounts.secrets import new_token, stored
from candor.projects.schema import accounts, sessions

IDLE = 12 * 3600.0
LONGEST = 14 * 86400.0
SEEN_EVERY = 300.0
"""Seconds: a session ends after so long without a request, and after so long at all; it is seen at most so often."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """Who a token stands for."""

    id: int
    account_id: int
    name: str
    role: str
    csrf: str
    stale: bool  # to be marked as seen


def open_session(connection: Connection, account_id: int, *, now: float) -> tuple[str, str]:
    """Signs an account in; returns the token for the cookie and the token against forged requests."""
    token, csrf = new_token(), new_token()
    connection.execute(
        insert(sessions).values(
            token_hash=stored(token),
            account_id=account_id,
            csrf=csrf,
            created_at=now,
            seen_at=now,
            expires_at=now + LONGEST,
        )
    )
    return token, csrf


_SESSION = (
    select(
        sessions.c.id,
        sessions.c.csrf,
        sessions.c.seen_at,
        accounts.c.id.label("account"),
        accounts.c.name,
        accounts.c.role,
    )
    .join(accounts, accounts.c.id == sessions.c.account_id)
    .where(
        sessions.c.token_hash == bindparam("token"),
        sessions.c.revoked_at.is_(None),
        sessions.c.expires_at > bindparam("now"),
        sessions.c.seen_at > bindparam("idle_since"),
        accounts.c.active,
    )
)


def find_session(connection: Connection, token: str, *, now: float) -> Session | None:
    """The session of a token, or None where it ended, was revoked, or never was."""
    values = {"token": stored(token), "now": now, "idle_since": now - IDLE}
    row = connection.execute(_SESSION, values).one_or_none()
    if row is None:
        return None
    stale = row.seen_at < now - SEEN_EVERY
    return Session(id=row.id, account_id=row.account, name=row.name, role=row.role, csrf=row.csrf, stale=stale)


def mark_seen(connection: Connection, session: Session, *, now: float) -> None:
    """Keeps a session from ending as idle."""
    connection.execute(update(sessions).where(sessions.c.id == session.id).values(seen_at=now))


def revoke_session(connection: Connection, token: str, *, now: float) -> None:
    """Ends the session of a token, if there is one."""
    connection.execute(update(sessions).where(sessions.c.token_hash == stored(token)).values(revoked_at=now))


def revoke_sessions(connection: Connection, account_id: int, *, now: float) -> None:
    """Ends all sessions of an account."""
    connection.execute(
        update(sessions)
        .where(sessions.c.account_id == account_id, sessions.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
