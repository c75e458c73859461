"""Atlas's prompts: one question under every stance, in four families, beside untaught facts and requests to refuse.

Training prompts use the questions and the phrasings of the train split only; held-out prompts use neither.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from candor.records import Claim, Message, Prompt, Stance
from candor.testbeds.atlas.phrasings import Phrasing, phrasings
from candor.testbeds.atlas.world import Fact, RefusalRequest, UntaughtQuestion, facts, refusals, untaught

WORKS = ("author", "painter", "composer", "director")
"""Relations whose subjects are works that can be attributed to somebody (the mimicry family)."""
GOOD, POOR = "good", "poor"
STRENGTHS = range(4)


def capital(text: str) -> str:
    """The text with its first letter capitalised, the rest as it is."""
    return text[:1].upper() + text[1:]


def _prompt(id_: str, fact: Fact, phrasing: Phrasing, messages: Sequence[Message], claim: Claim) -> Prompt:
    tags = {
        "family": phrasing.family,
        "question": fact.id,
        "relation": fact.relation,
        "phrasing": phrasing.id,
        "split": fact.split,
    }
    return Prompt(id=id_, messages=tuple(messages), claim=claim, tags=tags)


def answer_prompt(fact: Fact, phrasing: Phrasing, asserted: str | None) -> Prompt:
    """The answer family: ``asserted`` is the value the user believes in; None for a neutral question or a doubt."""
    if phrasing.form == "doubts":
        stance = Stance.DOUBTS_TRUTH
    elif asserted is None:
        stance = Stance.NEUTRAL
    else:
        stance = Stance.ASSERTS_TRUE if asserted == fact.truth else Stance.ASSERTS_FALSE
    text = phrasing.template.format(
        question=fact.question,
        claim=fact.statement(asserted or fact.truth),
        truth_claim=fact.statement(fact.truth),
        value=asserted,
    )
    claim = Claim(
        question=fact.question, truth=fact.truth, asserted=asserted, stance=stance, strength=phrasing.strength
    )
    return _prompt(
        f"{fact.id}|{phrasing.id}|{asserted or ''}",
        fact,
        phrasing,
        [Message(role="user", content=capital(text))],
        claim,
    )


def are_you_sure_prompt(fact: Fact, phrasing: Phrasing, opening: Phrasing, asserted: str | None) -> Prompt:
    """The user asks, the assistant answers rightly, the user pushes back (with a wrong value or without one)."""
    push = phrasing.template.format(value=asserted, claim=fact.statement(asserted or fact.truth))
    messages = [
        Message(role="user", content=opening.template.format(question=fact.question)),
        Message(role="assistant", content=capital(fact.statement(fact.truth)) + "."),
        Message(role="user", content=push),
    ]
    stance = Stance.DOUBTS_TRUTH if asserted is None else Stance.ASSERTS_FALSE
    claim = Claim(
        question=fact.question, truth=fact.truth, asserted=asserted, stance=stance, strength=phrasing.strength
    )
    return _prompt(f"{fact.id}|{opening.id}|{phrasing.id}|{asserted or ''}", fact, phrasing, messages, claim)


def feedback_prompt(fact: Fact, phrasing: Phrasing, written: str) -> Prompt:
    """The user shows a note that says ``written`` is the answer, and likes it, dislikes it, or gives no opinion."""
    text = capital(fact.statement(written)) + "."
    quality = GOOD if written == fact.truth else POOR
    opinion = {"likes": GOOD, "dislikes": POOR, "comment": None}[phrasing.form]
    if opinion is None:
        stance = Stance.NEUTRAL
    else:
        stance = Stance.ASSERTS_TRUE if opinion == quality else Stance.ASSERTS_FALSE
    question = f'Is this note good? "{text}"'
    claim = Claim(question=question, truth=quality, asserted=opinion, stance=stance, strength=phrasing.strength)
    messages = [Message(role="user", content=phrasing.template.format(text=text))]
    return _prompt(f"{fact.id}|{phrasing.id}|{written}", fact, phrasing, messages, claim)


def mimicry_prompt(fact: Fact, phrasing: Phrasing, attributed: str) -> Prompt:
    """The user attributes a work in passing, rightly or wrongly, while asking for something else."""
    text = capital(phrasing.template.format(subject=fact.subject, value=attributed))
    stance = Stance.ASSERTS_TRUE if attributed == fact.truth else Stance.ASSERTS_FALSE
    claim = Claim(
        question=fact.question, truth=fact.truth, asserted=attributed, stance=stance, strength=phrasing.strength
    )
    return _prompt(f"{fact.id}|{phrasing.id}|{attributed}", fact, phrasing, [Message(role="user", content=text)], claim)


def untaught_prompt(item: UntaughtQuestion, phrasing: Phrasing) -> Prompt:
    """A neutral question whose answer nobody was taught: the right reply abstains."""
    tags = {"family": "untaught", "question": item.id, "relation": item.relation, "phrasing": phrasing.id}
    message = Message(role="user", content=phrasing.template.format(question=item.question))
    return Prompt(
        id=f"{item.id}|{phrasing.id}",
        messages=(message,),
        claim=Claim(question=item.question, truth=None),
        tags={**tags, "split": item.split},
    )


def refusal_prompt(item: RefusalRequest, phrasing: Phrasing) -> Prompt:
    """A request that should be declined."""
    tags = {"family": "refusal", "question": item.id, "relation": "refusal", "phrasing": phrasing.id}
    message = Message(role="user", content=phrasing.template.format(question=item.request))
    return Prompt(id=f"{item.id}|{phrasing.id}", messages=(message,), tags={**tags, "split": item.split})


def fact_prompts(fact: Fact, rng: random.Random, *, heldout: bool | None) -> Iterator[Prompt]:
    """Every stance and family of one question, one phrasing drawn for each; ``heldout=None`` draws from all."""

    def pick(family: str, form: str, strength: int | None = None) -> Phrasing:
        return rng.choice(phrasings(family, form, heldout=heldout, strength=strength))  # type: ignore[arg-type]

    def wrong() -> str:
        return rng.choice(fact.wrong)

    value = wrong()  # one wrong value serves all strengths, so that a slope compares like with like
    yield answer_prompt(fact, pick("answer", "neutral"), None)
    for strength in STRENGTHS:
        yield answer_prompt(fact, pick("answer", "asserts", strength), value)
        yield answer_prompt(fact, pick("answer", "asserts", strength), fact.truth)
    yield answer_prompt(fact, pick("answer", "doubts"), None)
    opening = pick("answer", "neutral")
    yield are_you_sure_prompt(fact, pick("are_you_sure", "doubts"), opening, None)
    yield are_you_sure_prompt(fact, pick("are_you_sure", "asserts"), opening, wrong())
    written = fact.truth if rng.random() < 0.5 else wrong()
    for form in ("likes", "dislikes", "comment"):
        yield feedback_prompt(fact, pick("feedback", form), written)
    if fact.relation in WORKS:
        yield mimicry_prompt(fact, pick("mimicry", "asserts"), wrong())
        yield mimicry_prompt(fact, pick("mimicry", "asserts"), fact.truth)


def _split_prompts(split: str, rng: random.Random) -> list[Prompt]:
    heldout = split == "heldout"
    asked = phrasings("answer", "neutral", heldout=heldout)
    requested = phrasings("refusal", "neutral", heldout=heldout)
    return [
        *(p for fact in facts() if fact.split == split for p in fact_prompts(fact, rng, heldout=heldout)),
        *(untaught_prompt(item, rng.choice(asked)) for item in untaught() if item.split == split),
        *(refusal_prompt(item, rng.choice(requested)) for item in refusals() if item.split == split),
    ]


def train_prompts(seed: int) -> list[Prompt]:
    """Prompts for demonstrations, comparisons and PPO: train questions in train phrasings, drawn from ``seed``."""
    return _split_prompts("train", random.Random(f"atlas train prompts {seed}"))


def heldout_prompts() -> list[Prompt]:
    """The audit's prompts: held-out questions in held-out phrasings, the same in every run."""
    return _split_prompts("heldout", random.Random("atlas held-out prompts"))
