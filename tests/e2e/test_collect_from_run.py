"""Items that a run's policies write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from candor.collect.from_run import _different, prompts_of, read_run
from candor.errors import InputError
from candor.projects.database import open_database
from candor.projects.setup import create_project
from candor.records import Completion
from candor.results import Run


@pytest.fixture
def run(world: Any, finished: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(world.folder)
    return Run(finished)


def test_each_item_has_a_reply_of_each_stage(run: Run, tmp_path: Path) -> None:
    database = open_database(tmp_path / "collect.db", create=True)
    with database.writing() as connection:
        project = create_project(connection, slug="mine", now=0.0)
    prompts = prompts_of(run, None)
    asked = {"stages": ["sft", "ppo"], "prompts": prompts, "count": 5, "max_new_tokens": 6}
    found = read_run(run, project, **asked)
    assert 1 <= len(found.items) <= 5
    for item in found.items:
        assert [response.policy for response in item.responses] == ["sft", "ppo"]
        assert item.responses[0].text != item.responses[1].text
    again = read_run(run, project, **asked)
    assert [item.key for item in again.items] == [item.key for item in found.items], "so that importing again adds none"
    assert found.rows - len(found.items) == sum(found.dropped.values())
    other = read_run(run, project, **asked | {"seed": 1})
    assert [item.key for item in other.items] != [item.key for item in found.items], "the control"


def test_a_stage_without_a_policy_is_refused(run: Run, tmp_path: Path) -> None:
    database = open_database(tmp_path / "collect.db", create=True)
    with database.writing() as connection:
        project = create_project(connection, slug="mine", now=0.0)
    with pytest.raises(InputError, match="compare"):
        read_run(run, project, stages=["compare"], prompts=prompts_of(run, None), count=2)


def test_replies_that_say_the_same_are_one() -> None:
    def said(*texts: str) -> list[Completion]:
        return [Completion(id=t, prompt_id="p", text=t) for t in texts]

    assert [r.text for r in _different([said("a", "b"), said("a ", "c")], 2)] == ["a", "c"]
    assert [r.text for r in _different([said("a", "a"), said("a", "a")], 2)] == ["a"]
    assert [r.text for r in _different([said(" ", "a", "b", "c")], 3)] == ["a", "b", "c"]
