"""A frontier's cells on the disk: what another recipe left there is not measured, what was damaged is made again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from candor.experiments.cells import Cell, run_cells
from candor.experiments.frontier.catalogue import AS_IS
from candor.experiments.frontier.matrix import FrontierCell, matrix
from candor.experiments.frontier.run import MeasuringJob, measure_one
from candor.recipe_io import apply_overrides, load_recipe
from candor.runs.store import AUDIT

QUICK = ["sft.epochs=1", "reward.epochs=1", "ppo.updates=2", "audit.bootstrap=20"]


def as_is(files: Path, *overrides: str) -> FrontierCell:
    recipe = apply_overrides(load_recipe(files / "recipe.toml"), [*QUICK, *overrides])
    (one,) = matrix(recipe, (), [0])
    return one


def made(cell: FrontierCell, root: Path) -> MeasuringJob:
    run_cells(
        [Cell(name=cell.name, recipe=cell.recipe)], root, workers=1, audits={cell.start, cell.ppo}, keep_going=True
    )
    return MeasuringJob(cell=cell, directory=root / cell.name)


def test_what_another_recipe_left_under_the_same_name_is_not_measured(files: Path, tmp_path: Path) -> None:
    job = made(as_is(files), tmp_path)
    assert [one.intervention for one in measure_one(job)] == ["sft", AS_IS]
    assert [one.intervention for one in measure_one(job)] == ["sft", AS_IS]  # kept beside the run
    # With another recipe comparing fails; the earlier PPO still lies there, and SFT is the same.
    other = made(as_is(files, "compare.max_new_tokens=500"), tmp_path)
    assert (job.directory / "stages" / "04-ppo" / AUDIT / "samples.jsonl").is_file()
    assert [one.intervention for one in measure_one(other)] == ["sft"]
    whole = replace(other.cell, recipe=apply_overrides(other.cell.recipe, ["sft.epochs=2"]))
    assert measure_one(replace(other, cell=whole)) == []


def test_a_cell_that_lost_a_file_is_mended(files: Path, tmp_path: Path) -> None:
    cell = as_is(files)
    job = made(cell, tmp_path)
    audit = job.directory / "stages" / "04-ppo" / AUDIT
    before = (audit / "findings.jsonl").read_bytes()
    (audit / "findings.jsonl").unlink()
    (audit / "samples.jsonl").unlink()
    again = run_cells([Cell(name=cell.name, recipe=cell.recipe)], tmp_path, workers=1, audits={cell.start, cell.ppo})
    assert again.by_kind["audit"] == (1, 2)
    assert (again.executed, again.planned) == (0, 5)  # no stage, the audit alone
    assert (audit / "findings.jsonl").read_bytes() == before
