"""Rows of Parquet and Arrow files and of datasets that ``datasets`` saved, read with pyarrow alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from candor.errors import InputError
from candor.jsonl import Malformed, Meter, Row, broken, malformed
from candor.preferences.containers.objects import row_dicts

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 256
"""Rows that are turned into Python objects at a time."""

STATE, SPLITS = "state.json", "dataset_dict.json"
DEFAULT_SPLIT = "train"


def scan_parquet(
    path: Path, *, only: Container[int] | None = None, meter: Meter | None = None
) -> Iterator[Row | Malformed]:
    """Yields the rows of a Parquet file, numbered from 1. One row group is in memory at a time.

    Raises InputError where there is no such file.
    """
    from pyarrow import parquet

    def batches(meter: Meter) -> Iterator[pa.RecordBatch]:
        with parquet.ParquetFile(path) as file:
            meter.total = file.metadata.num_rows
            yield from file.iter_batches(batch_size=BATCH)

    yield from _rows(path, batches, 0, only, meter)


def scan_arrow(
    path: Path, *, only: Container[int] | None = None, meter: Meter | None = None
) -> Iterator[Row | Malformed]:
    """Yields the rows of an Arrow file (stream or file layout), numbered from 1; the file is mapped, not loaded.

    Raises InputError where there is no such file.
    """
    yield from _rows(path, lambda _: _arrow_batches(path), 0, only, meter)


def is_saved(path: Path) -> bool:
    """Whether a directory is what ``save_to_disk`` of a dataset, or of a dictionary of splits, leaves."""
    return (path / STATE).is_file() or (path / SPLITS).is_file()


def scan_saved(
    path: Path, split: str = "", *, only: Container[int] | None = None, meter: Meter | None = None
) -> Iterator[Row | Malformed]:
    """Yields the rows of a dataset on disk, numbered from 1 over all its files.

    Raises InputError for a split that is not there, and for none where there are several and none is called train.
    """
    folder = _split_folder(path, split)
    state = _json(folder / STATE)
    files = state.get("_data_files") if isinstance(state, dict) else None
    if not isinstance(files, list) or not all(
        isinstance(f, dict) and isinstance(f.get("filename"), str) for f in files
    ):
        raise InputError("does not list its data files", where=str(folder / STATE), fix="save the dataset again")

    def batches(_: Meter) -> Iterator[pa.RecordBatch]:
        for file in files:
            yield from _arrow_batches(folder / file["filename"])

    yield from _rows(path, batches, 0, only, meter)


def _split_folder(path: Path, split: str) -> Path:
    if not (path / SPLITS).is_file():
        if split:
            raise InputError("the dataset has no splits", where=str(path), fix=f"leave ':{split}' off")
        return path
    listed = _json(path / SPLITS)
    splits = listed.get("splits") if isinstance(listed, dict) else None
    if not isinstance(splits, list) or not all(isinstance(name, str) for name in splits):
        raise InputError("does not list its splits", where=str(path / SPLITS), fix="save the dataset again")
    chosen = split or (splits[0] if len(splits) == 1 else DEFAULT_SPLIT)
    if chosen not in splits:
        fix = "write one of " + ", ".join(f"{path}:{name}" for name in splits)
        raise InputError(f"no split is called '{chosen}'" if split else "has several splits", where=str(path), fix=fix)
    return path / chosen


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(broken(error), where=str(path)) from error


def _arrow_batches(path: Path) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa

    with pa.memory_map(str(path)) as source:
        if source.read(6) == b"ARROW1":
            file = pa.ipc.open_file(source)
            yield from (file.get_batch(index) for index in range(file.num_record_batches))
            return
        source.seek(0)
        yield from pa.ipc.open_stream(source)


def _check_types(batch: pa.RecordBatch) -> None:
    """Raises ValueError for a column of a type that pyarrow has no arrays for, as a damaged schema may name."""
    try:
        _ = batch.columns
    except KeyError as error:
        raise ValueError(f"a column of an unknown type ({error})") from None


def _rows(
    path: Path,
    batches: Callable[[Meter], Iterator[pa.RecordBatch]],
    number: int,
    only: Container[int] | None,
    meter: Meter | None,
) -> Iterator[Row | Malformed]:
    import pyarrow as pa

    if not path.exists():
        raise InputError("no such file", where=str(path), fix="check the path")
    meter, position = meter or Meter(), number
    meter.place = lambda: position
    found = batches(meter)
    while True:
        try:
            batch = next(found, None)
            if batch is None:
                return
            batch.validate(full=True)  # offsets that lead outside would end the process
            _check_types(batch)
            for start in range(0, batch.num_rows, BATCH):
                part = batch.slice(start, BATCH)
                if only is not None and not any(position + i in only for i in range(1, part.num_rows + 1)):
                    position += part.num_rows
                    continue
                for fields in row_dicts(part):
                    position += 1
                    if only is None or position in only:
                        yield Row(path=path, line=position, fields=fields, unit="row")
        except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
            yield malformed(path, position + 1, broken(error), unit="row", ends=True)
            return
