"""LoRA, the shared backbone and bfloat16 through whole runs: what must coincide does; checkpoints load plainly."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
from typer.testing import CliRunner

from candor import api
from candor.cli import app
from candor.models.twins import tensor_bytes
from candor.pipeline import ppo, trainees
from candor.pipeline.progress import Silent
from candor.recipe import CompareStage
from candor.recipe_io import load_recipe, parse_recipe, resolve, to_toml
from candor.runs import read_json

pytestmark = pytest.mark.usefixtures("stubs")

SHORT = ("sft.epochs=2", "reward.epochs=1", "ppo.updates=2", "ppo.batch_size=8", "audit.num_questions=2")
LORA = ("sft.lora.r=4", "reward.lora.r=4", "ppo.lora.r=4", "ppo.lora.alpha=8.0")
SHARED = (*SHORT, *LORA, "ppo.shared_backbone=true")
CHECKPOINTING = tuple(f"{stage}.gradient_checkpointing=true" for stage in ("sft", "reward", "ppo"))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lora")


@pytest.fixture(scope="module")
def separate(files: Path, root: Path) -> Path:
    return run(files, root / "separate", *SHORT, *LORA)


@pytest.fixture(scope="module")
def shared(files: Path, separate: Path) -> Path:
    return run(files, separate.parent / "shared", *SHARED)


def run(files: Path, out: Path, *overrides: str, **options: Any) -> Path:
    return api.run(files / "recipe.toml", out=out, overrides=overrides, **options).path


def metrics(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "stages/04-ppo/metrics.jsonl").read_text().splitlines()]


def adapter(out: Path) -> dict[str, Tensor]:
    return load_file(out / "stages/04-ppo/adapter/adapter_model.safetensors")


def differences(one: Path, other: Path, update: int) -> dict[str, float]:
    """Of each metric of one update, how far the two runs are apart."""
    mine, theirs = metrics(one)[update], metrics(other)[update]
    assert mine.keys() == theirs.keys()
    return {name: abs(mine[name] - theirs[name]) / max(1.0, abs(theirs[name])) for name in mine}


def test_a_shared_backbone_equals_separate_models(separate: Path, shared: Path) -> None:
    for update in (0, 1):
        assert max(differences(shared, separate, update).values()) < 1e-4
    mine, theirs = adapter(shared), adapter(separate)
    assert mine.keys() == theirs.keys()
    assert max(float((mine[key] - theirs[key]).abs().max()) for key in mine) < 1e-4
    assert max(float(mine[key].abs().max()) for key in mine if "lora_B" in key) > 5e-4  # it was trained


@contextmanager
def broken(change: Any) -> Iterator[None]:
    """PPO with its four models changed by ``change``."""
    whole = trainees.ppo_models
    ppo.ppo_models = lambda *given: change(whole(*given))  # type: ignore[attr-defined]
    try:
        yield
    finally:
        ppo.ppo_models = whole  # type: ignore[attr-defined]


def test_a_reference_or_reward_under_the_wrong_adapter_is_seen(files: Path, separate: Path) -> None:
    # Controls: the comparison above does tell a backbone that is shared wrongly.
    def reference_with_adapter(models: trainees.PPOModels) -> trainees.PPOModels:
        return trainees.PPOModels(
            policy=models.policy, reference=models.policy, reward=models.reward, value=models.value
        )

    def reward_without_adapter(models: trainees.PPOModels) -> trainees.PPOModels:
        for module in models.reward.model.modules():
            if hasattr(module, "_disable_adapters"):
                module._disable_adapters = True
        return models

    # The tiny change of adam_eps keeps the runs from being taken over from each other.
    for eps, change, update in (("1.01e-5", reference_with_adapter, 1), ("1.02e-5", reward_without_adapter, 0)):
        with broken(change):
            out = run(files, separate.parent / eps, *SHARED, f"ppo.adam_eps={eps}")
        found = differences(out, separate, update)
        assert max(found["kl"], found["reward"]) > 1e-3


def test_four_models_stand_on_one_set_of_weights(files: Path, shared: Path) -> None:
    seen: list[trainees.PPOModels] = []

    def look(models: trainees.PPOModels) -> trainees.PPOModels:
        seen.append(models)
        return models

    with broken(look):
        run(files, shared.parent / "look", *SHARED, "ppo.kl_coef=0.2")
        run(files, shared.parent / "look2", *SHORT, *LORA, "ppo.kl_coef=0.2")
    sizes = []
    for models in seen:
        four = (models.policy.model, models.reference.model, models.reward.model, models.value)
        sizes.append(tensor_bytes(four) / tensor_bytes([models.reference.model]))
    assert sizes[0] < 2.0 < 3.5 < sizes[1]
    policy, value = seen[0].policy.model, seen[0].value
    trained = {name for name, p in policy.named_parameters() if p.requires_grad}
    assert trained
    assert all(".policy." in name for name in trained)
    assert {name for name, p in value.named_parameters() if p.requires_grad and ".value." not in name} == {
        "head.weight",
        "head.bias",
    }


def test_what_is_left_loads_with_plain_transformers_and_plain_peft(shared: Path) -> None:
    ids = torch.arange(4, 20).unsqueeze(0)
    for stage, auto, options in (
        ("01-sft", AutoModelForCausalLM, {}),
        ("03-reward", AutoModelForSequenceClassification, {"num_labels": 1}),
        ("04-ppo", AutoModelForCausalLM, {}),
    ):
        folder = shared / "stages" / stage
        base = read_json(folder / "adapter/adapter_config.json")["base_model_name_or_path"]
        start = shared / base if stage != "01-sft" else base
        with torch.no_grad():
            plain, bare = (auto.from_pretrained(at, **options) for at in (folder / "checkpoint", start))
            assert not any("lora" in name for name in plain.state_dict())
            for model in (plain, bare):
                model.config.pad_token_id = 0
            before, merged = bare(ids).logits, plain(ids).logits
            assert (before - merged).abs().max() > 1e-4
            adapted = PeftModel.from_pretrained(bare, folder / "adapter").eval()
            torch.testing.assert_close(adapted(ids).logits, merged, rtol=1e-4, atol=1e-5)
    body = AutoModelForCausalLM.from_pretrained(shared / "stages/04-ppo/checkpoint")
    start = AutoModelForCausalLM.from_pretrained(shared / "stages/01-sft/checkpoint")
    assert torch.equal(body.lm_head.weight, start.lm_head.weight)  # a head without an adapter does not train


class Stops(Silent):
    """Ctrl-C after some updates of a stage."""

    def __init__(self, stage: str, updates: int) -> None:
        self.stage, self.updates, self.now = stage, updates, ""

    def start(self, name: str, *arguments: Any, **options: Any) -> None:
        self.now = name

    def update(self, step: int, *arguments: Any, **options: Any) -> None:
        if self.now == self.stage and step == self.updates:
            raise KeyboardInterrupt


def test_interrupted_it_goes_on_bit_for_bit_and_keeps_only_what_trains(
    files: Path, shared: Path, tmp_path: Path
) -> None:
    overrides = (*SHARED, "ppo.updates=4", "ppo.checkpoint_every=1", *CHECKPOINTING, "model.dtype=bfloat16")
    whole = run(files, tmp_path / "a" / "whole", *overrides)
    out = tmp_path / "b" / "stopped"
    for stage, updates in (("sft", 2), ("reward", 2), ("ppo", 3)):
        with pytest.raises(KeyboardInterrupt):
            run(
                files,
                out,
                *overrides,
                "sft.checkpoint_every=1",
                "reward.checkpoint_every=1",
                tell=Stops(stage, updates),
            )
    saved = torch.load(out / "stages/04-ppo/state/state.pt", weights_only=True)
    assert all(".lora_" in name for name in saved["models"]["policy"])
    heads = {name for name in saved["models"]["value"] if ".lora_" not in name}
    assert heads == {"head.weight", "head.bias"}
    assert {tensor.dtype for model in saved["models"].values() for tensor in model.values()} == {torch.float32}
    run(files, out, *overrides, "sft.checkpoint_every=1", "reward.checkpoint_every=1")
    assert metrics(out) == metrics(whole)
    for name in ("adapter/adapter_model.safetensors", "checkpoint/model.safetensors"):
        assert (out / "stages/04-ppo" / name).read_bytes() == (whole / "stages/04-ppo" / name).read_bytes()


@pytest.mark.parametrize("lora", [True, False])
def test_bfloat16_checkpoints_are_bfloat16_and_training_goes_as_in_float32(
    files: Path, separate: Path, lora: bool, finished: Path
) -> None:
    overrides = (*SHORT, *(LORA if lora else ()), *CHECKPOINTING, "model.dtype=bfloat16")
    out = run(files, separate.parent / f"half{lora}", *overrides)
    plain = separate if lora else run(files, separate.parent / "full", *SHORT)
    for stage in ("01-sft", "03-reward", "04-ppo"):
        folder = out / "stages" / stage
        assert {t.dtype for t in load_file(folder / "checkpoint/model.safetensors").values()} == {torch.bfloat16}
        assert read_json(folder / "checkpoint/config.json")["dtype"] == "bfloat16"
        assert (folder / "adapter").exists() == lora
        rows, exact = (
            [json.loads(line) for line in (at / "stages" / stage / "metrics.jsonl").read_text().splitlines()]
            for at in (out, plain)
        )
        name = "reward" if stage == "04-ppo" else "loss"
        gap = abs(rows[0][name] - exact[0][name])
        assert 0 < gap < 0.05
    assert all(row["ratio_mismatch"] < 0.02 for row in metrics(out))
    assert metrics(out)[0]["ratio_mismatch"] > 1e-6


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (("ppo.shared_backbone=true",), "tiny: ppo.shared_backbone: needs lora (--set ppo.lora.r=16, or leave it off)"),
        (
            ("ppo.shared_backbone=true", "ppo.lora.r=4"),
            "tiny: ppo.shared_backbone: the reward model 'reward' was trained in full, not with LoRA "
            "(--set reward.lora.r=16, or leave it off)",
        ),
        (
            ("ppo.shared_backbone=true", "ppo.lora.r=4", "reward.lora.r=4", "ppo.policy=base"),
            "tiny: ppo.shared_backbone: the reward model 'reward' starts from 'sft', the policy from 'base' "
            "(let both start from one policy: reward.policy)",
        ),
        (
            ("ppo.shared_backbone=true", "ppo.lora.r=4", "reward.lora.r=4", "ppo.reference=base"),
            "tiny: ppo.shared_backbone: the reference 'base' is not the policy it starts from, 'sft' "
            "(leave the reference out, or shared_backbone off)",
        ),
        (
            ("model.device=cuda:7",),
            'model.device: there is no device \'cuda:7\': CUDA devices seen: 0 (use "auto" or "cpu")',
        ),
        (
            ('sft.lora.targets=["query"]',),
            "lora.targets: target modules {'query'} not found in the base model (use \"all-linear\")",
        ),
    ],
)
def test_what_cannot_be_is_one_line(world, overrides: tuple[str, ...], expected: str) -> None:
    if torch.cuda.is_available() and "cuda" in expected:
        pytest.skip("the line counts the devices")
    arguments = [part for override in overrides for part in ("--set", override)]
    result = CliRunner().invoke(app, ["run", str(world.recipe), "--out", str(world.runs / "x"), *arguments])
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == f"error: {expected}"


@pytest.mark.parametrize("name", ["llm-lora", "llm-full"])
def test_the_recipe_for_a_real_model_runs_on_a_tiny_one(name: str, files: Path, tmp_path: Path) -> None:
    """The very text of the packaged recipe; set are only the paths and the sizes."""
    small = ("batch_size=4", "max_length=96", "micro_batch_tokens=256", "warmup_steps=1")
    sizes = [f"{stage}.{field}" for stage in ("sft", "reward", "ppo") for field in small]
    paths = [f"model.path={files / 'model'}", f"sft.demonstrations={files / 'demonstrations.jsonl'}"]
    paths += [f"compare.file={files / 'pairs.jsonl'}", "ppo.updates=2", "ppo.max_new_tokens=6"]
    audit = ["audit.num_questions=3", "audit.max_new_tokens=6", "audit.bootstrap=20", "reward.heldout=0.25"]
    done = api.run(name, out=tmp_path / name, overrides=[*paths, *sizes, *audit])
    assert [*done.stages] == ["base", "sft", "compare", "reward", "ppo"]
    assert len(metrics(done.path)) == 2
    estimated = api.estimate(name, overrides=[*paths, *sizes, *audit])
    assert [stage.name for stage in estimated.stages] == ["sft", "reward", "ppo", "audit"]
    assert (done.stages["ppo"] / "adapter").is_dir() == (name == "llm-lora")
    weights = load_file(done.checkpoint("ppo") / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    told = CliRunner().invoke(app, ["run", name, "--out", str(tmp_path / "x")])
    assert told.exit_code == 2
    assert told.stderr.startswith("error: DEMONSTRATIONS.jsonl: no such file")  # a placeholder that was left


def test_the_published_recipes_resolve() -> None:
    for name in ("llm-lora", "llm-full"):
        recipe = resolve(load_recipe(name))
        training = [stage for stage in recipe.stages if not isinstance(stage, CompareStage)]
        assert all((stage.lora is not None) == (name == "llm-lora") for stage in training)
        assert all(stage.gradient_checkpointing for stage in training)
        assert parse_recipe(tomllib.loads(to_toml(recipe)), where=name) == recipe
