"""The formats that Candor knows, and which of them a row is in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from candor.jsonl import Row
from candor.preferences.formats import (
    arena,
    helpsteer,
    hh,
    human,
    oasst,
    own,
    plain,
    ranked,
    summaries,
    trl,
    ultrafeedback,
)
from candor.preferences.formats.base import Format

FORMATS: tuple[Format, ...] = (
    own.OWN,
    hh.HH,
    ultrafeedback.DISTILABEL,
    ultrafeedback.BINARIZED,
    trl.TRL,
    ultrafeedback.ORIGINAL,
    helpsteer.RATINGS,
    helpsteer.PREFERENCES,
    helpsteer.THIRD,
    ranked.NECTAR,
    oasst.TREES,
    oasst.MESSAGES,
    summaries.COMPARISONS,
    summaries.AXES,
    arena.ARENA,
    human.SHP,
    human.SAFE_RLHF,
    human.PRISM_UTTERANCES,
    human.PRISM_CONVERSATIONS,
    trl.UNPAIRED,
    plain.PAIRS,
    plain.RATINGS,
)
"""In order: an earlier format takes a row that a later one would take too."""


def detect(row: Row) -> Format:
    """Returns the format of a row. Raises InputError, with the known ones, where it has none."""
    for candidate in FORMATS:
        if candidate.detects(row.fields):
            return candidate
    known = "; ".join(f"{f.name}: {f.fields}" for f in FORMATS)
    fields = ", ".join(map(str, row.fields)) or "none"
    raise row.error(f"not a known format of comparisons, fields: {fields[:400]}", fix=f"known are {known}")


def is_comparison(fields: Mapping[str, Any]) -> bool:
    """Whether some format knows these fields."""
    return any(candidate.detects(fields) for candidate in FORMATS)
