"""A conversation cut to a context: the oldest turns go, whole, and no more of them than need be."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from candor.chat.history import fit
from candor.records import Message


def talk(*texts: str, system: str = "") -> list[Message]:
    turns = [Message(role="user" if i % 2 == 0 else "assistant", content=text) for i, text in enumerate(texts)]
    return [*([Message(role="system", content=system)] if system else []), *turns]


def length(messages: Sequence[Message]) -> int:
    return sum(len(message.content) for message in messages)


def test_what_fits_stays_whole() -> None:
    messages = talk("aaaa", "bb", "ccc")
    for room in (9, None):
        found = fit(messages, length, room)
        assert found is not None
        assert (found.messages, found.dropped, found.tokens) == (tuple(messages), 0, 9)


def test_a_turn_goes_with_its_answer_and_the_system_stays() -> None:
    messages = talk("aaaa", "bb", "ccc", system="s")
    found = fit(messages, length, 9)
    assert found is not None
    assert [message.content for message in found.messages] == ["s", "ccc"]
    assert found.dropped == 2
    assert fit(messages, length, 3) is None  # the last message and the system's take 4


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.integers(0, 40))
def test_nothing_more_is_dropped_than_need_be(sizes: list[int], room: int) -> None:
    messages = talk(*("x" * size for size in sizes[: len(sizes) - 1 + len(sizes) % 2]))
    found = fit(messages, length, room)
    fitting = [messages[i:] for i in range(0, len(messages), 2) if length(messages[i:]) <= room]  # every way to start
    assert (found is None) == (not fitting)
    if found is not None:
        assert list(found.messages) == max(fitting, key=len)
        assert found.dropped == len(messages) - len(found.messages)
