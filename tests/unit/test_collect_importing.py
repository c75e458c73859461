"""Items from files: what becomes an item, what is left out and counted, and what is an error with its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from candor.collect.importing import read_items
from candor.errors import InputError
from candor.preferences.formats import FORMATS
from candor.projects.database import Database, open_database
from candor.projects.items import add_items, list_items
from candor.projects.setup import Project, TaskKind, create_project
from candor.records import Choice
from format_rows import FILES

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(*rows: Any, name: str = "items.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
        return path

    return to_file


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return open_database(tmp_path / "collect.db", create=True)


def project(database: Database, task: TaskKind = "comparison") -> Project:
    with database.writing() as connection:
        return create_project(connection, slug=f"a-{task}", task=task, now=1.0)


TWO = {"prompt": "Sky?", "responses": ["Blue.", "Green."]}


def test_rows_with_a_prompt_and_responses(database: Database, write: Write) -> None:
    talk = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "Sky?"},
    ]
    record = {"id": "p7", "messages": talk, "tags": {"family": "answer"}}
    path = write(
        TWO,
        {"prompt": talk, "responses": [{"text": "Blue.", "policy": "m1"}, {"text": "Red.", "policy": "m2"}]},
        {"key": "mine", "prompt": record, "responses": ["x", "y"], "overlap": 5, "batch": 2},
        {"id": 9, "prompt": "Sea?", "completions": ["Wet.", "Dry."], "column of another tool": 1},
    )  # fmt: skip
    found = read_items(path, project(database))
    assert (found.rows, found.answers, found.dropped) == (4, 0, {})
    first, talked, mine, other = found.items
    assert [r.text for r in first.responses] == ["Blue.", "Green."]
    assert ([m.role for m in talked.prompt.messages], talked.responses[1].policy) == (
        ["user", "assistant", "user"],
        "m2",
    )
    assert (mine.key, mine.overlap, mine.batch, mine.prompt.tags) == ("mine", 5, 2, {"family": "answer"})
    assert (other.key, other.responses[0].text) == ("9", "Wet.")


def test_what_the_user_said_and_tags_stand_beside_a_prompt(database: Database, write: Write) -> None:
    claim = {"question": "Sky?", "truth": "blue", "asserted": "green", "stance": "asserts_false", "strength": 2}
    path = write({**TWO, "claim": claim, "tags": {"family": "answer"}}, {**TWO, "prompt": "\n\nHuman: a\n\nAssistant:"})
    first, transcript = read_items(path, project(database)).items
    assert first.prompt.claim is not None
    assert (first.prompt.claim.asserted, first.prompt.tags) == ("green", {"family": "answer"})
    assert transcript.prompt.messages[0].content == "a"


def test_fields_that_say_nothing_are_named(database: Database, write: Write) -> None:
    found = read_items(
        write({**TWO, "score": 3, "idx": 1}, {**TWO, "prompt": "Sea?", "score": None}), project(database)
    )
    assert found.ignored == ("score", "idx")


def test_the_number_of_responses_is_the_tasks(database: Database, write: Write) -> None:
    rows = [{"prompt": f"p{n}", "responses": [f"reply {i}" for i in range(n)]} for n in (1, 2, 3, 4, 7, 8)]
    for task, fit in (("comparison", {2}), ("ranking", {4, 7}), ("rating", {1, 2, 3, 4, 7, 8})):
        found = read_items(write(*rows), project(database, task))  # type: ignore[arg-type]
        assert {len(item.responses) for item in found.items} == fit
        assert len(found.items) + sum(found.dropped.values()) == found.rows == 6
        assert all(f"where a {task} needs" in reason for reason in found.dropped)


@pytest.mark.parametrize("name", [known.name for known in FORMATS if known.name != "candor"])
def test_comparisons_of_every_format_leave_their_answers_behind(database: Database, write: Write, name: str) -> None:
    chosen = project(database, "rating")
    found = read_items(write(*FILES[name]), chosen)
    assert found.items
    assert found.answers >= len(found.items)
    with database.writing() as connection:
        assert add_items(connection, chosen, found.items, now=1.0).added == len(found.items)


def test_the_same_again_is_counted_and_nothing_is_doubled(database: Database, write: Write) -> None:
    chosen = project(database)
    found = read_items(write(TWO, TWO, {**TWO, "responses": ["Green.", "Blue."]}), chosen)
    assert (len(found.items), found.dropped) == (2, {"the same again": 1})
    for added in (2, 0):
        with database.writing() as connection:
            done = add_items(
                connection, chosen, read_items(write(TWO, {**TWO, "prompt": "Sea?"}), chosen).items, now=1.0
            )
        assert (done.added, done.known) == (added, 2 - added)


def test_what_a_file_drops_is_counted_with_the_rest(database: Database, write: Write) -> None:
    pair = {"prompt": "p", "chosen": "a", "rejected": "b"}
    found = read_items(write(pair, {**pair, "rejected": ""}, {**pair, "prompt": "q"}, pair), project(database))
    assert (found.rows, found.answers, len(found.items)) == (4, 3, 2)
    assert found.dropped == {"the same again": 1, "a reply is empty": 1}


def test_gold(database: Database, write: Write) -> None:
    gold = {"answer": {"best": 0}, "trap": "long_wrong", "why": "It is **blue**."}
    chosen = project(database)
    found = read_items(write({**TWO, "gold": gold}), chosen, kind="gold")
    (item,) = found.items
    assert (item.kind, item.gold and item.gold.answer, item.gold and item.gold.trap) == (
        "gold",
        Choice(best=0),
        "long_wrong",
    )
    with database.writing() as connection:
        add_items(connection, chosen, found.items, now=1.0)
        assert [kept.kind for kept in list_items(connection, chosen.id)] == ["gold"]


@pytest.mark.parametrize(
    ("rows", "kind", "told"),
    [
        ([TWO, {"prompt": "Sky?"}], None, "line 2: a prompt without responses (give responses, or let a run's policy"),
        ([TWO, {**TWO, "responses": "Blue."}], None, "line 2"),
        ([TWO, {**TWO, "responses": ["Blue.", 3]}], None, "line 2"),
        ([TWO, {**TWO, "prompt": 3}], None, "line 2"),
        ([TWO, {**TWO, "gold": {"answer": {"worst": 0}}}], None, "line 2"),
        ([TWO, {**TWO, "batch": "two"}], None, "line 2"),
        ([TWO, "{"], None, "line 2: not valid JSON"),
        ([{**TWO, "prompt": "half \ud83d"}], None, "line 1: the text holds half a surrogate pair"),
        ([{**TWO, "responses": ["a", {"text": "b", "policy": "\ud83d"}]}], None, "line 1: the text holds half"),
        ([{**TWO, "responses": ["a", "b\x00"]}], None, "line 1: the text holds a NUL character"),
        ([TWO], "gold", "line 1: an item of kind 'gold' needs its right answer"),
        ([{"prompt": "p", "chosen": "a", "rejected": "b"}], "gold", "comparisons give no item of kind 'gold'"),
        ([{**TWO, "responses": ["only one"]}], None, "none of 1 rows fits (1 x 1 responses where a"),
        ([], None, "has no rows"),
    ],
)  # fmt: skip
def test_errors_say_where(database: Database, write: Write, rows: list[Any], kind: Any, told: str) -> None:
    path, chosen = write(*rows), project(database)

    def take() -> None:
        found = read_items(path, chosen, kind=kind)
        with database.writing() as connection:
            add_items(connection, chosen, found.items, now=1.0)

    with pytest.raises(InputError) as caught:
        take()
    assert str(path) in str(caught.value)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)
    with database.reading() as connection:
        assert list_items(connection, chosen.id) == [], "all of a file, or nothing"
