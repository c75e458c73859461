"""The whole OpenAPI under schemathesis, as an annotator and as a lead, on both databases: nothing breaks the server."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

import collect_site
from candor.projects.database import Database
from collect_site import Clock, Site

EXAMPLES = 6
"""Requests per operation, role and database."""

ENDS_THE_SESSION = ("DELETE /api/session", "PUT /api/session/password", "POST /api/session", "POST /api/session/accept")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ann", "lea"])
def test_no_request_breaks_the_server(any_database: Database, name: str, caplog: pytest.LogCaptureFixture) -> None:
    collect_site.fill(any_database, tasks=["comparison"])
    with collect_site.served(any_database, throttled=False) as url:
        site = Site(url=url, database=any_database, clock=Clock())
        client = site.client(name)
        document = client.get("/api/openapi.json").json()
        schema = schemathesis.openapi.from_dict(document)
        statuses: Counter[int] = Counter()
        for found in schema.get_all_operations():
            operation = found.ok()
            label = f"{operation.method.upper()} {operation.path}"
            if label in ENDS_THE_SESSION:
                continue
            statuses += _ask(client, operation, label)
    assert statuses.total() > 20 * EXAMPLES
    assert statuses[429] == 0
    assert sum(count for status, count in statuses.items() if status < 300) > 20, "some came through"
    bad = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert not bad


def _ask(client: httpx.Client, operation: Any, label: str) -> Counter[int]:
    statuses: Counter[int] = Counter()

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=operation.as_strategy())
    def send(case: Any) -> None:
        if "slug" in case.path_parameters and statuses.total() % 3:
            case.path_parameters["slug"] = "my-comparison"  # else nothing behind the door is reached
        sent = case.as_transport_kwargs(base_url=str(client.base_url).rstrip("/"))
        sent.pop("cookies", None)
        headers = {k: v for k, v in (sent.pop("headers", None) or {}).items() if k.lower() == "content-type"}
        try:
            request = client.build_request(
                sent["method"], sent["url"], params=sent.get("params"), json=sent.get("json"),
                content=sent.get("data") if isinstance(sent.get("data"), bytes | str) else None, headers=headers,
            )  # fmt: skip
        except (httpx.InvalidURL, UnicodeError, ValueError):
            return  # no client could send it
        answer = client.send(request)
        statuses[answer.status_code] += 1
        assert answer.status_code < 500, f"{label}: {answer.status_code} {answer.text[:300]}"
        assert "sqlalchemy" not in answer.text.lower()
        assert "traceback" not in answer.text.lower()
        if answer.status_code >= 400 and answer.status_code != 405:
            assert set(answer.json()["error"]) == {"what", "where", "fix"}

    send()
    return statuses


def test_a_server_that_breaks_is_noticed() -> None:
    """The control."""

    def broken(request: httpx.Request) -> httpx.Response:
        return httpx.Response(500, json={})

    document = {
        "openapi": "3.1.0",
        "info": {"title": "broken", "version": "1"},
        "paths": {"/x": {"get": {"responses": {"200": {"description": "fine"}}}}},
    }
    operation = next(iter(schemathesis.openapi.from_dict(document).get_all_operations())).ok()
    with (
        httpx.Client(base_url="http://none", transport=httpx.MockTransport(broken)) as client,
        pytest.raises(AssertionError, match="500"),
    ):
        _ask(client, operation, "GET /x")
