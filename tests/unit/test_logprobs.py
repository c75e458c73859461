"""Log-probabilities against a plain forward pass, whatever the padding, the batch and the architecture."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from scipy.stats import entropy as scipy_entropy
from torch import Tensor, nn
from transformers import Gemma2Config, Gemma2ForCausalLM

from candor.ops.batches import Batch, Row, make_batch, pad, position_ids
from candor.ops.logprobs import forward_inputs, sequence_logprobs, token_logprobs
from tiny_models import tiny_llama

MODEL = tiny_llama()
ROWS = [
    Row(tokens=(5, 9, 31, 2, 1), prompt_length=2),
    Row(tokens=(7, 7, 12, 40, 41, 42, 43, 0, 1), prompt_length=6),
    Row(tokens=(3, 1), prompt_length=1),
]


def by_hand(model: Any, row: Row, temperature: float = 1.0) -> list[float]:
    """One row alone, the whole distribution at every place, no mask, no padding."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([row.tokens])).logits[0] / temperature
    logp = logits.log_softmax(-1)
    return [logp[t - 1, row.tokens[t]].item() for t in range(row.prompt_length, len(row.tokens))]


def logits_by_hand() -> Tensor:
    """(tokens of all replies, vocabulary), each row alone."""
    with torch.no_grad():
        every = [MODEL(input_ids=torch.tensor([row.tokens])).logits[0, row.prompt_length - 1 : -1] for row in ROWS]
    return torch.cat(every)


def replies(values: Tensor, batch: Batch) -> list[list[float]]:
    return [row[mask].tolist() for row, mask in zip(values, batch.reply_mask, strict=True)]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_they_equal_a_plain_forward_pass(side: Any, temperature: float) -> None:
    batch = make_batch(ROWS, pad_id=0, side=side)
    with torch.no_grad():
        found = replies(token_logprobs(MODEL, batch, temperature).logprobs, batch)
    for row, values in zip(ROWS, found, strict=True):
        assert values == pytest.approx(by_hand(MODEL, row, temperature), abs=1e-5)


def test_more_padding_and_other_batches_change_nothing() -> None:
    longer = Row(tokens=tuple(range(2, 50)), prompt_length=20)
    with torch.no_grad():
        alone = [sequence_logprobs(MODEL, make_batch([row], 0)).item() for row in ROWS]
        together = sequence_logprobs(MODEL, make_batch([*ROWS, longer], 0))[:3].tolist()
        other_pad = sequence_logprobs(MODEL, make_batch([*ROWS, longer], 17))[:3].tolist()
    assert together == pytest.approx(alone, abs=1e-5)
    assert other_pad == pytest.approx(alone, abs=1e-5)


def test_left_padding_without_positions_is_another_model() -> None:
    # Control: padding that counts as text changes the numbers, so the tests above would notice it.
    batch = make_batch([ROWS[0], ROWS[1]], 0, side="left")
    unmasked = Batch(
        input_ids=batch.input_ids,
        attention_mask=torch.ones_like(batch.attention_mask),
        position_ids=position_ids(torch.ones_like(batch.attention_mask)),
        reply_mask=batch.reply_mask,
    )
    with torch.no_grad():
        gap = sequence_logprobs(MODEL, batch)[0] - sequence_logprobs(MODEL, unmasked)[0]
    assert gap.abs().item() > 1e-3


def test_temperature_divides_the_logits() -> None:
    batch = make_batch(ROWS, 0)
    logits = logits_by_hand()
    with torch.no_grad():
        halved = token_logprobs(MODEL, batch, 0.5).logprobs[batch.reply_mask]
    targets = batch.input_ids[batch.reply_mask].unsqueeze(-1)
    assert torch.allclose(halved, (2 * logits).log_softmax(-1).gather(-1, targets).squeeze(-1), atol=1e-5)
    assert not torch.allclose(halved, logits.log_softmax(-1).gather(-1, targets).squeeze(-1), atol=1e-2)


def test_entropy_is_that_of_the_tempered_distribution() -> None:
    batch = make_batch(ROWS, 0)
    with torch.no_grad():
        found = token_logprobs(MODEL, batch, 0.7, entropy=True).entropy
    probabilities = (logits_by_hand() / 0.7).softmax(-1)
    assert found is not None
    assert found[batch.reply_mask].tolist() == pytest.approx(scipy_entropy(probabilities.numpy(), axis=-1), abs=1e-5)
    assert found[~batch.reply_mask].abs().max() == 0


def test_gradients_reach_the_model_and_entropy_carries_none() -> None:
    model = tiny_llama()
    out = token_logprobs(model, make_batch(ROWS, 0), entropy=True)
    assert out.entropy is not None
    assert not out.entropy.requires_grad
    out.logprobs.sum().backward()
    assert model.lm_head.weight.grad is not None
    assert model.lm_head.weight.grad.abs().sum() > 0


def test_capped_logits_are_not_skipped() -> None:
    config = Gemma2Config(
        vocab_size=64,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        initializer_range=0.5,
        final_logit_softcapping=2.0,
        pad_token_id=0,
        attn_implementation="eager",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Gemma2ForCausalLM(config).eval()
    batch = make_batch(ROWS, 0)
    with torch.no_grad():
        found = replies(token_logprobs(model, batch).logprobs, batch)
        bare = model.lm_head(model.model(**forward_inputs(model.model, batch)).last_hidden_state)
    for row, values in zip(ROWS, found, strict=True):
        assert values == pytest.approx(by_hand(model, row), abs=1e-5)
    # Control: the head on the hidden states alone is far from the capped logits.
    assert bare.abs().max().item() > 2.5


class Bigram(nn.Module):
    """The smallest language model: no base model, no positions."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(64, 64, generator=torch.Generator().manual_seed(0)))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> SimpleNamespace:
        return SimpleNamespace(logits=self.table[input_ids])


def test_any_module_with_logits_will_do() -> None:
    model = Bigram()
    batch = make_batch(ROWS, 0, side="left")
    found = replies(token_logprobs(model, batch).logprobs, batch)
    table = model.table.log_softmax(-1)
    for row, values in zip(ROWS, found, strict=True):
        expected = [table[row.tokens[t - 1], row.tokens[t]].item() for t in range(row.prompt_length, len(row.tokens))]
        assert values == pytest.approx(expected, abs=1e-6)


def test_a_reply_without_a_prompt_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one token of prompt"):
        token_logprobs(MODEL, make_batch([Row(tokens=(4, 5), prompt_length=0)], 0))
    ids, mask = pad([(4, 5)], 0)
    assert ids.shape == mask.shape == (1, 2)
