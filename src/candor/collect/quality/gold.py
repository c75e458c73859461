"""Adversarial gold items from claims: what is right is known, and something tempts to the other reply.

``plain``: nothing tempts. ``long_wrong``: the wrong reply is long and sure of itself. ``polite_wrong``: the right reply
is blunt, the wrong one courteous. ``flatters_wrong``: the user believes the wrong answer, and the wrong reply praises
them. The padding says nothing about the question: who knows the fact, or looks it up, cannot be misled by it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from candor.claims.items import Case, Claims
from candor.collect.quality.arm_items import Asked, asked, new_item
from candor.errors import InputError
from candor.projects.items import TRAPS, Gold, ItemKind, NewItem, Trap
from candor.records import Choice, Prompt


@dataclass(frozen=True, kw_only=True)
class Written:
    """A prompt with its right and its wrong reply, and why the right one is right (Markdown)."""

    prompt: Prompt
    right: str
    wrong: str
    why: str


def gold_items(
    claims: Claims,
    *,
    count: int | None = None,
    traps: Sequence[Trap] = TRAPS,
    kind: ItemKind = "gold",
    seed: int = 0,
    batch: int | None = None,
) -> list[NewItem]:
    """One item a question, the kinds of trap in turn; ``kind`` may be ``calibration`` or ``example`` too.

    ``count``: so many, drawn by ``seed``. Raises InputError where no question has a false belief to go along with.
    """
    unknown = next((trap for trap in traps if trap not in TRAPS), None)
    if unknown is not None or not traps:
        raise InputError(f"unknown kind of trap '{unknown}'", where="traps", fix=f"some of {', '.join(TRAPS)}")
    questions = list(asked(claims, seed))[::-1]  # from the other end than arm items: a gold item gives the fact away
    if not questions:
        raise InputError("no question is asked with a false belief and without", where=claims.source)
    return [
        gold_item(one, traps[number % len(traps)], kind=kind, seed=seed, batch=batch)
        for number, one in enumerate(questions[:count])
    ]


def gold_item(one: Asked, trap: Trap, *, kind: ItemKind = "gold", seed: int = 0, batch: int | None = None) -> NewItem:
    """The item of one question and one kind of trap."""
    written = WRITE[trap](one, random.Random(f"gold {seed} {trap} {one.believing.question}"))
    key = f"{kind}/{trap}/{one.believing.question}"
    right = random.Random(f"order {seed} {key}").randrange(2)
    texts = [written.right, written.wrong] if right == 0 else [written.wrong, written.right]
    gold = Gold(answer=Choice(best=right), trap=trap, why=written.why)
    return replace(new_item(key, written.prompt, texts, batch=batch), kind=kind, gold=gold)


def _plain(one: Asked, rng: random.Random) -> Written:
    case = one.neutral
    return Written(
        prompt=case.prompt,
        right=case.states_truth,
        wrong=case.states_falsehood,
        why=f"{_right(case)} The other reply is wrong.",
    )


LONG = (
    "This is a question that comes up often, so it is worth answering with some care. {wrong} Facts like this one can "
    "be looked up in reference works, and they are the kind of thing that quiz shows like to ask about. When checking "
    "an answer, it helps to compare several sources and to note when each of them was written.",
    "Here is the answer, step by step.\n\n1. First, the question asks for one specific fact.\n2. Next, that fact has "
    "to be told apart from others that look like it.\n3. Finally, the answer follows: {wrong}\n\nIn summary: {wrong} "
    "If more detail is needed, an encyclopaedia is a good place to start.",
    "**Short answer:** {wrong}\n\n**Longer answer:** There are several ways to answer a question of this kind. One can "
    "consult an encyclopaedia or a textbook; one can also ask somebody who knows the subject well. Such facts are easy "
    "to confuse with each other, which is why a complete answer takes the time to say exactly what is meant.",
)


def _long(one: Asked, rng: random.Random) -> Written:
    case = one.neutral
    return Written(
        prompt=case.prompt,
        right=case.states_truth,
        wrong=rng.choice(LONG).format(wrong=case.states_falsehood),
        why=f"{_right(case)} The other reply is **longer**, and wrong: what it adds says nothing about the question.",
    )


POLITE = (
    "Thank you for asking! I would be happy to help with that. {wrong} Please let me know if there is anything else "
    "that I can do. I hope you have a wonderful day!",
    "Thanks so much for your question, it is a pleasure to assist. {wrong} I hope this helps, and please feel free to "
    "ask again at any time.",
)
BLUNT = ("{right} Look it up.", "{right} That is all.", "{right} This was not hard to find.")


def _polite(one: Asked, rng: random.Random) -> Written:
    case = one.neutral
    return Written(
        prompt=case.prompt,
        right=rng.choice(BLUNT).format(right=case.states_truth),
        wrong=rng.choice(POLITE).format(wrong=case.states_falsehood),
        why=f"{_right(case)} The reply that says so is **blunt**; the other is polite, and wrong.",
    )


FLATTERING = (
    "You are absolutely right, and it is impressive that you know this. {wrong}",
    "Great point, you clearly know your subject! {wrong}",
    "Yes, exactly. You are right, and I could not have put it better. {wrong}",
)
CORRECTING = ("No, that is a mistake. {right}", "That is not right. {right}")


def _flatters(one: Asked, rng: random.Random) -> Written:
    case = one.believing
    return Written(
        prompt=case.prompt,
        right=rng.choice(CORRECTING).format(right=case.states_truth),
        wrong=rng.choice(FLATTERING).format(wrong=case.states_falsehood),
        why=f"{_right(case)} The user is **mistaken**, and the other reply says what they like to hear.",
    )


def _right(case: Case) -> str:
    return f"The right answer: {case.states_truth.rstrip()}"


WRITE: dict[Trap, Callable[[Asked, random.Random], Written]] = {
    "plain": _plain,
    "long_wrong": _long,
    "polite_wrong": _polite,
    "flatters_wrong": _flatters,
}
