"""Items from files: rows with a prompt and its responses, or comparisons, whose answers are left behind."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from candor.collect.rows import FIELDS, new_item
from candor.errors import InputError
from candor.jsonl import Row
from candor.preferences import dialogues
from candor.preferences.containers import read_source_rows
from candor.preferences.formats import is_comparison, stream_comparisons
from candor.projects.items import RESPONSES, ItemKind, NewItem
from candor.projects.setup import Project
from candor.records import Completion, Prompt, to_json

READ = (*FIELDS, "id", "claim", "tags", "completions")


@dataclass(frozen=True, kw_only=True, slots=True)
class FileItems:
    """``dropped`` counts, by reason, the rows that gave no item; ``answers``: judgements that were left behind.

    ``ignored`` names the fields that say nothing to Candor.
    """

    items: tuple[NewItem, ...]
    rows: int
    answers: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()


def read_items(path: str | Path, project: Project, *, kind: ItemKind | None = None) -> FileItems:
    """The items of a file for a project, each once.

    A row is ``{"prompt": text | messages | record, "responses": [text | {"text", "policy"}], ...}`` with ``key``,
    ``kind``, ``gold``, ``hidden``, ``overlap``, ``batch`` and ``pool`` where it has them; or a comparison in any known
    format. Raises InputError, with file, line and field, where a row is malformed and where nothing fits the task.
    """
    first = next(iter(read_source_rows(path)))
    if is_comparison(first.fields) and not _own(first.fields):
        found = _of_comparisons(path, project, kind)
    else:
        found = _of_rows(path, project, kind)
    if not found.items:
        reasons = ", ".join(f"{count} x {reason}" for reason, count in found.dropped.items())
        fix = f"a {project.task} needs a prompt and {_wanted(project)} responses in a row"
        raise InputError(f"none of {found.rows} rows fits ({reasons})", where=str(path), fix=fix)
    return found


def content_key(prompt: Prompt, responses: tuple[Completion, ...]) -> str:
    """A key that the same prompt with the same responses has whenever it is imported."""
    text = json.dumps([to_json(prompt.messages), [response.text for response in responses]], sort_keys=True)
    return f"{prompt.id[:150]}:{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _own(fields: Mapping[str, Any]) -> bool:
    return "responses" in fields and "judgement" not in fields


def _of_rows(path: str | Path, project: Project, kind: ItemKind | None) -> FileItems:
    items: dict[str, NewItem] = {}
    dropped: Counter[str] = Counter()
    ignored: dict[str, None] = {}
    rows = 0
    for row in read_source_rows(path):
        rows += 1
        ignored |= {str(name): None for name, value in row.fields.items() if name not in READ and value is not None}
        item = _item(row, kind)
        reason = _misfit(project, item.responses)
        if reason is None and item.key in items:
            reason = "the same again"
        if reason is None:
            items[item.key] = item
        else:
            dropped[reason] += 1
    return FileItems(items=tuple(items.values()), rows=rows, dropped=dict(dropped), ignored=tuple(ignored))


def _item(row: Row, kind: ItemKind | None) -> NewItem:
    where = f"{row.path}, {row.unit} {row.line}"
    fields = {name: value for name, value in row.fields.items() if name in FIELDS and value is not None}
    if "responses" not in fields and row.fields.get("completions") is not None:
        fields["responses"] = row.fields["completions"]
    if "responses" not in fields:
        fix = "give responses, or let a run's policy write them: candor collect import --from-run"
        raise InputError("a prompt without responses", where=where, fix=fix)
    if isinstance(fields.get("prompt"), str | list):  # with the claim and the tags beside it, as in a file of prompts
        messages = dialogues.prompt_messages(row, "prompt")
        fields["prompt"] = to_json(dialogues.make_prompt(row, messages))
    if kind is not None:
        fields["kind"] = kind
    given = fields.get("key", row.fields.get("id"))
    item = new_item({**fields, "key": str(given) if given is not None else "-"}, where=where)
    if given is not None:
        return item
    key = content_key(item.prompt, item.responses)
    return new_item({**fields, "key": key}, where=where)


def _of_comparisons(path: str | Path, project: Project, kind: ItemKind | None) -> FileItems:
    if kind in ("gold", "calibration", "example"):
        fix = "rows with 'prompt', 'responses' and 'gold'"
        raise InputError(f"comparisons give no item of kind '{kind}'", where=str(path), fix=fix)
    stream = stream_comparisons(path)
    items: dict[str, NewItem] = {}
    dropped: Counter[str] = Counter()
    for numbered in stream:
        comparison = numbered.comparison
        reason = _misfit(project, comparison.responses)
        key = content_key(comparison.prompt, comparison.responses)
        if reason is None and key in items:
            reason = "the same again"
        if reason is not None:
            dropped[reason] += 1
            continue
        where = f"{path}, row {numbered.row}"
        items[key] = NewItem(key=key, prompt=comparison.prompt, responses=comparison.responses, where=where)
    for reason, found in stream.dropped.items():
        dropped[reason] += found.count
    return FileItems(items=tuple(items.values()), rows=stream.rows, answers=stream.kept, dropped=dict(dropped))


def _misfit(project: Project, responses: tuple[Completion, ...]) -> str | None:
    low, high = RESPONSES[project.task]
    if low <= len(responses) <= high:
        return None
    return f"{len(responses)} responses where a {project.task} needs {_wanted(project)}"


def _wanted(project: Project) -> str:
    low, high = RESPONSES[project.task]
    return str(low) if low == high else f"{low} to {high}"


def counted(reasons: Mapping[str, int]) -> Iterator[str]:
    """What was left out, a line each."""
    for reason, count in sorted(reasons.items(), key=lambda pair: -pair[1]):
        yield f"left out: {count:,} x {reason}"
