"""Losses against closed forms, and as likelihoods that sum to one."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from candor.ops.losses import bradley_terry, plackett_luce, sft_loss


def test_sft_loss_is_a_sum_over_one_denominator() -> None:
    logprobs = torch.tensor([[-1.0, -2.0, -4.0], [-8.0, -16.0, -32.0]])
    assert sft_loss(logprobs, denominator=7).item() == pytest.approx(63 / 7)


def test_sft_loss_over_micro_batches_adds_up_and_a_denominator_each_does_not() -> None:
    replies = [torch.tensor([-1.0, -2.0, -4.0]), torch.tensor([-8.0])]
    whole = sft_loss(torch.cat(replies), denominator=4)
    parts = [sft_loss(reply, denominator=4) for reply in replies]
    assert sum(parts).item() == pytest.approx(whole.item())  # type: ignore[union-attr]
    own = [sft_loss(reply, denominator=len(reply)) for reply in replies]
    assert abs(sum(own).item() / 2 - whole.item()) > 1  # type: ignore[union-attr]


@pytest.mark.parametrize("gap", [-3.0, -0.5, 0.0, 0.7, 4.0])
def test_bradley_terry_closed_form(gap: float) -> None:
    margin, weight = 0.3, 0.25
    loss = bradley_terry(
        torch.tensor([gap]), torch.tensor([0.0]), margin=torch.tensor([margin]), weight=weight, denominator=2
    )
    assert loss.item() == pytest.approx(weight * math.log1p(math.exp(-(gap - margin))) / 2, rel=1e-6)


def test_bradley_terry_stays_finite_where_log_of_sigmoid_does_not() -> None:
    chosen = torch.tensor([-200.0], requires_grad=True)
    loss = bradley_terry(chosen, torch.tensor([0.0]), denominator=1)
    loss.backward()
    assert loss.item() == pytest.approx(200)
    assert chosen.grad is not None
    assert chosen.grad.item() == pytest.approx(-1)
    assert torch.log(torch.sigmoid(torch.tensor(-200.0))).isinf()  # the control


def test_a_rankings_pairs_are_weighted_to_one() -> None:
    scores = torch.zeros(4)
    pairs = list(itertools.combinations(range(4), 2))
    chosen, rejected = scores[[a for a, _ in pairs]], scores[[b for _, b in pairs]]
    assert bradley_terry(chosen, rejected, weight=1 / 6, denominator=1).item() == pytest.approx(math.log(2))


def test_plackett_luce_of_two_is_bradley_terry() -> None:
    scores = torch.tensor([[0.4, -1.1], [2.0, 3.0]])
    ranks = torch.tensor([[0, 1], [1, 0]])
    expected = bradley_terry(torch.tensor([0.4, 3.0]), torch.tensor([-1.1, 2.0]), denominator=2)
    assert plackett_luce(scores, ranks, denominator=2).item() == pytest.approx(expected.item())


def test_plackett_luce_probabilities_of_all_orders_sum_to_one() -> None:
    scores = torch.tensor([[0.3, -1.0, 2.0, 0.1]], dtype=torch.float64)
    likelihoods = [
        math.exp(-plackett_luce(scores, torch.tensor([order]), denominator=1).item())
        for order in itertools.permutations(range(4))
    ]
    assert sum(likelihoods) == pytest.approx(1, abs=1e-12)
    assert max(likelihoods) > 2 * min(likelihoods)
    # By hand: the order 2, 0, 3, 1 has probability prod_k exp(s_k) / sum of those not yet placed.
    s = [2.0, 0.3, 0.1, -1.0]
    by_hand = math.prod(math.exp(s[k]) / sum(math.exp(x) for x in s[k:]) for k in range(4))
    found = math.exp(-plackett_luce(scores, torch.tensor([[1, 3, 0, 2]]), denominator=1).item())
    assert found == pytest.approx(by_hand, abs=1e-12)


def test_plackett_luce_of_one_best_is_the_softmax() -> None:
    scores = torch.tensor([[0.3, -1.0, 2.0]])
    loss = plackett_luce(scores, torch.tensor([[1, 1, 0]]), denominator=1)
    assert loss.item() == pytest.approx(-scores.log_softmax(-1)[0, 2].item(), rel=1e-6)


def test_plackett_luce_ties_say_nothing_about_each_other() -> None:
    scores = torch.tensor([[0.3, -1.0, 2.0]], requires_grad=True)
    plackett_luce(scores, torch.tensor([[0, 0, 0]]), denominator=1).backward()
    assert scores.grad is not None
    assert scores.grad.abs().max().item() == 0


def test_plackett_luce_absent_places_change_nothing() -> None:
    short = torch.tensor([[0.3, -1.0]], requires_grad=True)
    long = torch.tensor([[0.3, -1.0, 99.0]], requires_grad=True)
    first = plackett_luce(short, torch.tensor([[0, 1]]), denominator=1)
    second = plackett_luce(long, torch.tensor([[0, 1, -1]]), denominator=1)
    assert second.item() == pytest.approx(first.item())
    first.backward()
    second.backward()
    assert short.grad is not None
    assert long.grad is not None
    assert torch.allclose(long.grad[:, :2], short.grad)
    assert long.grad[0, 2].item() == 0
