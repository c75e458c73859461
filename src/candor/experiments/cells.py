"""Many recipes under one root, in parallel: every stage that they share is computed once.

A **cell** is one recipe of an experiment, run in a directory of its own. A **task** is one distinct stage key (or
audit key) of all cells. Each task is done by one cell, the first that has it; the others take its result over by its
key, as any two runs under one root do (:mod:`candor.runs.store`). So an interrupted experiment goes on where it was,
and what an earlier one left under the same root is found again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from candor.errors import InputError
from candor.experiments.workers import cores, perform
from candor.pipeline.plan import Planned, audit_key, make_plan, needed_for
from candor.pipeline.progress import Reporter, Silent, working
from candor.pipeline.run import Scope, run
from candor.recipe import Recipe
from candor.recipe_io import resolve
from candor.runs import read_manifest
from candor.runs.store import AUDIT

CELL = "cell"
"""The kind of a cell's last task: its summary, once everything is there."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One recipe of an experiment. ``name`` is its directory's under the root."""

    name: str
    recipe: Recipe


@dataclass(frozen=True, kw_only=True)
class Task:
    """One key to be made in the directory of ``cell`` by running its recipe as far as ``scope`` says.

    ``kind`` is a stage's type, ``audit`` or ``cell``; ``needs`` are the keys that have to be there before.
    """

    key: str
    kind: str
    cell: str
    folder: str  # of the stage, in the cell's directory
    scope: Scope
    needs: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.cell}, {self.folder or 'summary'}{', audit' if self.kind == AUDIT else ''}"


@dataclass(frozen=True, kw_only=True)
class CellPlan:
    """``tasks`` in an order in which each comes after what it needs; ``keys``: by cell, its stages' names and keys."""

    cells: Mapping[str, Cell]
    tasks: tuple[Task, ...]
    keys: Mapping[str, Mapping[str, str]]

    def waves(self) -> list[list[Task]]:
        """The tasks in waves: those of one need nothing of it, and no two of them work in one directory."""
        done: set[str] = set()
        left, waves = list(self.tasks), []
        while left:
            busy: set[str] = set()
            wave: list[Task] = []
            for task in left:
                if task.cell not in busy and done.issuperset(task.needs):
                    busy.add(task.cell)
                    wave.append(task)
            done |= {task.key for task in wave}
            left = [task for task in left if task.key not in done]
            waves.append(wave)
        return waves


@dataclass(frozen=True, kw_only=True)
class Cells:
    """What there is now. ``directories`` holds the finished cells; ``failed`` says why the others are not.

    ``executed`` and ``planned`` count distinct stage keys (audits apart: ``by_kind`` has (executed, planned) for each
    type of stage and for audits); what was found finished is not executed. ``seconds`` is the time on the clock.
    ``stage_seconds``: what computing each key took, now or whenever it was computed.
    """

    directories: Mapping[str, Path]
    keys: Mapping[str, Mapping[str, str]]
    executed: int
    planned: int
    by_kind: Mapping[str, tuple[int, int]]
    seconds: float
    stage_seconds: Mapping[str, float]
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def paid_seconds(self) -> float:
        """What all distinct stages took, added up."""
        return sum(self.stage_seconds.values())

    @property
    def separate_seconds(self) -> float:
        """What they would have taken had every cell computed its own."""
        return sum(self.stage_seconds.get(key, 0.0) for keys in self.keys.values() for key in keys.values())


def run_cells(
    cells: Iterable[Cell],
    root: Path,
    *,
    workers: int | None = None,
    until: str | None = None,
    audits: Collection[str] | None = None,
    report: bool = False,
    keep_going: bool = False,
    tell: Reporter | None = None,
) -> Cells:
    """Runs every cell in ``root/<name>``, each distinct stage key once; returns where they are and what it took.

    ``workers``: processes (None: as many as there are cores, one where there is an accelerator, which they would have
    to share). ``until``: no further than that stage of each recipe. ``audits``: the stages whose policies are audited
    (None: all of them; an audit takes as long as a short stage). ``report``: a page for every cell.

    Run again after an interruption it goes on. Raises InputError for a recipe or a file that cannot be used and, unless
    ``keep_going``, for a stage that fails; then the cells without it are finished and the others are in ``failed``.
    """
    tell, began = tell or Silent(), time.monotonic()
    plan = plan_cells(cells, until=until, audits=audits, report=report)
    work = _Work(plan, root, tell, keep_going)
    number = min(workers or _default_workers(plan), max(1, len(work.left)))
    work.workers = number
    with working(tell, "stages", len(plan.tasks), done=len(plan.tasks) - len(work.left)):
        perform(work, work_on, workers=number)
    work.fail_the_rest()
    return _collected(plan, root, work, time.monotonic() - began)


def plan_cells(
    cells: Iterable[Cell], *, until: str | None = None, audits: Collection[str] | None = None, report: bool = False
) -> CellPlan:
    """The distinct tasks of all cells. Raises InputError for two cells of one name, or what cannot be planned."""
    named: dict[str, Cell] = {}
    tasks: dict[str, Task] = {}
    keys: dict[str, dict[str, str]] = {}
    for cell in cells:
        if cell.name in named or "/" in cell.name or cell.name.startswith("."):
            raise InputError(f"{cell.name!r} cannot name another cell", fix="a name of its own for each, without /")
        named[cell.name] = cell
        resolved = resolve(cell.recipe)
        whole = make_plan(resolved)
        wanted = needed_for(until, whole)
        keys[cell.name] = {planned.name: planned.key for planned in wanted}
        own = list(_stage_tasks(cell.name, wanted, audits, resolved, whole))
        for task in own:
            tasks.setdefault(task.key, task)
        ready = tuple(dict.fromkeys(task.key for task in own))
        scope = Scope(until=until, audits=audits, report=report)
        last = Task(key=f"{CELL} {cell.name}", kind=CELL, cell=cell.name, folder="", scope=scope, needs=ready)
        tasks[last.key] = last
    return CellPlan(cells=named, tasks=tuple(tasks.values()), keys=keys)


def _stage_tasks(
    cell: str, wanted: Sequence[Planned], audits: Collection[str] | None, recipe: Recipe, whole: tuple[Planned, ...]
) -> Iterator[Task]:
    for planned in wanted:
        scope = Scope(until=planned.name, audits=(), report=False)
        needs = tuple(source.key for source in planned.inputs.values())
        yield Task(key=planned.key, kind=planned.type, cell=cell, folder=planned.folder, scope=scope, needs=needs)
        if planned.has_policy and (audits is None or planned.name in audits):
            key = audit_key(planned, recipe, whole)
            scope = Scope(until=planned.name, audits=(planned.name,), report=False)
            yield Task(key=key, kind=AUDIT, cell=cell, folder=planned.folder, scope=scope, needs=(planned.key,))


@dataclass(frozen=True, kw_only=True)
class Job:
    """A task as a worker is given it."""

    task: Task
    recipe: Recipe
    directory: Path

    def __str__(self) -> str:
        return str(self.task)


def work_on(job: Job) -> dict[str, tuple[str, float]]:
    """Does one job; returns what was computed in it and not found: by key, the kind and the seconds."""
    before = _made_here(job.directory)
    run(job.recipe, job.directory, scope=job.task.scope)
    return {key: made[:2] for key, made in _made_here(job.directory).items() if before.get(key) != made}


def _made_here(directory: Path) -> dict[str, tuple[str, float, str]]:
    """The stages and audits that were computed in this directory, by key: kind, seconds, and when they began."""
    made: dict[str, tuple[str, float, str]] = {}
    for stage in (directory / "stages").glob("*"):
        for place in (stage, stage / AUDIT):
            manifest = read_manifest(place)
            if manifest is not None and manifest.reused_from is None:
                made[manifest.key] = (manifest.type, manifest.seconds, manifest.started_at)
    return made


class _Work:
    """What is left to do, as :func:`candor.experiments.workers.perform` asks for it."""

    def __init__(self, plan: CellPlan, root: Path, tell: Reporter, keep_going: bool) -> None:
        self.plan, self.root, self.tell, self.keep_going = plan, root, tell, keep_going
        self.workers = 1
        self.ready = {task.key for task in plan.tasks if _is_there(task, root)}
        complete = {name for name in plan.cells if (root / name / "summary.json").is_file() and self._has_all(name)}
        self.ready |= {f"{CELL} {name}" for name in complete}
        self.left = [task for task in plan.tasks if task.key not in self.ready]
        self.busy: set[str] = set()
        self.executed: Counter[str] = Counter()  # by key
        self.kinds: dict[str, str] = {}
        self.errors: dict[str, str] = {}  # by key
        self.spent: dict[str, list[float]] = {}  # by kind: seconds of finished jobs
        self._began: dict[str, float] = {}

    def _has_all(self, name: str) -> bool:
        """Whether a cell's own directory holds every stage and audit that it should."""
        last = next(task for task in self.plan.tasks if task.key == f"{CELL} {name}")
        stages = (self.root / name / "stages").glob("*")
        keys = {_key_of(place) for stage in stages for place in (stage, stage / AUDIT)}
        return keys.issuperset(last.needs)

    def take(self) -> Job | None:
        for task in self.left:
            if task.cell not in self.busy and self.ready.issuperset(task.needs):
                self.left.remove(task)
                self.busy.add(task.cell)
                self._began[task.key] = time.monotonic()
                recipe = self.plan.cells[task.cell].recipe
                return Job(task=task, recipe=recipe, directory=self.root / task.cell)
        return None

    def done(self, job: Job, result: Mapping[str, tuple[str, float]]) -> None:
        task = job.task
        self.busy.discard(task.cell)
        self.ready.add(task.key)
        self.executed.update(result.keys())
        self.kinds |= {key: kind for key, (kind, _) in result.items()}
        self.spent.setdefault(task.kind, []).append(time.monotonic() - self._began[task.key])
        total = len(self.plan.tasks)
        self.tell.update(total - len(self.left) - len(self.busy), {"minutes left": self.seconds_left() / 60})

    def failed(self, job: Job, error: InputError) -> None:
        if not self.keep_going:
            raise InputError(error.what, where=": ".join(filter(None, (str(job), error.where))), fix=error.fix)
        self.busy.discard(job.task.cell)
        self.errors[job.task.key] = str(error)
        self.tell.note(f"{job}: {error}")

    def broken(self, job: Job, traceback: str) -> None:
        if not self.keep_going:
            raise RuntimeError(f"in a worker process:\n{traceback}")
        self.busy.discard(job.task.cell)
        self.errors[job.task.key] = f"a mistake of the program: {traceback.strip().splitlines()[-1]}"
        self.tell.note(f"{job}: in a worker process:\n{traceback}")

    def seconds_left(self) -> float:
        """The typical job of a kind took so long; a kind not seen yet is taken for a typical job of any."""
        means = {kind: sum(seconds) / len(seconds) for kind, seconds in self.spent.items()}
        typical = sum(means.values()) / len(means)
        return sum(means.get(task.kind, typical) for task in self.left) / self.workers

    def fail_the_rest(self) -> None:
        """What was never begun waited for something that failed."""
        for task in self.left:  # in an order in which what a task needs comes before it
            why = next((self.errors[key] for key in task.needs if key in self.errors), None)
            if why is not None:
                self.errors[task.key] = why


def _is_there(task: Task, root: Path) -> bool:
    """Whether the task's result lies, finished, where it belongs."""
    if task.kind == CELL:
        return False
    place = root / task.cell / "stages" / task.folder
    return _key_of(place / AUDIT if task.kind == AUDIT else place) == task.key


def _key_of(place: Path) -> str | None:
    """The key of a finished stage or audit; None for one that lacks a file. Changed files a run finds by their hashes.

    Hashing all checkpoints of an experiment that is finished would take longer than reading its results.
    """
    manifest = read_manifest(place)
    if manifest is None or not all((place / name).is_file() for name in manifest.files):
        return None
    return manifest.key


def _collected(plan: CellPlan, root: Path, work: _Work, seconds: float) -> Cells:
    failed = {name: work.errors[f"{CELL} {name}"] for name in plan.cells if f"{CELL} {name}" in work.errors}
    planned = Counter(task.kind for task in plan.tasks if task.kind != CELL)
    executed: Counter[str] = Counter()
    for key, times in work.executed.items():
        executed[work.kinds[key]] += times
    spent: dict[str, float] = {}
    for name in plan.cells:
        for place in (root / name / "stages").glob("*"):
            manifest = read_manifest(place)
            if manifest is not None:
                spent[manifest.key] = manifest.seconds
    wanted = {key for keys in plan.keys.values() for key in keys.values()}
    return Cells(
        directories={name: root / name for name in plan.cells if name not in failed},
        keys=plan.keys,
        executed=sum(times for kind, times in executed.items() if kind != AUDIT),
        planned=sum(times for kind, times in planned.items() if kind != AUDIT),
        by_kind={kind: (executed[kind], planned[kind]) for kind in planned},
        seconds=seconds,
        stage_seconds={key: taken for key, taken in spent.items() if key in wanted},
        failed=failed,
    )


def _default_workers(plan: CellPlan) -> int:
    import torch

    on_cpu = all(cell.recipe.model.device == "cpu" for cell in plan.cells.values())
    return cores() if on_cpu or not torch.cuda.is_available() else 1
