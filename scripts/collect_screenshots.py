"""Takes the pictures of the labelling pages that the documentation shows, from the sample projects, labelled.

python scripts/collect_screenshots.py            writes docs/images/collect-*.png
Needs Playwright and a Chromium. The annotators are made up: four are careful, one always prefers the left side.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

from candor.collect.app import create_app
from candor.collect.sample import create_samples
from candor.projects import assignment, setup, submissions
from candor.projects.accounts import accounts, sessions
from candor.projects.database import Database, open_database
from candor.projects.submissions import Sent

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CAREFUL, SIDED = ("ines", "maya", "tomas", "yusuf"), "rob"
PAY = 18.0
TASK = ".task h1.task-title"


class Clock:
    """Time that goes on by itself and can be moved ahead, so that retests come due."""

    ahead = 0.0

    def __call__(self) -> float:
        return time.time() - 3 * 86_400 + self.ahead


def best_place(task: assignment.Task) -> int:
    """The place of the reply that is true: it holds the fact. Else the longer one."""
    claim = task.item.prompt.claim
    texts = [task.item.responses[index].text for index in task.shown_order]
    if claim is not None and claim.truth:
        right = [place for place, text in enumerate(texts) if claim.truth.removeprefix("the ") in text]
        if len(right) == 1:
            return right[0]
    return max(range(len(texts)), key=lambda place: len(texts[place]))


def label(database: Database, slug: str, name: str, rng: random.Random) -> None:
    """Labels until there is nothing left just now."""
    with database.reading() as connection:
        project = setup.find_project(connection, slug)
        account = accounts.find_account(connection, name)
        member = setup.find_member(connection, project.id, account.id)
    assert member is not None
    for count in range(400):
        now = database.now()
        with database.writing() as connection:
            task = assignment.next_task(connection, project, member, rng, now=now)
            if isinstance(task, assignment.Nothing):
                return
            seconds = rng.lognormvariate(2.6, 0.4) if name != SIDED else rng.lognormvariate(1.2, 0.3)
            right = best_place(task) if rng.random() < 0.93 else rng.randrange(2)
            best = right if name != SIDED or rng.random() < 0.2 else 0
            answer = {"best": best, "strength": rng.choice((1, 2, 2, 3)), "tie": False, "both_bad": False}
            sent = Sent(
                submission_id=f"{name}-{slug}-{count:08}-{task.fence:04}-{rng.randrange(10**9):09}",
                task_id=task.id,
                fence=task.fence,
                kind="answer",
                answer=answer,
                timing={"total": seconds + 2, "visible": seconds, "ready": 1.0, "focus_lost": 0},
            )
            submissions.submit(connection, project, member, sent, now=now)


def labelled(database: Database, clock: Clock) -> None:
    """The sample projects, members, and five annotators' labels on the comparison, retests included."""
    rng = random.Random(0)
    create_samples(database)
    now = database.now()
    with database.writing() as connection:
        for name, role in (("lea", "lead"), *((name, "annotator") for name in (*CAREFUL, SIDED, "ann"))):
            account = accounts.create_account(connection, name, role, now=now)  # type: ignore[arg-type]
            for project in setup.list_projects(connection):
                setup.add_member(connection, project, account.id, now=now)
        sample = setup.find_project(connection, "sample")
        setup.change_project(connection, sample, {"settings": {"overlap": 5, "pay_per_hour": PAY, "retest_rate": 0.2}})
        from sqlalchemy import update

        from candor.projects.schema import items

        connection.execute(update(items).where(items.c.project_id == sample.id).values(overlap=6))
    for hours in (0, 30, 24):
        clock.ahead += hours * 3_600
        for name in (*CAREFUL, SIDED):
            label(database, "sample", name, rng)


@contextmanager
def served(database: Database) -> Iterator[str]:
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(database, rng=random.Random(2)), port=0, log_level="warning", access_log=False, lifespan="off"
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(timeout=10)


@contextmanager
def opened(browser: Browser, database: Database, url: str, name: str, **options: Any) -> Iterator[Page]:
    """A page signed in as ``name`` that has read the instructions."""
    with database.writing() as connection:
        account = accounts.find_account(connection, name)
        token, _ = sessions.open_session(connection, account.id, now=database.now())
    context = browser.new_context(base_url=url, **options)
    context.add_cookies([{"name": "candor_session", "value": token, "url": url}])
    for slug in ("sample", "sample-ranking", "sample-rating"):
        context.add_init_script(f"localStorage.setItem('candor:read:{name}:{slug}', 'yes')")
    yield context.new_page()
    context.close()


def through_practice(page: Page, task: str) -> None:
    """Does the practice items, so that the picture shows what comes after them."""
    page.wait_for_selector(TASK)
    while page.locator(".practice").count():
        page.wait_for_timeout(1_300)
        for key in ("1",) if task == "comparison" else ("a", "1", "b", "2", "c", "3", "d", "4"):
            page.keyboard.press(key)
        page.keyboard.press("Enter")
        page.locator(".feedback h2").wait_for()
        page.keyboard.press("Enter")
        page.locator(".feedback").wait_for(state="detached")
        page.wait_for_selector(TASK)
    page.wait_for_timeout(1_300)


def lengths(page: Page) -> list[int]:
    """Of the second and the first response's text."""
    texts = page.locator(".response .prose").all_inner_texts()
    return [len(text) for text in reversed(texts)]


def comparison(page: Page, picture: Path) -> None:
    page.goto("/label/sample")
    through_practice(page, "comparison")
    while (shown := lengths(page))[0] + 60 > shown[1] and page.locator(TASK).count():  # two that differ make a picture
        page.keyboard.press("4")
        page.keyboard.press("Enter")
        page.wait_for_timeout(1_500)
    page.keyboard.press("2")
    page.mouse.move(1_279, 400)
    page.screenshot(path=picture)


def ranking(page: Page, picture: Path) -> None:
    page.goto("/label/sample-ranking")
    page.wait_for_selector(TASK)
    for _ in range(6):
        page.keyboard.press("PageDown")
        page.wait_for_timeout(250)
    page.wait_for_timeout(1_000)
    for key in ("d", "1", "b", "2", "a", "ArrowUp", "="):
        page.keyboard.press(key)
    page.locator(".board").evaluate(
        "(e) => window.scrollBy({top: e.getBoundingClientRect().top - 230, behavior: 'instant'})"
    )
    page.wait_for_timeout(200)
    page.screenshot(path=picture)


def dashboard(page: Page, picture: Path) -> None:
    page.goto("/lead/sample#annotators")
    page.get_by_role("row", name=SIDED).first.wait_for()
    page.screenshot(path=picture)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="directory of the pictures (%(default)s)")
    out: Path = parser.parse_args().out
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    flags = ["--no-sandbox"] if os.geteuid() == 0 else []
    desk: dict[str, Any] = {"viewport": {"width": 1280, "height": 620}, "color_scheme": "light"}
    phone = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        clock = Clock()
        database = open_database(str(Path(folder) / "collect.db"), create=True, clock=clock)
        labelled(database, clock)
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        with served(database) as url:
            for take, name, options in (
                (comparison, "ann", desk),
                (ranking, "ann", {**phone, "color_scheme": "dark"}),
                (dashboard, "lea", {**desk, "viewport": {"width": 1280, "height": 860}}),
            ):
                picture = out / f"collect-{take.__name__}.png"
                with opened(browser, database, url, name, **options) as page:
                    take(page, picture)
                print(picture)
        browser.close()
        database.close()


if __name__ == "__main__":
    main()
