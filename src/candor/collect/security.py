"""What every request and every answer passes: hosts, origins, sizes, and headers that leave a page no way out."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from candor.collect.errors import problem

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
"""Scripts and styles from files of this server only, nothing from elsewhere: what a model wrote cannot run or load."""

HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
)
STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=31536000")

SAFE = ("GET", "HEAD", "OPTIONS")
LOCAL = ("localhost", "127.0.0.1", "::1")

BODY = 2**20
IMPORT_BODY = 256 * 2**20
"""Bytes that a request may bring, and one that brings a file."""


class TooLarge(HTTPException):
    """A body that is larger than it may be."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"the body is larger than {limit // 2**20} MiB", headers={"Connection": "close"})


class Guarded:
    """ASGI middleware around the whole application.

    ``hosts``: names under which the server may be asked for (a page elsewhere must not reach it under a name of its
    own); ``secure``: it is reached by https.
    """

    def __init__(self, app: ASGIApp, *, hosts: Sequence[str] = (), secure: bool = False) -> None:
        self.app = app
        self.hosts = {*LOCAL, *(host.lower() for host in hosts)}
        self.headers = (*HEADERS, STRICT_TRANSPORT) if secure else HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        private = not path.startswith("/static/")

        async def guarded_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                given = {name for name, _ in headers}
                headers += [header for header in self.headers if header[0] not in given]
                if private and b"cache-control" not in given:
                    headers.append((b"cache-control", b"no-store"))
                message = {**message, "headers": headers}
            await send(message)

        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        refusal = self._refusal(scope["method"], headers)
        limit = IMPORT_BODY if path.endswith("/import") else BODY
        if refusal is None and _length(headers) > limit:
            large = TooLarge(limit)
            refusal = (large.status_code, large.detail)
        if refusal is not None:
            await problem(*refusal, headers={"Connection": "close"})(scope, receive, guarded_send)
            return
        await self.app(scope, _limited(receive, limit), guarded_send)

    def _refusal(self, method: str, headers: dict[bytes, str]) -> tuple[int, str] | None:
        host = headers.get(b"host", "")
        name = _name(host)
        if name not in self.hosts:
            return 421, "this server is not known under that name"
        if method in SAFE:
            return None
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return 403, "sent by a page of somebody else"
        if headers.get(b"sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return 403, "sent by a page of somebody else"
        return None


def _name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _length(headers: dict[bytes, str]) -> int:
    length = headers.get(b"content-length", "0")
    return int(length) if length.isdigit() else 0


def _limited(receive: Receive, limit: int) -> Receive:
    read = 0

    async def limited() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > limit:
            raise TooLarge(limit)
        return message

    return limited
