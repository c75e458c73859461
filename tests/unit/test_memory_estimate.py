"""The memory estimate against what small runs really hold: weights, gradients and moments exactly, activations near."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    PretrainedConfig,
    Qwen2Config,
    Qwen3Config,
)
from typer.testing import CliRunner

from candor import api
from candor.cli import app
from candor.models.adapters import add_adapter
from candor.models.architecture import architecture_from, architecture_of
from candor.models.compute import DTYPES, checkpoint_activations, compute_in
from candor.models.heads import ValueModel
from candor.models.load import Policy, load_policy, reward_from_policy
from candor.models.memory import Setting, activations, logits, ppo, sampling, training
from candor.models.twins import freeze, in_dtype, tensor_bytes, twin
from candor.recipe import LoraConfig
from candor.training.state import adamw
from tiny_models import tiny_tokenizer

LORA = LoraConfig(r=4)
TOKENS, ROW = 288, 72
CONFIGS = {
    "llama": LlamaConfig(vocab_size=512, hidden_size=64, intermediate_size=192, num_hidden_layers=3,
                         num_attention_heads=4, num_key_value_heads=2),
    "qwen2": Qwen2Config(vocab_size=512, hidden_size=64, intermediate_size=160, num_hidden_layers=2,
                         num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True),
    "qwen3": Qwen3Config(vocab_size=512, hidden_size=64, intermediate_size=192, num_hidden_layers=3,
                         num_attention_heads=4, num_key_value_heads=2, head_dim=32),
    "gpt2": GPT2Config(vocab_size=512, n_embd=64, n_layer=3, n_head=4, eos_token_id=1, bos_token_id=1),
    "neox": GPTNeoXConfig(vocab_size=512, hidden_size=64, intermediate_size=256, num_hidden_layers=3,
                          num_attention_heads=4),
}  # fmt: skip


def setting(dtype: str = "float32", lora: LoraConfig | None = None, checkpointing: bool = False) -> Setting:
    return Setting(dtype=dtype, lora=lora, checkpointing=checkpointing, tokens=TOKENS, row=ROW)  # type: ignore[arg-type]


def made(config: PretrainedConfig, given: Setting) -> nn.Module:
    """A policy, held and computing as the setting says."""
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").eval()
    if given.lora is not None:
        model = in_dtype(model, DTYPES[given.dtype])
        freeze(model)
        add_adapter(model.base_model, given.lora, name="policy", seed=0)
    compute_in(DTYPES[given.dtype], model)
    if given.checkpointing:
        checkpoint_activations(model)
    return model


def kept(model: nn.Module) -> int:
    """The bytes of what one forward pass through the body keeps for the backward pass, weights' copies left out."""
    weights = {p.data_ptr() for p in model.parameters()}
    shapes = {tuple(p.shape) for p in model.parameters()} | {
        tuple(p.T.shape) for p in model.parameters() if p.ndim == 2
    }
    found: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        if tensor.data_ptr() not in weights and tuple(tensor.shape) not in shapes:
            found[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    ids = torch.randint(0, 512, (TOKENS // ROW, ROW))
    mask = torch.ones(len(ids), 1, ROW, ROW, dtype=torch.bool).tril()
    positions = torch.arange(ROW).expand(len(ids), ROW)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model.base_model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False)
    return sum(found.values())


@pytest.mark.parametrize("lora", [None, LORA])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", CONFIGS)
def test_activations_are_what_autograd_keeps(name: str, dtype: str, lora: LoraConfig | None) -> None:
    given = setting(dtype, lora)
    estimated = activations(architecture_from(CONFIGS[name], where=name), given)
    assert estimated == pytest.approx(kept(made(CONFIGS[name], given)), rel=0.1)
    # Control: in the other precision, or trained the other way, the same formula is off by more.
    other = activations(
        architecture_from(CONFIGS[name], where=name), setting({"float32": "bfloat16"}.get(dtype, "float32"), lora)
    )
    assert other != pytest.approx(estimated, rel=0.2)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_checkpointing_keeps_each_layers_input(dtype: str) -> None:
    given = setting(dtype, LORA, checkpointing=True)
    config = CONFIGS["llama"]
    architecture = architecture_from(config, where="llama")
    one_layer = activations(replace(architecture, layers=1), replace(given, checkpointing=False))
    between = activations(replace(architecture, layers=0), replace(given, checkpointing=False))
    # What is kept at the end of the forward pass, and the layer that is then computed again.
    expected = kept(made(config, given)) + one_layer - between
    assert activations(architecture, given) == pytest.approx(expected, rel=0.1)
    assert activations(architecture, given) < 0.6 * activations(architecture, replace(given, checkpointing=False))


def held(models: list[nn.Module]) -> tuple[int, int, int]:
    """Weights, gradients and optimiser bytes after one step of everything that trains."""
    trained = [p for model in models for p in model.parameters() if p.requires_grad]
    trained = list({id(p): p for p in trained}.values())
    for p in trained:
        p.grad = torch.zeros_like(p)
    optimizer = adamw([nn.ParameterList(trained)], lr=1e-3)
    optimizer.step()
    moments = [t for state in optimizer.state.values() for t in (state["exp_avg"], state["exp_avg_sq"])]
    parameters = {p.data_ptr(): p.numel() * p.element_size() for model in models for p in model.parameters()}
    sums = (sum(t.numel() * t.element_size() for t in tensors) for tensors in ([p.grad for p in trained], moments))
    return (sum(parameters.values()), *sums)  # type: ignore[return-value]


@pytest.mark.parametrize("lora", [None, LORA, LoraConfig(r=2, targets=("q_proj", "down_proj"))])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["llama", "qwen2"])
def test_weights_gradients_and_moments_are_exact(name: str, dtype: str, lora: LoraConfig | None) -> None:
    given = setting(dtype, lora)
    architecture, tokenizer = architecture_from(CONFIGS[name], where=name), tiny_tokenizer()
    model = made(CONFIGS[name], given)
    memory = training(architecture, given, head="vocabulary")
    assert held([model]) == (memory.weights, memory.gradients, memory.optimizer)

    start = AutoModelForCausalLM.from_config(CONFIGS[name]).eval()
    start = start if lora is None else in_dtype(start, DTYPES[dtype])
    reward = reward_from_policy(Policy(model=start, tokenizer=tokenizer), seed=0, share=True)
    if lora is not None:
        add_adapter(reward.model.base_model, lora, name="reward", seed=0)
    memory = training(architecture, given, head="score")
    assert held([reward.model]) == (memory.weights, memory.gradients, memory.optimizer)


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_four_models_of_ppo_are_exact(dtype: str, shared: bool) -> None:
    config, tokenizer = CONFIGS["qwen2"], tiny_tokenizer()
    architecture = architecture_from(config, where="qwen2")
    rewards = LoraConfig(r=8)

    def fresh() -> nn.Module:
        return in_dtype(AutoModelForCausalLM.from_config(config).eval(), DTYPES[dtype])

    reference = fresh()
    freeze(reference)
    policy = twin(reference) if shared else fresh()
    start = Policy(model=reference if shared else fresh(), tokenizer=tokenizer)
    reward = reward_from_policy(start, seed=0, share=True)
    if shared:
        add_adapter(reward.model.base_model, rewards, name="reward", seed=0)
    value = ValueModel.from_reward(reward.model, body=twin(reward.model.base_model) if shared else None)
    freeze(reward.model)
    freeze(policy)
    add_adapter(policy.base_model, LORA, name="policy", seed=0)
    add_adapter(value.backbone, LORA, name="value", seed=0)
    value.head.float()
    memory = ppo(
        architecture,
        setting(dtype, LORA),
        shared=shared,
        reward_lora=rewards if shared else None,
        rows=8,
        places=64,
    )
    found = held([policy, reference, reward.model, value])
    assert found == (memory.weights, memory.gradients, memory.optimizer)
    assert tensor_bytes([policy, reference, reward.model, value]) >= found[0]


def test_numbers_of_the_embedded_base_and_of_the_sampler() -> None:
    policy = load_policy("atlas")
    architecture = architecture_of("atlas")
    assert architecture.parameters == sum(p.numel() for p in policy.model.parameters())
    assert architecture.body == sum(p.numel() for p in policy.model.base_model.parameters())
    config = policy.model.config
    cache = config.num_hidden_layers * 2 * config.num_key_value_heads * config.head_dim * 4 * 256 * 100
    assert sampling(architecture, "float32", rows=256, places=100).cache == cache
    given = replace(setting(), tokens=10)
    assert logits(architecture, given) == 10 * config.vocab_size * 16
    assert logits(architecture, replace(given, tokens=10**7)) == 2**26 * 16  # never more at once


def qwen(*, width: int, inner: int, layers: int, heads: int, keys: int, vocabulary: int = 151936) -> Qwen2Config:
    return Qwen2Config(
        vocab_size=vocabulary, hidden_size=width, intermediate_size=inner, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=keys, tie_word_embeddings=vocabulary == 151936,
    )  # fmt: skip


REAL = {
    "Qwen2.5 0.5B": qwen(width=896, inner=4864, layers=24, heads=14, keys=2),
    "Qwen2.5 1.5B": qwen(width=1536, inner=8960, layers=28, heads=12, keys=2),
    "Qwen2.5 3B": qwen(width=2048, inner=11008, layers=36, heads=16, keys=2),
    "Qwen2.5 7B": qwen(width=3584, inner=18944, layers=28, heads=28, keys=4, vocabulary=152064),
    "Llama 3.1 8B": LlamaConfig(vocab_size=128256, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32,
                                num_attention_heads=32, num_key_value_heads=8),
}  # fmt: skip
WAYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "LoRA, shared backbone": ("llm-lora", ()),
    "LoRA, four models": ("llm-lora", ("ppo.shared_backbone=false",)),
    "every weight": ("llm-full", ()),
}
GPUS = (24, 80, 141)


def memory_rows(folder: Path) -> list[str]:
    """The table of docs/memory.md: GiB of a CUDA device by stage, and which GPUs hold the highest."""
    lines = []
    for name, config in REAL.items():
        config.save_pretrained(folder / name)
        for way, (recipe, overrides) in WAYS.items():
            found = api.estimate(recipe, overrides=[f"model.path={folder / name}", *overrides])
            gib = {stage.name: stage.memory.device / 2**30 for stage in found.stages}
            fits = " ".join(str(gpu) for gpu in GPUS if found.peak <= gpu * 2**30) or "none"
            sizes = " | ".join(f"{gib[stage]:.1f}" for stage in ("sft", "reward", "ppo", "audit"))
            lines.append(f"| {name} | {way} | {sizes} | {fits} |")
    return lines


def test_the_documented_table_is_what_the_estimator_says(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "memory.md").read_text(encoding="utf-8")
    header = "| model | what trains | sft | reward | ppo | audit | fits on (GB) |"
    shown = text.split(header)[1].split("\n\n")[0].splitlines()[2:]
    assert shown == memory_rows(tmp_path)


def big(folder: Path) -> Path:
    """A model of which there is only the configuration."""
    REAL["Qwen2.5 7B"].save_pretrained(folder)
    return folder


def test_the_command_needs_only_a_configuration(tmp_path: Path) -> None:
    model = big(tmp_path / "model")
    command = ["estimate", "llm-lora", "--set", f"model.path={model}"]
    told = CliRunner().invoke(app, [*command, "--gpu-memory", "24"])
    assert told.exit_code == 0, told.output
    found = json.loads(CliRunner().invoke(app, [*command, "--gpu-memory", "80", "--json"]).stdout)
    assert found["parameters"] == 7_615_616_512
    assert found["fits"] is True
    assert "7,615.6M parameters" in told.stdout.splitlines()[0]
    ppo_line = next(line for line in told.stdout.splitlines() if line.startswith("ppo"))
    stage = next(stage for stage in found["stages"] if stage["name"] == "ppo")
    assert float(ppo_line.split()[1]) == pytest.approx(stage["bytes"]["weights"] / 2**30, abs=0.01)
    assert stage["bytes"]["weights"] > 2 * 7_615_616_512
    fits = all(s["bytes"]["device"] <= 24 * 2**30 for s in found["stages"])
    assert told.stdout.splitlines()[-1].startswith("fits: " if fits else "does not fit: ")
    small = CliRunner().invoke(app, [*command, "--gpu-memory", "16"])
    assert small.stdout.splitlines()[-1].startswith("does not fit: ")

    refused = CliRunner().invoke(app, ["estimate", "--set", f"model.path={tmp_path}"])
    assert refused.exit_code == 2
    assert refused.stderr.startswith("error: ")
    assert len(refused.stderr.splitlines()) == 1
