"""Leads and admins in a real browser: signing in, inviting, settings, items, files, accounts, statistics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx
import pytest

from candor.collect.pages import static_files
from candor.preferences.formats.writing import TARGETS
from candor.projects.items import list_items
from candor.projects.setup import find_project
from collect_dashboard import stub_quality
from collect_pages import TASK, person, read_all, stored, submitted
from collect_site import PASSWORD, Site, site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

    from candor.projects.setup import Project

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site"), tasks=("comparison",)) as made:
        yield made


def label(running: Site, name: str) -> None:
    """One comparison by the API."""
    with running.client(name) as client:
        task = client.post("/api/projects/my-comparison/tasks/next").raise_for_status().json()
        body = {
            "submission_id": str(uuid4()),
            "task_id": task["task_id"],
            "fence": task["fence"],
            "answer": {"best": 0},
        }
        client.post("/api/projects/my-comparison/submissions", json=body).raise_for_status()


def project(running: Site) -> Project:
    with running.database.reading() as connection:
        return find_project(connection, "my-comparison")


def dashboard(context: BrowserContext, view: str = "progress") -> Page:
    page = context.new_page()
    stub_quality(page)
    page.goto(f"/lead/my-comparison#{view}")
    page.locator(".view .loading").wait_for(state="detached")
    return page


def test_files_have_types_tags_and_no_way_out(running: Site) -> None:
    names = static_files()
    assert {"label.js", "lead/main.js", "base.css", "index.html", "icon.svg"} <= set(names)
    with httpx.Client(base_url=running.url) as client:
        for path, kind in (
            ("/label/x", "text/html"),
            ("/static/label.js", "text/javascript"),
            ("/static/base.css", "text/css"),
        ):
            answer = client.get(path)
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith(kind)
            assert "script-src 'self'" in answer.headers["content-security-policy"]
            again = client.get(path, headers={"If-None-Match": answer.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
            assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
        for path in (
            "/static/../pages.py",
            "/static/%2e%2e/pages.py",
            "/static/..%2fapp.py",
            "/static/index.html",
            "/static/",
        ):
            assert client.get(path).status_code == 404
    html = [file.content.decode() for name, file in names.items() if name.endswith(".html")]
    assert not any(" style=" in text or "<style" in text or "onclick" in text or "<script>" in text for text in html)


def test_signing_in_leads_back_and_nowhere_else(browser: Browser, running: Site) -> None:
    with person(browser, running) as context:
        page = context.new_page()
        page.goto("/label/my-comparison")
        page.get_by_label("Name").fill("Bob")
        page.get_by_label("Password").fill("wrong, I fear")
        page.keyboard.press("Enter")
        page.get_by_text("Name and password do not match.").wait_for()
        page.get_by_label("Password").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_selector(TASK)
        page.locator(".menu summary").click()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("heading", name="Sign in").wait_for()
        for away in ("//evil.test/", "https://evil.test/", "/\\evil.test"):
            page.goto(f"/?next={away}")
            page.get_by_label("Name").fill("bob")
            page.get_by_label("Password").fill(PASSWORD)
            page.keyboard.press("Enter")
            page.get_by_role("heading", name="Your projects").wait_for()
            assert page.url.startswith(running.url)
            page.locator(".menu summary").click()
            page.get_by_role("button", name="Sign out").click()
            page.get_by_role("heading", name="Sign in").wait_for()


def test_an_invitation_becomes_an_annotator_who_labels(browser: Browser, running: Site) -> None:
    with person(browser, running, "lea") as context:
        page = dashboard(context, "people")
        page.get_by_label("Note, for you").fill("for Cy")
        page.get_by_role("button", name="Make a link").click()
        link = page.get_by_label("The link, shown this once.").input_value()
        page.get_by_label("Note, for you").fill("a mistake")
        page.get_by_role("button", name="Make a link").click()
        page.get_by_role("button", name="Revoke a mistake").click()
        page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        page.get_by_role("button", name="Revoke a mistake").wait_for(state="detached")
        assert page.get_by_role("button", name="Revoke for Cy").is_visible()
    asked: list[str] = []
    with person(browser, running) as context:
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.goto(link)
        page.get_by_role("heading", name="Welcome").wait_for()
        assert "#" not in page.url
        assert not any(link.partition("#")[2] in url for url in asked)
        page.get_by_label("Name").fill("cy")
        page.get_by_label("Password", exact=True).fill("short")
        page.get_by_label("Password again").fill("short")
        page.get_by_role("button", name="Join").click()
        assert page.get_by_label("Password", exact=True).evaluate("(e) => e.validity.tooShort")
        page.get_by_label("Password", exact=True).fill("a long enough secret")
        page.get_by_label("Password again").fill("a long enough secret")
        page.get_by_role("button", name="Join").click()
        page.get_by_role("link", name="Label: My comparison").click()
        page.get_by_role("button", name="Start").click()
        page.wait_for_selector(TASK)
        read_all(page)
        page.keyboard.press("1")
        page.keyboard.press("Enter")
        submitted(page)
    assert len(stored(running, "cy")) == 1


def test_progress_pause_and_the_next_batch(browser: Browser, running: Site) -> None:
    with person(browser, running, "lea") as context:
        page = dashboard(context)
        assert "of 18" in page.locator(".figures").inner_text()
        page.get_by_role("button", name="Pause the project").click()
        page.get_by_role("button", name="Start it again").wait_for()
        assert project(running).paused
        other = context.new_page()
        other.goto("/label/my-comparison")
        other.get_by_role("heading", name="The project is paused").wait_for()
        page.get_by_role("button", name="Start it again").click()
        page.get_by_role("button", name="Pause the project").wait_for()
        page.get_by_role("button", name="Open batch 2").click()
        page.get_by_role("heading", name="Batch 2").wait_for()
        assert (project(running).paused, project(running).batch) == (False, 2)


def test_settings_are_sent_where_they_were_changed(browser: Browser, running: Site) -> None:
    before = project(running).settings
    with person(browser, running, "lea") as context:
        page = dashboard(context, "settings")
        page.get_by_label("Annotators per item").fill("5")
        page.get_by_label("Pay per hour", exact=True).fill("18.5")
        page.get_by_label("Ties are allowed").uncheck()
        page.get_by_label("Alpha, at least").fill("0.5")
        page.get_by_role("button", name="Save").click()
        page.get_by_text("Saved.").wait_for()
        now = project(running).settings
        changed = {"overlap": 5, "pay_per_hour": 18.5, "ties": False}
        assert now == before.model_copy(
            update=changed | {"gate": before.gate.model_copy(update={"alpha_at_least": 0.5})}
        )
        page.get_by_label("Share of items drawn uniformly").fill("0.1")
        page.get_by_role("button", name="Save").click()
        page.get_by_text("greater than or equal to 0.25").wait_for()  # the server's words, in the form
        assert project(running).settings == now


def test_items_are_taken_out_and_given_an_answer(browser: Browser, running: Site) -> None:
    with person(browser, running, "lea") as context:
        page = dashboard(context, "items")
        page.get_by_role("button", name="Take out k0").click()
        page.get_by_role("button", name="Put back k0").wait_for()
        page.get_by_role("button", name="Right answer of k1").click()
        dialog = page.get_by_role("dialog", name="Right answer of k1")
        dialog.get_by_label("The better one").select_option("1")
        dialog.get_by_label("What tempts").select_option("polite_wrong")
        dialog.get_by_label("Why, in Markdown").fill("It is *true*.")
        dialog.get_by_role("button", name="Save").click()
        dialog.wait_for(state="detached")
        page.get_by_label("Kind").select_option("example")
        page.get_by_text("1 to 1 of 1").wait_for()
    with running.database.reading() as connection:
        items = {item.key: item for item in list_items(connection, project(running).id)}
    assert not items["k0"].active
    gold = items["k1"].gold
    assert gold is not None
    assert (gold.trap, gold.why) == ("polite_wrong", "It is *true*.")


def test_files_go_in_and_out(browser: Browser, running: Site, tmp_path: Path) -> None:
    rows = [{"key": f"new{i}", "prompt": f"New {i}?", "responses": ["Yes.", "No."]} for i in range(3)]
    file = tmp_path / "new.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows))
    label(running, "ada")
    with person(browser, running, "lea") as context:
        page = dashboard(context, "data")
        page.get_by_label("File").first.set_input_files(file)
        page.get_by_role("button", name="Import").click()
        page.get_by_text("added 3").wait_for()
        with page.expect_download() as download:
            page.get_by_role("button", name="Export").click()
        assert download.value.suggested_filename == "my-comparison.jsonl"
        labels = Path(download.value.path()).read_text().splitlines()
        assert len(labels) == len(stored(running)) >= 1
        page.get_by_text(f"{len(labels)} labels.").wait_for()
        offered = page.get_by_label("Format").locator("option").evaluate_all("all => all.map(e => e.value)")
        assert sorted(offered) == sorted(TARGETS)
        file.write_text("not a row")
        page.get_by_label("File").first.set_input_files(file)
        page.get_by_role("button", name="Import").click()
        page.locator(".problem:visible").wait_for()


def test_statistics_are_shown_with_their_intervals(browser: Browser, running: Site) -> None:
    with person(browser, running, "lea") as context:
        page = dashboard(context, "annotators")
        row = page.get_by_role("row", name="bob").first
        assert "concern" in row.inner_text()
        assert "1.40" in row.inner_text()
        assert "n 200\n1.10 to 1.80" in row.inner_text()
        assert page.get_by_text("prefers the left side; is faster than one can read.").is_visible()
        assert page.get_by_role("row", name="Krippendorff's alpha").inner_text().split()[2:6] == [
            "0.52",
            "n",
            "300",
            "0.44",
        ]
        page.get_by_role("link", name="Gate").click()
        page.get_by_text("This batch does not pass.").wait_for()
        assert page.locator(".checks .tag").all_inner_texts() == ["passes", "not known yet", "fails"]
        page.get_by_role("link", name="Pay").click()
        page.get_by_text("33.73 USD").wait_for()
        # Robust: what is missing is shown as missing.
        page.route("**/quality", lambda route: route.fulfill(json={"annotators": [{"name": "ann"}], "agreement": None}))
        page.get_by_role("link", name="Annotators").click()
        page.get_by_role("row", name="ann").wait_for()
        page.route("**/quality", lambda route: route.fulfill(status=500, json={"error": {"what": "it broke"}}))
        page.get_by_role("link", name="Gate").click()
        page.get_by_role("link", name="Annotators").click()
        page.get_by_role("alert").get_by_text("it broke").wait_for()


def test_the_real_statistics_gold_and_arm(browser: Browser, running: Site) -> None:
    label(running, "lea")
    with person(browser, running, "lea") as context:
        page = context.new_page()
        page.goto("/lead/my-comparison#data")
        for heading, count in (("Gold items", "8"), ("The arm that hides the user's belief", "6")):
            block = page.locator(".block", has=page.get_by_role("heading", name=heading))
            block.get_by_label("How many").fill(count)
            block.get_by_role("button", name="Make them").click()
            block.get_by_text(f"added {count}").wait_for()
        for view in ("Annotators", "Gate", "Pay"):
            page.get_by_role("link", name=view, exact=True).click()
            there = page.get_by_text("does not pass") if view == "Gate" else page.get_by_role("row", name="a02")
            there.first.wait_for()
            assert page.get_by_role("alert").count() == 0


def test_an_admin_makes_accounts_and_projects(browser: Browser, running: Site) -> None:
    with person(browser, running, "ada") as context:
        page = context.new_page()
        page.goto("/admin")
        page.get_by_text("New account").click()
        page.get_by_label("Name", exact=True).fill("dee")
        page.get_by_label("Role", exact=True).select_option("lead")
        page.get_by_role("button", name="Make the account").click()
        link = page.get_by_label("A link that signs dee in once").input_value()
        page.get_by_role("button", name="Shut out bob").click()
        page.get_by_role("dialog").get_by_role("button", name="Shut out").click()
        page.get_by_role("button", name="Let in bob").click()
        page.get_by_role("button", name="Shut out bob").wait_for()
        page.get_by_text("New project").click()
        page.get_by_label("Title").fill("Second")
        page.get_by_label("Short name").fill("second")
        page.get_by_label("Task").select_option("ranking")
        page.get_by_role("button", name="Make the project").click()
        page.get_by_role("heading", name="Second").wait_for()
    with person(browser, running) as context:
        page = context.new_page()
        page.goto(link)
        page.get_by_role("heading", name="Hello, dee").wait_for()
        page.get_by_role("button", name="Not now").click()
        page.get_by_role("heading", name="Your projects").wait_for()
        page.goto(link)  # a link works once
        page.get_by_role("heading", name="This link does not work").wait_for()
        page.goto("/account")
        page.get_by_label("New password").fill("another long secret")
        page.get_by_role("button", name="Change it").click()
        page.get_by_text("The password is changed.").wait_for()
        page.get_by_label("What it is for").fill("a script")
        page.get_by_role("button", name="Make a token").click()
        token = page.get_by_label("The token, shown this once").input_value()
        bearer = {"Authorization": f"Bearer {token}"}
        assert httpx.get(f"{running.url}/api/session", headers=bearer).json()["name"] == "dee"
        page.get_by_role("button", name="End a script").click()
        page.get_by_role("dialog").get_by_role("button", name="End it").click()
        page.get_by_role("button", name="End a script").wait_for(state="detached")
        assert httpx.get(f"{running.url}/api/session", headers=bearer).status_code == 401


def test_a_model_cannot_put_anything_but_text_on_the_page(browser: Browser, running: Site) -> None:
    """The page's own guard, should the server's ever fail: only an allow-list of elements is built."""
    hostile = (
        "<p onclick=\"document.title='owned'\">kept</p><img src=x onerror=\"document.title='owned'\" alt='a picture'>"
        "<script>document.title='owned'</script><svg onload=\"document.title='owned'\"></svg>"
        "<iframe srcdoc='x'></iframe>"
        "<a href=\"javascript:document.title='owned'\">link</a><form action=/x><input name=y></form><style>*{}</style>"
    )
    task = {
        "task_id": 1, "fence": 1, "purpose": "main", "expires_at": 4e9, "answered": 0, "minutes": 1,
        "prompt": [{"role": "user", "html": hostile, "text": "x"}],
        "responses": [{"place": 0, "html": hostile, "text": "x"}, {"place": 1, "text": hostile}],
    }  # fmt: skip
    with person(browser, running, "ann", expected="Content Security Policy") as context:
        page = context.new_page()
        page.route("**/tasks/next", lambda route: route.fulfill(json=task))
        page.goto("/label/my-comparison")
        page.wait_for_selector(TASK)
        inside = ".prose *"
        kinds = page.locator(inside).evaluate_all("all => [...new Set(all.map(e => e.localName))].sort()")
        assert kinds == ["a", "p"]
        attributes = page.locator(inside).evaluate_all("all => all.flatMap(e => e.getAttributeNames())")
        assert attributes == []
        assert page.locator(".response").nth(0).inner_text().split()[-4:] == ["A", "kept", "a", "picturelink"]
        assert "<script>" in page.locator(".response").nth(1).inner_text()
        assert page.title() == "My comparison · Candor"
    # Control: the payload works where it is let in.
    bare = browser.new_page()
    bare.set_content(hostile)
    bare.wait_for_function("document.title === 'owned'")
    bare.close()
