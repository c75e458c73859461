"""What a source is, told by its place and its name's ending, and the files that it stands for."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Protocol

from candor.errors import InputError
from candor.jsonl import Malformed, Meter, Row, no_rows, no_such_file, scan_rows
from candor.preferences.containers import columns, hub, lists, tables

LINES = (".jsonl", ".ndjson")
PACKED = (".gz", ".zst")
ENDINGS = (*LINES, ".json", ".csv", ".tsv", ".parquet", ".arrow")
"""What files in a directory are known by; the texts among them may be packed, and then end in ``.gz`` or ``.zst``."""

_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+(:[\w.-]+){0,2}")
_PARQUET_MAGIC = b"PAR1"


class Scan(Protocol):
    """Yields the rows of a file from its start, and those that are malformed in their places."""

    def __call__(self, *, only: Container[int] | None = None, meter: Meter | None = None) -> Iterator[Row | Malformed]:
        """``only``: the row numbers to give; the others need not be parsed."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class RowFile:
    """A file of rows. ``name`` tells it from the others of its directory; it is empty where it is alone."""

    path: Path
    scan: Scan
    name: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """The files of a source, in order, and those of a directory that are of no known kind."""

    path: Path
    files: tuple[RowFile, ...]
    ignored: tuple[Path, ...] = ()


def open_source(source: str | Path) -> Source:
    """Returns the files that a source stands for, in the order in which they are read.

    A source is a file, a directory of files, a directory that ``datasets`` saved (``path:split`` chooses a split), or
    the name of a dataset on the hub (``owner/name``, ``owner/name:split``, ``owner/name:config:split``). Raises
    InputError where there is no such thing or it may not be looked at, for a directory without any file of a known
    kind, and for a pipe or a device, which can be read once only.
    """
    if not str(source):
        raise InputError("the name of the file is empty", fix="give a file, a directory or a dataset")
    try:
        return _open(source)
    except OSError as error:  # a name that is too long, a directory that may not be searched
        raise InputError(
            f"cannot be read: {error.strerror}".lower(), where=str(source), fix="check the path"
        ) from error


def _open(source: str | Path) -> Source:
    path, split = Path(source), ""
    if path.is_symlink() and not path.exists():
        raise InputError("is a link that leads nowhere", where=str(path), fix="check where it leads")
    if not path.exists():
        before, colon, after = str(source).rpartition(":")
        if colon and columns.is_saved(Path(before)):
            path, split = Path(before), after
        elif is_hub_name(str(source)):
            return Source(path=Path(source), files=(RowFile(path=Path(source), scan=hub.scan(str(source))),))
    if columns.is_saved(path):
        return Source(path=path, files=(RowFile(path=path, scan=partial(columns.scan_saved, path, split)),))
    if path.is_dir():
        return _directory(path)
    if path.exists() and not path.is_file():
        fix = "write what comes out of it to a file first: some formats are read twice"
        raise InputError("is a pipe or a device, expected a file", where=str(path), fix=fix)
    return Source(path=path, files=(RowFile(path=path, scan=_scan_of(path)),))


def check_source(source: str | Path) -> None:
    """Raises InputError where :func:`open_source` does, and for a file that is not there; reads nothing of it."""
    for file in open_source(source).files:
        if not file.path.exists() and not is_hub_name(str(source)):
            raise no_such_file(file.path)


def is_hub_name(source: str) -> bool:
    """Whether a source that is not on the disk reads like a dataset's name, and not like a file's."""
    return _HUB_NAME.fullmatch(source) is not None and not _known(Path(source.partition(":")[0]))


def read_source_rows(source: str | Path) -> Iterator[Row]:
    """Yields all rows of a source. Raises InputError at the first that is malformed, and where there is none."""
    opened, empty = open_source(source), True
    for file in opened.files:
        for row in file.scan():
            if isinstance(row, Malformed):
                raise row.error
            empty = False
            yield row
    if empty:
        raise no_rows(opened.path)


@lru_cache(maxsize=1024)
def stem(name: str) -> str:
    """A file's name without the endings that say what is in it."""
    for ending in PACKED:
        name = name.removesuffix(ending)
    return next((name.removesuffix(ending) for ending in ENDINGS if name.endswith(ending)), name)


def _known(path: Path) -> bool:
    return _ending(path) in ENDINGS


def _ending(path: Path) -> str:
    return Path(path.stem if path.suffix in PACKED else path.name).suffix.lower()


def _directory(path: Path) -> Source:
    inside = sorted(entry for entry in path.iterdir() if not entry.name.startswith("."))
    known = [entry for entry in inside if entry.is_file() and _known(entry)]
    if not known:
        raise InputError(
            "is a directory without a file of comparisons in it",
            where=str(path),
            fix=f"known endings are {', '.join(ENDINGS)}, and most of them with {' or '.join(PACKED)}",
        )
    return Source(
        path=path,
        files=tuple(RowFile(path=file, scan=_scan_of(file), name=file.name) for file in known),
        ignored=tuple(entry for entry in inside if entry not in known),
    )


def _scan_of(path: Path) -> Any:
    """A file is what its ending says; one without a known ending is JSON lines, or Parquet by its first bytes."""
    scans: dict[str, Callable[..., Iterator[Row | Malformed]]] = {
        ".json": lists.scan,
        ".csv": tables.scan,
        ".tsv": partial(tables.scan, delimiter="\t"),
        ".parquet": columns.scan_parquet,
        ".arrow": columns.scan_arrow,
    }
    ending = _ending(path)
    if ending not in ENDINGS and _starts_as_parquet(path):
        ending = ".parquet"
    return partial(scans.get(ending, scan_rows), path)


def _starts_as_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as start:
            return start.read(4) == _PARQUET_MAGIC
    except OSError:
        return False
