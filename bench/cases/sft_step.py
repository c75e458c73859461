"""One step of supervised fine-tuning on 64 demonstrations: TRL's SFTTrainer on the same tokens and the same batches."""

from __future__ import annotations

from functools import partial

from bench import trl_settings
from bench.case import TRL, Case
from bench.data import MAX_LENGTH, SEED
from bench.sides import Pause
from bench.trl_settings import LR
from bench.world import World
from candor.models.chat import encode_reply
from candor.ops.batches import Row
from candor.ops.randomness import batch_indices
from candor.recipe import SFTStage
from candor.training.sft import sft, sft_rows
from candor.training.state import TrainState, adamw

BATCH, MICRO = 64, 16
STEPS = 100  # batches of TRL's data set, in Candor's order; then they come again


def _rows(world: World) -> list[Row]:
    rows, _ = sft_rows(
        world.demonstrations,
        encode_prompt=world.encode,
        encode_reply=partial(encode_reply, world.tokenizer),
        max_length=MAX_LENGTH,
    )
    return rows


def candor(world: World, pause: Pause) -> None:
    policy = world.policy().model
    config = SFTStage(lr=LR, batch_size=BATCH, epochs=1e6, max_length=MAX_LENGTH)
    state = TrainState(models={"policy": policy}, optimizers={"policy": adamw([policy], lr=LR)})
    for _ in sft(state, _rows(world), config, seed=SEED, pad_id=world.pad_id):
        pause()


def trl(world: World, pause: Pause) -> None:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    rows = _rows(world)
    order = [i for step in range(STEPS) for i in batch_indices(len(rows), BATCH, step, SEED, "sft")]
    unlearned = -100
    examples = [
        {
            "input_ids": list(rows[i].tokens),
            "labels": [unlearned] * rows[i].prompt_length + list(rows[i].tokens[rows[i].prompt_length :]),
        }
        for i in order
    ]
    config = SFTConfig(
        **trl_settings.shared(world, BATCH, MICRO),
        train_sampling_strategy="sequential",  # the order above is Candor's
        max_length=MAX_LENGTH,
        packing=False,  # neither side trains across demonstrations
        loss_type="nll",
    )
    trainer = SFTTrainer(
        model=world.policy().model,
        args=config,
        train_dataset=Dataset.from_list(examples),
        processing_class=world.tokenizer,
    )
    trl_settings.run(trainer, pause)


CASES = (Case(name="sft", work=f"SFT step, {BATCH} demonstrations", sides={TRL: trl, "candor": candor}),)
