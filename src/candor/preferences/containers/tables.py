"""Rows of comma- or tab-separated files. Every cell is text; records may span several lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Container, Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from candor.jsonl import LINE_LIMIT, Malformed, Meter, Row, malformed, open_bytes, scan_lines, too_long

OPEN_QUOTE = "a quote that is not closed takes the rest of the file"


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
                if lines.ended and "unexpected end" in str(error):
                    what, fix = (
                        f"{OPEN_QUOTE}, to line {lines.number}",
                        "close it, or write two quotes for one in a text",
                    )
                    yield malformed(path, lines.first, what, fix=fix, reason=OPEN_QUOTE)
                else:
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
                twice = next((name for name in names if names.count(name) > 1), None)
                if twice is not None:  # one of the two would be lost without a word
                    what, fix = f"two columns are called '{twice}'", "give each column a name of its own"
                    yield malformed(path, lines.first, what, fix=fix, reason="two columns of one name", ends=True)
                    return
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
        self._size, self.first, self.number, self.ended = 0, 1, 0, False

    def begin(self) -> None:
        """A new record begins with the next line."""
        self._size, self.first = 0, self.number + 1

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        try:
            number, line = next(self._lines)
        except StopIteration:
            self.ended = True
            raise
        self.number = number
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
