"""GAE against the textbook double sum and against the N+ layout; whitening against numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from candor.ops.advantages import explained_variance, gae, masked_mean, whiten


def batch(seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Rewards, values and masks (4, 8) of replies of unequal length at unequal places, with noise where masked."""
    rng = torch.Generator().manual_seed(seed)
    rewards, values = torch.randn((2, 4, 8), generator=rng, dtype=torch.float64)
    mask = torch.zeros(4, 8, dtype=torch.bool)
    for row, (start, end) in enumerate([(2, 6), (0, 8), (3, 4), (1, 7)]):
        mask[row, start:end] = True
    return rewards, values, mask


def double_sum(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> Tensor:
    """A_t = sum_l (gamma lam)^l delta_{t+l}, term by term, with the value after the last token 0."""
    out = torch.zeros_like(values)
    for row in range(len(mask)):
        places = mask[row].nonzero().flatten().tolist()
        for t in places:
            total = 0.0
            for u in places[places.index(t) :]:
                after = float(values[row, u + 1]) if u + 1 in places else 0.0
                delta = float(rewards[row, u]) + gamma * after - float(values[row, u])
                total += (gamma * lam) ** (u - t) * delta
            out[row, t] = total
    return out


@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (1.0, 1.0), (0.9, 0.5), (1.0, 0.0)])
def test_gae_is_the_double_sum(gamma: float, lam: float) -> None:
    rewards, values, mask = batch()
    credit = gae(rewards, values, mask, gamma=gamma, lam=lam)
    expected = double_sum(rewards, values, mask, gamma, lam)
    torch.testing.assert_close(credit.advantages, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(credit.returns, (expected + values) * mask, rtol=0, atol=1e-12)
    # Control: a mask that loses each reply's last token (its end of sequence) gives other advantages.
    shorter = mask & torch.cat([mask[:, 1:], torch.zeros(4, 1, dtype=torch.bool)], dim=1)
    wrong = gae(rewards, values, shorter, gamma=gamma, lam=lam).advantages
    assert not torch.allclose(wrong * shorter, expected * shorter, atol=1e-2) or lam == 0.0


def test_with_lambda_one_the_return_is_the_sum_of_future_rewards() -> None:
    rewards, values, mask = batch()
    returns = gae(rewards, values, mask, gamma=1.0, lam=1.0).returns
    future = (rewards * mask).flip(1).cumsum(1).flip(1) * mask
    torch.testing.assert_close(returns, future, rtol=0, atol=1e-12)


@pytest.mark.parametrize("error", [0.0, 0.7])
def test_nplus_layout_agrees_once_its_extra_value_is_right(error: float) -> None:
    """N+ pays the score one step past the end of sequence, where a value of its own must learn it.

    With that value right both layouts agree; an error of e leaks (1 - lam) e into the last token's advantage.
    """
    rewards, values, mask = batch()
    score = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    last = mask & ~torch.cat([mask[:, 1:], torch.zeros(4, 1, dtype=torch.bool)], dim=1)
    ours = gae(rewards + score[:, None] * last, values, mask, gamma=1.0, lam=0.95).advantages

    room = torch.zeros(4, 1, dtype=torch.float64)
    past = torch.cat([room.bool(), last], dim=1)
    their_rewards = torch.cat([rewards * mask, room], dim=1) + score[:, None] * past
    their_values = torch.where(past, score[:, None] + error, torch.cat([values, room], dim=1))
    theirs = gae(their_rewards, their_values, torch.cat([mask, room.bool()], dim=1) | past, gamma=1.0, lam=0.95)
    difference = (theirs.advantages[:, :8] - ours)[last]
    torch.testing.assert_close(difference, torch.full_like(difference, 0.05 * error), rtol=0, atol=1e-12)


def test_whitening_uses_unmasked_entries_only() -> None:
    values, _, mask = batch()
    inside = values[mask].numpy()
    whitened = whiten(values, mask)
    expected = (inside - inside.mean()) / np.sqrt(inside.var() + 1e-8)
    np.testing.assert_allclose(whitened[mask].numpy(), expected, rtol=1e-10)
    assert (whitened[~mask] == 0).all()
    unshifted = whiten(values, mask, shift_mean=False)
    np.testing.assert_allclose(unshifted[mask].numpy(), expected + inside.mean(), rtol=1e-10)
    # Control: statistics that include the padding are others.
    padded = (values - values.mean()) / values.std(correction=0)
    assert np.abs(padded[mask].numpy() - expected).max() > 0.05


def test_whitening_in_parts_is_not_whitening_the_batch() -> None:
    """Why the loop whitens before it splits: each part would get a mean of 0 of its own."""
    values, _, mask = batch()
    parts = torch.cat([whiten(values[rows], mask[rows]) for rows in (slice(0, 2), slice(2, 4))])
    assert (parts - whiten(values, mask)).abs().max() > 0.1


def test_masked_mean_and_explained_variance() -> None:
    values, returns, mask = batch()
    assert float(masked_mean(values, mask)) == pytest.approx(float(values[mask].mean()))
    inside = returns[mask].numpy()
    residual = inside - values[mask].numpy()
    assert explained_variance(values, returns, mask) == pytest.approx(1 - residual.var() / inside.var())
    assert explained_variance(returns, returns, mask) == pytest.approx(1.0)
    assert explained_variance(values, torch.ones_like(values), mask) == 0.0
