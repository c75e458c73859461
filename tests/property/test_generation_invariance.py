"""What is drawn for a row depends on the seed and the row alone: not on batches, neighbours or padding."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM

from candor.generation import Generation, engine, generate

EOS = (1, 3, 4, 5)
CONFIG = LlamaConfig(
    vocab_size=32,
    hidden_size=16,
    intermediate_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    max_position_embeddings=64,
)
prompts_of_any_length = st.lists(st.lists(st.integers(6, 31), min_size=1, max_size=12), min_size=1, max_size=9)


def make() -> LlamaForCausalLM:
    generator = torch.Generator().manual_seed(0)
    model = LlamaForCausalLM(CONFIG).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
    return model


MODEL = make()


def write(prompts: list[list[int]], seed: int, **options: object) -> list[Generation]:
    return generate(MODEL, prompts, eos_ids=EOS, pad_id=2, max_new_tokens=8, seed=seed, **options)


def assert_same(left: list[Generation], right: list[Generation]) -> None:
    assert [g.token_ids for g in left] == [g.token_ids for g in right]
    assert [g.stop_reason for g in left] == [g.stop_reason for g in right]
    for a, b in zip(left, right, strict=True):
        assert a.logprobs == pytest.approx(b.logprobs, abs=1e-5)


@settings(max_examples=15)
@given(prompts=prompts_of_any_length, seed=st.integers(0, 2**40), batch_size=st.integers(1, 4))
def test_batch_size_and_later_rows_change_nothing(prompts: list[list[int]], seed: int, batch_size: int) -> None:
    whole = write(prompts, seed)
    assert_same(whole, write(prompts, seed, batch_size=batch_size))
    kept = len(prompts) // 2 + 1
    assert_same(whole[:kept], write(prompts[:kept], seed))
    assert all(1 <= len(g.token_ids) <= 8 for g in whole)


@settings(max_examples=10)
@given(prompts=prompts_of_any_length, seed=st.integers(0, 2**40))
def test_compaction_and_reading_prompts_in_parts_change_nothing(prompts: list[list[int]], seed: int) -> None:
    doubled = [prompt for prompt in prompts for _ in range(2)]
    usual = write(doubled, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "COMPACT_BELOW", 0.0)
        patch.setattr(engine, "PREFILL_TOKENS", 1)
        assert_same(usual, write(doubled, seed))


def test_the_comparison_tells_another_draw_apart() -> None:
    prompts = [[7, 8], [9], [10, 11, 12]]
    with pytest.raises(AssertionError):
        assert_same(write(prompts, 1), write(prompts, 2))
    with pytest.raises(AssertionError):  # a row's draws belong to its place
        assert_same(write(prompts, 1), [*reversed(write(prompts[::-1], 1))])
