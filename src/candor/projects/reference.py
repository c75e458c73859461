"""A project as a source of comparisons, live: ``collect.db#slug``, ``postgresql://user@host/name#slug``."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from candor.errors import InputError
from candor.jsonl import write_rows
from candor.records import Comparison, to_json


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """A project in a database."""

    database: str
    slug: str

    @property
    def name(self) -> str:
        """The reference without a password."""
        from candor.projects.database import shown_name

        return f"{shown_name(self.database)}#{self.slug}"


def parse_reference(source: str | Path) -> Reference | None:
    """The project that a source names, or None where it is the name of a file (which may hold a ``#``).

    Raises InputError for an address with a password: the names of sources are kept with results, which are passed on.
    """
    text = str(source)
    database, mark, slug = text.rpartition("#")
    if not mark or not database or "/" in slug or Path(text).exists():
        return None
    if (
        "://" not in database
        and Path(database).suffix not in (".db", ".sqlite", ".sqlite3")
        and not Path(database).is_file()
    ):
        return None
    found = Reference(database=database, slug=slug)
    if "://" in database and _has_password(database):
        what = "a password would be kept with the results"
        raise InputError(what, where=found.name, fix="leave it out, and put it into PGPASSWORD or ~/.pgpass")
    return found


def _has_password(address: str) -> bool:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        url = make_url(address)
    except (ArgumentError, ValueError):
        return "@" in address  # whoever opens it will say what is wrong with it
    return url.password is not None or "password" in url.query


def project_labels(reference: Reference, *, retests: bool = True) -> tuple[Comparison, ...]:
    """The labels that stand now. Raises InputError where there is no such database or project, or no label."""
    from candor.projects.database import open_database
    from candor.projects.labels import read_labels
    from candor.projects.setup import find_project

    database = open_database(reference.database)
    try:
        with database.reading() as connection:
            project = find_project(connection, reference.slug)
            found = tuple(read_labels(connection, project.id, retests=retests))
    finally:
        database.close()
    if not found:
        raise InputError("no labels yet", where=reference.name, fix="candor collect serve, then label")
    return found


def content_hash(comparisons: tuple[Comparison, ...]) -> str:
    """What changes with every label that comes, goes or changes."""
    digest = hashlib.sha256()
    for comparison in comparisons:
        digest.update(json.dumps(to_json(comparison), sort_keys=True).encode())
    return digest.hexdigest()


@contextmanager
def as_file(source: str | Path) -> Iterator[str | Path]:
    """The source itself where it is one that is read from the disk; for a project, a file of its labels meanwhile."""
    reference = parse_reference(source)
    if reference is None:
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="candor-") as folder:
        path = Path(folder) / f"{reference.slug}.jsonl"
        write_rows(path, (to_json(label) for label in project_labels(reference)))
        yield path
