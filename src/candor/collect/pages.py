"""The pages of the labelling service: shells of HTML, and the styles and modules that fill them through the API.

Nothing here depends on who asks: a shell holds no data, so that there is nothing to leak and all of it can be cached.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from fastapi import APIRouter, Request, Response

TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}

SHELLS = {
    "/": "index.html",
    "/join": "join.html",
    "/label/{slug}": "label.html",
    "/lead/{slug}": "lead.html",
    "/admin": "admin.html",
    "/account": "account.html",
}
"""Which file answers which path."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StaticFile:
    """A packaged file as it is served."""

    content: bytes
    type: str
    etag: str


@cache
def static_files() -> dict[str, StaticFile]:
    """Every file under ``static/`` by its path there. Only what is in here is served: no path leads elsewhere."""
    return dict(_walk(files("candor.collect") / "static", ""))


def pages_router() -> APIRouter:
    """The shells and ``/static/*``."""
    router = APIRouter(include_in_schema=False)

    def serves(file: str) -> None:
        async def shell(request: Request) -> Response:
            return _answer(request, file)

        for path in (path for path, name in SHELLS.items() if name == file):
            router.add_api_route(path, shell, methods=["GET", "HEAD"], name=file.removesuffix(".html"))

    for file in SHELLS.values():
        serves(file)

    @router.api_route("/static/{path:path}", methods=["GET", "HEAD"])
    async def static(request: Request, path: str) -> Response:
        return _answer(request, path) if not path.endswith(".html") else Response("No such file\n", status_code=404)

    @router.api_route("/favicon.ico", methods=["GET", "HEAD"])
    async def icon(request: Request) -> Response:
        return _answer(request, "icon.svg")

    return router


def _answer(request: Request, name: str) -> Response:
    """The file, or 304 where the browser has it. It asks every time, so that an upgrade is never half loaded."""
    file = static_files().get(name)
    if file is None:
        return Response("No such file\n", status_code=404, media_type="text/plain")
    headers = {"ETag": file.etag, "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if file.etag in known or known == ["*"]:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.type, headers=headers)


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, StaticFile]]:
    found: list[tuple[str, StaticFile]] = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _walk(entry, f"{prefix}{entry.name}/")
        elif (kind := TYPES.get(entry.name.rpartition(".")[2])) is not None:
            content = entry.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            found.append((prefix + entry.name, StaticFile(content=content, type=kind, etag=etag)))
    return found
