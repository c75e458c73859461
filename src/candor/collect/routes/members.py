"""Who takes part in a project, and links that let others in."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from candor.collect.deps import ProjectLead
from candor.collect.errors import Json, Refused
from candor.collect.routes.shapes import Id, MemberChange, NewInvitation, NewMember, Slug, changes
from candor.projects import setup
from candor.projects.accounts import accounts, invitations
from candor.projects.accounts.accounts import RANK

router = APIRouter(prefix="/api/projects/{slug}", tags=["members"])

AccountName = Annotated[str, Path(max_length=80)]


@router.get("/members")
def list_members(access: ProjectLead, slug: Slug) -> Response:
    """Everybody who takes part, or did: name, role, name in exports, pool, cap."""
    with access.reading() as work:
        names = {account.id: account for account in accounts.list_accounts(work.connection)}
        return Json(
            {
                "members": [
                    {
                        "name": names[member.account_id].name,
                        "role": names[member.account_id].role,
                        "handle": member.handle,
                        "pool": member.pool,
                        "cap": member.cap,
                        "active": member.active,
                    }
                    for member in setup.list_members(work.connection, work.project.id)
                ]
            }
        )


@router.put("/members/{name}")
def add_member(access: ProjectLead, slug: Slug, name: AccountName, body: NewMember) -> Response:
    """Lets an account take part."""
    with access.writing() as work:
        account = accounts.find_account(work.connection, name)
        if RANK[account.role] > RANK[work.account.role]:
            raise Refused(403, "only an admin may do that")
        member = setup.add_member(work.connection, work.project, account.id, pool=body.pool, cap=body.cap, now=work.now)
        work.log("member.add", f"{slug}/{account.name}")
        return Json({"name": account.name, "handle": member.handle, "pool": member.pool, "cap": member.cap})


@router.patch("/members/{name}")
def change_member(access: ProjectLead, slug: Slug, name: AccountName, body: MemberChange) -> Response:
    """Changes a member's pool or cap (null: the project's), or lets them work or not."""
    with access.writing() as work:
        account = accounts.find_account(work.connection, name)
        member = setup.find_member(work.connection, work.project.id, account.id)
        if member is None:
            raise Refused(404, "no such member", where=name)
        changed = {key: value for key, value in changes(body).items() if key != "active" or value is not None}
        setup.change_member(work.connection, work.project, member, changed)
        work.log("member.change", f"{slug}/{account.name}", **changed)
        return Json({"name": account.name} | changed)


@router.get("/invitations")
def list_invitations(access: ProjectLead, slug: Slug) -> Response:
    """Links that still work; not the links themselves, which are shown once."""
    with access.reading() as work:
        found = invitations.list_invitations(work.connection, work.project.id, now=work.now)
        return Json({"invitations": found})


@router.post("/invitations", status_code=201)
def invite(access: ProjectLead, slug: Slug, body: NewInvitation) -> Response:
    """A link with which one person makes an account and takes part."""
    with access.writing() as work:
        token = invitations.invite(
            work.connection,
            role=body.role,
            by=work.account,
            project=work.project,
            pool=body.pool,
            note=body.note,
            days=body.days,
            now=work.now,
        )
        work.log("invitation.create", slug, role=body.role)
    return Json({"path": f"/join#{token}"}, status_code=201)


@router.delete("/invitations/{invitation_id}")
def revoke_invitation(access: ProjectLead, slug: Slug, invitation_id: Id) -> Response:
    """Ends a link."""
    with access.writing() as work:
        invitations.revoke_invitation(work.connection, work.project.id, invitation_id, now=work.now)
        work.log("invitation.revoke", slug)
    return Json({"status": "revoked"})
