"""Watching a run in another tool. A tracker is told what a run does; it changes nothing of what the run makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from candor.pipeline.progress import Reporter
from candor.records import Finding
from candor.runs import read_manifest, read_records
from candor.runs.store import AUDIT

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class StageRecord:
    """A finished stage as its files tell it. ``index`` is its place in the recipe (the base is 0).

    ``metrics`` and ``truth`` (what the panel thought) hold a row per update, with ``step``; ``samples`` are the audited
    replies as ``samples.jsonl`` has them. ``key`` changes whenever the stage was made anew.
    """

    name: str
    index: int
    key: str
    metrics: Rows
    truth: Rows
    findings: Sequence[Finding]
    samples: Rows


class Tracker(Protocol):
    """What a tracker is told, in this order: the run, then for each stage its updates (if it trains) and its end."""

    def open(self, run: str) -> None:
        """The run of this name begins, or goes on."""
        ...

    def begin(self, stage: str, rows: Rows) -> None:
        """A stage trains from here on. ``rows`` are all its updates so far, whether they were told before or not."""
        ...

    def update(self, stage: str, step: int, metrics: Mapping[str, Any]) -> None:
        """One update of the stage that was begun."""
        ...

    def end(self, stage: StageRecord) -> None:
        """A stage is finished; one that was finished before the run went on comes here without ``begin``."""
        ...

    def close(self) -> None:
        """Nothing more follows from this process."""
        ...


class Tracked:
    """A reporter that passes everything on to ``inner``, and the updates of the stage at work to a tracker too.

    What went before is read from the run's own files: they hold each update once, however often it was interrupted.
    """

    def __init__(self, inner: Reporter, tracker: Tracker | None) -> None:
        self._inner, self._tracker = inner, tracker
        self._stage, self._directory, self._live = "", Path(), False

    def turn_to(self, stage: str, directory: Path) -> None:
        """The pipeline turns to a stage: to make it, or to find it finished."""
        self._stage, self._directory, self._live = stage, directory, False

    def end(self, index: int, findings: Sequence[Finding]) -> None:
        """The stage that the pipeline turned to is finished, its audit included."""
        manifest = read_manifest(self._directory)
        if self._tracker is None or manifest is None:
            return
        self._tracker.end(
            StageRecord(
                name=self._stage,
                index=index,
                key=manifest.key,
                metrics=read_records(self._directory / "metrics.jsonl", dict),
                truth=read_records(self._directory / "truth.jsonl", dict),
                findings=findings,
                samples=read_records(self._directory / AUDIT / "samples.jsonl", dict),
            )
        )

    def start(self, name: str, total: int | None = None, *, done: int = 0) -> None:
        """Passes it on; where it is the stage at work that trains, the tracker is told of its updates so far."""
        self._live = self._tracker is not None and name == self._stage
        if self._tracker is not None and self._live:
            rows = read_records(self._directory / "metrics.jsonl", dict)
            self._tracker.begin(name, [row for row in rows if row["step"] <= done])
        self._inner.start(name, total, done=done)

    def update(self, done: int, metrics: Mapping[str, float] | None = None) -> None:
        """Passes it on, to both."""
        if self._tracker is not None and self._live and metrics:
            self._tracker.update(self._stage, done, metrics)
        self._inner.update(done, metrics)

    def finish(self, text: str = "") -> None:
        """Passes it on."""
        self._live = False
        self._inner.finish(text)

    def note(self, text: str) -> None:
        """Passes it on."""
        self._inner.note(text)


@contextmanager
def watched(tracker: Tracker | None, run: str) -> Iterator[None]:
    """Opens a tracker for a run and closes it whatever happens, so that what it was told is on the disk."""
    if tracker is None:
        yield
        return
    tracker.open(run)
    try:
        yield
    finally:
        tracker.close()
