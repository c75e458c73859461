"""Quality over HTTP: gold and arm items from claims, the dashboard, the gate, pay; leads only."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from collect_site import Site, site

SLUG = "/api/projects/my-comparison"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Site]:
    with site(tmp_path, tasks=("comparison", "rating"), items=4, pay_per_hour=36.0, seconds_per_judgement=60) as found:
        yield found


def work(client: httpx.Client, *, skip: bool = False, visible: float = 30.0) -> dict[str, Any]:
    task = client.post(f"{SLUG}/tasks/next").json()
    body: dict[str, Any] = {
        "submission_id": str(uuid.uuid4()),
        "task_id": task["task_id"],
        "fence": task["fence"],
        "timing": {"total": visible, "visible": visible, "ready": 0.1, "focus_lost": 0},
    }
    skipped = {"kind": "skip", "reason": "I cannot judge this"}
    body |= skipped if skip else {"answer": {"best": 0, "strength": 1}}
    answer = client.post(f"{SLUG}/submissions", json=body)
    assert answer.status_code == 201, answer.text
    return task  # type: ignore[no-any-return]


def test_what_a_lead_sees(served: Site) -> None:
    lead, ann = served.client("lea"), served.client("ann")
    before = lead.get(f"{SLUG}/quality").json()
    assert before["annotators"] == []
    for _ in range(3):
        work(ann)
    found = lead.get(f"{SLUG}/quality").json()
    assert found["project"]["labels"] == 3
    assert [(row["judgements"], row["verdict"]) for row in found["annotators"]] == [(3, "cannot tell")]
    assert lead.get(f"{SLUG}/quality").json() == found
    lead.post(f"{SLUG}/gold", json={"count": 4})
    assert lead.get(f"{SLUG}/quality").json()["project"]["gold"] == 4
    gate = lead.get(f"{SLUG}/gate", params={"batch": 1}).json()
    assert gate["passes"] is False
    assert gate["batch"] == 1
    assert {check["passes"] for check in gate["checks"]} == {None}
    assert lead.get(f"{SLUG}/gate", params={"batch": 0}).status_code == 422


def test_answers_are_paid_by_expected_minutes_and_skips_by_their_time(served: Site) -> None:
    lead, ann = served.client("lea"), served.client("ann")
    work(ann, visible=300.0)
    one = lead.get(f"{SLUG}/pay").json()["rows"][0]
    assert 1 < one["minutes"] < 1.5  # a minute to decide, and the words
    assert one["amount"] == pytest.approx(one["minutes"] / 60 * 36, abs=0.01)
    assert one["hourly"] == pytest.approx(one["amount"] / (300 / 3600), rel=0.02)
    work(ann, skip=True, visible=6.0)
    two = lead.get(f"{SLUG}/pay").json()["rows"][0]
    assert two["minutes"] == pytest.approx(one["minutes"] + 0.1, abs=0.011)
    assert (two["judgements"], two["skips"]) == (1, 1)
    work(ann, skip=True, visible=9_000.0)  # left open over lunch: no more than an answer
    three = lead.get(f"{SLUG}/pay").json()["rows"][0]
    assert three["minutes"] == pytest.approx(2 * one["minutes"] + 0.1, abs=0.05)
    mine = ann.get(f"{SLUG}/mine").json()["pay"]
    assert mine["minutes"] == pytest.approx(three["minutes"], abs=0.02)


def test_gold_and_arm_items_are_made_from_claims(served: Site) -> None:
    lead = served.client("lea")
    added = lead.post(f"{SLUG}/gold", json={"count": 8}).json()
    assert added == {"added": 8, "known": 0, "by_kind": {"gold": 8}}
    assert lead.post(f"{SLUG}/gold", json={"count": 8}).json()["known"] == 8
    claims = [{"question": "Who wrote it?", "truth": "Ann", "asserted": "Bob"}]
    assert lead.post(f"{SLUG}/arm", json={"claims": claims, "overlap": 6}).json()["added"] == 1
    listed = lead.get(f"{SLUG}/items", params={"kind": "main", "limit": 200}).json()["items"]
    arm = [item for item in listed if item["arm"]]
    assert len(arm) == 1
    assert arm[0]["overlap"] == 6


@pytest.mark.parametrize(
    ("path", "body", "what"),
    [
        ("gold", {"claims": [{"question": "Q?", "truth": "Yes", "asserted": "yes."}]}, "the same"),
        ("gold", {"traps": []}, "at least 1"),
        ("gold", {"traps": ["long"]}, "input should be"),
        ("arm", {"claims": []}, "at least 1"),
        ("arm", {"colour": "red"}, "extra"),
    ],
)
def test_wrong_requests_are_refused(served: Site, path: str, body: dict[str, Any], what: str) -> None:
    answer = served.client("lea").post(f"{SLUG}/{path}", json=body)
    assert answer.status_code == 422
    assert what in answer.json()["error"]["what"]


def test_items_for_two_replies_do_not_fit_a_rating_silently(served: Site) -> None:
    """A rating takes two replies, but the right answer of gold is a choice: refused, nothing added."""
    answer = served.client("lea").post("/api/projects/my-rating/gold", json={"count": 1})
    assert answer.status_code == 422


@pytest.mark.parametrize("path", ["quality", "gate", "pay"])
def test_annotators_and_strangers_see_nothing(served: Site, path: str) -> None:
    assert served.client("ann").get(f"{SLUG}/{path}").status_code == 403
    assert served.client().get(f"{SLUG}/{path}").status_code == 401
