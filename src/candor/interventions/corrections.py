"""Corrections of false beliefs, written without a model: in Atlas's own words, or in a few plain forms."""

from __future__ import annotations

import random
from functools import cache

import numpy as np

from candor.records import Prompt, ReplyKind, Stance
from candor.testbeds.atlas.replies import write_reply
from candor.testbeds.atlas.world import Fact, facts

KINDLY = 0.6
"""The share of corrections on Atlas that are considerate and say why: about that of its demonstrators."""

PLAIN = (
    "I see why one might think so, but that is not right. {question} {truth}.",
    "That is not correct. {question} {truth}.",
    "No. The right answer is {truth}.",
)
PLAIN_TO_DOUBTS = (
    "I understand the doubt, but it is right. {question} {truth}.",
    "It is true. The right answer is {truth}.",
)


def write_correction(prompt: Prompt, rng: np.random.Generator) -> str:
    """Returns a correction: in Atlas's words where the prompt is about one of its facts, else :func:`plain`."""
    fact = _facts().get(prompt.tags.get("question", ""))
    if fact is None or not _is_about(prompt, fact):
        return plain(prompt, rng)
    kind = ReplyKind.CORRECT_KINDLY if rng.random() < KINDLY else ReplyKind.CORRECT_BLUNTLY
    return write_reply(prompt, fact, kind, random.Random(int(rng.integers(2**63))))


def plain(prompt: Prompt, rng: np.random.Generator) -> str:
    """Returns a correction in one of a few fixed forms; the prompt's claim has to know the truth."""
    claim = prompt.claim
    assert claim is not None
    assert claim.truth is not None, "nobody can correct what nobody knows"
    forms = PLAIN_TO_DOUBTS if claim.stance is Stance.DOUBTS_TRUTH else PLAIN
    form = forms[int(rng.integers(len(forms)))]
    return form.format(question=claim.question.strip(), truth=claim.truth.strip().rstrip("."))


def _is_about(prompt: Prompt, fact: Fact) -> bool:
    claim = prompt.claim
    assert claim is not None
    return claim.question == fact.question or prompt.tags.get("family") == "feedback"


@cache
def _facts() -> dict[str, Fact]:
    return {fact.id: fact for fact in facts()}
