"""The formats that Candor knows, and which of them a row is in."""

from __future__ import annotations

import re
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
    fields = ", ".join(map(str, row.fields)) or "none"
    raise row.error(f"not a known format of comparisons, fields: {fields[:400]}", fix=_advice(row))


def _advice(row: Row) -> str:
    """The format that a row comes nearest to, and the names of the others."""
    names = set(map(str, row.fields))
    if row.untyped and len(names) == 1 and (mark := next((m for m in ";\t|," if m in min(names)), "")):
        return f"cells are parted by {mark!r}: save the file with commas as .csv, or with tabs as .tsv"
    nearest = min(FORMATS, key=lambda f: _distance(f, names))
    if not names & _wanted(nearest):
        nearest = plain.PAIRS  # what a table of one's own is brought into most easily
    others = ", ".join(f.name for f in FORMATS if f is not nearest)
    return f"nearest is {nearest.name}, with {nearest.fields}; others are {others}"


def _distance(known: Format, names: set[str]) -> tuple[int, int]:
    """First how many of a format's fields are lacking, beyond those that are there; then how many there are."""
    wanted = _wanted(known)
    return len(wanted - names) - len(wanted & names), len(wanted)


def _wanted(known: Format) -> set[str]:
    """The fields that a row has to have, read off what people are told; what stands in parentheses is inside them."""
    outside = re.sub(r"\([^)]*\)", "", known.fields)
    return {part.split()[0] for part in outside.split(",")}


def is_comparison(fields: Mapping[str, Any]) -> bool:
    """Whether some format knows these fields."""
    return any(candidate.detects(fields) for candidate in FORMATS)
