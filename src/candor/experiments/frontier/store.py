"""Measured cells on disk: one JSON file, compressed where its name ends in ``.xz``."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable
from pathlib import Path

from candor.errors import InputError
from candor.experiments.frontier.measured import Measured
from candor.runs import write_json
from candor.storage import disk_failures


def write_measured(path: Path, cells: Iterable[Measured]) -> None:
    """Writes what was measured of every cell."""
    raw = {"cells": [cell.to_json() for cell in cells]}
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".xz":
        with disk_failures(path):
            path.write_bytes(lzma.compress(json.dumps(raw, separators=(",", ":")).encode()))
    else:
        write_json(path, raw)


def read_measured(path: Path) -> list[Measured]:
    """What :func:`write_measured` wrote. Raises InputError for anything else."""
    if not path.is_file():
        raise InputError("no such file", where=str(path), fix="give one that a frontier wrote")
    try:
        with disk_failures(path):
            text = path.read_bytes()
        raw = json.loads(lzma.decompress(text) if path.suffix == ".xz" else text)
        return [Measured.from_json(one) for one in raw["cells"]]
    except (lzma.LZMAError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"not measured cells: {error}", where=str(path)) from None
