"""Killed without warning in SFT, reward and PPO, then run again: the same policy, bit for bit."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch

from candor import api
from candor.runs import hash_path

WEIGHTS = "checkpoint/model.safetensors"
STAGES = {"01-sft": 5, "03-reward": 5, "04-ppo": 6}
"""In which stages the process is killed, and after how many updates at the least; states are saved every 4."""


def rows(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def kill_in(process: subprocess.Popen[str], stage: Path, updates: int) -> None:
    """Kills the process once the stage has recorded so many updates, and sees that it was in time."""
    deadline = time.monotonic() + 300
    while len(rows(stage / "metrics.jsonl")) < updates:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.002 if stage.exists() else 0.05)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    process.communicate()
    assert not (stage / "manifest.json").exists(), "the stage was finished before it was killed"
    assert (stage / "state" / "state.pt").exists()


@pytest.mark.slow
def test_killed_three_times_it_ends_in_the_same_policy(finished: Path, world, tmp_path: Path) -> None:
    out = world.runs / "killed"
    command = ("run", str(world.recipe), "--out", str(out))
    for folder, updates in STAGES.items():
        kill_in(world.start(*command), out / "stages" / folder, updates)
    half = tmp_path / "half" / "run"
    shutil.copytree(out, half)

    api.run(world.recipe, out=out)
    for folder in STAGES:
        whole, killed = (directory / "stages" / folder for directory in (finished, out))
        assert hash_path(killed / WEIGHTS) == hash_path(whole / WEIGHTS)
        assert rows(killed / "metrics.jsonl") == rows(whole / "metrics.jsonl"), "a row was lost, repeated or changed"
        assert not (killed / "state").exists()
    assert rows(out / "stages/04-ppo/truth.jsonl") == rows(finished / "stages/04-ppo/truth.jsonl")
    assert [f.estimate for f in api.Run(out).finding_records] == [f.estimate for f in api.Run(finished).finding_records]
    assert "ppo: resumed after update" in (out / "run.log").read_text()

    # Control: with the optimiser's moments lost, as some frameworks lose them, the policy is another one.
    state = half / "stages" / "04-ppo" / "state" / "state.pt"
    saved = torch.load(state, weights_only=True)
    saved["optimizers"]["policy"]["state"] = {}
    torch.save(saved, state)
    api.run(world.recipe, out=half)
    assert hash_path(half / "stages/04-ppo" / WEIGHTS) != hash_path(finished / "stages/04-ppo" / WEIGHTS)


@pytest.mark.parametrize("folder", ["02-compare", "04-ppo/audit"])
def test_a_half_written_stage_without_state_is_made_anew(finished: Path, world, folder: str) -> None:
    """As if killed in a stage that saves no state: its files are there, half-written, and no manifest."""
    out = world.runs / "half"
    shutil.copytree(finished, out)
    stage = out / "stages" / folder
    (stage / "manifest.json").unlink()
    written = next(stage.glob("*s.jsonl"))
    written.write_bytes(written.read_bytes()[:100])
    api.run(world.recipe, out=out)
    assert written.read_bytes() == (finished / "stages" / folder / written.name).read_bytes()
    assert json.loads((stage / "manifest.json").read_text())["reused_from"] is None
    assert hash_path(out / "stages/04-ppo" / WEIGHTS) == hash_path(finished / "stages/04-ppo" / WEIGHTS)
