"""Where stages live on disk: found again by their key, resumed where they were, finished in one atomic step.

A stage's directory goes through three states: no directory; unfinished (``state/`` holds the key it is being made for
and what is needed to go on); done (``manifest.json``, written last). Only a manifest makes a stage count as done.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from candor.errors import InputError
from candor.runs.files import UNFINISHED, hash_file, hidden, link_or_copy, read_json, remove, sweep, sync, write_json
from candor.runs.manifest import MANIFEST, Manifest, read_manifest
from candor.runs.memory import Peak, Scope, peak, reset_peak
from candor.runs.provenance import now, provenance
from candor.storage import writing

STATE = "state"
AUDIT = "audit"
_PROGRESS = "progress.json"


class Status(StrEnum):
    """What was found for a stage."""

    DONE = "done"  # finished in this run before
    REUSED = "reused"  # finished elsewhere under the same root, taken over now
    RESUMED = "resumed"  # begun for the same key
    FRESH = "fresh"


@dataclass
class Work:
    """One stage (or audit) that is to be there under ``path`` with ``key``; made by :meth:`RunStore.open`."""

    path: Path
    key: str
    status: Status
    note: str = ""
    manifest: Manifest | None = None
    _started: float = field(default_factory=time.monotonic)
    _before: float = 0.0  # seconds spent by earlier, interrupted attempts
    _started_at: str = field(default_factory=now)
    _memory: Scope = field(default_factory=reset_peak)
    _peak_before: Peak | None = None

    @property
    def done(self) -> bool:
        return self.status in (Status.DONE, Status.REUSED)

    @property
    def state(self) -> Path:
        """Where an unfinished stage keeps what it needs to go on; gone once it is finished."""
        return self.path / STATE

    @property
    def seconds(self) -> float:
        """Seconds of work so far, interrupted attempts included up to their last saved state."""
        return self._before + time.monotonic() - self._started

    @property
    def peak(self) -> Peak:
        """The highest memory so far, interrupted attempts included up to their last saved state."""
        return peak(self._memory).highest(self._peak_before)

    def keep_time(self) -> None:
        """Notes down the key, the seconds and the memory so far; call it whenever a training state is saved."""
        progress = {"key": self.key, "seconds": round(self.seconds, 3), "started_at": self._started_at}
        write_json(self.state / _PROGRESS, progress | {"peak": asdict(self.peak)})

    def finish(
        self,
        *,
        name: str,
        type: str,
        version: int,
        seed: int,
        config: Mapping[str, Any],
        inputs: Mapping[str, Mapping[str, str]],
    ) -> Manifest:
        """Hashes and syncs every file, writes the manifest, and only then drops the state."""
        files = {}
        for file in sorted(_files(self.path)):
            with writing(file):
                sync(file)
            files[file.relative_to(self.path).as_posix()] = hash_file(file)
        memory = self.peak
        made = Manifest(
            key=self.key,
            name=name,
            type=type,
            version=version,
            seed=seed,
            config=config,
            inputs=inputs,
            files=files,
            seconds=round(self.seconds, 3),
            started_at=self._started_at,
            finished_at=now(),
            peak_memory_mb=memory.host_mb,
            peak_device_memory_mb=memory.device_mb,
            peak_memory_of=memory.scope,
            **provenance(),
        )
        write_json(self.path / MANIFEST, made.to_json())
        remove(self.state)
        self.manifest = made
        return made


class RunStore:
    """The stages of one run, and those of its neighbours: runs under the same root share what has the same key.

    Only the holder of the run directory's lock (:func:`candor.runs.lock.locked`) may make one. Neighbours are read
    without their locks: what is taken from them is checked after it was taken.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.root = run_dir.parent
        with writing(run_dir):
            (run_dir / "stages").mkdir(parents=True, exist_ok=True)
            sweep(run_dir)
        self._known: dict[str, list[Path]] | None = None

    def stage_path(self, index: int, name: str) -> Path:
        return self.run_dir / "stages" / f"{index:02d}-{name}"

    def open(self, path: Path, key: str, *, name: str) -> Work:
        """Settles what there is for ``key``: done here, done elsewhere and taken over, begun, or nothing.

        What lies under ``path`` for another key is set aside if it was finished (it can be found again by its key) and
        deleted if not. A finished stage whose files are no longer what its manifest says is made anew.
        """
        note = ""
        here = read_manifest(path)
        if here is not None and here.key == key:
            damage = here.damage(path)
            if damage is None:
                remove(path / STATE)  # killed between the manifest and this
                return Work(path=path, key=key, status=Status.DONE, manifest=here)
            note = f"{damage}: made anew"
            remove(path)
        elif here is not None:
            note = "its configuration or inputs changed"
            self._set_aside(path, here)
        elif (path / MANIFEST).exists():
            note = f"{MANIFEST} is damaged: made anew"
        taken = self._take_over(path, key, name)
        if taken is not None:
            return Work(path=path, key=key, status=Status.REUSED, manifest=taken, note=note)
        begun, damaged = _begun(path, key)
        if begun is not None:
            return begun
        remove(path)
        with writing(path):
            path.mkdir(parents=True)
        work = Work(path=path, key=key, status=Status.FRESH, note=note or damaged)
        work.keep_time()
        return work

    def set_aside_others(self, names: set[str]) -> list[str]:
        """Clears ``stages/`` of directories the recipe does not name; returns the names of those that were."""
        others = [p for p in sorted((self.run_dir / "stages").iterdir()) if p.name not in names]
        for path in others:
            manifest = read_manifest(path)
            if manifest is None:
                remove(path)
            else:
                self._set_aside(path, manifest)
        return [path.name for path in others]

    def _set_aside(self, path: Path, manifest: Manifest) -> None:
        """Moves a finished stage to ``replaced/``, where it costs disk but can still be reused; an audit is deleted."""
        if path.name == AUDIT:
            remove(path)
            return
        target = self.run_dir / "replaced" / f"{manifest.name}-{manifest.key[:12]}"
        target.parent.mkdir(exist_ok=True)
        remove(target)
        path.rename(target)
        for known in (self._known or {}).values():
            known[:] = [target if p == path else target / AUDIT if p == path / AUDIT else p for p in known]

    def _take_over(self, path: Path, key: str, name: str) -> Manifest | None:
        """Links the files of a whole stage with the same key into ``path``; None where there is none.

        They are gathered beside the stage, checked there, and put in place in one step: a neighbour may replace or
        delete its stage meanwhile, and links keep what was linked.
        """
        if self._known is None:
            self._known = _index(self.root)
        gathered = self.run_dir / f".{path.name}{UNFINISHED}"
        for source in self._known.get(key, []):
            found = read_manifest(source)
            if source == path or found is None or found.key != key or not _gather(source, found, gathered):
                continue
            taken = replace(found, name=name, reused_from=found.reused_from or str(source))
            write_json(gathered / MANIFEST, taken.to_json())
            remove(path)
            with writing(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                gathered.rename(path)
                sync(path.parent)
            return taken
        remove(gathered)
        return None


def _index(root: Path) -> dict[str, list[Path]]:
    """Every finished stage and audit under ``root`` by its key."""
    stages = [stage for folder in ("stages", "replaced") for run in _inside(root) for stage in _inside(run / folder)]
    found: dict[str, list[Path]] = {}
    for place in (*stages, *(stage / AUDIT for stage in stages)):
        manifest = read_manifest(place)
        if manifest is not None:
            found.setdefault(manifest.key, []).append(place)
    return found


def _inside(folder: Path) -> list[Path]:
    """What a folder holds; nothing where it is none, cannot be read, or a neighbour has just removed it."""
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _gather(source: Path, found: Manifest, target: Path) -> bool:
    """Links a stage's files into ``target``; False where one is missing or not what the manifest says."""
    remove(target)
    with writing(target):
        target.mkdir(parents=True)
    try:
        for file in found.files:
            link_or_copy(source / file, target / file)
    except FileNotFoundError:
        return False
    return found.damage(target) is None


def _files(directory: Path) -> Iterator[Path]:
    """A stage's own files: not its manifest, its state, its audit, nor what is hidden."""
    for file in directory.rglob("*"):
        relative = file.relative_to(directory)
        own = relative.parts[0] not in (STATE, AUDIT) and relative.as_posix() != MANIFEST
        if own and file.is_file() and not hidden(relative):
            yield file


def _begun(path: Path, key: str) -> tuple[Work | None, str]:
    """The work that was begun for ``key``, if any; or a note that what is there cannot be used."""
    file = path / STATE / _PROGRESS
    if not file.is_file():
        return None, ""
    try:
        progress = read_json(file)
        if progress["key"] != key:
            return None, ""
        work = Work(path=path, key=key, status=Status.RESUMED)
        work._before, work._started_at = float(progress["seconds"]), str(progress["started_at"])
        work._peak_before = Peak(**progress["peak"]) if "peak" in progress else None
    except (InputError, KeyError, TypeError, ValueError):
        return None, f"{STATE}/{_PROGRESS} is damaged: made anew"
    return work, ""
