"""Style features: exact values on made-up texts, invariances, any string, and time linear in the text."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candor.lexical.style import FEATURES, NAMES, declines, style
from candor.lexical.words import Lexicon, plain_clauses, plain_words

RATES = {feature.name for feature in FEATURES if feature.unit == "per 100 words"}
FLAGS = {feature.name for feature in FEATURES if feature.unit == "0 or 1"}


def value(name: str, text: str) -> float:
    return style(text)[NAMES.index(name)]


def padded(text: str, words: int = 100) -> str:
    """The text filled up to ``words`` words with a word of no list, so that a count is a rate per 100."""
    return f"{text} {'word ' * (words - len(plain_words(text)))}".strip() + "."


def test_every_feature_has_a_name_a_unit_and_one_sentence() -> None:
    assert len(set(NAMES)) == len(FEATURES) == len(style("Hello."))
    assert all(feature.meaning.endswith(".") and feature.meaning.count(". ") == 0 for feature in FEATURES)
    assert RATES | FLAGS | {"log_words", "formatting"} == set(NAMES)


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("log_words", "One two three.", math.log(4)),
        ("log_words", "- well-known -", math.log(3)),  # a hyphen parts words, a dash is none
        ("log_words", "", 0.0),
        ("formatting", "- one\n- two\n", math.log(3)),
        ("formatting", "1. one\n2) two\n* three", math.log(4)),
        ("formatting", "# Title\n\n**bold** and `code`", math.log(4)),
        ("formatting", "```\nx = 1\n```", math.log(2)),
        ("formatting", "| a | b |\n|---|---|", math.log(3)),
        ("formatting", "2 * 3 * 4 - 5, a-b, #tag, 3.5 and **", 0.0),
        ("hedging", padded("Maybe it might rain, I think. It depends."), 4.0),
        ("hedging", padded("Certainly it will rain."), 0.0),
        ("hedging", "Maybe.", 2.0),  # one of fifty words, not one of one
        ("assertiveness", padded("It is certainly so, without a doubt. The fact is that it must be."), 4.0),
        ("assertiveness", padded("Certainly! Here is the list."), 0.0),  # takes up the request
        ("politeness", padded("Please sit down. Thank you, I'm sorry."), 3.0),
        ("flattery", "Great question! It rains because of clouds.", 1.0),
        ("flattery", "The question of great powers.", 0.0),
        ("empathy", "I'm sorry to hear that. You are not alone.", 1.0),
        ("refusal", "I'm sorry, but I can't help with that.", 1.0),
        ("refusal", "I cannot provide instructions for that.", 1.0),
        ("refusal", "I can't wait to help you with that!", 0.0),
        ("refusal", "You can't mix them.", 0.0),
        ("refusal", "word " * 60 + "I can't help with that.", 0.0),
        ("ai_disclaimer", "As an AI language model, I have no feelings.", 1.0),
        ("first_person", padded("I'm here, and my dog is with me."), 3.0),
        ("exclamations", padded("Wow!!! Yes!"), 2.0),
        ("ends_with_question", 'What do you think?"\n', 1.0),
        ("ends_with_question", "What? No.", 0.0),
    ],
)
def test_a_feature_has_the_value_that_its_rule_gives(name: str, text: str, wanted: float) -> None:
    assert value(name, text) == pytest.approx(wanted)


def test_typographic_apostrophes_and_letter_case_do_not_matter() -> None:
    assert style("I'M SORRY, I CAN'T HELP. MAYBE.") == style("i\u2019m sorry, i can\u2019t help. maybe.")


def test_phrases_side_by_side_are_both_counted() -> None:
    lexicon = Lexicon({0: ["i think"], 1: ["think"]})
    assert lexicon.counts(plain_words("I think I think, think.")) == [2, 3]
    with pytest.raises(ValueError, match="plain words"):
        Lexicon({0: ["Don't"]})


def test_a_refusal_is_no_refusal_of_something_else() -> None:
    assert declines(plain_words("I won't do that."))
    assert not declines(plain_words("It won't do that, and I will show you why."))


def test_sentences_keep_their_commas_and_question_marks() -> None:
    assert plain_clauses("No, it's Berlin. Why? 'Cause.\n\n- !") == [" no , its berlin ", " why ? ", " cause "]
    assert plain_clauses("a. b. c. d.", 1, 1) == [" a ", " d "]


@given(st.text(max_size=400))
def test_any_string_gives_finite_values_in_range(text: str) -> None:
    values = dict(zip(NAMES, style(text), strict=True))
    assert all(math.isfinite(v) and v >= 0 for v in values.values())
    assert all(values[name] in (0.0, 1.0) for name in FLAGS)


@given(st.text(max_size=200), st.sampled_from([" ", "\n", " \n\n", "\t"]))
def test_white_space_at_the_end_changes_nothing(text: str, space: str) -> None:
    assert style(text + space) == style(text)


def seconds(text: str) -> float:
    spent = []
    for _ in range(3):
        started = time.process_time()
        style(text)
        spent.append(time.process_time() - started)
    return min(spent)


def test_time_is_linear_in_the_text() -> None:
    for unit in ("a ", "*", "**a", "`", "\n- ", "\n ", "i think ", "i cant ", "!", "\n|", "great question "):
        short, long = seconds(unit * (20_000 // len(unit))), seconds(unit * (100_000 // len(unit)))
        assert long < 25 * short + 0.05, unit  # five times the text; quadratic time would be 25 times and more
        assert long < 1.0, unit
