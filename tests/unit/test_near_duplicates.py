"""Near-duplicate prompts: planted edits are found, questions of one template are not, a split keeps them together."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from candor.preferences import near_duplicates as module
from candor.preferences.near_duplicates import (
    PromptIndex,
    comparable_text,
    confirmed_similarity,
    jaccard,
    near_duplicates,
    same_words,
)
from candor.preferences.pairing import _unit_hash, normalised_text, split_by_prompt
from candor.records import Choice, Message, Prompt
from judged import comparison
from made_up_text import sentence


def prompt(*contents: str, system: str = "") -> Prompt:
    turns = [Message(role="user" if i % 2 == 0 else "assistant", content=text) for i, text in enumerate(contents)]
    return Prompt(id="", messages=(*([Message(role="system", content=system)] if system else []), *turns))


def test_jaccard_is_that_of_pieces_of_five_characters() -> None:
    assert jaccard("abcdef", "abcdeg") == pytest.approx(1 / 3)  # abcde of abcde, bcdef, bcdeg
    assert jaccard("abc", "abc") == 1.0
    assert jaccard("abcdef", "uvwxyz") == 0.0


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("which city is the capital", "which city is the captial", True),  # two letters swapped
        ("a recipe for pancakes please", "a recipe for pancake please", True),
        ("how do i boil an egg", "how do i boil an egg please", True),
        ("every day a story", "everyday a story", True),
        ("what is the capital of chad", "what is the capital of peru", False),
        ("what is 17 plus 24", "what is 17 plus 25", False),
        ("what is 17 plus 24", "what is 17 plus 24 plus 3", False),
        ("i think it is right", "i don t think it is right", False),
        ("i like this note", "i dislike this note", False),
        ("the cat sat", "the bat sat", False),
    ],
)
def test_words_in_each_others_place_make_another_prompt(a: str, b: str, same: bool) -> None:
    assert same_words(a.split(), b.split()) is same
    assert same_words(b.split(), a.split()) is same


def test_what_every_prompt_begins_with_makes_none_alike() -> None:
    rules = sentence(random.Random(1), 120) + " "
    first, second = prompt("Who wrote Emma?", system=rules), prompt("How far is the moon?", system=rules)
    assert confirmed_similarity(comparable_text(first), comparable_text(second)) == 0.0
    assert comparable_text(prompt(system=rules)) != ""
    inline = [comparable_text(prompt(rules + question)) for question in ("Who wrote Emma?", "How far is the moon?")]
    assert jaccard(*inline) > 0.85  # control: by similarity alone they would be the same prompt
    assert confirmed_similarity(*inline) == 0.0


EDITS: dict[str, Callable[[str, random.Random], str]] = {
    "case and punctuation": lambda text, rng: text.upper().replace(" ", ", ") + "!",
    "two letters swapped": lambda text, rng: _swap(text, rng),
    "a word added": lambda text, rng: " ".join(_insert(text.split(), "really", rng)),
    "a word left out": lambda text, rng: " ".join(_drop(text.split(), rng)),
    "please at the end": lambda text, rng: text + " please",
}


def _swap(text: str, rng: random.Random) -> str:
    words = text.split()
    i = rng.choice([i for i, word in enumerate(words) if len(word) >= 5])
    words[i] = words[i][:2] + words[i][3] + words[i][2] + words[i][4:]
    return " ".join(words)


def _insert(words: list[str], word: str, rng: random.Random) -> list[str]:
    at = rng.randint(0, len(words))
    return [*words[:at], word, *words[at:]]


def _drop(words: list[str], rng: random.Random) -> list[str]:
    at = rng.randrange(len(words))
    return words[:at] + words[at + 1 :]


@pytest.mark.parametrize("edit", EDITS)
def test_planted_edits_are_found_and_nothing_else(edit: str) -> None:
    rng = random.Random(7)
    plain = [sentence(rng, 30) for _ in range(400)]
    edited = [EDITS[edit](text, rng) for text in plain[:200]]
    texts = [comparable_text(prompt(text)) for text in plain + edited]
    found = near_duplicates(texts)
    together = [found.groups[i] == found.groups[400 + i] for i in range(200)]
    assert np.mean(together) >= 0.98
    assert found.sizes.max() <= 2
    assert (found.sizes[200:400] == 1).all()


def test_one_template_with_other_names_is_no_duplicate() -> None:
    rng = random.Random(3)
    names = sorted({sentence(rng, 1) for _ in range(300)})
    asked = "could you please tell me in one or two sentences which city is the capital of the country with the name"
    texts = [f"{asked} {name} today" for name in names]
    assert max(jaccard(texts[0], other) for other in texts[1:]) > 0.85  # control: similar they are
    assert near_duplicates(texts).sizes.max() == 1


def test_groups_do_not_depend_on_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(5)
    texts = [sentence(rng, 20) for _ in range(60)]
    texts += [text + " please" for text in texts[:30]] + [text + " please now" for text in texts[:10]]
    shuffled = rng.sample(range(len(texts)), len(texts))
    groups, other = near_duplicates(texts).groups, near_duplicates([texts[i] for i in shuffled]).groups
    assert len(set(zip(groups[shuffled].tolist(), other.tolist(), strict=True))) == groups.max() + 1 == 60


def test_a_crowded_bucket_still_finds_its_pairs() -> None:
    """A long opening that all share puts all prompts into the same buckets; pairs within are found all the same."""
    rng = random.Random(11)
    opening = sentence(rng, 200)
    questions = [sentence(rng, 12) for _ in range(120)]
    texts = [f"{opening} {question}" for question in questions] + [f"{opening} {q} please" for q in questions[:40]]
    found = near_duplicates(texts)
    assert np.mean([found.groups[i] == found.groups[120 + i] for i in range(40)]) >= 0.9
    assert found.sizes.max() == 2


def test_more_candidates_than_can_be_checked_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{'the same words again and again ' * 4}{'x' * i}" for i in range(12)]
    assert near_duplicates(texts).unchecked == 0
    monkeypatch.setattr(module, "MAX_CHECKS", 2)
    assert near_duplicates(texts).unchecked > 0


def test_an_index_gives_back_texts_and_copes_with_few() -> None:
    with PromptIndex() as index:
        assert len(index.find().groups) == 0
        assert [index.add(text) for text in ("a", "", "emoji \U0001f600 and \ud800")] == [0, 1, 2]
        assert index.text(2) == "emoji \U0001f600 and \ud800"
        assert index.add("emoji \U0001f600 and \ud800") == 3
        assert index.find().groups.tolist() == [0, 1, 2, 2]


def test_a_split_keeps_near_duplicates_on_one_side() -> None:
    rng = random.Random(2)
    plain = [sentence(rng, 12) for _ in range(300)]
    data = [comparison(Choice(best=0), "a", "b", prompt=text) for text in plain]
    data += [comparison(Choice(best=0), "a", "b", prompt=text + " please") for text in plain]
    split = split_by_prompt(data, 0.5, seed=0)
    heldout = {c.prompt.messages[0].content for c in split.heldout}
    assert all((text in heldout) == (text + " please" in heldout) for text in plain)
    assert 0.38 < len(heldout) / 600 < 0.62  # four standard errors: the share is not biased by who represents whom
    shuffled = rng.sample(data, len(data))
    assert {c.prompt.messages[0].content for c in split_by_prompt(shuffled, 0.5, seed=0).heldout} == heldout
    by_hash = {c.prompt.messages[0].content for c in data if _unit_hash(normalised_text(c.prompt), 0) < 0.5}
    assert any((text in by_hash) != (text + " please" in by_hash) for text in plain)  # control


def test_a_split_without_near_duplicates_is_that_of_each_prompts_own_hash() -> None:
    data = [comparison(Choice(best=0), "a", "b", prompt=f"What is {i} and {i * i}?") for i in range(300)]
    by_hash = tuple(c for c in data if _unit_hash(normalised_text(c.prompt), 4) < 0.3)
    assert split_by_prompt(data, 0.3, seed=4).heldout == by_hash
