"""What went wrong, as a client reads it: ``{"error": {"what", "where", "fix"}}`` and a status."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from candor.errors import InputError
from candor.projects.submissions import Conflict, NotFound
from candor.storage import StorageError

log = logging.getLogger("candor.collect")


class Refused(InputError):
    """A request that may not be answered: ``status`` 401 (nobody), 403, 404 (as if it were not there), 413, 429."""

    def __init__(
        self, status: int, what: str, *, where: str = "", fix: str = "", retry_after: float | None = None
    ) -> None:
        super().__init__(what, where=where, fix=fix)
        self.status = status
        self.retry_after = retry_after


class Json(Response):
    """An answer that is JSON already checked: no second walk through it."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return orjson.dumps(content)


def problem(
    status: int, what: str, *, where: str = "", fix: str = "", headers: Mapping[str, str] | None = None
) -> Json:
    """An answer that says what is wrong, where, and what to do."""
    body = {"error": {"what": what, "where": where, "fix": fix}}
    return Json(body, status_code=status, headers=dict(headers or {}))


def status_of(error: InputError) -> int:
    """The HTTP status of an error that a user can act on."""
    match error:
        case Refused():
            return error.status
        case NotFound():
            return 404
        case Conflict():
            return 409
        case StorageError():
            return 507 if "no room" in error.what else 503
    return 404 if error.what.startswith("no such") else 422


def add_handlers(app: FastAPI) -> None:
    """Makes every failure of an application look alike."""

    @app.exception_handler(InputError)
    async def _input(_: Request, error: InputError) -> Response:
        status = status_of(error)
        headers = {}
        if isinstance(error, Refused) and error.retry_after is not None:
            headers["Retry-After"] = str(max(1, round(error.retry_after)))
        if status >= 500:
            log.error("%s", error)
            return problem(status, error.what, fix=error.fix)  # not where: a path of the server
        return problem(status, error.what, where=error.where, fix=error.fix, headers=headers)

    @app.exception_handler(RequestValidationError)
    async def _validation(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        return problem(422, str(first["msg"]).lower(), where=f"field '{place}'")

    @app.exception_handler(HTTPException)
    async def _http(_: Request, error: HTTPException) -> Response:
        return problem(error.status_code, str(error.detail).lower(), headers=error.headers)

    @app.exception_handler(Exception)
    async def _unexpected(_: Request, error: Exception) -> Response:
        log.error("unexpected error", exc_info=error)
        return problem(500, "an unexpected error; the server's log has it", fix="try again, then report it")
