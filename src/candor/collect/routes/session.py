"""Signing in and out, links that let somebody in, one's own password."""

from __future__ import annotations

from fastapi import APIRouter, Request
from sqlalchemy import Connection
from starlette.responses import Response

from candor.collect.deps import COOKIE, SignedIn, Site
from candor.collect.errors import Json, Refused
from candor.collect.routes.shapes import Accept, LinkToken, NewPassword, SignIn
from candor.projects.accounts import accounts, invitations, log, sessions
from candor.projects.accounts.accounts import Account
from candor.projects.accounts.passwords import renewed, verify_password
from candor.projects.setup import list_projects

router = APIRouter(prefix="/api", tags=["session"])

PUBLIC = "public"
"""Marks a route that nobody has to be signed in for."""


@router.get("/health", openapi_extra={"x-access": PUBLIC})
def health(request: Request) -> Response:
    """Whether the service and its database answer."""
    site: Site = request.app.state.site
    with site.database.reading():
        return Json({"status": "ok"})


@router.post("/session", openapi_extra={"x-access": PUBLIC})
def sign_in(request: Request, body: SignIn) -> Response:
    """Signs in with name and password; the session is in a cookie that scripts cannot read."""
    site: Site = request.app.state.site
    now, name = site.database.now(), body.name.strip().lower()
    site.addresses.take(_address(request), now=now, what="too many attempts from here")
    site.sign_ins.take(name, now=now, what="too many attempts to sign in under this name")
    with site.database.reading() as connection:
        found = accounts.password_hash(connection, name)
    stored = found[1] if found else None
    right = verify_password(stored, body.password)
    if found is None or stored is None or not right:
        raise Refused(401, "name or password is wrong")
    new_hash = renewed(stored, body.password)
    site.sign_ins.forget(name)
    with site.database.writing() as connection:
        if accounts.password_hash(connection, name, hold=True) != found:  # changed while it was compared
            raise Refused(401, "name or password is wrong")
        if new_hash is not None:
            accounts.keep_hash(connection, found[0], new_hash)
        account = accounts.account_of(connection, found[0])
        log.record(connection, "session.sign_in", account_id=account.id, now=now)
        token, csrf = _new_session(connection, request, account, now)
    return _signed_in(site, account, token, csrf)


@router.get("/session")
def session_info(access: SignedIn, request: Request) -> Response:
    """Who is signed in, the token that unsafe requests have to bring, and the projects that they take part in."""
    with access.reading() as work:
        own = list_projects(work.connection, account_id=work.account.id)
        session = sessions.find_session(work.connection, access.cookie, now=work.now) if access.cookie else None
        return Json(
            {
                "name": work.account.name,
                "role": work.account.role,
                "csrf": session.csrf if session and not access.bearer else None,
                "projects": [{"slug": p.slug, "title": p.title, "task": p.task} for p in own if not p.archived],
            }
        )


@router.delete("/session")
def sign_out(access: SignedIn) -> Response:
    """Ends the session."""
    with access.writing() as work:
        if access.cookie:
            sessions.revoke_session(work.connection, access.cookie, now=work.now)
    answer = Json({"status": "signed out"})
    answer.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=access.site.secure)
    return answer


@router.post("/session/link", openapi_extra={"x-access": PUBLIC})
def look_at_link(request: Request, body: LinkToken) -> Response:
    """What a link is for: the role, the project, the name of the account that it signs in."""
    site: Site = request.app.state.site
    now = site.database.now()
    site.addresses.take(_address(request), now=now, what="too many attempts from here")
    with site.database.reading() as connection:
        return Json(invitations.describe(connection, body.token, now=now))


@router.post("/session/accept", openapi_extra={"x-access": PUBLIC})
def accept(request: Request, body: Accept) -> Response:
    """Uses a link up: makes an account with name and password, or signs in the account that the link is for."""
    site: Site = request.app.state.site
    now = site.database.now()
    site.addresses.take(_address(request), now=now, what="too many attempts from here")
    with site.database.writing() as connection:
        account = invitations.accept(connection, body.token, name=body.name, password=body.password, now=now)
        log.record(connection, "invitation.accept", account_id=account.id, now=now)
        token, csrf = _new_session(connection, request, account, now)
    return _signed_in(site, account, token, csrf)


@router.put("/session/password")
def change_password(access: SignedIn, body: NewPassword) -> Response:
    """Changes one's own password; every session ends and a new one begins."""
    with access.reading() as work:
        name = work.account.name
        stored = accounts.password_hash(work.connection, name)
    access.site.sign_ins.take(name, now=access.site.database.now(), what="too many attempts")
    if stored is not None and stored[1] is not None and not verify_password(stored[1], body.old or ""):
        raise Refused(403, "the old password is wrong", where="field 'old'")
    with access.writing() as work:
        accounts.set_password(work.connection, work.account, body.new, now=work.now)
        work.log("account.password", name)
        token, csrf = sessions.open_session(work.connection, work.account.id, now=work.now)
        return _signed_in(access.site, work.account, token, csrf)


def _new_session(connection: Connection, request: Request, account: Account, now: float) -> tuple[str, str]:
    """A session in place of the one that the browser may have brought, which ends."""
    old = request.cookies.get(COOKIE)
    if old:
        sessions.revoke_session(connection, old, now=now)
    return sessions.open_session(connection, account.id, now=now)


def _signed_in(site: Site, account: Account, token: str, csrf: str) -> Response:
    answer = Json({"name": account.name, "role": account.role, "csrf": csrf})
    answer.set_cookie(
        COOKIE, token, max_age=int(sessions.LONGEST), path="/", httponly=True, samesite="strict", secure=site.secure
    )
    return answer


def _address(request: Request) -> str:
    return request.client.host if request.client else ""
