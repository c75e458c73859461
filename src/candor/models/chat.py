"""Conversations to token ids and replies back to text, the same way in every stage."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerBase

from candor.errors import InputError
from candor.records import Message, Prompt, Response

PLAIN_NAMES = {"system": "System", "user": "User", "assistant": "Assistant"}
_PLAIN_PROMPT = re.compile(r"\s*User: .*\nAssistant:\s*", re.DOTALL)
_PROBE = "candor-probe"


def encode_prompt(tokenizer: PreTrainedTokenizerBase, prompt: Prompt) -> list[int]:
    """Returns the token ids of the conversation up to where the reply starts.

    Uses the tokenizer's chat template with its generation prompt; without a template the plain form of
    :func:`plain_text`, after one BOS where the tokenizer adds one. Control tokens that a message happens to spell out
    are encoded as text. Raises InputError where a message already holds the chat format (applying it again
    would train on a doubled one), or where the template refuses the conversation.
    """
    refuse_formatted(tokenizer, prompt)
    if not tokenizer.chat_template:
        return _bos(tokenizer) + plain_ids(tokenizer, plain_text(prompt.messages))
    messages = [{"role": m.role, "content": m.content} for m in prompt.messages]
    options: dict[str, Any] = {"add_generation_prompt": True, "tokenize": True, "return_dict": False}
    if any(token in m.content for m in prompt.messages for token in tokenizer.all_special_tokens):
        options["sanitize_control_tokens"] = True
    try:
        return list(tokenizer.apply_chat_template(messages, **options))
    except TemplateError as error:
        raise InputError(
            f"the model's chat template refuses this conversation: {error}",
            where=f"prompt {prompt.id}",
            fix="many templates want user and assistant to alternate, and some know no system message",
        ) from error


def plain_text(messages: Sequence[Message]) -> str:
    """Returns the conversation as ``Role: text`` lines that end with ``Assistant:``."""
    return conversation_text(messages) + "\nAssistant:"


def conversation_text(messages: Sequence[Message]) -> str:
    """Returns the conversation as ``Role: text`` lines."""
    return "\n".join(f"{PLAIN_NAMES[m.role]}: {m.content}" for m in messages)


def encode_reply(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Returns the ids of the reply and then the end-of-sequence token, which is learned like any other.

    In the plain form the text starts after a space. A control token spelled out in the text is encoded as text.
    """
    spaced = text if tokenizer.chat_template else " " + text.lstrip()
    return [*plain_ids(tokenizer, spaced), eos_id(tokenizer)]


def response_ids(tokenizer: PreTrainedTokenizerBase, response: Response) -> tuple[int, ...]:
    """Returns the tokens to read a response by: those it was sampled as, else its text's and the end of sequence.

    Sampled tokens count only where this tokenizer reads them as the same text; those of another model are not used.
    """
    ids = response.token_ids
    if ids and max(ids) < len(tokenizer) and decode_reply(tokenizer, ids) == response.text.strip():
        return ids
    return tuple(encode_reply(tokenizer, response.text))


def decode_reply(tokenizer: PreTrainedTokenizerBase, token_ids: Sequence[int]) -> str:
    """Returns the text before the first end-of-sequence token, without control tokens and outer white space."""
    ids = list(token_ids)
    end = eos_id(tokenizer)
    if end in ids:
        ids = ids[: ids.index(end)]
    text = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return str(text).strip()


def eos_id(tokenizer: PreTrainedTokenizerBase) -> int:
    """Returns the end-of-sequence id. Raises InputError where the tokenizer has none."""
    if tokenizer.eos_token_id is None:
        raise InputError("the tokenizer has no end-of-sequence token", fix="set eos_token in tokenizer_config.json")
    return int(tokenizer.eos_token_id)


def plain_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Returns the ids of a text alone; control tokens that it spells out are encoded as text."""
    return list(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])


def _bos(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Returns [BOS] where the tokenizer starts every text with it, else []."""
    bos = tokenizer.bos_token_id
    started = list(tokenizer("a")["input_ids"])
    return [int(bos)] if bos is not None and started[:1] == [bos] else []


def refuse_formatted(tokenizer: PreTrainedTokenizerBase, prompt: Prompt) -> None:
    """Raises InputError where a message already holds the chat format."""
    opening = _opening(tokenizer)
    for message in prompt.messages:
        doubled = opening and message.content.lstrip().startswith(opening)
        if doubled or _PLAIN_PROMPT.fullmatch(message.content):
            raise InputError(
                "a message already holds the chat format, which would be applied twice",
                where=f"prompt {prompt.id}",
                fix="give the plain messages and leave the format to Candor",
            )


def _opening(tokenizer: PreTrainedTokenizerBase) -> str:
    """Returns what the chat template puts before a user's first message, BOS aside; empty without a template."""
    if not tokenizer.chat_template:
        return ""
    try:
        text = str(tokenizer.apply_chat_template([{"role": "user", "content": _PROBE}], tokenize=False))
    except TemplateError:
        return ""
    return text.split(_PROBE)[0].removeprefix(tokenizer.bos_token or "").strip()
