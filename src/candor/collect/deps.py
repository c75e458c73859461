"""Who asks, and what they may: checked in the transaction that answers; the one cannot be had without the other.

A route declares one of :func:`signed_in`, :func:`project_member`, :func:`project_lead`, :func:`administrator`. What it
gets is an :class:`Access`, which opens the database only after the check.
"""

from __future__ import annotations

import hmac
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Request
from sqlalchemy import Connection

from candor.collect.errors import Refused
from candor.collect.security import SAFE
from candor.collect.throttle import Throttle
from candor.errors import InputError
from candor.projects.accounts import log, sessions, tokens
from candor.projects.accounts.accounts import Account, account_of
from candor.projects.database import Database
from candor.projects.setup import Member, Project, find_member, find_project

COOKIE = "candor_session"
CSRF_HEADER = "x-csrf-token"

Level = Literal["signed in", "member", "lead", "admin"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """What all requests share."""

    database: Database
    rng: random.Random
    secure: bool
    sign_ins: Throttle
    addresses: Throttle
    requests: Throttle


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """An open transaction and for whom it is. ``project`` and ``member`` where the route is about one."""

    connection: Connection
    account: Account
    now: float
    _project: Project | None = None
    _member: Member | None = None

    @property
    def project(self) -> Project:
        """The project of the path. Raises ValueError for a route that is about none."""
        if self._project is None:
            raise ValueError("this route is about no project")
        return self._project

    @property
    def member(self) -> Member:
        """The account's part in the project. Raises Refused (403) for a lead or admin who takes no part."""
        if self._member is None or not self._member.active:
            raise Refused(403, "you take no part in this project", fix="a lead can add you as a member")
        return self._member

    def log(self, action: str, subject: str = "", **details: object) -> None:
        """Notes what was done."""
        log.record(self.connection, action, account_id=self.account.id, subject=subject, details=details, now=self.now)


@dataclass(frozen=True, kw_only=True, slots=True)
class Access:
    """The credentials of a request, unchecked until one of the two methods is entered.

    Both raise Refused: 401 for nobody, 403 for too few rights or a forged request, 404 for a project that one may not
    see, 429 for too many requests.
    """

    site: Site
    level: Level
    cookie: str | None
    bearer: str | None
    csrf: str | None
    safe: bool
    slug: str | None

    @contextmanager
    def reading(self) -> Iterator[Work]:
        """A transaction that reads."""
        with self.site.database.reading() as connection:
            work, _ = self._checked(connection)
            yield work

    @contextmanager
    def writing(self) -> Iterator[Work]:
        """A transaction that is on the disk once the block has ended."""
        with self.site.database.writing() as connection:
            work, session = self._checked(connection)
            if session.stale:
                mark = tokens.mark_used if self.bearer else sessions.mark_seen
                mark(connection, session, now=work.now)
            yield work

    def _checked(self, connection: Connection) -> tuple[Work, sessions.Session]:
        now = self.site.database.now()
        session = self._session(connection, now)
        self.site.requests.take(str(session.account_id), now=now)
        account = account_of(connection, session.account_id)
        if self.level == "admin" and account.role != "admin":
            raise Refused(403, "only an admin may do that")
        project, member = self._about(connection, account)
        return Work(connection=connection, account=account, now=now, _project=project, _member=member), session

    def _session(self, connection: Connection, now: float) -> sessions.Session:
        if self.bearer is not None:
            found = tokens.find_token(connection, self.bearer, now=now)
            if found is None:
                raise Refused(401, "this API token does not work", fix="make a new one on the account page")
            return found
        found = sessions.find_session(connection, self.cookie, now=now) if self.cookie else None
        if found is None:
            raise Refused(401, "nobody is signed in", fix="sign in, then send it again")
        if not self.safe and not hmac.compare_digest(found.csrf.encode(), (self.csrf or "").encode("utf-8", "replace")):
            raise Refused(403, "the token against forged requests is missing or wrong", fix="load the page again")
        return found

    def _about(self, connection: Connection, account: Account) -> tuple[Project | None, Member | None]:
        if self.slug is None:
            return None, None
        hidden = Refused(404, "no such project", where=self.slug[:80])
        try:
            project = find_project(connection, self.slug)
        except InputError as error:
            raise hidden from error
        member = find_member(connection, project.id, account.id)
        takes_part = member is not None and member.active
        if not takes_part and account.role != "admin":
            raise hidden
        if self.level == "lead" and account.role not in ("admin", "lead"):
            raise Refused(403, "only a lead may do that")
        return project, member


def _access(request: Request, level: Level) -> Access:
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    return Access(
        site=request.app.state.site,
        level=level,
        cookie=request.cookies.get(COOKIE),
        bearer=credentials.strip() if scheme.lower() == "bearer" else None,
        csrf=request.headers.get(CSRF_HEADER),
        safe=request.method in SAFE,
        slug=request.path_params.get("slug") if level in ("member", "lead") else None,
    )


async def signed_in(request: Request) -> Access:
    """Anybody with an account."""
    return _access(request, "signed in")


async def project_member(request: Request) -> Access:
    """Whoever takes part in the project of the path (and admins)."""
    return _access(request, "member")


async def project_lead(request: Request) -> Access:
    """Leads who take part in the project of the path, and admins."""
    return _access(request, "lead")


async def administrator(request: Request) -> Access:
    """Admins."""
    return _access(request, "admin")


SignedIn = Annotated[Access, Depends(signed_in)]
ProjectMember = Annotated[Access, Depends(project_member)]
ProjectLead = Annotated[Access, Depends(project_lead)]
Administrator = Annotated[Access, Depends(administrator)]
LEVELS = (signed_in, project_member, project_lead, administrator)
