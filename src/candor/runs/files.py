"""Atomic writes and content hashes: killed at any moment, a file is the old one or the new one, whole."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

from candor.errors import InputError
from candor.storage import writing

UNFINISHED = ".unfinished"
"""The ending of hidden files and directories that become something only once they are whole."""


def write_text(path: Path, text: str) -> None:
    """Replaces ``path`` in one step: written beside its place, flushed to the disk, renamed, the directory synced.

    Raises StorageError where the disk does not let it; ``path`` is then as it was.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}{UNFINISHED}")
    content = text.encode("utf-8")
    with writing(path, needs=len(content)):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with unfinished.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise
        sync(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Writes ``value`` as indented JSON, atomically. Raises ValueError for NaN or infinity, which JSON cannot hold."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Reads what :func:`write_json` wrote. Raises InputError where the file is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError("no such file", where=str(path)) from None
    except ValueError as error:
        raise InputError(f"not valid JSON: {error}", where=str(path)) from None


def sync(path: Path) -> None:
    """Flushes a file or a directory to the disk, so that a rename outlives a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def hash_file(path: Path) -> str:
    """Returns the SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_path(path: Path) -> str:
    """Returns the content hash of a file, or of every file under a directory with its relative name."""
    if path.is_file():
        return hash_file(path)
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file() and not hidden(p.relative_to(path))):
        digest.update(f"{file.relative_to(path).as_posix()}\0{hash_file(file)}\n".encode())
    return digest.hexdigest()


def hidden(relative: Path) -> bool:
    """Whether a part of the path starts with a dot: caches, unfinished files."""
    return any(part.startswith(".") for part in relative.parts)


def link_or_copy(source: Path, target: Path) -> None:
    """Makes ``target`` the same file as ``source`` by a hard link, or a copy where the file system cannot link."""
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        try:
            os.link(source, target)
        except FileNotFoundError:
            raise
        except OSError:
            shutil.copy2(source, target)


def sweep(directory: Path) -> None:
    """Deletes what killed processes left half-written anywhere under ``directory``."""
    for leftover in list(directory.rglob(f".*{UNFINISHED}")):
        remove(leftover)


def remove(path: Path) -> None:
    """Deletes a file or a directory with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
