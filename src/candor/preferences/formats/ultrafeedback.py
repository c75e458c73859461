"""UltraFeedback in its three forms: the original, binarized, and as distilabel writes it.

The original's scores on four aspects come from one judge in one pass: they are no judgements of their own, and only the
overall score is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from candor.jsonl import Drop, Row, json_type
from candor.preferences import dialogues
from candor.preferences.formats import trl
from candor.preferences.formats.as_rows import (
    CLAIM,
    FORM,
    MESSAGES,
    PAIRS,
    REAL,
    TEXT,
    Line,
    Unwritten,
    Writer,
    each_alone,
    filled,
    scores,
    told,
)
from candor.preferences.formats.base import ABSENT, Format, Item, compared, has, label, labels, number, pair
from candor.records import Comparison, Message, Ratings, to_json

NOT_RATED = "a response has no score"


def _read_original(row: Row) -> Item:
    completions = row.objects("completions")
    scores = []
    for completion in completions:
        name = "overall_score" if completion.fields.get("overall_score") not in ABSENT else "fine-grained_score"
        if completion.fields.get(name) in ABSENT:
            return Drop(line=row.line, reason=NOT_RATED)
        scores.append(number(completion, name))
    return compared(
        row,
        dialogues.prompt_messages(row, "instruction"),
        [completion.text("response") for completion in completions],
        Ratings(scores=tuple(scores)),
        policies=[label(completion, "model") for completion in completions],
        tags=labels(row, "source"),
    )


def _write_original(comparison: Comparison) -> Iterator[Line]:
    given, prompt = scores(comparison), dialogues.plain_prompt(comparison.prompt.messages)
    if isinstance(given, Unwritten) or prompt is None:
        yield given if isinstance(given, Unwritten) else Unwritten(FORM)
        return
    completions = [
        filled({"model": response.policy, "response": response.text, "overall_score": score})
        for response, score in zip(comparison.responses, given, strict=True)
    ]
    source = comparison.prompt.tags.get("source")
    yield filled({"source": source, "instruction": prompt, "completions": completions})


ORIGINAL = Format(
    name="ultrafeedback",
    fields="instruction, completions (response, overall_score)",
    detects=lambda fields: has(fields, "instruction", "completions"),
    read=_read_original,
    writer=Writer(
        rows=each_alone(_write_original),
        columns={
            "source": TEXT,
            "instruction": TEXT,
            "completions": [{"model": TEXT, "response": TEXT, "overall_score": REAL}],
        },
    ),
)

_SCORES = (
    ("score_chosen", "score_rejected"),
    ("chosen_score", "rejected_score"),
    ("chosen_rating", "rejected_rating"),
    ("chosen-rating", "rejected-rating"),
)


def _score_columns(fields: Mapping[str, Any]) -> tuple[str, str] | None:
    return next((names for names in _SCORES if has(fields, *names)), None)


def _read_binarized(row: Row) -> Item:
    names = _score_columns(row.fields)
    if names is None:
        row.require(_SCORES[0][0])
        raise row.error("the field is missing", field=_SCORES[0][1])
    if any(row.fields[name] in ABSENT for name in names):
        return Drop(line=row.line, reason=NOT_RATED)
    scores = Ratings(scores=(number(row, names[0]), number(row, names[1])))
    found = trl.split_pair(row)
    if isinstance(found, Drop):
        return found
    return pair(row, *found, judgement=scores, policies=trl.policies(row))


MORE_THAN_TWO = "ratings of more than two responses"


def _write_binarized(comparison: Comparison) -> Iterator[Line]:
    """The conversation with either reply, the one with the higher score as ``chosen``; equal scores stay equal."""
    given, messages = scores(comparison), comparison.prompt.messages
    if isinstance(given, Unwritten) or len(given) != 2:
        yield given if isinstance(given, Unwritten) else Unwritten(MORE_THAN_TWO)
        return
    better = int(given[1] > given[0])
    chosen, rejected = comparison.responses[better], comparison.responses[1 - better]
    asked = messages[-1].content
    if dialogues.is_transcript(asked):  # it would be read as several turns
        yield Unwritten(FORM)
        return
    yield filled(
        {
            "prompt": asked,
            "chosen": told((*messages, Message(role="assistant", content=chosen.text))),
            "rejected": told((*messages, Message(role="assistant", content=rejected.text))),
            "score_chosen": given[better],
            "score_rejected": given[1 - better],
            "chosen_model": chosen.policy,
            "rejected_model": rejected.policy,
            "claim": to_json(comparison.prompt.claim),
            "tags": dict(comparison.prompt.tags),
        }
    )


_BINARIZED_COLUMNS = {
    "prompt": TEXT,
    "chosen": MESSAGES,
    "rejected": MESSAGES,
    "score_chosen": REAL,
    "score_rejected": REAL,
    "chosen_model": TEXT,
    "rejected_model": TEXT,
    "claim": CLAIM,
    "tags": PAIRS,
}

BINARIZED = Format(
    name="ultrafeedback-binarized",
    fields="prompt, chosen, rejected, score_chosen, score_rejected",
    detects=lambda fields: trl.is_pair(fields) and _score_columns(fields) is not None,
    read=_read_binarized,
    writer=Writer(rows=each_alone(_write_binarized), columns=_BINARIZED_COLUMNS),
)

_INSTRUCTIONS = ("instruction", "input", "prompt")
_MODELS = ("model_names", "generation_models", "generation_model")


def _read_distilabel(row: Row) -> Item:
    generations = row.require("generations")
    if not isinstance(generations, list):
        raise row.error(f"expected a list, found {json_type(generations)}", field="generations")
    texts = [_generation(row, index, entry) for index, entry in enumerate(generations)]
    field = "ratings" if "ratings" in row.fields else "rating"
    given = row.require(field)
    if not isinstance(given, list) or len(given) != len(texts):
        raise row.error(f"expected a list of {len(texts)} numbers, one per generation", field=field)
    if any(score is None for score in given):
        return Drop(line=row.line, reason=NOT_RATED)
    scores = [number(row.inner(field, {"score": score}, index), "score") for index, score in enumerate(given)]
    name = next((name for name in _INSTRUCTIONS if name in row.fields), _INSTRUCTIONS[0])
    messages = dialogues.prompt_messages(row, name)
    system = row.fields.get("system")
    if isinstance(system, str) and system.strip():
        messages = (Message(role="system", content=system), *messages)
    models = next((row.fields[n] for n in _MODELS if n in row.fields), None)
    known = isinstance(models, list) and len(models) == len(texts) and all(isinstance(m, str) for m in models)
    return compared(
        row,
        messages,
        texts,
        Ratings(scores=tuple(scores)),
        policies=list(models) if known and models is not None else (),
        annotator=label(row, "labelling_model"),
    )


def _generation(row: Row, index: int, entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    place = f"generations[{index}]"
    messages = dialogues.message_list(row, place, entry)
    if not messages or messages[-1].role != "assistant":
        raise row.error("expected a reply of the assistant", field=place)
    return messages[-1].content


def _write_distilabel(comparison: Comparison) -> Iterator[Line]:
    given, messages = scores(comparison), comparison.prompt.messages
    system = messages[0].content if messages[0].role == "system" and messages[0].content.strip() else None
    prompt = dialogues.plain_prompt(messages[1:] if system is not None else messages)
    if isinstance(given, Unwritten) or prompt is None:
        yield given if isinstance(given, Unwritten) else Unwritten(FORM)
        return
    yield filled(
        {
            "system": system,
            "instruction": prompt,
            "generations": [response.text for response in comparison.responses],
            "ratings": list(given),
            "model_names": [response.policy for response in comparison.responses],
            "labelling_model": comparison.annotator,
        }
    )


_DISTILABEL_COLUMNS = {
    "system": TEXT,
    "instruction": TEXT,
    "generations": [TEXT],
    "ratings": [REAL],
    "model_names": [TEXT],
    "labelling_model": TEXT,
}

DISTILABEL = Format(
    name="distilabel",
    fields="instruction, generations, ratings",
    detects=lambda fields: (
        isinstance(fields.get("generations"), list)
        and ("ratings" in fields or isinstance(fields.get("rating"), list))
        and any(name in fields for name in _INSTRUCTIONS)
    ),
    read=_read_distilabel,
    writer=Writer(rows=each_alone(_write_distilabel), columns=_DISTILABEL_COLUMNS),
)
