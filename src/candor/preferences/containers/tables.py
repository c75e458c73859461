"""Rows of comma- or tab-separated files. Every cell is text; records may span several lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Container, Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from candor.jsonl import LINE_LIMIT, Malformed, Meter, Row, malformed, open_bytes, scan_lines, too_long


def scan(
    path: Path, *, delimiter: str = ",", only: Container[int] | None = None, meter: Meter | None = None
) -> Iterator[Row | Malformed]:
    """Yields the records of a file whose first record names the columns; a row's number is its first line's.

    A cell that is a JSON object, or a list of objects, is read as such: messages come in that form. A cell that is
    empty in a column that is not needed counts as missing.
    """
    csv.field_size_limit(LINE_LIMIT)  # of the process: the default would refuse texts of 128 KiB
    with open_bytes(path, meter) as stream:
        lines = _Lines(path, stream)
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        names: list[str] | None = None
        while True:
            lines.begin()
            try:
                record = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield malformed(path, lines.first, f"not a valid record: {error}")
                continue
            except _BadLineError as error:
                yield error.found
                if error.found.ends:
                    return
                continue
            if not record:
                continue
            if names is None:
                names = record
                continue
            if only is not None and lines.first not in only:
                continue
            if len(record) != len(names):
                what = f"expected {len(names)} cells, found {len(record)}"
                yield malformed(path, lines.first, what, fix="quote cells that hold the separator or line ends")
                continue
            yield Row(path=path, line=lines.first, fields=_fields(names, record), untyped=True)


def _fields(names: list[str], record: list[str]) -> dict[str, Any]:
    return {
        name: _structure(cell) if cell[:1] in ("[", "{") else cell for name, cell in zip(names, record, strict=True)
    }


def _structure(cell: str) -> Any:
    try:
        value = json.loads(cell)
    except (ValueError, RecursionError):
        return cell
    objects = isinstance(value, list) and value and all(isinstance(entry, dict) for entry in value)
    return value if objects or isinstance(value, dict) else cell


class _BadLineError(Exception):
    def __init__(self, found: Malformed) -> None:
        self.found = found


class _Lines:
    """The decoded lines of a file. After an error the next line can still be asked for, which a generator forbids."""

    def __init__(self, path: Path, stream: BufferedIOBase) -> None:
        self._path, self._lines = path, scan_lines(path, stream)
        self._size, self.first, self._number = 0, 1, 0

    def begin(self) -> None:
        """A new record begins with the next line."""
        self._size, self.first = 0, self._number + 1

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        number, line = next(self._lines)
        self._number = number
        if isinstance(line, Malformed):
            raise _BadLineError(line)
        self._size += len(line)
        if self._size > LINE_LIMIT:  # a quote that nobody closed
            raise _BadLineError(malformed(self._path, self.first, too_long(self._size, "record")))
        try:
            return line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            what = f"not UTF-8 text (byte {error.start})"
            raise _BadLineError(malformed(self._path, number, what, reason="not UTF-8 text")) from error
