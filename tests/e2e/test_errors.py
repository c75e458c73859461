"""What a user gets wrong is one clear line and exit code 2, and finished stages stay as they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from candor.cli import app
from candor.runs import hash_path

GOOD = '{"prompt": "Capital of Peru?", "reply": "Lima."}\n'


def refused(*arguments: str) -> str:
    """Runs the command line and returns its one line of complaint."""
    result = CliRunner().invoke(app, ["run", *arguments])
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line.removeprefix("error: ")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("ppo.kl_coeff=1", "--set ppo.kl_coeff=1: stages[3] (ppo).kl_coeff: unknown key (did you mean 'kl_coef'?)"),
        ("ppo.updates=many", '--set ppo.updates=many: stages[3] (ppo).updates: expected a valid integer, got "many"'),
        ("sft.policy=ppo", "tiny: sft.policy: 'ppo' does not come before this stage (known: base)"),
        ("model.path=./nowhere", "./nowhere: no such checkpoint directory"),
    ],
)
def test_recipe_errors(world, override: str, expected: str) -> None:
    assert refused(str(world.recipe), "--out", str(world.runs / "x"), "--set", override) == expected


def test_a_file_in_the_place_of_the_run(world, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    for out in (tmp_path / "taken", tmp_path / "taken" / "deeper"):
        assert "taken: a file is where the run's directory should be" in refused(str(world.recipe), "--out", str(out))
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_model_that_cannot_be_loaded_leaves_nothing_behind(world, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    out = world.runs / "x"
    message = refused(str(world.recipe), "--out", str(out), "--set", f"model.path={tmp_path / 'empty'}")
    assert "empty: no config.json here" in message
    assert not out.exists()


def test_a_missing_recipe(world) -> None:
    assert "nothing.toml: no such recipe" in refused(str(world.runs / "nothing.toml"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "no such file"),
        ("", "the file has no rows"),
        (GOOD * 2 + '{"prompt": "Capital\n', ", line 3: not valid JSON"),
        (GOOD + "[1]\n", ", line 2: expected a JSON object"),
        (GOOD + '{"prompt": "x"}\n', ", line 2, field 'reply': the field is missing"),
        (GOOD + '{"prompt": 3, "reply": "x"}\n', ", line 2, field 'prompt': expected a string"),
    ],
)
def test_data_errors_are_found_before_anything_starts(world, tmp_path: Path, text: str | None, expected: str) -> None:
    data = tmp_path / "data.jsonl"
    if text is not None:
        data.write_text(text)
    out = world.runs / "x"
    message = refused(str(world.recipe), "--out", str(out), "--set", f"sft.demonstrations={data}")
    assert message.startswith(str(data))
    assert expected in message
    assert not out.exists()


def test_finished_stages_survive_an_error(finished: Path, world, tmp_path: Path) -> None:
    """In the same directory: a broken file, and an error in the middle of a run."""
    out = world.runs / "x"
    shutil.copytree(finished, out)
    before = hash_path(out / "stages")
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{")
    refused(str(world.recipe), "--out", str(out), "--set", f"compare.file={broken}")
    assert hash_path(out / "stages") == before

    result = CliRunner().invoke(app, ["run", str(world.recipe), "--out", str(out), "--set", "ppo.max_length=7"])
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith(
        "error: ppo prompts: none of 12 prompts has between 1 and 1 tokens"
    )
    for folder in ("01-sft", "02-compare", "03-reward"):
        assert hash_path(out / "stages" / folder) == hash_path(finished / "stages" / folder)
    assert CliRunner().invoke(app, ["run", str(world.recipe), "--out", str(out)]).exit_code == 0
    assert hash_path(out / "stages" / "04-ppo" / "checkpoint") == hash_path(finished / "stages/04-ppo/checkpoint")


def test_training_that_diverges_is_one_line(world) -> None:
    arguments = ["run", str(world.recipe), "--out", str(world.runs / "x"), "--set", "sft.lr=1e30"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2, result.output
    assert "error: sft, update" in result.stderr.splitlines()[-1]
