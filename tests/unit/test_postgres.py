"""The server that tests run on is PostgreSQL, and each test's database its own."""

from __future__ import annotations

import psycopg
import pytest
from bench.postgresql_server import PostgresqlServer, postgresql_server


def test_it_is_postgresql(postgresql_url: str) -> None:
    with psycopg.connect(postgresql_url) as connection:
        (version,) = connection.execute("SHOW server_version_num").fetchone() or ("0",)
    assert int(version) >= 160000


def test_databases_do_not_share_tables(postgresql: PostgresqlServer, postgresql_url: str) -> None:
    other = postgresql.fresh_database()
    for url in (postgresql_url, other):
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE mine (x int)")
    postgresql.drop(other)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(other)


def test_a_server_leaves_nothing_behind() -> None:
    with postgresql_server(durable=True) as server:
        place = server.socket
        with psycopg.connect(server.url()) as connection:
            assert connection.execute("SHOW fsync").fetchone() == ("on",)
    assert server.process.returncode == 0
    assert not place.exists()
