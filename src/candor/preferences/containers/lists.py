"""Rows of a ``.json`` file: a list of objects, or JSON lines under another name."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Container, Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from candor.jsonl import (
    DAMAGED,
    LINE_LIMIT,
    Malformed,
    Meter,
    Row,
    broken,
    json_reason,
    json_type,
    malformed,
    open_bytes,
    scan_rows,
    too_long,
)

CHUNK = 2**18
_SPACE = re.compile(r"\s*")
_SEPARATOR = re.compile(r"\s*([,\]])")


def scan(path: Path, *, only: Container[int] | None = None, meter: Meter | None = None) -> Iterator[Row | Malformed]:
    """Yields the objects of a list, numbered from 1; of a file that holds no list, the lines.

    A list is read value by value: after text that is not JSON there is no telling where the next value begins. Raises
    InputError where the file cannot be opened.
    """
    with open_bytes(path) as stream:
        try:
            start = stream.read1(CHUNK).decode("utf-8-sig", "replace").lstrip()
        except DAMAGED:
            start = ""
    if not start.startswith("["):
        yield from scan_rows(path, only=only, meter=meter)
        return
    with open_bytes(path, meter) as stream:
        text = _Text(stream)
        number = 0
        try:
            for number, value in enumerate(_values(text), start=1):
                if only is not None and number not in only:
                    continue
                if isinstance(value, dict):
                    yield Row(path=path, line=number, fields=value, unit="item")
                else:
                    yield malformed(path, number, f"expected a JSON object, found {json_type(value)}", unit="item")
        except DAMAGED as error:
            yield malformed(path, number + 1, broken(error), unit="item", ends=True)
        except UnicodeDecodeError:
            yield malformed(path, number + 1, "not UTF-8 text", unit="item", ends=True)
        except (ValueError, RecursionError) as error:
            reason = error.msg if isinstance(error, json.JSONDecodeError) else json_reason(error)
            what = reason if reason.startswith("the value") else f"not valid JSON: {reason}"
            yield malformed(path, number + 1, what, unit="item", fix="expected a list of objects", ends=True)


class _NotAListError(ValueError):
    """The text is not a list of JSON values, or one of them is too long."""


class _Text:
    """The unread rest of a file, as far as it was loaded."""

    def __init__(self, stream: BufferedIOBase) -> None:
        self._stream, self._decode = stream, codecs.getincrementaldecoder("utf-8-sig")().decode
        self.loaded, self.at, self.ended = "", 0, False

    def more(self) -> None:
        """Loads at least as much again as is waiting, so that a long value is parsed a few times only."""
        rest = self.loaded[self.at :]
        if len(rest) > LINE_LIMIT:
            raise _NotAListError(too_long(len(rest), "value"))
        chunk = self._stream.read1(max(CHUNK, len(rest)))  # what is there: more might not come, and this be lost
        self.ended = not chunk
        self.loaded, self.at = rest + self._decode(chunk, final=self.ended), 0


def _values(text: _Text) -> Iterator[Any]:
    decoder = json.JSONDecoder()
    _skip(text, "[")
    if _peek(text) == "]":
        return
    while True:
        _peek(text)
        while True:
            try:
                value, end = decoder.raw_decode(text.loaded, text.at)
                # A number may go on, and what follows has to be seen.
                if text.ended or _SEPARATOR.match(text.loaded, end):
                    break
            except json.JSONDecodeError:
                if text.ended:
                    raise
            text.more()
        text.at = end
        yield value
        if _skip(text, ",]") == "]":
            return


def _peek(text: _Text) -> str:
    """The next character that is no space; empty at the end."""
    while True:
        space = _SPACE.match(text.loaded, text.at)
        text.at = space.end() if space else text.at
        if text.at < len(text.loaded) or text.ended:
            return text.loaded[text.at : text.at + 1]
        text.more()


def _skip(text: _Text, expected: str) -> str:
    found = _peek(text)
    if not found or found not in expected:
        raise _NotAListError(f"expected '{expected[0]}', found {found!r}" if found else "the list is not closed")
    text.at += 1
    return found
