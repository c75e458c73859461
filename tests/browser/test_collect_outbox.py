"""No label is lost: a reload, an expired login, a connection that is gone, two tabs, two people in one browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import update

from candor.projects.schema import sessions
from collect_pages import TASK, by_place, open_task, person, read_all, sign_in, stored, submitted, violations
from collect_site import PASSWORD, Site, site

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

pytestmark = pytest.mark.browser

SUBMISSIONS = "**/api/projects/*/submissions"
WAITING = "Object.keys(localStorage).filter((key) => key.startsWith('candor:outbox:'))"


@pytest.fixture
def running(tmp_path: Any) -> Iterator[Site]:
    with site(tmp_path, tasks=("comparison",), overlap=4) as made:
        yield made


def choose(page: Page, key: str = "1") -> None:
    read_all(page)
    page.keyboard.press(key)
    page.keyboard.press("Enter")


def status(page: Page, begins: str) -> None:
    page.locator(".status-line", has_text=begins).wait_for()


def test_an_answer_is_written_down_before_it_is_sent_and_kept_until_it_is_stored(browser: Any, running: Site) -> None:
    with person(browser, running, "ann") as context:
        page = open_task(context, "comparison")
        at_sending: list[list[str]] = []

        def look(route: Route) -> None:
            if route.request.method != "POST":
                return route.continue_()
            at_sending.append(json.loads(route.request.post_data or "{}")["submission_id"])
            return route.abort("connectionfailed") if len(at_sending) == 1 else route.continue_()

        page.route(SUBMISSIONS, look)
        choose(page)
        status(page, "Offline. 1 answer kept on this device")
        (key,) = page.evaluate(WAITING)
        assert key.endswith(f"ann:{at_sending[0]}")
        assert stored(running) == []
        page.get_by_role("button", name="Try now").click()
        submitted(page)
        assert at_sending == [at_sending[0]] * 2  # the same id again
        assert page.evaluate(WAITING) == []
        assert len(stored(running, "ann")) == 1


def test_it_survives_a_reload_while_the_server_is_away(browser: Any, running: Site) -> None:
    with person(browser, running, "ann") as context:
        page = open_task(context, "comparison")
        context.set_offline(True)
        choose(page, "7")
        status(page, "Offline. 1 answer kept")
        context.route("**/submissions", lambda route: route.abort())
        context.set_offline(False)
        page.reload()
        page.get_by_role("heading", name="Your last answer is on its way").wait_for()
        assert stored(running) == []
        context.unroute("**/submissions")
        page.evaluate("window.dispatchEvent(new Event('online'))")
        page.wait_for_selector(TASK)
        (row,) = stored(running, "ann")
        assert by_place(row)["best"] == 1
        assert page.evaluate(WAITING) == []


def test_offline_is_told_and_the_online_event_sends(browser: Any, running: Site) -> None:
    with person(browser, running, "ann") as context:
        page = open_task(context, "comparison")
        context.set_offline(True)
        choose(page)
        status(page, "Offline. 1 answer kept on this device; sent as soon as the server can be reached.")
        page.get_by_role("heading", name="Your answer is kept").wait_for()
        context.set_offline(False)  # the browser tells the page
        page.wait_for_selector(TASK)
        status(page, "All answers are stored")
        assert len(stored(running, "ann")) == 1


def test_an_answer_that_arrived_though_its_receipt_did_not_is_stored_once(browser: Any, running: Site) -> None:
    with person(browser, running, "ann") as context:
        page = open_task(context, "comparison")
        seen: list[int] = []

        def lose_receipt(route: Route) -> None:
            if route.request.method != "POST" or seen:
                return route.continue_()
            seen.append(route.fetch().status)
            return route.abort()

        page.route(SUBMISSIONS, lose_receipt)
        choose(page)
        submitted(page)
        assert seen == [201]
        assert len(stored(running, "ann")) == 1


def test_an_expired_login_asks_on_the_spot_and_sends_afterwards(browser: Any, running: Site) -> None:
    with person(browser, running, "ann") as context:
        page = open_task(context, "comparison")
        with running.database.writing() as connection:
            connection.execute(update(sessions).values(revoked_at=running.database.now()))
        choose(page)
        dialog = page.get_by_role("dialog", name="Please sign in again")
        dialog.wait_for()
        assert dialog.get_by_label("Name").input_value() == "ann"
        page.keyboard.press("Escape")
        assert dialog.is_visible()
        assert violations(page) == []
        assert len(page.evaluate(WAITING)) == 1
        dialog.get_by_label("Password").fill("not the password")
        page.keyboard.press("Enter")
        dialog.get_by_text("Name and password do not match.").wait_for()
        dialog.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        submitted(page)
        assert len(stored(running, "ann")) == 1
        assert page.evaluate(WAITING) == []


def test_signing_in_again_in_another_tab_is_enough(browser: Any, running: Site) -> None:
    with person(browser, running, "ann") as context:
        page = open_task(context, "comparison")
        context.clear_cookies()
        choose(page)
        page.get_by_role("dialog", name="Please sign in again").wait_for()
        sign_in(context, running, "bob")
        page.evaluate("window.dispatchEvent(new Event('focus'))")
        page.evaluate("window.dispatchEvent(new Event('online'))")
        page.wait_for_timeout(300)
        assert page.get_by_role("dialog", name="Please sign in again").is_visible()  # somebody else is not enough
        assert stored(running) == []
        sign_in(context, running, "ann")
        page.evaluate("window.dispatchEvent(new Event('focus'))")
        submitted(page)
        assert len(stored(running, "ann")) == 1


def test_nobody_sends_what_somebody_else_decided(browser: Any, running: Site) -> None:
    with person(browser, running, "ann") as context:
        page = open_task(context, "comparison")
        context.route(SUBMISSIONS, lambda route: route.abort())
        choose(page)
        status(page, "Offline")
        page.close()
        sign_in(context, running, "bob")
        context.unroute(SUBMISSIONS)
        other = open_task(context, "comparison")
        status(other, "All answers are stored")
        choose(other)
        submitted(other)
        assert len(other.evaluate(WAITING)) == 1  # Ann's is still there
        assert [row["name"] for row in stored(running)] == ["bob"]
        sign_in(context, running, "ann")
        mine = context.new_page()
        mine.goto("/")  # the front page sends what a closed page left behind
        status(mine, "All answers are stored")
        assert [row["name"] for row in stored(running)] == ["bob", "ann"]


def test_a_page_whose_browser_somebody_else_signed_in_to_stops(browser: Any, running: Site) -> None:
    with person(browser, running, "ann") as context:
        page = open_task(context, "comparison")
        read_all(page)
        sign_in(context, running, "bob")
        choose(page)
        page.get_by_role("dialog", name="bob is signed in now").wait_for()
        assert violations(page) == []
        assert stored(running) == []
        assert len(page.evaluate(WAITING)) == 1
        sign_in(context, running, "ann")
        page.get_by_role("button", name="Go on as bob").click()  # loads the page anew, as whoever is signed in
        page.wait_for_selector(TASK)
        assert [row["name"] for row in stored(running)] == ["ann"]


def test_two_tabs_store_two_labels_and_none_twice(browser: Any, running: Site) -> None:
    with person(browser, running, "ann") as context:
        tabs = [open_task(context, "comparison"), open_task(context, "comparison")]
        context.set_offline(True)
        for tab in tabs:  # both hold the same task
            tab.bring_to_front()
            choose(tab)
            status(tab, "Offline")
        context.set_offline(False)
        for tab in tabs:
            tab.wait_for_selector(TASK)
            status(tab, "All answers are stored")
        rows = stored(running, "ann")
        assert len({row["submission_id"] for row in rows}) == len(rows) == 2
        assert [row["surplus"] for row in rows] == [False, True]  # the second is kept, and counts for nothing


def test_what_the_server_refuses_for_good_is_kept_apart_and_told(browser: Any, running: Site) -> None:
    with person(browser, running, "ann") as context:
        page = open_task(context, "comparison")
        said = {"error": {"what": "this id stands for something else", "where": "", "fix": ""}}

        def refuse(route: Route) -> None:
            return route.fulfill(status=409, json=said) if route.request.method == "POST" else route.continue_()

        page.route(SUBMISSIONS, refuse)
        choose(page)
        page.get_by_role("dialog", name="The server did not take this answer").wait_for()
        page.keyboard.press("Escape")
        page.get_by_role("button", name="1 answer the server did not take").click()
        dialog = page.get_by_role("dialog", name="Answers the server did not take")
        assert "this id stands for something else" in dialog.inner_text()
        assert violations(page) == []
        assert page.evaluate(WAITING) == []
        assert page.evaluate("Object.keys(localStorage).filter((key) => key.startsWith('candor:aside:')).length") == 1


def test_ids_are_made_without_a_secure_origin(browser: Any, running: Site) -> None:
    with person(browser, running, "ann") as context:
        context.add_init_script("delete Crypto.prototype.randomUUID")
        page = open_task(context, "comparison")
        assert page.evaluate("typeof crypto.randomUUID") == "undefined"
        choose(page)
        submitted(page)
        (row,) = stored(running, "ann")
        assert len(row["submission_id"]) == 36
        assert row["submission_id"][14] == "4"


def test_without_storage_the_page_works_and_says_what_it_cannot_promise(browser: Any, running: Site) -> None:
    with person(browser, running, "ann") as context:
        context.add_init_script(
            "for (const name of ['localStorage', 'sessionStorage'])"
            " Object.defineProperty(window, name, {get() { throw new DOMException('no', 'SecurityError'); }})"
        )
        page = context.new_page()
        page.goto("/label/my-comparison")
        page.get_by_role("button", name="Start").click()
        page.wait_for_selector(TASK)
        context.set_offline(True)
        choose(page)
        status(page, "Offline. 1 answer kept in this page only: do not close it")
        context.set_offline(False)
        page.wait_for_selector(TASK)
        assert len(stored(running, "ann")) == 1
