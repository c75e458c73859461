"""Databases for tests: a real PostgreSQL server, started once per test process, and a fresh database for each test.

``any_database`` runs a test twice, on SQLite and on PostgreSQL. Its clock may be set: ``any_database.clock = ...``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from bench.postgresql_server import PostgresqlServer, postgresql_server

if TYPE_CHECKING:
    from candor.projects.database import Database


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """A PostgreSQL server that commits to memory only."""
    with postgresql_server(durable=False) as server:
        yield server


@pytest.fixture
def postgresql_url(postgresql: PostgresqlServer) -> Iterator[str]:
    """The address of an empty PostgreSQL database."""
    url = postgresql.fresh_database()
    yield url
    postgresql.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def any_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database that is empty (PostgreSQL) or not there yet (SQLite)."""
    if request.param == "sqlite":
        return str(tmp_path / "collect.db")
    return str(request.getfixturevalue("postgresql_url"))


@pytest.fixture
def any_database(any_database_url: str) -> Iterator[Database]:
    """A labelling database without projects."""
    from candor.projects.database import open_database

    database = open_database(any_database_url, create=True)
    yield database
    database.close()
