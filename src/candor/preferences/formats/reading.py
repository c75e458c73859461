"""A whole file of comparisons in memory, for what trains on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from candor.preferences.formats.stream import ComparisonStream
from candor.records import Comparison


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadReport:
    """``rows`` is how many rows the file has; ``dropped`` gives, by reason, the lines that gave no comparison.

    ``bad`` gives, by reason, the malformed lines that were skipped.
    """

    comparisons: tuple[Comparison, ...]
    rows: int
    dropped: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    format: str = ""
    bad: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def read_comparisons(source: str | Path, *, skip_bad: bool = False) -> ReadReport:
    """Returns the comparisons of a source in any of the known formats and containers, and what was dropped.

    Rows that are well formed but hold no comparison (an empty reply, prompts that differ) are dropped and reported.
    Raises InputError, with file, line and field, for a source that is missing, malformed, empty, of no known format, or
    of which nothing remains; with ``skip_bad`` malformed rows are reported instead.
    """
    stream = ComparisonStream(source, skip_bad=skip_bad, first_lines=None)
    comparisons = tuple(item.comparison for item in stream)
    return ReadReport(
        comparisons=comparisons,
        rows=stream.rows,
        dropped={reason: found.first_lines for reason, found in stream.dropped.items()},
        format=stream.format,
        bad={reason: found.first_lines for reason, found in stream.bad.items()},
    )
