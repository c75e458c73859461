"""The alarms of one stage while it trains: what the newest update raised or cleared, as rows and as words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from candor.records import Alarm, to_json
from candor.training.alarms import History, Watched, check, replay

Row = Mapping[str, Any]


class Watch:
    """Holds the history that the rules of :mod:`candor.training.alarms` read; never changes what it watches."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self._metrics: list[Row] = []
        self._truth: list[Row] = []
        self._active: Mapping[str, Alarm] = {}

    def resume(self, metrics: Sequence[Row], truth: Sequence[Row]) -> None:
        """Takes over the rows of the updates before; their alarms were told when they were raised."""
        self._metrics, self._truth = list(metrics), list(truth)
        every = replay(self.watched, self._metrics, self._truth)
        self._active = {alarm.name: alarm for alarm in every if alarm.cleared is None}

    def see(self, step: int, metrics: Row, truth: Row) -> Iterator[tuple[Row, str]]:
        """Adds one update; yields a row for ``alarms.jsonl`` and a line of text for each alarm raised or cleared."""
        self._metrics.append({"step": step, **metrics})
        if truth:
            self._truth.append({"step": step, **truth})
        change = check(
            self.watched, History(metrics=self._metrics, truth=self._truth, end=len(self._metrics)), self._active
        )
        was, self._active = self._active, change.active
        for alarm in change.raised:
            yield raised_row(alarm), f"alarm: {alarm}"
        for name in change.cleared:
            told = f"{self.watched.stage}, update {step}: {was[name].title} is over"
            yield {"event": "cleared", "name": name}, told


def raised_row(alarm: Alarm) -> dict[str, Any]:
    """An alarm as ``alarms.jsonl`` holds it."""
    fields = to_json(alarm)
    return {"event": "raised"} | {name: fields[name] for name in fields if name not in ("step", "cleared")}
