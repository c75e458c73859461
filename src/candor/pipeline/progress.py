"""What a run tells while it runs: one live line per stage on a terminal, plain lines elsewhere, and a log on disk."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from candor.runs.provenance import now
from candor.storage import StorageError, writing

SHOWN = ("loss", "accuracy", "reward", "kl", "length", "minutes left")
"""The metrics worth a place on a progress line, in this order."""

PLAIN_SECONDS = 10.0
"""Plain output says how far a stage has come at most this often."""


class Reporter(Protocol):
    """What the pipeline tells its caller."""

    def start(self, name: str, total: int | None = None, *, done: int = 0) -> None:
        """A piece of work begins; ``total`` in its own units (updates, replies), None where unknown."""
        ...

    def update(self, done: int, metrics: Mapping[str, float] | None = None) -> None:
        """The current piece of work has come to ``done``."""
        ...

    def finish(self, text: str = "") -> None:
        """The current piece of work is over."""
        ...

    def note(self, text: str) -> None:
        """Something that the user should know: what was reused, dropped, cut or warned about."""
        ...


class Silent:
    """Tells nothing."""

    def start(self, name: str, total: int | None = None, *, done: int = 0) -> None: ...
    def update(self, done: int, metrics: Mapping[str, float] | None = None) -> None: ...
    def finish(self, text: str = "") -> None: ...
    def note(self, text: str) -> None: ...


class Live:
    """One live line for the current piece of work; a finished one stays as a line of text."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[metrics]}", style="dim"),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None
        self._name = ""
        self._began = 0.0

    def start(self, name: str, total: int | None = None, *, done: int = 0) -> None:
        self._name, self._began = name, time.monotonic()
        self._task = self._progress.add_task(name, total=total, completed=done, metrics="")
        self._progress.start()

    def update(self, done: int, metrics: Mapping[str, float] | None = None) -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=done, metrics=metrics_text(metrics or {}))

    def finish(self, text: str = "") -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
            self._task = None
        self._progress.stop()
        self._console.print(_finished(self._name, time.monotonic() - self._began, text), markup=False, highlight=False)

    def note(self, text: str) -> None:
        self._console.print(f"  {text}", markup=False, highlight=False, style="dim")


class Plain:
    """Lines for logs and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._name = ""
        self._total: int | None = None
        self._began = self._said = 0.0

    def start(self, name: str, total: int | None = None, *, done: int = 0) -> None:
        self._name, self._total = name, total
        self._began = self._said = time.monotonic()
        self._say(f"{name} ..." if not done else f"{name} ... from {done}/{total}")

    def update(self, done: int, metrics: Mapping[str, float] | None = None) -> None:
        if time.monotonic() - self._said >= PLAIN_SECONDS:
            self._said = time.monotonic()
            self._say(f"{self._name} {done}/{self._total or '?'}  {metrics_text(metrics or {})}".rstrip())

    def finish(self, text: str = "") -> None:
        self._say(_finished(self._name, time.monotonic() - self._began, text))

    def note(self, text: str) -> None:
        self._say(f"  {text}")

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class Logged:
    """Passes everything on to ``inner`` and keeps a dated copy of it, updates left out, in a file.

    Until :meth:`begin` the copy is kept in memory: a run that is refused before it starts leaves no file behind.
    """

    def __init__(self, inner: Reporter, path: Path) -> None:
        self._inner, self._path = inner, path
        self._name = ""
        self._waiting: list[str] | None = []

    def begin(self) -> None:
        """Writes what was kept so far; from here on every line goes to the file at once."""
        waiting, self._waiting = self._waiting or [], None
        with writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
        self._append(waiting)

    def start(self, name: str, total: int | None = None, *, done: int = 0) -> None:
        self._name = name
        self._write(f"{name}: started" + (f" at {done} of {total}" if done else ""))
        self._inner.start(name, total, done=done)

    def update(self, done: int, metrics: Mapping[str, float] | None = None) -> None:
        self._inner.update(done, metrics)

    def finish(self, text: str = "") -> None:
        self._write(f"{self._name}: finished {text}".rstrip())
        self._inner.finish(text)

    def note(self, text: str) -> None:
        self._write(text)
        self._inner.note(text)

    def _write(self, text: str) -> None:
        line = f"{now()} {text}\n"
        if self._waiting is not None:
            self._waiting.append(line)
        else:
            self._append([line])

    def _append(self, lines: Sequence[str]) -> None:
        with writing(self._path), self._path.open("a", encoding="utf-8") as file:
            file.writelines(lines)


@contextmanager
def working(reporter: Reporter, name: str, total: int | None = None, *, done: int = 0) -> Iterator[None]:
    """Starts and finishes a piece of work, also when it fails, so that no live line is left on the terminal."""
    reporter.start(name, total, done=done)
    try:
        yield
    except BaseException:
        with suppress(StorageError):  # a log that cannot be written must not hide what went wrong
            reporter.finish("stopped")
        raise
    reporter.finish()


def reporter_for(console: Console) -> Reporter:
    """Live lines on a terminal, plain lines elsewhere."""
    return Live(console) if console.is_terminal and not console.is_dumb_terminal else Plain(console)


def metrics_text(metrics: Mapping[str, float]) -> str:
    """The metrics that fit a progress line, such as ``loss 1.234 kl 0.51``."""
    return "  ".join(f"{name} {metrics[name]:.3g}" for name in SHOWN if name in metrics)


def _finished(name: str, seconds: float, text: str) -> str:
    return f"{name}: {seconds:.1f} s" + (f", {text}" if text else "")
