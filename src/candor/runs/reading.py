"""Reading a run directory back: what reports and notebooks start from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from candor.jsonl import read_rows
from candor.records import Alarm, Finding

Record = TypeVar("Record")


def stage_dirs(run_dir: Path) -> list[Path]:
    """The directories of a run's stages, in the order of the recipe (finished or not)."""
    folder = run_dir / "stages"
    return sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []


def read_records(path: Path, parse: Callable[[Mapping[str, Any]], Record]) -> list[Record]:
    """Reads a file of JSON lines through a record's ``from_json``; an empty or missing file gives no records."""
    if not path.is_file() or not path.stat().st_size:
        return []
    return [parse(row.fields) for row in read_rows(path)]


def read_alarms(stage_dir: Path) -> list[Alarm]:
    """The alarms of a stage that trained, in the order in which they were raised, each with when it was cleared."""
    found: list[Alarm] = []
    for row in read_records(stage_dir / "alarms.jsonl", dict):
        if row["event"] == "raised":
            found.append(Alarm.from_json({key: value for key, value in row.items() if key != "event"}))
            continue
        last = max(i for i, alarm in enumerate(found) if alarm.name == row["name"])
        found[last] = replace(found[last], cleared=row["step"])
    return found


def read_findings(path: Path) -> list[Finding]:
    """The findings in a ``findings.jsonl``; ``path`` may be the file or the directory that holds it."""
    return read_records(path / "findings.jsonl" if path.is_dir() else path, Finding.from_json)
