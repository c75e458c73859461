"""Backups: everything in one file, from either kind of database into either, and nothing by halves."""

from __future__ import annotations

import hashlib
import json
import threading
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import func, select, text

from candor.errors import InputError
from candor.projects.accounts import sessions
from candor.projects.accounts.accounts import find_account, set_password
from candor.projects.accounts.invitations import invite
from candor.projects.accounts.log import record
from candor.projects.accounts.tokens import create_token
from candor.projects.backup import back_up, restore
from candor.projects.database import Database, open_database
from candor.projects.schema import metadata
from candor.projects.setup import find_project, list_members
from labelled_project import label, labelling_project


@pytest.fixture
def labelled(tmp_path: Path) -> Database:
    """A database with a row in every table."""
    labelling_project(tmp_path, labels=5)
    database = open_database(tmp_path / "collect.db")
    with database.writing() as connection:
        project, admin, now = find_project(connection, "sample"), find_account(connection, "admin"), database.now()
        set_password(connection, admin, "correct horse battery staple", now=now)
        invite(connection, role="annotator", by=admin, project=project, pool=None, days=7, now=now)
        sessions.open_session(connection, admin.id, now=now)
        create_token(connection, admin.id, "laptop", now=now)
        record(connection, "test", account_id=admin.id, now=now, details={"naïve": "\u2028"})
    return database


def contents(database: Database) -> dict[str, list[Any]]:
    found = {}
    with database.reading() as connection:
        for table in metadata.sorted_tables:
            order = list(table.primary_key.columns)
            found[table.name] = [tuple(row) for row in connection.execute(select(table).order_by(*order))]
    return found


def nulls(database: Database) -> list[Any]:
    """NULL in a column of JSON values is another thing than the value null."""
    query = "SELECT count(*), count(gold), count(hidden) FROM items"
    query += " UNION ALL SELECT count(*), count(answer), 0 FROM submissions"
    with database.reading() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def go_on(database: Database) -> int:
    """Another label, whose row has to get an id of its own; returns how many there are."""
    with database.reading() as connection:
        project = find_project(connection, "sample")
        members = list_members(connection, project.id)
    label(database, project, members[:1], 1, seed=99)
    with database.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(metadata.tables["submissions"])).scalar_one())


def test_there_and_back_between_kinds_of_database(labelled: Database, tmp_path: Path, any_database_url: str) -> None:
    before = contents(labelled)
    assert all(before.values()), "the control: a table without rows would show nothing"
    saved = back_up(labelled, tmp_path / "one.zip")
    assert saved.rows == {name: len(rows) for name, rows in before.items()}
    where = any_database_url if "://" in any_database_url else str(tmp_path / "moved.db")
    assert restore(tmp_path / "one.zip", where).rows == saved.rows
    moved = open_database(where)
    assert contents(moved) == before
    assert nulls(moved) == nulls(labelled)
    assert go_on(moved) == saved.rows["submissions"] + 1
    after = contents(moved)
    back_up(moved, tmp_path / "two.zip")
    moved.close()
    restore(tmp_path / "two.zip", str(tmp_path / "again.db"))
    again = open_database(tmp_path / "again.db")
    assert contents(again) == after
    again.close()
    labelled.close()


def test_a_backup_is_of_one_moment_while_others_go_on(
    labelled: Database, tmp_path: Path, any_database_url: str
) -> None:
    busy = labelled
    if "://" in any_database_url:
        back_up(labelled, tmp_path / "first.zip")
        restore(tmp_path / "first.zip", any_database_url)
        busy = open_database(any_database_url)
    stop = threading.Event()

    def work() -> None:
        with busy.reading() as connection:
            project = find_project(connection, "sample")
            members = list_members(connection, project.id)
        for seed in range(1_000):
            if stop.is_set():
                return
            label(busy, project, members, 1, seed=1_000 + seed)

    others = threading.Thread(target=work)
    others.start()
    try:
        for number in range(5):
            back_up(busy, tmp_path / f"{number}.zip")
            restore(tmp_path / f"{number}.zip", str(tmp_path / f"{number}.db"))
            found = open_database(tmp_path / f"{number}.db")
            rows = contents(found)
            found.close()
            tasks = {task.id: task for task in named(rows, "tasks")}
            answered = {given.task_id for given in named(rows, "submissions")}
            assert answered <= set(tasks)
            assert answered == {task.id for task in tasks.values() if task.state in ("done", "skipped")}
            labels = sum(item.labels for item in named(rows, "items"))
            assert labels == sum(task.counted for task in tasks.values())
    finally:
        stop.set()
        others.join()
    if busy is not labelled:
        busy.close()
    labelled.close()


def named(rows: dict[str, list[Any]], table: str) -> list[Any]:
    columns = [column.name for column in metadata.tables[table].columns]
    return [SimpleNamespace(**dict(zip(columns, row, strict=True))) for row in rows[table]]


def test_what_is_there_is_left_alone(labelled: Database, tmp_path: Path) -> None:
    path = tmp_path / "one.zip"
    path.write_text("mine")
    with pytest.raises(InputError, match="is already there"):
        back_up(labelled, path)
    assert path.read_text() == "mine"
    back_up(labelled, path, force=True)
    with pytest.raises(InputError, match="the database is not empty"):
        restore(path, str(tmp_path / "collect.db"))
    assert go_on(labelled) > 0
    labelled.close()


def test_a_damaged_backup_leaves_nothing_behind(labelled: Database, tmp_path: Path) -> None:
    whole = tmp_path / "one.zip"
    back_up(labelled, whole)
    labelled.close()
    for number, bad in enumerate(damaged(whole, tmp_path)):
        where = tmp_path / f"restored-{number}.db"
        with pytest.raises(InputError, match=r"is damaged|no backup|no such file"):
            restore(bad, str(where))
        assert not list(tmp_path.glob(f"{where.name}*"))


def damaged(whole: Path, folder: Path) -> list[Path]:
    """A row that lacks, one too many, a table that lacks, a changed byte, half a file, no zip, nothing."""
    paths = []

    def rewritten(name: str, table: str, change: Any) -> None:
        with zipfile.ZipFile(whole) as old, zipfile.ZipFile(folder / name, "w") as new:
            for entry in old.namelist():
                content = old.read(entry)
                content = change(content) if entry == f"{table}.jsonl" else content
                if content is not None:
                    new.writestr(entry, content)
        paths.append(folder / name)

    rewritten("lacks.zip", "submissions", lambda content: content[: content.rindex(b"\n", 0, -1) + 1])
    rewritten("more.zip", "audit_log", lambda content: content + content.replace(b'"id":1', b'"id":9', 1))
    rewritten("table.zip", "tasks", lambda content: None)
    rewritten("byte.zip", "items", lambda content: content.replace(b"capital", b"capitol", 1))
    rewritten("column.zip", "items", lambda content: content.replace(b'"batch"', b'"botch"'))
    rewritten("json.zip", "items", lambda content: b"{" + content)
    half, text_, empty = folder / "half.zip", folder / "text.zip", folder / "empty.zip"
    half.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    text_.write_text("labels")
    empty.write_bytes(b"")
    bit = bytearray(whole.read_bytes())
    with zipfile.ZipFile(whole) as packed:
        place = packed.getinfo("items.jsonl").header_offset + 200
    bit[place] ^= 0xFF
    (folder / "bit.zip").write_bytes(bytes(bit))
    return [*paths, half, text_, empty, folder / "bit.zip", folder / "not there.zip"]


def test_a_backup_with_other_columns_is_of_another_version(labelled: Database, tmp_path: Path) -> None:
    whole, other = tmp_path / "one.zip", tmp_path / "other.zip"
    back_up(labelled, whole)
    labelled.close()
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(other, "w") as new:
        manifest = json.loads(old.read("manifest.json"))
        for entry in old.namelist()[:-1]:
            content = old.read(entry).replace(b'"batch"', b'"botch"')
            table = manifest["tables"][entry.removesuffix(".jsonl")]
            table["sha256"] = hashlib.sha256(content).hexdigest()
            new.writestr(entry, content)
        new.writestr("manifest.json", json.dumps(manifest))
    with pytest.raises(InputError, match="of another version in 'projects'"):
        restore(other, str(tmp_path / "x.db"))
    assert not list(tmp_path.glob("x.db*"))


def test_the_manifest_says_what_is_inside(labelled: Database, tmp_path: Path) -> None:
    back_up(labelled, tmp_path / "one.zip")
    with zipfile.ZipFile(tmp_path / "one.zip") as packed:
        manifest = json.loads(packed.read("manifest.json"))
        assert packed.namelist()[-1] == "manifest.json"
        assert {f"{name}.jsonl" for name in manifest["tables"]} | {"manifest.json"} == set(packed.namelist())
        assert "correct horse" not in packed.read("accounts.jsonl").decode()
    later = tmp_path / "later.zip"
    with zipfile.ZipFile(later, "w") as packed:
        packed.writestr("manifest.json", json.dumps({**manifest, "format": 99}))
    with pytest.raises(InputError, match="no backup of this version"):
        restore(later, str(tmp_path / "x.db"))
    labelled.close()


def test_others_on_the_machine_can_read_neither_the_database_nor_a_backup(labelled: Database, tmp_path: Path) -> None:
    back_up(labelled, tmp_path / "one.zip")
    restore(tmp_path / "one.zip", str(tmp_path / "again.db"))
    for name in ("collect.db", "collect.db-wal", "one.zip", "again.db"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0, name
    labelled.close()
