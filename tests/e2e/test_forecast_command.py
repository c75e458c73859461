"""``candor forecast`` on a finished run: two models, samples kept, and what it refuses."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from candor import api
from candor.cli import app
from candor.errors import InputError
from candor.experiments.forecast import pairs_of_run
from candor.pipeline.progress import Silent


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_it_forecasts_a_run_and_keeps_its_samples(files: Path, finished: Path, tmp_path: Path) -> None:
    out, notes = tmp_path / "forecast", Notes()
    wanted = {"run": finished, "prompts": files / "audit.jsonl", "number": 4, "max_new_tokens": 6, "out": out}
    done = api.forecast(**wanted, betas=[0.5, 1.0], kls=[0.1], best_of=[2], tell=notes)
    assert done.page is not None
    assert {"length", "reach"} <= {check.name for check in done.checks}
    document = json.loads((out / "forecast.json").read_text())
    assert document["kind"] == "forecast"
    assert document["source"] == str(finished / "stages/01-sft")
    assert dict(document["data"]["facts"])["samples"].startswith("128 per prompt")
    began = time.monotonic()
    again = api.forecast(**wanted, betas=[0.5], kls=[], best_of=[4], tell=notes)
    assert time.monotonic() - began < 60
    assert any("used again" in note for note in notes.notes)
    first, second = (
        next(f.estimate for c in x.checks for f in c.findings if (f.metric, f.subject) == ("words", "beta 0.5"))
        for x in (done, again)
    )
    assert first == second
    other = api.forecast(**{**wanted, "seed": 1}, betas=[0.5], tell=Notes())  # control: another draw is another number
    assert next(f.estimate for c in other.checks for f in c.findings if f.metric == "words") is not None


def test_the_checkpoints_of_a_run_are_those_that_its_ppo_starts_from(finished: Path, tmp_path: Path) -> None:
    found = dict(pairs_of_run(finished))
    assert found == {
        "policy": finished / "stages/01-sft/checkpoint",
        "reward": finished / "stages/03-reward/checkpoint",
    }
    with pytest.raises(InputError, match="no finished reward stage"):
        dict(pairs_of_run(tmp_path))


def test_a_reward_model_that_starts_elsewhere_does_not_decide_the_policy(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    manifest = run / "stages/03-reward/manifest.json"
    raw = json.loads(manifest.read_text())
    raw["inputs"]["policy"]["name"] = "base"  # the reward model was trained from the base, PPO starts from sft
    manifest.write_text(json.dumps(raw))
    assert dict(pairs_of_run(run))["policy"] == run / "stages/01-sft/checkpoint"
    recipe = json.loads((run / "recipe.resolved.json").read_text())
    recipe["stages"][-1]["policy"] = "base"  # a recipe without sft: the base leaves no checkpoint of its own
    (run / "recipe.resolved.json").write_text(json.dumps(recipe))
    assert dict(pairs_of_run(run))["policy"] == recipe["model"]["path"]
    recipe["stages"] = recipe["stages"][:-1]  # and without ppo
    (run / "recipe.resolved.json").write_text(json.dumps(recipe))
    assert dict(pairs_of_run(run))["policy"] == recipe["model"]["path"]
    (run / "recipe.resolved.json").write_text("[]")
    with pytest.raises(InputError, match="this is no recipe"):
        dict(pairs_of_run(run))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "what is to be forecast?"),
        (["--policy", "a"], "what is to be forecast?"),
        (["--policy", "nowhere/p", "--reward", "nowhere/r"], "nowhere/p"),
        (["--policy", "atlas", "--reward", "atlas"], "atlas"),
        (["--policy", "atlas", "--reward", "atlas", "--betas", "high"], "expected numbers"),
        (["--policy", "atlas", "--reward", "atlas", "--betas=-1"], "not positive"),
        (["--policy", "atlas", "--reward", "atlas", "--kls", "nan"], "not positive and finite"),
        (["--policy", "atlas", "--reward", "atlas", "--best-of", "2.5"], "expected whole numbers"),
        (["--policy", "atlas", "--reward", "atlas", "--prompts", "none.jsonl"], "none.jsonl"),
        (["--run", "nobody"], "no such run"),
    ],
)
def test_what_cannot_be_forecast_is_one_line(arguments: list[str], said: str, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["forecast", *arguments])
    assert result.exit_code == 2, result.output
    assert said in result.output
    assert "Traceback" not in result.output


def test_a_reward_model_with_several_labels_and_a_file_without_prompts(files: Path, tmp_path: Path) -> None:
    two = tmp_path / "two"
    shutil.copytree(files / "model", two)
    config = json.loads((two / "config.json").read_text())
    labels = {"id2label": {"0": "bad", "1": "good"}, "label2id": {"bad": 0, "good": 1}}
    (two / "config.json").write_text(
        json.dumps(config | labels | {"architectures": ["LlamaForSequenceClassification"]})
    )
    (tmp_path / "empty.jsonl").write_text("")
    models = ["--policy", str(files / "model"), "--out", str(tmp_path / "out")]
    for arguments, said in (
        (["--reward", str(two), "--prompts", str(files / "audit.jsonl")], "a reward model gives one score"),
        (["--reward", str(two), "--prompts", str(tmp_path / "empty.jsonl")], "empty.jsonl"),
    ):
        result = CliRunner().invoke(app, ["forecast", *models, *arguments])
        assert result.exit_code == 2, result.output
        assert said in result.output
        assert not (tmp_path / "out").exists(), "nothing half-written"
