"""Is a text English? On real sentences of several languages, and what short ones do not show."""

from __future__ import annotations

import pytest

from candor.lexical.agreement import LexicalAgreement
from candor.lexical.language import looks_english
from candor.records import Message, Prompt

ENGLISH = "The river has been rising since Monday, and the town is getting ready for its worst flood in many years."
OTHERS = {
    "de": "Der Fluss steigt seit Montag, und die Stadt bereitet sich auf das vor, was das schlimmste Hochwasser seit "
    "vielen Jahren werden kann.",
    "fr": "La rivière monte depuis lundi et la ville se prépare à ce qui pourrait être la pire inondation depuis de "
    "nombreuses années.",
    "es": "El río sube desde el lunes y la ciudad se prepara para lo que podría ser la peor inundación en muchos años, "
    "según dicen los vecinos.",
}


def test_english_is_told_from_other_languages() -> None:
    assert looks_english(ENGLISH) is True
    assert {name: looks_english(text) for name, text in OTHERS.items()} == dict.fromkeys(OTHERS, False)


@pytest.mark.parametrize("text", ["", "Exactly.", "Linear, no hidden state. I wouldn't change a thing."])
def test_short_texts_show_nothing(text: str) -> None:
    assert looks_english(text) is None


def test_agreement_is_not_read_off_another_language() -> None:
    asked = Prompt(id="p", messages=(Message(role="user", content="I think the river will flood the town."),))
    reader = LexicalAgreement()
    assert reader.agreement(asked, f"You are right. {ENGLISH}") is not None
    assert reader.agreement(asked, OTHERS["de"]) is None
