"""Bradley-Terry with annotators and Crowd-BT: gradients by finite differences, brute force, errors, planted values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.optimize import approx_fprime, minimize

from candor.preferences.fit import annotators, bradley_terry, bradley_terry_with_annotators, crowd_bt

FloatArray = NDArray[np.float64]
ITEMS, PEOPLE = 6, 3


@dataclass(frozen=True, kw_only=True)
class World:
    scores: FloatArray
    log_beta: FloatArray
    gamma: FloatArray
    eta: FloatArray
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    who: NDArray[np.int64]
    side: NDArray[np.int64]
    outcome: NDArray[np.int64]


def world(seed: int, items: int = ITEMS, people: int = PEOPLE, n: int = 300, *, crowd: bool = False) -> World:
    rng = np.random.default_rng(seed)
    scores, log_beta = rng.normal(size=items), 0.4 * rng.normal(size=people)
    scores -= scores.mean()
    log_beta -= log_beta.mean()
    gamma, eta = 0.4 + 0.3 * rng.normal(size=people), 1 / (1 + np.exp(-(1.5 + rng.normal(size=people))))
    first = rng.integers(items, size=n)
    second = (first + 1 + rng.integers(items - 1, size=n)) % items
    who, side = rng.integers(people, size=n), rng.choice([-1, 1], size=n)
    gap = scores[first] - scores[second]
    f = 1 / (1 + np.exp(-gap))
    p = 1 / (1 + np.exp(-(np.exp(log_beta[who]) * gap + gamma[who] * side)))
    p = eta[who] * f + (1 - eta[who]) * (1 - f) if crowd else p
    outcome = (rng.random(n) < p).astype(np.int64)
    return World(
        scores=scores, log_beta=log_beta, gamma=gamma, eta=eta, first=first, second=second, who=who, side=side,
        outcome=outcome,
    )  # fmt: skip


def with_annotators_value(w: World, theta: FloatArray, ridge: float, annotator_ridge: float) -> float:
    s, b, g = theta[:ITEMS], theta[ITEMS : ITEMS + PEOPLE], theta[ITEMS + PEOPLE :]
    eta = np.exp(b[w.who]) * (s[w.first] - s[w.second]) + g[w.who] * w.side
    likelihood = -np.log1p(np.exp(np.where(w.outcome > 0, -eta, eta))).sum()
    return float(likelihood - ridge / 2 * s @ s - annotator_ridge / 2 * (b @ b + g @ g))


def crowd_value(w: World, theta: FloatArray, ridge: float, annotator_ridge: float) -> float:
    s, t = theta[:ITEMS], theta[ITEMS:]
    f, eta = 1 / (1 + np.exp(s[w.second] - s[w.first])), 1 / (1 + np.exp(-t[w.who]))
    p = eta * f + (1 - eta) * (1 - f)
    away = t - np.log(9)
    return float(
        np.log(np.where(w.outcome > 0, p, 1 - p)).sum() - ridge / 2 * s @ s - annotator_ridge / 2 * away @ away
    )


@pytest.fixture
def gradients(monkeypatch: pytest.MonkeyPatch) -> list[tuple[FloatArray, FloatArray]]:
    """Every (parameters, gradient) that a fit computes."""
    seen = []
    parts = annotators._Joint.parts

    def watched(self: annotators._Joint, theta: FloatArray) -> object:
        info, gradient = parts(self, theta)
        seen.append((theta.copy(), gradient))
        return info, gradient

    monkeypatch.setattr(annotators._Joint, "parts", watched)
    return seen


@pytest.mark.parametrize("crowd", [False, True])
def test_gradients_are_those_of_finite_differences(crowd: bool, gradients: list[tuple[FloatArray, FloatArray]]) -> None:
    w = world(0, crowd=crowd)
    value: Callable[..., float] = crowd_value if crowd else with_annotators_value
    if crowd:
        crowd_bt(w.first, w.second, w.outcome, w.who, ITEMS, PEOPLE, ridge=0.1, annotator_ridge=0.2)
    else:
        bradley_terry_with_annotators(
            w.first, w.second, w.outcome, w.who, w.side, ITEMS, PEOPLE, ridge=0.1, annotator_ridge=0.2
        )
    assert len(gradients) > 3
    for theta, gradient in gradients[:4]:
        plus = np.eye(len(theta)) * 1e-5
        numeric = [(value(w, theta + h, 0.1, 0.2) - value(w, theta - h, 0.1, 0.2)) / 2e-5 for h in plus]
        assert gradient == pytest.approx(np.array(numeric), abs=1e-4)


def test_with_annotators_agrees_with_brute_force() -> None:
    w = world(1)
    fit = bradley_terry_with_annotators(w.first, w.second, w.outcome, w.who, w.side, ITEMS, PEOPLE)
    assert fit.connected
    best = minimize(lambda t: -with_annotators_value(w, t, 0.0, 1.0), np.zeros(ITEMS + 2 * PEOPLE), tol=1e-9).x
    best[:ITEMS] -= best[:ITEMS].mean()
    assert fit.scores == pytest.approx(best[:ITEMS], abs=1e-3)
    assert fit.log_reliability == pytest.approx(best[ITEMS : ITEMS + PEOPLE], abs=1e-3)
    assert fit.sides == pytest.approx(best[ITEMS + PEOPLE :], abs=1e-3)
    assert fit.log_reliability.mean() == pytest.approx(0, abs=1e-9)
    assert fit.scores.sum() == pytest.approx(0, abs=1e-6)


def test_crowd_bt_agrees_with_brute_force_and_its_errors_with_the_expected_hessian() -> None:
    w = world(2, crowd=True, n=3000)
    fit = crowd_bt(w.first, w.second, w.outcome, w.who, ITEMS, PEOPLE)
    start = np.concatenate([np.zeros(ITEMS), np.full(PEOPLE, np.log(9))])
    best = minimize(lambda t: -crowd_value(w, t, 0.1, 0.1), start, tol=1e-9).x
    assert fit.converged
    assert fit.scores == pytest.approx(best[:ITEMS], abs=2e-3)
    assert np.log(fit.eta / (1 - fit.eta)) == pytest.approx(best[ITEMS:], abs=5e-3)
    hessian = approx_fprime(best, lambda t: approx_fprime(t, lambda u: -crowd_value(w, u, 0.1, 0.1), 1e-5), 1e-4)
    inverse = np.linalg.inv(hessian)
    assert fit.logit_eta_errors == pytest.approx(np.sqrt(np.diag(inverse)[ITEMS:]), rel=0.15)


def test_one_annotator_without_side_is_plain_bradley_terry() -> None:
    w = world(3)
    nobody = np.zeros_like(w.who)
    fit = bradley_terry_with_annotators(w.first, w.second, w.outcome, nobody, nobody, ITEMS, 1)
    winners, losers = np.where(w.outcome > 0, w.first, w.second), np.where(w.outcome > 0, w.second, w.first)
    plain = bradley_terry(winners, losers, ITEMS)
    assert fit.scores == pytest.approx(plain.scores, abs=1e-3)
    assert fit.errors == pytest.approx(plain.errors, rel=0.01)


def test_planted_values_are_within_their_errors_also_when_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    w = world(4, items=40, people=20, n=12000)
    fit = bradley_terry_with_annotators(w.first, w.second, w.outcome, w.who, w.side, 40, 20)
    for found, truth, errors in (
        (fit.scores, w.scores, fit.errors),
        (fit.log_reliability, w.log_beta, fit.log_reliability_errors),
        (fit.sides, w.gamma, fit.sides_errors),
    ):
        assert np.sqrt(np.mean(((found - truth) / errors) ** 2)) == pytest.approx(1, abs=0.35)
    monkeypatch.setattr(annotators, "DENSE", 10)
    sampled = bradley_terry_with_annotators(w.first, w.second, w.outcome, w.who, w.side, 40, 20)
    assert sampled.errors == pytest.approx(fit.errors, rel=0.05)
    assert sampled.log_reliability_errors == pytest.approx(fit.log_reliability_errors, rel=0.15)
    assert sampled.sides_errors == pytest.approx(fit.sides_errors, rel=0.05)
    # The control: one common reliability would not do.
    assert np.abs(w.log_beta).max() > 4 * fit.log_reliability_errors.max()


def test_crowd_bt_finds_who_answers_at_random_or_the_wrong_way_round() -> None:
    rng = np.random.default_rng(5)
    scores = np.linspace(-2, 2, 15)
    first = rng.integers(15, size=4000)
    second = (first + 1 + rng.integers(14, size=4000)) % 15
    who, eta = rng.integers(5, size=4000), np.array([0.97, 0.97, 0.95, 0.5, 0.1])
    f = 1 / (1 + np.exp(scores[second] - scores[first]))
    outcome = (rng.random(4000) < eta[who] * f + (1 - eta[who]) * (1 - f)).astype(int)
    fit = crowd_bt(first, second, outcome, who, 15, 5)
    assert fit.eta == pytest.approx(eta, abs=0.08)
    assert np.corrcoef(fit.scores, scores)[0, 1] > 0.98
    assert fit.note.startswith("regularised: ")


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="annotator: expected values from 0 to 0"):
        crowd_bt([0], [1], [1], [1], 2, 1)
    with pytest.raises(ValueError, match="side"):
        bradley_terry_with_annotators([0], [1], [1], [0], [2], 2, 1)
    with pytest.raises(ValueError, match="itself"):
        crowd_bt([1], [1], [1], [0], 2, 1)
