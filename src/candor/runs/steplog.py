"""A file with one row per update that a resumed stage can go on with: no row twice, none half-written."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from candor.runs.files import write_text
from candor.storage import writing


class StepLog:
    """Appends rows ``{"step": ..., ...}``. Opening drops the rows after ``step``, which a resumed stage will repeat.

    ``rows`` are those that were kept. Lines that are cut short or damaged are dropped too. Opening, appending and
    syncing raise StorageError where the disk does not let them.
    """

    def __init__(self, path: Path, *, step: int) -> None:
        self._path = path
        self.rows: list[dict[str, Any]] = []
        if path.exists():
            self.rows = [row for row in _rows(path) if row["step"] <= step]
            write_text(path, "".join(f"{json.dumps(row)}\n" for row in self.rows))
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)

    def append(self, step: int, values: Mapping[str, Any]) -> None:
        """Writes one row through to the operating system; JSON has no NaN, which becomes null."""
        row = {"step": step, **{name: _finite(value) for name, value in values.items()}}
        line = f"{json.dumps(row)}\n".encode()
        with writing(self._path, needs=len(line)):
            while line:  # a disk that is nearly full takes a part, and says so the next time
                line = line[self._file.write(line) :]

    def sync(self) -> None:
        """Flushes the rows to the disk: after this they outlive a power cut."""
        with writing(self._path):
            os.fsync(self._file.fileno())

    def missing(self, step: int) -> int:
        """How many of the updates 1 to ``step`` have no row: 0 unless the file was damaged."""
        return step - len({row["step"] for row in self.rows})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows that can be read: a line that was cut short, or damaged, is none."""
    for line in path.read_bytes().splitlines():
        try:
            row = json.loads(line)
        except ValueError:  # bytes that are no text among them
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            yield row


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
