"""A running labelling site for tests: a database with projects and accounts, served by uvicorn in a thread."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from candor.collect.app import create_app
from candor.projects import setup
from candor.projects.accounts import accounts, sessions
from candor.projects.accounts.accounts import Account
from candor.projects.database import Database, open_database
from candor.projects.items import Gold, NewItem, add_items
from candor.projects.settings import Settings
from candor.projects.setup import Project, TaskKind
from candor.records import Choice, Completion, Message, Prompt, Ranking, Ratings

PASSWORD = "correct horse battery staple"
PEOPLE = {"ada": "admin", "lea": "lead", "ann": "annotator", "bob": "annotator"}
COUNTS = {"comparison": 2, "ranking": 4, "rating": 2}


@dataclass(kw_only=True)
class Clock:
    """Time that a test moves."""

    ahead: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclass(kw_only=True)
class Site:
    """``url`` is where it listens; ``projects`` by task: ``comparison``, ``ranking``, ``rating``."""

    url: str
    database: Database
    clock: Clock
    projects: dict[str, Project] = field(default_factory=dict)

    def client(self, name: str | None = None) -> httpx.Client:
        """An HTTP client, signed in as ``name``, that brings the token against forged requests."""
        client = httpx.Client(base_url=self.url, timeout=20)
        if name is not None:
            token, csrf = self.session(name)
            client.cookies.set("candor_session", token)
            client.headers["X-CSRF-Token"] = csrf
        return client

    def session(self, name: str) -> tuple[str, str]:
        """A session's token and its token against forged requests, without a password's slow hash."""
        with self.database.writing() as connection:
            account = accounts.find_account(connection, name)
            return sessions.open_session(connection, account.id, now=self.database.now())


def item(key: str, task: TaskKind, *, text: str = "", kind: str = "main", **more: Any) -> NewItem:
    """An item whose first response is the right one where it is asked for."""
    right = {
        "comparison": Choice(best=0),
        "ranking": Ranking(order=((0,), (1,), (2,), (3,))),
        "rating": Ratings(scores=(5.0, 2.0)),
    }[task]
    responses = tuple(
        Completion(id=f"{key}:{i}", prompt_id=key, text=text or f"Reply {i} to {key}.", policy=f"secret-model-{i}")
        for i in range(COUNTS[task])
    )
    gold = None if kind == "main" else Gold(answer=right, why="Because it is **right**.")
    prompt = Prompt(
        id=key,
        messages=(
            Message(role="user", content=f"Question {key}?"),
            Message(role="assistant", content="Which one do you mean?"),
            Message(role="user", content=f"The one about {key}."),
        ),
    )
    return NewItem(key=key, prompt=prompt, responses=responses, kind=kind, gold=gold, **more)  # type: ignore[arg-type]


def people(database: Database) -> dict[str, Account]:
    """The accounts of PEOPLE; making them hashes one password only."""
    from sqlalchemy import update

    from candor.projects.accounts.passwords import hash_password
    from candor.projects.schema import accounts as table

    hashed = hash_password(PASSWORD)
    with database.writing() as connection:
        made = {n: accounts.create_account(connection, n, role, now=database.now()) for n, role in PEOPLE.items()}  # type: ignore[arg-type]
        connection.execute(update(table).values(password_hash=hashed))
    return made


def fill(
    database: Database,
    *,
    tasks: Sequence[TaskKind] = ("comparison", "ranking", "rating"),
    items: int = 6,
    **settings: Any,
) -> dict[str, Project]:
    """A project per task, with ``items`` open items, one example, two calibration items; all of PEOPLE are members."""
    made = people(database)
    projects = {}
    for task in tasks:
        with database.writing() as connection:
            now = database.now()
            project = setup.create_project(
                connection,
                slug=f"my-{task}",
                title=f"My {task}",
                task=task,
                instructions="Read **both** replies.\n\n1. Is it true?\n2. Does it help?",
                settings=Settings(
                    **{"calibration": False, "gold_rate": 0, "retest_rate": 0, "minimum_seconds": 0} | settings
                ),
                now=now,
            )
            for account in made.values():
                setup.add_member(connection, project, account.id, now=now)
            new = [item(f"k{i}", task) for i in range(items)]
            new += [item("example", task, kind="example")]
            new += [item(f"calibration{i}", task, kind="calibration") for i in range(2)]
            add_items(connection, project, new, now=now)
            projects[task] = project
    return projects


@contextmanager
def served(database: Database, *, seed: int = 0, port: int = 0, throttled: bool = True) -> Iterator[str]:
    """Serves the application on a free port; yields its address."""
    app = create_app(database, rng=random.Random(seed))
    if not throttled:
        app.state.site.requests.per_second = app.state.site.requests.burst = 1e9
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning", access_log=False, lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)


@contextmanager
def site(folder: Path, **options: Any) -> Iterator[Site]:
    """A served site with everything that :func:`fill` makes, on SQLite."""
    clock = Clock()
    database = open_database(folder / "collect.db", create=True, clock=clock)
    projects = fill(database, **options)
    with served(database, throttled=False) as url:
        yield Site(url=url, database=database, clock=clock, projects=projects)
    database.close()
