"""What a model wrote is shown and never run: more than two hundred payloads in a real browser, everywhere texts go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import Error
from sqlalchemy import update

import collect_site
from candor.projects.items import Gold, NewItem, add_items
from candor.projects.schema import projects
from candor.projects.setup import change_project
from candor.records import Completion, Message, Prompt, Ranking
from collect_pages import person
from collect_site import Site
from payloads import ELSEWHERE, payloads

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

pytestmark = pytest.mark.browser

AT_ONCE = 7
WATCHED = "window.__found = []; window.__ran = n => { window.__found.push(String(n)); return '' };"
ACTIVE = """() => [...document.querySelectorAll('*')].filter(e =>
    (e.localName === 'script' && !e.src.startsWith(location.origin + '/static/')) ||
    ['iframe', 'object', 'embed', 'base', 'style', 'link', 'meta'].includes(e.localName) && e.closest('main') ||
    e.localName === 'form' && e.hasAttribute('action') ||
    [...e.attributes].some(a => a.name.startsWith('on')) ||
    /^\\s*(javascript|data|vbscript|blob):/i.test(e.getAttribute('href') || '')
  ).map(e => e.outerHTML.slice(0, 200))"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with collect_site.site(tmp_path_factory.mktemp("site"), tasks=["ranking"], items=0) as found:
        texts = payloads()
        groups = [texts[start : start + AT_ONCE] for start in range(0, len(texts), AT_ONCE)]
        groups[-1] = texts[-AT_ONCE:]
        with found.database.writing() as connection:
            project = change_project(
                connection,
                found.projects["ranking"],
                {"title": texts[0], "instructions": "\n\n".join(texts), "settings": {"lease_minutes": 1000}},
            )
            right = Ranking(order=tuple((i,) for i in range(AT_ONCE)))
            items = [_item(f"hostile{n}", group, "main", None) for n, group in enumerate(groups)]
            items += [
                _item(f"example{n}", group, "example", Gold(answer=right, why="\n\n".join(group)))
                for n, group in enumerate(groups[:3])
            ]
            add_items(connection, project, items, now=0.0)
            connection.execute(update(projects).values(title=texts[0]))
        yield found


def _item(key: str, texts: list[str], kind: Any, gold: Gold | None) -> NewItem:
    messages = tuple(Message(role="user" if n % 2 == 0 else "assistant", content=t) for n, t in enumerate(texts))
    replies = tuple(
        Completion(id=f"{key}:{n}", prompt_id=key, text=text, policy=text[:50]) for n, text in enumerate(texts)
    )
    return NewItem(key=key, prompt=Prompt(id=key, messages=messages), responses=replies, kind=kind, gold=gold)


def _watch(context: BrowserContext) -> list[str]:
    """Requests to anywhere else; what runs is in ``window.__found``."""
    away: list[str] = []
    context.add_init_script(WATCHED)
    context.on("request", lambda request: away.append(request.url) if ELSEWHERE in request.url else None)
    return away


def test_there_are_enough_and_they_do_run_where_nothing_stops_them(browser: Browser) -> None:
    """The control: in a page without any protection dozens of them run, so that the watch below can see."""
    texts = payloads()
    assert len(set(texts)) >= 200
    context = browser.new_context(offline=True)
    _watch(context)
    page = context.new_page()
    page.goto("about:blank")
    ran: set[str] = set()
    for text in texts:
        try:
            page.set_content(f"<!doctype html><body>{text}", wait_until="commit", timeout=1_000)
            ran.update(page.evaluate("window.__found || []"))
        except Error:  # it took the page elsewhere, or ended it
            page.close()
            page = context.new_page()
            page.goto("about:blank")
    context.close()
    assert len(ran) >= 20, sorted(ran)


def test_none_runs_where_an_annotator_reads_it(browser: Browser, site: Site) -> None:
    with person(browser, site, "ann") as context:
        away = _watch(context)
        page = context.new_page()
        page.goto("/label/my-ranking")
        page.wait_for_selector(".task h1.task-title")
        shown: set[str] = set()
        while page.locator(".task").count():
            text = page.inner_text("main")
            shown.update(n for n, _ in enumerate(payloads()) if f"__ran(`{n}`)" in text)
            assert page.evaluate(ACTIVE) == []
            assert page.evaluate("window.__found") == []
            _skip(site, page)
            page.reload()
            page.wait_for_selector(".task h1.task-title, .message-panel h1")
        assert not away
    assert len(shown) > 100, "they were on screen, as texts"


def _skip(site: Site, page: Any) -> None:
    """Skips the task on screen over the API."""
    client = site.client("ann")
    task = client.post("/api/projects/my-ranking/tasks/next").json()
    body = {"submission_id": f"skip-{task['task_id']:020d}", "task_id": task["task_id"], "fence": task["fence"]}
    done = client.post("/api/projects/my-ranking/submissions", json=body | {"kind": "skip", "reason": "hostile"})
    assert done.status_code == 201


@pytest.mark.parametrize(("name", "path"), [("ann", "/"), ("lea", "/lead/my-ranking"), ("ada", "/admin")])
def test_none_runs_on_the_other_pages(browser: Browser, site: Site, name: str, path: str) -> None:
    with person(browser, site, name) as context:
        away = _watch(context)
        page = context.new_page()
        page.goto(path)
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(200)
        for tab in page.get_by_role("tab").all():
            tab.click()
            page.wait_for_timeout(100)
        assert page.evaluate(ACTIVE) == []
        assert page.evaluate("window.__found") == []
        assert not away
