"""Failures of the disk in one line: what could not be done, where, how much room is left, and what to do about it."""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from candor.errors import InputError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_ELSEWHERE = "change that, or give another directory; the same command then goes on"
_WHAT: dict[int, tuple[str, str]] = {
    errno.ENOSPC: ("no space left on the device", "free some space, then run the same command again"),
    errno.EDQUOT: ("the disk quota is used up", "free some space, then run the same command again"),
    errno.EFBIG: ("the file would be larger than this system allows", "raise the limit (ulimit -f), then run again"),
    errno.EROFS: ("the file system is read-only", _ELSEWHERE),
    errno.EACCES: ("permission denied", _ELSEWHERE),
    errno.EPERM: ("the operation is not permitted", _ELSEWHERE),
    errno.EIO: ("the device reports an input/output error", "check the disk"),
    errno.ENOTDIR: ("a file is where a directory should be", "give another directory"),
    errno.ENAMETOOLONG: ("the name is too long", "give a shorter one"),
}
"""What each of the disk's errors means and what to do. Others are mistakes of the program and keep their traceback."""

_RUST = re.compile(r"\(os error (\d+)\)")
_WORDS = {os.strerror(number).lower(): number for number in _WHAT}


class StorageError(InputError):
    """Something could not be written or read because of the disk, its rights or its room."""


@contextmanager
def writing(path: Path, *, needs: int | None = None) -> Iterator[None]:
    """Turns a failure of the disk inside the block into one line about ``path``; ``needs``: bytes, where known.

    Libraries wrap such failures in errors of their own (safetensors and tokenizers even in plain text), so that the
    whole chain of causes is searched. Raises StorageError; every other error passes through as it is.
    """
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        number = disk_error(error)
        if number is None:
            raise
        raise storage_error(number, path, needs=needs) from error


@contextmanager
def replacing(directory: Path) -> Iterator[Path]:
    """Yields an empty directory beside ``directory`` that takes its place once the block is done and on the disk.

    Raises StorageError where the disk does not let it; what was in ``directory`` is then still there.
    """
    with writing(directory):
        parent = directory.resolve().parent
        parent.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", suffix=".unfinished", dir=parent))
        old = unfinished.with_suffix(".old.unfinished")
        try:
            yield unfinished
            for file in unfinished.rglob("*"):
                with file.open("rb") as handle:
                    os.fsync(handle.fileno())
            unfinished.chmod(0o755)
            if directory.exists():
                directory.rename(old)
            unfinished.rename(directory)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
            if old.exists() and not directory.exists():
                old.rename(directory)  # the new one could not take its place
            shutil.rmtree(old, ignore_errors=True)


@contextmanager
def replacing_file(path: Path, *, mode: int = 0o644) -> Iterator[Path]:
    """Yields an empty file beside ``path`` that takes its place once the block is done and on the disk.

    An earlier file stays as it is until then, and for good where the block fails. ``mode``: who may read it then.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".unfinished")
    os.close(descriptor)
    unfinished = Path(name)
    try:
        yield unfinished
        with unfinished.open("rb") as handle:
            os.fsync(handle.fileno())
        unfinished.chmod(mode)  # mkstemp gives 0600, which ordinary data files are not
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


@contextmanager
def disk_failures(default: Path) -> Iterator[None]:
    """Like :func:`writing` for a block with many files: the file that the system names, or else ``default``."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        number = disk_error(error)
        if number is None:
            raise
        named = getattr(error, "filename", None)
        raise storage_error(number, Path(named) if isinstance(named, str) else default) from error


def disk_error(error: BaseException) -> int | None:
    """Returns the errno of the disk's failure behind an error, or None where it is something else."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        if isinstance(link, OSError) and link.errno in _WHAT:
            return link.errno
        text = str(link)
        told = _RUST.search(text)
        if told is not None and int(told[1]) in _WHAT:
            return int(told[1])
        if not isinstance(link, OSError):
            spoken = next((number for words, number in _WORDS.items() if words in text.lower()), None)
            if spoken is not None:
                return spoken
        link = link.__cause__ or link.__context__
    return None


def storage_error(number: int, path: Path, *, needs: int | None = None) -> StorageError:
    """The error for ``errno`` ``number`` at ``path``, with the room there is where room is what lacks."""
    what, fix = _WHAT[number]
    if number in _NO_ROOM:
        free = free_bytes(path)
        room = [f"{size(free)} free"] if free is not None else []
        room += [f"about {size(needs)} needed"] if needs else []
        what += f": {', '.join(room)}" if room else ""
    return StorageError(what, where=str(path), fix=fix)


def free_bytes(path: Path) -> int | None:
    """The bytes that may still be written where ``path`` is or will be; None where the system does not say."""
    for place in (path, *path.absolute().parents):
        try:
            return shutil.disk_usage(place).free
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError:
            return None
    return None


def size(count: int) -> str:
    """Bytes in words, such as ``3.2 MB``: decimal units, as disks are sold."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.3g} {unit}"
    return f"{count} bytes"


def no_file_in_the_way(path: Path) -> None:
    """Raises InputError where a file stands where a directory above ``path`` should be."""
    for place in path.parents:
        if place.exists() and not place.is_dir():
            raise InputError("a file is where a directory should be", where=str(place), fix="give another place")


def can_be_made(path: Path) -> None:
    """Raises InputError where nothing can be made under this name, for whatever reason the system has.

    It is tried out: an empty directory is made in the nearest one there is, and taken away again. So a long piece of
    work fails before it begins and not when it is to be kept.
    """
    fix = "give another place"
    try:
        no_file_in_the_way(path.absolute())
        for place in (path, *path.parents):
            if place.is_symlink() and not place.exists():
                raise InputError("is a link that leads nowhere", where=str(place), fix=fix)
        parent = next((place for place in path.absolute().parents if place.is_dir()), path)  # the root has none
        os.rmdir(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".unfinished", dir=parent))
    except OSError as error:
        number = disk_error(error)
        if number is not None:
            raise storage_error(number, path) from error
        why = (error.strerror or str(error)).lower()
        raise InputError(f"cannot be written: {why}", where=str(path), fix=fix) from error
