"""TRL: pairs as strings or messages, with the prompt or without it, and completions that were labelled one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from candor.jsonl import Drop, Row, json_type
from candor.preferences import dialogues
from candor.preferences.formats.as_rows import CLAIM, MESSAGES, PAIRS, REAL, TEXT, Line, Unwritten, Writer, told
from candor.preferences.formats.base import (
    ABSENT,
    DIFFERENT_PROMPTS,
    NO_REPLY,
    Format,
    Groups,
    Item,
    compared,
    each,
    has,
    label,
    moment,
    number_or_none,
    pair,
    side,
)
from candor.preferences.pairing import pair_comparisons
from candor.records import Choice, Comparison, Judgement, Message, Pair, Ratings, to_json

NOT_PLAIN = "the prompt is no plain text: write trl-chat"


def read_pair(row: Row) -> Item:
    """``prompt``, ``chosen`` and ``rejected``: strings or message lists. Without ``prompt``, what both share."""
    found = split_pair(row)
    if isinstance(found, Drop):
        return found
    return pair(row, *found, **_extras(row))


def split_pair(row: Row) -> tuple[tuple[Message, ...], str, str] | Drop:
    """Returns the prompt's messages, the chosen and the rejected text of a row, or why there are none.

    Raises InputError where the two replies are not of one kind.
    """
    chosen, rejected = row.require("chosen"), row.require("rejected")
    if isinstance(chosen, str) and isinstance(rejected, str):
        return _strings(row, chosen, rejected)
    for wanted, kind in ((str, "a string"), (list, "a list of messages")):
        if isinstance(chosen, wanted) and not isinstance(rejected, wanted):
            raise row.error(f"expected {kind}, as 'chosen' is one, found {json_type(rejected)}", field="rejected")
    return _messages(
        row, dialogues.message_list(row, "chosen", chosen), dialogues.message_list(row, "rejected", rejected)
    )


def _strings(row: Row, chosen: str, rejected: str) -> tuple[tuple[Message, ...], str, str] | Drop:
    if row.fields.get("prompt") is not None:
        return dialogues.prompt_messages(row, "prompt"), chosen, rejected
    if dialogues.is_transcript(chosen):
        raise row.error("a transcript among rows that are none", field="chosen", fix="keep one format per file")
    shared = shared_words(chosen, rejected)
    messages = (Message(role="user", content=chosen[:shared].strip()),)
    if not messages[0].content:
        return Drop(line=row.line, reason=DIFFERENT_PROMPTS)
    return messages, chosen[shared:].strip(), rejected[shared:].strip()


def shared_words(a: str, b: str) -> int:
    """Length of the shared prefix, cut back to where a word begins in both (TRL cuts inside words)."""
    n, over = 0, min(len(a), len(b)) + 1
    while over - n > 1:  # by halves: texts may be long
        middle = (n + over) // 2
        n, over = (middle, over) if a[n:middle] == b[n:middle] else (n, middle)
    while n and not a[n - 1].isspace() and not (_boundary(a, n) and _boundary(b, n)):
        n -= 1
    return n


def _boundary(text: str, n: int) -> bool:
    return n >= len(text) or text[n].isspace()


def _messages(
    row: Row, chosen: tuple[Message, ...], rejected: tuple[Message, ...]
) -> tuple[tuple[Message, ...], str, str] | Drop:
    ends = [messages[-1] if messages else None for messages in (chosen, rejected)]
    replies = [end.content for end in ends if end is not None and end.role == "assistant"]
    if len(replies) != 2:
        return Drop(line=row.line, reason=NO_REPLY)
    context = chosen[:-1]
    if context != rejected[:-1]:
        return Drop(line=row.line, reason=DIFFERENT_PROMPTS)
    if row.fields.get("prompt") is not None:
        prompt = dialogues.prompt_messages(row, "prompt")
        # Some files repeat the prompt inside both message lists; anything else there is another conversation.
        if context and context[-len(prompt) :] != prompt:
            return Drop(line=row.line, reason=DIFFERENT_PROMPTS)
        context = context or prompt
    return context, replies[0], replies[1]


def _extras(row: Row) -> dict[str, Any]:
    """What else a row may know; nothing where it is a plain TRL row, which has to be quick."""
    if len(row.fields) <= 3:
        return {}
    judgement: Judgement | None = None
    order: tuple[int, ...] = ()
    strength = number_or_none(row, "strength")
    if strength is not None:
        judgement = Choice(best=0, strength=strength)
    if row.fields.get("shown_first") not in ABSENT:
        first = side(row, "shown_first", {"chosen": 0, "rejected": 1})
        order = (first, 1 - first)
    comparison_id = label(row, "comparison_id")
    if comparison_id and number_or_none(row, "weight") not in (None, 1.0):
        comparison_id = f"{comparison_id}/{row.line}"  # one of the pairs of a ranking, which are comparisons now
    return {
        "judgement": judgement,
        "comparison_id": comparison_id,
        "policies": policies(row),
        "annotator": label(row, "annotator"),
        "seconds": number_or_none(row, "seconds"),
        "at": moment(row, "at"),
        "shown_order": order,
    }


def _policy(row: Row, which: str) -> str:
    return label(row, f"{which}_policy", f"{which}_model", f"{which}-model", f"model_{which}")


def policies(row: Row) -> tuple[str, str]:
    """The models behind the chosen and the rejected reply, by the names that such columns go under."""
    return _policy(row, "chosen"), _policy(row, "rejected")


def is_pair(fields: Mapping[str, Any]) -> bool:
    """Whether a row has a chosen and a rejected reply."""
    return "chosen" in fields and "rejected" in fields


# TRL reads prompt, chosen, rejected (and margin, which stays 0: a margin is a choice about training), and passes over
# the columns beside them, which Candor reads back.


def _write(comparisons: Iterable[Comparison], *, chat: bool) -> Iterator[Line]:
    for comparison in comparisons:
        report = pair_comparisons([comparison])
        for reason, count in report.dropped.items():
            yield from [Unwritten(reason)] * count
        for found in report.pairs:
            row = _pair_row(comparison, found, chat)
            yield Unwritten(NOT_PLAIN) if row is None else row


def _pair_row(comparison: Comparison, found: Pair, chat: bool) -> dict[str, Any] | None:
    """A pair as TRL has it, then what else is known; None where a plain prompt would not be read as what it was."""
    messages = comparison.prompt.messages
    if chat:
        texts: dict[str, Any] = {
            "prompt": told(messages),
            "chosen": [{"role": "assistant", "content": found.chosen.text}],
            "rejected": [{"role": "assistant", "content": found.rejected.text}],
        }
    else:
        prompt = dialogues.plain_prompt(messages)
        if prompt is None:
            return None
        texts = {"prompt": prompt, "chosen": found.chosen.text, "rejected": found.rejected.text}
    row = {
        **texts,
        "margin": found.margin,
        "weight": found.weight,
        "comparison_id": comparison.id,
        "annotator": comparison.annotator,
        "strength": comparison.judgement.strength if isinstance(comparison.judgement, Choice) else None,
        "seconds": comparison.seconds,
        "at": comparison.at,
        "shown_first": _shown_first(comparison, found),
        "chosen_policy": found.chosen.policy,
        "rejected_policy": found.rejected.policy,
        "claim": to_json(comparison.prompt.claim),
        "tags": dict(comparison.prompt.tags),
    }
    return {name: value for name, value in row.items() if value not in (None, "", {})} | texts


def _shown_first(comparison: Comparison, found: Pair) -> str:
    for index in comparison.shown_order:
        response = comparison.responses[index]
        if response is found.chosen or response is found.rejected:
            return "chosen" if response is found.chosen else "rejected"
    return ""


def _writer(content: Any, *, chat: bool) -> Writer:
    columns = {"prompt": content, "chosen": content, "rejected": content, "margin": REAL, "weight": REAL}
    columns |= {"comparison_id": TEXT, "annotator": TEXT, "strength": REAL, "seconds": REAL, "at": TEXT}
    columns |= {"shown_first": TEXT, "chosen_policy": TEXT, "rejected_policy": TEXT, "claim": CLAIM, "tags": PAIRS}
    return Writer(rows=partial(_write, chat=chat), columns=columns)


CHAT = _writer(MESSAGES, chat=True)
"""The same with lists of messages, which hold every prompt."""

TRL = Format(
    name="trl",
    fields="prompt (optional), chosen, rejected",
    detects=is_pair,
    read=read_pair,
    writer=_writer(TEXT, chat=False),
)


# Completions with a label each ---------------------------------------------------------------------------------------


def _completion(row: Row) -> tuple[str, bool]:
    value = row.require("completion")
    if isinstance(value, str):
        text = value
    else:
        messages = dialogues.message_list(row, "completion", value)
        if len(messages) != 1 or messages[0].role != "assistant":
            raise row.error("expected exactly one message, the assistant's", field="completion")
        text = messages[0].content
    good = row.require("label")
    if row.untyped and isinstance(good, str) and good.strip().lower() in ("true", "false", "1", "0"):
        good = good.strip().lower() in ("true", "1")
    if not isinstance(good, bool):
        raise row.error(f"expected true or false, found {json_type(good)}", field="label")
    return text, good


def _join_labelled(rows: Sequence[Row]) -> Item:
    found = [_completion(row) for row in rows]
    return compared(
        rows[0],
        dialogues.prompt_messages(rows[0], "prompt"),
        [text for text, _ in found],
        Ratings(scores=tuple(float(good) for _, good in found)),
        policies=[label(row, "model", "policy") for row in rows],
        annotator=label(rows[0], "annotator"),
    )


def _labelled_key(row: Row) -> tuple[object, str]:
    return dialogues.prompt_messages(row, "prompt"), label(row, "annotator")


UNPAIRED = Format(
    name="trl-unpaired",
    fields="prompt, completion, label (true or false)",
    detects=lambda fields: has(fields, "prompt", "completion", "label"),
    read=Groups(key=_labelled_key, check=_completion, join=lambda rows: each(rows, _join_labelled)),
)
