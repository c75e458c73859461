"""Runs a recipe: plans it, makes the stages that are not there yet, audits every policy, and sums up."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from candor.errors import InputError
from candor.models.load import check_checkpoint, check_reward_start, quiet_transformers
from candor.pipeline import sources
from candor.pipeline.audit import run_audit
from candor.pipeline.compare import run_compare
from candor.pipeline.context import Context, device
from candor.pipeline.lastgood import finite
from candor.pipeline.plan import VERSIONS, Planned, check_sources, make_plan, needed_for
from candor.pipeline.ppo import run_ppo
from candor.pipeline.progress import Logged, Reporter, Silent, working
from candor.pipeline.reward import run_reward
from candor.pipeline.sft import run_sft
from candor.pipeline.summary import stage_findings, write_summary
from candor.pipeline.tracking import Tracked, Tracker, watched
from candor.recipe import CompareStage, PPOStage, Recipe, RewardStage, SFTStage
from candor.recipe_io import resolve, to_toml
from candor.report import write_report
from candor.runs import RunStore, Status, Work, locked, write_json, write_text
from candor.storage import disk_failures


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What of a recipe is made: by default all of it.

    ``until``: that stage and those that it needs, no others. ``audits``: the stages whose policies are audited; None:
    every one. ``report``: whether the page is written.
    """

    until: str | None = None
    audits: Collection[str] | None = None
    report: bool = True


WHOLE = Scope()


def run(
    recipe: Recipe,
    out: Path,
    *,
    tell: Reporter | None = None,
    tracker: Tracker | None = None,
    scope: Scope = WHOLE,
) -> Path:
    """Runs ``recipe`` in the directory ``out``, which may hold an earlier, interrupted or finished run; returns it.

    Stages that are finished there, or in another run beside it, are not computed again; an interrupted one goes on
    where it was. ``tracker`` is told every update and every finding, and changes nothing. Raises InputError, before
    anything is computed, for a recipe or a file that cannot be used; stages that were finished stay as they are
    whatever happens: a full or read-only disk, another process in the directory.
    """
    resolved = resolve(recipe)
    sources.forget_files()
    tracked = Tracked(tell or Silent(), tracker)
    logged = Logged(tracked, out / "run.log")
    with disk_failures(out), _heard(logged):
        _check_directory(out)
        check_sources(resolved, logged.note)
        check_checkpoint(resolved.model.path)
        for stage in resolved.stages:
            if isinstance(stage, RewardStage) and stage.model is not None:
                check_reward_start(stage.model)
        device(resolved.model.device)
        plan = make_plan(resolved)
        needed_for(scope.until, plan)  # raises for a name that is none
        with locked(out), watched(tracker, out.resolve().name):
            logged.begin()
            logged.note(f"{resolved.name}, seed {resolved.seed}, in {out}")
            _run(recipe, resolved, plan, RunStore(out), logged, tracked, scope)
    return out


def _run(
    recipe: Recipe,
    resolved: Recipe,
    plan: tuple[Planned, ...],
    store: RunStore,
    tell: Reporter,
    tracked: Tracked,
    scope: Scope,
) -> None:
    out = store.run_dir
    context = Context(recipe=resolved, plan=plan, store=store, tell=tell, reader=_reader())
    write_text(out / "recipe.toml", to_toml(recipe))
    write_json(out / "recipe.resolved.json", resolved.model_dump(mode="json"))
    for name in store.set_aside_others({planned.folder for planned in plan}):
        tell.note(f"{name}: not in this recipe any more, set aside")
    finished: list[tuple[Planned, Path]] = []
    for planned in needed_for(scope.until, plan):
        directory = context.directory(planned)
        tracked.turn_to(planned.name, directory)
        _make(planned, context, audited=scope.audits is None or planned.name in scope.audits)
        finished.append((planned, directory))
        write_summary(out, resolved, finished)
        tracked.end(planned.index, stage_findings(planned, directory, resolved.seed))
    if scope.report:
        with working(tell, "report"):
            write_report(out)


def _check_directory(out: Path) -> None:
    """Raises InputError where a file stands in the way of the run's directory."""
    for place in (out, *out.parents):
        if place.exists() and not place.is_dir():
            raise InputError(
                "a file is where the run's directory should be", where=str(place), fix="give another --out"
            )


def _make(planned: Planned, context: Context, *, audited: bool) -> None:
    """One stage and, where it leaves a policy, its audit. Raises InputError for a model that gives no numbers."""
    try:
        _make_whole(planned, context, audited)
    except FloatingPointError as error:  # outside training, which has its own words for it
        raise InputError(str(error), where=planned.name, fix="the model it works with is broken") from error


def _make_whole(planned: Planned, context: Context, audited: bool) -> None:
    work = context.store.open(context.directory(planned), planned.key, name=planned.name)
    _tell_status(planned, work, context.tell)
    if not work.done:
        _compute(planned, work, context)
        work.finish(
            name=planned.name,
            type=planned.type,
            version=VERSIONS[planned.type],
            seed=context.seed,
            config=dict(planned.config),
            inputs=planned.input_keys(),
        )
    if planned.has_policy and audited:
        run_audit(planned, context)


def _compute(planned: Planned, work: Work, context: Context) -> None:
    match planned.stage:
        case None:  # nothing to make: the model has to be there and whole
            if not finite(context.policy(planned).model):
                path = str(planned.config["path"])
                raise InputError("the weights hold numbers that are not finite", where=path, fix="give another model")
        case SFTStage():
            run_sft(planned.stage, planned, work, context)
        case CompareStage():
            run_compare(planned.stage, planned, work, context)
        case RewardStage():
            run_reward(planned.stage, planned, work, context)
        case PPOStage():
            run_ppo(planned.stage, planned, work, context)


def _tell_status(planned: Planned, work: Work, tell: Reporter) -> None:
    if work.note:
        tell.note(f"{planned.name}: {work.note}")
    match work.status:
        case Status.DONE:
            tell.note(f"{planned.name}: finished before")
        case Status.REUSED if work.manifest is not None:
            tell.note(f"{planned.name}: taken over from {work.manifest.reused_from}")
        case Status.RESUMED:
            tell.note(f"{planned.name}: begun before")


def _reader() -> Any:
    """The reader of replies; looked up when a run starts, so that importing the pipeline stays light."""
    from candor.testbeds.atlas import parser

    return parser.read_reply


@contextmanager
def _heard(tell: Reporter) -> Iterator[None]:
    """Warnings and log messages of Candor's own code become notes; other packages' warnings are shown as ever.

    Transformers' messages on loading and encoding are silenced: what matters in them is checked and told in words.
    """

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            tell.note(f"{record.levelname.lower()}: {record.getMessage()}")

    logger, handler = logging.getLogger("candor"), Notes(level=logging.WARNING)
    propagate = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    with warnings.catch_warnings(), quiet_transformers():
        show = warnings.showwarning

        def heard(message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None) -> None:
            if "candor" in Path(filename).parts:
                tell.note(f"warning: {message}")
            else:
                show(message, category, filename, lineno, file, line)

        warnings.showwarning = heard
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.propagate = propagate
