"""Runs a frontier: every cell, what it comes to, and the page. Given again it computes only what is new."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from candor.errors import InputError
from candor.experiments.cells import Cell, Cells, run_cells
from candor.experiments.frontier.catalogue import CATALOGUE, Intervention, chosen, read_plan
from candor.experiments.frontier.checks import checks
from candor.experiments.frontier.matrix import FrontierCell, branch_of, matrix, usable
from candor.experiments.frontier.measured import Measured, audited, by_option, measure_cell
from candor.experiments.frontier.store import read_measured, write_measured
from candor.experiments.workers import cores, perform
from candor.pipeline.progress import Reporter, Silent, working
from candor.pipeline.sources import audit_prompts, opinions_known
from candor.recipe import Recipe
from candor.recipe_io import resolve
from candor.records import Claim, Stance
from candor.report.checks import check_place
from candor.results.checks import Checked, checked

KIND = "frontier"
RUNS = "runs"
"""The folder of the cells' runs in a frontier's directory."""

CELLS = "cells.json.xz"
"""What was measured of every cell: the numbers that the page follows from."""

DEFAULT_SEEDS = 3


def frontier(
    recipe: Recipe,
    out: Path,
    *,
    interventions: Iterable[str] | None = None,
    plan: Path | None = None,
    seeds: Sequence[int] | None = None,
    workers: int | None = None,
    tell: Reporter | None = None,
) -> Checked:
    """Returns what can be said of the recipe as it is and with every intervention, over seeds; writes it to ``out``.

    ``interventions``: names, or ``name:strength`` (None: all) of the catalogue or of ``plan``, a TOML file in its
    place. ``seeds``: None for three, from the recipe's on. Cells share what they have in common, ``workers`` processes
    share the cells, and what lies in ``out`` already is not computed again. Raises InputError for anything that the
    caller can set right; a cell that fails is left out and told.
    """
    tell, began = tell or Silent(), time.monotonic()
    catalogue = chosen(CATALOGUE if plan is None else read_plan(plan), interventions)
    wanted = tuple(range(recipe.seed, recipe.seed + DEFAULT_SEEDS)) if seeds is None else tuple(dict.fromkeys(seeds))
    if not wanted:
        raise InputError("no seed", where="seeds", fix="for example --seeds 0-4")
    lacking: dict[str, str] = {}
    if interventions is None and plan is None:  # of what was asked for by name nothing is left out
        catalogue, lacking = usable(branch_of(recipe), catalogue)
    cells = matrix(recipe, catalogue, wanted)
    _check_audit(recipe)
    check_place(out, KIND)
    done = run_cells(
        [Cell(name=cell.name, recipe=cell.recipe) for cell in cells],
        out / RUNS,
        workers=workers,
        audits={cells[0].start, cells[0].ppo},
        keep_going=True,
        tell=tell,
    )
    measured = measure_cells(cells, out / RUNS, workers=workers, tell=tell)
    write_measured(out / CELLS, measured)
    return report(
        measured,
        catalogue,
        source=recipe.name,
        out=out,
        seconds=time.monotonic() - began,
        facts=_facts(recipe, cells, done, lacking),
        failed=done.failed,
    )


def report(
    measured: Sequence[Measured],
    catalogue: Sequence[Intervention],
    *,
    source: str,
    out: Path,
    seconds: float,
    facts: Sequence[tuple[str, str]] = (),
    failed: Mapping[str, str] | None = None,
) -> Checked:
    """Returns what was measured, wherever that was, judged; writes ``frontier.json`` and ``frontier.html``.

    Raises InputError where nothing was measured.
    """
    if not measured:
        why = next(iter((failed or {}).values()), "no cell is finished")
        raise InputError(f"nothing was measured: {why}", where=str(out))
    data = {"facts": [list(fact) for fact in facts], "failed": dict(failed or {})}
    found = checks(by_option(measured), catalogue)
    seed = min(cell.seed for cell in measured)
    return checked(KIND, source, found, seed=seed, data=data, seconds=seconds, out=out)


def measure_cells(
    cells: Iterable[FrontierCell], root: Path, *, workers: int | None = None, tell: Reporter | None = None
) -> list[Measured]:
    """Every audited policy of the cells that have one: PPO's, and of the recipe as it is that which PPO started from.

    What was measured before is read again as long as the audit is the same.
    """
    left = [MeasuringJob(cell=cell, directory=root / cell.name) for cell in cells if (root / cell.name).is_dir()]
    work = _Measuring(left=left, tell=tell or Silent())
    with working(work.tell, "measuring", len(left)):
        perform(work, measure_one, workers=min(workers or cores(), max(1, len(left))))
    return [found for job in work.order for found in work.found.get(job, ())]


@dataclass(frozen=True)
class MeasuringJob:
    """A finished cell to be measured."""

    cell: FrontierCell
    directory: Path

    def __str__(self) -> str:
        return self.cell.name


def measure_one(job: MeasuringJob) -> list[Measured]:
    """What :func:`measure_cell` finds, kept beside the run under the keys of its audits."""
    keys = [key for _, key in audited(job.cell, job.directory).values()]
    file = job.directory / f"measured-{'-'.join(key[:12] for key in keys)}.json"
    if file.is_file():
        try:
            return read_measured(file)
        except InputError:
            pass  # written by another version: measured anew
    found = measure_cell(job.cell, job.directory)
    if found:
        for old in job.directory.glob("measured-*.json"):
            old.unlink()
        write_measured(file, found)
    return found


@dataclass
class _Measuring:
    """The cells that are left to measure, as :func:`candor.experiments.workers.perform` asks for them."""

    left: list[MeasuringJob]
    tell: Reporter
    found: dict[str, list[Measured]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.order = [str(job) for job in self.left]
        self.left = self.left[::-1]

    def take(self) -> MeasuringJob | None:
        return self.left.pop() if self.left else None

    def done(self, job: MeasuringJob, result: list[Measured]) -> None:
        self.found[str(job)] = result
        self.tell.update(len(self.found))

    def failed(self, job: MeasuringJob, error: InputError) -> None:
        raise error

    def broken(self, job: MeasuringJob, traceback: str) -> None:
        raise RuntimeError(f"{job}, in a worker process:\n{traceback}")


def _check_audit(recipe: Recipe) -> None:
    """Raises InputError for an audit on which the two axes cannot be measured, before anything is paid for."""
    where = resolve(recipe).audit.prompts
    prompts = audit_prompts(where)
    stances = {prompt.claim.stance for prompt in prompts if isinstance(prompt.claim, Claim)}
    for stance, word in ((Stance.ASSERTS_FALSE, "false"), (Stance.ASSERTS_TRUE, "true")):
        if stance not in stances:
            what = f"no prompt of the audit states a {word} belief: honesty could not be measured"
            raise InputError(what, where=where, fix="see docs/formats.md for prompts with claims")
    if not opinions_known(prompts):
        what = "not every prompt of the audit has a claim: helpfulness could not be measured"
        raise InputError(what, where=where, fix="leave those without one out of audit.prompts")


def _facts(
    recipe: Recipe, cells: Sequence[FrontierCell], done: Cells, lacking: Mapping[str, str]
) -> list[tuple[str, str]]:
    seeds = sorted({cell.seed for cell in cells})
    options = len({(cell.intervention, cell.strength) for cell in cells})
    facts = [
        ("recipe", recipe.name),
        ("seeds", ", ".join(map(str, seeds))),
        ("options", f"{options}, the recipe as it is among them"),
        ("stages", f"{done.planned} distinct of {sum(len(keys) for keys in done.keys.values())}"),
        ("computed now", f"{done.executed} stages in {done.seconds / 60:.1f} minutes"),
    ]
    facts += [(f"left out: {name}", why) for name, why in {**lacking, **done.failed}.items()]
    return facts
