"""summarize-from-feedback: comparisons of two summaries, and single summaries scored along axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from candor.jsonl import Row
from candor.preferences.formats.base import (
    ABSENT,
    Format,
    Groups,
    Item,
    compared,
    each,
    has,
    label,
    labels,
    number,
    number_or_none,
    whole,
)
from candor.records import Choice, Message, Ratings

MIDDLE = 5
"""Of the nine-point scale that confidence is given on: 1 is all for the first summary, 9 all for the second."""


def _prompt(row: Row) -> tuple[Message, ...]:
    """What was to be summarised, in the form that the study's models saw."""
    info = row.inner("info", row.require("info"))
    if info.fields.get("article") not in ABSENT:
        text = f"Article: {info.text('article')}\n\nTL;DR:"
    else:
        heads = {"SUBREDDIT": label(info, "subreddit"), "TITLE": label(info, "title")}
        heads["SUBREDDIT"] = heads["SUBREDDIT"] and f"r/{heads['SUBREDDIT']}"
        above = "".join(f"{name}: {value}\n\n" for name, value in heads.items() if value)
        text = f"{above}POST: {info.text('post')}\n\nTL;DR:"
    return (Message(role="user", content=text),)


def _tags(row: Row) -> dict[str, str]:
    info = row.inner("info", row.require("info"))
    return {**labels(info, "subreddit", "site"), **labels(row, "split", "batch")}


def _read(row: Row) -> Item:
    summaries = row.objects("summaries")
    if len(summaries) != 2:
        raise row.error(f"expected two summaries, found {len(summaries)}", field="summaries")
    choice = whole(row, "choice")
    if choice not in (0, 1):
        raise row.error(f"expected 0 or 1, found {choice}", field="choice", reason="neither 0 nor 1")
    return compared(
        row,
        _prompt(row),
        [summary.text("text") for summary in summaries],
        Choice(best=choice, strength=_strength(row, choice)),
        policies=[label(summary, "policy") for summary in summaries],
        annotator=label(row, "worker"),
        tags=_tags(row),
    )


def _strength(row: Row, choice: int) -> float:
    """How far the confidence lies from the middle, where it is given and on the side of the choice; else 1."""
    extra = row.fields.get("extra")
    if not isinstance(extra, Mapping) or extra.get("confidence") is None:
        return 1.0
    away = number(row.inner("extra", extra), "confidence") - MIDDLE
    return abs(away) if away and (away > 0) == bool(choice) else 1.0


COMPARISONS = Format(
    name="summarize-from-feedback",
    fields="info, summaries (text, policy), choice, worker",
    detects=lambda fields: has(fields, "info", "summaries", "choice"),
    read=_read,
)


def _scored(row: Row) -> tuple[str, float | None, str]:
    summary = row.inner("summary", row.require("summary"))
    axes = summary.inner("axes", summary.require("axes"))
    return summary.text("text"), number_or_none(axes, "overall"), label(summary, "policy")


def _join(rows: Sequence[Row]) -> Item:
    scored = [(text, score, policy) for text, score, policy in map(_scored, rows) if score is not None]
    return compared(
        rows[0],
        _prompt(rows[0]),
        [text for text, _, _ in scored],
        Ratings(scores=tuple(score for _, score, _ in scored)),
        policies=[policy for _, _, policy in scored],
        annotator=label(rows[0], "worker"),
        tags=_tags(rows[0]),
    )


def _detects_axes(fields: Mapping[str, Any]) -> bool:
    return has(fields, "info", "summary") and isinstance(fields["summary"], Mapping) and "axes" in fields["summary"]


AXES = Format(
    name="summarize-from-feedback-axes",
    fields="info, summary (text, policy, axes), worker",
    detects=_detects_axes,
    read=Groups(
        key=lambda row: (_prompt(row), label(row, "worker")), check=_scored, join=lambda rows: each(rows, _join)
    ),
)
