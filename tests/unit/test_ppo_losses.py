"""The clipped losses against scalar arithmetic, their gradients, and their sums over micro-batches."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from candor.ops.ppo_losses import policy_loss, value_loss


def tensors(seed: int = 0) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    new, old, advantages = torch.randn((3, 4, 6), generator=rng, dtype=torch.float64) * 0.4
    mask = torch.arange(6) < torch.tensor([[6], [1], [3], [4]])
    return {"new": new, "old": old, "target": advantages, "mask": mask}


def test_policy_loss_is_equation_7() -> None:
    t = tensors()
    total, clipped, squares = 0.0, 0, 0.0
    for row, column in t["mask"].nonzero().tolist():
        log_ratio = float(t["new"][row, column] - t["old"][row, column])
        advantage, ratio = float(t["target"][row, column]), math.exp(log_ratio)
        near = min(max(ratio, 0.8), 1.2)
        total -= min(ratio * advantage, near * advantage)
        clipped += near * advantage < ratio * advantage
        squares += 0.5 * log_ratio**2
    out = policy_loss(t["new"], t["old"], t["target"], t["mask"], clip=0.2, denominator=14.0)
    assert out.loss.item() == pytest.approx(total / 14, abs=1e-12)
    assert out.clip_frac.item() == pytest.approx(clipped / 14)
    assert 0 < clipped < 14
    assert out.approx_kl.item() == pytest.approx(squares / 14, abs=1e-12)
    assert out.max_log_ratio.item() == pytest.approx(float((t["new"] - t["old"])[t["mask"]].abs().max()))
    # Control: without the clip the loss is another.
    loose = policy_loss(t["new"], t["old"], t["target"], t["mask"], clip=100.0, denominator=14.0)
    assert abs(loose.loss.item() - out.loss.item()) > 1e-3


@pytest.mark.parametrize(
    ("log_ratio", "advantage", "moves"),
    [(0.5, 1.0, False), (0.5, -1.0, True), (-0.5, -1.0, False), (-0.5, 1.0, True), (0.1, 1.0, True)],
)
def test_gradient_stops_where_the_ratio_has_gone_far_enough(log_ratio: float, advantage: float, moves: bool) -> None:
    new = torch.tensor([[log_ratio]], requires_grad=True)
    one = torch.ones(1, 1)
    policy_loss(new, 0 * one, advantage * one, one.bool(), clip=0.2, denominator=1.0).loss.backward()
    expected = -advantage * math.exp(log_ratio) if moves else 0.0
    assert new.grad is not None
    assert new.grad.item() == pytest.approx(expected, rel=1e-6)


def test_value_loss_is_the_larger_of_both_squares() -> None:
    t = tensors()
    total, clipped = 0.0, 0
    for row, column in t["mask"].nonzero().tolist():
        new, old, target = (float(t[name][row, column]) for name in ("new", "old", "target"))
        near = old + min(max(new - old, -0.2), 0.2)
        total += 0.5 * max((new - target) ** 2, (near - target) ** 2)
        clipped += (near - target) ** 2 > (new - target) ** 2
    out = value_loss(t["new"], t["old"], t["target"], t["mask"], clip=0.2, denominator=14.0)
    assert out.loss.item() == pytest.approx(total / 14, abs=1e-12)
    assert out.clip_frac.item() == pytest.approx(clipped / 14)
    assert 0 < clipped < 14


@pytest.mark.parametrize("loss", [policy_loss, value_loss])
def test_masked_entries_do_not_count_even_when_infinite(loss: type) -> None:
    t = tensors()
    clean = loss(t["new"], t["old"], t["target"], t["mask"], clip=0.2, denominator=14.0)
    broken = {name: torch.where(t["mask"], t[name], math.inf) for name in ("new", "old")}
    leaf = broken["new"].requires_grad_()
    out = loss(leaf, broken["old"], t["target"], t["mask"], clip=0.2, denominator=14.0)
    assert out.loss.item() == clean.loss.item()
    assert out.clip_frac.item() == clean.clip_frac.item()


@pytest.mark.parametrize("loss", [policy_loss, value_loss])
def test_micro_batches_add_up_to_the_batch(loss: type) -> None:
    t = tensors()

    def run(rows: slice, denominator: float) -> float:
        return loss(*(t[n][rows] for n in ("new", "old", "target", "mask")), clip=0.2, denominator=denominator).loss

    whole = float(run(slice(0, 4), 14.0))
    parts = [slice(i, i + 1) for i in range(4)]
    assert float(sum(run(part, 14.0) for part in parts)) == pytest.approx(whole, abs=1e-12)
    # Control: a denominator per micro-batch, averaged, weighs a token of a short reply more.
    averaged = sum(float(run(part, float(t["mask"][part].sum()))) for part in parts) / 4
    assert abs(averaged - whole) > 1e-3
