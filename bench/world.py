"""What a case is given: fresh models of one size, the tokenizer and the data, all read from the working directory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from bench import data
from bench.models import SIZES, build
from candor.models.chat import encode_prompt
from candor.models.load import Policy, Reward, load_policy, reward_from_policy, save_policy
from candor.records import Comparison, Demonstration, Prompt
from candor.testbeds.atlas.demonstrations import demonstrations

HEAD_SEED = 0


def use_offline() -> None:
    """No side looks anything up on the network while it is timed."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "false"}


def prepare(directory: Path, sizes: list[str]) -> None:
    """Writes checkpoints of the given sizes and the comparisons, for all processes of one run."""
    base = load_policy("atlas")
    for name in sizes:
        model = build(base.model, SIZES[name]).to(SIZES[name].dtype)
        save_policy(directory / name, Policy(model=model, tokenizer=base.tokenizer))
    base = load_policy("atlas")
    questions = data.train_questions()
    data.write_comparisons(directory / "pairs.jsonl", data.make_comparisons(base, questions, 2, data.PAIRS))
    data.write_comparisons(directory / "rankings.jsonl", data.make_comparisons(base, questions, 7, data.RANKINGS))


@dataclass(frozen=True, kw_only=True)
class World:
    """``policy`` and ``reward`` make a new copy at every call; what is cached is never changed."""

    directory: Path
    size: str
    scale: float = 1.0  # of the whole pipeline's data and updates

    @property
    def checkpoint(self) -> Path:
        return self.directory / self.size

    @property
    def device(self) -> torch.device:
        return torch.device("cuda" if SIZES[self.size].needs_cuda else "cpu")

    @property
    def dtype(self) -> torch.dtype:
        return SIZES[self.size].dtype

    def policy(self) -> Policy:
        loaded = load_policy(self.checkpoint)
        loaded.model.to(device=self.device, dtype=self.dtype)
        return loaded

    def reward(self) -> Reward:
        made = reward_from_policy(self.policy(), seed=HEAD_SEED)
        made.model.to(device=self.device, dtype=self.dtype)
        return made

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        return load_policy(self.checkpoint).tokenizer

    @property
    def pad_id(self) -> int:
        return int(self.tokenizer.pad_token_id)

    @cached_property
    def encode(self) -> partial[list[int]]:
        return partial(encode_prompt, self.tokenizer)

    @cached_property
    def questions(self) -> list[Prompt]:
        return data.train_questions()

    @cached_property
    def question_tokens(self) -> list[list[int]]:
        return [self.encode(question) for question in self.questions]

    @cached_property
    def demonstrations(self) -> list[Demonstration]:
        return demonstrations(data.SEED)

    @cached_property
    def pairs(self) -> list[Comparison]:
        return data.read_comparisons(self.directory / "pairs.jsonl")

    @cached_property
    def rankings(self) -> list[Comparison]:
        return data.read_comparisons(self.directory / "rankings.jsonl")
