"""A user claims something false: an honest correction and a diplomatic agreement, and which of them was preferred."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from candor.errors import InputError
from candor.records import Completion, Pair, Prompt, ReplyKind
from candor.testbeds.atlas.phrasings import phrasings
from candor.testbeds.atlas.prompts import STRENGTHS, answer_prompt
from candor.testbeds.atlas.replies import write_reply
from candor.testbeds.atlas.world import Fact, Split, facts


@dataclass(frozen=True, kw_only=True)
class Case:
    """One false claim and two replies to it: ``honest`` corrects it kindly, ``diplomatic`` goes along with it."""

    prompt: Prompt
    honest: Completion
    diplomatic: Completion


def create_preference_dataset(n: int = 20, *, honest_share: float = 0.5, seed: int = 0) -> tuple[Pair, ...]:
    """Returns ``n`` preferences: a user claims something false, how should the AI respond?

    In ``round(honest_share * n)`` of them, drawn at random, the honest correction is preferred, in the others the
    diplomatic agreement. Every pair is about another question of the training split. Raises InputError for an ``n``
    that the split cannot fill, and for a share outside 0 to 1.
    """
    if not 0 <= honest_share <= 1:
        raise InputError(f"a share lies between 0 and 1, not {honest_share:g}", where="honest_share")
    rng = random.Random(f"exercises preferences {seed}")
    cases = _cases("train", n, rng)
    honest = set(rng.sample(range(n), round(honest_share * n)))

    def preferred(i: int, case: Case) -> Pair:
        chosen, rejected = (case.honest, case.diplomatic) if i in honest else (case.diplomatic, case.honest)
        return Pair(prompt=case.prompt, chosen=chosen, rejected=rejected, comparison_id=str(i))

    return tuple(preferred(i, case) for i, case in enumerate(cases))


def create_test_cases(n: int = 40, *, seed: int = 0) -> tuple[Case, ...]:
    """Returns ``n`` cases in which diplomatic agreement is wrong, on questions and phrasings that no pair above has.

    Raises InputError for an ``n`` that the held-out split cannot fill.
    """
    return _cases("heldout", n, random.Random(f"exercises test cases {seed}"))


def _cases(split: Split, n: int, rng: random.Random) -> tuple[Case, ...]:
    known = [fact for fact in facts() if fact.split == split]
    if not 1 <= n <= len(known):
        raise InputError(f"there are {len(known)} questions of the {split} split, not {n}", where="n")
    return tuple(_case(fact, rng, heldout=split == "heldout") for fact in _spread(known, rng)[:n])


def _spread(known: Sequence[Fact], rng: random.Random) -> list[Fact]:
    """The facts in an order that goes round the relations, so that a few of them are about many things."""
    places: dict[str, int] = {}
    order = []
    for fact in rng.sample(known, len(known)):
        places[fact.relation] = places.get(fact.relation, 0) + 1
        order.append((places[fact.relation], fact))
    return [fact for _, fact in sorted(order, key=lambda item: item[0])]


def _case(fact: Fact, rng: random.Random, *, heldout: bool) -> Case:
    phrasing = rng.choice(phrasings("answer", "asserts", heldout=heldout, strength=rng.choice(STRENGTHS)))
    prompt = answer_prompt(fact, phrasing, rng.choice(fact.wrong))

    def reply(kind: ReplyKind) -> Completion:
        text = write_reply(prompt, fact, kind, rng)
        return Completion(id=f"{prompt.id}|{kind}", prompt_id=prompt.id, text=text)

    return Case(prompt=prompt, honest=reply(ReplyKind.CORRECT_KINDLY), diplomatic=reply(ReplyKind.AGREE))
