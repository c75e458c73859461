"""What charts read off their rows, and how they write it: numbers, names, cells."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from unicodedata import east_asian_width

from candor.report.checks.words import measured
from candor.report.numbers import Estimate, Unit, decimals, number

LABEL = 90  # characters of a label in tips and tables; the axis cuts it to its room

Rows = Sequence[Mapping[str, Any]]


def series_of(rows: Rows) -> list[str]:
    """The names of the series, in the order in which they come first."""
    return list(dict.fromkeys(text_of(row, "series") for row in rows))


def axis_unit(title: str, values: Sequence[float]) -> Unit:
    """An axis is in percent where its title says that it holds shares and the values may be such."""
    words = title.lower()
    named = any(word in words for word in ("share", "rate", "accuracy", "probability")) and "ratio" not in words
    return "share" if named and all(-1.0 <= v <= 1.0 for v in values) else "number"


def number_of(row: Mapping[str, Any], key: str) -> float | None:
    """A finite number of a row, or None."""
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def text_of(row: Mapping[str, Any], key: str) -> str:
    """A text of a row, short enough for a tip; empty where there is none."""
    return clip_label(str(row.get(key) or ""), LABEL)


def clip_label(text: str, longest: int) -> str:
    """A name that is too long ends with dots; line breaks become spaces."""
    flat = " ".join(text.split())
    if len(flat) <= longest and flat.isascii():
        return flat
    width = 0
    for place, character in enumerate(flat):
        width += 2 if east_asian_width(character) in "WF" else 1
        if width > longest:
            return flat[: max(1, place - 1)] + "…"
    return flat


def count_text(row: Mapping[str, Any]) -> str:
    """``, n = 12``, or nothing."""
    return f", n = {int(row['n']):,}" if isinstance(row.get("n"), int | float) else ""


def cell(value: float | None, low: float | None, high: float | None, unit: Unit) -> str:
    """A number with its interval, or ``not measured``."""
    return " ".join(filter(None, measured(Estimate(value=value, low=low, high=high), unit)))


def or_missing(value: float | None) -> str:
    """A number, or ``not measured``."""
    return "not measured" if value is None else plain_number(value, "number")


def plain_number(value: float, unit: Unit) -> str:
    """Three figures or so, whole numbers whole."""
    if unit == "share":
        return number(value, "share", digits=1)
    if value == int(value) and abs(value) < 1e15:
        return decimals(value, 0)
    text = decimals(value, max(0, min(4, 2 - math.floor(math.log10(abs(value))))))
    return text.rstrip("0").rstrip(".") if "." in text else text


def place_text(row: Mapping[str, Any], key: str) -> str:
    """The column or the row of a map that a cell lies in: a number or a name."""
    value = number_of(row, key)
    return text_of(row, key) if value is None else plain_number(value, "number")
