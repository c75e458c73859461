"""Accounts, the log of what was done, one's own API tokens."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from candor.collect.deps import Administrator, SignedIn
from candor.collect.errors import Json, Refused
from candor.collect.routes.shapes import AccountChange, Id, NewAccount, NewToken, changes
from candor.projects.accounts import accounts, invitations, log, tokens

router = APIRouter(prefix="/api", tags=["accounts"])

AccountName = Annotated[str, Path(max_length=80)]


@router.get("/accounts")
def list_accounts(access: SignedIn) -> Response:
    """All accounts for an admin; for a lead the names and roles of those that still work."""
    with access.reading() as work:
        if work.account.role == "annotator":
            raise Refused(403, "only a lead may do that")
        found = accounts.list_accounts(work.connection)
        if work.account.role == "lead":
            return Json({"accounts": [{"name": a.name, "role": a.role} for a in found if a.active]})
        fields = ("name", "role", "active", "has_password", "created_at")
        return Json({"accounts": [{name: getattr(a, name) for name in fields} for a in found]})


@router.post("/accounts", status_code=201)
def create_account(access: Administrator, body: NewAccount) -> Response:
    """Makes an account."""
    with access.writing() as work:
        account = accounts.create_account(work.connection, body.name, body.role, password=body.password, now=work.now)
        work.log("account.create", account.name, role=account.role)
    return Json({"name": account.name, "role": account.role}, status_code=201)


@router.patch("/accounts/{name}")
def change_account(access: Administrator, name: AccountName, body: AccountChange) -> Response:
    """Changes an account's role, or lets it in or out; it is signed out everywhere."""
    with access.writing() as work:
        account = accounts.find_account(work.connection, name)
        changed = {key: value for key, value in changes(body).items() if value is not None}
        account = accounts.change_account(work.connection, account, changed, now=work.now)
        work.log("account.change", account.name, **changed)
    return Json({"name": account.name, "role": account.role, "active": account.active})


@router.post("/accounts/{name}/link", status_code=201)
def sign_in_link(access: Administrator, name: AccountName) -> Response:
    """A link that signs an account in, once: for somebody who lost the password."""
    with access.writing() as work:
        account = accounts.find_account(work.connection, name)
        token = invitations.sign_in_link(work.connection, account, by=work.account, now=work.now)
        work.log("account.link", account.name)
    return Json({"path": f"/join#{token}"}, status_code=201)


@router.get("/log")
def read_log(
    access: Administrator,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    before: Annotated[Id | None, Query()] = None,
) -> Response:
    """What was done by whom, the newest first."""
    with access.reading() as work:
        return Json({"log": log.read_log(work.connection, limit=limit, before=before)})


@router.get("/tokens")
def list_tokens(access: SignedIn) -> Response:
    """One's own API tokens: not the tokens themselves, which are shown once."""
    with access.reading() as work:
        return Json({"tokens": tokens.list_tokens(work.connection, work.account.id)})


@router.post("/tokens", status_code=201)
def create_token(access: SignedIn, body: NewToken) -> Response:
    """Makes an API token with one's own rights."""
    with access.writing() as work:
        token = tokens.create_token(work.connection, work.account.id, body.name, now=work.now)
        work.log("token.create", body.name.strip())
    return Json({"token": token}, status_code=201)


@router.delete("/tokens/{token_id}")
def revoke_token(access: SignedIn, token_id: Id) -> Response:
    """Ends one of one's own tokens."""
    with access.writing() as work:
        tokens.revoke_token(work.connection, work.account.id, token_id, now=work.now)
        work.log("token.revoke", str(token_id))
    return Json({"status": "revoked"})
