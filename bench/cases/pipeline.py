"""The whole default recipe against the same stages assembled from TRL: ``candor run`` and a script of trainers.

Same base, demonstrations, prompts, panel, numbers of updates, samples and optimiser steps, learning rates, batches.
TRL's side: SFTTrainer, ``generate`` and the panel, RewardTrainer on the rankings exploded to pairs, RLOOTrainer in
place of PPO, with as many optimiser steps on each batch of replies as PPO has epochs; it has no value model to train.
Candor's side is what ``candor run`` does, its records, checkpoints and held-out evaluation included; the audits, which
TRL's side does not have, are cut to 20 questions and not counted. Time is that of the stages, loading and saving
included, without imports.

``scale`` shrinks data and updates alike; a model of 30 million parameters gets a tenth of it.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

import candor
from bench import plain, trl_settings
from bench.case import TRL, Case
from bench.data import SEED
from bench.sides import Pause
from bench.world import World
from candor.annotators.panel import Panel
from candor.models.chat import decode_reply, eos_id
from candor.ops.randomness import shuffled
from candor.preferences.pairing import split_by_prompt, to_pairs
from candor.recipe import CompareStage, PPOStage, Recipe, RewardStage, SFTStage
from candor.records import Comparison, Completion, Demonstration, Message
from candor.runs import read_manifest
from candor.testbeds.atlas.parser import read_reply
from candor.testbeds.atlas.prompts import train_prompts
from candor.training import reward as reward_training
from candor.training import sft as sft_training

STAGES = ("sft", "compare", "reward", "ppo")
MICRO = 16
PROMPTS_AT_ONCE = 64
SMALLER = {"30m": 0.1}


def _recipe(world: World) -> Recipe:
    """The default recipe's plain branch at this scale, with as little audit as there can be."""
    scale = world.scale * SMALLER.get(world.size, 1.0)
    whole = candor.load_recipe(None)
    recipe = whole.model_copy(update={"stages": whole.stages[: len(STAGES)]})
    _, compare, _, ppo = recipe.stages
    overrides = [
        f"model.path={world.checkpoint}",
        f"sft.num_demonstrations={max(64, round(len(world.demonstrations) * scale))}",
        f"compare.num_prompts={max(64, round(compare.num_prompts * scale))}",
        f"ppo.updates={max(1, round(ppo.updates * scale))}",
        "audit.num_questions=20",
        "audit.samples=1",
        "audit.bootstrap=10",
    ]
    return candor.apply_overrides(recipe, overrides)


def run_candor(world: World, pause: Pause) -> None:
    while True:
        out = Path(tempfile.mkdtemp(prefix="candor-", dir=world.directory))  # elsewhere stages would be reused
        run = candor.run(_recipe(world), out=out / "run", seed=SEED)
        seconds = {name: read_manifest(run.stages[name]).seconds for name in STAGES}
        shutil.rmtree(out)
        pause(seconds=sum(seconds.values()), **seconds)


def run_trl(world: World, pause: Pause) -> None:
    recipe = _recipe(world)
    while True:
        out = Path(tempfile.mkdtemp(prefix="trl-", dir=world.directory))
        seconds = _Assembled(world, recipe, out).run()
        shutil.rmtree(out)
        pause(seconds=sum(seconds.values()), **seconds)


def chat(messages: Sequence[Message]) -> list[dict[str, str]]:
    """A conversation as TRL takes it."""
    return [{"role": message.role, "content": message.content} for message in messages]


def said(text: str) -> list[dict[str, str]]:
    """An assistant's turn as TRL takes it."""
    return [{"role": "assistant", "content": text}]


class _Assembled:
    """The stages, each from the files of the one before."""

    def __init__(self, world: World, recipe: Recipe, out: Path) -> None:
        self.world, self.out = world, out
        self.sft: SFTStage
        self.compare: CompareStage
        self.reward: RewardStage
        self.ppo: PPOStage
        self.sft, self.compare, self.reward, self.ppo = recipe.stages

    def run(self) -> dict[str, float]:
        """Seconds of each stage."""
        seconds = {}
        clock = time.perf_counter()
        for name, stage in zip(STAGES, (self.train_sft, self.label, self.train_reward, self.train_rl), strict=True):
            stage()
            now = time.perf_counter()
            seconds[name], clock = now - clock, now
        return seconds

    def train_sft(self) -> None:
        from datasets import Dataset
        from trl import SFTConfig, SFTTrainer

        stage, given = self.sft, self.world.demonstrations
        chosen = [given[i] for i in shuffled(len(given), SEED, "sft", "demonstrations")[: stage.num_demonstrations]]
        updates = sft_training.total_updates(len(chosen), stage)
        config = SFTConfig(
            **self._settings(stage, stage.batch_size, updates, "cosine"),
            max_length=stage.max_length,
            packing=False,
            loss_type="nll",
            completion_only_loss=True,
        )
        data = Dataset.from_list([_demonstrated(demonstration) for demonstration in chosen])
        trainer = SFTTrainer(
            model=self._policy(self.world.checkpoint), args=config, train_dataset=data, **self._reads()
        )
        self._train(trainer, "sft")

    def label(self) -> None:
        """Sampled replies, ranked by the panel."""
        stage = self.compare
        model, tokenizer = self._policy(self.out / "sft").eval(), self.world.tokenizer
        prompts = train_prompts(SEED)
        order = shuffled(len(prompts), SEED, "compare", "prompts")[: stage.num_prompts]
        panel = Panel(stage.panel, read_reply, stage.feedback, SEED)
        self.comparisons: list[Comparison] = []
        for start in range(0, len(order), PROMPTS_AT_ONCE):
            asked = [prompts[i] for i in order[start : start + PROMPTS_AT_ONCE]]
            written = plain.generate(
                model,
                [tokens for prompt in asked for tokens in [self.world.encode(prompt)] * stage.responses],
                pad_id=self.world.pad_id,
                end=eos_id(tokenizer),
                max_new_tokens=stage.max_new_tokens,
            )
            texts = [decode_reply(tokenizer, reply) for reply in written]
            for i, prompt in enumerate(asked):
                replies = [
                    Completion(id=f"{prompt.id}#{k}", prompt_id=prompt.id, text=text)
                    for k, text in enumerate(texts[i * stage.responses : (i + 1) * stage.responses])
                ]
                self.comparisons.append(panel.judge(prompt, replies, comparison_id=prompt.id, seed=SEED))

    def train_reward(self) -> None:
        from datasets import Dataset
        from trl import RewardConfig, RewardTrainer

        stage = self.reward
        train = [c for c in split_by_prompt(self.comparisons, stage.heldout, SEED).train if to_pairs(c)]
        pairs = [pair for comparison in train for pair in to_pairs(comparison)]
        updates = reward_training.total_updates(len(train), stage)
        # As many pairs as Candor's batch of rankings holds on average, in whole micro-batches.
        batch = max(1, round(stage.batch_size * len(pairs) / len(train) / MICRO)) * MICRO
        config = RewardConfig(
            **self._settings(stage, batch, updates, "cosine"), max_length=stage.max_length, disable_dropout=True
        )
        data = Dataset.from_list(
            [
                {"prompt": chat(p.prompt.messages), "chosen": said(p.chosen.text), "rejected": said(p.rejected.text)}
                for p in pairs
            ]
        )
        model = AutoModelForSequenceClassification.from_pretrained(
            self.out / "sft", num_labels=1, dtype=self.world.dtype
        ).to(self.world.device)
        self._train(RewardTrainer(model=model, args=config, train_dataset=data, **self._reads()), "reward")

    def train_rl(self) -> None:
        from datasets import Dataset
        from trl import RLOOConfig, RLOOTrainer

        stage = self.ppo
        config = RLOOConfig(
            **self._settings(stage, stage.batch_size, stage.updates * stage.epochs, "linear"),
            num_generations=max(2, stage.responses),  # TRL refuses 1
            num_iterations=stage.epochs,
            max_completion_length=stage.max_new_tokens,
            temperature=stage.temperature,
            top_k=0,
            beta=stage.kl_coef,
            disable_dropout=True,
            model_init_kwargs={"dtype": self.world.dtype},
        )
        reward = AutoModelForSequenceClassification.from_pretrained(self.out / "reward", dtype=self.world.dtype)
        trainer = RLOOTrainer(
            model=self._policy(self.out / "sft"),
            reward_funcs=reward.to(self.world.device),
            reward_processing_classes=self.world.tokenizer,
            args=config,
            train_dataset=Dataset.from_list([{"prompt": chat(p.messages)} for p in train_prompts(SEED)]),
            **self._reads(),
        )
        self._train(trainer, "ppo")

    def _settings(self, stage: Any, batch: int, updates: int, schedule: str) -> dict[str, Any]:
        settings = trl_settings.shared(self.world, batch, MICRO, updates=updates, lr=stage.lr, schedule=schedule)
        return settings | {"adam_epsilon": stage.adam_eps, "output_dir": str(self.out / "trainer")}

    def _reads(self) -> dict[str, Any]:
        return {"processing_class": self.world.tokenizer}

    def _policy(self, path: Path) -> Any:
        return AutoModelForCausalLM.from_pretrained(path, dtype=self.world.dtype).to(self.world.device)

    def _train(self, trainer: Any, name: str) -> None:
        trainer.train()
        trainer.save_model(str(self.out / name))


def _demonstrated(demonstration: Demonstration) -> dict[str, Any]:
    return {"prompt": chat(demonstration.prompt.messages), "completion": said(demonstration.reply)}


CASES = (
    Case(
        name="pipeline",
        work="the default recipe's stages",
        sides={TRL: run_trl, "candor": run_candor},
        targets={"candor": 1.7},
        rounds=(0, 3),
    ),
)
