"""A conversation that fits: the oldest turns go first, and it is said how many went."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from candor.records import Message


@dataclass(frozen=True)
class Fitted:
    """The messages that are shown to the model, and how many older ones were left out."""

    messages: tuple[Message, ...]
    dropped: int
    tokens: int


def fit(messages: Sequence[Message], count: Callable[[Sequence[Message]], int], room: int | None) -> Fitted | None:
    """Drops the oldest messages until ``count`` (tokens of a conversation) is at most ``room``; None: no limit.

    A conversation starts with a user's message, or the system's, which is kept throughout. Returns None where the last
    message alone does not fit.
    """
    system = [message for message in messages[:1] if message.role == "system"]
    turns = list(messages[len(system) :])
    for start in range(len(turns)):
        kept = (*system, *turns[start:])
        if turns[start].role != "user":
            continue
        tokens = count(kept)
        if room is None or tokens <= room:
            return Fitted(kept, start, tokens)
    return None
