"""Which runs there are under a directory, how far each has come, and what it showed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from candor.errors import InputError
from candor.results.headline import Headline, headline
from candor.runs import read_json, read_manifest, stage_dirs
from candor.runs.lock import holder
from candor.runs.store import AUDIT

if TYPE_CHECKING:
    import polars

RUNS = "runs"
"""Where runs lie unless told otherwise."""

RESOLVED = "recipe.resolved.json"


@dataclass(frozen=True, kw_only=True)
class RunInfo:
    """One run directory at a glance.

    ``state`` is ``finished``, ``running`` (a process is at work in it now) or ``interrupted``, and ``at`` the first
    piece of work that is not done (a stage, ``<stage> audit`` or ``report``). ``when`` is when the last stage was
    finished, or the directory last written to; ``seconds`` is what this run itself computed. ``size`` is bytes on disk,
    of which ``shared`` are files that other runs under the same root hold too (stages taken over are hard links).
    """

    path: Path
    recipe: str
    seed: int | None
    state: str
    at: str | None
    stages: tuple[str, ...]
    planned: int
    when: datetime
    seconds: float | None
    headline: Headline | None
    size: int
    shared: int

    @property
    def name(self) -> str:
        return self.path.name

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; times in ISO 8601."""
        shown = self.headline
        return {
            "name": self.name,
            "path": str(self.path),
            "recipe": self.recipe,
            "seed": self.seed,
            "state": self.state,
            "at": self.at,
            "stages": list(self.stages),
            "planned": self.planned,
            "when": self.when.isoformat(timespec="seconds"),
            "seconds": self.seconds,
            "headline": None
            if shown is None
            else {"metric": shown.metric, "before": shown.before, "after": shown.after},
            "bytes": self.size,
            "shared_bytes": self.shared,
        }


def find_runs(root: str | Path = RUNS) -> list[RunInfo]:
    """The runs under ``root`` (or ``root`` itself where it is one), the latest first.

    Raises InputError where there is no such directory.
    """
    folder = Path(root)
    if is_run(folder):
        return [run_info(folder)]
    if not folder.is_dir():
        raise InputError("no such directory", where=str(root), fix="give the directory that holds the runs")
    found = [run_info(path) for path in folder.iterdir() if is_run(path)]
    return sorted(found, key=lambda info: (info.when, info.name), reverse=True)


def list_runs(root: str | Path = RUNS) -> polars.DataFrame:
    """The runs under ``root`` as a data frame, the latest first; ``before`` and ``after`` are the headline's estimates.

    Raises InputError where there is no such directory.
    """
    from candor.results.frames import runs_frame

    return runs_frame(find_runs(root))


def is_run(path: Path) -> bool:
    """Whether a directory is a run's: it holds a resolved recipe, or stages."""
    return path.is_dir() and ((path / RESOLVED).is_file() or (path / "stages").is_dir())


def locate_run(given: str | Path, root: str | Path = RUNS) -> Path:
    """The run directory that is meant: a path, or the name of a run under ``root``.

    Raises InputError where there is none, naming the runs that there are.
    """
    for candidate in (Path(given), Path(root) / given):
        if is_run(candidate):
            return candidate
    folder = Path(root)
    known = sorted(path.name for path in folder.iterdir() if is_run(path)) if folder.is_dir() else []
    there = f"runs under {root}: {', '.join(known[:8])}{', ...' if len(known) > 8 else ''}" if known else ""
    what = "not a run directory: it holds no stages" if Path(given).is_dir() else "no such run"
    raise InputError(what, where=str(given), fix=there or f"there are no runs under {root}; make one with: candor run")


def run_info(path: Path) -> RunInfo:
    """Returns what there is to say about one run directory; what cannot be read is left empty."""
    recipe = _object(path / RESOLVED)
    summary = _object(path / "summary.json")
    manifests = {folder: read_manifest(folder) for folder in stage_dirs(path)}
    done = [manifest for manifest in manifests.values() if manifest is not None]
    at = unfinished(path, recipe)
    size, shared = disk_use(path)
    last = max((manifest.finished_at for manifest in done if manifest.reused_from is None), default=None)
    return RunInfo(
        path=path,
        recipe=str(recipe.get("name") or summary.get("name") or path.name),
        seed=recipe.get("seed", summary.get("seed")),
        state="running" if holder(path) else "finished" if at is None else "interrupted",
        at=at,
        stages=tuple(manifest.name for manifest in done),
        planned=1 + len(recipe.get("stages", ())) if recipe else len(manifests),
        when=datetime.fromisoformat(last) if last else _touched(path),
        seconds=summary.get("seconds"),
        headline=headline(summary),
        size=size,
        shared=shared,
    )


def unfinished(path: Path, recipe: Mapping[str, Any]) -> str | None:
    """The first piece of work of a run that is not done; None where all is."""
    wanted = [("base", "base"), *((stage["name"], stage["type"]) for stage in recipe.get("stages", ()))]
    if not recipe:
        return "recipe"
    for index, (name, kind) in enumerate(wanted):
        folder = path / "stages" / f"{index:02d}-{name}"
        if read_manifest(folder) is None:
            return str(name)
        if kind not in ("compare", "reward") and read_manifest(folder / AUDIT) is None:
            return f"{name} audit"
    return None if (path / "report.html").is_file() else "report"


def disk_use(path: Path) -> tuple[int, int]:
    """Returns the bytes of the files under ``path``, each once, and those of them linked from elsewhere too."""
    seen: dict[tuple[int, int], list[int]] = {}
    for file in _files(path):
        try:
            status = file.stat(follow_symlinks=False)
        except OSError:
            continue  # a running process may have replaced it
        links = seen.setdefault((status.st_dev, status.st_ino), [status.st_size, status.st_nlink, 0])
        links[2] += 1
    size = sum(one[0] for one in seen.values())
    return size, sum(bytes_ for bytes_, links, here in seen.values() if links > here)


def _files(path: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(path):
        yield from (Path(folder) / name for name in names)


def _object(path: Path) -> Mapping[str, Any]:
    value = read_json(path) if path.is_file() else {}
    return value if isinstance(value, dict) else {}


def _touched(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime).astimezone()
