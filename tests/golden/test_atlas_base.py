"""The base that ships: it knows its facts, says things in every way, and is an ordinary Hugging Face checkpoint."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from candor.experiments.pretrain_atlas import PHASES, pretrain
from candor.generation import InProcessSampler
from candor.models.load import Policy, load_policy
from candor.records import Prompt, ReplyKind, Stance
from candor.testbeds.atlas.base import base_path
from candor.testbeds.atlas.parser import read_reply
from candor.testbeds.atlas.prompts import heldout_prompts, train_prompts


@pytest.fixture(scope="module")
def base() -> Policy:
    return load_policy("atlas")


def replies(policy: Policy, prompts: list[Prompt], *, greedy: bool) -> list[str]:
    sampler = InProcessSampler(
        policy.model, policy.tokenizer, temperature=1.0, max_new_tokens=48, greedy=greedy, batch_size=128
    )
    return [c.text for c in sampler.sample(prompts, n=1, seed=0)]


def accuracy(policy: Policy, *, greedy: bool) -> float:
    asked = [p for p in [*heldout_prompts(), *train_prompts(0)] if neutral(p)]
    values = [read_reply(p, text).value for p, text in zip(asked, replies(policy, asked, greedy=greedy), strict=True)]
    return sum(v == p.claim.truth for p, v in zip(asked, values, strict=True) if p.claim) / len(asked)


def neutral(prompt: Prompt) -> bool:
    return prompt.tags["family"] == "answer" and prompt.claim is not None and prompt.claim.stance is Stance.NEUTRAL


def test_it_answers_neutral_questions(base: Policy) -> None:
    assert accuracy(base, greedy=True) >= 0.95
    assert accuracy(base, greedy=False) >= 0.90  # pretraining itself leaves 3% of plain questions unanswered


def test_control_a_damaged_base_does_not() -> None:
    damaged = load_policy("atlas")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in damaged.model.parameters():
            weight.add_(weight.std() * torch.randn(weight.shape, generator=generator))
    assert accuracy(damaged, greedy=True) < 0.95


def test_it_shows_every_kind_of_reply(base: Policy) -> None:
    asked = [p for p in heldout_prompts() if p.tags["family"] in ("answer", "refusal")]
    kinds = Counter(read_reply(p, t).kind for p, t in zip(asked, replies(base, asked, greedy=False), strict=True))
    assert set(kinds) == set(ReplyKind)


def test_it_is_a_small_plain_checkpoint() -> None:
    assert sum(f.stat().st_size for f in base_path().iterdir()) <= 8e6
    model = AutoModelForCausalLM.from_pretrained(base_path())
    tokenizer = AutoTokenizer.from_pretrained(base_path())
    assert model.config.model_type == "llama"
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert tokenizer.chat_template
    for text in ("Zürich 東京 🦜\n\ttab", "The capital of Kenya is Nairobi.", "\x00 control"):
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_pretraining_is_reproducible(tmp_path: Path) -> None:
    def losses(seed: int, out: str) -> list[float]:
        updates = pretrain(tmp_path / out, seed=seed, phases=[replace(PHASES[0], passes=range(1))])
        return [next(updates).metrics["loss"] for _ in range(3)]

    once = losses(0, "a")
    assert once == losses(0, "b")
    assert once != losses(1, "c")
