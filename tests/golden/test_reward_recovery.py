"""The reward model finds planted utilities again: 10 prompts x 8 replies from 20,000 Bradley-Terry comparisons."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from transformers import PreTrainedTokenizerFast

from candor.models.chat import encode_prompt, response_ids
from candor.models.load import Policy, reward_from_policy
from candor.models.scorer import RewardScorer
from candor.recipe import RewardStage
from candor.records import Choice, Comparison, Completion, Prompt
from candor.training.ranked import rank_examples
from candor.training.reward import reward
from candor.training.state import TrainState, adamw
from tiny_models import tiny_llama, tiny_tokenizer, user_prompt

PLACES = ["Kenya", "Peru", "Chad", "Mali", "Cuba", "Iran", "Laos", "Oman", "Togo", "Fiji"]
ANSWERS = ["Yes.", "No!", "Maybe", "Rome", "I see", "Ask", "Lima?", "Hm..."]
PROMPTS = [user_prompt(place, place) for place in PLACES]
REPLIES = [Completion(id=text, prompt_id="", text=text) for text in ANSWERS]
COMPARISONS = 20_000
LR, BATCH, EPOCHS = 4e-3, 125, 2.0


def simulate(utilities: np.ndarray, rng: np.random.Generator) -> list[Comparison]:
    """Two different replies to a random prompt; the first wins with probability sigmoid(u_first - u_second)."""
    comparisons = []
    for n in range(COMPARISONS):
        p = int(rng.integers(len(PROMPTS)))
        a, b = (int(i) for i in rng.choice(len(REPLIES), size=2, replace=False))
        first_wins = rng.random() < 1 / (1 + np.exp(utilities[p, b] - utilities[p, a]))
        comparisons.append(
            Comparison(
                id=str(n),
                prompt=PROMPTS[p],
                responses=(REPLIES[a], REPLIES[b]),
                judgement=Choice(best=0 if first_wins else 1),
                shown_order=(0, 1),
            )
        )
    return comparisons


def fit(comparisons: list[Comparison], tokenizer: PreTrainedTokenizerFast) -> np.ndarray:
    """Trains a small Llama as shipped and returns its scores, one row per prompt."""
    start = reward_from_policy(Policy(model=tiny_llama(tokenizer), tokenizer=tokenizer), seed=0)

    @lru_cache
    def encoded(name: str) -> tuple[int, ...]:
        return tuple(encode_prompt(tokenizer, next(p for p in PROMPTS if p.id == name)))

    @lru_cache
    def replied(text: str) -> tuple[int, ...]:
        return response_ids(tokenizer, next(r for r in REPLIES if r.text == text))

    def prompt_ids(prompt: Prompt) -> tuple[int, ...]:
        return encoded(prompt.id)

    data = rank_examples(
        comparisons, encode_prompt=prompt_ids, encode_response=lambda response: replied(response.text), max_length=64
    )
    state = TrainState({"reward": start.model}, {"reward": adamw([start.model], lr=LR)})
    config = RewardStage(lr=LR, batch_size=BATCH, epochs=EPOCHS, warmup_steps=5)
    for _ in reward(state, data.examples, config, seed=0, pad_id=0):
        pass
    scorer = RewardScorer(start.model, tokenizer)
    scores = [scorer.score([prompt] * len(REPLIES), REPLIES) for prompt in PROMPTS]
    return np.array(scores)


def within_prompts(scores: np.ndarray, utilities: np.ndarray) -> tuple[float, float]:
    """Returns correlation and least-squares slope of scores on utilities, both centred within each prompt."""
    y, x = scores - scores.mean(1, keepdims=True), utilities - utilities.mean(1, keepdims=True)
    return float((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum())), float((x * y).sum() / (x * x).sum())


def test_planted_utilities_are_recovered() -> None:
    rng = np.random.default_rng(0)
    utilities = rng.normal(scale=1.5, size=(len(PROMPTS), len(REPLIES)))
    comparisons = simulate(utilities, rng)
    correlation, slope = within_prompts(fit(comparisons, tiny_tokenizer()), utilities)
    assert correlation >= 0.99
    assert 0.95 <= slope <= 1.05


def test_labels_that_are_shuffled_recover_nothing() -> None:
    rng = np.random.default_rng(0)
    utilities = rng.normal(scale=1.5, size=(len(PROMPTS), len(REPLIES)))
    comparisons = simulate(utilities, rng)[: COMPARISONS // 4]
    labels = [c.judgement for c in comparisons]
    rng.shuffle(labels)  # type: ignore[arg-type]
    shuffled = [replace(c, judgement=label) for c, label in zip(comparisons, labels, strict=True)]
    correlation, slope = within_prompts(fit(shuffled, tiny_tokenizer()), utilities)
    assert abs(slope) < 0.5
    assert abs(correlation) < 0.5
