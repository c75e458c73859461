"""Requests to an application in this process: everything of HTTP but the socket, and a clock of one's own."""

from __future__ import annotations

import time
from typing import Any

from starlette.types import ASGIApp, Message

from bench.collect_client import Connection, Reply


class AsgiConnection(Connection):
    """A :class:`~bench.collect_client.Connection` that calls the application itself."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__("localhost", 80)
        self.app = app

    async def request(self, method: str, path: str, body: bytes | None = None, headers: str = "") -> Reply:
        lines = [line.partition(":") for line in headers.split("\r\n") if line]
        sent = [(name.lower().encode(), value.strip().encode("latin-1")) for name, _, value in lines]
        sent += [(b"host", b"localhost"), (b"content-type", b"application/json")]
        path, _, query = path.partition("?")
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": sent,
            "client": ("127.0.0.1", 1),
            "server": ("localhost", 80),
        }
        messages: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body or b"", "more_body": False}

        async def send(message: Message) -> None:
            messages.append(message)

        start = time.perf_counter()
        await self.app(scope, receive, send)
        received: dict[str, str] = {}
        for raw, value in messages[0]["headers"]:
            name = raw.decode()
            received[name] = f"{received[name]}\n{value.decode()}" if name in received else value.decode()
        return Reply(
            status=messages[0]["status"],
            headers=received,
            body=b"".join(message.get("body", b"") for message in messages[1:]),
            seconds=time.perf_counter() - start,
        )

    def close(self) -> None: ...
