"""Checkpoints that do not fit and texts that are too long or alike: one clear line, or counted and said aloud."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from typer.testing import CliRunner

from any_recipe import RECIPE
from architectures import save, save_encoder
from candor.cli import app
from candor.runs import hash_path, read_json

PAIRS = """
name = "pairs"
[model]
path = "model"
[[stages]]
type = "compare"
file = "pairs.jsonl"
[[stages]]
type = "reward"
batch_size = 4
heldout = 0.3
[audit]
prompts = "audit.jsonl"
max_new_tokens = 5
bootstrap = 20
"""


@pytest.fixture
def recipe(files: Path) -> Path:
    (files / "pairs-only.toml").write_text(PAIRS)
    return files / "pairs-only.toml"


def refused(recipe: Path, out: Path, *overrides: str, started: bool = False) -> str:
    """Runs the command line and returns its complaint: the only line, unless the run had started."""
    settings = [part for override in overrides for part in ("--set", override)]
    result = CliRunner().invoke(app, ["run", str(recipe), "--out", str(out), *settings])
    assert result.exit_code == 2, result.output
    lines = result.stderr.splitlines()
    assert started or len(lines) == 1
    assert "Traceback" not in result.stderr
    assert started or not out.exists(), "nothing is written for a run that cannot start"
    assert lines[-1].startswith("error: ")
    return lines[-1].removeprefix("error: ")


def ran(recipe: Path, out: Path, *overrides: str) -> str:
    """Runs the command line to its end and returns what it told."""
    settings = [part for override in overrides for part in ("--set", override)]
    result = CliRunner().invoke(app, ["run", str(recipe), "--out", str(out), *settings])
    assert result.exit_code == 0, result.output
    return (out / "run.log").read_text()


def write(path: Path, rows: list[dict]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_checkpoint_without_a_tokenizer(recipe: Path, world, tmp_path: Path) -> None:
    for name, folder, override in (
        ("policy", save("gpt2", tmp_path / "policy"), "model.path"),
        ("reward model", save_encoder("bert", tmp_path / "encoder"), "reward.model"),
    ):
        for file in folder.glob("*token*"):
            file.unlink()
        for file in folder.glob("vocab*"):
            file.unlink()
        message = refused(recipe, world.runs / name, f"{override}={folder}")
        assert message.startswith(f"{folder}: the checkpoint has no tokenizer (save one beside the model")


def test_a_reward_model_that_cannot_start(recipe: Path, world, tmp_path: Path) -> None:
    encoder = save_encoder("bert", tmp_path / "encoder")
    three = tmp_path / "three"
    AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=3).save_pretrained(three)
    AutoTokenizer.from_pretrained(encoder).save_pretrained(three)
    out = world.runs / "x"
    told = refused(recipe, out, f"reward.model={three}")
    assert told.startswith(f"{three}: a reward model gives one score, this one gives 3: its head is of the wrong size")
    told = refused(recipe, out, "reward.model=./nowhere")
    assert told == "./nowhere: no such checkpoint directory"
    told = refused(recipe, out, f"reward.model={encoder}", "reward.policy=base")
    assert told == "pairs: reward: a reward stage starts from a policy or a model, not both (leave one out)"


def test_weights_that_are_missing_stop_the_stage_and_nothing_before_it(recipe: Path, world, tmp_path: Path) -> None:
    torn = save_encoder("bert", tmp_path / "torn")
    weights = load_file(torn / "model.safetensors")
    del weights["bert.encoder.layer.0.output.dense.weight"]
    save_file(weights, torn / "model.safetensors", metadata={"format": "pt"})
    out = world.runs / "x"
    told = refused(recipe, out, f"reward.model={torn}", started=True)
    assert told == (
        f"{torn}: the checkpoint lacks 1 of the weights of an encoder, such as "
        "bert.encoder.layer.0.output.dense.weight: they would be random"
    )
    before = hash_path(out / "stages" / "01-compare")
    whole = save_encoder("bert", tmp_path / "whole")
    ran(recipe, out, f"reward.model={whole}")
    assert hash_path(out / "stages" / "01-compare") == before


def test_pairs_that_are_all_identical(recipe: Path, world, tmp_path: Path) -> None:
    same = [{"prompt": f"Number {i}?", "chosen": "Yes.", "rejected": "Yes."} for i in range(3)]
    file = write(tmp_path / "same.jsonl", same)
    assert refused(recipe, world.runs / "x", f"compare.file={file}") == (
        f"{file}: none of 3 comparisons gives a pair to train on (3 x identical responses) "
        "(a reward model needs comparisons that prefer one response to another)"
    )


def long_pairs(tmp_path: Path, alike: int, apart: int) -> Path:
    """``alike`` pairs whose replies differ after their 300th letter only, and ``apart`` short ones."""
    shared = "x" * 300
    rows = [{"prompt": f"P{i}?", "chosen": shared + " yes", "rejected": shared + " no"} for i in range(alike)]
    rows += [{"prompt": f"Q{i}?", "chosen": f"yes {i}", "rejected": "no"} for i in range(apart)]
    return write(tmp_path / f"long{apart}.jsonl", rows)


def test_replies_that_a_cut_would_make_equal_are_left_out_and_counted(recipe: Path, world, tmp_path: Path) -> None:
    """Replies are never cut, so the pair goes, with both of its replies: told, and in evaluation.json."""
    file = long_pairs(tmp_path, 3, 12)
    log = ran(recipe, world.runs / "x", f"compare.file={file}", "reward.max_length=100")
    counts = read_json(world.runs / "x" / "stages" / "02-reward" / "evaluation.json")
    train, heldout = counts["train"], counts["heldout"]
    assert train["pairs_too_long"] + heldout["pairs_too_long"] == 3
    assert train["responses_too_long"] == 2 * train["pairs_too_long"] > 0
    assert train["pairs"] + heldout["pairs"] == 12
    assert f"{train['responses_too_long']} were too long and left out, with {train['pairs_too_long']} pairs" in log

    out = world.runs / "y"
    told = refused(
        recipe,
        out,
        f"compare.file={long_pairs(tmp_path, 3, 0)}",
        "reward.max_length=100",
        "reward.heldout=0",
        started=True,
    )
    assert told == "reward: no comparison gives a pair to train on (3 x too long) (raise max_length = 100)"


def test_texts_that_an_uncased_encoder_cannot_tell_apart(recipe: Path, world, tmp_path: Path) -> None:
    encoder = save_encoder("bert", tmp_path / "encoder")
    rows = [{"prompt": f"P{i}?", "chosen": "YES", "rejected": "yes"} for i in range(4)]
    out = world.runs / "x"
    alike = write(tmp_path / "alike.jsonl", rows)
    told = refused(recipe, out, f"compare.file={alike}", f"reward.model={encoder}", "reward.heldout=0", started=True)
    assert told.startswith("reward: no comparison gives a pair to train on (4 x both sides the same tokens)")
    mixed = write(
        tmp_path / "mixed.jsonl", rows + [{"prompt": f"Q{i}?", "chosen": "a", "rejected": "b"} for i in range(9)]
    )
    log = ran(recipe, world.runs / "y", f"compare.file={mixed}", f"reward.model={encoder}", "reward.heldout=0")
    assert "reward: 4 pairs left out: to this model both sides are the same tokens" in log
    assert read_json(world.runs / "y" / "stages" / "02-reward" / "evaluation.json")["train"]["pairs_alike"] == 4


def test_prompts_longer_than_the_context(files: Path, world, tmp_path: Path) -> None:
    """A model with 192 learned places: whatever is longer is cut or left out, counted, and said."""
    base = save("gpt2", tmp_path / "model")
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("demonstrations.jsonl", "prompts.jsonl", "audit.jsonl"):
        shutil.copy(files / name, folder / name)
    long = "and on " * 200
    prompts = [json.loads(line) for line in (folder / "prompts.jsonl").read_text().splitlines()]
    longer = {**prompts[0], "id": "long", "messages": [{"role": "user", "content": long}]}
    for name in ("prompts.jsonl", "audit.jsonl"):
        write(folder / name, [*map(json.loads, (folder / name).read_text().splitlines()), longer])
    rows = [json.loads(line) for line in (folder / "demonstrations.jsonl").read_text().splitlines()]
    write(folder / "demonstrations.jsonl", [*rows, {"prompt": long, "reply": "no"}, {"prompt": "a", "reply": long}])
    (folder / "any.toml").write_text(RECIPE)
    out = world.runs / "long"
    log = ran(folder / "any.toml", out, f"model.path={base}", "reward.max_length=400")
    assert "sft: 1 prompts cut, 1 replies too long: dropped" in log
    assert "1 of 13 prompts left out: they do not fit 192 tokens" in log
    assert "ppo: 1 of 13 prompts left out: too long" in log
    assert "reward: max_length = 192, the model's context, instead of 400" in log
    assert read_json(out / "stages" / "01-sft" / "data.json")["prompts_cut"] == 1

    only = write(folder / "prompts.jsonl", [longer])
    told = refused(
        folder / "any.toml",
        out,
        f"model.path={base}",
        f"ppo.prompts={only}",
        f"compare.prompts={folder / 'audit.jsonl'}",
        started=True,
    )
    assert told == (
        "ppo prompts: none of 1 prompts has between 1 and 187 tokens (raise max_length or lower max_new_tokens)"
    )
