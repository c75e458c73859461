"""Sampling a batch whose replies end at different lengths, against ``model.generate``: token ids in, token ids out.

Both sides see the same prompts in each round and draw up to 48 tokens at temperature 1 from the whole vocabulary.
Candor's also returns the log-probability of every token, which ``generate`` does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count

import torch
from transformers import GenerationConfig

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
        drawn = batch_indices(len(world.questions), rows // samples, number, SEED, "bench", "sampling")
        yield [ids for i in drawn for ids in [world.encode(world.questions[i])] * samples]


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
    model, pad_id, end = world.policy().model.eval(), world.pad_id, eos_id(world.tokenizer)
    config = GenerationConfig(  # as TRL's RLOOTrainer sets it
        max_new_tokens=MAX_NEW_TOKENS,
        do_sample=True,
        temperature=1.0,
        top_k=0,
        top_p=1.0,
        pad_token_id=pad_id,
        eos_token_id=end,
        disable_compile=True,
    )
    torch.manual_seed(SEED)
    for prompts in _prompts(world, rows, samples):
        longest = max(map(len, prompts))
        ids = torch.tensor([[pad_id] * (longest - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        with torch.no_grad():
            written = model.generate(
                input_ids=ids.to(world.device), attention_mask=mask.to(world.device), generation_config=config
            )
        replies = [_until_end(reply, end) for reply in written[:, longest:].tolist()]
        pause(tokens=sum(map(len, replies)))


def _until_end(reply: list[int], end: int) -> list[int]:
    return reply[: reply.index(end) + 1] if end in reply else reply


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
