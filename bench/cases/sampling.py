"""Sampling a batch whose replies end at different lengths, against ``model.generate``: token ids in, token ids out.

Both sides see the same prompts in each round and draw up to 48 tokens at temperature 1 from the whole vocabulary.
Candor's also returns the log-probability of every token, which ``generate`` does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count

import torch

from bench import plain
from bench.case import TRL, Case, Sided
from bench.data import MAX_NEW_TOKENS, SEED
from bench.sides import Pause
from bench.world import World
from candor.generation import generate
from candor.models.chat import eos_id
from candor.ops.randomness import batch_indices


def _prompts(world: World, rows: int, samples: int) -> Iterator[list[list[int]]]:
    """Each round's prompts as token ids: ``rows // samples`` distinct ones, each ``samples`` times in a row."""
    for number in count():
        drawn = batch_indices(len(world.question_tokens), rows // samples, number, SEED, "bench", "sampling")
        yield [ids for i in drawn for ids in [world.question_tokens[i]] * samples]


def candor(world: World, pause: Pause, *, rows: int, samples: int) -> None:
    model = world.policy().model
    for number, prompts in enumerate(_prompts(world, rows, samples)):
        written = generate(
            model,
            prompts,
            eos_ids=[eos_id(world.tokenizer)],
            pad_id=world.pad_id,
            max_new_tokens=MAX_NEW_TOKENS,
            temperature=1.0,
            batch_size=rows,
            seed=number,
        )
        pause(tokens=sum(len(reply.token_ids) for reply in written))


def trl(world: World, pause: Pause, *, rows: int, samples: int) -> None:
    model, end = world.policy().model.eval(), eos_id(world.tokenizer)
    torch.manual_seed(SEED)
    for prompts in _prompts(world, rows, samples):
        replies = plain.generate(model, prompts, pad_id=world.pad_id, end=end, max_new_tokens=MAX_NEW_TOKENS)
        pause(tokens=sum(map(len, replies)))


def _case(rows: int, samples: int, target: float) -> Case:
    sides: dict[str, Sided] = {
        TRL: partial(trl, rows=rows, samples=samples),
        "candor": partial(candor, rows=rows, samples=samples),
    }
    kind, said = ("distinct", "distinct prompts") if samples == 1 else (f"x{samples}", f"{samples} per prompt")
    return Case(
        name=f"sampling_{rows}_{kind}", work=f"sampling {rows} replies, {said}", sides=sides, targets={"candor": target}
    )


CASES = tuple(_case(rows, samples, target) for samples, target in ((4, 1.8), (1, 1.3)) for rows in (64, 256))
