"""Sessions, forged requests, guessing, sizes, headers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from statistics import median
from time import perf_counter
from typing import Any

import httpx
import pytest
from sqlalchemy import select

import collect_site
from candor.errors import InputError
from candor.projects import setup
from candor.projects.accounts import accounts, invitations, sessions
from candor.projects.schema import api_tokens
from candor.projects.schema import sessions as session_table
from collect_site import PASSWORD, Site

SIGN_IN = {"name": "ann", "password": PASSWORD}
MINE = "/api/projects/my-comparison/mine"
NEXT = "/api/projects/my-comparison/tasks/next"


@pytest.fixture
def site(tmp_path: Any) -> Iterator[Site]:
    with collect_site.site(tmp_path, tasks=["comparison"]) as found:
        yield found


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with collect_site.site(tmp_path_factory.mktemp("shared"), tasks=["comparison"]) as found:
        yield found


def cookie(answer: httpx.Response) -> str:
    return answer.cookies["candor_session"]


@pytest.mark.parametrize(
    "headers",
    [
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": "of somebody else"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Content-Type": "text/plain", "X-CSRF-Token": ""},
    ],
)
def test_a_forged_request_does_nothing(shared: Site, headers: dict[str, str]) -> None:
    client = shared.client("ann")
    assert client.post(NEXT, headers=headers).status_code == 403
    own = {"Origin": shared.url, "Sec-Fetch-Site": "same-origin"}
    assert client.post(NEXT, headers=own).status_code == 200, "the control"


def test_the_token_of_another_session_does_not_do(shared: Site) -> None:
    ann, bob = shared.client("ann"), shared.client("bob")
    assert ann.post(NEXT, headers={"X-CSRF-Token": bob.headers["X-CSRF-Token"]}).status_code == 403


def test_a_page_elsewhere_cannot_reach_the_server_under_a_name_of_its_own(shared: Site) -> None:
    client = shared.client("ann")
    assert client.get(MINE, headers={"Host": "evil.example"}).status_code == 421
    assert client.get(MINE, headers={"Host": "localhost:1"}).status_code == 200, "the control"


def test_signing_in_gives_a_new_session_and_ends_the_one_before(site: Site) -> None:
    planted = "a-session-that-somebody-chose"
    client = httpx.Client(base_url=site.url, cookies={"candor_session": planted})
    first = client.post("/api/session", json=SIGN_IN)
    assert cookie(first) != planted
    again = client.post("/api/session", json=SIGN_IN, headers={"Cookie": f"candor_session={cookie(first)}"})
    assert cookie(again) != cookie(first)
    for token, status in ((planted, 401), (cookie(first), 401), (cookie(again), 200)):
        assert httpx.get(f"{site.url}/api/session", cookies={"candor_session": token}).status_code == status


def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(site: Site) -> None:
    text = site.client().post("/api/session", json=SIGN_IN).headers["set-cookie"].lower()
    assert "httponly" in text
    assert "samesite=strict" in text
    with site.database.reading() as connection:
        stored = connection.execute(select(session_table.c.token_hash)).scalars().all()
    assert not any(hashed in text for hashed in stored), "what is stored lets nobody in"


def test_a_new_password_or_new_rights_end_every_session(site: Site) -> None:
    one, two = site.client("ann"), site.client("ann")
    changed = one.put("/api/session/password", json={"old": PASSWORD, "new": "a much better password"})
    assert changed.status_code == 200
    assert two.get("/api/session").status_code == 401
    ada, bob = site.client("ada"), site.client("bob")
    assert bob.get("/api/session").status_code == 200
    assert ada.patch("/api/accounts/bob", json={"role": "lead"}).status_code == 200
    assert bob.get("/api/session").status_code == 401


def test_the_wrong_old_password_changes_nothing(site: Site) -> None:
    client = site.client("ann")
    refused = client.put("/api/session/password", json={"old": "not the old password", "new": "a much better password"})
    assert refused.status_code == 403
    assert site.client().post("/api/session", json=SIGN_IN).status_code == 200


def test_sessions_end(site: Site) -> None:
    client = site.client("ann")
    site.clock.ahead += sessions.IDLE - 60
    assert client.post(NEXT).status_code == 200, "used in time: it goes on"
    site.clock.ahead += sessions.IDLE - 60
    assert client.get(MINE).status_code == 200
    site.clock.ahead += sessions.IDLE + 60
    assert client.get(MINE).status_code == 401
    busy = site.client("ann")
    for _ in range(int(sessions.LONGEST / (sessions.IDLE / 2)) + 1):
        site.clock.ahead += sessions.IDLE / 2
        last = busy.post(NEXT).status_code
    assert last == 401, "however busy, it ends"


def test_guessing_is_slowed_down_and_the_owner_is_let_in_later(site: Site) -> None:
    client = site.client()
    wrong = [client.post("/api/session", json=SIGN_IN | {"password": f"guess number {n}"}) for n in range(8)]
    assert [answer.status_code for answer in wrong] == [401] * 5 + [429] * 3
    assert int(wrong[-1].headers["retry-after"]) >= 1
    assert client.post("/api/session", json=SIGN_IN).status_code == 429, "not even the right one, for now"
    assert client.post("/api/session", json=SIGN_IN | {"name": "bob"}).status_code == 200, "others are not held up"
    site.clock.ahead += 60
    assert client.post("/api/session", json=SIGN_IN).status_code == 200


def test_one_address_cannot_try_many_names(site: Site) -> None:
    client = site.client()
    found = [client.post("/api/session/link", json={"token": f"guess {n}"}).status_code for n in range(60)]
    assert 429 in found
    assert found[0] == 422


def test_one_account_cannot_flood_the_server(site: Site) -> None:
    with collect_site.served(site.database) as url, httpx.Client(base_url=url) as client:
        token, _ = site.session("ann")
        client.cookies.set("candor_session", token)
        found = [client.get(MINE).status_code for _ in range(200)]
        assert found[:50] == [200] * 50
        assert 429 in found
        assert httpx.get(f"{url}{MINE}", cookies={"candor_session": site.session("bob")[0]}).status_code == 200


def test_an_unknown_name_takes_as_long_and_says_the_same(site: Site) -> None:
    client = site.client()
    seconds: dict[str, list[float]] = {"ann": [], "nobody": []}
    texts = set()
    for _ in range(4):
        for name, times in seconds.items():
            began = perf_counter()
            texts.add(client.post("/api/session", json={"name": name, "password": "wrong password"}).text)
            times.append(perf_counter() - began)
    assert len(texts) == 1
    assert median(seconds["nobody"]) > median(seconds["ann"]) / 3


def test_what_is_stored_of_passwords_and_tokens_lets_nobody_in(site: Site) -> None:
    ada = site.client("ada")
    token = ada.post("/api/tokens", json={"name": "mine"}).json()["token"]
    with site.database.reading() as connection:
        hashed = accounts.password_hash(connection, "ann")
        kept = connection.execute(select(api_tokens.c.token_hash)).scalar_one()
    assert hashed is not None
    assert hashed[1] is not None
    assert hashed[1].startswith("$argon2id$")
    assert token not in kept
    bearer = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{site.url}/api/accounts", headers=bearer).status_code == 200
    assert httpx.post(f"{site.url}/api/tokens", headers=bearer, json={"name": "x"}).status_code == 201, "no CSRF token"
    listed = ada.get("/api/tokens").json()["tokens"]
    assert ada.delete(f"/api/tokens/{listed[0]['id']}").status_code == 200
    assert httpx.get(f"{site.url}/api/accounts", headers=bearer).status_code == 401
    assert httpx.get(f"{site.url}/api/accounts", headers={"Authorization": f"Bearer {kept}"}).status_code == 401


def test_a_link_works_once_for_one_and_not_for_ever(site: Site) -> None:
    lea, nobody = site.client("lea"), site.client()
    link = lea.post("/api/projects/my-comparison/invitations", json={}).json()["path"].partition("#")[2]
    new = {"token": link, "name": "Eve", "password": "long enough a password"}
    assert nobody.post("/api/session/link", json={"token": link}).json()["project"] == "My comparison"
    assert nobody.post("/api/session/accept", json=new | {"password": "short"}).status_code == 422
    assert nobody.post("/api/session/accept", json=new | {"name": "ann"}).status_code == 422, "taken"
    made = nobody.post("/api/session/accept", json=new)
    assert (made.status_code, made.json()["role"], made.json()["name"]) == (200, "annotator", "eve")
    assert nobody.post("/api/session/accept", json=new | {"name": "eve2"}).status_code == 422
    late = lea.post("/api/projects/my-comparison/invitations", json={"days": 1}).json()["path"].partition("#")[2]
    site.clock.ahead += 86_401
    assert site.client().post("/api/session/accept", json=new | {"token": late, "name": "eve3"}).status_code == 422


def test_a_sign_in_link_of_an_admin_is_not_made_by_a_lead(site: Site) -> None:
    with site.database.writing() as connection:
        lea, ada = accounts.find_account(connection, "lea"), accounts.find_account(connection, "ada")
        with pytest.raises(Exception, match="only an admin"):
            invitations.sign_in_link(connection, ada, by=lea, now=0.0)


def test_the_last_admin_stays(site: Site) -> None:
    ada = site.client("ada")
    assert ada.patch("/api/accounts/ada", json={"active": False}).status_code == 422
    assert ada.get("/api/session").status_code == 200


def test_every_answer_has_the_headers_that_leave_a_page_no_way_out(shared: Site) -> None:
    client = shared.client("ann")
    answers = [client.get(path) for path in ("/", MINE, "/api/none", "/label/my-comparison", "/api/openapi.json")]
    answers += [client.post(NEXT, headers={"Origin": "null"}), client.get("/", headers={"Host": "evil.example"})]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
    assert client.get(MINE).headers["cache-control"] == "no-store"


def test_a_body_that_is_too_large_is_refused_before_it_is_read(shared: Site) -> None:
    """Told by its length, and where it tells none, by counting."""
    host, port = shared.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        head = f"POST /api/session HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
        raw.sendall(f"{head}Content-Length: 99999999999\r\n\r\n".encode())
        assert b" 413 " in raw.recv(4096).split(b"\r\n")[0], "answered without a byte of the body"

    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 65_536

    answer = shared.client().post("/api/session", content=chunks(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    small = shared.client().post("/api/session", json={"name": "x" * 79, "password": "y" * 1_000})
    assert small.status_code == 401, "the control"


def test_hostile_texts_are_texts(shared: Site) -> None:
    client = shared.client("lea")
    for text in (
        "' OR 1=1 --",
        '"; DROP TABLE submissions; --',
        "%27%20OR",
        "\\'; SELECT 1",
        "${jndi:x}",
        "\U0001f600",
    ):
        assert client.get(f"/api/projects/{text}").status_code in (404, 422)
        assert client.put(f"/api/projects/my-comparison/members/{text}", json={}).status_code in (404, 422)
        assert client.post("/api/session", json={"name": text, "password": text}).status_code in (401, 422, 429)
    assert client.get("/api/projects/my-comparison").json()["counts"]["items"] == 6, "nothing was dropped"


def test_a_link_of_somebody_who_was_let_go_opens_nothing(site: Site) -> None:
    lea, ada, nobody = site.client("lea"), site.client("ada"), site.client()
    link = lea.post("/api/projects/my-comparison/invitations", json={}).json()["path"].partition("#")[2]
    assert nobody.post("/api/session/link", json={"token": link}).status_code == 200, "the control"
    assert ada.patch("/api/accounts/lea", json={"active": False}).status_code == 200
    new = {"token": link, "name": "eve", "password": "long enough a password"}
    assert nobody.post("/api/session/accept", json=new).status_code == 422
    assert ada.get("/api/projects/my-comparison/invitations").json()["invitations"] == []


def test_a_new_password_ends_sign_in_links_too(site: Site) -> None:
    ada = site.client("ada")
    link = ada.post("/api/accounts/ann/link").json()["path"].partition("#")[2]
    assert site.client().post("/api/session/link", json={"token": link}).status_code == 200, "the control"
    changed = site.client("ann").put("/api/session/password", json={"old": PASSWORD, "new": "a much better password"})
    assert changed.status_code == 200
    assert site.client().post("/api/session/accept", json={"token": link}).status_code == 422


def test_a_handle_is_one_members(site: Site) -> None:
    project = site.projects["comparison"]
    with site.database.writing() as connection:
        made = [accounts.create_account(connection, name, "annotator", now=0.0) for name in ("x", "y", "z")]
        taken = setup.add_member(connection, project, made[0].id, handle="a06", now=0.0)
        drawn = setup.add_member(connection, project, made[1].id, now=0.0)
        assert (taken.handle, drawn.handle) == ("a06", "a07"), "a06 would have been next"
        with pytest.raises(InputError, match="another member"):
            setup.add_member(connection, project, made[2].id, handle="a06", now=0.0)
