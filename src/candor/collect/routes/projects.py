"""Projects: what there is, how far it has come, and what an annotator has to know before the first task."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from candor.collect.deps import ProjectLead, ProjectMember, SignedIn
from candor.collect.errors import Json, Refused
from candor.collect.markdown import to_html
from candor.collect.routes.shapes import NewProject, ProjectChange, Slug, changes
from candor.collect.views import example
from candor.projects import setup
from candor.projects.items import list_items
from candor.projects.overview import mine, overview
from candor.projects.settings import read_settings
from candor.projects.setup import Project

router = APIRouter(prefix="/api/projects", tags=["projects"])

PUBLIC_SETTINGS = ("ties", "both_bad", "strength", "skip_reasons", "minimum_seconds")
EXAMPLES = 20


@router.get("")
def list_projects(access: SignedIn) -> Response:
    """The projects that one takes part in; all of them for an admin."""
    with access.reading() as work:
        everybody = work.account.role == "admin"
        found = setup.list_projects(work.connection, account_id=None if everybody else work.account.id)
        return Json(
            {
                "projects": [
                    {"slug": p.slug, "title": p.title, "task": p.task, "paused": p.paused, "archived": p.archived}
                    for p in found
                ]
            }
        )


@router.post("", status_code=201)
def create_project(access: SignedIn, body: NewProject) -> Response:
    """Makes a project and its maker a member of it."""
    with access.writing() as work:
        if work.account.role == "annotator":
            raise Refused(403, "only a lead may do that")
        project = setup.create_project(
            work.connection,
            slug=body.slug,
            title=body.title,
            task=body.task,
            instructions=body.instructions,
            settings=read_settings(body.settings),
            seed=access.site.rng.randrange(2**31),
            now=work.now,
        )
        setup.add_member(work.connection, project, work.account.id, now=work.now)
        work.log("project.create", project.slug)
        return Json(_described(project), status_code=201)


@router.get("/{slug}")
def get_project(access: ProjectLead, slug: Slug) -> Response:
    """A project with its settings and how far it has come."""
    with access.reading() as work:
        counts = asdict(overview(work.connection, work.project))
        return Json(_described(work.project) | {"counts": counts})


@router.patch("/{slug}")
def change_project(access: ProjectLead, slug: Slug, body: ProjectChange) -> Response:
    """Changes title, instructions, settings (only those that are sent), batch, or whether it is paused."""
    with access.writing() as work:
        changed = {key: value for key, value in changes(body).items() if value is not None}
        project = setup.change_project(work.connection, work.project, changed)
        work.log("project.change", project.slug, fields=sorted(changed))
        return Json(_described(project))


@router.get("/{slug}/mine")
def my_work(access: ProjectMember, slug: Slug) -> Response:
    """What an annotator sees beside the tasks: instructions, examples, progress and pay."""
    from candor.projects.pay import earned

    with access.reading() as work:
        project, settings = work.project, work.project.settings
        done = mine(work.connection, project, work.member)
        examples = list_items(work.connection, project.id, kind="example", active=True, limit=EXAMPLES)
        pay = earned(work.connection, project, work.member)
        public = settings.model_dump(mode="json", include=set(PUBLIC_SETTINGS))
        return Json(
            {
                "title": project.title,
                "task": project.task,
                "paused": project.paused,
                "instructions_html": to_html(project.instructions),
                "done": done.done,
                "skipped": done.skipped,
                "left": done.left,
                "cap": work.member.cap if work.member.cap is not None else settings.cap,
                "settings": public,
                "examples": [example(item) for item in examples],
                "pay": {"minutes": pay.minutes, "amount": pay.amount, "currency": settings.currency}
                if settings.pay_per_hour is not None
                else None,
            }
        )


def _described(project: Project) -> dict[str, Any]:
    fields = ("slug", "title", "task", "instructions", "batch", "paused", "archived", "created_at")
    return {name: getattr(project, name) for name in fields} | {"settings": project.settings.model_dump(mode="json")}
