"""The forecast inside a run: sealed before the first update, kept by a resumed stage, and no part of training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from candor import api
from candor.pipeline import ppo
from candor.pipeline.progress import Silent
from candor.report.load import load_run
from candor.report.page import render_page
from candor.runs import hash_path
from candor.runs.sealed import FORECAST, read_sealed

PPO = Path("stages/04-ppo")
QUICK = ["ppo.updates=3", "ppo.checkpoint_every=1"]


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    @property
    def sealed(self) -> list[str]:
        return [note for note in self.notes if "forecast sealed" in note]


class Interrupted(Exception):
    pass


def stopping_after(updates: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ppo._telling

    def some(*given):  # type: ignore[no-untyped-def]
        for number, out in enumerate(whole(*given), start=1):
            yield out
            if number == updates:
                raise Interrupted

    monkeypatch.setattr(ppo, "_telling", some)


def test_it_is_sealed_before_the_first_update_and_held_against_the_audit(files: Path, finished: Path) -> None:
    forecast = read_sealed(finished / PPO)
    assert forecast is not None
    started = json.loads((finished / PPO / "metrics.jsonl").read_text().splitlines()[0])
    assert started["step"] == 1
    assert forecast["samples"] == 32
    assert len(forecast["asked"]) == 3
    row = json.loads((finished / "summary.json").read_text())["stages"][-1]["forecast"]
    assert row["digest"] == forecast["digest"]
    assert forecast["digest"] in (finished / "run.log").read_text()
    assert f"SHA-256 <code>{forecast['digest']}" in render_page(load_run(finished))


def test_training_is_the_same_with_and_without_it(files: Path, finished: Path) -> None:
    beside = [finished.parent / name for name in ("with-forecast", "without-forecast")]
    for out, prompts in zip(beside, (2, 0), strict=True):
        api.run(files / "recipe.toml", out=out, overrides=[*QUICK, f"ppo.forecast_prompts={prompts}"])
    weights = [hash_path(out / PPO / "checkpoint" / "model.safetensors") for out in beside]
    assert weights[0] == weights[1]
    assert (beside[0] / PPO / FORECAST).is_file()
    assert not (beside[1] / PPO / FORECAST).exists()
    other = finished.parent / "another-update"  # control: the weights tell a difference of one update
    api.run(files / "recipe.toml", out=other, overrides=["ppo.updates=4", "ppo.forecast_prompts=0"])
    assert hash_path(other / PPO / "checkpoint" / "model.safetensors") != weights[0]


def test_a_resumed_stage_keeps_it_and_throws_a_changed_one_away(
    files: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, wanted = finished.parent / "resumed-forecast", [*QUICK, "ppo.forecast_prompts=2", "ppo.lr=1e-3"]
    with monkeypatch.context() as patch:
        stopping_after(2, patch)
        with pytest.raises(Interrupted):
            api.run(files / "recipe.toml", out=out, overrides=wanted)
    made = (out / PPO / FORECAST).read_text()
    notes = Notes()
    api.run(files / "recipe.toml", out=out, overrides=wanted, tell=notes)
    assert (out / PPO / FORECAST).read_text() == made
    assert notes.sealed == []

    again = finished.parent / "changed-forecast"
    wanted[-1] = "ppo.lr=2e-3"
    with monkeypatch.context() as patch:
        stopping_after(2, patch)
        with pytest.raises(Interrupted):
            api.run(files / "recipe.toml", out=again, overrides=wanted)
    changed = json.loads((again / PPO / FORECAST).read_text())
    (again / PPO / FORECAST).write_text(json.dumps({**changed, "kl_coef": 9.0}))
    notes = Notes()
    api.run(files / "recipe.toml", out=again, overrides=wanted, tell=notes)
    assert any("thrown away" in note for note in notes.notes)
    assert any("has to be made before the first update" in note for note in notes.notes)
    assert not (again / PPO / FORECAST).exists()


def test_what_samples_of_the_start_cannot_show_is_not_forecast(files: Path, finished: Path) -> None:
    out, notes = finished.parent / "another-reference", Notes()
    api.run(files / "recipe.toml", out=out, overrides=[*QUICK, "ppo.reference=base"], tell=notes)
    assert not (out / PPO / FORECAST).exists()
    assert any("no forecast: its optimum lies about the reference, base" in note for note in notes.notes)
    notes = Notes()  # control: named or not, the policy that it starts from is no other reference
    api.run(files / "recipe.toml", out=out, overrides=[*QUICK, "ppo.reference=sft", "ppo.ptx_coef=0.1"], tell=notes)
    forecast = read_sealed(out / PPO)
    assert forecast is not None
    assert (forecast["kl_control"], len(forecast["limits"])) == ("fixed", 1)
    assert "PPO-ptx" in forecast["limits"][0]
