"""A whole database in one file, and back: the same file for SQLite and PostgreSQL, so that it also moves between them.

A backup is a zip of one file of JSON lines per table and a manifest, written last, with the number of rows and the
SHA-256 of each.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection, Table, func, insert, select, text

from candor.errors import InputError
from candor.projects.database import PRIVATE, Database, open_database, sqlite_path
from candor.projects.schema import metadata
from candor.storage import can_be_made, replacing_file, writing

FORMAT = 1
AT_ONCE = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Saved:
    """What a backup holds: rows by table."""

    path: Path
    rows: dict[str, int]


def back_up(database: Database, path: Path, *, force: bool = False) -> Saved:
    """Writes everything, as it was at one moment, while others go on labelling, and returns what was written.

    Only the owner can read the file.

    Atomic. Raises InputError where the file is there (unless ``force``), StorageError where the disk does not let it.
    """
    if path.exists() and not force:
        raise InputError("is already there", where=str(path), fix="give another name, or --force to replace it")
    can_be_made(path)
    tables: dict[str, dict[str, Any]] = {}
    with (
        writing(path),
        replacing_file(path, mode=PRIVATE) as unfinished,
        zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as packed,
        database.reading() as connection,
    ):
        if database.dialect == "postgresql":
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        for table in metadata.sorted_tables:
            digest, rows = hashlib.sha256(), 0
            with packed.open(f"{table.name}.jsonl", "w", force_zip64=True) as out:
                for line in _lines(connection, table):
                    out.write(line)
                    digest.update(line)
                    rows += 1
            tables[table.name] = {"rows": rows, "sha256": digest.hexdigest()}
        manifest = {"format": FORMAT, "kind": "candor collect backup", "at": database.now(), "tables": tables}
        packed.writestr("manifest.json", json.dumps(manifest, indent=2))
    return Saved(path=path, rows={name: found["rows"] for name, found in tables.items()})


def restore(path: Path, where: str) -> Saved:
    """Makes a new database from a backup, all of it or nothing, and returns what the backup held.

    Raises InputError for a file that is no backup or is damaged, and where the database has something in it already.
    """
    manifest, packed = _opened(path)
    file = sqlite_path(where)
    new = file is not None and not file.exists()
    try:
        _restore(manifest, packed, path, where)
    except BaseException:
        if file is not None and new:
            for ending in ("", "-wal", "-shm"):
                file.with_name(file.name + ending).unlink(missing_ok=True)
        raise
    return Saved(path=path, rows={name: found["rows"] for name, found in manifest["tables"].items()})


def _restore(manifest: dict[str, Any], packed: zipfile.ZipFile, path: Path, where: str) -> None:
    database = open_database(where, create=True)
    try:
        with packed, database.writing() as connection:
            _verify(packed, path, manifest["tables"])
            for table in metadata.sorted_tables:
                if connection.execute(select(func.count()).select_from(table)).scalar_one():
                    fix = "restore into a new one"
                    raise InputError("the database is not empty", where=database.name, fix=fix)
            for table in metadata.sorted_tables:
                _fill(connection, table, packed, path)
                if database.dialect == "postgresql" and "id" in table.c:
                    _move_sequence(connection, table)
    finally:
        database.close()


def _lines(connection: Connection, table: Table) -> Iterator[bytes]:
    order = [table.c.id] if "id" in table.c else list(table.primary_key.columns)
    query = select(table).order_by(*order).execution_options(yield_per=AT_ONCE)
    names = [str(column.name) for column in table.columns]
    for row in connection.execute(query):
        yield orjson.dumps(dict(zip(names, row, strict=True))) + b"\n"


def _opened(path: Path) -> tuple[dict[str, Any], zipfile.ZipFile]:
    if not path.is_file():
        raise InputError("no such file", where=str(path))
    try:
        packed = zipfile.ZipFile(path)
        manifest = json.loads(packed.read("manifest.json"))
        known = manifest["kind"] == "candor collect backup" and manifest["format"] == FORMAT
        known = known and isinstance(manifest["tables"], dict)
    except (OSError, zlib.error, zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise InputError(
            "is no backup, or is damaged", where=str(path), fix="candor collect backup writes one"
        ) from error
    if not known:
        raise InputError("is no backup of this version", where=str(path), fix="upgrade candor")
    return manifest, packed


def _verify(packed: zipfile.ZipFile, path: Path, tables: dict[str, Any]) -> None:
    """Reads it all once, before anything is written. Raises InputError where a table is not what it was."""
    for table in metadata.sorted_tables:
        digest, rows = hashlib.sha256(), 0
        try:
            with packed.open(f"{table.name}.jsonl") as lines:
                for line in lines:
                    digest.update(line)
                    rows += 1
            same = tables[table.name] == {"rows": rows, "sha256": digest.hexdigest()}
        except (zipfile.BadZipFile, zlib.error, KeyError, EOFError, OSError) as error:
            raise InputError(f"is damaged in '{table.name}'", where=str(path), fix="use another backup") from error
        if not same:
            raise InputError(f"is damaged in '{table.name}'", where=str(path), fix="use another backup")


def _fill(connection: Connection, table: Table, packed: zipfile.ZipFile, path: Path) -> None:
    names = {str(column.name) for column in table.columns}
    with packed.open(f"{table.name}.jsonl") as lines:
        while rows := [orjson.loads(line) for line in islice(lines, AT_ONCE)]:
            if any(set(row) != names for row in rows):
                fix = "restore it with the version that wrote it, then upgrade"
                raise InputError(f"is of another version in '{table.name}'", where=str(path), fix=fix)
            connection.execute(insert(table), rows)


def _move_sequence(connection: Connection, table: Table) -> None:
    """Rows came with their ids: the next one continues after them."""
    sequence = f"pg_get_serial_sequence('{table.name}', 'id')"
    connection.execute(text(f"SELECT setval({sequence}, COALESCE((SELECT max(id) FROM {table.name}), 0) + 1, false)"))
