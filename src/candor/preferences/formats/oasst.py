"""OpenAssistant message trees: replies to one message that people ranked, nested in one row or spread over many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from candor.jsonl import Drop, Row
from candor.preferences.formats.as_rows import TEXT, TRUTH, WHOLE, Line, Unwritten, Writer, ranks, unreadable
from candor.preferences.formats.base import ABSENT, Format, Groups, Item, compared, has, label, labels, number, ranking
from candor.records import Comparison, Message, Role

NOT_RANKED = "a tree in which no two replies to one message were ranked"
DEPTH_LIMIT = 200
_ROLES: Mapping[str, Role] = {"prompter": "user", "assistant": "assistant", "system": "system"}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Node:
    """One message of a tree; ``rank`` is None where it was not ranked, and lower is better."""

    row: Row
    id: str
    parent: str
    message: Message
    rank: float | None
    model: str
    deleted: bool


def _node(row: Row, parent: str | None = None) -> _Node:
    role = row.text("role")
    if role not in _ROLES:
        known = ", ".join(_ROLES)
        raise row.error(f"unknown role '{role[:40]}'", field="role", fix=f"roles are {known}", reason="unknown role")
    return _Node(
        row=row,
        id=row.text("message_id"),
        parent=label(row, "parent_id") if parent is None else parent,
        message=Message(role=_ROLES[role], content=row.text("text")),
        rank=None if row.fields.get("rank") in ABSENT else number(row, "rank"),
        model=label(row, "model_name"),
        deleted=row.fields.get("deleted") is True,
    )


def _ranked(nodes: Sequence[_Node]) -> Iterator[tuple[Row, Item]]:
    """A comparison for every message with two or more ranked replies of the assistant, in the order of the rows."""
    by_id = {node.id: node for node in nodes}
    replies: dict[str, list[_Node]] = {}
    for node in nodes:
        if node.message.role == "assistant" and node.rank is not None and not node.deleted and node.parent in by_id:
            replies.setdefault(node.parent, []).append(node)
    for parent, siblings in replies.items():
        if len(siblings) < 2:
            continue
        first = siblings[0].row
        order = ranking(first, [float(node.rank or 0) for node in siblings], "rank", gaps=True)
        yield (
            first,
            compared(
                first,
                _path(by_id, parent),
                [node.message.content for node in siblings],
                order,
                part=f"/{parent}",
                policies=[node.model for node in siblings],
                tags=labels(first, "lang"),
            ),
        )


def _path(by_id: Mapping[str, _Node], end: str) -> tuple[Message, ...]:
    messages: list[Message] = []
    seen: set[str] = set()
    while end in by_id and end not in seen:  # a broken export may have a message among its own ancestors
        seen.add(end)
        messages.append(by_id[end].message)
        end = by_id[end].parent
    return tuple(reversed(messages))


def _join(rows: Sequence[Row]) -> Iterator[tuple[Row, Item]]:
    found = list(_ranked([_node(row) for row in rows]))
    yield from found or [(rows[0], Drop(line=rows[0].line, reason=NOT_RANKED))]


def _nodes(comparison: Comparison, tree: str) -> list[dict[str, Any]] | Unwritten:
    """The conversation as a chain of messages and under its last the ranked replies; a tree of its own."""
    problem, given = unreadable(comparison), ranks(comparison, start=0)
    if isinstance(given, Unwritten) or problem is not None:
        return given if isinstance(given, Unwritten) else Unwritten(problem or "")
    if len(comparison.prompt.messages) > DEPTH_LIMIT:
        return Unwritten(f"a conversation of more than {DEPTH_LIMIT} turns")
    names = {role: name for name, role in _ROLES.items()}
    language = comparison.prompt.tags.get("lang")
    found: list[dict[str, Any]] = []
    for place, message in enumerate(comparison.prompt.messages):
        above = f"{tree}.{place - 1}" if place else None
        node = {"message_id": f"{tree}.{place}", "parent_id": above, "text": message.content}
        found.append(node | {"role": names[message.role]})
    last = found[-1]["message_id"]
    for place, (response, rank) in enumerate(zip(comparison.responses, given, strict=True)):
        reply = {"message_id": f"{last}.{place}", "parent_id": last, "text": response.text, "role": "assistant"}
        found.append(reply | {"rank": rank, "model_name": response.policy or None})
    return [{**node, "lang": language, "message_tree_id": tree, "deleted": False} for node in found]


def _write_messages(comparisons: Iterable[Comparison]) -> Iterator[Line]:
    for tree, comparison in enumerate(comparisons, start=1):
        nodes = _nodes(comparison, str(tree))
        if isinstance(nodes, Unwritten):
            yield nodes
        else:
            yield from nodes


def _write_trees(comparisons: Iterable[Comparison]) -> Iterator[Line]:
    for tree, comparison in enumerate(comparisons, start=1):
        nodes = _nodes(comparison, str(tree))
        if isinstance(nodes, Unwritten):
            yield nodes
            continue
        trees = [{**node, "replies": []} for node in nodes]
        by_id = {node["message_id"]: node for node in trees}
        for node in trees[1:]:
            by_id[node["parent_id"]]["replies"].append(node)
        yield {"message_tree_id": str(tree), "prompt": trees[0]}


_COLUMNS = {
    "message_id": TEXT,
    "parent_id": TEXT,
    "text": TEXT,
    "role": TEXT,
    "lang": TEXT,
    "rank": WHOLE,
    "model_name": TEXT,
    "message_tree_id": TEXT,
    "deleted": TRUTH,
}

MESSAGES = Format(
    name="oasst",
    fields="message_id, parent_id, role, text, rank, message_tree_id",
    detects=lambda fields: has(fields, "message_id", "parent_id", "role", "text"),
    read=Groups(key=lambda row: row.text("message_tree_id"), check=_node, join=_join),
    writer=Writer(rows=_write_messages, columns=_COLUMNS),
)


def _read_tree(row: Row) -> Sequence[Item]:
    nodes: list[_Node] = []
    waiting: list[tuple[Row, str, int]] = [(row.inner("prompt", row.require("prompt")), "", 0)]
    while waiting:
        found, parent, depth = waiting.pop()
        node = _node(found, parent)
        nodes.append(node)
        replies = found.objects("replies") if found.fields.get("replies") is not None else []
        if replies and depth >= DEPTH_LIMIT:
            raise row.error(f"a tree of more than {DEPTH_LIMIT} turns", field="prompt")
        waiting.extend((reply, node.id, depth + 1) for reply in reversed(replies))
    return [item for _, item in _ranked(nodes)] or [Drop(line=row.line, reason=NOT_RANKED)]


def _detects_tree(fields: Mapping[str, Any]) -> bool:
    return has(fields, "message_tree_id", "prompt") and isinstance(fields["prompt"], Mapping)


TREES = Format(
    name="oasst-trees",
    fields="message_tree_id, prompt (message_id, role, text, replies)",
    detects=_detects_tree,
    read=_read_tree,
    writer=Writer(rows=_write_trees, columns=None),
)
