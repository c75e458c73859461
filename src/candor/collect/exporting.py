"""Labels to a file, in a format that others read."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection

from candor.errors import InputError
from candor.preferences.formats import convert_comparisons, writable
from candor.preferences.formats.writing import Target, Written
from candor.projects.database import Database
from candor.projects.items import ItemKind
from candor.projects.labels import read_labels
from candor.projects.setup import Project, find_project
from candor.storage import can_be_made


def export_labels(
    database: Database,
    slug: str,
    out: Path,
    *,
    to: Target = "candor",
    batch: int | None = None,
    retests: bool = True,
    gold: bool = False,
    force: bool = False,
) -> Written:
    """Writes a project's standing labels to a file and returns what was written and what could not be.

    ``retests``: second looks too; ``gold``: answers to gold and calibration items too. Raises InputError where there is
    no label, the file is there (unless ``force``), or its ending is not known.
    """
    writable(out, to=to)
    if out.exists() and (out.is_dir() or not force):
        raise InputError("is already there", where=str(out), fix="give another name, or --force to replace it")
    can_be_made(out)
    with database.reading() as connection:
        project = find_project(connection, slug)
        return write_labels(connection, project, out, to=to, batch=batch, retests=retests, gold=gold)


def write_labels(
    connection: Connection, project: Project, out: Path, *, to: Target, batch: int | None, retests: bool, gold: bool
) -> Written:
    """Writes a project's standing labels to a new file and returns what was written.

    Raises InputError where there is none.
    """
    kinds: tuple[ItemKind, ...] = ("main", "gold", "calibration") if gold else ("main",)
    labels = list(read_labels(connection, project.id, kinds=kinds, batch=batch, retests=retests))
    if not labels:
        raise InputError("no labels yet", where=project.slug, fix="candor collect serve, then label")
    return convert_comparisons(out, labels, to=to)
