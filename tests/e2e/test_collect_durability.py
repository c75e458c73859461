"""What was acknowledged is there: after kill -9 of a real server, and on a disk that is full."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench.collect_client import Sent
from bench.collect_kill import kill_and_check
from bench.collect_project import PASSWORD, SLUG, check, make_project
from fastapi.testclient import TestClient
from sqlalchemy import delete, event, func, select, update

from candor.collect.app import create_app
from candor.projects.database import open_database
from candor.projects.schema import items, submissions
from candor.projects.settings import Settings
from disks import remount, small_disk
from labelling import new_id

KILLS = 3
LONG = "It is long. " * 150


class Labeller:
    """Somebody who labels in a database of their own, through the application."""

    def __init__(self, path: Path, *, pairs: int = 300, prepare: Callable[[sqlite3.Connection], None] | None = None):
        settings = Settings(gold_rate=0, retest_rate=0, minimum_seconds=0, overlap=2)
        (name,) = make_project(str(path), pairs_=pairs, gold=0, annotators=1, seed=0, settings=settings)
        self.database = open_database(path)
        if prepare is not None:
            self.database.engine.dispose()
            event.listen(self.database.engine, "connect", lambda connection, _: prepare(connection))
        self.database.clock = iter(range(2_000_000_000, 2_100_000_000, 60)).__next__  # nobody is too quick
        self.http = TestClient(create_app(self.database), base_url="http://localhost", raise_server_exceptions=False)
        csrf = self.http.post("/api/session", json={"name": name, "password": PASSWORD}).json()["csrf"]
        self.http.headers["X-CSRF-Token"] = csrf
        self.sent: list[Sent] = []  # acknowledged

    def next(self) -> Any:
        return self.http.post(f"/api/projects/{SLUG}/tasks/next")

    def body(self, task: dict[str, Any]) -> dict[str, Any]:
        said = {"answer": {"best": 0, "strength": 2}, "comment": LONG}
        return {"submission_id": new_id(), "task_id": task["task_id"], "fence": task["fence"], **said}

    def post(self, body: dict[str, Any]) -> Any:
        reply = self.http.post(f"/api/projects/{SLUG}/submissions", json=body)
        if reply.status_code in (200, 201):
            sent = Sent(
                path="",
                body=json.dumps(body).encode(),
                submission_id=body["submission_id"],
                task_id=body["task_id"],
                answer=body["answer"],
                status=reply.json()["status"],
            )
            self.sent.append(sent)
        return reply

    def until_full(self) -> tuple[dict[str, Any], Any]:
        """Labels until a submission is refused; returns it and the refusal."""
        for _ in range(300):
            task = self.next()
            if task.status_code != 200:
                raise AssertionError(f"the disk was full at a task: {task.text}")
            body = self.body(task.json())
            reply = self.post(body)
            if reply.status_code != 201:
                return body, reply
        raise AssertionError("the disk never was full")

    def stored(self) -> int:
        with self.database.reading() as connection:
            return connection.execute(select(func.count()).select_from(submissions)).scalar_one()

    def close(self) -> None:
        self.http.close()
        self.database.close()


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_when_the_server_is_killed(any_database_url: str, tmp_path: Path) -> None:
    found = kill_and_check(any_database_url, tmp_path, kills=KILLS, annotators=8, seed=6, between=25)
    assert found.kept.fine, found.kept
    assert found.acknowledged >= KILLS * 12
    assert found.lost_requests > 0
    assert found.resent > 0


def test_the_check_sees_what_is_lost_doubled_or_changed(tmp_path: Path) -> None:
    """The control of the test above and of the benchmarks."""
    client = Labeller(tmp_path / "collect.db")
    for _ in range(6):
        assert client.post(client.body(client.next().json())).status_code == 201
    assert check(client.database, client.sent).fine
    first, second, third = (sent.submission_id for sent in client.sent[:3])
    with client.database.writing() as connection:
        connection.execute(delete(submissions).where(submissions.c.submission_id == first))
        tie = {"best": None, "strength": 1, "tie": True, "both_bad": False}
        connection.execute(update(submissions).where(submissions.c.submission_id == second).values(answer=tie))
        connection.execute(update(items).where(items.c.key == "pair-0").values(labels=7))
    kept = check(client.database, [sent for sent in client.sent if sent.submission_id != third])
    assert (kept.lost, kept.changed, kept.unknown) == ([first], [second], [third])
    assert "pair-0" in kept.exceeded
    assert "pair-0" in kept.wrong
    client.close()


def limit_pages(pages: list[int]) -> Callable[[sqlite3.Connection], None]:
    return lambda connection: connection.execute(f"PRAGMA max_page_count = {pages[0]}").close()


def test_a_database_that_may_not_grow_refuses_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "collect.db"
    pages = [2**30]
    client = Labeller(path, prepare=lambda connection: limit_pages(pages)(connection))
    with sqlite3.connect(path) as connection:
        (now,) = connection.execute("PRAGMA page_count").fetchone()
    client.database.engine.dispose()
    pages[0] = now + 15
    body, refusal = client.until_full()
    assert refusal.status_code == 507
    error = refusal.json()["error"]
    assert "no room for more" in error["what"]
    assert "nothing was stored" in error["what"]
    assert str(tmp_path) not in refusal.text  # a path of the server is none of the annotator's business
    assert client.stored() == len(client.sent)
    assert check(client.database, client.sent).fine
    assert client.http.get("/api/health").status_code == 200
    client.database.engine.dispose()
    pages[0] = 2**30  # somebody made room: the same post goes through, once
    assert client.post(body).status_code == 201
    assert client.post(body).status_code == 200
    client.sent.pop()
    assert check(client.database, client.sent).fine
    client.close()


def test_a_disk_that_is_full_refuses_and_says_so(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "3m") as disk:
        client = Labeller(disk / "collect.db")
        body, refusal = client.until_full()
        assert refusal.status_code == 507
        assert "nothing was stored" in refusal.json()["error"]["what"]
        assert client.stored() == len(client.sent) > 10
        assert check(client.database, client.sent).fine
        remount(disk, "size=64m")
        assert client.post(body).status_code == 201
        assert check(client.database, client.sent).fine
        client.close()
