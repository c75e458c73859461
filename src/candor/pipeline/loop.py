"""Consumes a training loop: records every update, shows it, and saves the state so that a killed run goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack

from candor.errors import InputError
from candor.pipeline.progress import Reporter, working
from candor.runs import StepLog, Work
from candor.training.state import StepOut, TrainState

Observe = Callable[[StepOut], Mapping[str, float | None]]


def consume(
    steps: Iterator[StepOut],
    *,
    state: TrainState,
    work: Work,
    name: str,
    total: int,
    every: int,
    tell: Reporter,
    observe: Observe | None = None,
) -> None:
    """Runs ``steps`` to their end. ``metrics.jsonl`` gets a row per update, and ``truth.jsonl`` what ``observe`` says.

    The order matters: rows are written before the state that covers them is saved, and rows after the state that was
    restored are dropped on opening, so that each update has exactly one row, however often the process was killed.
    """
    with ExitStack() as stack:
        metrics = stack.enter_context(StepLog(work.path / "metrics.jsonl", step=state.step))
        truth = stack.enter_context(StepLog(work.path / "truth.jsonl", step=state.step)) if observe else None
        stack.enter_context(working(tell, name, total, done=state.step))
        for out in _checked(steps, state, name):
            metrics.append(out.step, out.metrics)
            if truth is not None and observe is not None:
                truth.append(out.step, observe(out))
            tell.update(out.step, out.metrics)
            if out.step % every == 0 and out.step < total:
                work.keep_time()
                state.save(work.state)


def _checked(steps: Iterator[StepOut], state: TrainState, name: str) -> Iterator[StepOut]:
    """Training that diverges is the user's to settle: one line instead of a traceback."""
    try:
        yield from steps
    except FloatingPointError as error:
        raise InputError(str(error), where=f"{name}, update {state.step + 1}") from error


def restore(state: TrainState, work: Work, tell: Reporter, name: str) -> None:
    """Goes on from the last saved state, where there is one."""
    if state.restore(work.state):
        tell.note(f"{name}: resumed after update {state.step}")
