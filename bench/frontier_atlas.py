"""The frontier on Atlas over several seeds, on a machine with many cores and few packages.

    python -m bench.frontier_atlas --seeds 0 1 2 3 4 --workers 16 --root runs/frontier --out frontier-cells.json.xz
    python -m bench.frontier_atlas --quick

Every cell is a run of the default recipe with one strength of one intervention; shared stages are computed once, each
by one single-thread process. ``--deadline`` stops in time to measure what is finished by then; called again with the
same root it goes on. The file holds, for each cell, the sums by question from which everything else follows
(``candor.experiments.frontier``); ``--into`` adds to those of an earlier file. Needs neither polars, altair,
vl-convert, datasets, rensa nor typer.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from candor.experiments.cells import Cell, run_cells
from candor.experiments.frontier.catalogue import AS_IS, CATALOGUE, chosen, read_plan
from candor.experiments.frontier.matrix import FrontierCell, matrix
from candor.experiments.frontier.measured import Measured
from candor.experiments.frontier.run import measure_cells
from candor.experiments.frontier.store import read_measured, write_measured
from candor.recipe_io import load_recipe


class Deadline(Exception):
    """The time is up."""


class Told:
    """Prints what goes on, and stops the cells when the time is up."""

    def __init__(self, deadline: float | None) -> None:
        self._began, self._deadline = time.monotonic(), deadline

    def start(self, name: str, total: int | None = None, *, done: int = 0) -> None:
        self._say(f"{name}: {done} of {total}")
        self._total = total

    def update(self, done: int, metrics: Mapping[str, float] | None = None) -> None:
        left = "" if not metrics else f", {metrics.get('minutes left', 0.0):.1f} minutes left"
        self._say(f"{done} of {self._total}{left}")
        if self._deadline is not None and time.monotonic() - self._began > self._deadline:
            raise Deadline

    def finish(self, text: str = "") -> None:
        self._say(f"finished {text}")

    def note(self, text: str) -> None:
        self._say(text)

    def _say(self, text: str) -> None:
        print(f"{time.monotonic() - self._began:6.0f} s  {text}", flush=True)


def main() -> None:
    """Runs the cells, measures them and writes one file."""
    options = arguments()
    if options.root is None:
        sys.exit("give --root, a directory for the runs")
    catalogue = CATALOGUE if options.plan is None else read_plan(options.plan)
    cells = matrix(load_recipe(options.recipe), chosen(catalogue, options.only), options.seeds)
    if options.first:
        cells = ordered(cells, options.first)
    print(f"{len(cells)} cells, {options.workers} workers", flush=True)
    told = Told(options.deadline)
    policies = {cells[0].start, cells[0].ppo}
    try:
        done = run_cells(
            [Cell(name=cell.name, recipe=cell.recipe) for cell in cells],
            options.root,
            workers=options.workers,
            audits=policies,
            keep_going=True,
            tell=told,
        )
        print(f"{done.executed} stages in {done.seconds:.0f} s; by kind {dict(done.by_kind)}", flush=True)
        for name, why in done.failed.items():
            print(f"failed: {name}: {why}", flush=True)
    except Deadline:
        print("the time is up: what is finished is measured", flush=True)
    measured = measure_cells(cells, options.root, workers=options.workers)
    if options.into is not None:
        measured = merged([*read_measured(options.into), *measured])
    write_measured(options.out, measured)
    print(f"{len(measured)} policies in {options.out}, {options.out.stat().st_size / 1e6:.1f} MB", flush=True)
    print(table(measured))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", help="a TOML file or a packaged name; the default recipe")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2, 3, 4])
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--only", nargs="*", help="interventions by name, or name:strength")
    parser.add_argument("--first", nargs="*", help="interventions (name or name:strength) whose cells come first")
    parser.add_argument("--plan", type=Path, help="a TOML file of interventions instead of the catalogue")
    parser.add_argument("--root", type=Path)
    parser.add_argument("--out", type=Path, default=Path("frontier-cells.json.xz"))
    parser.add_argument("--into", type=Path, help="an earlier file whose cells are kept beside the new ones")
    parser.add_argument("--deadline", type=float, help="seconds after which no stage is waited for")
    parser.add_argument("--quick", action="store_true", help="one seed of two interventions, in two processes")
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.workers, options.only = [0], 2, ["verifier:1", "kl:0.5"]
        options.root = options.root or Path("frontier-runs")
    return options


def ordered(cells: Sequence[FrontierCell], first: Iterable[str]) -> tuple[FrontierCell, ...]:
    """As they are, but the recipe as it is and then the named ones before the others: what is begun first counts."""
    names = [AS_IS, *first]

    def rank(cell: FrontierCell) -> int:
        given = (cell.intervention, f"{cell.intervention}:{cell.strength}")
        return min((names.index(name) for name in given if name in names), default=len(names))

    return tuple(sorted(cells, key=rank))


def merged(measured: Iterable[Measured]) -> list[Measured]:
    """The last of each option and seed."""
    return list({(*one.option, one.seed): one for one in measured}.values())


def table(measured: Sequence[Measured]) -> str:
    """A line per policy, for the terminal."""
    names = ("false_belief_agreement", "selectivity", "helpfulness", "overcorrection", "neutral_accuracy", "kl")
    lines = ["option seed " + " ".join(names)]
    for one in measured:
        values = [one.value(name) for name in names]
        shown = " ".join("-" if value is None else f"{value:.3f}" for value in values)
        lines.append(f"{one.intervention} {one.strength} {one.seed} {shown}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
