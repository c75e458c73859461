"""Saved training state: bit-exact, and never half there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from candor.errors import InputError
from candor.ops.batches import Row
from candor.recipe import SFTStage
from candor.training.sft import sft
from candor.training.state import STATE_FILE, TrainState, adamw, apply_update
from tiny_models import tiny_llama

ROWS = [Row(tokens=tuple((7 * i + 3 * j) % 60 + 2 for j in range(4 + i)), prompt_length=2) for i in range(9)]
CONFIG = SFTStage(lr=3e-3, batch_size=4, epochs=3.0, warmup_steps=1)  # 7 updates


def fresh() -> TrainState:
    model = tiny_llama()
    return TrainState({"policy": model}, {"policy": adamw([model], lr=1e-3)})


def finish(state: TrainState) -> list[dict[str, float]]:
    return [out.metrics for out in sft(state, ROWS, CONFIG, seed=0, pad_id=0)]


def same(a: TrainState, b: TrainState) -> bool:
    first, second = a.models["policy"].state_dict(), b.models["policy"].state_dict()
    return all(torch.equal(first[name], second[name]) for name in first)


def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path) -> None:
    whole = fresh()
    metrics = finish(whole)
    assert len(metrics) == 7

    stopped = fresh()
    loop = sft(stopped, ROWS, CONFIG, seed=0, pad_id=0)
    for _ in range(3):
        next(loop)
    stopped.scalars["kl_coef"] = 0.1 + 0.2
    stopped.save(tmp_path)
    for _ in range(2):
        next(loop)  # lost work

    resumed = fresh()
    assert resumed.restore(tmp_path)
    assert resumed.step == 3
    assert resumed.scalars == {"kl_coef": 0.1 + 0.2}
    assert finish(resumed) == metrics[3:]
    assert same(resumed, whole)


def test_without_the_optimisers_moments_it_is_another_run(tmp_path: Path) -> None:
    # Control: what the test above compares does depend on the moments.
    whole, stopped, resumed = fresh(), fresh(), fresh()
    finish(whole)
    loop = sft(stopped, ROWS, CONFIG, seed=0, pad_id=0)
    for _ in range(3):
        next(loop)
    resumed.models["policy"].load_state_dict(stopped.models["policy"].state_dict())
    resumed.step = 3
    finish(resumed)
    assert not same(resumed, whole)


def test_nothing_saved_restores_nothing(tmp_path: Path) -> None:
    state, untouched = fresh(), fresh()
    assert not state.restore(tmp_path)
    assert not state.restore(tmp_path / "missing")
    (tmp_path / f".{STATE_FILE}.unfinished").write_bytes(b"half of a sta")
    assert not state.restore(tmp_path)
    assert state.step == 0
    assert same(state, untouched)


def test_a_save_that_dies_leaves_the_last_one_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = fresh()
    state.step = 1
    state.save(tmp_path)
    expected = {name: value.clone() for name, value in state.models["policy"].state_dict().items()}

    def dies(payload: object, file: object) -> None:
        file.write(b"PK\x03\x04 the first bytes")  # type: ignore[attr-defined]
        raise KeyboardInterrupt

    state.step = 2
    with torch.no_grad():
        next(state.models["policy"].parameters()).add_(1.0)
    monkeypatch.setattr(torch, "save", dies)
    with pytest.raises(KeyboardInterrupt):
        state.save(tmp_path)
    monkeypatch.undo()

    resumed = fresh()
    assert resumed.restore(tmp_path)
    assert resumed.step == 1
    assert all(torch.equal(value, expected[name]) for name, value in resumed.models["policy"].state_dict().items())
    resumed.step = 2
    resumed.save(tmp_path)  # over the leftover
    assert [path.name for path in tmp_path.iterdir()] == [STATE_FILE]


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_file_is_one_clear_error(tmp_path: Path, damage: str) -> None:
    state = fresh()
    state.save(tmp_path)
    path = tmp_path / STATE_FILE
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        content = content[: len(content) // 2]
    else:
        content[:64] = bytes(64)
    path.write_bytes(content)
    with pytest.raises(InputError, match="unreadable"):
        fresh().restore(tmp_path)


def test_the_state_of_another_model_is_refused(tmp_path: Path) -> None:
    fresh().save(tmp_path)
    wider = tiny_llama(width=64)
    with pytest.raises(InputError, match="does not fit"):
        TrainState({"policy": wider}, {"policy": adamw([wider], lr=1e-3)}).restore(tmp_path)
    with pytest.raises(InputError, match="other models"):
        TrainState({"reward": wider}, {"reward": adamw([wider], lr=1e-3)}).restore(tmp_path)


SAVES_FOREVER = """
import sys, torch
from pathlib import Path
from candor.training.state import TrainState, adamw
model = torch.nn.Linear(600, 600)
state = TrainState({"policy": model}, {"policy": adamw([model], lr=1e-3)})
for step in range(1, 100_000):
    state.step = step
    with torch.no_grad():
        model.weight.fill_(float(step))
    state.save(Path(sys.argv[1]))
    print(step, flush=True)
"""


def test_killed_at_any_moment_the_last_complete_state_is_there(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", SAVES_FOREVER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(5):
        process.stdout.readline()
    time.sleep(0.0137)  # somewhere within a save
    os.kill(process.pid, signal.SIGKILL)
    printed = [int(line) for line in process.stdout.read().split()]
    process.wait()
    model = nn.Linear(600, 600)
    state = TrainState({"policy": model}, {"policy": adamw([model], lr=1e-3)})
    assert state.restore(tmp_path)
    assert state.step >= max(printed, default=5)  # what was reported as saved is never lost
    assert torch.equal(model.weight, torch.full((600, 600), float(state.step)))


def test_gradients_are_clipped_to_their_joint_norm_and_cleared() -> None:
    layers = [nn.Linear(2, 1, bias=False), nn.Linear(1, 1, bias=False)]
    optimizer = torch.optim.SGD([p for layer in layers for p in layer.parameters()], lr=99.0)
    before = [layer.weight.clone() for layer in layers]
    for layer, gradient in zip(layers, ([[3.0, 0.0]], [[4.0]]), strict=True):
        layer.weight.grad = torch.tensor(gradient)
    assert apply_update(optimizer, lr=0.5, max_grad_norm=1.0) == pytest.approx(5.0)
    moved = [(b - layer.weight).flatten().tolist() for b, layer in zip(before, layers, strict=True)]
    assert moved[0] == pytest.approx([0.5 * 3 / 5, 0.0], abs=1e-5)
    assert moved[1] == pytest.approx([0.5 * 4 / 5], abs=1e-5)
    assert all(layer.weight.grad is None for layer in layers)


def test_a_gradient_that_is_not_finite_changes_nothing() -> None:
    layer = nn.Linear(2, 1, bias=False)
    before = layer.weight.clone()
    layer.weight.grad = torch.tensor([[float("nan"), 1.0]])
    with pytest.raises(FloatingPointError, match="norm is nan"):
        apply_update(adamw([layer], lr=0.1), lr=0.1, max_grad_norm=1.0)
    assert torch.equal(layer.weight, before)


def test_decay_spares_norms_and_biases_and_shared_weights_come_once() -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.LayerNorm(3))
    optimizer = adamw([model, model], lr=1e-3, weight_decay=0.1)
    decayed = {id(p) for g in optimizer.param_groups if g["weight_decay"] > 0 for p in g["params"]}
    assert decayed == {id(model[0].weight)}
    assert sum(len(g["params"]) for g in optimizer.param_groups) == 4
