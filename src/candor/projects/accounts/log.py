"""What was done by whom: rows are only ever added."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select

from candor.projects.schema import accounts, audit_log


def record(
    connection: Connection,
    action: str,
    *,
    account_id: int | None,
    subject: str = "",
    details: Mapping[str, Any] | None = None,
    now: float,
) -> None:
    """Adds a row; no secret and no text of an item belongs into it."""
    values = {"at": now, "account_id": account_id, "action": action, "subject": subject[:200]}
    connection.execute(insert(audit_log).values(**values, details=dict(details or {})))


def read_log(connection: Connection, *, limit: int = 100, before: int | None = None) -> list[Mapping[str, Any]]:
    """The latest rows, the newest first: id, at, who, action, subject, details."""
    query = (
        select(audit_log, accounts.c.name.label("who"))
        .join(accounts, accounts.c.id == audit_log.c.account_id, isouter=True)
        .order_by(audit_log.c.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(audit_log.c.id < before)
    fields = ("id", "at", "who", "action", "subject", "details")
    return [{name: row[name] for name in fields} for row in connection.execute(query).mappings()]
