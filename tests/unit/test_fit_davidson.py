"""Davidson's ties against a brute-force likelihood, a closed form, Bradley-Terry and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import approx_fprime, minimize

from candor.preferences.fit import bradley_terry, davidson

Rows = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def simulated(rng: np.random.Generator, scores: NDArray[np.float64], nu: float, n: int) -> Rows:
    items = len(scores)
    one = rng.integers(items, size=n)
    two = (one + 1 + rng.integers(items - 1, size=n)) % items
    half = (scores[one] - scores[two]) / 2
    chances = np.column_stack([np.exp(half), np.exp(-half), np.full(n, nu)])
    chances /= chances.sum(axis=1, keepdims=True)
    which = (rng.random(n)[:, None] > chances.cumsum(axis=1)).sum(axis=1)
    return one, two, np.array([1, -1, 0])[which]


def negative(theta: NDArray[np.float64], rows: Rows) -> float:
    one, two, outcome = rows
    half = (theta[one] - theta[two]) / 2
    level = np.log(np.exp(half) + np.exp(-half) + np.exp(theta[-1]))
    chosen = np.where(outcome > 0, half, np.where(outcome < 0, -half, theta[-1]))
    return float(-(chosen - level).sum() + 0.5 * theta[:-1].sum() ** 2)


def test_agrees_with_a_brute_force_likelihood_and_its_hessian() -> None:
    rng = np.random.default_rng(0)
    rows = simulated(rng, rng.normal(size=7), 0.7, 400)
    fit = davidson(*rows, 7)
    best = minimize(negative, np.zeros(8), args=(rows,), options={"gtol": 1e-7})
    assert fit.converged
    assert fit.scores == pytest.approx(best.x[:-1], abs=1e-5)
    assert fit.nu == pytest.approx(np.exp(best.x[-1]), abs=1e-5)
    assert fit.log_likelihood == pytest.approx(-best.fun, abs=1e-6)

    def slope(theta: NDArray[np.float64]) -> NDArray[np.float64]:
        return approx_fprime(theta, lambda t: negative(t, rows), 1e-5)

    inverse = np.linalg.inv(approx_fprime(best.x, slope, 1e-4))
    level = 1 / (7 * 7)  # what the penalty that holds the sum adds to every variance
    assert fit.errors == pytest.approx(np.sqrt(np.diag(inverse)[:-1] - level), rel=0.01)
    assert fit.nu_error == pytest.approx(fit.nu * np.sqrt(inverse[-1, -1]), rel=0.01)


def test_two_items_have_the_closed_form() -> None:
    fit = davidson([0] * 12, [1] * 12, [1] * 4 + [-1] * 2 + [0] * 6, 2)
    # wins : losses : ties = 4 : 2 : 6 = exp(d / 2) : exp(-d / 2) : nu
    assert fit.scores[0] - fit.scores[1] == pytest.approx(np.log(2))
    assert fit.nu == pytest.approx(6 / np.sqrt(4 * 2))


def test_errors_are_those_of_simulation() -> None:
    rng = np.random.default_rng(1)
    scores = rng.normal(size=8)
    scores -= scores.mean()
    z = []
    for _ in range(100):
        fit = davidson(*simulated(rng, scores, 0.7, 400), 8)
        z.append(np.append((fit.scores - scores) / fit.errors, (fit.nu - 0.7) / fit.nu_error))
    assert np.std(z, axis=0) == pytest.approx(np.ones(9), abs=0.22)


def test_without_ties_it_is_bradley_terry() -> None:
    rng = np.random.default_rng(2)
    one, two, outcome = simulated(rng, rng.normal(size=6), 0.0, 200)
    fit = davidson(one, two, outcome, 6)
    plain = bradley_terry(np.where(outcome > 0, one, two), np.where(outcome > 0, two, one), 6)
    assert fit.nu == 0
    assert np.isnan(fit.nu_error)
    assert fit.scores == pytest.approx(plain.scores, abs=1e-7)
    assert fit.errors == pytest.approx(plain.errors)
    assert fit.log_likelihood == pytest.approx(plain.log_likelihood)


def test_a_tie_connects_both_ways() -> None:
    assert davidson([0, 0], [1, 1], [1, 0], 2).connected
    apart = davidson([0, 1], [1, 2], [1, 0], 3)
    assert not apart.connected
    assert apart.note.startswith("regularised: ")


def test_only_ties_are_refused() -> None:
    with pytest.raises(ValueError, match="every comparison is a tie"):
        davidson([0, 1], [1, 2], [0, 0], 3)
    with pytest.raises(ValueError, match="outcome: expected only"):
        davidson([0], [1], [2], 2)
    with pytest.raises(ValueError, match="itself"):
        davidson([1], [1], [1], 2)
