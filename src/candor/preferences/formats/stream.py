"""A source of comparisons as a stream: one pass, whatever its size, with a count of what was left out and why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from candor.errors import InputError
from candor.jsonl import Drop, Malformed, Meter, Row, RowError, no_rows
from candor.preferences.containers import RowFile, Source, open_source
from candor.preferences.formats.base import Format, Groups, Item
from candor.preferences.formats.known import detect, is_comparison
from candor.records import Comparison

FIRST_LINES = 20
"""How many of the lines that were left out for one reason are kept."""

REASONS = 100
"""How many reasons are told apart; broken files may have a reason for every row."""

OTHER_REASONS = "other reasons"
_INDEX = re.compile(r"\[\d+\]|\.\d+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Numbered:
    """A comparison with the row where it was found, or its first row where it was spread over several.

    ``file`` is the file's name where the source is a directory, and empty where there is only one file.
    """

    row: int
    comparison: Comparison
    path: Path = Path()
    file: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropped:
    """How many rows were left out for one reason, and where the first of them are.

    ``first_files``: the file of each of ``first_lines``; empty strings where there is only one.
    """

    count: int
    first_lines: tuple[int, ...]
    first_files: tuple[str, ...] = ()


@dataclass(slots=True)
class _Tally:
    """Rows that were left out, by reason; at most ``limit`` lines of each are kept, all where it is None."""

    limit: int | None
    counts: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[tuple[int, str]]] = field(default_factory=dict)

    def add(self, reason: str, line: int, file: str) -> None:
        if reason not in self.counts and len(self.counts) >= REASONS:
            reason = OTHER_REASONS
        self.counts[reason] += 1
        places = self.places.setdefault(reason, [])
        if self.limit is None or len(places) < self.limit:
            places.append((line, file))

    def told(self) -> dict[str, Dropped]:
        return {
            reason: Dropped(
                count=count,
                first_lines=tuple(line for line, _ in self.places[reason]),
                first_files=tuple(file for _, file in self.places[reason]),
            )
            for reason, count in self.counts.items()
        }


class ComparisonStream(Iterable[Numbered]):
    """The comparisons of a source, one at a time; see :func:`stream_comparisons`.

    What it says about the source fills while it is iterated, and starts anew when it is iterated again:
    ``format`` (its name), ``rows`` (read, whatever became of them), ``kept`` (comparisons given: a row may hold
    several, and several rows one), ``dropped`` (well formed, but no comparison) and ``bad`` (malformed), both by
    reason. ``ignored``: files of a directory that are of no known kind.
    """

    def __init__(self, source: str | Path, *, skip_bad: bool = False, first_lines: int | None = FIRST_LINES) -> None:
        self.source, self.skip_bad = source, skip_bad
        self._first_lines = first_lines
        self._start()

    def _start(self) -> None:
        self.rows, self.kept = 0, 0
        self.ignored: tuple[Path, ...] = ()
        self._format: Format | None = None
        self._dropped, self._bad = _Tally(self._first_lines), _Tally(self._first_lines)
        self._meter, self._file, self._files = Meter(), 0, 1

    @property
    def format(self) -> str:
        """The name of the source's format; empty before its first row was read."""
        return "" if self._format is None else self._format.name

    @property
    def dropped(self) -> dict[str, Dropped]:
        """What holds no comparison, by reason: rows, or groups of rows."""
        return self._dropped.told()

    @property
    def bad(self) -> dict[str, Dropped]:
        """Malformed rows that were skipped, by reason."""
        return self._bad.told()

    @property
    def share(self) -> float | None:
        """How much of the source was read, from 0 to 1; None where its size is not known."""
        here = self._meter.share()
        return None if here is None else (self._file + here) / self._files

    def __iter__(self) -> Iterator[Numbered]:
        self._start()
        yield from self._read(open_source(self.source), None)
        if not self.kept:
            raise self._nothing()

    def only(self, rows: Mapping[str, Container[int]]) -> Iterator[Numbered]:
        """Yields the comparisons of some rows only, by file (see :attr:`Numbered.file`); the rest is passed over."""
        self._start()
        yield from self._read(open_source(self.source), rows)

    def _read(self, source: Source, only: Mapping[str, Container[int]] | None) -> Iterator[Numbered]:
        self.ignored, self._files = source.ignored, len(source.files)
        for place, file in enumerate(source.files):
            self._file, self._meter = place, Meter()
            wanted = None if only is None else only.get(file.name, ())
            if wanted is not None and not wanted:
                continue
            first = self._first(file)
            if first is not None and self._fits(first, file) and self._format is not None:
                read = self._format.read
                if isinstance(read, Groups):
                    yield from self._groups(file, read, wanted)
                else:
                    yield from self._single(file, read, wanted)
            elif first is None:
                for _ in self._rows(file, None):  # there may be rows, all malformed: they are counted
                    pass

    def _first(self, file: RowFile) -> Row | None:
        """The row that tells the file's format: the first, or, where bad rows are skipped, the first of a known one."""
        rows = self._rows(file, None, count=False)
        first = next(rows, None)
        if not self.skip_bad:
            return first
        known = (row for row in chain([first] if first else [], islice(rows, REASONS)) if is_comparison(row.fields))
        return next(known, first)

    def _fits(self, first: Row, file: RowFile) -> bool:
        """Settles the format by the first row; whether this file has that of the files before it."""
        try:
            found = detect(first)
            if self._format is None:
                self._format = found
            elif found is not self._format:
                what = f"the file's format is {found.name}, that of the files before it {self._format.name}"
                fix = "keep files of one format in a directory"
                raise first.error(what, fix=fix, reason="a file in another format")
        except InputError as error:
            if self._format is None:
                raise
            self._fault(error, first.line, file)
            return False
        return True

    def _rows(self, file: RowFile, only: Container[int] | None, *, count: bool = True) -> Iterator[Row]:
        """The rows of a file; what is malformed is raised, or counted and passed over."""
        for row in file.scan(only=only, meter=self._meter):
            self.rows += count
            if isinstance(row, Row):
                yield row
            elif count or not self.skip_bad:
                self._fault(row.error, row.line, file)

    def _single(self, file: RowFile, read: Callable[[Row], Any], only: Container[int] | None) -> Iterator[Numbered]:
        for row in self._rows(file, only):
            try:
                item = read(row)
            except InputError as error:
                self._fault(self._explained(error, row), row.line, file)
                continue
            if type(item) is Comparison:  # by far the most frequent
                self.kept += 1
                yield Numbered(row=row.line, path=row.path, comparison=item, file=file.name)
                continue
            for one in item if isinstance(item, list | tuple) else (item,):
                yield from self._item(row, one, file)

    def _groups(self, file: RowFile, read: Groups, only: Container[int] | None) -> Iterator[Numbered]:
        """Reads the file twice: first how many rows each group has, then the rows, and a group once it is whole.

        In memory are the number of rows by group, and the rows of groups that have begun: one group where the rows of
        a group stand together, all of the file where they are scattered.
        """
        waiting = _group_sizes(file, read)
        begun: dict[Hashable, list[Row]] = {}
        for row in self._rows(file, None):
            try:
                key = read.key(row)
            except InputError as error:
                self._fault(self._explained(error, row), row.line, file)
                continue
            group = begun.setdefault(key, [])
            try:
                read.check(row)
                group.append(row)
            except InputError as error:
                self._fault(self._explained(error, row), row.line, file)
            code = hash(key)
            waiting[code] -= 1
            if waiting[code] == 0:
                del waiting[code]
                yield from self._joined(file, read, begun.pop(key), only)
        for group in begun.values():
            yield from self._joined(file, read, group, only)

    def _joined(self, file: RowFile, read: Groups, rows: list[Row], only: Container[int] | None) -> Iterator[Numbered]:
        if not rows:
            return
        try:
            found = list(read.join(rows))
        except InputError as error:
            self._fault(error, rows[0].line, file)
            return
        for row, item in found:
            if only is None or row.line in only:
                yield from self._item(row, item, file)

    def _item(self, row: Row, item: Item, file: RowFile) -> Iterator[Numbered]:
        if isinstance(item, Drop):
            self._dropped.add(item.reason, item.line, file.name)
        else:
            self.kept += 1
            yield Numbered(row=row.line, path=row.path, comparison=item, file=file.name)

    def _explained(self, error: InputError, row: Row) -> InputError:
        """Of a row that is in another format, that; of any other, what is wrong with it."""
        try:
            found = detect(row)
        except InputError:
            return error
        if self._format is None or found is self._format:
            return error
        what = f"{error.what}; the row looks like {found.name}, the first row is {self._format.name}"
        return RowError(what, where=error.where, fix="keep one format per file", reason="a row in another format")

    def _fault(self, error: InputError, line: int, file: RowFile) -> None:
        """A malformed row: raised, or counted."""
        if not self.skip_bad:
            raise error
        reason = error.reason if isinstance(error, RowError) else error.what
        self._bad.add(_INDEX.sub("[...]", reason), line, file.name)

    def _nothing(self) -> InputError:
        where = Path(self.source)
        if not self.rows:
            return no_rows(where)
        counts = {**self._dropped.counts, **self._bad.counts}
        why = "; ".join(f"{count} x {reason}" for reason, count in counts.items())
        return InputError(f"none of the {self.rows} rows holds a comparison: {why}", where=str(where))


def _group_sizes(file: RowFile, read: Groups) -> Counter[int]:
    """How many rows each group has. Two groups with one hash count as one, and are then whole at the file's end."""
    sizes: Counter[int] = Counter()
    for row in file.scan():
        if isinstance(row, Malformed):
            continue
        try:
            sizes[hash(read.key(row))] += 1
        except InputError:
            continue  # told when the rows are read
    return sizes


def stream_comparisons(source: str | Path, *, skip_bad: bool = False) -> ComparisonStream:
    """Returns the comparisons of a source in any of the known formats and containers, as a stream.

    Iterating it reads the source once and gives :class:`Numbered` items; memory does not grow with the source. A row
    that holds no comparison is dropped and counted. A malformed one raises InputError, with file, line and field; with
    ``skip_bad`` it is counted, and the reading goes on where that is possible. Iterating also raises InputError for a
    source that is missing, empty, of no known format, or of which nothing remains.
    """
    return ComparisonStream(source, skip_bad=skip_bad)


def fetch_comparisons(
    source: str | Path, rows: Iterable[int | tuple[str, int]], *, skip_bad: bool = False
) -> tuple[Numbered, ...]:
    """Returns the comparisons at some rows of a source, in its order; a row may hold several.

    ``rows``: row numbers, or (file, row) where the source is a directory, as :class:`Numbered` gives them; a number
    alone means that row of every file. Other rows are passed over unparsed where each row stands for itself. Raises
    InputError as :func:`stream_comparisons` does, for the rows that are read.
    """
    stream = ComparisonStream(source, skip_bad=skip_bad)
    everywhere: set[int] = set()
    by_file: dict[str, set[int]] = {}
    for row in rows:
        if isinstance(row, int):
            everywhere.add(row)
        else:
            by_file.setdefault(row[0], set()).add(row[1])
    names = [file.name for file in open_source(source).files]
    return tuple(stream.only({name: everywhere | by_file.get(name, set()) for name in names}))
