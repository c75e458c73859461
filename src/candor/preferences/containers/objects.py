"""Arrow columns as Python objects, several times as fast as pyarrow's own conversion, which goes value by value."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


def row_dicts(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """Returns the rows of a batch; structs and maps become dictionaries, the last of equal keys counts."""
    names = batch.schema.names
    columns = [values(column) for column in batch.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)] if names else []


def values(array: pa.Array) -> list[Any]:
    """Returns the values of an array, None where one is null."""
    import pyarrow.types as kinds

    kind = array.type
    if kinds.is_null(kind) or array.null_count == len(array):
        return [None] * len(array)
    if kinds.is_string(kind) or kinds.is_large_string(kind):
        found: list[Any] = array.to_numpy(zero_copy_only=False).tolist()
        return found
    if (kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind)) and array.null_count == 0:
        return list(array.to_numpy(zero_copy_only=False).tolist())
    if kinds.is_struct(kind):
        names = [field.name for field in kind]
        rows = zip(*map(values, array.flatten()), strict=True) if names else [()] * len(array)
        return _masked(array, [dict(zip(names, row, strict=True)) for row in rows])
    if kinds.is_map(kind):
        pairs = list(zip(*_spans(array, array.keys, array.items), strict=True))
        return _masked(array, [dict(zip(keys, items, strict=True)) for keys, items in pairs])
    if kinds.is_list(kind) or kinds.is_large_list(kind):
        return _masked(array, _spans(array, array.values)[0])
    return list(array.to_pylist(maps_as_pydicts="lossy"))


def _spans(array: Any, *inner: Any) -> list[list[list[Any]]]:
    """The inner arrays, cut where each value of the outer one begins and ends."""
    offsets = array.offsets.to_numpy().tolist()
    start, end = offsets[0], offsets[-1]
    flat = [values(part.slice(start, end - start)) for part in inner]
    return [[part[a - start : b - start] for a, b in pairwise(offsets)] for part in flat]


def _masked(array: pa.Array, found: list[Any]) -> list[Any]:
    if array.null_count == 0:
        return found
    valid = array.is_valid().to_numpy(zero_copy_only=False).tolist()
    return [value if there else None for value, there in zip(found, valid, strict=True)]
