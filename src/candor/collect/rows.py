"""An item from a JSON row, as the API takes it and as files hold it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from candor.errors import InputError
from candor.projects.items import KINDS, NewItem, read_gold
from candor.records import ROLES, Completion, Message, Prompt

FIELDS = ("key", "kind", "prompt", "responses", "gold", "hidden", "overlap", "batch", "pool")


def new_item(row: Mapping[str, Any], *, where: str) -> NewItem:
    """An item from a row. ``prompt``: a text, messages, or a record of Candor's; ``responses``: texts or records.

    Raises InputError that names the field.
    """
    unknown = next((name for name in row if name not in FIELDS), None)
    if unknown is not None:
        raise InputError(
            "the field is not known", where=f"{where}, field '{unknown[:80]}'", fix=f"fields: {', '.join(FIELDS)}"
        )
    key = row.get("key")
    if not isinstance(key, str) or not key:
        raise InputError("expected a text that is this item's alone", where=f"{where}, field 'key'")
    kind = row.get("kind", "main")
    if kind not in KINDS:
        raise InputError("unknown kind of item", where=f"{where}, field 'kind'", fix=f"one of {', '.join(KINDS)}")
    prompt = _prompt(row.get("prompt"), key, where)
    hidden, gold = row.get("hidden"), row.get("gold")
    return NewItem(
        key=key,
        kind=kind,
        prompt=prompt,
        responses=_responses(row.get("responses"), prompt.id, where),
        gold=None if gold is None else read_gold(gold, where=f"{where}, field 'gold'"),
        hidden=None if hidden is None else _messages(hidden, f"{where}, field 'hidden'"),
        overlap=_whole(row.get("overlap"), f"{where}, field 'overlap'"),
        batch=_whole(row.get("batch"), f"{where}, field 'batch'"),
        pool=_text_or_none(row.get("pool"), f"{where}, field 'pool'"),
        where=where,
    )


def _prompt(raw: Any, key: str, where: str) -> Prompt:
    place = f"{where}, field 'prompt'"
    if isinstance(raw, str):
        return Prompt(id=key, messages=(Message(role="user", content=raw),))
    if isinstance(raw, list):
        return Prompt(id=key, messages=_messages(raw, place))
    if not isinstance(raw, Mapping):
        raise InputError("expected a text, messages, or a prompt", where=place)
    messages = _messages(raw.get("messages"), f"{place}.messages")
    try:
        prompt = Prompt.from_json({**raw, "id": raw.get("id", key)})
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise InputError("not a prompt", where=place) from error
    if not all(isinstance(k, str) and isinstance(v, str) for k, v in prompt.tags.items()) or not isinstance(
        prompt.id, str
    ):
        raise InputError("tags and id are texts", where=place)
    return Prompt(id=prompt.id, messages=messages, claim=prompt.claim, tags=prompt.tags)


def _messages(raw: Any, place: str) -> tuple[Message, ...]:
    if not isinstance(raw, list) or not raw:
        raise InputError("expected messages", where=place, fix='such as [{"role": "user", "content": "..."}]')
    found = []
    for index, message in enumerate(raw):
        if (
            not isinstance(message, Mapping)
            or message.get("role") not in ROLES
            or not isinstance(message.get("content"), str)
        ):
            raise InputError(f"a message has a role ({', '.join(ROLES)}) and a content", where=f"{place}[{index}]")
        found.append(Message(role=message["role"], content=message["content"]))
    return tuple(found)


def _responses(raw: Any, prompt_id: str, where: str) -> tuple[Completion, ...]:
    place = f"{where}, field 'responses'"
    if not isinstance(raw, list) or not raw:
        raise InputError("expected a list of responses", where=place)
    found = []
    for index, response in enumerate(raw):
        if isinstance(response, str):
            response = {"text": response}
        if not isinstance(response, Mapping) or not isinstance(response.get("text"), str):
            raise InputError("expected a text, or an object with 'text'", where=f"{place}[{index}]")
        identity, policy = response.get("id", f"{prompt_id}:{index}"), response.get("policy", "")
        if not isinstance(identity, str) or not isinstance(policy, str):
            raise InputError("id and policy are texts", where=f"{place}[{index}]")
        found.append(Completion(id=identity, prompt_id=prompt_id, text=response["text"], policy=policy))
    return tuple(found)


def _whole(raw: Any, place: str) -> int | None:
    if raw is None:
        return None
    if isinstance(raw, bool) or not isinstance(raw, int) or not 1 <= raw < 2**31:
        raise InputError("expected a whole number from 1 on", where=place)
    return raw


def _text_or_none(raw: Any, place: str) -> str | None:
    if raw is not None and not isinstance(raw, str):
        raise InputError("expected a text", where=place)
    return raw
