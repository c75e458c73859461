"""The three tasks in a real browser: by mouse, by finger and by keyboard alone, at a desk and on a phone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from collect_pages import PHONE, SIZES, by_place, cards, drag, open_task, person, read_all, stored, submitted
from collect_site import Site, site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

PEOPLE = {("desk", "pointer"): "ann", ("desk", "keys"): "bob", ("phone", "pointer"): "lea", ("phone", "keys"): "ada"}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("site"), items=8, overlap=6) as made:
        yield made


@pytest.fixture(params=list(PEOPLE), ids="-".join)
def how(request: pytest.FixtureRequest) -> tuple[str, str]:
    return request.param


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def test_comparison(browser: Browser, running: Site, how: tuple[str, str]) -> None:
    size, way = how
    before = len(stored(running, PEOPLE[how]))
    with person(browser, running, PEOPLE[how], size=SIZES[size]) as context:
        page = open_task(context, "comparison")
        read_all(page)
        if way == "keys":
            press(page, "7", "Enter")  # much better
            submitted(page)
            read_all(page)
            press(page, "3", "ArrowLeft", "Enter")  # slightly better, then the next one in the group of radio buttons
            submitted(page)
            read_all(page)
            press(page, "0", "Enter")
            submitted(page)
        else:
            click = "tap" if size == "phone" else "click"
            for face in ("B much better", "A better", "Both bad"):
                read_all(page)
                assert page.get_by_role("radio", name=face, exact=True).is_enabled()
                getattr(page.locator("label.option", has_text=face), click)()
                getattr(page.get_by_role("button", name="Submit"), click)()
                submitted(page)
    rows = stored(running, PEOPLE[how])[before:]
    assert [by_place(row) for row in rows] == [
        {"best": 1, "strength": 3, "tie": False, "both_bad": False},
        {"best": 0, "strength": 2, "tie": False, "both_bad": False},
        {"best": None, "strength": 1, "tie": False, "both_bad": True},
    ]
    assert all(0 < row["timing"]["visible"] <= row["timing"]["total"] for row in rows)


def test_ranking(browser: Browser, running: Site, how: tuple[str, str]) -> None:
    size, way = how
    before = len(stored(running, PEOPLE[how]))
    with person(browser, running, PEOPLE[how], size=SIZES[size]) as context:
        page = open_task(context, "ranking")
        read_all(page)
        assert cards(page) == []  # no order is suggested
        if way == "keys":
            press(page, "c", "1")  # focuses the card of C, gives it rank 1
            press(page, "a", "2", "d", "1")
            assert cards(page) == ["D", "C", "A"]
            press(page, "b", "ArrowUp", "=")  # B takes the last rank, then shares the one above
            assert cards(page) == ["D", "C", "A=B"]
            press(page, "d", "ArrowDown")
            page.locator("#live", has_text="Response D: rank 2 of 3. All are ranked").wait_for(state="attached")
            press(page, "Enter")
        else:
            place_by_pointer(page, touch=size == "phone")
            page.get_by_role("button", name="Submit").click()
        submitted(page)
    (row,) = stored(running, PEOPLE[how])[before:]
    assert by_place(row) == {"order": [[2], [3], [0, 1]]}


def place_by_pointer(page: Page, *, touch: bool) -> None:
    """C first, D below it, A below D, B onto A."""
    page.locator(".board").evaluate("e => e.scrollIntoView({block: 'start', behavior: 'instant'})")

    def onto(selector: str, share: float) -> tuple[float, float]:
        box = page.locator(selector).bounding_box()
        assert box is not None
        return box["x"] + 90, box["y"] + box["height"] * share

    drag(page, "C", *onto(".rank-empty", 0.5), touch=touch)
    assert cards(page) == ["C"]
    drag(page, "A", *onto(".rank >> nth=0", 0.9), touch=touch)
    drag(page, "D", *onto(".rank >> nth=1", 0.1), touch=touch)
    assert cards(page) == ["C", "D", "A"]
    drag(page, "B", *onto(".rank >> nth=2", 0.5), touch=touch)
    assert cards(page) == ["C", "D", "A=B"]


def test_ranking_by_buttons_alone(browser: Browser, running: Site) -> None:
    with person(browser, running, "ann", size=PHONE) as context:
        page = open_task(context, "ranking")
        read_all(page)
        for letter in "BDA":
            page.get_by_role("button", name=f"Move up {letter}").tap()
        page.get_by_role("button", name="Tie with the one above: C").tap()
        assert cards(page) == ["B", "D", "A=C"]
        page.get_by_role("button", name="Move up A").tap()
        page.get_by_role("button", name="Take out of the ranking: D").tap()
        assert cards(page) == ["B", "A", "C"]
        page.get_by_role("button", name="Submit").tap(force=True)  # a button that says why it is not open
        assert page.locator(".why").inner_text() == "1 response without a rank"  # nothing is sent yet


def test_rating(browser: Browser, running: Site, how: tuple[str, str]) -> None:
    size, way = how
    before = len(stored(running, PEOPLE[how]))
    with person(browser, running, PEOPLE[how], size=SIZES[size]) as context:
        page = open_task(context, "rating")
        read_all(page)
        if way == "keys":
            press(page, "4", "2")  # the first without a score, then the next
            press(page, "a", "5", "Enter")  # goes back to A
        else:
            for place, words in ((0, "5 very good"), (1, "2 bad")):
                response = page.get_by_role("article", name=f"Response {'AB'[place]}")
                assert response.get_by_role("radio", name=words, exact=True).is_enabled()
                response.locator("label.option", has_text=words[:1]).click()
            page.get_by_role("button", name="Submit").click()
        submitted(page)
    (row,) = stored(running, PEOPLE[how])[before:]
    assert by_place(row) == {"scores": [5.0, 2.0]}


def test_a_ranking_holds_each_response_once_whatever_is_done_to_it(browser: Browser, running: Site) -> None:
    play = """async (count) => {
        const order = await import('/static/ranking_order.js');
        let seed = 1;
        const any = (n) => (seed = seed * 48271 % 2147483647) % n;
        const moves = [
            (o, p) => order.up(o, p), (o, p) => order.down(o, p), (o, p) => order.tieAbove(o, p),
            (o, p) => order.putInRank(o, p, 1 + any(count)), (o, p) => order.putAt(o, p, any(count + 1)),
            (o, p) => order.tieWith(o, p, any(count)), (o, p) => order.takeOut(o, p),
        ];
        const seen = new Set();
        let now = order.unranked(count);
        for (let step = 0; step < 4000; step += 1) {
            now = moves[any(moves.length)](now, any(count));
            const all = [...now.groups.flat(), ...now.tray].sort((a, b) => a - b);
            if (all.join() !== [...Array(count).keys()].join()) return `step ${step}: ${JSON.stringify(now)}`;
            if (now.groups.some((group) => group.length === 0)) return `an empty rank at step ${step}`;
            seen.add(JSON.stringify(now.groups));
        }
        return seen.size;
    }"""
    with person(browser, running, "ann") as context:
        page = open_task(context, "ranking")
        assert page.evaluate(play, 4) == 150  # every order with ties of four, and of fewer: 75 + 4 * 13 + 6 * 3 + 4 + 1
        assert page.evaluate(play, 7) > 500


@pytest.mark.parametrize("task", ["comparison", "ranking", "rating"])
def test_focus_goes_to_the_next_task_and_tab_reaches_every_control(browser: Browser, running: Site, task: str) -> None:
    with person(browser, running, "bob") as context:
        page = open_task(context, task)
        assert page.evaluate("document.activeElement.matches('h1.task-title')")
        read_all(page)
        reached = set()
        for _ in range(60):
            press(page, "Tab")
            reached.add(
                page.evaluate(
                    "(e => e.closest('.card') && e.matches('.card') ? 'card' : e.type === 'radio' ? 'radio'"
                    " : e.textContent.trim())(document.activeElement)"
                )
            )
        wanted = {"comparison": {"radio"}, "ranking": {"card"}, "rating": {"radio"}}[task]
        assert wanted | {"Skip", "Submit", "Pause", "Instructions", "Keys"} <= reached


@pytest.mark.parametrize("task", ["comparison", "ranking", "rating"])
def test_no_page_scrolls_sideways_at_320_pixels(browser: Browser, running: Site, task: str) -> None:
    with person(browser, running, "ann", size={"viewport": {"width": 320, "height": 640}}) as context:
        page = open_task(context, task)
        assert page.evaluate("document.documentElement.scrollWidth") == 320
        small = """() => [...document.querySelectorAll('button, a, label.option, summary')]
            .filter((e) => e.checkVisibility() && !e.matches('.skip-link') && !e.closest('.prose'))
            .filter((e) => { const b = e.getBoundingClientRect(); return b.width < 24 || b.height < 24; })
            .map((e) => e.outerHTML.slice(0, 90))"""
        assert page.evaluate(small) == []
        # Controls: a wide element and a small one are noticed.
        page.evaluate("document.querySelector('h1').style.width = '900px'")
        assert page.evaluate("document.documentElement.scrollWidth") > 320
        page.evaluate("document.querySelector('.submit').style.cssText = 'min-height:0;height:12px;padding:0'")
        assert len(page.evaluate(small)) == 1
