"""Settings that must not matter do not: micro-batch size, padding, batch neighbours. Each test has its control."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import candor.training.layout as layout_module
import candor.training.reward as reward_module
import candor.training.sft as sft_module
from candor.models.heads import sequence_scores
from candor.models.load import Policy, reward_from_policy
from candor.ops.batches import Row, make_batch
from candor.ops.logprobs import sequence_logprobs
from candor.ops.losses import bradley_terry, sft_loss
from candor.ops.packing import Tree
from candor.recipe import RewardStage, SFTStage
from candor.training.ranked import IndexPair, RankedExample
from candor.training.state import TrainState, adamw
from tiny_models import tiny_llama, tiny_tokenizer

STEPS, LR = 5, 2e-3
TOKENIZER = tiny_tokenizer()
REWARD = reward_from_policy(Policy(model=tiny_llama(TOKENIZER), tokenizer=TOKENIZER), seed=0).model


def tokens(n: int, salt: int) -> tuple[int, ...]:
    return tuple((salt * 31 + 7 * j + j * j * salt) % 58 + 3 for j in range(n))


ROWS = [Row(tokens=tokens(4 + (5 * i) % 23, i), prompt_length=1 + i % 3) for i in range(40)]


def ranked(i: int) -> RankedExample:
    k = 2 + i % 4
    pairs = list(combinations(range(k), 2))
    return RankedExample(
        id=str(i),
        prompt_id=str(i),
        tree=Tree(
            prompt=tokens(2 + i % 9, i), replies=tuple(tokens(2 + (3 * i + 5 * j) % 11, i + 97 * j) for j in range(k))
        ),
        pairs=tuple(IndexPair(chosen=a, rejected=b, margin=0.0, weight=1 / len(pairs)) for a, b in pairs),
        ranks=tuple((j, j) for j in range(k)),
    )


EXAMPLES = [ranked(i) for i in range(40)]


def train_sft(micro_batch_size: int) -> list[Tensor]:
    model = tiny_llama()
    state = TrainState({"policy": model}, {"policy": adamw([model], lr=LR)})
    config = SFTStage(lr=LR, batch_size=16, epochs=STEPS * 16 / len(ROWS), micro_batch_size=micro_batch_size)
    assert len(list(sft_module.sft(state, ROWS, config, seed=0, pad_id=0))) == STEPS
    return [p.detach().clone() for p in model.parameters()]


def train_reward(micro_batch_size: int, loss: str = "bradley_terry") -> list[Tensor]:
    model = reward_from_policy(Policy(model=tiny_llama(TOKENIZER), tokenizer=TOKENIZER), seed=0).model
    state = TrainState({"reward": model}, {"reward": adamw([model], lr=LR)})
    config = RewardStage(
        lr=LR, batch_size=16, epochs=STEPS * 16 / len(EXAMPLES), micro_batch_size=micro_batch_size, loss=loss
    )
    assert len(list(reward_module.reward(state, EXAMPLES, config, seed=0, pad_id=0))) == STEPS
    return [p.detach().clone() for p in model.parameters()]


def furthest(first: list[Tensor], second: list[Tensor]) -> float:
    return max((a - b).abs().max().item() for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("share", [True, False])
def test_sft_parameters_do_not_depend_on_the_micro_batch(monkeypatch: pytest.MonkeyPatch, share: bool) -> None:
    monkeypatch.setattr(layout_module, "allows_sharing", lambda *_: share)
    assert furthest(train_sft(1), train_sft(16)) <= 1e-5

    def own_denominator(logprobs: Tensor, *, denominator: float) -> Tensor:
        return sft_loss(logprobs, denominator=len(logprobs))

    monkeypatch.setattr(sft_module, "sft_loss", own_denominator)
    assert furthest(train_sft(1), train_sft(16)) > 1e-3


@pytest.mark.parametrize("share", [True, False])
def test_reward_parameters_do_not_depend_on_the_micro_batch(monkeypatch: pytest.MonkeyPatch, share: bool) -> None:
    monkeypatch.setattr(layout_module, "allows_sharing", lambda *_: share)
    assert furthest(train_reward(1), train_reward(16)) <= 1e-5

    def own_denominator(chosen: Tensor, rejected: Tensor, *, denominator: float, **rest: Any) -> Tensor:
        return bradley_terry(chosen, rejected, denominator=len(chosen), **rest)  # the mean over a micro-batch's pairs

    monkeypatch.setattr(reward_module, "bradley_terry", own_denominator)
    assert furthest(train_reward(1), train_reward(16)) > 1e-3


def test_plackett_luce_parameters_do_not_depend_on_the_micro_batch() -> None:
    assert furthest(train_reward(1, "plackett_luce"), train_reward(16, "plackett_luce")) <= 1e-5


@pytest.mark.parametrize("train", [train_sft, train_reward])
def test_shared_and_separate_rows_give_the_same_parameters(
    monkeypatch: pytest.MonkeyPatch, train: Callable[[int], list[Tensor]]
) -> None:
    monkeypatch.setattr(layout_module, "allows_sharing", lambda *_: True)
    shared = train(16)
    monkeypatch.setattr(layout_module, "allows_sharing", lambda *_: False)
    assert furthest(shared, train(16)) <= 1e-5


row_strategy = st.lists(st.integers(0, 60), min_size=2, max_size=24).map(
    lambda t: Row(tokens=tuple(t), prompt_length=1)
)


def check(measure: Callable[..., Tensor], model: Any, rows: list[Row], pad_id: int) -> None:
    with torch.no_grad():
        alone = [measure(model, make_batch([row], pad_id)).item() for row in rows]
        for side in ("left", "right"):
            found = measure(model, make_batch(rows, pad_id, side)).tolist()  # type: ignore[arg-type]
            assert found == pytest.approx(alone, abs=1e-5, rel=1e-5)


@given(rows=st.lists(row_strategy, min_size=1, max_size=6), pad_id=st.integers(0, 60))
def test_scores_do_not_depend_on_padding_or_neighbours(rows: list[Row], pad_id: int) -> None:
    check(sequence_scores, REWARD, rows, pad_id)


LANGUAGE_MODEL = tiny_llama()


@given(rows=st.lists(row_strategy, min_size=1, max_size=6), pad_id=st.integers(0, 60))
def test_logprobs_do_not_depend_on_padding_or_neighbours(rows: list[Row], pad_id: int) -> None:
    check(sequence_logprobs, LANGUAGE_MODEL, rows, pad_id)


def test_the_classification_wrapper_does_depend_on_padding() -> None:
    # Control: where a row ends with the pad token, the wrapper reads another place than the mask's last.
    pad_id = int(REWARD.config.pad_token_id)
    row = Row(tokens=(5, 6, 7, pad_id), prompt_length=1)
    with torch.no_grad():
        batch = make_batch([row], pad_id)
        wrapped = REWARD(input_ids=batch.input_ids, attention_mask=batch.attention_mask).logits.item()
        assert abs(wrapped - sequence_scores(REWARD, batch).item()) > 1e-3
