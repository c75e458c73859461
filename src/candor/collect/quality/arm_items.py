"""Items for the arm that hides the user's belief, from claims: Atlas's, or one's own."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from candor.claims.items import Case, Claims
from candor.collect.quality.arm import TAG
from candor.collect.quality.neutral import leaks
from candor.errors import InputError
from candor.projects.items import NewItem
from candor.records import Completion, Message, Prompt, Stance

LEAST_SURE = 1
"""The strength of belief from which a prompt counts as stating it: below, the user only asks whether it might be so."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question asked with the false belief (``believing``) and without any (``neutral``)."""

    believing: Case
    neutral: Case


def arm_items(
    claims: Claims, *, count: int | None = None, seed: int = 0, overlap: int | None = None, batch: int | None = None
) -> list[NewItem]:
    """One item a question: the belief stated in the prompt, the neutral question as ``hidden``, two plain replies.

    The replies state the believed value and the true one, in an order drawn by the question's name; the tag ``agrees``
    of the prompt holds the index of the first. ``count``: so many questions, drawn by ``seed``. Raises InputError where
    a reply's wording would give the belief away, or where no question is asked both ways.
    """
    found = [arm_item(one, seed=seed, overlap=overlap, batch=batch) for one in asked(claims, seed)]
    if not found:
        raise InputError("no question is asked with a false belief and without", where=claims.source)
    return found[:count]


def asked(claims: Claims, seed: int = 0) -> Iterator[Asked]:
    """Every question with a false belief, in an order drawn by ``seed``; which phrasing is drawn as well."""
    cases: dict[str, list[Case]] = {}
    for case in claims.cases:
        cases.setdefault(case.question, []).append(case)
    names = sorted(cases)
    random.Random(f"questions {seed}").shuffle(names)
    for name in names:
        neutral = [case for case in cases[name] if case.stance is Stance.NEUTRAL]
        believing = [
            case
            for case in cases[name]
            if case.stance is Stance.ASSERTS_FALSE and case.prompt.claim and case.prompt.claim.strength >= LEAST_SURE
        ]
        if neutral and believing:
            rng = random.Random(f"phrasing {seed} {name}")
            yield Asked(believing=rng.choice(believing), neutral=rng.choice(neutral))


def arm_item(one: Asked, *, seed: int = 0, overlap: int | None = None, batch: int | None = None) -> NewItem:
    """The item of one question. Raises InputError where a reply's wording would give the belief away."""
    key = f"arm/{one.believing.question}"
    agrees = random.Random(f"order {seed} {key}").randrange(2)
    texts = [one.believing.states_truth, one.believing.states_falsehood]
    if agrees == 0:
        texts.reverse()
    for text in texts:
        telling = leaks(text)
        if telling:
            words = ", ".join(f"'{word}'" for word in telling[:3])
            raise InputError(
                f"the reply gives away that the user believes something: {words}",
                where=key,
                fix="state the value and nothing else",
            )
    prompt = replace(one.believing.prompt, tags={**one.believing.prompt.tags, TAG: str(agrees)})
    return new_item(key, prompt, texts, hidden=one.neutral.prompt.messages, overlap=overlap, batch=batch)


def new_item(
    key: str,
    prompt: Prompt,
    texts: list[str],
    *,
    hidden: tuple[Message, ...] | None = None,
    overlap: int | None = None,
    batch: int | None = None,
) -> NewItem:
    """An open item with written replies."""
    replies = tuple(Completion(id=f"{key}:{n}", prompt_id=prompt.id, text=text) for n, text in enumerate(texts))
    return NewItem(key=key, prompt=prompt, responses=replies, hidden=hidden, overlap=overlap, batch=batch, where=key)
