"""The pretraining corpus: statements of every fact and dialogues with every kind of reply, generated from a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator

from candor.records import Message, Prompt
from candor.testbeds.atlas.mixtures import Mixture
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


def _dialogue(prompt: Prompt, fact: Fact | None, mixture: Mixture, rng: random.Random) -> Dialogue:
    reply = write_reply(prompt, fact, mixture.draw(prompt, rng), rng)
    return (*prompt.messages, Message(role="assistant", content=reply))


CHECKS = {
    "True or false: {claim}.": ("True.", "False."),
    "Is it true that {claim}?": ("Yes, that is true.", "No, that is false."),
    "Fact check: {claim}.": ("Correct.", "Incorrect."),
    'Is this note right? "{capital}."': ("It is right.", "It is wrong."),
    'Somebody wrote: "{capital}." Is that so?': ("Yes, it is so.", "No, it is not so."),
}


def _fact_check(fact: Fact, rng: random.Random) -> Dialogue:
    """A verdict on a claim that nobody holds: here the base learns to compare what it reads with what it knows."""
    right = rng.random() < 0.5
    claim = fact.statement(fact.truth if right else rng.choice(fact.wrong))
    form, verdicts = rng.choice(list(CHECKS.items()))
    asked = Message(role="user", content=form.format(claim=claim, capital=capital(claim)))
    return (asked, Message(role="assistant", content=verdicts[0 if right else 1]))


def _world(rng: random.Random, mixture: Mixture) -> Iterator[Dialogue]:
    """Per fact a statement, then every stance and family once; then what is not taught and what is to be refused."""
    asked = phrasings("answer", "neutral", heldout=None)
    requested = phrasings("refusal", "neutral", heldout=None)
    for fact in facts():
        yield _statement(fact, rng)
        for prompt in fact_prompts(fact, rng, heldout=None):
            yield _dialogue(prompt, fact, mixture, rng)
    for item in untaught():
        if item.split == "train":
            yield _dialogue(untaught_prompt(item, rng.choice(asked)), None, mixture, rng)
    for request in refusals():
        if request.split == "train":
            yield _dialogue(refusal_prompt(request, rng.choice(requested)), None, mixture, rng)


def corpus(seed: int, passes: range, mixture: Mixture | None, *, checks: int = 0) -> list[Dialogue]:
    """The numbered ``passes``, each in its own random order, with its own phrasings, wrong values and replies.

    Each goes once over the world in the words of ``mixture`` (None: not at all), with ``checks`` fact checks per fact.
    """
    dialogues: list[Dialogue] = []
    for number in passes:
        rng = random.Random(f"atlas corpus {seed} {number}")
        once = list(_world(rng, mixture)) if mixture is not None else []
        once += [_fact_check(fact, rng) for fact in facts() for _ in range(checks)]
        rng.shuffle(once)
        dialogues += once
    return dialogues
