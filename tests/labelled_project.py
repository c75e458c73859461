"""What the documentation of ``candor collect`` takes for granted: a database with labels, and files to import."""

from __future__ import annotations

import json
import random
import shutil
import uuid
from pathlib import Path

from candor.collect.sample import create_samples
from candor.projects.accounts.accounts import create_account
from candor.projects.assignment import Nothing, next_task
from candor.projects.backup import back_up
from candor.projects.database import Database, open_database
from candor.projects.setup import Member, Project, add_member, change_project
from candor.projects.submissions import Sent, submit

ANNOTATORS = ("ann", "bob", "cleo")


def labelling_project(folder: Path, *, labels: int = 20) -> None:
    """Leaves ``collect.db`` (sample projects; three annotators labelled the first), ``labels.zip``, files to import."""
    database = open_database(folder / "collect.db", create=True)
    project = create_samples(database)[0]
    with database.writing() as connection:
        settings = {"calibration": False, "gold_rate": 0.1, "retest_rate": 0.0}
        project = change_project(connection, project, {"settings": settings})
        create_account(connection, "admin", "admin", now=database.now())
        accounts = [create_account(connection, name, "annotator", now=database.now()) for name in ANNOTATORS]
        members = [add_member(connection, project, account.id, now=database.now()) for account in accounts]
    label(database, project, members, labels)
    back_up(database, folder / "labels.zip")
    database.close()
    shutil.copy(folder / "collect.db", folder / "labels.db")  # stands for a server's
    write_files(folder)


def label(database: Database, project: Project, members: list[Member], each: int, *, seed: int = 0) -> None:
    """Each member judges so many items of a comparison, at random."""
    rng = random.Random(seed)
    for _ in range(each):
        for member in members:
            with database.writing() as connection:
                task = next_task(connection, project, member, rng, now=database.now())
                if isinstance(task, Nothing):
                    continue
                sent = Sent(
                    submission_id=str(uuid.UUID(int=rng.getrandbits(128))),
                    task_id=task.id,
                    fence=task.fence,
                    kind="answer",
                    answer={"best": rng.randrange(2), "strength": 1},
                    timing={"visible": rng.uniform(4, 20), "total": 25.0},
                )
                submit(connection, project, member, sent, now=database.now())


def write_files(folder: Path) -> None:
    """Items with two replies, gold items, instructions, claims."""
    rows = [
        {"prompt": f"What is the capital of country {n}?", "responses": [f"It is city {n}.", "I do not know."]}
        for n in range(4)
    ]
    (folder / "replies.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    gold = [{**row, "key": f"gold {n}", "gold": {"answer": {"best": 0}}} for n, row in enumerate(rows)]
    (folder / "gold.jsonl").write_text("".join(json.dumps(row) + "\n" for row in gold))
    (folder / "guide.md").write_text("Which reply is **true**?\n")
