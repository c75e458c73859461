"""Adapters: a closed form, plain peft as the second opinion, and models that share their frozen weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, GPT2Config, GPT2LMHeadModel

from candor.errors import InputError
from candor.models.adapters import (
    CAUSAL,
    CLASSIFIER,
    adapter_parameters,
    add_adapter,
    has_adapter,
    load_adapter,
    merged,
    save_adapter,
)
from candor.models.heads import sequence_scores
from candor.models.load import Policy, load_policy, reward_from_policy, save_policy
from candor.models.twins import freeze, in_dtype, tensor_bytes, twin
from candor.ops.batches import Row, make_batch
from candor.ops.logprobs import places
from candor.recipe import LoraConfig
from tiny_models import tiny_llama, tiny_tokenizer

LORA = LoraConfig(r=3, alpha=6.0)
IDS = torch.tensor([[5, 9, 14, 3, 60, 22], [7, 7, 31, 48, 2, 11]])


def tiny_gpt2() -> GPT2LMHeadModel:
    """Its linear layers are Conv1D: weights are stored transposed; its embeddings are tied."""
    config = GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=4, n_positions=64, initializer_range=0.2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return GPT2LMHeadModel(config).eval()


def stir(body: nn.Module, name: str) -> None:
    """Gives B weights of its own, as if it had been trained."""
    generator = torch.Generator().manual_seed(1)
    for key, parameter in adapter_parameters(body, name).items():
        if "lora_B" in key:
            parameter.data = 0.2 * torch.randn(parameter.shape, generator=generator)


def logits(model: nn.Module) -> Tensor:
    with torch.no_grad():
        return model(IDS).logits


@pytest.mark.parametrize("make", [tiny_llama, tiny_gpt2])
def test_an_adapter_adds_its_closed_form_and_merges_to_it(make) -> None:
    model, by_hand = make(), make()
    before = logits(model)
    add_adapter(model.base_model, LORA, name="policy", seed=0)
    assert torch.equal(logits(model), before)  # B = 0
    stir(model.base_model, "policy")
    assert (logits(model) - before).abs().max() > 0.01

    found = {key: p.detach() for key, p in adapter_parameters(model.base_model, "policy").items()}
    transposed = isinstance(by_hand, GPT2LMHeadModel)
    for key, a in found.items():
        if "lora_A" not in key:
            continue
        delta = LORA.alpha / LORA.r * found[key.replace("lora_A", "lora_B")] @ a
        layer = by_hand.base_model.get_submodule(key.split(".lora_A")[0])
        layer.weight.data += delta.T if transposed else delta
    plain = merged(model)
    for other in (by_hand, plain):
        torch.testing.assert_close(logits(other), logits(model), rtol=1e-5, atol=1e-5)
    assert not has_adapter(plain)
    assert type(plain) is type(by_hand)
    assert plain.state_dict().keys() == by_hand.state_dict().keys()
    assert has_adapter(model)  # and the model itself stays as it was
    assert plain.get_output_embeddings().weight is model.get_output_embeddings().weight


def test_only_the_adapter_trains_and_its_draws_are_a_function_of_the_seed() -> None:
    one, same, other = tiny_llama(), tiny_llama(), tiny_llama()
    add_adapter(one.base_model, LORA, name="policy", seed=5)
    torch.manual_seed(123)
    state = torch.get_rng_state()
    add_adapter(same.base_model, LORA, name="policy", seed=5)
    assert torch.equal(torch.get_rng_state(), state)
    add_adapter(other.base_model, LORA, name="policy", seed=6)
    found = [adapter_parameters(model.base_model, "policy") for model in (one, same, other)]
    assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])
    assert not all(torch.equal(found[0][key], found[2][key]) for key in found[0])
    trained = {name for name, p in one.base_model.named_parameters() if p.requires_grad}
    assert trained == set(found[0])
    assert len(trained) == 2 * 7 * 2  # A and B of seven linear layers in two layers
    bound = max(float(p.detach().abs().max() * p.shape[1] ** 0.5) for key, p in found[0].items() if "lora_A" in key)
    assert 0.9 < bound <= 1.0


def test_a_second_adapter_stands_on_the_first_which_is_frozen() -> None:
    model = tiny_llama()
    add_adapter(model.base_model, LORA, name="reward", seed=0)
    stir(model.base_model, "reward")
    before, plain = logits(model), merged(model)
    add_adapter(model.base_model, LoraConfig(targets=("q_proj",)), name="value", seed=0)
    assert torch.equal(logits(model), before)  # layers without the second keep the first
    add_adapter(plain.base_model, LoraConfig(targets=("q_proj",)), name="value", seed=0)
    stir(model.base_model, "value")
    stir(plain.base_model, "value")
    torch.testing.assert_close(logits(model), logits(plain), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(logits(merged(model)), logits(plain), rtol=1e-5, atol=1e-5)
    trained = {name for name, p in model.base_model.named_parameters() if p.requires_grad}
    assert trained == set(adapter_parameters(model.base_model, "value"))
    assert len(trained) == 2 * 2


@pytest.mark.parametrize(("targets", "told"), [(("query",), "target modules"), (("embed_tokens",), "no linear layer")])
def test_targets_that_are_no_linear_layers_are_refused(targets: tuple[str, ...], told: str) -> None:
    with pytest.raises(InputError, match=told) as caught:
        add_adapter(tiny_llama().base_model, LoraConfig(targets=targets), name="policy", seed=0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("make", [tiny_llama, tiny_gpt2])
def test_a_saved_adapter_loads_with_plain_peft(make, tmp_path: Path) -> None:
    model = make()
    model.save_pretrained(tmp_path / "base")
    add_adapter(model.base_model, LORA, name="policy", seed=0)
    stir(model.base_model, "policy")
    save_adapter(tmp_path / "adapter", model, name="policy", task=CAUSAL, base="base")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    without = logits(plain)
    loaded = PeftModel.from_pretrained(plain, tmp_path / "adapter").eval()
    torch.testing.assert_close(logits(loaded), logits(model), rtol=1e-5, atol=1e-5)
    assert (without - logits(model)).abs().max() > 0.01
    again = make()
    load_adapter(again, tmp_path / "adapter", name="other")
    assert torch.equal(logits(again), logits(model))
    assert not any(p.requires_grad for p in again.parameters())


def test_a_saved_reward_adapter_brings_its_head(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    policy = Policy(model=tiny_llama(tokenizer), tokenizer=tokenizer)
    save_policy(tmp_path / "base", policy)
    reward = reward_from_policy(policy, seed=3)
    add_adapter(reward.model.base_model, LORA, name="reward", seed=0)
    stir(reward.model.base_model, "reward")
    save_adapter(tmp_path / "adapter", reward.model, name="reward", task=CLASSIFIER, base="base")
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "base", num_labels=1)
    plain.config.pad_token_id = tokenizer.pad_token_id
    loaded = PeftModel.from_pretrained(plain, tmp_path / "adapter").eval()
    batch = places(make_batch([Row(tokens=tuple(row), prompt_length=2) for row in IDS.tolist()], 0))
    expected = sequence_scores(reward.model, batch)
    with torch.no_grad():
        torch.testing.assert_close(loaded(IDS).logits.squeeze(-1), expected, rtol=1e-5, atol=1e-5)
    again = reward_from_policy(load_policy(tmp_path / "base"), seed=99, share=True)
    assert not torch.allclose(sequence_scores(again.model, batch), expected, atol=1e-3)
    load_adapter(again.model, tmp_path / "adapter", name="reward")
    assert torch.equal(sequence_scores(again.model, batch), expected)

    wider = tiny_llama(tokenizer, width=64)
    with pytest.raises(InputError, match="belongs to another model"):
        load_adapter(wider, tmp_path / "adapter", name="reward")
    with pytest.raises(InputError, match="no usable adapter"):
        load_adapter(wider, tmp_path / "base", name="reward")


def test_twins_share_their_weights_and_nothing_else() -> None:
    model = tiny_gpt2()
    freeze(model)
    copy = twin(model)
    alone = tensor_bytes([model])
    assert tensor_bytes([model, copy]) == alone == 4 * sum(p.numel() for p in model.parameters())
    assert tensor_bytes([model, tiny_gpt2()]) == 2 * alone  # control
    add_adapter(copy.base_model, LORA, name="policy", seed=0)
    stir(copy.base_model, "policy")
    added = 4 * sum(p.numel() for p in adapter_parameters(copy.base_model, "policy").values())
    assert tensor_bytes([model, copy]) == alone + added
    assert not has_adapter(model)
    assert (logits(copy) - logits(model)).abs().max() > 0.01
    assert torch.equal(logits(model), logits(tiny_gpt2()))


def test_a_change_of_precision_leaves_the_original_and_keeps_ties() -> None:
    model = tiny_gpt2()
    half = in_dtype(model, torch.bfloat16)
    assert {p.dtype for p in half.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert half.get_output_embeddings().weight is half.get_input_embeddings().weight
    assert in_dtype(model, torch.float32).get_input_embeddings().weight is model.get_input_embeddings().weight
