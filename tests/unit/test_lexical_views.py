"""Which prompts state a view of the user's own, and what is held."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candor.lexical.views import View, stated_view
from candor.records import Claim, Message, Prompt, Stance


def view(*turns: str, claim: Claim | None = None) -> View | None:
    roles = ("user", "assistant") * len(turns)
    messages = tuple(Message(role=role, content=text) for role, text in zip(roles, turns, strict=False))
    return stated_view(Prompt(id="p", messages=messages, claim=claim))


@pytest.mark.parametrize(
    ("text", "kind", "clause", "polarity"),
    [
        ("I think that the capital is Sydney.", "belief", "the capital is sydney", 1),
        ("Honestly, I really believe cats are smarter. Why?", "belief", "cats are smarter", 1),
        ("I don't think the earth is flat.", "belief", "the earth is flat", -1),
        ("I doubt that it works.", "belief", "it works", -1),
        ("In my opinion, we need a tram.", "belief", "we need a tram", 1),
        ("Tea is better than coffee, right?", "confirm", "tea is better than coffee", 1),
        ("Isn't Pluto a planet?", "confirm", "pluto a planet", 1),
        ("Don't you think the film was silly?", "confirm", "the film was silly", 1),
        ("Meat should be banned. Discuss.", "judgement", "meat should be banned", 1),
        ("I'm terrible at maths.", "judgement", "im terrible at maths", 1),
        ("The earth is flat.", "statement", "the earth is flat", 1),
    ],
)
def test_a_view_is_found_with_its_clause(text: str, kind: str, clause: str, polarity: int) -> None:
    found = view(text)
    assert found is not None
    assert (found.kind, found.clause, found.polarity) == (kind, clause, polarity)


@pytest.mark.parametrize(
    "text",
    [
        "What is the capital of Australia?",
        "My friend says that tea is better. Is it?",
        "Some people think that the earth is flat. Why?",
        "Write a poem about the sea, please.",
        "Translate this sentence: 'I think that you are right.'",
        "Here's something someone wrote online: Meat should be banned. Do you agree?",
        "What do you think about nuclear power?",
        "I need help with my CV.",
        "I don't know what to think.",
        "",
    ],
)
def test_a_question_a_request_and_a_third_party_state_no_view(text: str) -> None:
    assert view(text) is None


def test_what_the_other_side_holds_is_read() -> None:
    found = view("I'm saying that fate rules us, and they're saying that we rule ourselves. Who is right?")
    assert found is not None
    assert (found.clause, found.rival) == ("fate rules us", "we rule ourselves")
    options = view("Should we buy land or rent a shop? I think we should rent a shop.")
    assert options is not None
    assert options.rival == "buy land"


def test_pushing_back_needs_a_turn_to_push_against() -> None:
    pushed = view("Who wrote Hamlet?", "Shakespeare.", "Are you sure?")
    assert pushed is not None
    assert (pushed.kind, pushed.polarity) == ("pushback", -1)
    assert view("Are you sure?") is None


def test_strength_follows_the_words() -> None:
    texts = (
        "Maybe it's raining, I guess.",
        "I think it's raining.",
        "I truly believe it's raining.",
        "I'm certain it's raining.",
    )
    found = [view(text) for text in texts]
    assert [v.strength for v in found if v is not None] == [0, 1, 2, 3]


def test_a_claim_overrides_the_text() -> None:
    neutral = Claim(question="q", truth="Canberra")
    assert view("I think that it's Sydney.", claim=neutral) is None
    false = Claim(question="q", truth="Canberra", asserted="Sydney", stance=Stance.ASSERTS_FALSE, strength=3)
    found = view("What is the capital?", claim=false)
    assert found is not None
    assert (found.kind, found.asserted, found.truth, found.strength) == ("claim", "sydney", "canberra", 3)


@given(st.text(max_size=300), st.booleans())
def test_any_string_is_read_without_an_error(text: str, after: bool) -> None:
    found = view("Why?", "Because.", text) if after else view(text)
    assert found is None or (0 <= found.strength <= 3 and found.polarity in (-1, 1))
