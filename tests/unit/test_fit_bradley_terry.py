"""Bradley-Terry against choix, closed forms, a brute-force Hessian and simulation."""

from __future__ import annotations

import choix
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import approx_fprime

from candor.preferences.fit import _newton, bradley_terry

Comparisons = tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]


def simulated(rng: np.random.Generator, items: int, n: int, spread: float = 1.0) -> Comparisons:
    """True scores, winners, losers."""
    scores = spread * rng.normal(size=items)
    one = rng.integers(items, size=n)
    two = (one + 1 + rng.integers(items - 1, size=n)) % items
    won = rng.random(n) < 1 / (1 + np.exp(scores[two] - scores[one]))
    return scores - scores.mean(), np.where(won, one, two), np.where(won, two, one)


def test_agrees_with_choix() -> None:
    _, won, lost = simulated(np.random.default_rng(0), 25, 700)
    data = list(zip(won.tolist(), lost.tolist(), strict=True))
    fit = bradley_terry(won, lost, 25)
    assert fit.connected
    assert fit.converged
    assert fit.note == ""
    for oracle in (choix.ilsr_pairwise(25, data, alpha=0.0), choix.opt_pairwise(25, data, alpha=1e-9)):
        assert fit.scores == pytest.approx(oracle - oracle.mean(), abs=1e-4)
    # The check would see a wrong fit: the rank centrality estimate is another one.
    other = choix.rank_centrality(25, data)
    assert np.abs(fit.scores - (other - other.mean())).max() > 1e-3


def test_agrees_with_choix_where_a_ridge_is_asked_for() -> None:
    data = [(0, 1), (1, 2), (0, 2)]
    fit = bradley_terry([0, 1, 0], [1, 2, 2], 3, ridge=0.5)
    oracle = choix.opt_pairwise(3, data, alpha=0.25)  # choix penalises alpha * squares, without the half
    assert fit.scores == pytest.approx(oracle, abs=1e-4)
    assert "a ridge of 0.5" in fit.note


def test_two_items_have_the_closed_form() -> None:
    fit = bradley_terry([0] * 30 + [1] * 10, [1] * 30 + [0] * 10, 2)
    assert fit.scores[0] - fit.scores[1] == pytest.approx(np.log(3))
    # var(s0 - s1) = 1/30 + 1/10, and each score is half the difference
    assert fit.errors == pytest.approx(np.full(2, 0.5 * np.sqrt(1 / 30 + 1 / 10)))
    assert fit.log_likelihood == pytest.approx(30 * np.log(0.75) + 10 * np.log(0.25))


def test_errors_are_those_of_the_numerical_hessian() -> None:
    _, won, lost = simulated(np.random.default_rng(1), 9, 300)

    def score(s: NDArray[np.float64]) -> NDArray[np.float64]:
        p = 1 / (1 + np.exp(s[won] - s[lost]))
        return np.bincount(won, p, 9) - np.bincount(lost, p, 9)

    fit = bradley_terry(won, lost, 9)
    assert score(fit.scores) == pytest.approx(np.zeros(9), abs=1e-6)
    hessian = -approx_fprime(fit.scores, score, 1e-6)
    assert fit.errors == pytest.approx(np.sqrt(np.diag(np.linalg.pinv(hessian, rcond=1e-5))), rel=1e-4)


def test_errors_are_those_of_simulation() -> None:
    rng = np.random.default_rng(2)
    z = []
    for _ in range(60):
        truth, won, lost = simulated(rng, 30, 1500)
        fit = bradley_terry(won, lost, 30)
        z.append((fit.scores - truth) / fit.errors)
    assert np.sqrt(np.mean(np.square(z))) == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize(("items", "n"), [(400, 6000), (400, 1600)])
def test_sampled_errors_are_as_accurate_as_they_say(items: int, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    _, won, lost = simulated(np.random.default_rng(3), items, n)
    exact = bradley_terry(won, lost, items, ridge=0.01)
    monkeypatch.setattr(_newton, "DENSE", 10)
    sampled = bradley_terry(won, lost, items, ridge=0.01)
    off = np.sqrt(np.mean((sampled.errors / exact.errors - 1) ** 2))
    assert exact.errors_accuracy == 0.0
    assert 0.5 * sampled.errors_accuracy < off < 1.5 * sampled.errors_accuracy
    assert sampled.errors_accuracy < 0.03
    assert sampled.scores == pytest.approx(exact.scores, abs=1e-7)


def test_sampled_errors_without_a_ridge_know_that_scores_sum_to_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    _, won, lost = simulated(np.random.default_rng(4), 12, 400)
    exact = bradley_terry(won, lost, 12)
    monkeypatch.setattr(_newton, "DENSE", 5)
    monkeypatch.setattr(_newton, "ACCURACY", 0.0)  # all 256 vectors
    sampled = bradley_terry(won, lost, 12)
    assert sampled.errors == pytest.approx(exact.errors, rel=0.05)


def test_a_chain_of_comparisons_is_solved_by_factorisation() -> None:
    n = 3000  # conjugate gradients need as many steps as the chain is long
    i = np.arange(n - 1)
    fit = bradley_terry(np.concatenate([i, i, i + 1]), np.concatenate([i + 1, i + 1, i]), n)
    assert fit.converged
    assert np.diff(fit.scores) == pytest.approx(np.full(n - 1, -np.log(2)), abs=1e-6)


def test_who_only_ever_wins_is_regularised_and_it_is_said() -> None:
    fit = bradley_terry([0, 0, 1, 2], [1, 2, 2, 1], 3)
    assert not fit.connected
    assert fit.ridge > 0
    assert fit.note.startswith("regularised: ")
    assert np.isfinite(fit.scores).all()
    assert fit.scores[0] > fit.scores[1]
    assert fit.scores.sum() == pytest.approx(0, abs=1e-8)


def test_only_the_groups_that_need_it_are_regularised() -> None:
    won, lost = [0, 0, 1, 2, 2], [1, 1, 0, 3, 3]
    fit = bradley_terry(won, lost, 5)
    assert fit.scores[0] - fit.scores[1] == pytest.approx(np.log(2))  # a group of its own, with a finite maximum
    assert np.isfinite(fit.scores[2] - fit.scores[3])
    assert fit.components[0] == fit.components[1] != fit.components[2]
    assert "2 groups of items were never compared with each other" in fit.note
    assert fit.scores[4] == 0
    assert fit.errors[4] == np.inf
    assert "1 items were never compared" in fit.note


def test_without_help_the_scores_run_away() -> None:
    """The control for the ridge: with a ridge of 0 asked for, the note says that scores are not finite."""
    fit = bradley_terry([0, 0], [1, 1], 2, ridge=0.0)
    assert fit.scores[0] > 5
    assert "not finite" in fit.note


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="itself"):
        bradley_terry([0, 1], [1, 1], 2)
    with pytest.raises(ValueError, match="losers: expected 2 values"):
        bradley_terry([0, 1], [1], 2)
    with pytest.raises(ValueError, match="from 0 to 1"):
        bradley_terry([0, 2], [1, 1], 2)
    with pytest.raises(ValueError, match="integers"):
        bradley_terry([0.5], [1], 2)
    with pytest.raises(ValueError, match="weights"):
        bradley_terry([0], [1], 2, weights=[-1.0])
    with pytest.raises(ValueError, match="ridge"):
        bradley_terry([0], [1], 2, ridge=-1.0)


def test_no_comparisons_give_no_knowledge() -> None:
    fit = bradley_terry(np.zeros(0, dtype=int), np.zeros(0, dtype=int), 3)
    assert (fit.scores == 0).all()
    assert (fit.errors == np.inf).all()
    assert not fit.connected
