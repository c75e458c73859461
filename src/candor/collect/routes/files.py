"""Files in and out: items are imported, labels exported, in the formats of the command line."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import Response

from candor.collect.deps import Access, ProjectLead
from candor.collect.errors import Json, Refused
from candor.collect.exporting import write_labels
from candor.collect.importing import FileItems, read_items
from candor.collect.routes.shapes import Id, Slug
from candor.errors import InputError
from candor.preferences.formats.writing import ENDINGS, Target
from candor.projects.items import Added, ItemKind, add_items
from candor.projects.setup import Project
from candor.storage import StorageError

router = APIRouter(prefix="/api/projects/{slug}", tags=["files"])

READ = (".jsonl", ".json", ".csv", ".tsv", ".parquet", ".jsonl.gz", ".jsonl.zst", ".csv.gz", ".tsv.gz")
"""Endings of files that may be sent. A file's name says how to read it, and nothing else."""

FileName = Annotated[str, Query(max_length=200, description=f"the file's name; it ends in {', '.join(READ)}")]
_ANY_BODY = {
    "requestBody": {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.post("/import", status_code=201, openapi_extra=_ANY_BODY)
async def import_file(
    access: ProjectLead, slug: Slug, request: Request, name: FileName, kind: ItemKind | None = None
) -> Response:
    """Adds the items of a file that is the body: rows with prompt and responses, or comparisons in any known format."""
    project = await run_in_threadpool(_project, access)
    ending = next((e for e in sorted(READ, key=len, reverse=True) if name.lower().endswith(e)), None)
    if ending is None:
        raise Refused(422, "cannot tell how to read this", where="query 'name'", fix=f"end it in {', '.join(READ)}")
    with tempfile.TemporaryDirectory(prefix="candor-") as folder:
        path = Path(folder) / f"import{ending}"
        with path.open("wb") as file:
            async for chunk in request.stream():
                file.write(chunk)
        read, added = await run_in_threadpool(_imported, access, project, path, kind)
    return Json(
        {
            "rows": read.rows,
            "added": added.added,
            "known": added.known,
            "by_kind": added.by_kind,
            "answers_left_behind": read.answers,
            "dropped": read.dropped,
            "ignored": read.ignored,
        },
        status_code=201,
    )


@router.get("/export")
def export(
    access: ProjectLead,
    slug: Slug,
    to: Target = "candor",
    ending: Annotated[str, Query(pattern=r"^\.(jsonl|jsonl\.gz|jsonl\.zst|parquet)$")] = ".jsonl",
    batch: Id | None = None,
    retests: bool = True,
    gold: bool = False,
) -> Response:
    """The labels that stand, as a file; ``X-Not-Written`` counts what the format cannot hold."""
    assert ending in ENDINGS
    with tempfile.TemporaryDirectory(prefix="candor-") as folder:
        path = Path(folder) / f"labels{ending}"
        with _unnamed(path), access.reading() as work:
            written = write_labels(work.connection, work.project, path, to=to, batch=batch, retests=retests, gold=gold)
        with access.writing() as work:
            work.log("project.export", slug, to=to, labels=written.comparisons)
        content = path.read_bytes()
    headers = {
        "Content-Disposition": f'attachment; filename="{slug}{ending}"',
        "X-Labels": str(written.comparisons),
        "X-Not-Written": str(sum(written.dropped.values())),
    }
    return Response(content, media_type="application/octet-stream", headers=headers)


def _project(access: Access) -> Project:
    with access.reading() as work:
        return work.project


def _imported(access: Access, project: Project, path: Path, kind: ItemKind | None) -> tuple[FileItems, Added]:
    with _unnamed(path):
        read = read_items(path, project, kind=kind)
        with access.writing() as work:
            added = add_items(work.connection, work.project, read.items, now=work.now)
            work.log("items.import", project.slug, added=added.added, known=added.known)
    return read, added


@contextmanager
def _unnamed(path: Path) -> Iterator[None]:
    """Errors about a file that is there for the moment do not say where: that is nobody's business."""
    try:
        yield
    except StorageError:  # is logged, and told without a place
        raise
    except InputError as error:
        if str(path) not in str(error):
            raise
        where = error.where.replace(str(path), "the file")
        raise InputError(error.what.replace(str(path), "the file"), where=where, fix=error.fix) from error
