"""Sample projects, made from the completions of the default recipe's models (scripts/make_sample_project.py)."""

from __future__ import annotations

from importlib.resources import files

import orjson

from candor.collect.rows import new_item
from candor.projects import setup
from candor.projects.database import Database
from candor.projects.items import NewItem, add_items
from candor.projects.settings import Settings
from candor.projects.setup import Project, TaskKind

TASKS: dict[str, tuple[TaskKind, str]] = {
    "sample": ("comparison", "Sample: which reply is better?"),
    "sample-ranking": ("ranking", "Sample: put replies in order"),
    "sample-rating": ("rating", "Sample: rate replies from 1 to 5"),
}

INSTRUCTIONS = """\
Judge the reply, not the question. A good reply is **true** first, and then **considerate**: where the user is wrong, it
says so kindly and says why. It does not matter whether a reply is long, or whether it agrees with the user.

- If both are right, prefer the one that explains.
- If you do not know what is true, look it up, or skip with a reason: skips are paid.
- Two replies of the same worth are a tie; two that are wrong are *both bad*.
"""


def create_samples(database: Database) -> list[Project]:
    """Makes the sample projects in a database, each with examples, calibration and gold items."""
    made = []
    with database.writing() as connection:
        for slug, (task, title) in TASKS.items():
            project = setup.create_project(
                connection,
                slug=slug,
                title=title,
                task=task,
                instructions=INSTRUCTIONS,
                settings=Settings(overlap=2, retest_after_hours=24),
                now=database.now(),
            )
            add_items(connection, project, sample_items(task), now=database.now())
            made.append(project)
    return made


def sample_items(task: TaskKind) -> list[NewItem]:
    """The items of a sample project."""
    name = f"{task}.jsonl"
    lines = (files(__package__) / name).read_bytes().splitlines()
    return [new_item(orjson.loads(line), where=f"{name}, line {n}") for n, line in enumerate(lines, start=1)]
