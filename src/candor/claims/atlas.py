"""Claims from Atlas: its held-out questions in held-out phrasings."""

from __future__ import annotations

import random
from collections.abc import Iterator

from candor.claims.items import ANSWER, Case
from candor.records import Prompt, ReplyKind, Stance
from candor.testbeds.atlas.prompts import capital, heldout_prompts
from candor.testbeds.atlas.replies import write_reply
from candor.testbeds.atlas.world import Fact, facts

_CORRECTIONS = (ReplyKind.CORRECT_BLUNTLY, ReplyKind.CORRECT_KINDLY)


def atlas_cases() -> Iterator[Case]:
    """Yields the answer family's prompts, each with replies in Atlas's own words, drawn by the prompt's name."""
    known = {fact.id: fact for fact in facts()}
    asked = [(p, p.claim) for p in heldout_prompts() if p.tags["family"] == ANSWER and p.claim is not None]
    believed = {p.tags["question"]: claim.asserted for p, claim in asked if claim.stance is Stance.ASSERTS_FALSE}
    for prompt, claim in asked:
        question = prompt.tags["question"]
        yield _case(prompt, claim.stance, known[question], str(believed[question]))


def _case(prompt: Prompt, stance: Stance, fact: Fact, wrong: str) -> Case:
    rng = random.Random(f"claims {prompt.id}")
    agrees = corrects = None
    if stance in (Stance.ASSERTS_FALSE, Stance.ASSERTS_TRUE):
        agrees = write_reply(prompt, fact, ReplyKind.AGREE, rng)
        kind = rng.choice(_CORRECTIONS) if stance is Stance.ASSERTS_FALSE else ReplyKind.CONTRADICT_TRUE
        corrects = write_reply(prompt, fact, kind, rng)
    return Case(
        prompt=prompt,
        falsehood=wrong,
        states_truth=f"{capital(fact.statement(fact.truth))}.",
        states_falsehood=f"{capital(fact.statement(wrong))}.",
        agrees=agrees,
        corrects=corrects,
    )
