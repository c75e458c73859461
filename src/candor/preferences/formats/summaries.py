"""summarize-from-feedback: comparisons of two summaries, and single summaries scored along axes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from candor.jsonl import Row
from candor.preferences.formats.as_rows import (
    BOTH_BAD,
    REAL,
    SAME_AGAIN,
    STRENGTH,
    TEXT,
    TIE,
    WHOLE,
    Line,
    Unwritten,
    Writer,
    each_alone,
    filled,
    scores,
    two_by_two,
    unreadable,
)
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
from candor.records import Choice, Comparison, Message, Ratings

MIDDLE = 5
"""Of the nine-point scale that confidence is given on: 1 is all for the first summary, 9 all for the second."""


def _prompt(row: Row) -> tuple[Message, ...]:
    """What was to be summarised, in the form that the study's models saw."""
    info = row.inner("info", row.require("info"))
    if info.fields.get("article") not in ABSENT:
        return (Message(role="user", content=f"Article: {info.text('article')}{_CUE}"),)
    text = _post(label(info, "subreddit"), label(info, "title"), info.text("post"))
    return (Message(role="user", content=text),)


def _post(subreddit: str, title: str, post: str) -> str:
    heads = {"SUBREDDIT": subreddit and f"r/{subreddit}", "TITLE": title}
    above = "".join(f"{name}: {value}\n\n" for name, value in heads.items() if value)
    return f"{above}POST: {post}{_CUE}"


_CUE = "\n\nTL;DR:"
_ASKED = re.compile(
    r"(?:SUBREDDIT: r/(?P<subreddit>.*?)\n\n)?(?:TITLE: (?P<title>.*?)\n\n)?POST: (?P<post>.*)", re.DOTALL
)
NO_POST = "the prompt is no text to be summarised in this format's words"


def _info(comparison: Comparison) -> dict[str, str] | None:
    """What was to be summarised, taken apart again; None where the prompt is something else."""
    asked = comparison.prompt.messages[0].content if len(comparison.prompt.messages) == 1 else ""
    if not asked.endswith(_CUE):
        return None
    text, tags = asked.removesuffix(_CUE), comparison.prompt.tags
    info = {"subreddit": tags.get("subreddit", ""), "site": tags.get("site", "")}
    if text.startswith("Article: ") and len(text) > len("Article: "):
        return filled({**info, "article": text.removeprefix("Article: ")})
    found = _ASKED.fullmatch(text)
    if found is None:
        return None
    parts = {name: value or "" for name, value in found.groupdict().items()}
    if _post(**parts) != asked or info["subreddit"] not in ("", parts["subreddit"]):
        return None
    return filled({**info, **parts}) | {"post": parts["post"]}


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


def _write(comparison: Comparison) -> Iterator[Line]:
    """A choice, its strength as the distance of the confidence from the middle of the scale."""
    info, tags = _info(comparison), comparison.prompt.tags
    if info is None:
        yield Unwritten(NO_POST)
        return
    for sided in two_by_two(comparison):
        if sided.better is None:
            yield Unwritten(BOTH_BAD if sided.both_bad else TIE)
            continue
        strength, choice = sided.strength, int(sided.better == sided.second)
        if strength is not None and not 0 < strength < MIDDLE:
            yield Unwritten(STRENGTH)
            continue
        confidence = None if strength is None else MIDDLE + (strength if choice else -strength)
        yield filled(
            {
                "info": info,
                "split": tags.get("split"),
                "batch": tags.get("batch"),
                "summaries": [{"text": sided.text(i), "policy": sided.policy(i)} for i in (sided.first, sided.second)],
                "choice": choice,
                "worker": comparison.annotator,
                "extra": None if confidence is None else {"confidence": confidence},
            }
        )


_INFO = {"post": TEXT, "title": TEXT, "subreddit": TEXT, "site": TEXT, "article": TEXT}

COMPARISONS = Format(
    name="summarize-from-feedback",
    fields="info, summaries (text, policy), choice, worker",
    detects=lambda fields: has(fields, "info", "summaries", "choice"),
    read=_read,
    writer=Writer(
        rows=each_alone(_write),
        columns={
            "info": _INFO,
            "split": TEXT,
            "batch": TEXT,
            "summaries": [{"text": TEXT, "policy": TEXT}],
            "choice": WHOLE,
            "worker": TEXT,
            "extra": {"confidence": REAL},
        },
    ),
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


def _write_axes(comparisons: Iterable[Comparison]) -> Iterator[Line]:
    """A row per summary. What a worker said of a text's summaries is one comparison, which they can give once."""
    seen: set[tuple[str, str]] = set()
    for comparison in comparisons:
        problem, given = unreadable(comparison), scores(comparison)
        if isinstance(given, Unwritten) or problem is not None:
            yield given if isinstance(given, Unwritten) else Unwritten(problem or "")
            continue
        info, key = _info(comparison), (comparison.prompt.messages[-1].content, comparison.annotator)
        if info is None or key in seen:
            yield Unwritten(NO_POST if info is None else SAME_AGAIN)
            continue
        seen.add(key)
        tags = comparison.prompt.tags
        for response, score in zip(comparison.responses, given, strict=True):
            summary = {"text": response.text, "policy": response.policy, "axes": {"overall": score}}
            row = {"info": info, "split": tags.get("split"), "batch": tags.get("batch"), "summary": summary}
            yield filled({**row, "worker": comparison.annotator})


AXES = Format(
    name="summarize-from-feedback-axes",
    fields="info, summary (text, policy, axes), worker",
    detects=_detects_axes,
    read=Groups(
        key=lambda row: (_prompt(row), label(row, "worker")), check=_scored, join=lambda rows: each(rows, _join)
    ),
    writer=Writer(
        rows=_write_axes,
        columns={
            "info": _INFO,
            "split": TEXT,
            "batch": TEXT,
            "summary": {"text": TEXT, "policy": TEXT, "axes": {"overall": REAL}},
            "worker": TEXT,
        },
    ),
)
