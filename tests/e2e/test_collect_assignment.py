"""Who gets what: the share drawn uniformly, the recorded propensity, retests, pools and caps, on both databases."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from scipy.stats import chisquare, norm
from sqlalchemy import update

from candor.projects.assignment import Nothing, Task, next_task
from candor.projects.database import Database
from candor.projects.schema import items
from labelling import HOUR, Site, a_site, an_item


class _RolledBack(Exception): ...


def draws(site: Site, who: int, n: int, rng: random.Random) -> list[Task]:
    """What this annotator would get next, n times over: each draw is undone."""
    drawn: list[Task] = []

    def once() -> None:
        with site.database.writing() as connection:
            task = next_task(connection, site.project, site.members[who], rng, now=site.now)
            assert isinstance(task, Task)
            drawn.append(task)
            raise _RolledBack

    for _ in range(n):
        with pytest.raises(_RolledBack):
            once()
    return drawn


def of_three_kinds(database: Database, **settings: Any) -> Site:
    """Eight items of which two tell most, three less and three least."""
    site = a_site(database, main=8, annotators=4, overlap=3, **settings)
    with database.writing() as connection:
        for n, value in enumerate((0.3, 0.3, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1)):
            connection.execute(update(items).where(items.c.key == f"i{n}").values(information=value))
    return site


def test_a_quarter_is_drawn_uniformly_and_each_item_with_its_recorded_propensity(any_database: Database) -> None:
    site = of_three_kinds(any_database, uniform_share=0.25)
    n = 600
    drawn = draws(site, 0, n, random.Random(1))
    expected = {f"i{k}": 0.25 / 8 + (0.75 / 2 if k < 2 else 0.0) for k in range(8)}
    for task in drawn:
        assert task.propensity == pytest.approx(expected[task.item.key])
    counts = Counter(task.item.key for task in drawn)
    keys = sorted(expected)
    assert chisquare([counts[key] for key in keys], [n * expected[key] for key in keys]).pvalue > 1e-3
    uniform = sum(task.drawn == "uniform" for task in drawn)
    assert abs(uniform / n - 0.25) < norm.ppf(0.9995) * (0.25 * 0.75 / n) ** 0.5


def test_the_chi_square_test_sees_a_wrong_share(any_database: Database) -> None:
    """The control of the test above: with half drawn uniformly its expectation fails."""
    site = of_three_kinds(any_database, uniform_share=0.5)
    n = 600
    counts = Counter(task.item.key for task in draws(site, 0, n, random.Random(1)))
    wrong = {f"i{k}": 0.25 / 8 + (0.75 / 2 if k < 2 else 0.0) for k in range(8)}
    keys = sorted(wrong)
    assert chisquare([counts[key] for key in keys], [n * wrong[key] for key in keys]).pvalue < 1e-6


def test_propensities_leave_out_what_the_annotator_had(any_database: Database) -> None:
    site = of_three_kinds(any_database)
    rng, had = random.Random(2), set()
    for _ in range(4):
        task = site.task(0)
        had.add(task.item.key)
        site.answer(0, task)
    with any_database.writing() as connection:  # what the answers told is undone: three kinds again
        for n, value in enumerate((0.3, 0.3, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1)):
            connection.execute(update(items).where(items.c.key == f"i{n}").values(information=value))
    left = [f"i{n}" for n in range(8) if f"i{n}" not in had]
    value = {f"i{n}": v for n, v in enumerate((0.3, 0.3, 0.2, 0.2, 0.2, 0.1, 0.1, 0.1))}
    top = [key for key in left if value[key] == max(value[key] for key in left)]
    drawn = draws(site, 0, 300, rng)
    for task in drawn:
        key = task.item.key
        assert key in left
        assert task.propensity == pytest.approx(0.25 / len(left) + (0.75 / len(top) if key in top else 0.0))
    counts = Counter(task.item.key for task in drawn)
    expected = [300 * (0.25 / len(left) + (0.75 / len(top) if key in top else 0.0)) for key in left]
    assert chisquare([counts[key] for key in left], expected).pvalue > 1e-3


def test_weighing_by_inverse_propensity_gives_an_unbiased_estimate(any_database: Database) -> None:
    """Of a mean over items that goes with what makes an item likely to be drawn; the plain mean is off."""
    site = of_three_kinds(any_database)
    worth = {f"i{n}": 1.0 if n < 2 else 0.0 for n in range(8)}
    n = 800
    drawn = draws(site, 0, n, random.Random(3))
    weighed = [worth[task.item.key] / (task.propensity or 1) / 8 for task in drawn]
    mean = sum(weighed) / n
    error = (sum((w - mean) ** 2 for w in weighed) / n / n) ** 0.5
    assert abs(mean - 2 / 8) < 3.5 * error
    assert abs(sum(worth[task.item.key] for task in drawn) / n - 2 / 8) > 0.4  # the plain mean


def test_a_retest_comes_after_its_time_with_sides_swapped(any_database: Database) -> None:
    site = a_site(any_database, main=6, retest_rate=0.5, retest_after_hours=24)
    first: dict[str, Task] = {}
    for _ in range(6):
        task = site.task(0)
        assert task.purpose == "main"
        first[task.item.key] = task
        site.answer(0, task)
    nothing = site.next(0)
    assert isinstance(nothing, Nothing)
    assert nothing.why == "wait"
    assert nothing.retry_after == pytest.approx(24 * HOUR)
    site.now += 23.9 * HOUR
    assert isinstance(site.next(0), Nothing)
    site.now += 0.2 * HOUR
    seen: list[str] = []
    while isinstance(task := site.next(0), Task):
        assert task.purpose == "retest"
        assert task.round == 1
        assert task.shown_order == tuple(reversed(first[task.item.key].shown_order))
        seen.append(task.item.key)
        assert site.answer(0, task).status == "counted"
    assert len(seen) == len(set(seen)) == 6  # 6 of 12 judgements: the rate
    assert all(row.labels == 1 for row in site.rows(items))  # a retest is none of the labels that an item needs


def test_retests_stop_at_their_rate(any_database: Database) -> None:
    site = a_site(any_database, main=20, retest_rate=0.2, retest_after_hours=1)
    for _ in range(20):
        site.answer(0, site.task(0))
    site.now += 2 * HOUR
    retests = 0
    while isinstance(task := site.next(0), Task):
        site.answer(0, task)
        retests += 1
    assert 4 <= retests <= 5  # 20% of all judgements


def test_gold_comes_at_its_rate_and_calibration_first(any_database: Database) -> None:
    more = [an_item(f"g{n}", kind="gold") for n in range(60)] + [an_item(f"c{n}", kind="calibration") for n in range(3)]
    site = a_site(any_database, main=150, annotators=1, more=more, gold_rate=0.2, overlap=1)
    purposes = []
    for _ in range(153):
        task = site.task(0)
        purposes.append(task.purpose)
        site.answer(0, task)
    assert purposes[:3] == ["calibration"] * 3
    gold = purposes[3:].count("gold")
    assert abs(gold - 30) < 3.3 * (150 * 0.2 * 0.8) ** 0.5


def test_pools_hold(any_database: Database) -> None:
    more = [an_item(f"law{n}", pool="law") for n in range(3)] + [an_item(f"code{n}", pool="code") for n in range(3)]
    site = a_site(
        any_database,
        main=2,
        annotators=3,
        more=more,
        pools=("law", "code"),
        member_pools=("law", "code", None),
        overlap=9,
    )
    for who, own in ((0, "law"), (1, "code"), (2, None)):
        seen = set()
        while isinstance(task := site.next(who), Task):
            seen.add(task.item.key)
            site.answer(who, task)
        assert seen == {"i0", "i1"} | ({f"{own}{n}" for n in range(3)} if own else set())


def test_caps_hold(any_database: Database) -> None:
    site = a_site(any_database, main=10, annotators=2, cap=4)
    site.members[1] = replace(site.members[1], cap=2)
    for who, cap in ((0, 4), (1, 2)):
        for _ in range(cap):
            site.answer(who, site.task(who))
        nothing = site.next(who)
        assert isinstance(nothing, Nothing)
        assert nothing.why == "cap"


def test_batches_that_are_not_released_are_not_handed_out(any_database: Database) -> None:
    site = a_site(any_database, main=1, annotators=1, more=[an_item("later", batch=2)])
    site.answer(0, site.task(0))
    assert isinstance(site.next(0), Nothing)
    site.project = replace(site.project, batch=2)
    assert site.task(0).item.key == "later"
