"""What is to be judged: looked at, added, changed; labels read back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.responses import Response

from candor.collect.deps import ProjectLead
from candor.collect.errors import Json
from candor.collect.routes.shapes import Id, ItemChange, NewItems, Slug, changes
from candor.collect.rows import new_item
from candor.projects import items as stored
from candor.projects.items import Item, ItemKind
from candor.projects.labels import read_labels
from candor.records import to_json

router = APIRouter(prefix="/api/projects/{slug}", tags=["items"])


@router.get("/items")
def list_items(
    access: ProjectLead,
    slug: Slug,
    kind: ItemKind | None = None,
    offset: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Response:
    """Items in the order in which they were added, with their counts."""
    with access.reading() as work:
        found = stored.list_items(work.connection, work.project.id, kind=kind, offset=offset, limit=limit)
        total = stored.count_items(work.connection, work.project.id, kind=kind)
    return Json({"total": total, "items": [_described(item) for item in found]})


@router.post("/items", status_code=201)
def add_items(access: ProjectLead, slug: Slug, body: NewItems) -> Response:
    """Adds items: rows with key, prompt, responses and, where they have them, kind, gold, hidden, overlap, pool."""
    with access.writing() as work:
        new = [new_item(row, where=f"rows[{index}]") for index, row in enumerate(body.rows)]
        added = stored.add_items(work.connection, work.project, new, now=work.now)
        work.log("items.add", slug, added=added.added, known=added.known)
    return Json({"added": added.added, "known": added.known, "by_kind": added.by_kind}, status_code=201)


@router.patch("/items/{item_id}")
def change_item(access: ProjectLead, slug: Slug, item_id: Id, body: ItemChange) -> Response:
    """Takes an item out or in, changes its overlap, batch, pool or right answer."""
    with access.writing() as work:
        keep = {k: v for k, v in changes(body).items() if v is not None or k in ("pool", "gold")}
        item = stored.change_item(work.connection, work.project, item_id, keep)
        work.log("item.change", f"{slug}/{item_id}", fields=sorted(keep))
    return Json(_described(item))


@router.get("/labels")
def labels(
    access: ProjectLead,
    slug: Slug,
    offset: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> Response:
    """Labels as comparisons, in the order in which they came."""
    with access.reading() as work:
        found = list(read_labels(work.connection, work.project.id))
    return Json({"total": len(found), "labels": [to_json(label) for label in found[offset : offset + limit]]})


def _described(item: Item) -> dict[str, Any]:
    fields = ("id", "key", "kind", "batch", "pool", "overlap", "labels", "leases", "active")
    return {name: getattr(item, name) for name in fields} | {
        "prompt": to_json(item.prompt.messages),
        "responses": [{"text": r.text, "policy": r.policy} for r in item.responses],
        "gold": None if item.gold is None else to_json(item.gold),
        "arm": item.hidden is not None,
    }
