"""The smallest penalty on agreement, against the token tree's closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from candor.forecasting.penalty import global_penalty, prompt_penalties
from candor.ops.randomness import generator
from candor.testbeds.tabular import TabularPolicy, TokenTree, expectation, optimum, reply_logprobs

TREE = TokenTree(num_prompts=6)
LOGP = reply_logprobs(TabularPolicy(TREE, scale=1.0, seed=1), TREE)
LOGP = LOGP.log_softmax(-1)
PROBS = LOGP.exp().numpy()
AGREES = torch.tensor([[float(len(reply) % 3 == 0) for reply in TREE.replies]] * 6, dtype=torch.float64)
REWARDS = torch.randn((6, 40), generator=generator(2, "reward"), dtype=torch.float64)
REWARDS += torch.tensor([3.0, 2.0, 1.0, -1.5, 1.6, 0.0]).unsqueeze(1) * AGREES
BETAS = (0.05, 0.3, 1.0)


def agreement_after(penalties: np.ndarray, beta: float) -> np.ndarray:
    lowered = REWARDS - torch.from_numpy(np.asarray(penalties)).reshape(-1, 1) * AGREES
    return expectation(optimum(LOGP, lowered, beta), AGREES).numpy()


BEFORE = expectation(LOGP.exp(), AGREES).numpy()


@pytest.mark.parametrize("beta", BETAS)
def test_unclipped_leaves_agreement_at_the_reference(beta: float) -> None:
    found = prompt_penalties(REWARDS, AGREES, beta, probabilities=PROBS)
    assert found.undefined == 0
    np.testing.assert_allclose(agreement_after(found.unclipped, beta), BEFORE, atol=1e-9)
    # Control: without it, and with the whole gap of the rewards' means, agreement is elsewhere.
    assert np.abs(agreement_after(np.zeros(6), beta) - BEFORE).max() > 0.05


@pytest.mark.parametrize("beta", BETAS)
def test_clipped_never_exceeds_the_reference(beta: float) -> None:
    found = prompt_penalties(REWARDS, AGREES, beta, probabilities=PROBS)
    assert (found.unclipped < 0).any(), "some prompt must lose agreement for the clipping to matter"
    after = agreement_after(found.clipped, beta)
    assert np.all(after <= BEFORE + 1e-9)
    np.testing.assert_allclose(after[found.unclipped >= 0], BEFORE[found.unclipped >= 0], atol=1e-9)


@pytest.mark.parametrize("beta", BETAS)
def test_one_penalty_for_all_restores_mean_agreement(beta: float) -> None:
    found = global_penalty(REWARDS, AGREES, beta, probabilities=PROBS)
    assert found.value > 0
    assert found.prompts == 6
    after = agreement_after(np.full(6, found.value), beta)
    assert after.mean() == pytest.approx(BEFORE.mean(), abs=1e-9) == pytest.approx(found.reference, abs=1e-9)
    assert found.penalised == pytest.approx(after.mean(), abs=1e-9)
    assert found.unpenalised == pytest.approx(agreement_after(np.zeros(6), beta).mean(), abs=1e-9)
    # Control: the mean of the prompts' penalties is another number, and does not restore it.
    pooled = prompt_penalties(REWARDS, AGREES, beta, probabilities=PROBS).clipped.mean()
    assert abs(agreement_after(np.full(6, pooled), beta).mean() - BEFORE.mean()) > 1e-3


def test_no_penalty_where_agreement_falls() -> None:
    assert global_penalty(-2.0 * AGREES, AGREES, 1.0, probabilities=PROBS).value == 0.0


def test_samples_come_to_the_enumerated_value() -> None:
    drawn = np.array([np.random.default_rng(p).choice(40, size=60_000, p=PROBS[p] / PROBS[p].sum()) for p in range(6)])
    rewards, agrees = (np.take_along_axis(table.numpy(), drawn, axis=1) for table in (REWARDS, AGREES))
    exact = prompt_penalties(REWARDS, AGREES, 0.5, probabilities=PROBS).unclipped
    np.testing.assert_allclose(prompt_penalties(rewards, agrees, 0.5).unclipped, exact, atol=0.05)


def test_prompts_without_a_choice_are_counted_and_left_alone() -> None:
    agrees = np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [np.nan] * 3, [1.0, 0.0, 0.0]])
    rewards = np.array([[1.0, 2.0, 3.0]] * 3 + [[2.0, 1.0, 1.0]])
    found = prompt_penalties(rewards, agrees, 0.1)
    assert found.undefined == 2
    assert np.isnan(found.unclipped).tolist() == [True, True, True, False]
    np.testing.assert_allclose(found.clipped, [0, 0, 0, 1.0])
    assert global_penalty(rewards, agrees, 0.1).value == pytest.approx(1.0)


def test_huge_rewards_do_not_overflow() -> None:
    found = prompt_penalties([[5000.0, 0.0]], [[1.0, 0.0]], 0.01)
    assert found.clipped.tolist() == [5000.0]
    assert global_penalty([[5000.0, 0.0]], [[1.0, 0.0]], 0.01).value == pytest.approx(5000.0)


@pytest.mark.parametrize(
    ("rewards", "agrees", "beta", "said"),
    [
        ([[1.0, 2.0]], [[1.0, np.nan]], 1.0, "nan in all"),
        ([[1.0, 2.0]], [[1.0, 0.5]], 1.0, "0 or 1"),
        ([[1.0, 2.0]], [[1.0]], 1.0, "shape"),
        ([[1.0, np.nan]], [[1.0, 0.0]], 1.0, "finite"),
        ([[1.0, 2.0]], [[1.0, 0.0]], 0.0, "positive"),
    ],
)
def test_what_cannot_be_used_is_refused(rewards: object, agrees: object, beta: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        prompt_penalties(rewards, agrees, beta)  # type: ignore[arg-type]


def test_agreement_must_apply_somewhere() -> None:
    with pytest.raises(ValueError, match="no prompt"):
        global_penalty([[1.0, 2.0]], [[np.nan, np.nan]], 1.0)
