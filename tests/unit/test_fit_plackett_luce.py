"""Plackett-Luce against choix, Bradley-Terry, a brute-force likelihood over all orders of a tie, and simulation."""

from __future__ import annotations

from itertools import permutations

import choix
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import approx_fprime, minimize

from candor.preferences.fit import _newton, bradley_terry, plackett_luce

Ranking = list[list[int]]
"""Tied groups of items, best first."""


def simulated(rng: np.random.Generator, scores: NDArray[np.float64], lengths: list[int]) -> list[list[int]]:
    rankings = []
    for length in lengths:
        chosen = rng.choice(len(scores), size=length, replace=False)
        order = np.argsort(-(scores[chosen] + rng.gumbel(size=length)))
        rankings.append([int(i) for i in chosen[order]])
    return rankings


def arrays(rankings: list[Ranking]) -> tuple[list[int], list[int], list[int]]:
    """Offsets, items, groups."""
    offsets, ranked, groups = [0], [], []
    for ranking in rankings:
        for number, group in enumerate(ranking):
            ranked += group
            groups += [number] * len(group)
        offsets.append(len(ranked))
    return offsets, ranked, groups


def flat(rankings: list[list[int]]) -> tuple[list[int], list[int]]:
    offsets, ranked, _ = arrays([[[i] for i in ranking] for ranking in rankings])
    return offsets, ranked


def log_probability(scores: NDArray[np.float64], order: list[int]) -> float:
    left = np.exp(scores[order])
    return float(sum(scores[order[t]] - np.log(left[t:].sum()) for t in range(len(order))))


def brute_force(scores: NDArray[np.float64], rankings: list[Ranking]) -> float:
    """Log-likelihood, the mean over every order of every tie."""
    total = 0.0
    for ranking in rankings:
        orders: list[list[int]] = [[]]
        for group in ranking:
            orders = [order + list(way) for order in orders for way in permutations(group)]
        total += float(np.mean([log_probability(scores, order) for order in orders]))
    return total


def test_agrees_with_choix_on_rankings_of_different_lengths() -> None:
    rng = np.random.default_rng(0)
    rankings = simulated(rng, rng.normal(size=12), [2, 3, 5, 7] * 40)
    fit = plackett_luce(*flat(rankings), 12)
    assert fit.connected
    assert fit.converged
    for oracle in (choix.ilsr_rankings(12, rankings), choix.opt_rankings(12, rankings, alpha=1e-9)):
        assert fit.scores == pytest.approx(oracle - oracle.mean(), abs=1e-4)


def test_pairs_are_bradley_terry_and_tied_pairs_are_half_wins() -> None:
    rng = np.random.default_rng(1)
    one = rng.integers(8, size=300)
    two = (one + 1 + rng.integers(7, size=300)) % 8
    tied = rng.random(300) < 0.3
    groups = np.column_stack([np.zeros(300, int), np.where(tied, 0, 1)]).ravel()
    fit = plackett_luce(np.arange(301) * 2, np.column_stack([one, two]).ravel(), 8, groups=groups)
    weights = np.concatenate([np.where(tied, 0.5, 1.0), np.where(tied, 0.5, 0.0)])
    pairs = bradley_terry(np.concatenate([one, two]), np.concatenate([two, one]), 8, weights=weights)
    assert fit.scores == pytest.approx(pairs.scores, abs=1e-8)
    assert fit.errors == pytest.approx(pairs.errors, rel=1e-8)
    assert fit.log_likelihood == pytest.approx(pairs.log_likelihood)


def test_ties_are_means_over_all_orders() -> None:
    rankings: list[Ranking] = [[[0, 1], [2]], [[3], [0, 2, 1]], [[2], [3, 1], [0]], [[1], [2], [0]], [[0, 1, 2, 3]]]
    rankings += [[[0], [3]], [[2], [1]], [[1], [3]]]
    offsets, ranked, groups = arrays(rankings)
    fit = plackett_luce(offsets, ranked, 4, groups=groups)
    best = minimize(lambda s: -brute_force(s, rankings) + s.sum() ** 2, np.zeros(4), options={"gtol": 1e-8})
    assert fit.scores == pytest.approx(best.x, abs=1e-5)
    assert fit.log_likelihood == pytest.approx(brute_force(fit.scores, rankings))
    untied = plackett_luce(offsets, ranked, 4, ridge=0.0)
    assert np.abs(untied.scores - fit.scores).max() > 0.1  # the ties do matter


def test_long_ties_are_efrons_approximation() -> None:
    """Nine tied: the approximation is within 5% of the mean over subsets in the pull it exerts."""
    rankings: list[Ranking] = [[list(range(9)), [9]]] * 3 + [[[9], [i]] for i in range(9)]
    rankings += [[[i], [(i + 1) % 9]] for i in range(9)]
    offsets, ranked, groups = arrays(rankings)
    fit = plackett_luce(offsets, ranked, 10, groups=groups)
    assert fit.converged
    assert fit.scores[:9] == pytest.approx(np.full(9, fit.scores[0]), abs=1e-7)

    def pull(level: float) -> float:  # of the exact likelihood at equal scores: every order counts the same
        scores = np.append(np.full(9, level), 0.0)
        total = 3 * log_probability(scores, list(range(10)))
        return total + sum(log_probability(scores, [9, i]) for i in range(9))

    exact = minimize(lambda level: -pull(float(level[0])), [0.0]).x[0]
    assert fit.scores[0] - fit.scores[9] == pytest.approx(exact, abs=1e-4)


def test_an_open_end_says_nothing_about_the_rest() -> None:
    rankings: list[Ranking] = [[[0], [1, 2]], [[1], [0, 2]], [[2], [0, 1]], [[1], [0, 2]]]
    offsets, ranked, groups = arrays(rankings)
    fit = plackett_luce(offsets, ranked, 3, groups=groups, open_end=[True] * 4)
    # Best of three each time: multinomial with counts 1, 2, 1.
    assert np.exp(fit.scores) / np.exp(fit.scores).sum() == pytest.approx([0.25, 0.5, 0.25])
    assert fit.connected
    closed = plackett_luce(offsets, ranked, 3, groups=groups)
    assert np.abs(closed.scores - fit.scores).max() > 0.05


def test_an_open_end_does_not_connect_the_rest() -> None:
    offsets, ranked, groups = arrays([[[0], [1, 2]], [[1], [0]]])
    assert not plackett_luce(offsets, ranked, 3, groups=groups, open_end=[True, False]).connected
    assert plackett_luce(offsets, ranked, 3, groups=groups).connected


def test_errors_are_those_of_the_numerical_hessian_also_when_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    rankings = simulated(rng, rng.normal(size=6), [4, 3] * 30)

    def gradient(scores: NDArray[np.float64]) -> NDArray[np.float64]:
        return approx_fprime(scores, lambda s: sum(log_probability(s, r) for r in rankings), 1e-5)

    fit = plackett_luce(*flat(rankings), 6)
    hessian = -approx_fprime(fit.scores, gradient, 1e-4)
    assert fit.errors == pytest.approx(np.sqrt(np.diag(np.linalg.pinv(hessian, rcond=1e-2))), rel=0.01)
    monkeypatch.setattr(_newton, "DENSE", 3)
    monkeypatch.setattr(_newton, "ACCURACY", 0.0)
    assert plackett_luce(*flat(rankings), 6).errors == pytest.approx(fit.errors, rel=0.1)


def test_errors_are_those_of_simulation() -> None:
    rng = np.random.default_rng(3)
    z = []
    for _ in range(40):
        scores = rng.normal(size=20)
        fit = plackett_luce(*flat(simulated(rng, scores, [5] * 200)), 20)
        z.append((fit.scores - scores + scores.mean()) / fit.errors)
    assert np.sqrt(np.mean(np.square(z))) == pytest.approx(1.0, abs=0.08)


def test_a_loser_of_all_is_regularised() -> None:
    fit = plackett_luce([0, 3, 6], [0, 1, 2, 1, 0, 2], 3)
    assert fit.note.startswith("regularised: ")
    assert np.isfinite(fit.scores).all()
    assert fit.scores[2] < fit.scores[0]


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        plackett_luce([0, 2], [1, 1], 3)
    with pytest.raises(ValueError, match="at least two items"):
        plackett_luce([0, 1], [1], 3)
    with pytest.raises(ValueError, match="never fall"):
        plackett_luce([0, 2], [0, 1], 3, groups=[1, 0])
    with pytest.raises(ValueError, match="open_end"):
        plackett_luce([0, 2], [0, 1], 3, open_end=[True, True])
