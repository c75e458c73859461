"""SHP, PKU-SafeRLHF and PRISM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from candor.jsonl import Drop, Row
from candor.preferences import dialogues
from candor.preferences.formats.as_rows import (
    FORM,
    TEXT,
    WHOLE,
    Line,
    Sided,
    Unwritten,
    Writer,
    each_alone,
    filled,
    preferred,
)
from candor.preferences.formats.base import (
    ABSENT,
    Format,
    Groups,
    Item,
    compared,
    has,
    label,
    labels,
    moment,
    number,
    number_or_none,
    whole,
)
from candor.records import Choice, Comparison, Message, Ratings


def _zero_or_one(row: Row, field: str) -> int:
    value = whole(row, field)
    if value not in (0, 1):
        raise row.error(f"expected 0 or 1, found {value}", field=field, reason="neither 0 nor 1")
    return value


# SHP: two comments on a post; labels is 1 where the first has more votes ---------------------------------------------


def _read_shp(row: Row) -> Item:
    better = 1 - _zero_or_one(row, "labels")
    ratio = number_or_none(row, "score_ratio")
    return compared(
        row,
        dialogues.prompt_messages(row, "history"),
        [row.text("human_ref_A"), row.text("human_ref_B")],
        Choice(best=better, strength=1.0 if ratio is None else ratio),
        tags=labels(row, "domain"),
    )


def _write_shp(comparison: Comparison) -> Iterator[Line]:
    """Without ``score_ratio``: that is a ratio of votes, and one person's strength is none."""
    history = dialogues.plain_prompt(comparison.prompt.messages)

    def row(sided: Sided, better: int, _: int) -> Line:
        if history is None:
            return Unwritten(FORM)
        return filled(
            {
                "domain": comparison.prompt.tags.get("domain"),
                "history": history,
                "human_ref_A": sided.text(sided.first),
                "human_ref_B": sided.text(sided.second),
                "labels": int(better == sided.first),
            }
        )

    return preferred(comparison, row)


SHP = Format(
    name="shp",
    fields="history, human_ref_A, human_ref_B, labels (1: A is better)",
    detects=lambda fields: has(fields, "history", "human_ref_A", "human_ref_B", "labels"),
    read=_read_shp,
    writer=Writer(
        rows=each_alone(_write_shp),
        columns={"domain": TEXT, "history": TEXT, "human_ref_A": TEXT, "human_ref_B": TEXT, "labels": WHOLE},
    ),
)


# PKU-SafeRLHF: which of two is more helpful (kept), and which is safer (another question, not kept) ------------------


def _read_safe(row: Row) -> Item:
    best = _zero_or_one(row, "better_response_id")
    return compared(
        row,
        dialogues.prompt_messages(row, "prompt"),
        [row.text("response_0"), row.text("response_1")],
        Choice(best=best),
        policies=[label(row, "response_0_source"), label(row, "response_1_source")],
        tags=labels(row, "prompt_source"),
    )


def _write_safe(comparison: Comparison) -> Iterator[Line]:
    """Without ``safer_response_id``: nobody was asked."""
    prompt = dialogues.plain_prompt(comparison.prompt.messages)

    def row(sided: Sided, better: int, _: int) -> Line:
        if prompt is None:
            return Unwritten(FORM)
        return filled(
            {
                "prompt": prompt,
                "response_0": sided.text(sided.first),
                "response_1": sided.text(sided.second),
                "prompt_source": comparison.prompt.tags.get("prompt_source"),
                "response_0_source": sided.policy(sided.first),
                "response_1_source": sided.policy(sided.second),
                "better_response_id": int(better == sided.second),
            }
        )

    return preferred(comparison, row)


_SAFE_COLUMNS = {
    "prompt": TEXT,
    "response_0": TEXT,
    "response_1": TEXT,
    "prompt_source": TEXT,
    "response_0_source": TEXT,
    "response_1_source": TEXT,
    "better_response_id": WHOLE,
}

SAFE_RLHF = Format(
    name="pku-saferlhf",
    fields="prompt, response_0, response_1, better_response_id",
    detects=lambda fields: has(fields, "prompt", "response_0", "response_1", "better_response_id"),
    read=_read_safe,
    writer=Writer(rows=each_alone(_write_safe), columns=_SAFE_COLUMNS),
)


# PRISM: a person talks to several models, scores every reply and goes on with the one that was chosen ----------------


@dataclass(frozen=True, kw_only=True, slots=True)
class _Scored:
    """One reply in one turn of a conversation."""

    row: Row
    turn: int
    asked: str
    reply: str
    model: str
    score: float | None
    chosen: bool


def _utterance(row: Row) -> _Scored:
    return _Scored(
        row=row,
        turn=whole(row, "turn"),
        asked=row.text("user_prompt"),
        reply=row.text("model_response"),
        model=label(row, "model_name"),
        score=number_or_none(row, "score"),
        chosen=_truth(row, "if_chosen"),
    )


def _truth(row: Row, field: str) -> bool:
    value = row.require(field)
    if row.untyped and isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if not isinstance(value, bool):
        raise row.error("expected true or false", field=field)
    return value


def _turns(row: Row, replies: Sequence[_Scored], **kept: str | None) -> list[tuple[Row, Item]]:
    """One comparison per turn with several replies; what came before it is the turns so far with the chosen replies."""
    by_turn: dict[int, list[_Scored]] = {}
    for reply in replies:
        by_turn.setdefault(reply.turn, []).append(reply)
    messages: tuple[Message, ...] = ()
    found: list[tuple[Row, Item]] = []
    for turn, given in sorted(by_turn.items()):
        messages = (*messages, Message(role="user", content=given[0].asked))
        scored = [reply for reply in given if reply.score is not None]
        if len(scored) > 1:
            item = compared(
                given[0].row,
                messages,
                [reply.reply for reply in scored],
                Ratings(scores=tuple(float(reply.score or 0) for reply in scored)),
                part=f"/turn{turn}",
                policies=[reply.model for reply in scored],
                annotator=label(row, "user_id"),
                at=kept.get("at"),
                tags=labels(row, "conversation_type", "conversation_id"),
            )
            found.append((given[0].row, item))
        chosen = next((reply for reply in given if reply.chosen), None)
        if chosen is None:
            break  # how the conversation went on is not known
        messages = (*messages, Message(role="assistant", content=chosen.reply))
    return found or [(row, Drop(line=row.line, reason="a conversation in which no turn has two scored replies"))]


PRISM_UTTERANCES = Format(
    name="prism",
    fields="conversation_id, user_id, turn, user_prompt, model_response, score, if_chosen",
    detects=lambda fields: has(fields, "conversation_id", "user_prompt", "model_response", "score", "if_chosen"),
    read=Groups(
        key=lambda row: row.text("conversation_id"),
        check=_utterance,
        join=lambda rows: _turns(rows[0], [_utterance(row) for row in rows]),
    ),
)


def _read_conversation(row: Row) -> Sequence[Item]:
    asked: dict[int, str] = {}
    replies: list[_Scored] = []
    for entry in row.objects("conversation_history"):
        turn, role, content = whole(entry, "turn"), entry.text("role"), entry.text("content")
        if role == "user":
            asked[turn] = content
            continue
        if turn not in asked:
            raise entry.error("a reply before the user's message of its turn", field="turn")
        score = None if entry.fields.get("score") in ABSENT else number(entry, "score")
        chosen = entry.fields.get("if_chosen") is True
        model = label(entry, "model_name")
        replies.append(
            _Scored(row=row, turn=turn, asked=asked[turn], reply=content, model=model, score=score, chosen=chosen)
        )
    return [item for _, item in _turns(row, replies, at=moment(row, "generated_datetime"))]


PRISM_CONVERSATIONS = Format(
    name="prism-conversations",
    fields="conversation_id, user_id, conversation_history (turn, role, content, score, if_chosen)",
    detects=lambda fields: has(fields, "conversation_id", "conversation_history"),
    read=_read_conversation,
)
