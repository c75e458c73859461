"""A full disk, a read-only one, a second process, numbers that are not finite: one line, nothing done lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from candor import api
from candor.cli import app
from candor.models.scorer import TokenScorer
from candor.pipeline import lastgood, loop
from candor.runs import hash_path, read_alarms
from disks import bound_by_permissions, remount, small_disk

WEIGHTS = "checkpoint/model.safetensors"
STAGES = ("01-sft", "03-reward", "04-ppo")


def refused(*arguments: str) -> str:
    """Runs the command line and returns its one line of complaint, which is the last on standard error."""
    result = CliRunner().invoke(app, ["run", *arguments])
    assert result.exit_code == 2, (result.output, result.exception)
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert [line for line in lines if line.startswith("error: ")] == lines[-1:]
    assert "Traceback" not in result.stderr
    return lines[-1].removeprefix("error: ")


def interrupted_before_its_checkpoint(world, out: Path) -> Path:
    """Runs until PPO is trained and its policy not yet written, and returns the state that was saved last."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("candor.pipeline.ppo.save_trained_policy", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert CliRunner().invoke(app, ["run", str(world.recipe), "--out", str(out)]).exit_code == 130
    return out / "stages/04-ppo/state/state.pt"


def same_as(finished: Path, out: Path) -> bool:
    return all(hash_path(out / "stages" / s / WEIGHTS) == hash_path(finished / "stages" / s / WEIGHTS) for s in STAGES)


def whole(out: Path) -> dict[str, str]:
    """Every file that a finished stage's manifest names, and that it is what the manifest says."""
    files = {}
    for manifest in out.glob("stages/*/manifest.json"):
        for name, digest in json.loads(manifest.read_text())["files"].items():
            assert hash_path(manifest.parent / name) == digest
            files[f"{manifest.parent.name}/{name}"] = digest
    return files


@pytest.mark.slow
@pytest.mark.parametrize("looks_first", [True, False])
def test_a_disk_that_fills_up_stops_the_run_and_with_more_room_it_goes_on(
    finished: Path, world, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, looks_first: bool
) -> None:
    """The same command on a disk that grows: it fails in one stage after the other, and ends in the same policy."""
    if not looks_first:
        monkeypatch.setattr(loop, "free_bytes", lambda _: None)  # as on a system that does not say
    failed_in: list[str] = []
    with small_disk(tmp_path / "disk", "24k") as disk:
        out = disk / "run"
        before: dict[str, str] = {}
        for size in (24, 300, 700, 1000, 1400, 1800, 2300, 2800):
            remount(disk, f"size={size}k")
            result = CliRunner().invoke(app, ["run", str(world.recipe), "--out", str(out)])
            if result.exit_code == 0:
                break
            assert result.exit_code == 2, (result.output, result.exception)
            told = result.stderr.splitlines()[-1]
            assert told.startswith(f"error: {disk}")
            assert "no space left on the device" in told or "not enough room for this stage" in told
            assert "then run the same command again" in told
            failed_in.append(told.removeprefix(f"error: {out}/").split(":")[0])
            now = whole(out)
            assert before.items() <= now.items(), "a finished stage was lost"
            before = now
        assert result.exit_code == 0
        assert same_as(finished, out)
        assert not list(out.rglob("*.unfinished"))
    assert len(failed_in) >= 3
    assert any("04-ppo" in place for place in failed_in)


def test_a_stage_that_cannot_fit_is_refused_before_its_first_update(
    finished: Path, world, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = world.runs / "x"
    shutil.copytree(finished, out)
    monkeypatch.setattr(loop, "free_bytes", lambda _: 1_000_000)
    told = refused(str(world.recipe), "--out", str(out), "--set", "ppo.kl_coef=0.2")
    assert told.startswith(f"{out / 'stages' / '04-ppo'}: not enough room for this stage: about ")
    assert "needed, 1 MB free (free some space" in told
    assert not (out / "stages/04-ppo/metrics.jsonl").exists()
    # What was said is what it takes: the state on the disk twice.
    monkeypatch.undo()
    shutil.rmtree(out / "replaced")
    saved = interrupted_before_its_checkpoint(world, out).stat().st_size
    assert float(told.split("about ")[1].split(" MB needed")[0]) * 1e6 == pytest.approx(2 * saved, rel=0.1)


def test_a_read_only_root_is_one_line(world, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "8m") as disk:
        (disk / "run").mkdir()
        remount(disk, "ro")
        for out in (disk / "run", disk / "new" / "run"):
            told = refused(str(world.recipe), "--out", str(out))
            assert told.startswith(str(out))
            assert "the file system is read-only" in told
        remount(disk, "rw")
        assert [p.name for p in disk.iterdir()] == ["run"]


@pytest.mark.parametrize("place", ["root", "run"])
def test_a_directory_that_may_not_be_written_is_one_line(world, tmp_path: Path, place: str) -> None:
    root = tmp_path / "root"
    (root / "run").mkdir(parents=True)
    (root if place == "root" else root / "run").chmod(0o555)
    out = root / ("new" if place == "root" else "run")
    with bound_by_permissions():
        told = refused(str(world.recipe), "--out", str(out))
    assert told.startswith(str(out))
    assert "permission denied" in told


def test_a_recipe_that_may_not_be_read_is_one_line(world, tmp_path: Path) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(world.recipe.read_text())
    recipe.chmod(0)
    with bound_by_permissions():
        assert refused(str(recipe)).startswith(f"{recipe}: permission denied")


def test_a_second_process_on_one_run_directory_is_one_line(world, server) -> None:
    out = world.runs / "shared"
    first = server.start("run", str(world.recipe), "--out", str(out))
    while not (out / "stages/01-sft/metrics.jsonl").exists():
        assert first.poll() is None, first.told
    os.kill(first.pid, signal.SIGSTOP)
    try:
        before = hash_path(out)
        told = refused(str(world.recipe), "--out", str(out))
        assert told.startswith(f"{out}: another process is at work here: process {first.pid} on ")
        assert hash_path(out) == before
        other = CliRunner().invoke(app, ["run", str(world.recipe), "--out", str(world.runs / "beside")])
        assert other.exit_code == 0, "another run under the same root is nobody's business"
    finally:
        os.kill(first.pid, signal.SIGKILL)
    first.wait()
    again = CliRunner().invoke(app, ["run", str(world.recipe), "--out", str(out)])
    assert again.exit_code == 0, "what a killed process leaves behind holds nothing"


@pytest.mark.parametrize(
    ("stage", "settings", "setting"),
    [
        ("sft", ("sft.lr=1e38",), "lower sft.lr (now 1e+38)"),
        ("reward", ("reward.lr=1e38",), "lower reward.lr (now 1e+38)"),
        ("ppo", ("ppo.lr=1e38",), "lower ppo.lr (now 1e+38)"),
    ],
)
def test_numbers_that_are_not_finite_stop_the_run(
    finished: Path, world, stage: str, settings: tuple[str, ...], setting: str
) -> None:
    out = world.runs / "x"
    shutil.copytree(finished, out)
    folder = next(out.glob(f"stages/*-{stage}"))
    earlier = {name: digest for name, digest in whole(out).items() if name < folder.name}
    sets = [part for text in settings for part in ("--set", text)]
    told = refused(str(world.recipe), "--out", str(out), *sets)
    assert told.startswith(f"{stage}, update ")
    assert "likely the learning rate is too high" in told
    assert setting in told
    assert earlier.items() <= whole(out).items()
    (alarm,) = [a for a in read_alarms(folder) if a.severity == "fatal"]
    assert (alarm.name, alarm.stage) == ("not_finite", stage)
    assert not (folder / "manifest.json").exists()
    done = CliRunner().invoke(app, ["run", str(world.recipe), "--out", str(out)])
    assert done.exit_code == 0, "the same command with another learning rate works"
    assert same_as(finished, out)


def test_the_state_before_the_bad_update_is_kept(finished: Path, world, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gradient that is NaN in the second optimiser step of update 7: the state on the disk is that after update 6."""
    import candor.training.ppo as training

    out = world.runs / "x"
    shutil.copytree(finished, out)
    shutil.rmtree(out / "stages/04-ppo")
    real, calls = training.apply_update, []

    def breaking(optimizer: torch.optim.Optimizer, **given: float) -> float:
        calls.append(1)
        if len(calls) == 6 * 4 + 3:  # two epochs of policy and value each; then the policy's second step
            for group in optimizer.param_groups:
                for p in group["params"]:
                    p.grad = torch.full_like(p, float("nan"))
        return real(optimizer, **given)

    monkeypatch.setattr(training, "apply_update", breaking)
    told = refused(str(world.recipe), "--out", str(out))
    assert told.startswith("ppo, update 7: the gradient's norm is nan; likely the learning rate is too high")
    assert told.endswith("the state after update 6 is saved)")
    saved = torch.load(out / "stages/04-ppo/state/state.pt", weights_only=True)
    assert saved["step"] == 6
    # It is the state of that update indeed: going on from it ends where an undisturbed run does.
    monkeypatch.setattr(training, "apply_update", real)
    api.run(world.recipe, out=out)
    assert same_as(finished, out)
    assert "ppo: resumed after update 6" in (out / "run.log").read_text()

    # Control: without a copy the state has changed, and is not saved; the one that was saved last stays.
    shutil.rmtree(out / "stages/04-ppo")
    calls.clear()
    monkeypatch.setattr(training, "apply_update", breaking)
    monkeypatch.setattr(lastgood, "COPY_BYTES", 0)
    told = refused(str(world.recipe), "--out", str(out))
    assert told.endswith("the state that was saved last is intact)")
    assert torch.load(out / "stages/04-ppo/state/state.pt", weights_only=True)["step"] == 4


def test_a_reward_that_is_no_number_names_the_reward_model(finished: Path, world) -> None:
    out = world.runs / "x"
    shutil.copytree(finished, out)
    shutil.rmtree(out / "stages/04-ppo")
    real = TokenScorer.score_batch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TokenScorer, "score_batch", lambda *given: real(*given) * float("nan"))
        told = refused(str(world.recipe), "--out", str(out))
    assert told.startswith("ppo, update 1: the scorer gave nan to 8 of 8 replies")
    assert "check the reward model" in told


@pytest.mark.parametrize("damage", ["cut", "flipped", "rows", "rows after"])
def test_damaged_files_of_an_unfinished_stage(finished: Path, world, damage: str) -> None:
    """A state that cannot be read has its stage trained anew; lost rows are told; neither is a traceback."""
    out = world.runs / "x"
    shutil.copytree(finished, out)
    shutil.rmtree(out / "stages/04-ppo")
    state, metrics = interrupted_before_its_checkpoint(world, out), out / "stages/04-ppo/metrics.jsonl"
    content = state.read_bytes()
    if damage == "cut":
        state.write_bytes(content[: len(content) // 2])
    if damage == "flipped":
        middle = len(content) // 2
        changed = bytes(255 - b for b in content[middle : middle + 64])
        state.write_bytes(content[:middle] + changed + content[middle + 64 :])
    if damage == "rows":
        lines = metrics.read_bytes().splitlines(keepends=True)
        metrics.write_bytes(b"".join([*lines[:3], b"\xff\x00 no text\n", *lines[5:]]))
    if damage == "rows after":
        metrics.write_bytes(metrics.read_bytes() + b'{"step": 21, "re')
    api.run(world.recipe, out=out)
    log = (out / "run.log").read_text()
    assert same_as(finished, out)
    told = {
        "cut": "ppo: saved training state is unreadable",
        "flipped": "ppo: saved training state is unreadable",
        "rows": "ppo: metrics.jsonl was damaged: the rows of 2 updates are lost",
        "rows after": "ppo: resumed after update 16",
    }
    assert told[damage] in log
    assert ("was damaged" in log) is (damage == "rows")


def test_a_model_that_holds_no_numbers_is_refused_before_its_first_update(finished: Path, world) -> None:
    out, model = world.runs / "x", world.runs / "broken"
    shutil.copytree(world.folder / "model", model)
    weights = load_file(model / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    told = refused(str(world.recipe), "--out", str(out), "--set", f"model.path={model}")
    assert told == f"{model}: the weights hold numbers that are not finite (give another model)"
