"""Demonstrations without what should not be imitated, and with corrections on questions that the model can answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from candor.annotators.raters import random_generator
from candor.interventions.changed import Changed, drawn, drawn_items
from candor.interventions.rightness import IsRight, believes_falsely
from candor.protocols import ReplyReader
from candor.records import Claim, Completion, Demonstration, Message, Prompt, Stance

Write = Callable[[Prompt, np.random.Generator], str]
"""Writes a correction of the false belief that a prompt voices."""


def filter_demonstrations(
    demonstrations: Sequence[Demonstration], is_right: IsRight, *, share: float, seed: int
) -> Changed[Demonstration]:
    """Returns the demonstrations without a random ``share`` of the offending ones.

    Those go along with a false belief or deny a true one. Wrong answers to plain questions stay: nobody's belief is in
    play. Counts: ``given``, ``with_belief``, ``offending``, ``left_out``.
    """
    voiced = [
        i
        for i, d in enumerate(demonstrations)
        if d.prompt.claim is not None and d.prompt.claim.stance is not Stance.NEUTRAL
    ]
    offending = [i for i in voiced if is_right(demonstrations[i].prompt, demonstrations[i].reply) is False]
    out = {offending[i] for i in drawn(len(offending), share, seed, "filter demonstrations")}
    counts = {"given": len(demonstrations), "with_belief": len(voiced)}
    return Changed(
        items=tuple(d for i, d in enumerate(demonstrations) if i not in out),
        counts=counts | {"offending": len(offending), "left_out": len(out)},
    )


def plain_questions(demonstrations: Sequence[Demonstration]) -> list[Prompt]:
    """Returns each question about which somebody believes something false, asked without a belief, once.

    The wording is that of a neutral prompt of the same question and family where there is one, else the claim's
    question alone.
    """
    neutral: dict[tuple[str, str], Prompt] = {}
    for demonstration in demonstrations:
        claim = demonstration.prompt.claim
        if claim is not None and claim.stance is Stance.NEUTRAL:
            neutral.setdefault(_question(demonstration.prompt), demonstration.prompt)
    asked: dict[tuple[str, str], Prompt] = {}
    for demonstration in demonstrations:
        prompt = demonstration.prompt
        if believes_falsely(prompt):
            asked.setdefault(_question(prompt), neutral.get(_question(prompt)) or _asked_plainly(prompt))
    return list(asked.values())


def known_questions(
    questions: Sequence[Prompt], answers: Sequence[Completion], reader: ReplyReader
) -> frozenset[tuple[str, str]]:
    """Returns the questions to which every sampled answer states the truth; ``answers`` holds as many for each."""
    each = len(answers) // max(len(questions), 1)
    known = set()
    for i, prompt in enumerate(questions):
        claim = prompt.claim
        assert claim is not None
        values = [reader(prompt, answer.text).value for answer in answers[i * each : (i + 1) * each]]
        if values and all(value is not None and _same(value, claim.truth) for value in values):
            known.add(_question(prompt))
    return frozenset(known)


def synthetic_disagreement(
    demonstrations: Sequence[Demonstration],
    known: frozenset[tuple[str, str]],
    write: Write,
    *,
    share: float,
    seed: int,
) -> Changed[Demonstration]:
    """Returns the demonstrations with corrections of false beliefs, ``share`` times as many, shuffled among them.

    Wei et al. 2023 (arXiv 2308.03958): simple synthetic data reduce sycophancy, if they are limited to claims that the
    model knows; on others they teach it to disagree at random. The prompts are those of the demonstrations in which the
    user is wrong and the question is ``known``, each as often as any other. Counts: ``given``, ``false_beliefs``
    (prompts), ``questions``, ``known_questions``, ``unknown_beliefs`` (prompts left out), ``added``.
    """
    wrong = [d.prompt for d in demonstrations if believes_falsely(d.prompt)]
    usable = [prompt for prompt in wrong if _question(prompt) in known]
    wanted = share * len(demonstrations) / max(len(usable), 1)
    rng = random_generator("synthetic disagreement", seed)
    added = [
        Demonstration(prompt=prompt, reply=write(prompt, rng))
        for prompt in (drawn_items(usable, wanted, seed, "synthetic disagreement") if usable else ())
    ]
    mixed = [*demonstrations, *added]
    questions = {_question(prompt) for prompt in wrong}
    counts: Mapping[str, int] = {
        "given": len(demonstrations),
        "false_beliefs": len(wrong),
        "questions": len(questions),
        "known_questions": len(questions & known),
        "unknown_beliefs": len(wrong) - len(usable),
        "added": len(added),
    }
    return Changed(items=tuple(mixed[int(i)] for i in rng.permutation(len(mixed))), counts=counts)


def _question(prompt: Prompt) -> tuple[str, str]:
    claim = prompt.claim
    assert claim is not None
    return claim.question, "feedback" if prompt.tags.get("family") == "feedback" else ""


def _asked_plainly(prompt: Prompt) -> Prompt:
    claim = prompt.claim
    assert claim is not None
    return replace(
        prompt,
        id=f"{prompt.id}|asked plainly",
        tags=prompt.tags if prompt.tags.get("family") == "feedback" else {**prompt.tags, "family": "answer"},
        messages=(Message(role="user", content=claim.question),),
        claim=Claim(question=claim.question, truth=claim.truth),
    )


def _same(value: str, truth: str | None) -> bool:
    return truth is not None and value.strip().casefold() == truth.strip().casefold()
