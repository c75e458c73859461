"""Precision and gradient checkpointing as settings of a model: same gradients, less kept, float32 where it counts."""

from __future__ import annotations

import copy
import inspect
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from candor.errors import InputError
from candor.generation import InProcessSampler
from candor.models.adapters import add_adapter
from candor.models.compute import BFloat16Sampler, as_given, cast_once, checkpoint_activations, compute_in
from candor.models.heads import ValueModel, sequence_scores
from candor.models.load import Policy, load_policy, reward_from_policy
from candor.models.replies import reply_rows
from candor.models.twins import freeze, in_dtype, twin
from candor.ops.batches import Row, make_batch
from candor.ops.logprobs import places, token_logprobs
from candor.protocols import Sampler
from candor.recipe import LoraConfig
from candor.records import Prompt
from candor.testbeds.atlas.prompts import train_prompts
from candor.training.ppo import MAX_RATIO_MISMATCH, MAX_RATIO_MISMATCH_BF16
from tiny_models import tiny_llama, tiny_tokenizer, user_prompt

ROWS = [Row(tokens=tuple((7 * i + 3 * j) % 60 + 2 for j in range(6 + 2 * i)), prompt_length=2) for i in range(4)]
BATCH = make_batch(ROWS, 0)


def gradients(model: nn.Module) -> tuple[dict[str, Tensor], int]:
    """The gradients of a loss, and the bytes of distinct activations kept for it."""
    kept: dict[int, int] = {}
    weights = {p.data_ptr() for p in model.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in weights:
            kept[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    model.zero_grad()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = token_logprobs(model, BATCH).logprobs.sum()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}, sum(kept.values())


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gradient_checkpointing_keeps_less_and_gives_the_same_gradients(dtype: torch.dtype, lora: bool) -> None:
    model = tiny_llama().eval()
    if lora:
        model = in_dtype(model, dtype)
        freeze(model)
        add_adapter(model.base_model, LoraConfig(r=4), name="policy", seed=0)
    compute_in(dtype, model)
    plain, kept = gradients(model)
    checkpoint_activations(model)
    again, kept_less = gradients(model)
    assert again.keys() == plain.keys()
    assert all(torch.equal(again[name], plain[name]) for name in plain)
    assert {gradient.dtype for gradient in again.values()} == {torch.float32}
    assert kept_less < 0.6 * kept


def test_nothing_is_computed_twice_without_gradients() -> None:
    model, calls = tiny_llama(), []
    checkpoint_activations(model)
    model.base_model.layers[0].self_attn.register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        model(BATCH.input_ids)
    assert len(calls) == 1
    model(BATCH.input_ids).logits.sum().backward()
    assert len(calls) == 3


def test_a_model_that_names_no_layers_is_refused() -> None:
    with pytest.raises(InputError, match="no layers to checkpoint"):
        checkpoint_activations(nn.Linear(2, 2))


def test_bfloat16_computes_products_in_it_and_keeps_masters_heads_and_losses_in_float32() -> None:
    tokenizer = tiny_tokenizer()
    policy = Policy(model=tiny_llama(tokenizer), tokenizer=tokenizer)
    reward, exact = reward_from_policy(policy, seed=0), token_logprobs(policy.model, BATCH).logprobs
    scores = sequence_scores(reward.model, places(BATCH))
    value = ValueModel.from_reward(reward.model)
    values = value(BATCH.input_ids, BATCH.attention_mask)
    compute_in(torch.bfloat16, policy.model, reward.model, value)
    seen: list[torch.dtype] = []
    policy.model.base_model.layers[0].self_attn.q_proj.register_forward_hook(lambda _m, _i, out: seen.append(out.dtype))
    found = token_logprobs(policy.model, BATCH).logprobs
    assert seen == [torch.bfloat16]
    assert {p.dtype for p in policy.model.parameters()} == {torch.float32}
    for one, other in (
        (found, exact),
        (sequence_scores(reward.model, places(BATCH)), scores),
        (value(BATCH.input_ids, BATCH.attention_mask), values),
    ):
        assert one.dtype == torch.float32
        error = (one - other).abs().max()
        assert 1e-6 < error < 0.3  # not float32, and not far from it
        assert len(one.detach().flatten().unique()) > len(one.flatten().bfloat16().unique()) or one.numel() < 5
    found.sum().backward()
    assert {p.grad.dtype for p in policy.model.parameters()} == {torch.float32}


def test_what_was_put_in_is_found_taken_out_and_never_shared() -> None:
    model = tiny_llama()
    signature = inspect.signature(model.forward)
    compute_in(torch.bfloat16, model)
    checkpoint_activations(model)
    assert inspect.signature(model.forward) == signature
    assert model(BATCH.input_ids).logits.dtype == torch.bfloat16
    for made in (twin(model), copy.deepcopy(model)):
        assert made.forward.module is made
        assert made.base_model.layers[1].forward.module is made.base_model.layers[1]
        as_given(made)
        assert made(BATCH.input_ids).logits.dtype == torch.float32
        assert "forward" not in made.base_model.layers[1].__dict__
    assert model(BATCH.input_ids).logits.dtype == torch.bfloat16
    before = model(BATCH.input_ids).logits
    compute_in(torch.float32, model)  # float32 leaves a model alone
    assert torch.equal(model(BATCH.input_ids).logits, before)


def test_an_error_within_leaves_autocast_off() -> None:
    model = tiny_llama()
    compute_in(torch.bfloat16, model)
    with pytest.raises(IndexError):
        model(torch.tensor([[10**6]]))
    assert not torch.is_autocast_enabled("cpu")


def test_the_sampler_draws_what_the_model_draws_and_casts_weights_once() -> None:
    tokenizer = tiny_tokenizer()
    model = tiny_llama(tokenizer)
    compute_in(torch.bfloat16, model)
    make = partial(InProcessSampler, tokenizer=tokenizer, temperature=1.0, max_new_tokens=8)
    inner, outer = make(model), BFloat16Sampler(model, make)
    prompts = [user_prompt("Hello", "a"), user_prompt("Good morning", "b")]
    assert outer.sample(prompts, n=2, seed=0) == inner.sample(prompts, n=2, seed=0)
    first = outer.sample(prompts, n=2, seed=0)
    model.get_output_embeddings().weight.data.mul_(-1)  # an update in between is seen
    assert outer.sample(prompts, n=2, seed=0) == inner.sample(prompts, n=2, seed=0) != first

    activities = [torch.profiler.ProfilerActivity.CPU]

    def casts(sampler: Sampler) -> int:
        with torch.profiler.profile(activities=activities, record_shapes=True) as profile:
            sampler.sample(prompts, n=2, seed=0)
        shape = [list(model.base_model.layers[0].mlp.up_proj.weight.shape)]
        events = profile.key_averages(group_by_input_shape=True)
        return sum(e.count for e in events if e.key == "aten::_to_copy" and e.input_shapes[:1] == shape)

    assert casts(inner) >= 2 * 2 * 8  # up and gate of two layers at every token
    assert casts(outer) == 2 * 2


def test_a_tied_head_keeps_its_embedding_in_full_precision() -> None:
    config = LlamaConfig(vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=1,
                         num_attention_heads=4, tie_word_embeddings=True)  # fmt: skip
    cast = cast_once(LlamaForCausalLM(config))
    assert cast.get_input_embeddings().weight.dtype == torch.float32
    assert cast.base_model.layers[0].mlp.up_proj.weight.dtype == torch.bfloat16
    assert cast.base_model.norm.weight.dtype == torch.float32


def test_bfloat16_rounds_within_the_bound_that_ppo_allows() -> None:
    policy, prompts = load_policy("atlas"), train_prompts(0)[::56][:32]
    compute_in(torch.bfloat16, policy.model)
    sampler = InProcessSampler(policy.model, policy.tokenizer, temperature=1.0, max_new_tokens=32)
    replies = sampler.sample(prompts, n=1, seed=0)
    drawn = torch.tensor([logprob for reply in replies for logprob in reply.logprobs])

    def worst(asked: list[Prompt]) -> float:
        batch = make_batch(reply_rows(policy.tokenizer, asked, replies), 0)
        with torch.no_grad():
            return float((token_logprobs(policy.model, batch).logprobs[batch.reply_mask] - drawn).abs().max())

    assert MAX_RATIO_MISMATCH / 2 < worst(prompts) < MAX_RATIO_MISMATCH_BF16 / 4
    assert worst(prompts[1:] + prompts[:1]) > MAX_RATIO_MISMATCH_BF16  # control: other prompts are found
