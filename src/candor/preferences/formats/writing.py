"""Comparisons to files, in every format that can hold what people said: each is written beside where it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

from candor.errors import InputError
from candor.jsonl import write_rows
from candor.preferences.formats import trl
from candor.preferences.formats.as_rows import PAIRS, REAL, TEXT, TRUTH, WHOLE, Line, Unwritten, Writer
from candor.preferences.formats.known import FORMATS
from candor.records import Comparison
from candor.storage import replacing_file, writing

Target = Literal[
    "trl",
    "trl-chat",
    "candor",
    "hh",
    "pairs",
    "ratings",
    "chatbot-arena",
    "distilabel",
    "helpsteer2-preferences",
    "helpsteer3",
    "nectar",
    "oasst",
    "oasst-trees",
    "pku-saferlhf",
    "shp",
    "summarize-from-feedback",
    "summarize-from-feedback-axes",
    "ultrafeedback",
    "ultrafeedback-binarized",
]
TARGETS: tuple[Target, ...] = get_args(Target)
ENDINGS = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet")

BATCH = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """``rows`` is how many rows the file has; ``dropped`` counts, by reason, what could not be written.

    A format of pairs drops pairs of responses that give no row (ties, both bad); others drop whole comparisons.
    """

    rows: int
    comparisons: int
    dropped: Mapping[str, int] = field(default_factory=dict)


def write_comparisons(path: str | Path, comparisons: Iterable[Comparison], *, to: Target = "candor") -> int:
    """Writes comparisons as :func:`convert_comparisons` does and returns the number of rows."""
    return convert_comparisons(path, comparisons, to=to).rows


def convert_comparisons(path: str | Path, comparisons: Iterable[Comparison], *, to: Target = "candor") -> Written:
    """Writes comparisons and returns how many there were, the number of rows and what could not be written.

    ``candor`` keeps everything; what the others hold is in docs/formats.md. The file is JSON lines, compressed where
    its name ends in ``.gz`` or ``.zst``, or Parquet where it ends in ``.parquet``. Atomic: it appears when it is
    complete. Raises InputError for another ending and for what Parquet cannot hold, StorageError where the disk does
    not let it.
    """
    path = Path(path)
    kind, writer = writable(path, to=to), _writer(to)
    counts = _Counts()
    rows = _counted(writer.rows(_each(comparisons, counts)), counts)
    if kind == ".parquet" and writer.columns is not None:
        written = _write_parquet(path, rows, writer.columns)
    else:
        written = write_rows(path, rows)
    return Written(rows=written, comparisons=counts.comparisons, dropped=dict(counts.dropped))


def writable(path: Path, *, to: Target = "candor") -> str:
    """Returns the ending that says how a file is written. Raises InputError for one that is not known or not fit."""
    found = next((ending for ending in ENDINGS if path.name.endswith(ending)), None)
    if found is None:
        raise InputError("cannot tell how to write this", where=str(path), fix=f"end the name in {', '.join(ENDINGS)}")
    if found == ".parquet" and _writer(to).columns is None:
        raise InputError(f"Parquet cannot hold {to}", where=str(path), fix="end the name in .jsonl")
    return found


def _writer(to: Target) -> Writer:
    if to == "trl-chat":
        return trl.CHAT
    writer = next(known.writer for known in FORMATS if known.name == to)
    assert writer is not None, to
    return writer


@dataclass(slots=True)
class _Counts:
    comparisons: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


def _each(comparisons: Iterable[Comparison], counts: _Counts) -> Iterator[Comparison]:
    for comparison in comparisons:
        counts.comparisons += 1
        yield comparison


def _counted(lines: Iterator[Line], counts: _Counts) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        if isinstance(line, Unwritten):
            counts.dropped[line.reason] += 1
        else:
            yield line


# Parquet -------------------------------------------------------------------------------------------------------------


def _write_parquet(path: Path, rows: Iterator[Mapping[str, Any]], columns: Mapping[str, Any]) -> int:
    import pyarrow as pa
    from pyarrow import parquet

    schema, count = pa.schema({name: _arrow(kind) for name, kind in columns.items()}), 0
    with writing(path), replacing_file(path) as unfinished, parquet.ParquetWriter(unfinished, schema) as writer:
        while batch := list(islice(rows, BATCH)):
            try:
                table = pa.Table.from_pylist([_for_columns(row, columns) for row in batch], schema=schema)
            except (pa.ArrowException, UnicodeEncodeError, OverflowError) as error:
                where = f"{path}, rows {count + 1} to {count + len(batch)}"
                fix = "write .jsonl, which holds half a surrogate pair and any number"
                what = f"a value that Parquet cannot hold: {' '.join(str(error).split())[:300]}"
                raise InputError(what, where=where, fix=fix) from error
            writer.write_table(table)
            count += len(batch)
    return count


def _for_columns(value: Any, kind: Any) -> Any:
    """Mappings of strings as lists of pairs, as columns have them."""
    if kind == PAIRS and value is not None:
        return list(value.items())
    if isinstance(kind, Mapping) and value is not None:
        return {name: _for_columns(inner, kind.get(name)) for name, inner in value.items()}
    return value


def _arrow(kind: Any) -> Any:
    import pyarrow as pa

    if isinstance(kind, list):
        return pa.list_(_arrow(kind[0]))
    if isinstance(kind, Mapping):
        return pa.struct({name: _arrow(inner) for name, inner in kind.items()})
    named = {TEXT: pa.string(), REAL: pa.float64(), WHOLE: pa.int64(), TRUTH: pa.bool_()}
    return pa.map_(pa.string(), pa.string()) if kind == PAIRS else named[kind]
