"""The run directory's lock, and take-overs from a neighbour that changes its stages meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from candor.errors import InputError
from candor.runs import RunStore, Status, Work, holder, locked, store

HOLD = """
import sys, time
from pathlib import Path
from candor.runs import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def hold(directory: Path) -> subprocess.Popen[str]:
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(directory)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_refused_and_told_who_is_there(tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert holder(run) is None
    process = hold(run)
    try:
        with pytest.raises(InputError) as caught, locked(run):
            raise AssertionError("two at once")
        told = str(caught.value)
        assert told.startswith(f"{run}: another process is at work here: process {process.pid} on ")
        assert f" on {socket.gethostname()}, since 20" in told
        found = holder(run)
        assert found is not None
        assert found.pid == process.pid
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    # Killed without warning, it left its file behind, and that holds nothing.
    assert (run / ".lock").read_text()
    assert holder(run) is None
    with locked(run):
        found = holder(run)
        assert found is not None
        assert found.pid == os.getpid()
    with locked(run):
        pass


def test_an_error_in_the_block_gives_the_lock_back(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        _ = 1 / 0
    with locked(tmp_path), pytest.raises(InputError, match="at work here"), locked(tmp_path):
        pass
    assert holder(tmp_path) is None


def make(where: RunStore, key: str, text: str) -> Work:
    """Opens a stage of three files and, where it is not done, makes it."""
    work = where.open(where.stage_path(1, "sft"), key, name="sft")
    if not work.done:
        for name in ("a", "b", "c"):
            (work.path / name).write_text(text + name)
        work.finish(name="sft", type="sft", version=1, seed=0, config={}, inputs={})
    return work


@pytest.mark.parametrize("what", ["replaces", "deletes", "sets aside"])
def test_a_neighbour_that_changes_its_stage_while_it_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """After the first file is linked the other run replaces, deletes or moves the stage."""
    theirs = RunStore(tmp_path / "a")
    stage = make(theirs, "k1", "one")
    link, calls = store.link_or_copy, []

    def meddle(source: Path, target: Path) -> None:
        link(source, target)
        calls.append(source)
        if len(calls) > 1:
            return
        if what == "deletes":
            shutil.rmtree(stage.path)
        else:
            make(RunStore(tmp_path / "a"), "k2", "two")
        if what == "replaces":
            shutil.rmtree(tmp_path / "a" / "replaced")

    monkeypatch.setattr(store, "link_or_copy", meddle)
    ours = RunStore(tmp_path / "b")
    work = ours.open(ours.stage_path(1, "sft"), "k1", name="sft")
    assert calls
    assert work.status is Status.FRESH, "neither half of one and half of the other, nor an error"
    assert [p.name for p in work.path.iterdir()] == ["state"]
    assert not [p for p in (tmp_path / "b").iterdir() if p.name.startswith(".")]


def test_nobody_meddles_and_it_is_taken_over(tmp_path: Path) -> None:
    make(RunStore(tmp_path / "a"), "k1", "one")
    work = make(RunStore(tmp_path / "b"), "k1", "never written")
    assert work.status is Status.REUSED
    assert [(work.path / name).read_text() for name in "abc"] == ["onea", "oneb", "onec"]


def test_a_taken_over_stage_outlives_its_source(tmp_path: Path) -> None:
    make(RunStore(tmp_path / "a"), "k1", "one")
    work = make(RunStore(tmp_path / "b"), "k1", "")
    shutil.rmtree(tmp_path / "a")
    again = make(RunStore(tmp_path / "b"), "k1", "")
    assert again.status is Status.DONE
    assert (work.path / "b").read_text() == "oneb"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": "k1", "files": []}', "\x00\xff"])
def test_a_damaged_manifest_is_told_and_made_anew(tmp_path: Path, text: str) -> None:
    where = RunStore(tmp_path / "a")
    stage = make(where, "k1", "one")
    (stage.path / "manifest.json").write_text(text)
    again = where.open(stage.path, "k1", name="sft")
    assert (again.status, again.note) == (Status.FRESH, "manifest.json is damaged: made anew")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"key": "k1"}', '{"key": "k1", "seconds": "x", "started_at": 0}'])
def test_damaged_notes_of_progress_are_told_and_made_anew(tmp_path: Path, text: str) -> None:
    where = RunStore(tmp_path / "a")
    work = where.open(where.stage_path(1, "sft"), "k1", name="sft")
    (work.state / "progress.json").write_text(text)
    again = where.open(work.path, "k1", name="sft")
    assert (again.status, again.note) == (Status.FRESH, "state/progress.json is damaged: made anew")
