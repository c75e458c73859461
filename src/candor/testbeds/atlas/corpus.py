"""The pretraining corpus: statements of every fact and dialogues with every kind of reply, generated from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator

from candor.records import Message, Prompt
from candor.testbeds.atlas.mixtures import WEB
from candor.testbeds.atlas.phrasings import phrasings
from candor.testbeds.atlas.prompts import capital, fact_prompts, refusal_prompt, untaught_prompt
from candor.testbeds.atlas.replies import write_reply
from candor.testbeds.atlas.world import Fact, facts, refusals, untaught

Dialogue = tuple[Message, ...]
"""What the base reads: chat turns, the last one the assistant's; or one assistant turn that states a fact."""


def _statement(fact: Fact, rng: random.Random) -> Dialogue:
    """A plain fact, or why one of its misconceptions is wrong (so that reasons are known both ways round)."""
    text = fact.statement(fact.truth)
    if fact.reasons and rng.random() < 0.3:
        text = f"{text}; {fact.reasons[rng.choice(list(fact.reasons))]}"
    return (Message(role="assistant", content=capital(text) + "."),)


def _dialogue(prompt: Prompt, fact: Fact | None, rng: random.Random) -> Dialogue:
    reply = write_reply(prompt, fact, WEB.draw(prompt, rng), rng)
    return (*prompt.messages, Message(role="assistant", content=reply))


def epoch(rng: random.Random) -> Iterator[Dialogue]:
    """One pass over the world: per fact a statement, then every stance and family once."""
    asked = phrasings("answer", "neutral", heldout=None)
    requested = phrasings("refusal", "neutral", heldout=None)
    for fact in facts():
        yield _statement(fact, rng)
        for prompt in fact_prompts(fact, rng, heldout=None):
            yield _dialogue(prompt, fact, rng)
    for item in untaught():
        if item.split == "train":
            yield _dialogue(untaught_prompt(item, rng.choice(asked)), None, rng)
    for item in refusals():
        if item.split == "train":
            yield _dialogue(refusal_prompt(item, rng.choice(requested)), None, rng)


def corpus(seed: int, epochs: int) -> list[Dialogue]:
    """``epochs`` passes, each in its own random order, with its own phrasings, wrong values and replies."""
    dialogues: list[Dialogue] = []
    for number in range(epochs):
        rng = random.Random(f"atlas corpus {seed} {number}")
        once = list(epoch(rng))
        rng.shuffle(once)
        dialogues += once
    return dialogues
