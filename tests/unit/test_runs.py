"""The run store: what counts as done, what is found again, and what a damaged or half-written stage becomes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from candor.errors import InputError
from candor.runs import RunStore, Status, StepLog, Work, content_key, hash_path, read_json, read_manifest, write_json


def make(store: RunStore, key: str, *, name: str = "sft", index: int = 1, text: str = "weights") -> Work:
    """Opens a stage and, where it is not done, makes it."""
    work = store.open(store.stage_path(index, name), key, name=name)
    if not work.done:
        (work.path / "checkpoint").mkdir(exist_ok=True)
        (work.path / "checkpoint" / "model.bin").write_text(text)
        work.finish(name=name, type="sft", version=1, seed=0, config={"lr": 1}, inputs={})
    return work


def test_a_finished_stage_is_done_and_its_manifest_tells_all(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "runs" / "a")
    assert make(store, "k1").status is Status.FRESH
    again = make(store, "k1")
    assert again.status is Status.DONE
    assert again.manifest is not None
    assert again.manifest.files == {"checkpoint/model.bin": hash_path(again.path / "checkpoint" / "model.bin")}
    assert not again.state.exists()
    raw = read_json(again.path / "manifest.json")
    expected = {"key", "name", "type", "version", "config", "inputs", "files", "seconds", "peak_memory_mb", "seed"}
    expected |= {"peak_device_memory_mb", "peak_memory_of"}
    expected |= {
        "reused_from",
        "started_at",
        "finished_at",
        "commit",
        "dirty",
        "packages",
        "python",
        "device",
        "threads",
    }
    assert set(raw) == expected
    assert 1 < raw["peak_memory_mb"] < 100_000
    assert "pydantic" in raw["packages"]


def test_without_a_manifest_nothing_is_done(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "a")
    work = make(store, "k1")
    (work.path / "manifest.json").unlink()  # as if killed just before it was written
    assert store.open(work.path, "k1", name="sft").status is Status.FRESH
    assert not (work.path / "checkpoint").exists()


@pytest.mark.parametrize("damage", ["delete", "truncate", "manifest"])
def test_a_damaged_stage_is_made_anew(tmp_path: Path, damage: str) -> None:
    store = RunStore(tmp_path / "a")
    work = make(store, "k1")
    file = work.path / "checkpoint" / "model.bin"
    if damage == "delete":
        file.unlink()
    elif damage == "truncate":
        file.write_text("wei")
    else:
        (work.path / "manifest.json").write_text('{"key": "k1", ')
    again = make(store, "k1")
    assert again.status is Status.FRESH
    assert file.read_text() == "weights"


def test_an_unfinished_stage_resumes_for_its_key_only_and_keeps_its_time(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "a")
    path = store.stage_path(1, "sft")
    first = store.open(path, "k1", name="sft")
    (first.state / "state.pt").write_text("step 20")
    write_json(first.state / "progress.json", {"key": "k1", "seconds": 50.0, "started_at": "2024-01-01T00:00:00+00:00"})
    resumed = store.open(path, "k1", name="sft")
    assert resumed.status is Status.RESUMED
    assert (resumed.state / "state.pt").exists()
    assert 50.0 <= resumed.seconds < 60.0
    other = store.open(path, "k2", name="sft")
    assert other.status is Status.FRESH
    assert not (other.state / "state.pt").exists()


def test_the_same_key_in_another_run_is_taken_over_by_hard_links(tmp_path: Path) -> None:
    make(RunStore(tmp_path / "a"), "k1")
    taken = make(RunStore(tmp_path / "b"), "k1", name="other", index=2)
    assert taken.status is Status.REUSED
    assert taken.manifest is not None
    assert taken.manifest.reused_from == str(tmp_path / "a" / "stages" / "01-sft")
    assert taken.manifest.name == "other"
    links = [p / "checkpoint" / "model.bin" for p in (tmp_path / "a" / "stages" / "01-sft", taken.path)]
    assert links[0].stat().st_ino == links[1].stat().st_ino
    assert make(RunStore(tmp_path / "b"), "k1", name="other", index=2).status is Status.DONE
    # Controls: another key, another root, and a damaged original are not reused.
    assert make(RunStore(tmp_path / "c"), "k2").status is Status.FRESH
    assert make(RunStore(tmp_path / "elsewhere" / "d"), "k1").status is Status.FRESH
    links[0].write_text("changed in place, and so in both")
    assert make(RunStore(tmp_path / "e"), "k1").status is Status.FRESH


def test_copies_serve_where_links_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(RunStore(tmp_path / "a"), "k1")

    def refuse(*_: object) -> None:
        raise OSError("cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    taken = make(RunStore(tmp_path / "b"), "k1")
    assert taken.status is Status.REUSED
    assert (taken.path / "checkpoint" / "model.bin").stat().st_nlink == 1


def test_a_changed_recipe_sets_the_finished_stage_aside_and_changing_back_finds_it(tmp_path: Path) -> None:
    make(RunStore(tmp_path / "a"), "k1", text="one")
    assert make(RunStore(tmp_path / "a"), "k2", text="two").status is Status.FRESH
    back = make(RunStore(tmp_path / "a"), "k1", text="never written")
    assert back.status is Status.REUSED
    assert (back.path / "checkpoint" / "model.bin").read_text() == "one"


def test_stages_that_the_recipe_no_longer_names_are_cleared(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "a")
    make(store, "k1", index=1)
    make(store, "k2", index=2, name="ppo")
    (store.stage_path(3, "half") / "state").mkdir(parents=True)
    assert store.set_aside_others({"01-sft"}) == ["02-ppo", "03-half"]
    assert [p.name for p in (tmp_path / "a" / "stages").iterdir()] == ["01-sft"]
    assert [p.name for p in (tmp_path / "a" / "replaced").iterdir()] == ["ppo-k2"]


def test_an_audit_is_a_stage_of_its_own_and_no_file_of_its_parent(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "a")
    stage = make(store, "k1")
    audit = store.open(stage.path / "audit", "a1", name="sft")
    (audit.path / "findings.jsonl").write_text("{}\n")
    audit.finish(name="sft", type="audit", version=1, seed=0, config={}, inputs={})
    assert make(store, "k1").status is Status.DONE
    elsewhere = RunStore(tmp_path / "b")
    taken = make(elsewhere, "k1")
    assert not (taken.path / "audit").exists()
    assert elsewhere.open(taken.path / "audit", "a1", name="sft").status is Status.REUSED


def test_step_log_drops_what_a_resumed_stage_repeats_and_half_lines(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with StepLog(path, step=0) as log:
        for step in range(1, 6):
            log.append(step, {"loss": 1.0 / step, "bad": float("nan")})
    with path.open("a") as file:
        file.write('{"step": 3, "los')
    with StepLog(path, step=3) as log:
        log.append(4, {"loss": 9.0})
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert rows[-1]["loss"] == 9.0
    assert rows[0]["bad"] is None


def test_content_keys_and_hashes_see_content_only(tmp_path: Path) -> None:
    assert content_key({"a": 1, "b": [1, 2]}) == content_key({"b": [1, 2], "a": 1})
    assert content_key({"a": 1}) != content_key({"a": 1.5})
    for folder, text in (("x", "same"), ("y", "same"), ("z", "other")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "f").write_text(text)
        (tmp_path / folder / ".cache").write_text(folder)
    x, y, z = (hash_path(tmp_path / folder) for folder in "xyz")
    assert x == y != z
    (tmp_path / "y" / "f").rename(tmp_path / "y" / "g")
    assert hash_path(tmp_path / "y") != x, "a file's name counts"


def test_json_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"a": float("nan")})
    assert read_json(path) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"], "no temporary file is left"
    with pytest.raises(InputError, match="no such file"):
        read_json(tmp_path / "none.json")
    path.write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        read_json(path)
    assert read_manifest(tmp_path) is None
