"""Supervised fine-tuning: what is learned, what is masked, what did not fit."""

from __future__ import annotations

import pytest
import torch

from candor.models.chat import encode_prompt, encode_reply
from candor.ops.batches import Row, make_batch
from candor.ops.logprobs import token_logprobs
from candor.recipe import SFTStage
from candor.records import Demonstration
from candor.training.sft import sft, sft_rows, total_updates
from candor.training.state import TrainState, adamw
from tiny_models import END, tiny_llama, tiny_tokenizer, user_prompt

TOKENIZER = tiny_tokenizer(pad=END, bytes_only=False)  # pad == eos
DEMOS = [
    Demonstration(prompt=user_prompt(q, q), reply=a)
    for q, a in [("Kenya?", "Nairobi."), ("Peru?", "Lima."), ("Chad?", "N'Djamena."), ("Mali?", "Bamako.")]
]


def rows_of(demos: list[Demonstration], max_length: int = 512) -> tuple[list[Row], object]:
    return sft_rows(
        demos,
        encode_prompt=lambda p: encode_prompt(TOKENIZER, p),
        encode_reply=lambda text: encode_reply(TOKENIZER, text),
        max_length=max_length,
    )


def end_probability(model: torch.nn.Module, rows: list[Row]) -> float:
    batch = make_batch(rows, 1)
    with torch.no_grad():
        logprobs = token_logprobs(model, batch).logprobs
    last = batch.attention_mask.sum(-1) - 1
    return logprobs[torch.arange(len(rows)), last].exp().mean().item()


def train(rows: list[Row]) -> torch.nn.Module:
    model = tiny_llama(TOKENIZER)
    state = TrainState({"policy": model}, {"policy": adamw([model], lr=1e-2)})
    for _ in sft(state, rows, SFTStage(lr=1e-2, batch_size=4, epochs=30), seed=0, pad_id=int(TOKENIZER.eos_token_id)):
        pass
    return model


def test_the_end_of_sequence_is_learned_where_pad_is_eos() -> None:
    rows, _ = rows_of(DEMOS)
    assert end_probability(train(rows), rows) > 0.9
    # Control: without it in the loss (what a mask from ids != pad gives) it is not learned.
    without = [Row(tokens=row.tokens[:-1], prompt_length=row.prompt_length) for row in rows]
    assert end_probability(train(without), rows) < 0.1


def test_the_loss_is_the_mean_over_reply_tokens_and_ignores_prompts() -> None:
    rows, _ = rows_of(DEMOS)
    model = tiny_llama(TOKENIZER)
    with torch.no_grad():
        by_hand, count = 0.0, 0
        for row in rows:
            logp = model(input_ids=torch.tensor([row.tokens])).logits[0].log_softmax(-1)
            for t in range(row.prompt_length, len(row.tokens)):
                by_hand, count = by_hand - logp[t - 1, row.tokens[t]].item(), count + 1
    state = TrainState({"policy": model}, {"policy": adamw([model], lr=1e-2)})
    out = next(sft(state, rows, SFTStage(lr=1e-2, batch_size=4), seed=0, pad_id=0))
    assert out.metrics["loss"] == pytest.approx(by_hand / count, rel=1e-5)
    assert out.metrics["tokens"] == count == sum(len(d.reply) + 1 for d in DEMOS)


def test_the_learning_rate_follows_a_cosine_to_the_last_update() -> None:
    rows, _ = rows_of(DEMOS)
    config = SFTStage(lr=1e-2, batch_size=2, epochs=2)
    model = tiny_llama(TOKENIZER)
    state = TrainState({"policy": model}, {"policy": adamw([model], lr=1.0)})
    rates = [out.metrics["lr"] for out in sft(state, rows, config, seed=0, pad_id=0)]
    assert len(rates) == total_updates(len(rows), config) == 4
    assert rates == pytest.approx([1e-2, 0.85355e-2, 0.5e-2, 0.14645e-2], rel=1e-4)
    assert state.step == 4
    assert not list(sft(state, rows, config, seed=0, pad_id=0))  # done: nothing more


def test_long_prompts_are_cut_and_long_replies_dropped_by_count() -> None:
    demos = [
        Demonstration(prompt=user_prompt("x" * 40, "cut"), reply="short"),
        Demonstration(prompt=user_prompt("y", "kept"), reply="short"),
        Demonstration(prompt=user_prompt("z", "dropped"), reply="w" * 40),
    ]
    rows, truncation = rows_of(demos, max_length=20)
    assert truncation == type(truncation)(total=3, cut=1, dropped=1, dropped_ids=["dropped"])  # type: ignore[call-arg]
    assert [len(row.tokens) for row in rows] == [20, 10]
    whole = encode_prompt(TOKENIZER, demos[0].prompt)
    assert list(rows[0].tokens) == whole[-14:] + encode_reply(TOKENIZER, "short")
