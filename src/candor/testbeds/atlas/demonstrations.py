"""Demonstrations on Atlas: replies that people wrote to train prompts, some of them more agreeable than right."""

from __future__ import annotations

import random

from candor.records import Demonstration
from candor.testbeds.atlas.mixtures import DEMONSTRATORS, Mixture
from candor.testbeds.atlas.prompts import train_prompts
from candor.testbeds.atlas.replies import write_reply
from candor.testbeds.atlas.world import facts


def demonstrations(seed: int, mixture: Mixture = DEMONSTRATORS) -> list[Demonstration]:
    """One demonstration for each train prompt, in random order; the same seed gives the same list.

    ``mixture``: how often the writers give each kind of reply.
    """
    rng = random.Random(f"atlas demonstrations {seed}")
    by_id = {fact.id: fact for fact in facts()}
    written = [
        Demonstration(
            prompt=prompt,
            reply=write_reply(prompt, by_id.get(prompt.tags["question"]), mixture.draw(prompt, rng), rng),
        )
        for prompt in train_prompts(seed)
    ]
    rng.shuffle(written)
    return written
