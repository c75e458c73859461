"""What surrounds an answer: locks until all is read, the clock, pause, undo, skip, practice items, keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from candor.projects import setup
from candor.projects.items import add_items
from collect_pages import DESK, PHONE, TASK, open_task, person, read_all, stored, submitted
from collect_site import Site, item, site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

LONG = "\n\n".join(f"Paragraph {i}. " + "It goes on and on, as replies do. " * 8 for i in range(14))


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site"), tasks=("comparison", "rating"), items=12, overlap=4) as made:
        with made.database.writing() as connection:
            now = made.database.now()
            for slug, options in (
                ("long", {}),
                ("slow", {"minimum_seconds": 2.5}),
                ("practice", {"calibration": True}),
            ):
                settings = made.projects["comparison"].settings.model_copy(update=options)
                task = "rating" if slug == "long" else "comparison"
                project = setup.create_project(
                    connection, slug=f"my-{slug}", title=slug, task=task, settings=settings, now=now
                )
                for member in setup.list_members(connection, made.projects["comparison"].id):
                    setup.add_member(connection, project, member.account_id, now=now)
                new = [item(f"k{i}", task, text=LONG if slug == "long" else "") for i in range(4)]
                new += [item("c", task, kind="calibration")] if slug == "practice" else []
                add_items(connection, project, new, now=now)
        yield made


def visit(context: Any, slug: str) -> Page:
    for name in ("ann", "bob"):
        context.add_init_script(f"try {{ localStorage.setItem('candor:read:{name}:my-{slug}', 'yes') }} catch {{}}")
    return open_task(context, slug)


def why(page: Page) -> str:
    return page.locator(".why").inner_text()


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_answers_are_locked_until_every_response_was_read_to_its_end(
    browser: Browser, running: Site, size: dict[str, Any]
) -> None:
    with person(browser, running, "ann", size=size) as context:
        page = visit(context, "long")
        page.wait_for_timeout(300)
        assert why(page) == "Read response A and B to the end first."
        assert page.get_by_role("button", name="Submit").get_attribute("aria-disabled") == "true"
        assert page.get_by_role("radio").first.is_disabled()
        page.keyboard.press("5")
        assert page.get_by_role("radio", checked=True).count() == 0
        page.get_by_role("button", name="Go to response A").click()
        assert page.evaluate("document.activeElement.id") == "response-A"
        assert "A and B" in why(page)  # its beginning is not its end
        read_all(page)
        assert why(page) == "2 responses without a score"
        for key in ("5", "1", "Enter"):
            page.keyboard.press(key)
        submitted(page)
        assert stored(running, "ann")[-1]["timing"]["ready"] > 0.3


def test_what_the_answer_bar_covers_was_not_seen(browser: Browser, running: Site) -> None:
    with person(browser, running, "bob") as context:
        page = visit(context, "long")
        bar = page.locator(".answer-bar").bounding_box()
        assert bar is not None
        line = bar["y"]
        reveal = "(e, y) => window.scrollBy({top: e.getBoundingClientRect().bottom - y, behavior: 'instant'})"
        page.locator(".end-mark").first.evaluate(reveal, line + 20)  # in the window, under the bar
        page.wait_for_timeout(200)
        assert "A and B" in why(page)
        page.locator(".end-mark").first.evaluate(reveal, line - 20)
        page.locator(".why", has_text="2 responses without a score").wait_for()


def test_nothing_that_has_the_focus_lies_under_a_bar(browser: Browser, running: Site) -> None:
    covered = """() => {
        const active = document.activeElement;
        if (active === document.body) return ''; // after the last one
        const seen = active.closest('label') ?? active;
        const box = seen.getBoundingClientRect();
        const top = document.elementFromPoint(box.x + box.width / 2, box.y + Math.min(box.height, 30) / 2);
        return seen.contains(top) ? '' : seen.outerHTML.slice(0, 80);
    }"""
    with person(browser, running, "bob", size=PHONE, reduced_motion="reduce") as context:
        page = visit(context, "long")
        for _ in range(40):
            page.keyboard.press("Tab")
            assert page.evaluate(covered) == ""
        # Control: a control that is covered is noticed.
        page.locator(".response-title").first.evaluate(
            "e => { e.focus(); scrollBy(0, e.getBoundingClientRect().top); }"
        )
        assert page.evaluate(covered) != ""


def test_answers_open_after_the_minimum_of_seconds_and_say_so(browser: Browser, running: Site) -> None:
    with person(browser, running, "ann") as context:
        page = visit(context, "slow")
        assert why(page).startswith("Answers open in ")
        page.keyboard.press("1")
        assert page.get_by_role("radio", checked=True).count() == 0
        page.locator(".why", has_text="Which response is better?").wait_for()
        page.keyboard.press("1")
        page.keyboard.press("Enter")
        submitted(page)
        timing = stored(running, "ann")[-1]["timing"]
        assert 2.5 <= timing["ready"] <= timing["total"]


def test_a_pause_hides_the_responses_and_stops_the_clock(browser: Browser, running: Site) -> None:
    with person(browser, running, "ann") as context:
        page = open_task(context, "comparison")
        read_all(page)
        page.keyboard.press("p")
        assert page.get_by_role("heading", name="Paused").is_visible()
        assert not page.locator(".response").first.is_visible()
        page.wait_for_timeout(1_500)
        page.keyboard.press("1")  # does nothing
        page.get_by_role("main").get_by_role("button", name="Go on").click()
        assert page.locator(".response").first.is_visible()
        page.keyboard.press("1")
        page.keyboard.press("Enter")
        submitted(page)
        timing = stored(running, "ann")[-1]["timing"]
        assert timing["total"] > timing["visible"] + 1.4


def test_time_behind_another_tab_and_idle_time_are_not_counted(browser: Browser, running: Site) -> None:
    with person(browser, running, "ann") as context:
        page = context.new_page()
        page.clock.install()
        page.goto("/label/my-comparison")
        page.clock.run_for(2_000)
        page.wait_for_selector(TASK)
        page.clock.run_for(1_000)
        page.evaluate("window.dispatchEvent(new Event('blur'))")
        page.evaluate("window.dispatchEvent(new Event('focus'))")
        hidden = "Object.defineProperty(document, 'visibilityState', {value: '%s', configurable: true})"
        change = "; document.dispatchEvent(new Event('visibilitychange'))"
        page.evaluate(hidden % "hidden" + change)
        page.clock.run_for(20_000)
        page.evaluate(hidden % "visible" + change)
        page.clock.run_for(300_000)  # a minute of it counts, then the person is idle
        page.keyboard.press("1")
        page.keyboard.press("Enter")
        submitted(page)
        timing = stored(running, "ann")[-1]["timing"]
        assert timing["total"] >= 321
        assert 61 <= timing["visible"] <= 66
        assert timing["focus_lost"] == 2


def test_the_clock_and_what_was_chosen_outlive_a_reload(browser: Browser, running: Site) -> None:
    with person(browser, running, "bob") as context:
        page = open_task(context, "rating")
        read_all(page)
        page.keyboard.press("4")
        page.wait_for_timeout(1_000)
        page.reload()
        page.wait_for_selector(TASK)
        assert page.get_by_role("radio", checked=True).count() == 1
        page.keyboard.press("2")
        page.keyboard.press("Enter")
        submitted(page)
        assert stored(running, "bob")[-1]["timing"]["visible"] > 1


def test_undo_brings_the_task_back_also_after_a_reload(browser: Browser, running: Site) -> None:
    with person(browser, running, "bob") as context:
        page = open_task(context, "comparison")
        asked = page.locator(".prompt").inner_text()
        read_all(page)
        page.keyboard.press("6")
        page.keyboard.press("Enter")
        submitted(page)
        assert page.locator(".prompt").inner_text() != asked
        page.keyboard.press("u")
        page.locator(".prompt", has_text=asked.splitlines()[-1]).wait_for()
        assert page.get_by_role("radio", checked=True).get_attribute("value") == "B2"  # as it was
        read_all(page)
        page.keyboard.press("2")
        page.keyboard.press("Enter")
        submitted(page)
        page.reload()
        page.wait_for_selector(TASK)
        page.get_by_role("button", name="Undo").click()
        page.locator(".prompt", has_text=asked.splitlines()[-1]).wait_for()
    rows = stored(running, "bob")[-4:]
    assert [row["kind"] for row in rows] == ["answer", "undo", "answer", "undo"]
    assert [rows[1]["supersedes"], rows[3]["supersedes"]] == [rows[0]["submission_id"], rows[2]["submission_id"]]


def test_a_skip_asks_why(browser: Browser, running: Site) -> None:
    with person(browser, running, "ann") as context:
        page = open_task(context, "comparison")
        page.keyboard.press("s")
        dialog = page.get_by_role("dialog", name="Skip")
        page.keyboard.press("Escape")
        assert dialog.count() == 0
        page.keyboard.press("s")
        page.keyboard.press("ArrowDown")  # the second reason
        dialog.get_by_label("A comment, if you like").fill("sss 123")  # typing is no command
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.locator("#live", has_text="Skipped.").wait_for(state="attached")
        row = stored(running, "ann")[-1]
        assert (row["kind"], row["reason"]) == ("skip", "The text is broken or in another language")
        assert row["comment"] == "sss 123"


def test_a_practice_item_teaches(browser: Browser, running: Site) -> None:
    with person(browser, running, "ann") as context:
        page = visit(context, "practice")
        assert page.locator(".practice").is_visible()
        read_all(page)
        wrong = "7" if "Reply 0" in page.locator(".response").first.inner_text() else "1"
        page.keyboard.press(wrong)
        page.keyboard.press("Enter")
        page.get_by_role("heading", name="Not what we were looking for").wait_for()
        assert "Because it is right." in page.locator(".feedback").inner_text()
        assert page.locator(".response").first.is_visible()
        assert page.evaluate("document.activeElement.textContent") == "Not what we were looking for"
        page.keyboard.press("Enter")
        page.locator(".feedback").wait_for(state="detached")
        submitted(page)
        assert page.locator(".practice").count() == 0
        assert page.get_by_role("button", name="Undo").is_disabled()


def test_keys_are_listed_and_can_be_switched_off(browser: Browser, running: Site) -> None:
    with person(browser, running, "ann") as context:
        page = open_task(context, "comparison")
        read_all(page)
        page.keyboard.press("?")
        dialog = page.get_by_role("dialog", name="Keys")
        assert "A much better" in dialog.inner_text()
        dialog.get_by_role("checkbox").uncheck()
        page.keyboard.press("Escape")
        page.keyboard.press("1")
        assert page.get_by_role("radio", checked=True).count() == 0
        page.keyboard.press("?")
        dialog.get_by_role("checkbox").check()
        page.keyboard.press("Escape")
        page.keyboard.press("1")
        assert page.get_by_role("radio", checked=True).count() == 1


def test_the_first_visit_begins_with_the_instructions(browser: Browser, running: Site, tmp_path: Path) -> None:
    with person(browser, running, "lea") as context:
        page = context.new_page()
        page.add_init_script("if (!sessionStorage.been) { localStorage.clear(); sessionStorage.been = 1 }")
        page.goto("/label/my-comparison")
        dialog = page.get_by_role("dialog", name="Instructions")
        assert "Is it true?" in dialog.inner_text()
        assert "Right: response A" in dialog.inner_text()
        dialog.get_by_role("button", name="Start").click()
        page.wait_for_selector(TASK)
        page.reload()
        page.wait_for_selector(TASK)
        assert dialog.count() == 0
        page.keyboard.press("i")
        assert dialog.is_visible()
