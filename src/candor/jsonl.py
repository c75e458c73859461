"""JSON lines in and out: rows that know their file and line, errors that name them, writes that are atomic."""

from __future__ import annotations

import gzip
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from candor.errors import InputError
from candor.storage import writing

GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One JSON object of a file. ``line`` counts from 1, blank lines included."""

    path: Path
    line: int
    fields: Mapping[str, Any]

    def error(self, what: str, *, field: str = "", fix: str = "") -> InputError:
        """An error that says in which file, line and field ``what`` is wrong."""
        where = f"{self.path}, line {self.line}" + (f", field '{field}'" if field else "")
        return InputError(what, where=where, fix=fix)

    def require(self, field: str) -> Any:
        """The value of ``field``. Raises InputError where the row has none."""
        if field not in self.fields:
            has = ", ".join(self.fields) or "none"
            raise self.error("the field is missing", field=field, fix=f"fields of this row: {has}")
        return self.fields[field]

    def text(self, field: str) -> str:
        """The value of ``field``, which has to be a string."""
        value = self.require(field)
        if not isinstance(value, str):
            raise self.error(f"expected a string, found {json_type(value)}", field=field)
        return value


@dataclass(frozen=True, kw_only=True, slots=True)
class Drop:
    """A row that was read and left out, and why."""

    line: int
    reason: str


def lines_by_reason(drops: Iterable[Drop]) -> dict[str, tuple[int, ...]]:
    """The lines that were left out, by reason, in the order in which the reasons appeared."""
    lines: dict[str, list[int]] = {}
    for drop in drops:
        lines.setdefault(drop.reason, []).append(drop.line)
    return {reason: tuple(found) for reason, found in lines.items()}


def nothing_left(path: Path, what: str, drops: Iterable[Drop]) -> InputError:
    """The error for a file of which every row was left out."""
    reasons = lines_by_reason(drops)
    count = sum(len(lines) for lines in reasons.values())
    why = "; ".join(f"{len(lines)} x {reason}" for reason, lines in reasons.items())
    return InputError(f"none of the {count} rows holds a {what}: {why}", where=str(path))


def json_type(value: Any) -> str:
    """The name that JSON has for the type of a value."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def read_rows(path: str | Path) -> Iterator[Row]:
    """Yields the rows of a ``.jsonl`` file, plain or gzip-compressed; blank lines are passed over.

    Raises InputError for a file that is missing, unreadable or without any row, and, with the line's number, for a line
    that is not UTF-8, not JSON, or not an object.
    """
    path = Path(path)
    empty = True
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        empty = False
        yield Row(path=path, line=number, fields=_object(path, number, line))
    if empty:
        raise InputError("the file has no rows", where=str(path), fix="expected one JSON object per line")


def _lines(path: Path) -> Iterator[bytes]:
    if not path.exists():
        raise InputError(
            "no such file",
            where=str(path),
            fix="check the path: one in a recipe is looked for beside the recipe, then in this directory",
        )
    if path.is_dir():
        raise InputError("is a directory, expected a .jsonl or .jsonl.gz file", where=str(path))
    try:
        with path.open("rb") as start:
            compressed = start.read(2) == GZIP_MAGIC
        with gzip.open(path, "rb") if compressed else path.open("rb") as lines:
            yield from lines
    except (OSError, EOFError) as error:  # gzip raises both for a damaged file
        raise InputError(f"cannot be read: {error}", where=str(path)) from error


def _object(path: Path, number: int, line: bytes) -> Mapping[str, Any]:
    where = f"{path}, line {number}"
    try:
        value = json.loads(line.decode("utf-8-sig").rstrip("\r\n"))  # some editors start a file with a byte order mark
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 text (byte {error.start})", where=where) from error
    except (ValueError, RecursionError) as error:
        reason = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
        raise InputError(f"not valid JSON: {reason}", where=where, fix="expected one object per line") from error
    if not isinstance(value, dict):
        raise InputError(f"expected a JSON object, found {json_type(value)}", where=where)
    return value


def write_rows(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Writes one JSON object per line, gzip-compressed where ``path`` ends in ``.gz``; returns how many.

    Atomic: the file appears under its name only when it is complete, and an earlier file stays until then.
    Raises StorageError where the disk does not let it.
    """
    path = Path(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        return _replace(path, rows)


def _replace(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".unfinished")
    try:
        count = 0
        with os.fdopen(descriptor, "wb") as raw:
            # No name and no time in the gzip header, so that equal rows give equal bytes.
            packed = gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) if path.suffix == ".gz" else None
            out = packed or raw
            for row in rows:
                out.write(_encode(row) + b"\n")
                count += 1
            if packed is not None:
                packed.close()
            raw.flush()
            os.fsync(raw.fileno())
        os.chmod(temporary, 0o644)  # mkstemp gives 0600; these are ordinary data files
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return count


def _encode(row: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(row, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:  # a lone surrogate, which JSON can only hold escaped
        return json.dumps(row, ensure_ascii=True).encode("ascii")
