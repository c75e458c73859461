"""Samples of one model scored by another: tokenizers of their own, samples that are kept, and what is kept for whom."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from candor.errors import InputError
from candor.experiments import forecast as experiment
from candor.experiments.forecast import Asked, chosen_prompts, drawn, settings_of_run
from candor.forecasting.samples import Samples
from candor.generation.sampler import InProcessSampler, Settings
from candor.models.load import Policy, Reward, reward_from_policy
from candor.models.scorer import RewardScorer
from candor.ops.randomness import step_seed
from candor.pipeline.context import model_source
from candor.pipeline.forecast_samples import MissingEos, draw
from candor.pipeline.progress import Silent
from candor.records import Claim, Completion, ParsedReply, Prompt, ReplyKind, Stance
from candor.runs import write_json
from tiny_models import tiny_llama, tiny_tokenizer, user_prompt

PROMPTS = [replace(user_prompt("Capital of Peru?", "a"), claim=None), user_prompt("Is it Lima?", "b")]


def read(prompt: Prompt, reply: str) -> ParsedReply:
    return ParsedReply(kind=ReplyKind.OTHER)


def with_another_tokenizer(reward: Reward) -> Reward:
    """The same model, behind a tokenizer whose letters have other ids."""
    tokenizer = tiny_tokenizer(spare=("<new>",))
    rows = reward.model.get_input_embeddings().weight.detach()
    model = reward_from_policy(Policy(model=tiny_llama(tokenizer), tokenizer=tokenizer), seed=0).model
    weights = dict(reward.model.state_dict())
    name = next(name for name, tensor in weights.items() if tensor.shape == rows.shape)
    weights[name] = torch.cat([rows[:5], torch.zeros(1, rows.shape[1]), rows[5:]])
    model.load_state_dict(weights)
    return Reward(model=model, tokenizer=tokenizer)


def test_models_with_different_tokenizers_meet_in_the_text() -> None:
    tokenizer = tiny_tokenizer()
    policy = Policy(model=tiny_llama(tokenizer, seed=1), tokenizer=tokenizer)
    reward = reward_from_policy(Policy(model=tiny_llama(tokenizer, seed=2), tokenizer=tokenizer), seed=3)
    other = with_another_tokenizer(reward)
    settings = Settings(temperature=1.0, max_new_tokens=5, greedy=False)
    found = draw(policy, settings, other, PROMPTS, read, None, samples=8, seed=4, tell=Silent())
    sampler = InProcessSampler(policy.model, tokenizer, temperature=1.0, max_new_tokens=5)
    replies = sampler.sample(PROMPTS, n=8, seed=step_seed(4, "forecast", 0))
    asked = [prompt for prompt in PROMPTS for _ in range(8)]

    def scores(one: Reward, given: list[Completion]) -> np.ndarray:
        return np.reshape(RewardScorer(one.model, one.tokenizer).score(asked, given), (2, 8))

    texts = [replace(reply, token_ids=()) for reply in replies]
    np.testing.assert_allclose(found.rewards, scores(reward, texts), atol=1e-5)
    # Control: the policy's tokens, taken for the other tokenizer's, would score otherwise.
    wrong = Reward(model=other.model, tokenizer=tokenizer)
    assert np.abs(scores(wrong, replies) - found.rewards).max() > 1e-2


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Stands in for the models: counts how often samples are drawn."""
    calls: list[int] = []
    tokenizer = tiny_tokenizer()
    policy = Policy(model=tiny_llama(tokenizer), tokenizer=tokenizer)

    def drawing(*_: object, **__: object) -> Samples:
        calls.append(1)
        values = np.random.default_rng(0).random((2, 128))
        return Samples(prompts=("a", "b"), clusters=("a", "é"), rewards=values, statistics={"words": values})

    monkeypatch.setattr(experiment, "draw", drawing)
    monkeypatch.setattr(experiment, "load_policy", lambda _: policy)
    monkeypatch.setattr(experiment, "load_reward", lambda _: policy)
    return calls


def test_kept_samples_serve_the_same_question_only(counted: list[int], tmp_path: Path) -> None:
    def ask(prompts: list[Prompt] = PROMPTS, reward: str = "org/reward", **more: object) -> Samples:
        return drawn("org/policy", reward, prompts, Asked(prompts="mine", **more), tmp_path, Silent())  # type: ignore[arg-type]

    first, again = ask(), ask()
    assert len(counted) == 1
    np.testing.assert_array_equal(first.rewards, again.rewards)
    assert (first.prompts, first.clusters) == (again.prompts, again.clusters)
    assert set(again.statistics) == {"words"}
    claim = Claim(question="q", truth="Lima", asserted="Cusco", stance=Stance.ASSERTS_FALSE)
    for number, other in enumerate(
        (
            lambda: ask([PROMPTS[0], replace(PROMPTS[1], claim=claim)]),  # the same text, read otherwise
            lambda: ask(reward="org/another"),
            lambda: ask(temperature=0.5),
            lambda: ask(missing_eos=MissingEos()),
            lambda: ask(seed=1),
        ),
        start=2,
    ):
        other()
        assert len(counted) == number


def test_damaged_samples_are_drawn_again(counted: list[int], tmp_path: Path) -> None:
    def ask() -> Samples:
        return drawn("org/policy", "org/reward", PROMPTS, Asked(), tmp_path, Silent())

    ask()
    kept = tmp_path / experiment.SAMPLES
    for content in (kept.read_bytes()[:300], b"", b"nothing of the kind"):
        kept.write_bytes(content)
        ask()
    assert len(counted) == 4
    ask()
    assert len(counted) == 4
    assert [path.name for path in tmp_path.iterdir()] == [experiment.SAMPLES]


def test_a_stages_directory_stands_for_its_checkpoint(tmp_path: Path) -> None:
    stage = tmp_path / "01-sft"
    (stage / "checkpoint").mkdir(parents=True)
    (stage / "checkpoint/config.json").write_text("{}")
    assert model_source(stage) == str(stage / "checkpoint")
    assert model_source(stage / "checkpoint") == str(stage / "checkpoint")
    assert model_source("org/name") == "org/name"


def test_a_run_says_how_its_ppo_samples_and_scores(tmp_path: Path) -> None:
    assert settings_of_run(tmp_path) == {}
    ppo = {"type": "ppo", "temperature": 0.7, "max_new_tokens": 9, "missing_eos": "subtract", "missing_eos_score": 2.0}
    write_json(tmp_path / "recipe.resolved.json", {"stages": [{"type": "sft"}, ppo, {**ppo, "temperature": 1.0}]})
    assert Asked(**settings_of_run(tmp_path)) == Asked(
        temperature=0.7, max_new_tokens=9, missing_eos=MissingEos(how="subtract", score=2.0)
    )


def test_the_testbeds_prompts_are_of_the_answer_family_and_of_every_stance() -> None:
    found = chosen_prompts(Asked(number=20))
    assert len(found) == 20
    assert {prompt.tags["family"] for prompt in found} == {"answer"}
    assert {Stance.ASSERTS_FALSE, Stance.ASSERTS_TRUE, Stance.NEUTRAL} <= {p.claim.stance for p in found if p.claim}


def test_a_file_without_prompts_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(InputError, match=r"empty\.jsonl"):
        chosen_prompts(Asked(prompts=str(tmp_path / "empty.jsonl")))
