"""One step of a reward model: on pairs, and on rankings of 7, which TRL can only take exploded to their 21 pairs each.

Both sides see the same comparisons in the same batches. The replies of one ranking all differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from bench import trl_settings
from bench.case import TRL, Case, Sided
from bench.data import MAX_LENGTH, SEED, exploded
from bench.sides import Pause
from bench.trl_settings import LR
from bench.world import World
from candor.models.chat import response_ids
from candor.ops.randomness import batch_indices
from candor.recipe import RewardStage
from candor.records import Comparison
from candor.training.ranked import rank_examples
from candor.training.reward import reward
from candor.training.state import TrainState, adamw

PAIRS, RANKINGS = 32, 8
MICRO_PAIRS = {False: 16, True: 21}  # of TRL, without and with rankings
STEPS = 60  # batches of TRL's data set, in Candor's order; then they come again


def _given(world: World, ranked: bool) -> tuple[Sequence[Comparison], int]:
    return (world.rankings, RANKINGS) if ranked else (world.pairs, PAIRS)


def candor(world: World, pause: Pause, *, ranked: bool) -> None:
    comparisons, batch = _given(world, ranked)
    model = world.reward().model
    examples = rank_examples(
        comparisons,
        encode_prompt=world.encode,
        encode_response=partial(response_ids, world.tokenizer),
        max_length=MAX_LENGTH,
    ).examples
    config = RewardStage(lr=LR, batch_size=batch, epochs=1e6, max_length=MAX_LENGTH)
    state = TrainState(models={"reward": model}, optimizers={"reward": adamw([model], lr=LR)})
    for _ in reward(state, examples, config, seed=SEED, pad_id=world.pad_id):
        pause()


def trl(world: World, pause: Pause, *, ranked: bool) -> None:
    from datasets import Dataset
    from trl import RewardConfig, RewardTrainer

    comparisons, batch = _given(world, ranked)
    order = [i for step in range(STEPS) for i in batch_indices(len(comparisons), batch, step, SEED, "reward")]
    examples = []
    for comparison in (comparisons[i] for i in order):
        prompt = world.encode(comparison.prompt)
        for chosen, rejected in exploded(comparison):
            both = (response_ids(world.tokenizer, response) for response in (chosen, rejected))
            chosen_ids, rejected_ids = ([*prompt, *reply] for reply in both)
            examples.append({"chosen_ids": chosen_ids, "rejected_ids": rejected_ids})
    config = RewardConfig(
        **trl_settings.shared(world, len(examples) // STEPS, MICRO_PAIRS[ranked]),
        train_sampling_strategy="sequential",  # the order above is Candor's
        max_length=MAX_LENGTH,
        disable_dropout=True,
        center_rewards_coefficient=None,
    )
    trainer = RewardTrainer(
        model=world.reward().model,
        args=config,
        train_dataset=Dataset.from_list(examples),
        processing_class=world.tokenizer,
    )
    trl_settings.run(trainer, pause)


def _sides(ranked: bool) -> dict[str, Sided]:
    return {TRL: partial(trl, ranked=ranked), "candor": partial(candor, ranked=ranked)}


CASES = (
    Case(name="reward_pairs", work=f"reward step, {PAIRS} pairs", sides=_sides(False), targets={"candor": 1.6}),
    Case(name="rankings7", work=f"reward step, {RANKINGS} rankings of 7", sides=_sides(True), targets={"candor": 8.0}),
)
