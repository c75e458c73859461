"""Disks that are full or read-only, for tests: real ones where the process may mount."""

from __future__ import annotations

import ctypes
import os
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


@contextmanager
def bound_by_permissions() -> Iterator[None]:
    """Within the block permissions bind even root: its two capabilities to overlook them are laid aside."""
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3 of capset(2), this thread
    before = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable: the lower 32, then the upper 32
    if libc.capget(header, before):
        pytest.skip("this system has no capabilities")
    lower = (ctypes.c_uint32 * 6)(*before)
    lower[0] &= ~0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    if libc.capset(header, lower):
        pytest.skip("capabilities cannot be laid aside here")
    try:
        yield
    finally:
        libc.capset(header, before)
