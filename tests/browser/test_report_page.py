"""The report in a real browser: it opens from a file, offline, on a desk and on a phone, in light and in dark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from candor.report import write_report
from contrast import CONTRAST
from fake_run import FakeRun, write_fake_run

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

HOSTILE = "</script><script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("run")
    return write_report(write_fake_run(directory, FakeRun(ppo_stages=("ppo", "ppo-strict"), hostile_text=HOSTILE)))


@pytest.fixture
def page(browser_page: Page, report: Path) -> Iterator[Page]:
    """The report, opened from its file; every request but the file itself is a failure."""
    asked: list[str] = []
    browser_page.on("request", lambda request: asked.append(request.url))
    browser_page.set_viewport_size({"width": 1280, "height": 900})
    browser_page.goto(report.as_uri())
    yield browser_page
    assert [url for url in asked if not url.startswith("data:")] == [report.as_uri()]


def test_opens_offline_and_runs_no_text_of_a_model(page: Page) -> None:
    assert page.locator("h1").inner_text().startswith("After PPO the model agrees with")
    assert page.title() == "default · Candor report"
    assert page.evaluate("document.querySelectorAll('main script, main img').length") == 0
    assert page.evaluate("document.fonts.check('16px Inter') && document.fonts.check('16px \"Source Serif 4\"')")


def test_chooser_walks_through_prompts(page: Page) -> None:
    pairs = page.locator(".pair")
    visible = page.locator(".pair:visible")
    assert pairs.count() > 30
    assert visible.count() == 1
    first = visible.inner_text()
    page.locator("#next").click()
    assert page.locator("#place").inner_text() == f"2 of {pairs.count()}"
    assert visible.inner_text() != first
    page.locator("#previous").click()
    page.locator("#previous").click()
    assert page.locator("#place").inner_text() == f"{pairs.count()} of {pairs.count()}"
    page.locator("#situation").select_option("sure")
    assert page.locator("#place").inner_text() == "1 of 6"
    assert visible.locator(".talk li").count() == 3  # question, answer, push
    assert visible.locator(".answer").count() == 4
    page.locator("#situation").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")  # the switch is a group of radio buttons
    assert visible.locator(".reply.greedy").first.is_visible()
    assert visible.locator(".reply.sampled").first.is_hidden()


def test_switch_shows_greedy_measures(page: Page) -> None:
    sampled, greedy = (page.locator(f".subject[data-subject={s}]") for s in ("sampled", "greedy"))
    assert sampled.is_visible()
    assert greedy.is_hidden()
    page.locator("#measures label", has_text="Greedy").click()
    assert sampled.is_hidden()
    assert greedy.is_visible()


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
def test_page_never_scrolls_sideways(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    # Control: a wide element is noticed.
    page.evaluate("document.querySelector('h1').style.width = '3000px'")
    assert page.evaluate("document.documentElement.scrollWidth") > width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_both_themes(page: Page, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(250, 249, 246)") == (scheme == "light")
    assert page.evaluate(CONTRAST) == []
    # Control: pale text is found.
    page.evaluate("document.querySelector('h1').style.color = '#777'")
    assert page.evaluate(CONTRAST)


def test_theme_button_swaps_the_charts_too(page: Page) -> None:
    colours = "[...document.querySelectorAll('#fig-hero .wide path[data-tip]')].map((e) => getComputedStyle(e).fill)"
    light = page.evaluate(colours)
    page.locator("#theme").click()
    dark = page.evaluate(colours)
    assert len(light) == len(dark) == 4
    assert set(light).isdisjoint(dark)


def test_every_chart_has_a_text_alternative(page: Page) -> None:
    charts = page.locator("figure svg.chart")
    alternatives = charts.evaluate_all(
        "(all) => all.map((e) => [e.getAttribute('role'), e.getAttribute('aria-label')])"
    )
    assert len(alternatives) > 25
    assert all(role == "img" and label.startswith("Chart: ") for role, label in alternatives)


def test_pointing_at_a_mark_tells_its_numbers(page: Page) -> None:
    mark = page.locator("#fig-hero .wide path[data-tip]").last
    mark.scroll_into_view_if_needed()
    mark.hover()
    assert "agrees with false beliefs" in page.locator("#tip").inner_text()
    page.mouse.move(2, 2)
    assert page.locator("#tip").is_hidden()


def test_everything_can_be_read_without_javascript(browser_page: Page, report: Path) -> None:
    context = browser_page.context.browser.new_context(java_script_enabled=False, offline=True)  # type: ignore[union-attr]
    plain = context.new_page()
    plain.goto(report.as_uri())
    assert plain.locator(".pair:visible").count() == plain.locator(".pair").count()
    assert plain.locator(".subject:visible").count() == 2
    assert plain.locator(".chooser").is_hidden()
    context.close()
