"""Items, answers by places, settings: what fits and what is refused, with the place where it is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candor.collect.rows import new_item
from candor.errors import InputError
from candor.projects.database import Database, open_database
from candor.projects.items import (
    add_items,
    answer_by_places,
    answers_by_index,
    change_item,
    check_judgement,
    list_items,
)
from candor.projects.settings import read_settings
from candor.projects.setup import Project, change_project, create_project, find_project
from candor.records import Choice, Ranking, Ratings


@pytest.fixture
def database(tmp_path: Any) -> Database:
    return open_database(tmp_path / "collect.db", create=True)


def project(database: Database, task: Any = "comparison", **settings: Any) -> Project:
    with database.writing() as connection:
        return create_project(connection, slug=task, task=task, settings=read_settings(settings), now=0.0)


ORDERS = st.permutations(range(5))


@given(order=ORDERS, best=st.integers(0, 4), strength=st.sampled_from([1, 2, 3]))
def test_a_choice_by_places_and_back(order: list[int], best: int, strength: int) -> None:
    answer = Choice(best=best, strength=float(strength))
    by_places = answer_by_places(order, answer)
    assert order[by_places["best"]] == best, "the place where it was shown"
    assert answers_by_index(order, by_places, where="") == answer


@given(
    order=ORDERS,
    ranks=st.lists(st.integers(0, 4), min_size=5, max_size=5),
    scores=st.lists(st.integers(1, 5), min_size=5, max_size=5),
)
def test_rankings_and_ratings_by_places_and_back(order: list[int], ranks: list[int], scores: list[int]) -> None:
    groups = tuple(tuple(i for i in range(5) if ranks[i] == rank) for rank in sorted(set(ranks)))
    back = answers_by_index(order, answer_by_places(order, Ranking(order=groups)), where="")
    assert isinstance(back, Ranking)
    assert [set(group) for group in back.order] == [set(group) for group in groups]
    rated = Ratings(scores=tuple(map(float, scores)))
    assert answers_by_index(order, answer_by_places(order, rated), where="") == rated


@pytest.mark.parametrize(
    ("task", "answer", "told"),
    [
        ("comparison", Choice(best=2), "no response 2"),
        ("comparison", Choice(best=None), "neither which is best"),
        ("comparison", Choice(best=0, tie=True), "at once"),
        ("comparison", Choice(best=0, strength=4), "strength is"),
        ("comparison", Ratings(scores=(1, 2)), "not an answer to a comparison"),
        ("ranking", Ranking(order=((0,), (1,), (2,))), "each of the 4"),
        ("ranking", Ranking(order=((0,), (1,), (2,), (3,), (3,))), "each of the 4"),
        ("ranking", Ranking(order=((0, 1, 2, 3), ())), "each of the 4"),
        ("rating", Ratings(scores=(1,)), "expected 2 scores"),
        ("rating", Ratings(scores=(1, 6)), "1, 2, 3, 4 or 5"),
        ("rating", Ratings(scores=(1, 2.5)), "1, 2, 3, 4 or 5"),
    ],
)  # fmt: skip
def test_an_answer_that_does_not_fit_is_refused(database: Database, task: Any, answer: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        check_judgement(project(database, task), answer, 4 if task == "ranking" else 2, where="here")


def test_what_a_project_does_not_allow_is_refused(database: Database) -> None:
    strict = project(database, ties=False, both_bad=False)
    for answer in (Choice(best=None, tie=True), Choice(best=None, both_bad=True)):
        with pytest.raises(InputError, match="this project"):
            check_judgement(strict, answer, 2, where="")
    check_judgement(strict, Choice(best=1), 2, where="")


ROW: dict[str, Any] = {"key": "k", "prompt": "Why?", "responses": ["a", "b"]}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"key": ""}, "key"), ({"kind": "silver"}, "kind"), ({"prompt": 3}, "prompt"), ({"prompt": []}, "prompt"),
        ({"prompt": [{"role": "god", "content": "x"}]}, r"prompt'\[0\]"), ({"responses": "ab"}, "responses"),
        ({"responses": [1]}, r"responses'\[0\]"), ({"gold": {"answer": {}}}, "gold"), ({"gold": 1}, "gold"),
        ({"gold": {"answer": {"best": 0}, "trap": "pit"}}, "gold"), ({"hidden": "x"}, "hidden"),
        ({"overlap": 0}, "overlap"),
        ({"overlap": True}, "overlap"), ({"pool": 3}, "pool"), ({"colour": "red"}, "colour"),
        ({"prompt": {"messages": [{"role": "user", "content": "x"}], "tags": {"a": 1}}}, "prompt"),
    ],
)  # fmt: skip
def test_a_malformed_row_is_told_with_its_field(change: dict[str, Any], field: str) -> None:
    new_item(ROW, where="line 3")
    with pytest.raises(InputError, match=f"line 3, field '{field}"):
        new_item(ROW | change, where="line 3")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"responses": ["a"]}, "needs 2 responses, this has 1"),
        ({"kind": "gold"}, "needs its right answer"),
        ({"gold": {"answer": {"best": 5}}}, "no response 5"),
        ({"pool": "experts"}, "no such pool"),
        ({"prompt": "x" * 200_001}, "longer than"),
        ({"prompt": "x\x00"}, "NUL"),
    ],
)
def test_an_item_that_does_not_fit_adds_nothing(database: Database, change: dict[str, Any], told: str) -> None:
    made = project(database)
    items = [new_item(ROW, where="line 1"), new_item(ROW | {"key": "other"} | change, where="line 2")]
    with pytest.raises(InputError, match=told), database.writing() as connection:
        add_items(connection, made, items, now=0.0)
    with database.reading() as connection:
        assert list_items(connection, made.id) == []


def test_the_same_again_is_counted_and_left(database: Database) -> None:
    made = project(database)
    with database.writing() as connection:
        first = add_items(connection, made, [new_item(ROW, where="")], now=0.0)
        again = add_items(connection, made, [new_item(ROW | {"prompt": "How?"}, where="")], now=0.0)
        kept = list_items(connection, made.id)
    assert (first.added, first.known, again.added, again.known) == (1, 0, 0, 1)
    assert kept[0].prompt.messages[0].content == "Why?"


def test_an_item_is_changed_and_only_where_it_may_be(database: Database) -> None:
    made = project(database)
    with database.writing() as connection:
        add_items(connection, made, [new_item(ROW, where="")], now=0.0)
        item = list_items(connection, made.id)[0]
        changed = change_item(connection, made, item.id, {"active": False, "gold": {"answer": {"best": 1}}})
        assert not changed.active
        assert changed.gold is not None
        for wrong in ({"labels": 3}, {"overlap": 0}, {"gold": {"answer": {"best": 7}}}, {"pool": "none"}):
            with pytest.raises(InputError):
                change_item(connection, made, item.id, wrong)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"overlap": 0}, "overlap"), ({"uniform_share": 0.2}, "uniform_share"), ({"gold_rate": 2}, "gold_rate"),
        ({"gate": {"alpha_at_least": 3}}, "gate.alpha_at_least"), ({"overlp": 1}, "overlp"),
        ({"pay_per_hour": -1}, "pay_per_hour"), ({"lease_minutes": 0}, "lease_minutes"),
    ],
)  # fmt: skip
def test_a_setting_that_cannot_be_is_told_by_its_name(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(InputError, match=field):
        read_settings(settings)


def test_settings_change_alone(database: Database) -> None:
    made = project(database, overlap=5, gate={"alpha_at_least": 0.6})
    with database.writing() as connection:
        changed = change_project(connection, made, {"settings": {"gate": {"flips_at_most": 0.1}}, "batch": 2})
        again = find_project(connection, made.slug)
    assert changed == again
    assert (again.settings.overlap, again.settings.gate.alpha_at_least, again.settings.gate.flips_at_most) == (
        5,
        0.6,
        0.1,
    )
    assert again.batch == 2
