"""Disks that are full or read-only, for tests: real ones where the process may mount."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    """Mounts an empty disk of ``size`` (such as ``2m``) in memory; skips the test where that is not permitted."""
    place.mkdir(parents=True)
    _mount("-t", "tmpfs", "-o", f"size={size}", "none", str(place))
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def remount(place: Path, options: str) -> None:
    """Changes a mounted disk: ``ro``, ``rw`` or ``size=64m``."""
    _mount("-o", f"remount,{options}", str(place))


def _mount(*arguments: str) -> None:
    try:
        done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"no mount: {error}")
    if done.returncode:
        pytest.skip(f"mount is not permitted here: {done.stderr.strip()}")
