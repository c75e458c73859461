"""Comparisons from files and to files: Candor's own rows, TRL pairs, HH-RLHF transcripts.

A :class:`Format` is two functions: does this row look like mine, and the comparisons of a stream of rows. The format of
a file is that of its first row; every other row has to fit it. The stream, rather than one row, is what a format reads,
because some formats spread one comparison over several rows.

What a file does not say is not made up: the order in which responses were shown stays empty for the foreign formats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from math import isfinite
from pathlib import Path
from typing import Any

from candor.jsonl import Drop, Row, json_type, lines_by_reason, nothing_left, read_rows, write_rows
from candor.preferences import dialogues
from candor.records import Choice, Comparison, Message, Ranking, Ratings, to_json

DIFFERENT_PROMPTS = "chosen and rejected have different prompts"
NO_REPLY = "chosen or rejected does not end with the assistant"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadReport:
    """``rows`` is how many rows the file has; ``dropped`` gives, by reason, the lines that gave no comparison."""

    comparisons: tuple[Comparison, ...]
    rows: int
    dropped: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    format: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """One way in which files hold comparisons. ``fields`` is for error messages."""

    name: str
    fields: str
    detects: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Iterable[Row]], Iterator[Comparison | Drop]]


def read_comparisons(path: str | Path) -> ReadReport:
    """Returns the comparisons of a ``.jsonl`` or ``.jsonl.gz`` file in any of the known formats, and what was dropped.

    Rows that are well formed but hold no comparison (an empty reply, prompts that differ) are dropped and reported.
    Raises InputError, with file, line and field, for a file that is missing, malformed, empty, of no known format, or
    of which nothing remains.
    """
    path = Path(path)
    rows = list(read_rows(path))
    found = detect(rows[0])
    items = list(found.read(rows))
    comparisons = tuple(item for item in items if isinstance(item, Comparison))
    drops = [item for item in items if isinstance(item, Drop)]
    if not comparisons:
        raise nothing_left(path, "comparison", drops)
    return ReadReport(comparisons=comparisons, rows=len(rows), dropped=lines_by_reason(drops), format=found.name)


def write_comparisons(path: str | Path, comparisons: Iterable[Comparison]) -> int:
    """Writes Candor's own rows, without loss and atomically (gzip where the name ends in ``.gz``); returns how many."""
    return write_rows(path, (to_json(comparison) for comparison in comparisons))


def detect(row: Row) -> Format:
    """The format of a row. Raises InputError, with the known ones, where it has none."""
    for candidate in FORMATS:
        if candidate.detects(row.fields):
            return candidate
    known = "; ".join(f"{f.name}: {f.fields}" for f in FORMATS)
    has = ", ".join(row.fields) or "none"
    raise row.error(f"not a known format of comparisons, fields: {has}", fix=f"known are {known}")


def is_comparison(fields: Mapping[str, Any]) -> bool:
    """Whether some format knows these fields."""
    return any(candidate.detects(fields) for candidate in FORMATS)


# Candor's own ------------------------------------------------------------------------------------------------------


def _detects_candor(fields: Mapping[str, Any]) -> bool:
    return "responses" in fields and "judgement" in fields


def _read_candor(rows: Iterable[Row]) -> Iterator[Comparison]:
    for row in rows:
        _check_judgement(row)
        comparison = dialogues.decode(row, "", Comparison)
        _check_indices(row, comparison)
        yield comparison


def _check_judgement(row: Row) -> None:
    raw = row.require("judgement")
    for key, kind in (("best", Choice), ("order", Ranking), ("scores", Ratings)):
        if isinstance(raw, dict) and key in raw:
            # Alone, so that the error names the field of the kind that was meant.
            dialogues.decode(row, "judgement", kind)
            return
    raise row.error("expected an object with 'best', 'order' or 'scores'", field="judgement")


def _check_indices(row: Row, comparison: Comparison) -> None:
    count, judgement = len(comparison.responses), comparison.judgement
    if count < 2:
        raise row.error(f"a comparison needs at least two responses, found {count}", field="responses")
    if comparison.shown_order and sorted(comparison.shown_order) != list(range(count)):
        raise row.error(f"expected every index from 0 to {count - 1} once", field="shown_order")
    match judgement:
        case Choice(best=best, tie=tie, both_bad=both_bad):
            if best is None and not (tie or both_bad):
                raise row.error("a choice names the best response, a tie, or both_bad", field="judgement.best")
            if best is not None and not 0 <= best < count:
                raise row.error(f"expected an index from 0 to {count - 1}, found {best}", field="judgement.best")
        case Ranking(order=order):
            ranked = sorted(chain.from_iterable(order))
            if len(set(ranked)) != len(ranked) or len(ranked) < 2 or ranked[0] < 0 or ranked[-1] >= count:
                what = f"expected at least two indices from 0 to {count - 1}, each at most once"
                raise row.error(what, field="judgement.order")
        case Ratings(scores=scores):
            if len(scores) != count or not all(isfinite(s) for s in scores):
                raise row.error(f"expected {count} numbers, one per response", field="judgement.scores")


# HH-RLHF -------------------------------------------------------------------------------------------------------------


def _detects_hh(fields: Mapping[str, Any]) -> bool:
    both = dialogues.is_transcript(fields.get("chosen")) and dialogues.is_transcript(fields.get("rejected"))
    return both and "prompt" not in fields


def _read_hh(rows: Iterable[Row]) -> Iterator[Comparison | Drop]:
    """Splits both transcripts at their last Assistant turn; what stands before has to be the same."""
    for row in rows:
        if "prompt" in row.fields:
            raise row.error("the first row had no 'prompt'", field="prompt", fix="keep one format per file")
        prompt_a, mark_a, chosen = row.text("chosen").rpartition(dialogues.ASSISTANT)
        prompt_b, mark_b, rejected = row.text("rejected").rpartition(dialogues.ASSISTANT)
        if not (mark_a and mark_b) or dialogues.HUMAN in chosen or dialogues.HUMAN in rejected:
            yield Drop(line=row.line, reason=NO_REPLY)
        elif prompt_a != prompt_b:
            yield Drop(line=row.line, reason=DIFFERENT_PROMPTS)
        elif not dialogues.is_transcript(prompt_a):
            yield Drop(line=row.line, reason=dialogues.NOT_USER_LAST)
        else:
            yield _pair(row, dialogues.transcript_messages(prompt_a), chosen.strip(), rejected.strip())


# TRL -----------------------------------------------------------------------------------------------------------------


def _detects_trl(fields: Mapping[str, Any]) -> bool:
    return "chosen" in fields and "rejected" in fields


def _read_trl(rows: Iterable[Row]) -> Iterator[Comparison | Drop]:
    """``prompt``, ``chosen`` and ``rejected``: strings or message lists. Without ``prompt``, what both share."""
    for row in rows:
        chosen, rejected = row.require("chosen"), row.require("rejected")
        if isinstance(chosen, str) and isinstance(rejected, str):
            yield _trl_strings(row, chosen, rejected)
            continue
        for wanted, kind in ((str, "a string"), (list, "a list of messages")):
            if isinstance(chosen, wanted) and not isinstance(rejected, wanted):
                raise row.error(f"expected {kind}, as 'chosen' is one, found {json_type(rejected)}", field="rejected")
        yield _trl_messages(
            row,
            dialogues.message_list(row, "chosen", chosen),
            dialogues.message_list(row, "rejected", rejected),
        )


def _trl_strings(row: Row, chosen: str, rejected: str) -> Comparison | Drop:
    if "prompt" in row.fields:
        return _pair(row, dialogues.prompt_messages(row, "prompt"), chosen, rejected)
    if dialogues.is_transcript(chosen):
        raise row.error("a transcript among rows that are none", field="chosen", fix="keep one format per file")
    shared = _shared_words(chosen, rejected)
    messages = (Message(role="user", content=chosen[:shared].strip()),)
    if not messages[0].content:
        return Drop(line=row.line, reason=DIFFERENT_PROMPTS)
    return _pair(row, messages, chosen[shared:].strip(), rejected[shared:].strip())


def _shared_words(a: str, b: str) -> int:
    """Length of the shared prefix, cut back to where a word begins in both (TRL cuts inside words)."""
    n = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    while n and not a[n - 1].isspace() and not (_boundary(a, n) and _boundary(b, n)):
        n -= 1
    return n


def _boundary(text: str, n: int) -> bool:
    return n >= len(text) or text[n].isspace()


def _trl_messages(row: Row, chosen: tuple[Message, ...], rejected: tuple[Message, ...]) -> Comparison | Drop:
    ends = [messages[-1] if messages else None for messages in (chosen, rejected)]
    replies = [end.content for end in ends if end is not None and end.role == "assistant"]
    if len(replies) != 2:
        return Drop(line=row.line, reason=NO_REPLY)
    context = chosen[:-1]
    if context != rejected[:-1]:
        return Drop(line=row.line, reason=DIFFERENT_PROMPTS)
    if "prompt" in row.fields:
        prompt = dialogues.prompt_messages(row, "prompt")
        # Some files repeat the prompt inside both message lists; anything else there is another conversation.
        if context and context[-len(prompt) :] != prompt:
            return Drop(line=row.line, reason=DIFFERENT_PROMPTS)
        context = context or prompt
    return _pair(row, context, replies[0], replies[1])


def _pair(row: Row, messages: tuple[Message, ...], chosen: str, rejected: str) -> Comparison | Drop:
    problem = dialogues.prompt_problem(messages)
    if problem is None and not (chosen.strip() and rejected.strip()):
        problem = dialogues.EMPTY_REPLY
    if problem is not None:
        return Drop(line=row.line, reason=problem)
    prompt = dialogues.make_prompt(row, messages)
    stem = row.path.name.removesuffix(".gz").removesuffix(".jsonl")
    name = f"{stem}:{row.line}"
    return Comparison(
        id=name,
        prompt=prompt,
        responses=(
            dialogues.given_response(prompt, f"{name}/chosen", chosen),
            dialogues.given_response(prompt, f"{name}/rejected", rejected),
        ),
        judgement=Choice(best=0),
        shown_order=(),
        source=stem,
    )


FORMATS: tuple[Format, ...] = (
    Format(name="candor", fields="id, prompt, responses, judgement", detects=_detects_candor, read=_read_candor),
    Format(name="hh", fields="chosen, rejected as Human/Assistant transcripts", detects=_detects_hh, read=_read_hh),
    Format(name="trl", fields="prompt (optional), chosen, rejected", detects=_detects_trl, read=_read_trl),
)
"""In order: an earlier format takes a row that a later one would take too."""
