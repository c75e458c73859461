"""The texts of the rows that checks point at, read from the file again: that costs less than keeping them all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from candor.audits.preferences.shown import shown_texts
from candor.preferences.formats import fetch_comparisons
from candor.records import Check, Comparison, Example


def with_texts(source: str | Path, checks: Iterable[Check], *, skip_bad: bool = False) -> list[Check]:
    """Returns the checks with the prompt and the responses of every example filled in."""
    checks = list(checks)
    wanted = {(example.file, example.row) for check in checks for example in check.examples if not example.texts}
    if not wanted:
        return checks
    found = {(item.file, item.row): item.comparison for item in fetch_comparisons(source, wanted, skip_bad=skip_bad)}
    return [replace(check, examples=tuple(_filled(example, found) for example in check.examples)) for check in checks]


def _filled(example: Example, found: Mapping[tuple[str, int], Comparison]) -> Example:
    comparison = found.get((example.file, example.row))
    if example.texts or comparison is None:
        return example
    return replace(example, texts=shown_texts(comparison))
