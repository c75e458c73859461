"""Comparisons to files: Candor's own rows without loss, or TRL's pairs with columns for what a pair alone cannot hold.

TRL reads ``prompt``, ``chosen``, ``rejected`` (and ``margin``, which stays 0: a margin is a choice about training).
Beside them stand ``annotator``, ``strength``, ``seconds``, ``at``, ``shown_first``, the two policies, ``comparison_id``
and ``weight``, where they are known, and ``claim`` and ``tags`` of the prompt: Candor reads them back, TRL passes over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal, get_args

from candor.errors import InputError
from candor.jsonl import write_rows
from candor.preferences import dialogues
from candor.preferences.pairing import pair_comparisons
from candor.records import Choice, Comparison, Message, Pair, to_json
from candor.storage import replacing_file, writing

Target = Literal["trl", "trl-chat", "candor"]
TARGETS: tuple[Target, ...] = get_args(Target)
ENDINGS = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet")

NOT_PLAIN = "the prompt is no plain text: write trl-chat"
BATCH = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """``rows`` is how many rows the file has; ``dropped`` counts, by reason, what could not be written.

    For TRL those are pairs of responses that give no row: ties, both bad, identical responses, and prompts that are no
    plain text.
    """

    rows: int
    comparisons: int
    dropped: Mapping[str, int] = field(default_factory=dict)


def write_comparisons(path: str | Path, comparisons: Iterable[Comparison], *, to: Target = "candor") -> int:
    """Writes comparisons as :func:`convert_comparisons` does and returns the number of rows."""
    return convert_comparisons(path, comparisons, to=to).rows


def convert_comparisons(path: str | Path, comparisons: Iterable[Comparison], *, to: Target = "candor") -> Written:
    """Writes comparisons and returns how many there were, the number of rows and what could not be written.

    ``candor`` keeps everything. ``trl`` (prompt and replies as strings) and ``trl-chat`` (as messages) hold pairs: a
    ranking becomes its pairs, ties and "both bad" give none. The file is JSON lines, compressed where its name ends in
    ``.gz`` or ``.zst``, or Parquet where it ends in ``.parquet``. Atomic: it appears when it is complete. Raises
    InputError for another ending and for text that Parquet cannot hold, StorageError where the disk does not let it.
    """
    path = Path(path)
    kind = writable(path)
    counts = _Counts()
    rows = _own_rows(comparisons, counts) if to == "candor" else _pair_rows(comparisons, counts, to == "trl-chat")
    written = _write_parquet(path, rows, to) if kind == ".parquet" else write_rows(path, rows)
    return Written(rows=written, comparisons=counts.comparisons, dropped=dict(counts.dropped))


def writable(path: Path) -> str:
    """Returns the ending that says how a file is written. Raises InputError for one that is not known."""
    found = next((ending for ending in ENDINGS if path.name.endswith(ending)), None)
    if found is None:
        raise InputError("cannot tell how to write this", where=str(path), fix=f"end the name in {', '.join(ENDINGS)}")
    return found


@dataclass(slots=True)
class _Counts:
    comparisons: int = 0
    dropped: Counter[str] = field(default_factory=Counter)


def _own_rows(comparisons: Iterable[Comparison], counts: _Counts) -> Iterator[Mapping[str, Any]]:
    for comparison in comparisons:
        counts.comparisons += 1
        yield to_json(comparison)


def _pair_rows(comparisons: Iterable[Comparison], counts: _Counts, chat: bool) -> Iterator[Mapping[str, Any]]:
    for comparison in comparisons:
        counts.comparisons += 1
        report = pair_comparisons([comparison])
        counts.dropped.update(report.dropped)
        for pair in report.pairs:
            row = _pair_row(comparison, pair, chat)
            if row is None:
                counts.dropped[NOT_PLAIN] += 1
            else:
                yield row


def _pair_row(comparison: Comparison, pair: Pair, chat: bool) -> dict[str, Any] | None:
    """A pair as TRL has it, then what else is known; None where a plain prompt would not be read as what it was."""
    messages = comparison.prompt.messages
    if chat:
        texts: dict[str, Any] = {
            "prompt": [{"role": m.role, "content": m.content} for m in messages],
            "chosen": [{"role": "assistant", "content": pair.chosen.text}],
            "rejected": [{"role": "assistant", "content": pair.rejected.text}],
        }
    else:
        prompt = plain_prompt(messages)
        if prompt is None:
            return None
        texts = {"prompt": prompt, "chosen": pair.chosen.text, "rejected": pair.rejected.text}
    row = {
        **texts,
        "margin": pair.margin,
        "weight": pair.weight,
        "comparison_id": comparison.id,
        "annotator": comparison.annotator,
        "strength": comparison.judgement.strength if isinstance(comparison.judgement, Choice) else None,
        "seconds": comparison.seconds,
        "at": comparison.at,
        "shown_first": _shown_first(comparison, pair),
        "chosen_policy": pair.chosen.policy,
        "rejected_policy": pair.rejected.policy,
        "claim": to_json(comparison.prompt.claim),
        "tags": dict(comparison.prompt.tags),
    }
    return {name: value for name, value in row.items() if value not in (None, "", {})} | texts


def plain_prompt(messages: Sequence[Message]) -> str | None:
    """Returns one user message as it is, several as a transcript; None where that would not be read back as it was."""
    if len(messages) == 1 and messages[0].role == "user" and not dialogues.is_transcript(messages[0].content):
        return messages[0].content
    if not all(m.role in ("user", "assistant") for m in messages):
        return None
    text = dialogues.transcript(messages)
    return text if dialogues.is_transcript(text) and dialogues.transcript_messages(text) == tuple(messages) else None


def _shown_first(comparison: Comparison, pair: Pair) -> str:
    for index in comparison.shown_order:
        response = comparison.responses[index]
        if response is pair.chosen or response is pair.rejected:
            return "chosen" if response is pair.chosen else "rejected"
    return ""


# Parquet -------------------------------------------------------------------------------------------------------------


def _write_parquet(path: Path, rows: Iterator[Mapping[str, Any]], to: Target) -> int:
    import pyarrow as pa
    from pyarrow import parquet

    schema, count = _schema(to), 0
    with writing(path), replacing_file(path) as unfinished, parquet.ParquetWriter(unfinished, schema) as writer:
        while batch := list(islice(rows, BATCH)):
            try:
                table = pa.Table.from_pylist([_for_columns(row) for row in batch], schema=schema)
            except (pa.ArrowException, UnicodeEncodeError, OverflowError) as error:
                where = f"{path}, rows {count + 1} to {count + len(batch)}"
                fix = "write .jsonl, which holds half a surrogate pair and any number"
                what = f"a value that Parquet cannot hold: {' '.join(str(error).split())[:300]}"
                raise InputError(what, where=where, fix=fix) from error
            writer.write_table(table)
            count += len(batch)
    return count


def _for_columns(row: Mapping[str, Any]) -> dict[str, Any]:
    """Mappings as lists of pairs, as columns have them."""
    row = dict(row)
    if isinstance(row.get("tags"), dict):
        row["tags"] = list(row["tags"].items())
    if isinstance(row.get("prompt"), dict):
        row["prompt"] = {**row["prompt"], "tags": list(row["prompt"]["tags"].items())}
    return row


def _schema(to: Target) -> Any:
    import pyarrow as pa

    text, real, whole = pa.string(), pa.float64(), pa.int64()
    messages = pa.list_(pa.struct({"role": text, "content": text}))
    claim = pa.struct({"question": text, "truth": text, "asserted": text, "stance": text, "strength": whole})
    tags = pa.map_(text, text)
    if to == "candor":
        response = {"id": text, "prompt_id": text, "text": text, "token_ids": pa.list_(whole)}
        response |= {"logprobs": pa.list_(real), "policy": text, "sampling": text, "stop_reason": text}
        judgement = {"best": whole, "strength": real, "tie": pa.bool_(), "both_bad": pa.bool_()}
        judgement |= {"order": pa.list_(pa.list_(whole)), "scores": pa.list_(real)}
        fields: dict[str, Any] = {
            "id": text,
            "prompt": pa.struct({"id": text, "messages": messages, "claim": claim, "tags": tags}),
            "responses": pa.list_(pa.struct(response)),
            "judgement": pa.struct(judgement),
            "shown_order": pa.list_(whole),
            "annotator": text,
            "seconds": real,
            "at": text,
            "source": text,
        }
        return pa.schema(fields)
    content = messages if to == "trl-chat" else text
    fields = {"prompt": content, "chosen": content, "rejected": content, "margin": real, "weight": real}
    fields |= {"comparison_id": text, "annotator": text, "strength": real, "seconds": real, "at": text}
    fields |= {"shown_first": text, "chosen_policy": text, "rejected_policy": text, "claim": claim, "tags": tags}
    return pa.schema(fields)
