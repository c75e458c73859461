"""Cells: what recipes share is computed once, in one process or in several, and an interruption costs nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from candor.errors import InputError
from candor.experiments.cells import Cell, plan_cells, run_cells
from candor.experiments.workers import perform
from candor.recipe import Recipe
from candor.recipe_io import apply_overrides, load_recipe
from candor.runs import read_findings, read_manifest

QUICK = ["sft.epochs=1", "reward.epochs=1", "ppo.updates=2"]


def four(files: Path) -> list[Cell]:
    """Two panels by two betas: base and sft are shared by all, compare and reward by two each."""
    recipe = apply_overrides(load_recipe(files / "recipe.toml"), QUICK)
    return [Cell(name=f"panel{a}-beta{b}", recipe=changed(recipe, a, b)) for a in (0, 2) for b in (0.1, 0.3)]


def changed(recipe: Recipe, agreement: float, beta: float) -> Recipe:
    return apply_overrides(recipe, [f"compare.panel.agreement={agreement}", f"ppo.kl_coef={beta}"])


def test_each_distinct_stage_is_executed_once_and_found_again(files: Path, tmp_path: Path, stubs: None) -> None:
    done = run_cells(four(files), tmp_path, workers=1, audits=("ppo",))
    assert done.by_kind == {
        "base": (1, 1), "sft": (1, 1), "compare": (2, 2), "reward": (2, 2), "ppo": (4, 4), "audit": (4, 4)
    }  # fmt: skip
    assert (done.executed, done.planned) == (10, 10) == (len(done.stage_seconds),) * 2
    assert set(done.directories) == {cell.name for cell in four(files)}
    for directory in done.directories.values():
        assert (directory / "summary.json").is_file()
        assert {finding.stage for finding in read_findings(directory)} == {"reward", "ppo"}
        assert not (directory / "stages" / "01-sft" / "audit").exists()
    assert done.paid_seconds < done.separate_seconds
    shared = [read_manifest(directory / "stages" / "01-sft") for directory in done.directories.values()]
    assert sorted(found.reused_from is None for found in shared if found) == [False, False, False, True]
    again = run_cells(four(files), tmp_path, workers=1, audits=("ppo",))
    assert (again.executed, again.planned) == (0, 10)
    more = Cell(name="more", recipe=changed(four(files)[0].recipe, 0, 0.5))
    assert run_cells([*four(files), more], tmp_path, workers=1, audits=("ppo",)).by_kind["ppo"] == (1, 5)


def test_until_makes_a_stage_and_what_it_needs_alone(files: Path, tmp_path: Path, stubs: None) -> None:
    done = run_cells(four(files), tmp_path, workers=1, until="compare", audits=())
    assert set(done.by_kind) == {"base", "sft", "compare"}
    with pytest.raises(InputError, match="no stage is called 'conpare'"):
        run_cells(four(files), tmp_path, workers=1, until="conpare")


def test_a_stage_that_fails_stops_all_or_only_its_cells(files: Path, tmp_path: Path, stubs: None) -> None:
    cells = four(files)
    cells = cells[:1]
    broken = Cell(name="broken", recipe=apply_overrides(cells[0].recipe, ["sft.max_length=1"]))
    with pytest.raises(InputError, match=r"broken, 01-sft: .*no demonstration fits"):
        run_cells([broken, *cells], tmp_path, workers=1, audits=())
    done = run_cells([broken, *cells], tmp_path, workers=1, audits=(), keep_going=True)
    assert list(done.failed) == ["broken"]
    assert "no demonstration fits" in done.failed["broken"]
    assert set(done.directories) == {cell.name for cell in cells}


def test_two_cells_of_one_name_are_refused(files: Path) -> None:
    cell = four(files)[0]
    with pytest.raises(InputError, match="cannot name another cell"):
        plan_cells([cell, cell])


def test_waves_hold_each_task_once_after_what_it_needs(files: Path) -> None:
    plan = plan_cells(four(files), audits=("ppo",))
    seen: set[str] = set()
    for wave in plan.waves():
        assert len({task.cell for task in wave}) == len(wave)  # a directory has one process at a time
        assert all(seen.issuperset(task.needs) for task in wave)
        seen |= {task.key for task in wave}
    assert seen == {task.key for task in plan.tasks}


@pytest.mark.slow
def test_several_processes_give_what_one_does(files: Path, tmp_path: Path, stubs: None) -> None:
    one = run_cells(four(files), tmp_path / "one", workers=1, until="compare", audits=())
    two = run_cells(four(files), tmp_path / "two", workers=2, until="compare", audits=())
    assert two.by_kind == one.by_kind
    for name in one.directories:
        hashes = [read_manifest(found.directories[name] / "stages" / "02-compare").files for found in (one, two)]  # type: ignore[union-attr]
        assert hashes[0]["comparisons.jsonl"] == hashes[1]["comparisons.jsonl"]


class Numbers:
    """Jobs without needs."""

    def __init__(self, numbers: list[Any]) -> None:
        self.left, self.results = numbers, []

    def take(self) -> Any:
        return self.left.pop() if self.left else None

    def done(self, job: Any, result: Any) -> None:
        self.results.append(result)

    def failed(self, job: Any, error: InputError) -> None:
        raise error

    def broken(self, job: Any, traceback: str) -> None:
        raise RuntimeError(f"in a worker process:\n{traceback}")


def test_a_mistake_in_a_worker_is_told_with_its_traceback_and_ends_the_others() -> None:
    with pytest.raises(RuntimeError, match=r"(?s)in a worker process.*invalid literal"):
        perform(Numbers(["no number", "1"]), int, workers=2)
    numbers = Numbers(["1", "2", "3"])
    perform(numbers, int, workers=2)
    assert sorted(numbers.results) == [1, 2, 3]


def test_a_worker_that_dies_is_told() -> None:
    with pytest.raises(InputError, match="a worker process ended with exit code 3"):
        perform(Numbers([3]), os._exit, workers=2)


PARENT = """
import sys, time
from candor.experiments.workers import perform
class Sleeps:
    left = [60.0, 60.0]
    def take(self):
        return self.left.pop() if self.left else None
    def done(self, job, result): ...
perform(Sleeps(), time.sleep, workers=2)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_parent_however_it_ends(number: signal.Signals) -> None:
    """A run directory whose worker lived on could not be resumed until that had finished its stage."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen([sys.executable, "-c", PARENT], env=environment)
    try:
        children: list[int] = []
        for _ in range(100):
            time.sleep(0.1)
            children = children_of(parent.pid)
            if len(children) == 2:
                break
        assert len(children) == 2
        time.sleep(1.0)
        assert len(children_of(parent.pid)) == 2  # control: as long as it lives they do
    finally:
        parent.send_signal(number)
        parent.wait()
    deadline = time.monotonic() + 10
    while any(alive(child) for child in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [child for child in children if alive(child)]


def children_of(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in found.splitlines()]
    return [int(child) for child, parent in rows if int(parent) == pid]


def alive(pid: int) -> bool:
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(found) and not found.startswith("Z")
