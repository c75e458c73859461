"""What must not matter to PPO: the micro-batch size, and how much padding stands on which side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM, LlamaModel

import candor.ops.packing as packing
import candor.training.layout as layout
import candor.training.ppo as loop
from candor.errors import InputError
from candor.models.heads import ValueModel, reply_values
from candor.ops.advantages import gae, whiten
from candor.ops.batches import Batch, Row, make_batch, position_ids
from candor.ops.logprobs import places, scatter, token_logprobs
from candor.ops.ppo_losses import PolicyLoss, ValueLoss, policy_loss, value_loss
from candor.ops.randomness import generator
from candor.ops.rollouts import Replies, Rollouts, token_rewards
from candor.recipe import PPOStage
from candor.records import Completion, Message, Prompt
from candor.training.ppo import ppo
from candor.training.state import TrainState

VOCABULARY, EOS, PAD = 24, 1, 0
CONFIG = LlamaConfig(
    vocab_size=VOCABULARY,
    hidden_size=16,
    intermediate_size=32,
    num_hidden_layers=2,
    num_attention_heads=2,
    num_key_value_heads=1,
    max_position_embeddings=64,
    pad_token_id=PAD,
    eos_token_id=EOS,
    bos_token_id=None,
)


M = TypeVar("M", bound=nn.Module)


def llama(seed: int) -> LlamaForCausalLM:
    model = LlamaForCausalLM(CONFIG).eval()
    return randomised(model, seed)


def value_model(seed: int) -> ValueModel:
    return randomised(ValueModel(LlamaModel(CONFIG), CONFIG.hidden_size).eval(), seed)


def randomised(model: M, seed: int) -> M:
    rng = generator(seed, "weights")
    with torch.no_grad():
        for parameter in model.parameters():
            spread = 0.3 if parameter.ndim > 1 else 0.1
            parameter.copy_(spread * torch.randn(parameter.shape, generator=rng) + float(parameter.ndim == 1))
    return model


PROMPTS = tuple(Prompt(id=f"q{i}", messages=(Message(role="user", content="."),)) for i in range(16))


def encode(prompt: Prompt) -> list[int]:
    i = int(prompt.id[1:])
    return [2 + (7 * i + k) % (VOCABULARY - 2) for k in range(1 + i % 7)]


class PlainSampler:
    """One full forward pass per token and row: slow, and too simple to be wrong."""

    def __init__(self, model: LlamaForCausalLM, max_new_tokens: int) -> None:
        self.model, self.max_new_tokens = model, max_new_tokens

    @torch.no_grad()
    def sample(self, prompts: Sequence[Prompt], *, n: int, seed: int) -> list[Completion]:
        rng = generator(seed, "plain")
        out = []
        for i, prompt in enumerate(p for p in prompts for _ in range(n)):
            tokens: list[int] = []
            logprobs: list[float] = []
            while EOS not in tokens and len(tokens) < self.max_new_tokens:
                ids = torch.tensor([[*encode(prompt), *tokens]])
                logp = self.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, -1].log_softmax(-1)
                draw = torch.rand((), generator=rng)
                tokens.append(int((logp.exp().cumsum(0)[:-1] <= draw).sum()))
                logprobs.append(float(logp[tokens[-1]]))
            out.append(
                Completion(
                    id=f"{seed}/{i}",
                    prompt_id=prompt.id,
                    text=str(tokens),
                    token_ids=tuple(tokens),
                    logprobs=tuple(logprobs),
                    stop_reason="eos" if EOS in tokens else "length",
                )
            )
        return out


class CountsEvens:
    def score(self, prompts: Sequence[Prompt], responses: Sequence[Completion]) -> list[float]:
        return [sum(token % 2 == 0 for token in r.token_ids) - 0.2 * len(r.token_ids) for r in responses]


def train(micro_batch_size: int, *, updates: int = 5, responses: int = 1) -> tuple[Tensor, list[dict[str, float]]]:
    """All parameters of policy and value after 5 updates at lr 2e-3, and the metrics."""
    config = PPOStage(
        updates=updates,
        batch_size=16,
        responses=responses,
        epochs=1,
        minibatches=1,
        lr=2e-3,
        max_new_tokens=8,
        micro_batch_size=micro_batch_size,
        value_coef=1.0,
        ptx_coef=0.5,
    )
    policy, value = llama(1), value_model(2)
    state = TrainState(
        models={"policy": policy, "value": value},
        optimizers={
            name: torch.optim.AdamW(model.parameters(), lr=config.lr, eps=config.adam_eps, weight_decay=0.0)
            for name, model in (("policy", policy), ("value", value))
        },
    )
    steps = ppo(
        state,
        config=config,
        seed=0,
        prompts=PROMPTS,
        encode=encode,
        reference=llama(1),
        sampler=PlainSampler(policy, config.max_new_tokens),
        scorer=CountsEvens(),
        pad_id=PAD,
        demonstrations=[
            Row(tokens=(*encode(p), *range(2, 2 + i % 5), EOS), prompt_length=len(encode(p)))
            for i, p in enumerate(PROMPTS)
        ],
    )
    metrics = [out.metrics for out in steps]
    parameters = [p.detach().flatten() for model in (policy, value) for p in model.parameters()]
    return torch.cat(parameters), metrics


def test_micro_batch_size_does_not_change_the_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    one, metrics = train(1)
    sixteen, other_metrics = train(16)
    assert max(m["length"] for m in metrics) < 8  # replies differ in length
    assert (one - sixteen).abs().max() <= 1e-5
    for a, b in zip(metrics, other_metrics, strict=True):
        assert a == pytest.approx(b, rel=1e-3, abs=1e-4)
    # On the first minibatch nothing has changed yet: the sampler's log-probabilities are the policy's.
    assert all(m["ratio_mismatch"] <= 1e-4 for m in metrics)
    start, _ = parameters_at_start()
    assert (one - start).abs().max() > 5e-3  # it did train

    # Control: a denominator per micro-batch, averaged over 16 of them, weighs short replies more.
    def per_micro_policy(*args: Tensor, clip: float, denominator: float) -> PolicyLoss:
        return policy_loss(*args, clip=clip, denominator=16 * float(args[3].sum()))

    def per_micro_value(*args: Tensor, clip: float, denominator: float) -> ValueLoss:
        return value_loss(*args, clip=clip, denominator=16 * float(args[3].sum()))

    monkeypatch.setattr(loop, "policy_loss", per_micro_policy)
    monkeypatch.setattr(loop, "value_loss", per_micro_value)
    broken, _ = train(1)
    assert (broken - one).abs().max() > 1e-3


def test_shared_rows_and_separate_ones_give_the_same_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    shared, metrics = train(16, responses=4)
    monkeypatch.setattr(layout, "allows_sharing", lambda *_: False)
    apart, other_metrics = train(16, responses=4)
    assert (shared - apart).abs().max() <= 1e-5
    for a, b in zip(metrics, other_metrics, strict=True):
        assert a == pytest.approx(b, rel=1e-3, abs=1e-4)
    # Control: replies that see each other's tokens in a shared row are other replies, which the first update notices.
    monkeypatch.undo()
    monkeypatch.setattr(packing._Layout, "_mask", lambda self, segments: torch.ones(1, 1, *[self.width] * 2).tril() > 0)
    monkeypatch.setattr(layout, "allows_sharing", lambda *_: True)
    with pytest.raises(InputError, match="differ from the policy's"):
        train(16, responses=4)


def parameters_at_start() -> tuple[Tensor, None]:
    return torch.cat([p.detach().flatten() for m in (llama(1), value_model(2)) for p in m.parameters()]), None


POLICY, REFERENCE, VALUE = llama(3), llama(4), value_model(5)


def padded(batch: Batch, left: int, right: int) -> Batch:
    """The same rows with more padding on either side (ids that mean nothing: a token of the vocabulary)."""
    ids = nn.functional.pad(batch.input_ids, (left, right), value=5)
    mask = nn.functional.pad(batch.attention_mask, (left, right))
    reply = nn.functional.pad(batch.reply_mask, (left, right))
    return Batch(input_ids=ids, attention_mask=mask, position_ids=position_ids(mask), reply_mask=reply)


def losses(batch: Batch, rewards: Tensor) -> dict[str, Tensor]:
    """Both losses of one batch, from forward passes to sums; what the sampler gave is stood in for by the reference."""
    with torch.no_grad():
        ref = token_logprobs(REFERENCE, batch).logprobs
        old = torch.where(batch.reply_mask, ref * 0.9, 0.0)
        new = token_logprobs(POLICY, batch).logprobs
        values = scatter(reply_values(VALUE, places(batch)), batch.reply_mask)
    replies = Replies(rows=(), mask=batch.reply_mask, logp=old, complete=torch.ones(len(rewards), dtype=torch.bool))
    rollouts = Rollouts(replies=replies, ref_logp=ref, values=values * 0.5, rewards=rewards)
    mask = rollouts.mask
    credit = gae(token_rewards(rollouts, rewards, kl_coef=0.2), rollouts.values, mask, gamma=1.0, lam=0.95)
    tokens = float(mask.sum())
    policy = policy_loss(new, old, whiten(credit.advantages, mask), mask, clip=0.2, denominator=tokens)
    value = value_loss(values, rollouts.values, credit.returns, mask, clip=0.2, denominator=tokens)
    return {"policy": policy.loss, "value": value.loss, "clip_frac": policy.clip_frac, "approx_kl": policy.approx_kl}


ROWS = st.lists(
    st.tuples(st.integers(1, 6), st.lists(st.integers(2, VOCABULARY - 1), min_size=0, max_size=6)),
    min_size=2,
    max_size=5,
)


@given(shapes=ROWS, left=st.integers(0, 4), right=st.integers(0, 4), side=st.sampled_from(["left", "right"]))
def test_padding_does_not_change_the_losses(
    shapes: list[tuple[int, list[int]]], left: int, right: int, side: str
) -> None:
    rows = [
        Row(tokens=(*(2 + (i + k) % 20 for k in range(prompt)), *reply, EOS), prompt_length=prompt)
        for i, (prompt, reply) in enumerate(shapes)
    ]
    rewards = torch.linspace(-1.0, 1.0, len(rows))
    plain = losses(make_batch(rows, PAD), rewards)
    other = losses(padded(make_batch(rows, EOS, side), left, right), rewards)  # type: ignore[arg-type]
    for name, number in plain.items():
        torch.testing.assert_close(other[name], number, rtol=1e-4, atol=1e-5, msg=name)


def test_padding_that_counts_does_change_them() -> None:
    """The control: with padding taken for tokens of the reply, the losses are others."""
    rows = [Row(tokens=(3, 4, 5, 6, EOS), prompt_length=2), Row(tokens=(7, EOS), prompt_length=1)]
    batch = make_batch(rows, PAD)
    rewards = torch.tensor([-1.0, 1.0])
    everything = torch.ones_like(batch.attention_mask)
    counted = replace(
        batch,
        attention_mask=everything,
        position_ids=position_ids(everything),
        reply_mask=position_ids(everything) >= torch.tensor([[2], [1]]),
    )
    right, wrong = losses(batch, rewards), losses(counted, rewards)
    assert abs(float(right["policy"] - wrong["policy"])) > 1e-2
    assert abs(float(right["value"] - wrong["value"])) > 1e-2
