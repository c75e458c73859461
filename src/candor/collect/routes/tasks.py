"""The annotator's loop: the next task, an answer or a skip, an undo."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from candor.collect.deps import ProjectMember
from candor.collect.errors import Json, Refused
from candor.collect.markdown import to_html
from candor.collect.routes.shapes import NewSubmission, Slug, Undo
from candor.collect.views import task_view
from candor.projects import submissions
from candor.projects.assignment import Nothing, next_task
from candor.projects.overview import done_count
from candor.projects.submissions import Sent

router = APIRouter(prefix="/api/projects/{slug}", tags=["tasks"])

SubmissionId = Annotated[str, Path(pattern=r"^[A-Za-z0-9_-]{16,64}$")]
WHY = {
    "paused": "the project is paused",
    "inactive": "you take no part in this project any more",
    "cap": "you have given all the judgements that one person may give here",
    "done": "there is nothing left to judge",
    "wait": "nothing just now: come back later",
}


@router.post("/tasks/next", responses={204: {"description": "nothing now; X-Reason says why"}})
def next_(access: ProjectMember, slug: Slug) -> Response:
    """The task that one holds, or a new one. 204 where there is none; Retry-After where there will be one."""
    with access.writing() as work:
        found = next_task(work.connection, work.project, work.member, access.site.rng, now=work.now)
        if isinstance(found, Nothing):
            headers = {"X-Reason": WHY[found.why]}
            if found.retry_after is not None:
                headers["Retry-After"] = str(round(found.retry_after))
            return Response(status_code=204, headers=headers)
        answered = done_count(work.connection, work.project, work.member)
    return Json(task_view(found, work.project, answered))


@router.post("/submissions", status_code=201)
def submit(access: ProjectMember, slug: Slug, body: NewSubmission) -> Response:
    """Stores an answer or a skip. It is on the disk when this is answered; sending it again is harmless (200)."""
    if body.kind == "answer" and body.answer is None:
        raise Refused(422, "an answer is missing", where="field 'answer'")
    sent = Sent(
        submission_id=body.submission_id,
        task_id=body.task_id,
        fence=body.fence,
        kind=body.kind,
        answer=body.answer.as_sent() if body.answer is not None and body.kind == "answer" else None,
        reason=body.reason,
        comment=body.comment,
        timing=body.timing.model_dump(),
        client_at=body.client_at,
    )
    with access.writing() as work:
        receipt = submissions.submit(work.connection, work.project, work.member, sent, now=work.now)
    calibration = None
    if receipt.right is not None:
        calibration = {"right": receipt.right, "answer": receipt.correct, "why_html": to_html(receipt.why)}
    body_ = {"submission_id": receipt.submission_id, "status": receipt.status, "calibration": calibration}
    return Json(body_, status_code=200 if receipt.replayed else 201)


@router.post("/submissions/{submission_id}/undo")
def undo(access: ProjectMember, slug: Slug, submission_id: SubmissionId, body: Undo) -> Response:
    """Takes one's own submission back and gives its task again."""
    with access.writing() as work:
        task = submissions.undo(
            work.connection, work.project, work.member, submission_id, body.submission_id, now=work.now
        )
        answered = done_count(work.connection, work.project, work.member)
    return Json({"task": task_view(task, work.project, answered)})


@router.get("/submissions")
def my_submissions(access: ProjectMember, slug: Slug, limit: Annotated[int, Query(ge=1, le=100)] = 10) -> Response:
    """One's own latest submissions, the newest first."""
    with access.reading() as work:
        found = submissions.own_submissions(work.connection, work.project, work.member, limit=limit)
    return Json(
        {
            "submissions": [
                {
                    "submission_id": row["submission_id"],
                    "at": row["received_at"],
                    "kind": row["kind"],
                    "prompt_text": row["prompt"]["messages"][-1]["content"][:200],
                    "undone": row["undone"],
                }
                for row in found
            ]
        }
    )
