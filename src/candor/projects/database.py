"""One door to the database: SQLite in a file, or PostgreSQL."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from candor.errors import InputError
from candor.storage import StorageError, can_be_made, free_bytes, size, writing

Dialect = Literal["sqlite", "postgresql"]

BUSY_MS = 30_000
"""How long SQLite waits for another process's write."""

PRAGMAS = ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", f"busy_timeout = {BUSY_MS}")
"""Readers never wait for the writer; a commit is on the disk before it is acknowledged."""

CONNECTIONS = 12
PRIVATE = 0o600
"""Who may read a database and its backups: they hold people's names, and hashes of their passwords."""


class Database:
    """A labelling database. ``clock`` gives seconds since the epoch; tests pass their own.

    Functions of this package take a connection of :meth:`reading` or :meth:`writing`: what they do happens as a whole
    or not at all.
    """

    def __init__(self, engine: Engine, *, name: str, clock: Callable[[], float] = time.time) -> None:
        self.engine = engine
        self.name = name
        self.clock = clock
        self._turn = threading.Lock()  # writers of this process queue here and not in SQLite, which polls

    @property
    def dialect(self) -> Dialect:
        return "sqlite" if self.engine.dialect.name == "sqlite" else "postgresql"

    def now(self) -> float:
        """The moment, in seconds since the epoch."""
        return self.clock()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that reads one state of the database."""
        with self._told(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is on the disk once the block has ended, and undone where it fails.

        Raises StorageError where the disk has no room for it.
        """
        if self.dialect == "postgresql":
            with self._told(), self.engine.begin() as connection:
                yield connection
            return
        with self._told(), self._turn, self.engine.connect() as connection:
            connection = connection.execution_options(immediate=True)
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            told = _explained(error, self.name)
            if told is None:
                raise
            raise told from error


def open_database(
    where: str | Path, *, create: bool = False, upgrade: bool = True, clock: Callable[[], float] = time.time
) -> Database:
    """Returns a labelling database by its path or URL (``collect.db``, ``postgresql://user@host/name``).

    ``create`` makes one where there is none; ``upgrade`` brings the tables of an earlier version up to date. Raises
    InputError where there is none, where it is something else, and where the server cannot be reached.
    """
    from candor.projects.migrate import bring_up_to_date

    database = _connect(str(where), create=create, clock=clock)
    try:
        bring_up_to_date(database, create=create, upgrade=upgrade)
    except BaseException:
        database.close()
        raise
    return database


def _connect(where: str, *, create: bool, clock: Callable[[], float]) -> Database:
    path = sqlite_path(where)
    if path is None:
        return Database(_postgresql(where), name=shown_name(where), clock=clock)
    if not path.exists():
        if not create:
            raise InputError(
                "no such database", where=str(path), fix=f"candor collect serve --database {path} makes one"
            )
        can_be_made(path)
        with writing(path):
            path.touch(mode=PRIVATE)
    elif path.is_dir():
        raise InputError("is a directory", where=str(path), fix="name a file, such as collect.db")
    elif _begins(path) not in (b"", b"SQLite format 3\x00"):
        raise InputError("is no SQLite database", where=str(path), fix="name another file")
    engine = create_engine(
        f"sqlite:///{path}",
        pool_size=CONNECTIONS,
        max_overflow=30,
        connect_args={"check_same_thread": False},
        hide_parameters=True,  # an error in the log says what failed, not the hash or the text that was to be stored
    )
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return Database(engine, name=str(path), clock=clock)


def _begins(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)


def sqlite_path(where: str) -> Path | None:
    """The file behind a name, or None where it names a server. Raises InputError for a URL of another kind."""
    if where.startswith("sqlite://"):
        path = where.removeprefix("sqlite://").removeprefix("/")
        if not path or path == ":memory:":
            raise InputError("the database has to be a file", where=where, fix="sqlite:///collect.db")
        return Path(path)
    if where.startswith(("postgresql", "postgres:")):
        return None
    if "://" in where:
        raise InputError("unknown kind of database", where=shown_name(where), fix="a path, or postgresql://...")
    return Path(where)


def _postgresql(where: str) -> Engine:
    try:
        url = make_url(where).set(drivername="postgresql+psycopg")
    except (ArgumentError, ValueError) as error:
        raise InputError(
            "cannot read this address", where=where.split("@")[-1], fix="postgresql://user:password@host/name"
        ) from error
    try:
        return create_engine(
            url,
            pool_size=CONNECTIONS,
            max_overflow=8,
            pool_pre_ping=False,
            isolation_level="READ COMMITTED",
            hide_parameters=True,
        )
    except ModuleNotFoundError as error:
        raise InputError(
            "PostgreSQL needs its driver", where=shown_name(where), fix="pip install 'candor-rlhf[postgres]'"
        ) from error


def shown_name(where: str) -> str:
    """The address of a database without its password."""
    try:
        return make_url(where).difference_update_query(["password"]).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return where.split("@")[-1]


def _set_up_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where SQLAlchemy says so, and not at the first write
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    immediate = connection.get_execution_options().get("immediate", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")


_NO_ROOM = ("database or disk is full", "no space left on device", "disk i/o error", "could not extend file")
_READ_ONLY = ("readonly database", "read-only transaction")


def _explained(error: DBAPIError, name: str) -> InputError | None:
    """What a failure of the database means for its user; None where it is a mistake of the program."""
    text = str(error.orig).lower()
    if any(words in text for words in _NO_ROOM):
        free = free_bytes(Path(name))
        room = f": {size(free)} free" if free is not None else ""
        return StorageError(
            f"no room for more{room}; nothing was stored", where=name, fix="free some space, then send it again"
        )
    if any(words in text for words in _READ_ONLY):
        return StorageError("cannot be written to", where=name, fix="change its rights")
    if "file is not a database" in text or "malformed" in text:
        return InputError(
            "is damaged or no SQLite database", where=name, fix="candor collect restore brings a backup back"
        )
    if "deadlock detected" in text:
        return StorageError("others were at it at the same moment", where=name, fix="send it again")
    if "database is locked" in text:
        return StorageError("another program holds the database", where=name, fix="stop it, then try again")
    if isinstance(error, OperationalError) and ("connection" in text or "connect" in text or "unable to open" in text):
        return StorageError(
            f"cannot be reached: {str(error.orig).strip().splitlines()[0]}",
            where=name,
            fix="check the address and the server",
        )
    return None
