"""JSON lines in and out: rows that know their file and line, errors that name them, writes that are atomic."""

from __future__ import annotations

import gzip
import io
import json
import os
import zlib
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from candor.errors import InputError
from candor.storage import replacing_file, writing

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

LINE_LIMIT = 64 * 2**20
"""Bytes. A longer line (or value of a list, or record of a table) is refused without being read into memory whole."""

LONG_LINE = 2**22
"""Bytes from which on the fast reader is not used: it asks for twelve times as much memory at once."""

ONE_A_LINE = "expected one object per line"

DAMAGED = (OSError, EOFError, zlib.error)
"""What reading a file raises when the disk fails or the compressed data are broken."""


class RowError(InputError):
    """What is wrong with one row. ``reason`` leaves out what differs from row to row, so that rows can be counted."""

    def __init__(self, what: str, *, where: str, fix: str = "", reason: str = "") -> None:
        self.reason = reason or what
        super().__init__(what, where=where, fix=fix)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One JSON object of a file. ``line`` counts from 1, blank lines included.

    ``unit`` is what ``line`` counts: lines of a text, or the rows or items of a file that has no lines. ``prefix``
    stands before field names where the row is an object inside another. ``untyped``: every value is a string, as in a
    CSV file, so that numbers have to be read out of text.
    """

    path: Path
    line: int
    fields: Mapping[str, Any]
    unit: str = "line"
    prefix: str = ""
    untyped: bool = False

    def error(self, what: str, *, field: str = "", fix: str = "", reason: str = "") -> RowError:
        """An error that says in which file, line and field ``what`` is wrong; ``reason``: without what varies."""
        named = f"field '{self.prefix}{field}'" if field else ""
        where = f"{self.path}, {self.unit} {self.line}" + (f", {named}" if named else "")
        return RowError(what, where=where, fix=fix, reason=f"{named}: {reason or what}" if named else reason or what)

    def require(self, field: str) -> Any:
        """The value of ``field``. Raises InputError where the row has none."""
        if field not in self.fields:
            has = ", ".join(map(str, self.fields)) or "none"
            raise self.error("the field is missing", field=field, fix=f"fields of this row: {has}")
        return self.fields[field]

    def text(self, field: str) -> str:
        """The value of ``field``, which has to be a string."""
        value = self.require(field)
        if not isinstance(value, str):
            raise self.error(f"expected a string, found {json_type(value)}", field=field)
        return value

    def inner(self, field: str, value: Any, index: int | None = None) -> Row:
        """The object ``value`` of ``field`` (entry ``index`` of its list) as a row. Raises InputError if it is none."""
        place = field if index is None else f"{field}[{index}]"
        if not isinstance(value, Mapping):
            reason = f"expected an object, found {json_type(value)}"
            raise self.error(reason, field=place)
        return Row(
            path=self.path,
            line=self.line,
            fields=value,
            unit=self.unit,
            prefix=f"{self.prefix}{place}.",
            untyped=self.untyped,
        )

    def objects(self, field: str) -> list[Row]:
        """The entries of ``field``, a list of objects, as rows. Raises InputError where it is something else."""
        value = self.require(field)
        if not isinstance(value, list):
            raise self.error(f"expected a list, found {json_type(value)}", field=field)
        return [self.inner(field, entry, index) for index, entry in enumerate(value)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Malformed:
    """A row that is none: what is wrong with it. ``ends``: nothing after it can be read."""

    path: Path
    line: int
    error: RowError
    ends: bool = False


def malformed(
    path: Path, line: int, what: str, *, unit: str = "line", fix: str = "", reason: str = "", ends: bool = False
) -> Malformed:
    """A malformed row whose error says ``what``; its ``reason`` is by default what stands before the first colon."""
    error = RowError(what, where=f"{path}, {unit} {line}", fix=fix, reason=reason or what.split(":")[0])
    return Malformed(path=path, line=line, error=error, ends=ends)


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
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "a number"
    return names.get(type(value), f"a value of type {type(value).__name__}")


@dataclass(slots=True)
class Meter:
    """How far into a file a reader has come; ``place`` and ``total`` are in one unit, mostly bytes on the disk."""

    total: int = 0
    place: Callable[[], int] = field(default=lambda: 0)

    def share(self) -> float | None:
        """From 0 to 1; None where the size is not known."""
        try:
            return min(1.0, self.place() / self.total) if self.total else None
        except ValueError:  # the file was closed: everything was read
            return 1.0


def read_rows(path: str | Path) -> Iterator[Row]:
    """Yields the rows of a ``.jsonl`` file, plain or compressed (gzip, zstd); blank lines are passed over.

    Raises InputError for a file that is missing, unreadable or without any row, and, with the line's number, for a line
    that is not UTF-8, not JSON, not an object, or longer than :data:`LINE_LIMIT`.
    """
    path = Path(path)
    empty = True
    for row in scan_rows(path):
        if isinstance(row, Malformed):
            raise row.error
        empty = False
        yield row
    if empty:
        raise no_rows(path)


def no_such_file(path: Path) -> InputError:
    """The error for a file that is not there."""
    fix = "check the path: one in a recipe is looked for beside the recipe, then in this directory"
    return InputError("no such file", where=str(path), fix=fix)


def no_rows(path: Path) -> InputError:
    """The error for a file without any row."""
    fix = "expected one JSON object per line" if ".jsonl" in path.name else ""
    return InputError("the file has no rows", where=str(path), fix=fix)


def scan_rows(
    path: Path, *, only: Container[int] | None = None, meter: Meter | None = None
) -> Iterator[Row | Malformed]:
    """Yields the rows of a ``.jsonl`` file and, in their places, those that are malformed; the reading goes on.

    ``only``: the lines to parse; the others are passed over. Raises InputError where the file cannot be opened.
    """
    with open_bytes(path, meter) as stream:
        for number, line in scan_lines(path, stream):
            if isinstance(line, Malformed):
                yield line
            elif (only is None or number in only) and not line.isspace():
                yield _row(path, number, line)


def scan_lines(path: Path, stream: io.BufferedIOBase) -> Iterator[tuple[int, bytes | Malformed]]:
    """Yields the numbered lines of a stream; one that is too long, or where the data break off, is malformed."""
    readline, number = stream.readline, 0
    while True:
        number += 1
        try:
            line = readline(LINE_LIMIT + 1)
            if not line:
                return
            if len(line) > LINE_LIMIT:
                size = LINE_LIMIT + 1 + _rest_of_line(stream, line)
                yield number, malformed(path, number, too_long(size))
                continue
        except DAMAGED as error:
            yield number, malformed(path, number, broken(error), ends=True)
            return
        yield number, line


def too_long(size: int, what: str = "line") -> str:
    """The message for a line, value or record over the limit."""
    return f"the {what} is too long: {size / 2**20:.0f} MiB, the limit is {LINE_LIMIT // 2**20} MiB"


def broken(error: BaseException) -> str:
    """The message for data that break off, in one line whatever the library says."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"cannot be read: {error.strerror.lower()}"  # the place is told by who asks
    return f"cannot be read: {' '.join(str(error).split())[:300]}"


def _rest_of_line(stream: io.BufferedIOBase, line: bytes) -> int:
    """Reads on to the end of the line, and keeps nothing."""
    size = 0
    while line and not line.endswith(b"\n"):
        line = stream.readline(2**20)
        size += len(line)
    return size


@contextmanager
def open_bytes(path: Path, meter: Meter | None = None) -> Iterator[io.BufferedIOBase]:
    """Opens a file and unpacks what gzip or zstd packed (told by its first bytes, not by its name).

    Raises InputError for a file that is missing, a directory or unreadable.
    """
    if not path.exists():
        raise no_such_file(path)
    if path.is_dir():
        raise InputError("is a directory, expected a .jsonl or .jsonl.gz file", where=str(path))
    try:
        raw = path.open("rb")
    except OSError as error:
        raise InputError(broken(error), where=str(path)) from error
    with raw:
        try:
            magic = raw.peek(4)[:4]
            if meter is not None:
                meter.total, meter.place = os.fstat(raw.fileno()).st_size, raw.tell
        except OSError as error:
            raise InputError(broken(error), where=str(path)) from error
        if magic[:2] == GZIP_MAGIC:
            yield gzip.GzipFile(fileobj=raw)
        elif magic == ZSTD_MAGIC:
            yield io.BufferedReader(_Unzstd(raw), 2**16)
        else:
            yield raw


class _Unzstd(io.RawIOBase):
    """The content of a zstd file. The library's own reader takes a file that breaks off for one that ends."""

    PIECE = 2**10
    """Packed bytes that are unpacked at a time; at worst they stand for 32 MiB."""

    def __init__(self, raw: BinaryIO) -> None:
        import zstandard

        self._new, self._error = zstandard.ZstdDecompressor().decompressobj, zstandard.ZstdError
        self._raw = raw
        self._packed = self._ready = memoryview(b"")
        self._frame: Any = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            if not self._fill():
                return 0
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def _fill(self) -> bool:
        if not self._packed:
            self._packed = memoryview(self._raw.read(2**16))
        if not self._packed:
            if self._frame is not None:
                raise EOFError("the compressed data end before their end marker")
            return False
        if self._frame is None:
            self._frame = self._new()
        piece, self._packed = self._packed[: self.PIECE], self._packed[self.PIECE :]
        try:
            self._ready = memoryview(self._frame.decompress(piece))
        except self._error as error:
            raise OSError(str(error)) from error
        if self._frame.eof:  # another may follow
            self._packed = memoryview(self._frame.unused_data + bytes(self._packed))
            self._frame = None
        return True


def _row(path: Path, number: int, line: bytes) -> Row | Malformed:
    try:
        value = _load(line)
    except UnicodeDecodeError as error:
        return malformed(path, number, f"not UTF-8 text (byte {error.start})", reason="not UTF-8 text")
    except (ValueError, RecursionError) as error:
        fix = "expected a list of objects, or one object per line" if ".json" in path.suffixes else ONE_A_LINE
        return malformed(path, number, f"not valid JSON: {json_reason(error)}", fix=fix)
    if not isinstance(value, dict):
        return malformed(path, number, f"expected a JSON object, found {json_type(value)}")
    return Row(path=path, line=number, fields=value)


def json_reason(error: ValueError | RecursionError) -> str:
    """Why text is not JSON, or none that can be read, without advice that is for programmers."""
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}" if error.lineno == 1 else error.msg
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return "a number with too many digits" if "integer string conversion" in str(error) else str(error)


def _load(line: bytes) -> Any:
    if len(line) < LONG_LINE:
        try:
            return orjson.loads(line)
        except orjson.JSONDecodeError:
            pass  # it refuses a byte order mark, half a surrogate pair and NaN, and its messages say less
    return json.loads(line.decode("utf-8-sig").rstrip("\r\n"))


def write_rows(path: str | Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Writes one JSON object per line, compressed where ``path`` ends in ``.gz`` or ``.zst``; returns how many.

    Atomic: the file appears under its name only when it is complete, and an earlier file stays until then.
    Raises StorageError where the disk does not let it.
    """
    path, count = Path(path), 0
    with writing(path), replacing_file(path) as unfinished, unfinished.open("wb") as raw:
        packed = _packer(path.suffix, raw)
        out = packed or raw
        for row in rows:
            out.write(_encode(row) + b"\n")
            count += 1
        if packed is not None:
            packed.close()
    return count


def _packer(suffix: str, raw: BinaryIO) -> Any:
    if suffix == ".gz":
        # No name and no time in the gzip header, so that equal rows give equal bytes.
        return gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0)
    if suffix == ".zst":
        import zstandard

        return zstandard.ZstdCompressor().stream_writer(raw, closefd=False)
    return None


def _encode(row: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(row, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:  # a lone surrogate, which JSON can only hold escaped
        return json.dumps(row, ensure_ascii=True).encode("ascii")
