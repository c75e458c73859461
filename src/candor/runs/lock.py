"""One process per run directory: a lock that the operating system gives back when its holder dies, however it dies.

``flock`` of the standard library and not a package: the lock file says who holds it, which lock files of packages do
not (they are emptied on every attempt to take them), and 40 lines need no dependency.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from candor.errors import InputError
from candor.runs.provenance import now
from candor.storage import writing

LOCK = ".lock"


@dataclass(frozen=True, kw_only=True)
class Holder:
    """The process that is at work in a run directory."""

    pid: int
    host: str
    since: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


@contextmanager
def locked(run_dir: Path) -> Iterator[None]:
    """Makes the directory and holds it for the block. Raises InputError, naming the holder, where it is held already.

    A file that a killed process left behind holds nothing: the lock belongs to the open file, not to its name. Where
    the file system has no locks the block runs without one.
    """
    path = run_dir / LOCK
    with writing(path):
        run_dir.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        if not _take(handle):
            raise InputError(
                f"another process is at work here: {_holder(handle) or 'it has not said which'}",
                where=str(run_dir),
                fix="wait for it, stop it, or give another --out",
            )
        try:
            with writing(path):
                _say(handle, json.dumps(asdict(Holder(pid=os.getpid(), host=socket.gethostname(), since=now()))))
            yield
        finally:
            with suppress(OSError):
                os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def holder(run_dir: Path) -> Holder | None:
    """Who is at work in a run directory at this moment; None where nobody is."""
    try:
        handle = os.open(run_dir / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(handle)
    except OSError:
        return None
    finally:
        os.close(handle)
    return None


def _take(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # a file system without locks
    return True


def _say(handle: int, text: str) -> None:
    os.ftruncate(handle, 0)
    os.pwrite(handle, text.encode(), 0)


def _holder(handle: int) -> Holder | None:
    try:
        raw = json.loads(os.pread(handle, 4096, 0))
        return Holder(pid=int(raw["pid"]), host=str(raw["host"]), since=str(raw["since"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
