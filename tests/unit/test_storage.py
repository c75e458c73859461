"""Failures of the disk: found behind every library's own error, told in one line, and nothing half-written left."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from candor.errors import InputError
from candor.jsonl import write_rows
from candor.models.load import Policy, save_policy
from candor.runs import RunStore, StepLog, write_json, write_text
from candor.storage import StorageError, can_be_made, disk_error, disk_failures, free_bytes, replacing, size, writing
from candor.training.state import TrainState
from disks import remount, small_disk
from tiny_models import tiny_llama, tiny_tokenizer

MODEL = tiny_llama(tiny_tokenizer(), width=128)  # about 2 MB


def state() -> TrainState:
    optimizer = torch.optim.AdamW(MODEL.parameters())
    return TrainState(models={"policy": MODEL}, optimizers={"policy": optimizer}, step=7)


def steps(directory: Path) -> None:
    with StepLog(directory / "metrics.jsonl", step=0) as log:
        for step in range(1, 200_000):
            log.append(step, {"loss": 1.0 / 3.0})


WRITERS: dict[str, Callable[[Path], object]] = {
    "text": lambda d: write_text(d / "report.html", "x" * 3_000_000),
    "json": lambda d: write_json(d / "summary.json", ["x" * 3_000_000]),
    "rows": lambda d: write_rows(d / "samples.jsonl", ({"text": "x" * 1000} for _ in range(4000))),
    "steps": steps,
    "state": lambda d: state().save(d / "state"),
    "checkpoint": lambda d: save_policy(d / "checkpoint", Policy(model=MODEL, tokenizer=tiny_tokenizer())),
}
"""Everything that writes into a run."""


def left(directory: Path) -> set[str]:
    return {p.name for p in directory.rglob("*") if not p.is_dir()}


@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(tmp_path: Path, name: str) -> None:
    with small_disk(tmp_path / "disk", "1m") as disk:
        with pytest.raises(StorageError) as caught:
            WRITERS[name](disk)
        told = str(caught.value)
        assert told.startswith(str(disk))
        assert "no space left on the device: " in told
        assert "free" in told
        assert "\n" not in told
        assert left(disk) == ({"metrics.jsonl"} if name == "steps" else set()), "half-written files take room too"
        remount(disk, "size=64m")
        if name == "steps":
            with StepLog(disk / "metrics.jsonl", step=50) as log:  # the half line is dropped with those after 50
                assert [row["step"] for row in log.rows] == list(range(1, 51))
        else:
            WRITERS[name](disk)
            assert left(disk)


@pytest.mark.parametrize("name", WRITERS)
def test_a_read_only_disk_is_one_line(tmp_path: Path, name: str) -> None:
    with small_disk(tmp_path / "disk", "64m") as disk:
        remount(disk, "ro")
        with pytest.raises(StorageError, match="the file system is read-only"):
            WRITERS[name](disk)


@contextmanager
def file_limit(count: int) -> Iterator[None]:
    """No file may grow beyond ``count`` bytes: needs no rights, and is there on every system."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", WRITERS)
def test_a_limit_on_file_size_is_one_line_and_the_old_file_stays(tmp_path: Path, name: str) -> None:
    """Needs no mount, so that it runs everywhere."""
    for old in ("report.html", "summary.json", "samples.jsonl"):
        (tmp_path / old).write_text("old")
    before = left(tmp_path)
    with file_limit(100_000), pytest.raises(StorageError, match="larger than this system allows"):
        WRITERS[name](tmp_path)
    assert left(tmp_path) == before | ({"metrics.jsonl"} if name == "steps" else set())
    assert {(tmp_path / old).read_text() for old in before} == {"old"}


def test_the_disk_is_found_behind_other_errors(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    assert disk_error(full) == errno.ENOSPC
    hidden = RuntimeError("unexpected pos 64 vs 0")  # as torch.save says it
    hidden.__context__ = full
    assert disk_error(hidden) == errno.ENOSPC
    assert disk_error(Exception("Permission denied (os error 13)")) == errno.EACCES  # as tokenizers say it
    # Controls: mistakes of the program keep their traceback.
    assert disk_error(RuntimeError("shape mismatch")) is None
    assert disk_error(FileNotFoundError(errno.ENOENT, "no such file")) is None
    with pytest.raises(ValueError, match="a mistake"), writing(tmp_path):
        raise ValueError("a mistake")
    with pytest.raises(FileNotFoundError), disk_failures(tmp_path):
        (tmp_path / "nothing").read_text()


def test_safetensors_names_the_disk_in_words_alone(tmp_path: Path) -> None:
    """Why the text of an error has to be read: it is no OSError and has no cause."""
    with file_limit(1000):
        with pytest.raises(Exception, match="os error 27") as caught:
            save_file({"x": torch.zeros(10_000)}, tmp_path / "x.safetensors")
        assert not isinstance(caught.value, OSError)
        assert disk_error(caught.value) == errno.EFBIG


def test_the_file_that_the_system_names_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="inner: permission denied"), disk_failures(tmp_path / "outer"):
        raise PermissionError(errno.EACCES, "Permission denied", "inner")


def test_room_is_told_where_nothing_is_yet(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "yet") == pytest.approx(os.statvfs(tmp_path).f_bavail * 4096, rel=0.2)
    assert [size(n) for n in (12, 3_200_000, 2_000, 45_600_000_000)] == ["12 bytes", "3.2 MB", "2 kB", "45.6 GB"]


def test_leftovers_of_a_killed_process_are_swept(tmp_path: Path) -> None:
    """Killed while it writes a checkpoint, a state, a file of rows and a report."""
    code = """
import os, sys, signal
from pathlib import Path
import candor.runs.files, candor.jsonl, candor.models.load, candor.training.state
directory = Path(sys.argv[1])
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
def rows():
    yield {"a": 1}
    die()
def checkpoint():
    with candor.storage.replacing(directory / "stages/01-sft/checkpoint") as unfinished:
        (unfinished / "model.safetensors").write_text("half")
        die()
writers = (
    lambda: candor.jsonl.write_rows(directory / "stages/01-sft/samples.jsonl", rows()),
    lambda: candor.runs.files.write_text(directory / "report.html", "x"),
    lambda: candor.training.state.TrainState(models={}, optimizers={}).save(directory / "stages/01-sft/state"),
    checkpoint,
)
for write in writers:
    child = os.fork()
    if not child:
        os.fsync = die
        write()
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = {p.name for p in tmp_path.rglob(".*")}
    assert len(names) == 4
    assert all(name.endswith(".unfinished") for name in names)
    (tmp_path / "stages" / "01-sft" / "kept.json").write_text(json.dumps({}))
    RunStore(tmp_path)
    assert left(tmp_path) == {"kept.json"}


def test_a_directory_that_cannot_take_its_place_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "checkpoint"
    with replacing(place) as unfinished:
        (unfinished / "weights").write_text("first")
    rename = Path.rename

    def refused(self: Path, target: Path) -> Path:
        if Path(target) == place and not self.name.endswith(".old.unfinished"):
            raise OSError(errno.ENOSPC, "full")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(StorageError, match="no space left"), replacing(place) as unfinished:
        (unfinished / "weights").write_text("second")
    assert (place / "weights").read_text() == "first"
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint"]
    monkeypatch.undo()
    with replacing(place) as unfinished:
        (unfinished / "weights").write_text("second")
    assert (place / "weights").read_text() == "second"
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="this system has no /proc, where nothing can be made")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("file/below", "file: a file is where a directory should be (give another place)"),
        ("file/below/that", "file: a file is where a directory should be (give another place)"),
        ("loop", "loop: is a link that leads nowhere (give another place)"),
        ("loop/below", "loop: is a link that leads nowhere (give another place)"),
        ("n" * 300, "the name is too long"),
        ("/proc/x", "/proc/x: cannot be written: "),
    ],
)
def test_a_place_where_nothing_can_be_made_is_found_before_the_work(tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(InputError, match=re.escape(says)):
        can_be_made(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "loop"]


def test_looking_for_room_leaves_nothing_behind(tmp_path: Path) -> None:
    for name in ("new", "new/deep/down", "file"):
        (tmp_path / "file").touch()
        can_be_made(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_the_root_can_be_asked_about_too() -> None:
    with suppress(InputError):  # whether it can be written to is the machine's affair
        can_be_made(Path("/"))
