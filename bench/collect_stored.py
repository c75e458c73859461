"""Simulated answers in a labelling database, put there in one go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import insert

from candor.projects.database import Database, open_database
from candor.projects.labels import Judged
from candor.projects.schema import accounts, items, members, submissions, tasks
from candor.projects.settings import Settings
from candor.projects.setup import Project, create_project
from candor.records import to_json

NOW = 1.8e9


def stored(judged: Sequence[Judged], settings: Settings, path: Path) -> tuple[Database, Project]:
    """A new SQLite database with one project that holds these answers."""
    database = open_database(path, create=True)
    with database.writing() as connection:
        project = create_project(connection, slug="simulated", settings=settings, now=NOW)
        people = {one.account_id: one.handle for one in judged}
        rows = [{"id": k, "name": n, "role": "annotator", "active": True, "created_at": NOW} for k, n in people.items()]
        connection.execute(insert(accounts), rows)
        taking = [{"project_id": project.id, "account_id": k, "handle": n, "joined_at": NOW} for k, n in people.items()]
        connection.execute(insert(members), taking)
        connection.execute(
            insert(items), [_item(one, project) for one in {one.item_id: one for one in judged}.values()]
        )
        connection.execute(insert(tasks), [_task(n, one, project) for n, one in enumerate(judged, start=1)])
        connection.execute(insert(submissions), [_said(n, one, project) for n, one in enumerate(judged, start=1)])
    return database, project


def _item(one: Judged, project: Project) -> dict[str, object]:
    return {
        "id": one.item_id, "project_id": project.id, "key": one.item_key, "kind": one.kind, "batch": one.batch,
        "prompt": to_json(one.prompt), "responses": [to_json(r) for r in one.responses],
        "gold": None if one.gold is None else to_json(one.gold), "overlap": 3, "created_at": NOW,
    }  # fmt: skip


def _task(number: int, one: Judged, project: Project) -> dict[str, object]:
    return {
        "id": number, "project_id": project.id, "item_id": one.item_id, "account_id": one.account_id,
        "round": one.round, "purpose": one.purpose, "state": "done", "fence": 1,
        "shown_order": list(one.shown_order), "arm": one.arm, "propensity": None, "drawn": one.drawn,
        "leased_at": NOW, "expires_at": NOW + 60, "counted": True,
    }  # fmt: skip


def _said(number: int, one: Judged, project: Project) -> dict[str, object]:
    return {
        "submission_id": f"simulated-{number:08d}", "body_hash": f"{number:064d}", "project_id": project.id,
        "item_id": one.item_id, "task_id": number, "account_id": one.account_id, "kind": "answer",
        "answer": to_json(one.answer), "fence": 1, "surplus": False, "shown_order": list(one.shown_order),
        "arm": one.arm, "timing": {"total": one.total_seconds}, "seconds": one.seconds, "received_at": NOW + number,
    }  # fmt: skip
