"""A person at the labelling service's pages: signed in, at a desk or on a phone, by mouse, finger or keyboard alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from axe_playwright_python.sync_playwright import Axe
from sqlalchemy import select

from candor.projects.schema import accounts, submissions

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

    from collect_site import Site

DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
SIZES = {"desk": DESK, "phone": PHONE}

TASK = ".task:not(.sending) h1.task-title"
"""There while a task is on screen and not on its way."""


@contextmanager
def person(
    browser: Browser,
    site: Site,
    name: str | None = None,
    *,
    size: dict[str, Any] = DESK,
    expected: str | None = None,
    **options: Any,
) -> Iterator[BrowserContext]:
    """A browser of one's own, signed in as ``name``, that knows the instructions.

    Errors of its pages fail the test, but for those that hold the text ``expected``.
    """
    context = browser.new_context(base_url=site.url, **size, **options)
    context.set_default_timeout(20_000)
    if name is not None:
        sign_in(context, site, name)
    told = "for (const p of ['comparison', 'ranking', 'rating']) localStorage.setItem(`candor:read:%s:my-${p}`, 'yes')"
    for each in {name or "", "ann", "bob"}:
        context.add_init_script(f"try {{ {told % each} }} catch {{}}")
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    context.on("console", lambda message: errors.append(message.text) if _is_error(message) else None)
    yield context
    context.close()
    errors = [error for error in errors if expected is None or expected not in error]
    assert not errors, f"the page reported errors: {errors}"


def _is_error(message: Any) -> bool:
    """An error, but for a refusal of the server, which browsers log as one too."""
    return message.type == "error" and not message.text.startswith("Failed to load resource")


def sign_in(context: BrowserContext, site: Site, name: str) -> None:
    token, _ = site.session(name)
    context.add_cookies([{"name": "candor_session", "value": token, "url": site.url}])


def open_task(context: BrowserContext, task: str) -> Page:
    """The labelling page with a task whose answers are open."""
    page = context.new_page()
    page.goto(f"/label/my-{task}")
    page.wait_for_selector(TASK)
    return page


def read_all(page: Page) -> None:
    """Goes through the responses as the page asks for it, by keyboard."""
    for _ in range(60):
        page.wait_for_timeout(60)
        if not page.locator(".why").inner_text().startswith("Read response"):
            return
        page.keyboard.press("PageDown")
    raise AssertionError("the answers did not open")


def submitted(page: Page) -> None:
    """Waits until the answer is stored and the next task (or the end) is there."""
    page.wait_for_selector(f"{TASK}, .message-panel h1")


def stored(site: Site, name: str | None = None) -> list[dict[str, Any]]:
    """What the database holds, in the order in which it came; answers by index of response."""
    query = select(submissions, accounts.c.name).join(accounts, accounts.c.id == submissions.c.account_id)
    with site.database.reading() as connection:
        rows = connection.execute(query.order_by(submissions.c.id)).mappings().all()
    return [dict(row) for row in rows if name in (None, row["name"])]


def by_place(row: dict[str, Any]) -> Any:
    """A stored answer as its annotator saw it."""
    from candor.projects.items import answer_by_places
    from candor.records import judgement_from_json

    return answer_by_places(row["shown_order"], judgement_from_json(row["answer"]))


def cards(page: Page) -> list[str]:
    """The ranking as it stands: the letters of each rank."""
    script = "all => all.map(r => [...r.querySelectorAll('.card .letter')].map(l => l.textContent).join('='))"
    return page.locator(".rank").evaluate_all(script)


def drag(page: Page, letter: str, x: float, y: float, *, touch: bool = False) -> None:
    """Drags the card of a letter by its handle to a point of the window, with a mouse or a finger."""
    box = page.locator(f".card[data-place='{ord(letter) - 65}'] .handle").bounding_box()
    assert box is not None
    start = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    if not touch:
        page.mouse.move(*start)
        page.mouse.down()
        page.mouse.move(x, (y + start[1]) / 2, steps=3)
        page.mouse.move(x, y, steps=3)
        page.mouse.up()
        return
    session = page.context.new_cdp_session(page)

    def finger(kind: str, *at: tuple[float, float]) -> None:
        points = [{"x": px, "y": py} for px, py in at]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    finger("touchStart", start)
    for step in range(1, 7):
        finger("touchMove", (start[0] + (x - start[0]) * step / 6, start[1] + (y - start[1]) * step / 6))
    finger("touchEnd")
    session.detach()


AXE = Axe().axe_script
RUN = """async () => {
    const {violations} = await axe.run(document, {resultTypes: ['violations']});
    return violations.filter(({impact}) => ['serious', 'critical'].includes(impact)).flatMap(({id, nodes}) =>
        nodes.map(({target, failureSummary}) => `${id}: ${target} ${failureSummary.slice(0, 200)}`));
}"""


def violations(page: Page) -> list[str]:
    """What axe finds on the page that is serious or critical."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found: list[str] = page.evaluate(RUN)
    return found
