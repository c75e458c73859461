"""A labelling client that does what the page does, and costs little: it shares the machine with the server it measures.

``Connection`` speaks HTTP/1.1 over one kept socket. ``Annotator`` signs in, takes tasks and submits through an outbox:
ids are made here, what was not acknowledged is sent again as it was, after the server came back or after another
sign-in, and nothing leaves the outbox before the server has answered for it.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
import uuid
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

Answer = dict[str, Any]
"""By place: ``{"best": 0}``, ``{"order": [[1], [0, 2]]}`` or ``{"scores": [4, 2]}``."""

LOST = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)
"""What a request raises when the server is gone."""

GROWTH = 2.0
LONGEST_WAIT = 1.0


@dataclass(kw_only=True, slots=True)
class Reply:
    """A response. ``seconds`` from the first byte sent to the last byte read, on a connection that was open."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """One connection to a server; opened when it is needed, and again after it was lost."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port = host, port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def request(self, method: str, path: str, body: bytes | None = None, headers: str = "") -> Reply:
        """Sends one request. ``headers`` are complete lines. Raises one of ``LOST`` when there is no answer."""
        if self._reader is not None and self._reader.at_eof():
            self.close()  # the server ended a connection that was idle
        if self._writer is None or self._writer.is_closing():
            self._reader, self._writer = await asyncio.open_connection(self.host, self.port)
        assert self._reader is not None
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n{headers}"
        if body is not None:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        start = time.perf_counter()
        try:
            self._writer.write(head.encode() + b"\r\n" + (body or b""))
            reply = await self._read(self._reader)
        except BaseException:
            self.close()
            raise
        reply.seconds = time.perf_counter() - start
        if reply.headers.get("connection", "").lower() == "close":
            self.close()
        return reply

    async def _read(self, reader: asyncio.StreamReader) -> Reply:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status = int(head[0].split(" ", 2)[1])
        headers: dict[str, str] = {}
        for line in head[1:-2]:
            name, _, value = line.partition(":")
            name, value = name.lower(), value.strip()
            headers[name] = f"{headers[name]}\n{value}" if name in headers else value
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b"".join([chunk async for chunk in _chunks(reader)])
        else:
            body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Reply(status=status, headers=headers, body=body, seconds=0.0)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


def run_apart(work: Coroutine[Any, Any, T]) -> T:
    """Runs a coroutine to its end in a thread of its own: the caller's may have a loop already (a browser's test)."""
    with ThreadPoolExecutor(max_workers=1) as apart:
        return apart.submit(asyncio.run, work).result()


async def _chunks(reader: asyncio.StreamReader) -> Any:
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")


class Refused(Exception):
    """An answer of the server that a client should never get."""

    def __init__(self, what: str, reply: Reply) -> None:
        super().__init__(f"{what}: {reply.status} {reply.body[:300]!r}")
        self.reply = reply


@dataclass(kw_only=True, slots=True)
class Sent:
    """A post of the outbox and what became of it. ``body`` is sent again byte for byte."""

    path: str
    body: bytes
    submission_id: str
    task_id: int
    answer: Answer | None
    tries: int = 0
    status: str = ""  # of the acknowledgement: counted, surplus, skipped; empty before it
    known: bool = False  # the server had it when it was sent the last time


@dataclass(kw_only=True)
class Seconds:
    """What single requests took; how many had no answer because the server was gone (``lost``), and how many were put
    off by the server (``put_off``: too many, busy, no room, a failure of its own): all of them are sent again, as the
    page does.
    """

    next: list[float] = field(default_factory=list)
    submit: list[float] = field(default_factory=list)
    lost: int = 0
    put_off: int = 0


class Annotator:
    """Somebody who signs in with a name and a password and labels in one project."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        project: str,
        name: str,
        password: str,
        rng: random.Random,
        seconds: Seconds | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.connection = Connection(host, port)
        self.base = f"/api/projects/{project}"
        self.name, self.password, self.rng, self.clock = name, password, rng, clock
        self.origin = f"http://{host}:{port}"
        self.seconds = Seconds() if seconds is None else seconds
        self.outbox: deque[Sent] = deque()
        self.acknowledged: list[Sent] = []
        self._headers = ""

    async def sign_in(self) -> None:
        """Raises Refused for a wrong password."""
        body = json.dumps({"name": self.name, "password": self.password}).encode()
        reply = await self._answered("POST", "/api/session", body, f"Origin: {self.origin}\r\n")
        if reply.status != 200:
            raise Refused("signing in", reply)
        cookies = "; ".join(c.split(";")[0] for c in reply.headers["set-cookie"].split("\n"))
        self._headers = (
            f"Cookie: {cookies}\r\nX-CSRF-Token: {reply.json()['csrf']}\r\nOrigin: {self.origin}\r\n"
        )  # fmt: skip

    async def call(self, method: str, path: str, body: Any = None) -> Reply:
        """A request that is repeated until it has an answer; signs in again where that has run out."""
        raw = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        while True:
            reply = await self._answered(method, path, raw, self._headers)
            if reply.status != 401:
                return reply
            await self.sign_in()

    async def next_task(self) -> dict[str, Any] | None:
        """The next task; None where there is none now. What waits in the outbox goes first."""
        await self.flush()
        reply = await self.call("POST", f"{self.base}/tasks/next")
        if reply.status == 204:
            return None
        if reply.status != 200:
            raise Refused("the next task", reply)
        self.seconds.next.append(reply.seconds)
        task: dict[str, Any] = reply.json()
        return task

    def put(
        self, task: Mapping[str, Any], answer: Answer | None, *, visible: float = 20.0, reason: str = "", focus: int = 0
    ) -> Sent:
        """Puts an answer (None: a skip) into the outbox."""
        submission_id = str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
        said: dict[str, Any] = {"kind": "answer", "answer": answer}
        if answer is None:
            said = {"kind": "skip", "reason": reason or "I cannot judge this"}
        timing = {"total": visible + 1.0, "visible": visible, "ready": min(1.0, visible), "focus_lost": focus}
        body = {
            "submission_id": submission_id,
            "task_id": task["task_id"],
            "fence": task["fence"],
            "timing": timing,
            "client_at": self.clock(),
            **said,
        }
        sent = Sent(
            path=f"{self.base}/submissions",
            body=json.dumps(body).encode(),
            submission_id=submission_id,
            task_id=task["task_id"],
            answer=answer,
        )
        self.outbox.append(sent)
        return sent

    async def flush(self) -> None:
        """Sends what is in the outbox, oldest first, until all of it is acknowledged."""
        while self.outbox:
            sent = self.outbox[0]
            reply = await self._deliver(sent)
            if reply.status not in (200, 201):
                raise Refused(f"submission {sent.submission_id} of task {sent.task_id}", reply)
            if sent.tries == 1:
                self.seconds.submit.append(reply.seconds)
            sent.status, sent.known = reply.json()["status"], reply.status == 200
            self.acknowledged.append(sent)
            self.outbox.popleft()

    async def _deliver(self, sent: Sent) -> Reply:
        wait = 0.05
        while True:
            sent.tries += 1
            try:
                reply = await self.connection.request("POST", sent.path, sent.body, self._headers)
            except LOST:
                self.seconds.lost += 1
                reply = None
            if reply is not None and reply.status == 401:
                await self.sign_in()
                continue
            if reply is not None and not self._put_off(reply):
                return reply
            wait = await self._pause(wait, reply)

    async def _answered(self, method: str, path: str, body: bytes | None, headers: str) -> Reply:
        wait = 0.05
        while True:
            try:
                reply = await self.connection.request(method, path, body, headers)
                if not self._put_off(reply):
                    return reply
            except LOST:
                self.seconds.lost += 1
                reply = None
            wait = await self._pause(wait, reply)

    def _put_off(self, reply: Reply) -> bool:
        """Whether the same request may do better later."""
        passing = reply.status in (408, 425, 429) or reply.status >= 500
        self.seconds.put_off += passing
        return passing

    async def _pause(self, wait: float, reply: Reply | None) -> float:
        """Waits as long as the server asks for, else a little longer each time. Returns the next wait."""
        asked = float(reply.headers.get("retry-after", 0)) if reply is not None else 0.0
        await asyncio.sleep(max(asked, wait * self.rng.uniform(0.5, 1.5)))
        return min(wait * GROWTH, LONGEST_WAIT)


def at_random(task: Mapping[str, Any], rng: random.Random) -> Answer:
    """An answer to a comparison by a fair coin."""
    return {"best": rng.randrange(len(task["responses"])), "strength": rng.randint(1, 3)}


def agreed(sent: Sent, stored: Mapping[str, Any], shown_order: list[int]) -> bool:
    """Whether a stored answer (by index) is what was sent (by place)."""
    if sent.answer is None:
        return stored.get("best") is None
    return bool(shown_order[sent.answer["best"]] == stored["best"] and sent.answer["strength"] == stored["strength"])
