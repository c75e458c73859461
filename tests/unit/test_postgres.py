"""The server that tests run on is PostgreSQL, and each test's database its own."""

from __future__ import annotations

import importlib.util
import shutil
import types
from pathlib import Path

import psycopg
import pytest
from bench.postgresql_server import PACKAGE, PostgresqlServer, postgresql_server


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


def test_it_runs_from_where_only_root_may_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a checkout below a directory of root's own: the programs are copied, with the libraries beside them."""
    found = importlib.util.find_spec(PACKAGE)
    assert found is not None
    assert found.submodule_search_locations
    installed = Path(found.submodule_search_locations[0])
    hidden = tmp_path / "hidden"
    newest = max(installed.glob("pginstall*"), key=lambda path: path.name)
    shutil.copytree(newest, hidden / PACKAGE / newest.name, symlinks=True)
    shutil.copytree(installed.with_name(f"{PACKAGE}.libs"), hidden / f"{PACKAGE}.libs", symlinks=True)
    hidden.chmod(0o700)
    spec = types.SimpleNamespace(submodule_search_locations=[str(hidden / PACKAGE)])
    monkeypatch.setattr("bench.postgresql_server.importlib.util.find_spec", lambda _: spec)
    with postgresql_server(durable=False) as server, psycopg.connect(server.url()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
