"""The manifest of a finished stage. It is written last: a directory without one is not done."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from candor.runs.files import hash_file

MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a stage is, what it was made from and with, and the hash of every file it left.

    ``inputs`` maps a role to ``{"name", "key"}``; ``files`` maps a path relative to the stage to its SHA-256.
    ``reused_from`` is the directory whose files were taken over, or None where this run computed the stage;
    ``seconds`` is what computing took, wherever that was. ``peak_memory_mb`` (MiB resident) and
    ``peak_device_memory_mb`` (MiB that torch allocated on a CUDA device) are the highest of all attempts at the stage;
    ``peak_memory_of`` says whether the first covers the ``stage`` or, where the system cannot tell, the ``process``.
    """

    key: str
    name: str
    type: str
    version: int
    seed: int
    config: Mapping[str, Any]
    inputs: Mapping[str, Mapping[str, str]]
    files: Mapping[str, str]
    seconds: float
    peak_memory_mb: float
    started_at: str
    finished_at: str
    peak_device_memory_mb: float | None = None
    peak_memory_of: str = "process"
    reused_from: str | None = None
    commit: str | None = None
    dirty: bool | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    python: str = ""
    device: str = ""
    threads: int | None = None

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    def damage(self, directory: Path) -> str | None:
        """Says which file is missing or no longer what was written; None where all are whole."""
        for name, digest in self.files.items():
            file = directory / name
            if not file.is_file():
                return f"{name} is missing"
            if hash_file(file) != digest:
                return f"{name} has changed"
        return None


def read_manifest(directory: Path) -> Manifest | None:
    """The manifest of a finished stage (or audit); None where there is none or it cannot be read."""
    try:
        raw = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        known = {f.name for f in dataclasses.fields(Manifest)}
        made = Manifest(**{name: value for name, value in raw.items() if name in known})
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return made if isinstance(made.key, str) and isinstance(made.files, dict) else None


def content_key(parts: Mapping[str, Any]) -> str:
    """The SHA-256 of ``parts`` as canonical JSON: equal parts, equal key, whatever the order of the names."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
