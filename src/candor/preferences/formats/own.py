"""Candor's own rows: everything that an annotator saw and said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from math import isfinite
from typing import Any

from candor.errors import InputError
from candor.jsonl import Drop, Row
from candor.preferences import dialogues
from candor.preferences.formats.as_rows import CLAIM, MESSAGES, PAIRS, REAL, TEXT, TRUTH, WHOLE, Line, Writer
from candor.preferences.formats.base import TOO_FEW, Format, Item, has
from candor.records import Choice, Comparison, Ranking, Ratings, to_json


def _read(row: Row) -> Item:
    row = _without_nulls(row)
    try:
        comparison = dialogues.decode(row, "", Comparison)
    except InputError:
        _check_judgement(row)  # alone, so that the error names the field of the kind that was meant
        raise
    if len(comparison.responses) == 1 and isinstance(comparison.judgement, Ratings):
        return Drop(line=row.line, reason=TOO_FEW)  # a project in which single replies are rated has such
    _check(row, comparison)
    return comparison


_KINDS = (("order", Ranking), ("scores", Ratings), ("best", Choice))


def _without_nulls(row: Row) -> Row:
    """In a column of a table a judgement has the fields of every kind, and only those of its own are not null."""
    raw, fields = row.require("judgement"), row.fields
    if isinstance(raw, dict) and any(raw.get(name, raw) is None for name in ("order", "scores", "tie")):
        kept = {name: value for name, value in raw.items() if value is not None or name == "best"}
        if "order" in kept or "scores" in kept:
            kept.pop("best", None)
        fields = {**fields, "judgement": kept}
    prompt = fields.get("prompt")
    if isinstance(prompt, dict) and isinstance(prompt.get("tags"), dict) and None in prompt["tags"].values():
        tags = {name: value for name, value in prompt["tags"].items() if value is not None}
        fields = {**fields, "prompt": {**prompt, "tags": tags}}
    if fields is row.fields:
        return row
    return Row(path=row.path, line=row.line, fields=fields, unit=row.unit)


def _check_judgement(row: Row) -> None:
    raw = row.require("judgement")
    for key, kind in _KINDS:
        if isinstance(raw, dict) and key in raw:
            dialogues.decode(row, "judgement", kind)
            return
    raise row.error("expected an object with 'best', 'order' or 'scores'", field="judgement")


def _check(row: Row, comparison: Comparison) -> None:
    count, judgement = len(comparison.responses), comparison.judgement
    if count < 2:
        raise row.error(f"a comparison needs at least two responses, found {count}", field="responses")
    if comparison.shown_order and sorted(comparison.shown_order) != list(range(count)):
        raise row.error(f"expected every index from 0 to {count - 1} once", field="shown_order")
    if comparison.seconds is not None and not isfinite(comparison.seconds):
        raise row.error(f"expected a finite number, found {comparison.seconds}", field="seconds")
    match judgement:
        case Choice(best=best, tie=tie, both_bad=both_bad, strength=strength):
            if best is None and not (tie or both_bad):
                raise row.error("a choice names the best response, a tie, or both_bad", field="judgement.best")
            if best is not None and not 0 <= best < count:
                raise row.error(f"expected an index from 0 to {count - 1}, found {best}", field="judgement.best")
            if not isfinite(strength):
                raise row.error(f"expected a finite number, found {strength}", field="judgement.strength")
        case Ranking(order=order):
            ranked = sorted(chain.from_iterable(order))
            if len(set(ranked)) != len(ranked) or len(ranked) < 2 or ranked[0] < 0 or ranked[-1] >= count:
                what = f"expected at least two indices from 0 to {count - 1}, each at most once"
                raise row.error(what, field="judgement.order")
        case Ratings(scores=scores):
            if len(scores) != count or not all(isfinite(s) for s in scores):
                raise row.error(f"expected {count} numbers, one per response", field="judgement.scores")


def _detects(fields: Mapping[str, Any]) -> bool:
    return has(fields, "responses", "judgement")


def _write(comparisons: Iterable[Comparison]) -> Iterator[Line]:
    for comparison in comparisons:
        yield to_json(comparison)


_RESPONSE = {
    "id": TEXT,
    "prompt_id": TEXT,
    "text": TEXT,
    "token_ids": [WHOLE],
    "logprobs": [REAL],
    "policy": TEXT,
    "sampling": TEXT,
    "stop_reason": TEXT,
}
_COLUMNS = {
    "id": TEXT,
    "prompt": {"id": TEXT, "messages": MESSAGES, "claim": CLAIM, "tags": PAIRS},
    "responses": [_RESPONSE],
    "judgement": {
        "best": WHOLE,
        "strength": REAL,
        "tie": TRUTH,
        "both_bad": TRUTH,
        "order": [[WHOLE]],
        "scores": [REAL],
    },
    "shown_order": [WHOLE],
    "annotator": TEXT,
    "seconds": REAL,
    "at": TEXT,
    "source": TEXT,
}

OWN = Format(
    name="candor",
    fields="id, prompt, responses, judgement",
    detects=_detects,
    read=_read,
    writer=Writer(rows=_write, columns=_COLUMNS),
)
