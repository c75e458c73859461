"""Every page of the labelling service, light at a desk and dark on a phone: axe finds nothing serious or critical."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from candor.projects.accounts import accounts, invitations
from collect_dashboard import stub_quality
from collect_pages import DESK, PHONE, TASK, open_task, person, read_all, violations
from collect_site import Site, site

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

LOOKS: dict[str, dict[str, Any]] = {
    "light-desk": {"size": DESK, "color_scheme": "light"},
    "dark-phone": {"size": PHONE, "color_scheme": "dark"},
}
VIEWS = ("progress", "annotators", "gate", "pay", "items", "people", "data", "settings")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site"), overlap=9) as made:
        yield made


@pytest.fixture(params=list(LOOKS))
def look(request: pytest.FixtureRequest) -> dict[str, Any]:
    return LOOKS[request.param]


def test_signing_in_and_joining(browser: Browser, running: Site, look: dict[str, Any]) -> None:
    with running.database.writing() as connection:
        lea = accounts.find_account(connection, "lea")
        project, now = running.projects["comparison"], running.database.now()
        token = invitations.invite(connection, role="annotator", by=lea, project=project, now=now)
    with person(browser, running, **look) as context:
        page = context.new_page()
        for path, heading in (("/", "Sign in"), (f"/join#{token}", "Welcome"), ("/join#x", "This link does not work")):
            page.goto(path)
            page.get_by_role("heading", name=heading).wait_for()
            assert violations(page) == []
        # Control: what has no name and no contrast is found.
        page.evaluate("document.querySelector('main').innerHTML = '<button></button><p>pale</p>'")
        page.locator("main p").evaluate("(e) => { e.style.color = '#777'; }")
        assert {each.split(":")[0] for each in violations(page)} >= {"button-name", "color-contrast"}


@pytest.mark.parametrize("task", ["comparison", "ranking", "rating"])
def test_labelling(browser: Browser, running: Site, look: dict[str, Any], task: str) -> None:
    with person(browser, running, "ann", **look) as context:
        page = open_task(context, task)
        assert violations(page) == []
        read_all(page)
        page.keyboard.press("1")
        assert violations(page) == []
        if task == "ranking":
            for key in ("a", "1", "b", "1", "c", "="):
                page.keyboard.press(key)
            assert violations(page) == []
        if task == "comparison":
            for key in ("?", "i", "s", "p"):
                page.keyboard.press(key)
                assert page.locator("dialog[open], .curtain:not([hidden])").count() == 1
                assert violations(page) == []
                page.keyboard.press("Escape")


def test_feedback_and_the_end(browser: Browser, running: Site, look: dict[str, Any]) -> None:
    with person(browser, running, "bob", **look) as context:
        page = context.new_page()
        calibration = {
            "right": False,
            "answer": {"best": 0},
            "why_html": "<p>Because <a href='https://x.test'>of it</a>.</p>",
        }
        page.route(
            "**/submissions",
            lambda route: route.fulfill(
                status=201,
                json={
                    "submission_id": route.request.post_data_json["submission_id"],
                    "status": "counted",
                    "calibration": calibration,
                },
            ),
        )
        page.goto("/label/my-comparison")
        page.wait_for_selector(TASK)
        read_all(page)
        page.keyboard.press("1")
        page.keyboard.press("Enter")
        page.locator(".feedback h2").wait_for()
        assert violations(page) == []
        page.route("**/tasks/next", lambda route: route.fulfill(status=204, headers={"Retry-After": "3600"}))
        page.keyboard.press("Enter")
        page.get_by_text("The next one is ready in about 60 minutes.").wait_for()
        assert violations(page) == []


def test_front_page_account_and_administration(browser: Browser, running: Site, look: dict[str, Any]) -> None:
    with person(browser, running, "ada", **look) as context:
        page = context.new_page()
        for path, there in (
            ("/", ".project-list"),
            ("/account", "form >> nth=1"),
            ("/admin", "text=/What was done|Nothing yet/"),
        ):
            page.goto(path)
            page.locator(there).first.wait_for(state="attached")
            page.evaluate("document.querySelectorAll('main details').forEach((d) => { d.open = true; })")
            assert violations(page) == []
        page.locator(".menu summary").click()
        assert violations(page) == []


def test_dashboard(browser: Browser, running: Site, look: dict[str, Any]) -> None:
    with person(browser, running, "lea", **look) as context:
        page = context.new_page()
        stub_quality(page)
        for view in VIEWS:
            page.goto(f"/lead/my-comparison#{view}")
            page.locator(f".views a[href='#{view}'][aria-current]").wait_for()
            page.locator(".view .loading").wait_for(state="detached")
            assert page.locator(".view [role=alert]:visible").count() == 0
            page.evaluate("document.querySelectorAll('main details').forEach((d) => { d.open = true; })")
            assert violations(page) == [], view
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
