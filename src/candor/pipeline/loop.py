"""Consumes a training loop: records every update, shows it, and saves the state so that a killed run goes on."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

from candor.errors import InputError, NotFiniteError
from candor.pipeline.interrupts import deferred_interrupts
from candor.pipeline.lastgood import LastGood, finite, state_bytes
from candor.pipeline.progress import Reporter, working
from candor.pipeline.watch import Watch, raised_row
from candor.recipe import PPOStage
from candor.runs import StepLog, Work
from candor.storage import StorageError, free_bytes, size
from candor.training.alarms import Watched, not_finite
from candor.training.state import STATE_FILE, DamagedState, StepOut, TrainState

Observe = Callable[[StepOut], Mapping[str, float | None]]

FINITE = ("loss", "reward", "kl", "length", "entropy", "policy_loss", "value_loss", "accuracy", "grad_norm")
"""The metrics that are numbers in every update that went well."""


def consume(
    steps: Iterator[StepOut],
    *,
    state: TrainState,
    work: Work,
    watch: Watch,
    tell: Reporter,
    observe: Observe | None = None,
) -> None:
    """Runs ``steps`` to their end. ``metrics.jsonl`` gets a row per update, and ``truth.jsonl`` what ``observe`` says.

    The order matters: rows are written before the state that covers them is saved, and rows after the state that was
    restored are dropped on opening, so that each update has exactly one row, however often the process was killed.
    A Ctrl-C waits for the end of its update, whose state is then saved. Raises InputError for training that diverges,
    and before the first update where the disk has no room for the states to come.
    """
    watched = watch.watched
    _check_room(state, work, watched)
    with ExitStack() as stack:
        books = stack.enter_context(_Books.open(state, work, with_truth=observe is not None))
        if books.metrics.missing(state.step):
            lost = f"the rows of {books.metrics.missing(state.step)} updates are lost"
            tell.note(f"{watched.stage}: metrics.jsonl was damaged: {lost}")
        watch.resume(books.metrics.rows, books.truth.rows if books.truth is not None else [])
        good = LastGood(state, copies=isinstance(watched.config, PPOStage))
        stop = partial(_stop, state=state, work=work, watched=watched, good=good, books=books)
        interrupt = stack.enter_context(deferred_interrupts(tell.note))
        stack.enter_context(working(tell, watched.stage, watched.total, done=state.step))
        for out in _checked(steps, stop, good):
            books.metrics.append(out.step, out.metrics)
            seen = observe(out) if observe is not None else {}
            if books.truth is not None:
                books.truth.append(out.step, seen)
            tell.update(out.step, out.metrics)
            for row, told in watch.see(out.step, out.metrics, seen):
                books.alarms.append(out.step, row)
                tell.note(told)
            if interrupt.asked:
                books.save(state, work)
                interrupt.deliver()
            elif out.step % watched.config.checkpoint_every == 0 and out.step < watched.total:
                books.save(state, work)
        if not all(finite(model) for model in state.models.values()):
            stop("the weights are not finite after the last update", "")


@dataclass(frozen=True, kw_only=True)
class _Books:
    """What is written down while a stage trains."""

    metrics: StepLog
    truth: StepLog | None
    alarms: StepLog

    @staticmethod
    @contextmanager
    def open(state: TrainState, work: Work, *, with_truth: bool) -> Iterator[_Books]:
        """Opens the files behind the updates of the state."""
        with ExitStack() as stack:

            def log(name: str) -> StepLog:
                return stack.enter_context(StepLog(work.path / name, step=state.step))

            truth = log("truth.jsonl") if with_truth else None
            yield _Books(metrics=log("metrics.jsonl"), truth=truth, alarms=log("alarms.jsonl"))

    def save(self, state: TrainState, work: Work) -> None:
        """Saves the state, once the rows of the updates that it covers are on the disk."""
        for log in (self.metrics, self.truth, self.alarms):
            if log is not None:
                log.sync()
        work.keep_time()
        state.save(work.state)


def _stop(
    seen: str, fix: str, *, state: TrainState, work: Work, watched: Watched, good: LastGood, books: _Books
) -> NoReturn:
    """Ends training that diverged: saves the state before the bad update where it can be had, and says what to do."""
    step = state.step + 1
    alarm = not_finite(watched, step, seen, fix=fix)
    kept = good.recover() and state.step > 0
    if kept:
        books.save(state, work)
    books.alarms.append(step, raised_row(alarm))
    raise InputError(
        f"{seen}; likely {alarm.cause}",
        where=f"{watched.stage}, update {step}",
        fix=f"{alarm.setting}; {_kept(state, work, kept=kept)}",
    )


def _kept(state: TrainState, work: Work, *, kept: bool) -> str:
    """Which state is on the disk after a stop."""
    if kept:
        return f"the state after update {state.step} is saved"
    if (work.state / STATE_FILE).is_file():
        return "the state that was saved last is intact"
    return "earlier stages are intact"


def _checked(steps: Iterator[StepOut], stop: Callable[[str, str], NoReturn], good: LastGood) -> Iterator[StepOut]:
    """Training that diverges is the user's to settle: it is stopped before its numbers spread."""
    while True:
        good.mark()
        try:
            out = next(steps, None)
        except NotFiniteError as error:
            stop(f"{error.what} ({error.where})" if error.fix else error.what, error.fix)
        except FloatingPointError as error:
            stop(str(error), "")
        if out is None:
            return
        bad = [f"{name} {out.metrics[name]}" for name in FINITE if not math.isfinite(out.metrics.get(name, 0.0))]
        if bad:
            stop(f"not finite: {', '.join(bad)}", "")
        yield out


def restore(state: TrainState, work: Work, tell: Reporter, name: str) -> None:
    """Goes on from the last saved state, where there is one; a damaged one is told and the stage begun anew."""
    try:
        found = state.restore(work.state)
    except DamagedState as error:
        tell.note(f"{name}: {error.what} ({error.where}): trained from its start")
        return
    if found:
        tell.note(f"{name}: resumed after update {state.step}")


def _check_room(state: TrainState, work: Work, watched: Watched) -> None:
    """Raises InputError where the disk cannot hold the states and the checkpoint that this stage will write."""
    every = watched.config.checkpoint_every
    saves = max(0, (watched.total - 1) // every - state.step // every)
    one = state_bytes(state)
    saved = work.state / STATE_FILE
    there = saved.stat().st_size if saved.is_file() else 0
    copies = min(saves + (1 if there else 0), 2)  # the old one goes only when the new one is whole
    weights = max(sum(p.nbytes for p in model.parameters()) for model in state.models.values())
    needed = max(copies * one, min(copies, 1) * one + weights) - there
    free = free_bytes(work.path)
    if free is not None and free < needed:
        raise StorageError(
            f"not enough room for this stage: about {size(needed)} needed, {size(free)} free",
            where=str(work.path),
            fix="free some space, then run the same command again: it goes on",
        )
