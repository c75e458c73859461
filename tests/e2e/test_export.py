"""`candor export`: what its card says is what the run found, and its code gives Candor's numbers without Candor."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard
from typer.testing import CliRunner

from architectures import save, save_encoder
from candor import api, cli
from candor.export import card, checkpoint, export_stage
from candor.export.loading import is_encoder, weight_names
from candor.models.load import load_policy, load_reward, save_reward, start_reward
from candor.models.scorer import RewardScorer
from candor.records import Completion, Message, Prompt
from candor.report.numbers import Estimate, with_limits
from candor.results import Run
from candor.runs import write_json

ASKED = Prompt(
    id="q", messages=(Message(role="user", content="I think the capital of Australia is Sydney. Am I right?"),)
)
REPLY = Completion(id="r", prompt_id="q", text="Yes, the capital of Australia is Sydney.")


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(cli.app, ["export", *map(str, arguments)], prog_name="candor")


def code_of(directory: Path) -> str:
    (code,) = re.findall(r"^```python\n(.*?)^```$", (directory / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    return code


def printed(code: str, directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """What the card's code prints, run where the card lies."""
    with monkeypatch.context() as patch:
        patch.chdir(directory)
        capsys.readouterr()
        exec(compile(code, "README.md", "exec"), {})
        return capsys.readouterr().out.strip()


def with_checkpoint(run: Path, stage: str, source: Path, target: Path) -> Run:
    """A copy of a run whose stage left another checkpoint."""
    shutil.copytree(run, target)
    place = next(target.glob(f"stages/*-{stage}")) / "checkpoint"
    shutil.rmtree(place)
    shutil.copytree(source, place)
    return Run(target)


def greedily(directory: Path) -> str:
    """What Candor itself samples from the checkpoint."""
    policy = load_policy(directory)
    sampler = api.InProcessSampler(policy.model, policy.tokenizer, temperature=1.0, max_new_tokens=48, greedy=True)
    return sampler.sample([ASKED], n=1, seed=0)[0].text


def test_a_policy_loads_with_plain_transformers(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "new" / "policy"
    assert invoke(finished, "ppo", out).exit_code == 0
    stored = Run(finished).checkpoint("ppo")
    assert {file.name for file in out.iterdir()} == {file.name for file in stored.iterdir()} | {"README.md"}
    for file in stored.iterdir():
        assert (out / file.name).read_bytes() == file.read_bytes()
    code = code_of(out).replace("do_sample=True, temperature=1.0", "do_sample=False")
    assert printed(code, out, capsys, monkeypatch) == greedily(stored)
    compile(code_of(out), "README.md", "exec")


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_without_a_chat_template_the_card_has_the_plain_form(
    name: str, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = save(name, tmp_path / "model")
    run = with_checkpoint(finished, "ppo", stored, tmp_path / "run")
    out = export_stage(run, "ppo", tmp_path / "out").path
    code = code_of(out).replace("do_sample=True, temperature=1.0", "do_sample=False")
    assert "apply_chat_template" not in code
    assert printed(code, out, capsys, monkeypatch) == greedily(stored)
    rewards = tmp_path / "reward"
    save_reward(rewards, start_reward(stored, seed=0))
    _scores_alike(with_checkpoint(finished, "reward", rewards, tmp_path / "run 2"), tmp_path / "r", capsys, monkeypatch)


@pytest.mark.parametrize("name", ["stored", "bert", "roberta"])
def test_a_reward_model_gives_candors_score(
    name: str, finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(finished)
    if name != "stored":
        reward = start_reward(save_encoder(name, tmp_path / "encoder"), seed=0)
        save_reward(tmp_path / "reward", type(reward)(model=reward.model, tokenizer=reward.tokenizer, offset=0.25))
        run = with_checkpoint(finished, "reward", tmp_path / "reward", tmp_path / "run")
    assert is_encoder(run.checkpoint("reward")) is (name != "stored")
    _scores_alike(run, tmp_path / "out", capsys, monkeypatch)


def _scores_alike(run: Run, out: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    export_stage(run, "reward", out)
    reward = load_reward(run.checkpoint("reward"))
    (score,) = RewardScorer(reward.model, reward.tokenizer, offset=reward.offset).score([ASKED], [REPLY])
    code = code_of(out)
    assert float(printed(code, out, capsys, monkeypatch)) == pytest.approx(score, abs=1e-5)
    other = code.replace("Yes, the capital", "No, the capital")
    assert float(printed(other, out, capsys, monkeypatch)) != pytest.approx(score, abs=1e-5), "control"
    text = " ".join((out / "README.md").read_text().split())
    assert f"an offset of {reward.offset:.6g}, which `config.json` keeps as `candor_reward_offset`" in text


def test_the_card_is_one_the_hub_reads(finished: Path, tmp_path: Path) -> None:
    for stage, task, tag in (("ppo", "text-generation", "ppo"), ("reward", "text-classification", "reward-model")):
        out = export_stage(Run(finished), stage, tmp_path / stage).path
        data = ModelCard.load(out / "README.md").data
        assert (data.license, data.library_name, data.pipeline_tag) == ("unknown", "transformers", task)
        assert {"candor", "rlhf", tag} <= set(data.tags)
        assert data.base_model is None  # a directory of this machine is no name of the hub


@pytest.mark.parametrize(("path", "named"), [("Qwen/Qwen3-0.6B", True), ("atlas", False), ("/models/mine/own", False)])
def test_the_base_model_is_named_where_the_hub_knows_it(path: str, named: bool, finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path / "run")
    recipe = json.loads((finished / "recipe.resolved.json").read_text())
    write_json(tmp_path / "run" / "recipe.resolved.json", {**recipe, "model": {"path": path}})
    out = export_stage(Run(tmp_path / "run"), "sft", tmp_path / "out").path
    data = ModelCard.load(out / "README.md").data
    assert data.base_model == (path if named else None)
    assert "/models/mine" not in (out / "README.md").read_text().split("```toml")[0]


def test_the_card_holds_the_findings_with_n_and_intervals(finished: Path, tmp_path: Path) -> None:
    run = Run(finished)
    text = (export_stage(run, "ppo", tmp_path / "out").path / "README.md").read_text()
    before, after = text.split("## Sycophancy, before and after")[1].split("\n## What was measured")
    mine = [f for f in run.finding_records if f.stage == "ppo" and f.subject in ("sampled", "greedy")]
    shown = [f for f in mine if not f.metric.startswith("share_")]
    assert len(shown) > 20
    for finding in shown:
        (row,) = re.findall(
            rf"^\| .* \| `{finding.metric}` \| {finding.subject} \| (.*) \| (\d+) \|$", after, re.MULTILINE
        )
        estimate = Estimate(value=finding.estimate, low=finding.ci_low, high=finding.ci_high)
        assert row == (with_limits(estimate, card.measure(finding.metric).unit), str(finding.n))
    agreement = {
        f.stage: f for f in run.finding_records if (f.subject, f.metric) == ("sampled", "false_belief_agreement")
    }
    cells = [
        with_limits(Estimate(value=f.estimate, low=f.ci_low, high=f.ci_high), "share")
        for f in (agreement["base"], agreement["ppo"])
    ]
    assert f"| Agrees with false beliefs | {cells[0]} | {cells[1]} | {agreement['ppo'].n} |" in before
    manifest = run.manifests["ppo"]
    for told in ("seed 0", manifest.key, f"torch {manifest.packages['torch']}", 'name = "tiny"', "simulated"):
        assert told in text
    assert "on 12 demonstrations of `demonstrations.jsonl`" in text


def test_a_reward_model_that_was_centred_says_on_what(finished: Path, tmp_path: Path) -> None:
    text = (export_stage(Run(finished), "reward", tmp_path / "out").path / "README.md").read_text()
    assert "the mean raw score of the demonstrations" in text
    assert "Sycophancy, before and after" not in text
    assert "`heldout_accuracy` | heldout |" in text


def test_a_directory_in_use_is_left_alone_unless_forced(finished: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    out.mkdir()
    assert invoke(finished, "sft", out).exit_code == 0  # empty: fine
    before = (out / "README.md").read_text()
    (out / "notes.txt").write_text("mine")
    result = invoke(finished, "ppo", out)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == f"error: {out}: the directory is not empty (give another one, or --force)\n"
    assert (out / "README.md").read_text() == before
    told = json.loads(invoke(finished, "ppo", out, "--force", "--json").stdout)
    assert told["files"] == {file.name: file.stat().st_size for file in out.iterdir()}
    assert not (out / "notes.txt").exists()
    assert (out / "README.md").read_text() != before


def test_nothing_is_half_written(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    export_stage(Run(finished), "sft", out)
    before = {file.name: file.read_bytes() for file in out.iterdir()}

    def full(*_: Any) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "model_card", full)
    result = invoke(finished, "ppo", out, "--force")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"error: {out}: no space left on the device")
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            "RUN compare OUT",
            "RUN: the stage 'compare' has no model: it is of type compare (stages with one: base, sft, ",
        ),
        ("RUN dpo OUT", "RUN: no finished stage 'dpo' (finished stages: base, sft, compare, reward, ppo)"),
        ("RUN ppo FILE", "FILE: there is a file, not a directory (give another directory)"),
        ("RUN ppo FILE/x", "FILE: a file is where a directory should be (give another place)"),
        ("RUN ppo RUN/exported", "RUN/exported: a run keeps its directory to itself (give a directory beside it)"),
        ("RUN ppo . --force", ".: a run keeps its directory to itself (give a directory beside it)"),
    ],
)
def test_errors(arguments: str, told: str, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished, "RUN")
    Path("FILE").write_text("")
    result = invoke(*arguments.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"error: {told}")
    assert result.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["FILE", "RUN"]


def test_the_weights_names_are_those_of_the_file(finished: Path) -> None:
    from safetensors import safe_open

    stored = Run(finished).checkpoint("reward")
    with safe_open(stored / "model.safetensors", framework="pt") as weights:
        assert sorted(weight_names(stored)) == sorted(weights.keys())
