"""The page of an audit in a real browser: offline, on a desk and on a phone, with a file that means harm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from candor.report.checks import write_page
from contrast import CONTRAST
from fake_audit import FakeAudit, document

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

HOSTILE = (
    "</script><script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">"
    "<svg onload=\"document.title = 'owned'\"></svg>' onfocus='document.title = 1' autofocus x='"
)


@pytest.fixture(scope="module")
def audit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = document(FakeAudit(hostile=HOSTILE, against=True, annotators=48))
    made["checks"][3]["examples"][0]["texts"]["prompt"] = "A long text. " * 400
    return write_page(made, tmp_path_factory.mktemp("audits") / "pairs")


@pytest.fixture
def page(browser_page: Page, audit: Path) -> Iterator[Page]:
    """The page, opened from its file; every request but the file itself is a failure."""
    asked: list[str] = []
    browser_page.on("request", lambda request: asked.append(request.url))
    browser_page.set_viewport_size({"width": 1280, "height": 900})
    browser_page.goto(audit.as_uri())
    yield browser_page
    assert [url for url in asked if not url.startswith("data:")] == [audit.as_uri()]


def test_opens_offline_and_runs_no_text_of_the_file(page: Page) -> None:
    assert page.locator("h1").inner_text().startswith("3 concerns: side bias")
    assert page.title() == "pairs.jsonl · Candor audit"
    assert (
        page.evaluate("document.querySelectorAll('main script, main img, main svg svg, [onload], [onerror]').length")
        == 0
    )
    assert page.evaluate("document.activeElement === document.body")
    assert page.evaluate("document.fonts.check('16px Inter') && document.fonts.check('16px \"Source Serif 4\"')")
    # Control: the payload works where it is let in.
    page.evaluate(
        "(text) => { document.querySelector('footer').innerHTML = text; }",
        "<img src onerror=\"document.title='owned'\">",
    )
    page.wait_for_function("document.title === 'owned'")


def test_every_kind_of_chart_is_there_with_its_alternative(page: Page) -> None:
    charts = page.locator("figure svg.chart")
    told = charts.evaluate_all("(all) => all.map((e) => [e.getAttribute('role'), e.getAttribute('aria-label')])")
    assert len(told) == 8  # five charts, three of them once per width of the screen
    assert all(role == "img" and label.startswith("Chart: ") for role, label in told)
    marks = [
        page.locator(f"figure svg.chart {kind}").count()
        for kind in (".mark-rule", ".mark-area", ".mark-rect", ".mark-symbol")
    ]
    assert all(marks)
    assert page.locator("svg.chart.wide:visible").count() == 3
    page.set_viewport_size({"width": 375, "height": 800})
    assert page.locator("svg.chart.wide:visible").count() == 0
    assert page.locator("svg.chart.narrow:visible").count() == 3


def test_pointing_at_a_mark_tells_its_numbers(page: Page) -> None:
    mark = page.locator("#fig-c4-length-0 .wide path[data-tip]").last
    mark.scroll_into_view_if_needed()
    mark.hover(force=True)
    assert "n = 9,700" in page.locator("#tip").inner_text()


@pytest.mark.parametrize("width", [320, 375, 768, 1280])
def test_page_never_scrolls_sideways(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.locator(".read").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator("#reader").evaluate("(e) => e.scrollWidth <= e.clientWidth")
    # Control: a wide element is noticed.
    page.evaluate("document.querySelector('h1').style.width = '3000px'")
    assert page.evaluate("document.documentElement.scrollWidth") > width


def test_numbers_on_a_phone_are_whole_words_and_need_no_scrolling(page: Page) -> None:
    page.set_viewport_size({"width": 375, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    hidden = "(all) => all.filter((e) => e.scrollWidth > e.clientWidth).length"
    assert page.locator(".found .scroll").evaluate_all(hidden) == 0
    tops = "(all) => all.map((tr) => new Set([...tr.cells].slice(2).map((td) => td.offsetTop)).size)"
    assert set(page.locator(".findings tbody tr").evaluate_all(tops)) == {1}  # the figures stand side by side
    broken = """(all) => all.filter((e) => {
        const range = document.createRange(), text = e.firstChild;
        return [...text.data.matchAll(/\\S+/g)].some((word) => {
            range.setStart(text, word.index); range.setEnd(text, word.index + word[0].length);
            return range.getClientRects().length > 1;
        });
    }).length"""
    names = page.locator(".findings th[scope=row]")
    assert names.count() > 5
    assert names.evaluate_all(broken) == 0
    # Control: a narrow column breaks words.
    page.add_style_tag(content=".findings th[scope=row] { width: 3ch !important; }")
    assert names.evaluate_all(broken) > 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_both_themes(page: Page, scheme: Any) -> None:
    page.emulate_media(color_scheme=scheme)
    assert page.evaluate(CONTRAST) == []
    # Control: pale text is found.
    page.evaluate("document.querySelector('h1').style.color = '#777'")
    assert page.evaluate(CONTRAST)


def test_theme_button_swaps_the_charts_too(page: Page) -> None:
    marks = "document.querySelectorAll('#fig-c3-side-bias-0 .wide path[data-tip]')"
    colours = f"[...{marks}].map((e) => getComputedStyle(e).fill)"
    light = page.evaluate(colours)
    page.locator("#theme").click()
    dark = page.evaluate(colours)
    assert len(light) == len(dark) == 47  # one annotator was not measured
    assert set(light).isdisjoint(dark)


def test_a_row_is_read_in_full_by_keyboard_alone(page: Page) -> None:
    rows = page.locator("#c3-side-bias .example, [id^=c3-] .example")
    clamped = rows.first.locator(".texts dd").first
    assert clamped.evaluate("(e) => e.scrollHeight > e.clientHeight")
    rows.first.locator(".read").focus()
    page.keyboard.press("Enter")
    reader = page.locator("#reader")
    assert reader.is_visible()
    assert page.locator("#reader-title").inner_text() == "Row 4 of pairs.jsonl"
    assert len(page.locator("#reader-texts dd").first.inner_text()) > 1_400
    assert "</script><script>" in page.locator("#reader-texts").inner_text()
    page.keyboard.press("ArrowRight")
    assert page.locator("#reader-title").inner_text() == "Row 21 of pairs.jsonl"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.locator("#reader-title").inner_text() == "Row 38 of pairs.jsonl"
    page.keyboard.press("Escape")
    assert reader.is_hidden()
    assert page.evaluate("document.activeElement.className").startswith("read")


def test_the_place_of_a_row_can_be_copied(page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    row = page.locator("[id^=c4-] .example").nth(1)
    row.locator(".copy").click()
    row.locator(".copy", has_text="Copied").wait_for(timeout=5_000)  # the clipboard answers when it is ready
    assert page.evaluate("navigator.clipboard.readText()") == "pairs.jsonl:21"


def test_links_of_the_summary_lead_to_their_check(page: Page) -> None:
    page.locator("#checks a", has_text="Transitivity").click()
    assert page.locator("article:target h3").inner_text() == "Transitivity"


def test_everything_is_on_paper_and_without_javascript(browser_page: Page, audit: Path) -> None:
    context = browser_page.context.browser.new_context(java_script_enabled=False, offline=True)  # type: ignore[union-attr]
    plain = context.new_page()
    plain.goto(audit.as_uri())
    assert plain.locator(".texts dd:visible").count() == plain.locator(".texts dd").count() > 10
    assert plain.locator(".copy:visible, .read:visible, #reader:visible").count() == 0
    context.close()
    browser_page.goto(audit.as_uri())
    browser_page.emulate_media(media="print")
    assert browser_page.locator("nav:visible, .copy:visible, .theme:visible").count() == 0
    text = browser_page.locator(".texts dd").first
    assert text.evaluate("(e) => e.scrollHeight <= e.clientHeight + 1")
