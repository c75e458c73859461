"""What a project's labels are worth, whether a batch may be released, what is owed; gold and arm items from claims."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal
from weakref import WeakKeyDictionary

from fastapi import APIRouter, Query
from pydantic import Field, StringConstraints
from starlette.responses import Response

from candor.claims.items import Claims
from candor.collect.deps import ProjectLead, Work
from candor.collect.errors import Json
from candor.collect.quality.arm_items import arm_items
from candor.collect.quality.claims import ClaimRow, claims_of
from candor.collect.quality.dashboard import Remembering, dashboard
from candor.collect.quality.gate import gate, gate_document
from candor.collect.quality.gold import gold_items
from candor.collect.quality.pay import pay_document
from candor.collect.quality.work import worked
from candor.collect.routes.shapes import Body, Id, Slug
from candor.projects.database import Database
from candor.projects.items import TRAPS, NewItem, Trap, add_items
from candor.projects.labels import last_submission, read_judgements
from candor.projects.overview import overview

router = APIRouter(prefix="/api/projects/{slug}", tags=["quality"])

_documents: WeakKeyDictionary[Database, Remembering] = WeakKeyDictionary()

Value = Annotated[str, StringConstraints(min_length=1, max_length=2_000)]
Count = Annotated[int, Field(ge=1, le=10_000)]


class ClaimBody(Body):
    question: Value
    truth: Value
    asserted: Value


class FromClaims(Body):
    """``claims``: one's own; without any, Atlas's, so many as ``count``, drawn by ``seed``."""

    claims: Annotated[list[ClaimBody], Field(min_length=1, max_length=5_000)] | None = None
    count: Count | None = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    batch: Id | None = None


class NewArm(FromClaims):
    overlap: Annotated[int, Field(ge=1, le=100)] | None = None


class NewGold(FromClaims):
    traps: Annotated[tuple[Trap, ...], Field(min_length=1, max_length=4)] = TRAPS
    kind: Literal["gold", "calibration", "example"] = "gold"


@router.get("/quality")
def quality(access: ProjectLead, slug: Slug) -> Response:
    """The dashboard: annotators, agreement, checks of the labels, the arm. Made anew when there are new answers."""
    with access.reading() as work:
        counts = {"project": asdict(overview(work.connection, work.project))}  # items come without submissions
        bounds, key = work.project.settings.gate, _key(work, "quality")
        kept = _kept(access.site.database)
        found = kept.known(key)
        if found is not None:
            return Json({**found, **counts})
        judged = read_judgements(work.connection, work.project.id)
        workers = worked(work.connection, work.project)
    return Json({**kept.get(key, lambda: dashboard(judged, workers=workers, bounds=bounds)), **counts})


@router.get("/gate")
def release(
    access: ProjectLead, slug: Slug, batch: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None
) -> Response:
    """Whether a batch (all of them where none is named) may be released, or why not."""
    with access.reading() as work:
        settings = work.project.settings
        key = (*_key(work, "gate"), batch)
        kept = _kept(access.site.database)
        found = kept.known(key)
        if found is not None:
            return Json(found)
        judged = read_judgements(work.connection, work.project.id, batch=batch)
        workers = worked(work.connection, work.project, batch=batch)
    return Json(kept.get(key, lambda: gate_document(gate(judged, settings, workers, batch=batch))))


@router.get("/pay")
def pay(access: ProjectLead, slug: Slug) -> Response:
    """What everybody is owed, by expected minutes, and what an hour of visible time came to."""
    with access.reading() as work:
        return Json(pay_document(worked(work.connection, work.project), work.project.settings))


@router.post("/gold", status_code=201)
def add_gold(access: ProjectLead, slug: Slug, body: NewGold) -> Response:
    """Adds items whose right answer is known, a quarter of each kind of trap unless told otherwise."""
    new = gold_items(
        _claims(body), count=body.count, traps=body.traps, kind=body.kind, seed=body.seed, batch=body.batch
    )
    return _add(access, slug, new, "items.gold")


@router.post("/arm", status_code=201)
def add_arm(access: ProjectLead, slug: Slug, body: NewArm) -> Response:
    """Adds items for the arm that hides the user's belief."""
    new = arm_items(_claims(body), count=body.count, seed=body.seed, overlap=body.overlap, batch=body.batch)
    return _add(access, slug, new, "items.arm")


def _claims(body: FromClaims) -> Claims:
    if body.claims is None:
        from candor.claims import load_claims

        return load_claims()
    return claims_of([ClaimRow(question=c.question, truth=c.truth, asserted=c.asserted) for c in body.claims])


def _add(access: ProjectLead, slug: str, new: Sequence[NewItem], action: str) -> Response:
    with access.writing() as work:
        added = add_items(work.connection, work.project, new, now=work.now)
        work.log(action, slug, added=added.added, known=added.known)
    return Json({"added": added.added, "known": added.known, "by_kind": dict(added.by_kind)}, status_code=201)


def _key(work: Work, what: str) -> tuple[Any, ...]:
    """Changes with every submission, and with the settings."""
    project = work.project
    return what, project.id, last_submission(work.connection, project.id), project.settings.model_dump_json()


def _kept(database: Database) -> Remembering:
    return _documents.setdefault(database, Remembering())
