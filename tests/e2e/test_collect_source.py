"""A labelling project as the source of a run's comparisons, live."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from candor import api
from candor.errors import InputError
from candor.pipeline import sources
from candor.projects.backup import back_up, restore
from candor.projects.database import open_database
from candor.projects.reference import as_file, parse_reference
from candor.projects.setup import find_project, list_members
from candor.recipe_io import load_recipe
from labelled_project import label, labelling_project


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    labelling_project(tmp_path, labels=6)
    monkeypatch.chdir(tmp_path)
    sources.forget_files()
    return tmp_path


def more_labels(folder: Path, seed: int) -> None:
    database = open_database(folder / "collect.db")
    with database.reading() as connection:
        project = find_project(connection, "sample")
        members = list_members(connection, project.id)
    label(database, project, [m for m in members if m.handle != "a01"] or members, 1, seed=seed)
    database.close()


def test_labels_are_an_input_of_the_stage_and_new_ones_make_a_new_one(folder: Path) -> None:
    source = "collect.db#sample"
    before = sources.fingerprint("train", source, seed=0)
    sources.forget_files()
    assert sources.fingerprint("train", source, seed=0) == before, "the control: nothing new, nothing changed"
    count = len(sources.comparison_file(source).comparisons)
    more_labels(folder, seed=5)
    assert len(sources.comparison_file(source).comparisons) == count, "one run sees one state"
    sources.forget_files()
    assert sources.fingerprint("train", source, seed=0) != before
    assert len(sources.comparison_file(source).comparisons) > count


def test_a_run_trains_on_a_project(folder: Path, world: Any) -> None:
    overrides = [f"compare.file={folder / 'collect.db'}#sample", "reward.epochs=1", "ppo.updates=1"]
    run = api.run(world.recipe, out=folder / "run", overrides=overrides)
    metrics = json.loads((run.directory("compare") / "metrics.json").read_text())
    assert metrics["format"] == "collect"
    assert metrics["comparisons"] > 10
    assert run.directory("ppo").is_dir()


def test_a_recipe_finds_a_database_beside_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = 'name = "x"\n[[stages]]\ntype = "compare"\nfile = "collect.db#sample"\n[[stages]]\ntype = "sft"\n'
    (folder / "x.toml").write_text(text)
    monkeypatch.chdir(folder.parent)
    stage = load_recipe(folder / "x.toml").stages[0]
    assert stage.file == str(folder / "collect.db#sample")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("none.db#sample", "no such database"),
        ("collect.db#none", "no such project"),
        ("collect.db#sample-rating", "no labels yet"),
        ("collect.db#", "no such project"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(folder: Path, source: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        sources.comparison_file(source)


def test_a_file_with_a_hash_in_its_name_is_a_file(folder: Path) -> None:
    odd = folder / "pairs#1.jsonl"
    odd.write_text("{}")
    assert parse_reference(odd) is None
    assert parse_reference("other#1.jsonl") is None
    found = parse_reference("postgresql://me@host/db#sample")
    assert found is not None
    assert (found.database, found.slug, found.name) == (
        "postgresql://me@host/db",
        "sample",
        "postgresql://me@host/db#sample",
    )


@pytest.mark.parametrize("address", ["postgresql://me:secret@host/db", "postgresql://host/db?password=secret"])
def test_a_password_is_written_into_no_result(folder: Path, world: Any, address: str) -> None:
    source, out = f"{address}#sample", folder / "out"
    for refused in (
        lambda: api.audit_preferences(source, out=out),
        lambda: api.run(world.recipe, out=out, overrides=[f"compare.file={source}"]),
    ):
        with pytest.raises(InputError, match="a password would be kept with the results") as caught:
            refused()
        assert "secret" not in str(caught.value)
    assert not [path for path in folder.rglob("*") if path.is_file() and b"secret" in path.read_bytes()]


def test_a_project_on_postgresql(folder: Path, postgresql_url: str, world: Any) -> None:
    back_up(open_database(folder / "collect.db"), folder / "moved.zip")
    restore(folder / "moved.zip", postgresql_url)
    source = f"{postgresql_url}#sample"
    here, there = (sources.comparison_file(name).comparisons for name in ("collect.db#sample", source))
    assert here == there
    assert sources.fingerprint("train", source, seed=0) == sources.fingerprint("train", "collect.db#sample", seed=0)
    assert api.audit_preferences(source).document["source"] == source
    (folder / "x.toml").write_text(
        f'name = "x"\n[[stages]]\ntype = "compare"\nfile = "{source}"\n[[stages]]\ntype = "sft"\n'
    )
    assert load_recipe(folder / "x.toml").stages[0].file == source  # type: ignore[union-attr]


def test_what_is_read_as_a_file_is_what_the_audit_sees(folder: Path) -> None:
    with as_file("collect.db#sample") as path:
        rows = [json.loads(line) for line in Path(path).read_text().splitlines()]
    assert {row["source"] for row in rows} == {"collect"}
    assert {row["annotator"] for row in rows} == {"a01", "a02", "a03"}
    assert not Path(path).exists()
    done = api.audit_preferences("collect.db#sample")
    assert done.document["source"] == "collect.db#sample"
