"""The user's own prompts and demonstrations, from files of any kind that comparisons are read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from candor.jsonl import Drop, Row, lines_by_reason, nothing_left
from candor.preferences import dialogues
from candor.preferences.containers import read_source_rows
from candor.preferences.formats import is_comparison, read_comparisons
from candor.records import Demonstration, Prompt

REPEATED_PROMPT = "the prompt was already read"
NO_ASSISTANT = "no message of the assistant"


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptFile:
    """``dropped`` gives, by reason, the lines that gave no prompt."""

    prompts: tuple[Prompt, ...]
    rows: int
    dropped: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class DemonstrationFile:
    """``dropped`` gives, by reason, the lines that gave no demonstration."""

    demonstrations: tuple[Demonstration, ...]
    rows: int
    dropped: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def read_prompts(path: str | Path) -> PromptFile:
    """Returns the distinct prompts of a file, in the order of their first appearance, and what was dropped.

    A row is ``{"prompt": string | transcript | messages | a Candor prompt, "claim"?, "tags"?, "id"?}`` or
    ``{"messages": [...], ...}`` (a reply at its end is left off). A file of comparisons in any known format gives the
    prompts of its comparisons, repeated ones once. Raises InputError with file, line and field as
    :func:`~candor.preferences.formats.read_comparisons` does, and where one id stands for two prompts.
    """
    path = Path(path)
    rows = list(read_source_rows(path))
    if is_comparison(rows[0].fields):
        return _prompts_of_comparisons(path)
    prompts: dict[str, Prompt] = {}
    drops: list[Drop] = []
    for row in rows:
        prompt = _prompt(row)
        problem = dialogues.prompt_problem(prompt.messages)
        if problem is None and prompt.id in prompts:
            if prompts[prompt.id] != prompt:
                raise row.error(f"the id '{prompt.id}' already stands for another prompt", field="id")
            problem = REPEATED_PROMPT
        if problem is not None:
            drops.append(Drop(line=row.line, reason=problem))
        else:
            prompts[prompt.id] = prompt
    if not prompts:
        raise nothing_left(path, "prompt", drops)
    return PromptFile(prompts=tuple(prompts.values()), rows=len(rows), dropped=lines_by_reason(drops))


def read_demonstrations(path: str | Path) -> DemonstrationFile:
    """Returns the prompts of a file with the reply that was written for each, and what was dropped.

    A row is ``{"prompt": as for read_prompts, "reply" or "completion": string | messages}`` or ``{"messages": [...]}``,
    where the last message of the assistant is the reply and what follows it is left off. Raises InputError as
    :func:`read_prompts` does.
    """
    path = Path(path)
    rows = list(read_source_rows(path))
    items = [_demonstration(row) for row in rows]
    found = tuple(item for item in items if isinstance(item, Demonstration))
    drops = [item for item in items if isinstance(item, Drop)]
    if not found:
        raise nothing_left(path, "demonstration", drops)
    return DemonstrationFile(demonstrations=found, rows=len(rows), dropped=lines_by_reason(drops))


def _prompts_of_comparisons(path: Path) -> PromptFile:
    report = read_comparisons(path)
    prompts: dict[str, Prompt] = {}
    for comparison in report.comparisons:
        prompts.setdefault(comparison.prompt.id, comparison.prompt)
    return PromptFile(prompts=tuple(prompts.values()), rows=report.rows, dropped=report.dropped)


def _prompt(row: Row) -> Prompt:
    given = row.fields.get("id", "")
    prompt_id = str(given) if isinstance(given, int) else row.text("id") if "id" in row.fields else ""
    if "prompt" not in row.fields and "messages" not in row.fields:
        raise row.error("the field is missing", field="prompt", fix="a row has 'prompt' or 'messages'")
    if "prompt" in row.fields:
        if isinstance(row.fields["prompt"], dict):
            return dialogues.decode(row, "prompt", Prompt)
        return dialogues.make_prompt(row, dialogues.prompt_messages(row, "prompt"), prompt_id=prompt_id)
    messages = dialogues.message_list(row, "messages", row.fields["messages"])
    waiting = messages[:-1] if messages and messages[-1].role == "assistant" else messages
    return dialogues.make_prompt(row, waiting, prompt_id=prompt_id)


def _demonstration(row: Row) -> Demonstration | Drop:
    if "chosen" in row.fields and "reply" not in row.fields and "completion" not in row.fields:
        fix = "pass this file as comparisons, or write the replies to imitate into a field 'reply'"
        raise row.error("comparisons are not demonstrations", field="chosen", fix=fix)
    if "prompt" in row.fields:
        prompt, reply = _prompt(row), _reply(row)
    else:
        messages = dialogues.message_list(row, "messages", row.require("messages"))
        last = max((i for i, m in enumerate(messages) if m.role == "assistant"), default=None)
        if last is None:
            return Drop(line=row.line, reason=NO_ASSISTANT)
        prompt, reply = dialogues.make_prompt(row, messages[:last]), messages[last].content
    problem = dialogues.prompt_problem(prompt.messages)
    if problem is None and not reply.strip():
        problem = dialogues.EMPTY_REPLY
    return Demonstration(prompt=prompt, reply=reply) if problem is None else Drop(line=row.line, reason=problem)


def _reply(row: Row) -> str:
    if "reply" not in row.fields and "completion" not in row.fields:
        raise row.error("the field is missing", field="reply", fix="a row has 'reply' or 'completion' beside 'prompt'")
    name = "reply" if "reply" in row.fields else "completion"
    value = row.fields[name]
    if isinstance(value, str):
        return value
    messages = dialogues.message_list(row, name, value)
    if len(messages) != 1 or messages[0].role != "assistant":
        raise row.error("expected exactly one message, the assistant's", field=name)
    return messages[0].content
