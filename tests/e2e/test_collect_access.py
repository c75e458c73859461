"""Who may do what over HTTP: every route is asked by everybody, and a route that declares nothing is a failure."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

import collect_site
from candor.collect.app import create_app
from candor.collect.deps import LEVELS
from candor.collect.routes import routers
from candor.projects import setup
from candor.projects.accounts import accounts
from collect_site import Site

BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/api/session"): {"name": "ann", "password": "wrong password here"},
    ("POST", "/api/session/link"): {"token": "none"},
    ("POST", "/api/session/accept"): {"token": "none"},
    ("PUT", "/api/session/password"): {"old": "wrong password here", "new": "another password here"},
    ("POST", "/api/accounts"): {"name": "mallory"},
    ("PATCH", "/api/accounts/{name}"): {"role": "admin"},
    ("POST", "/api/tokens"): {"name": "mine"},
    ("POST", "/api/projects"): {"slug": "stolen"},
    ("PATCH", "/api/projects/{slug}"): {"paused": True},
    ("PUT", "/api/projects/{slug}/members/{name}"): {},
    ("PATCH", "/api/projects/{slug}/members/{name}"): {"cap": 1},
    ("POST", "/api/projects/{slug}/invitations"): {},
    ("POST", "/api/projects/{slug}/items"): {"rows": [{"key": "x", "prompt": "q", "responses": ["a", "b"]}]},
    ("PATCH", "/api/projects/{slug}/items/{item_id}"): {"active": False},
    ("POST", "/api/projects/{slug}/submissions"): {"submission_id": "0" * 20, "task_id": 1, "fence": 1, "kind": "skip"},
    ("POST", "/api/projects/{slug}/submissions/{submission_id}/undo"): {"submission_id": "1" * 20},
    ("POST", "/api/projects/{slug}/gold"): {"count": 1},
    ("POST", "/api/projects/{slug}/arm"): {"count": 1},
}
PATHS = {"slug": "my-comparison", "name": "bob", "item_id": "1", "invitation_id": "1", "token_id": "1",
         "submission_id": "0" * 20}  # fmt: skip
QUERIES = {("POST", "/api/projects/{slug}/import"): {"name": "x.jsonl"}}


@dataclass(frozen=True)
class Asked:
    """A route, and the least that one has to be to use it."""

    method: str
    path: str
    level: str

    def send(self, client: httpx.Client) -> httpx.Response:
        key = (self.method, self.path)
        needs_body = self.method in ("POST", "PUT", "PATCH") and key not in QUERIES
        body = BODIES.get(key)
        params = QUERIES.get(key)
        if key == ("POST", "/api/projects/{slug}/tasks/next") or self.path.endswith("/link"):
            needs_body = body is not None
        assert body is not None or not needs_body, f"a new route: give {key} a body here"
        return client.request(self.method, self.path.format(**PATHS), json=body, params=params)


def asked(app: FastAPI) -> list[Asked]:
    """Every route of the API with its level; fails where one declares none."""
    found = []
    for route in [*app.routes, *(route for router in routers() for route in router.routes)]:
        if not isinstance(route, APIRoute) or not route.path.startswith("/api"):
            continue
        calls = {dependency.call for dependency in route.dependant.dependencies}
        levels = [level.__name__ for level in LEVELS if level in calls]
        public = (route.openapi_extra or {}).get("x-access") == "public"
        assert len(levels) + public == 1, f"{route.path} does not say who may use it"
        found += [Asked(method, route.path, levels[0] if levels else "public") for method in route.methods]
    described = {(method.upper(), path) for path, methods in app.openapi()["paths"].items() for method in methods}
    assert described == {(one.method, one.path) for one in found}, "a route that came another way"
    return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with collect_site.site(tmp_path_factory.mktemp("site")) as found:
        with found.database.writing() as connection:
            other = setup.create_project(connection, slug="other", now=0.0)
            lena = accounts.create_account(connection, "lena", "lead", now=0.0)
            accounts.create_account(connection, "olaf", "annotator", now=0.0)
            setup.add_member(connection, other, lena.id, now=0.0)
        yield found


@pytest.fixture(scope="module")
def routes(site: Site) -> list[Asked]:
    return asked(create_app(site.database))


def statuses(site: Site, routes: list[Asked], name: str | None, level: str) -> dict[str, int]:
    client = site.client(name)
    return {f"{r.method} {r.path}": r.send(client).status_code for r in routes if r.level == level}


LEVELS_ABOVE_NOBODY = ("signed_in", "project_member", "project_lead", "administrator")


@pytest.mark.parametrize("level", LEVELS_ABOVE_NOBODY)
def test_nobody_gets_anything(site: Site, routes: list[Asked], level: str) -> None:
    found = statuses(site, routes, None, level)
    assert found
    assert set(found.values()) == {401}, found


@pytest.mark.parametrize("level", ["project_member", "project_lead"])
@pytest.mark.parametrize("name", ["olaf", "lena"])
def test_a_project_of_others_is_not_there(site: Site, routes: list[Asked], name: str, level: str) -> None:
    found = statuses(site, routes, name, level)
    assert set(found.values()) == {404}, found
    missing = site.client(name).get("/api/projects/none-such").json()["error"]
    there = site.client(name).get("/api/projects/my-comparison").json()["error"]
    assert missing["what"] == there["what"], "whether it exists is not told"


def test_an_annotator_leads_nothing(site: Site, routes: list[Asked]) -> None:
    found = statuses(site, routes, "ann", "project_lead")
    assert set(found.values()) == {403}, found


@pytest.mark.parametrize("name", ["ann", "lea"])
def test_only_an_admin_administers(site: Site, routes: list[Asked], name: str) -> None:
    found = statuses(site, routes, name, "administrator")
    assert set(found.values()) == {403}, found


def test_those_who_may_can(site: Site, routes: list[Asked]) -> None:
    """The control: the same requests by the right people are answered, so that a refusal above means something."""
    lead = {
        r: r.send(site.client("lea")).status_code for r in routes if r.level == "project_lead" and r.method == "GET"
    }
    assert all(status in (200, 422) for status in lead.values()), lead
    assert sum(status == 200 for status in lead.values()) >= 4
    admin = {
        r: r.send(site.client("ada")).status_code for r in routes if r.level == "administrator" and r.method == "GET"
    }
    assert set(admin.values()) == {200}


def test_a_route_that_declares_nothing_is_found(site: Site) -> None:
    app = create_app(site.database)
    app.add_api_route("/api/open-door", lambda: None)
    with pytest.raises(AssertionError, match="open-door does not say"):
        asked(app)


def task_of(client: httpx.Client) -> dict[str, Any]:
    return client.post("/api/projects/my-comparison/tasks/next").json()


def sent(task: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = {"submission_id": str(uuid.uuid4()), "task_id": task["task_id"], "fence": task["fence"]}
    return body | {"answer": {"best": 0}, "timing": {"visible": 3.0, "total": 4.0}} | more


def test_one_annotator_cannot_touch_anothers_task_or_label(site: Site) -> None:
    ann, bob = site.client("ann"), site.client("bob")
    task = task_of(ann)
    theirs = bob.post("/api/projects/my-comparison/submissions", json=sent(task))
    assert theirs.status_code == 404
    body = sent(task)
    assert ann.post("/api/projects/my-comparison/submissions", json=body).status_code == 201, "the control"
    undo = {"submission_id": str(uuid.uuid4())}
    path = f"/api/projects/my-comparison/submissions/{body['submission_id']}/undo"
    assert bob.post(path, json=undo).status_code == 404
    replayed = bob.post("/api/projects/my-comparison/submissions", json=body)
    assert replayed.status_code in (404, 409), "an id of somebody else tells nothing"
    assert bob.get("/api/projects/my-comparison/submissions").json() == {"submissions": []}
    assert ann.post(path, json=undo).status_code == 200, "the control"


def test_tasks_do_not_cross_projects(site: Site) -> None:
    ann = site.client("ann")
    task = task_of(ann)
    crossed = ann.post("/api/projects/my-rating/submissions", json=sent(task, answer={"scores": [1, 2]}))
    assert crossed.status_code == 404


def test_what_annotators_get_says_nothing_of_models_gold_or_arms(site: Site) -> None:
    text = site.client("ann").post("/api/projects/my-comparison/tasks/next").text
    text += site.client("ann").get("/api/projects/my-comparison/mine").text
    for secret in ("secret-model", "gold", '"arm"', "policy", '"key"', "propensity"):
        assert secret not in text
    assert "secret-model" in site.client("lea").get("/api/projects/my-comparison/items").text, "the control"


def test_a_lead_cannot_rise_or_raise(site: Site) -> None:
    lea = site.client("lea")
    refused = lea.post("/api/projects/my-comparison/invitations", json={"role": "admin"})
    assert refused.status_code == 422
    with site.database.writing() as connection:
        accounts.create_account(connection, "root", "admin", now=0.0)
    assert lea.put("/api/projects/my-comparison/members/root", json={}).status_code == 403
    assert lea.put("/api/projects/my-comparison/members/olaf", json={}).status_code == 200, "the control"


def test_an_import_says_nothing_of_the_servers_paths_and_reads_no_other_file(site: Site) -> None:
    lea = site.client("lea")
    for name in ("../../../etc/passwd.jsonl", "/etc/passwd.jsonl", "..\\..\\x.jsonl", "x.jsonl\x00.png.jsonl"):
        answer = lea.post("/api/projects/my-comparison/import", params={"name": name}, content=b'{"prompt": 1}')
        assert answer.status_code == 422
        assert "/tmp" not in answer.text
        assert "root:" not in answer.text
    one = b'{"prompt": "Why?", "responses": ["a", "b"]}'
    good = lea.post("/api/projects/my-comparison/import", params={"name": "../x.jsonl"}, content=one)
    assert (good.status_code, good.json()["added"]) == (201, 1), "the control: what counts is the body"
    disposition = lea.get("/api/projects/my-comparison/export", params={"ending": "/../../x"})
    assert disposition.status_code == 422


def test_the_data_directory_is_not_served(site: Site, tmp_path: Path) -> None:
    client = site.client("ann")
    for path in (
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/collect.db",
        "/static//etc/passwd",
    ):
        assert client.get(path).status_code in (400, 404), path
