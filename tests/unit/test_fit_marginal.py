"""Side bias and reliability, pair effects integrated out: planted values, quadrature, the joint fit as control."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from bench.annotator_intervals import DESIGNS, labels, people, side_truth
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.optimize import approx_fprime

from candor.preferences.fit import annotators_marginal
from candor.preferences.fit._hierarchy import Model, Prior, _errors
from candor.preferences.fit._pooled import Labels, Pooled, fit_pooled, scores
from candor.preferences.fit.marginal import _checked, _quantile

Ints = NDArray[np.int64]
SIDE = 0.40


@dataclass(frozen=True, kw_only=True)
class Drawn:
    pair: Ints
    annotator: Ints
    outcome: Ints
    side: Ints
    log_beta: NDArray[np.float64]
    gamma: NDArray[np.float64]

    @property
    def arrays(self) -> tuple[Ints, Ints, Ints, Ints]:
        return self.pair, self.annotator, self.outcome, self.side


def draw(
    seed: int, pairs: int, per_pair: int, people: int, *, differ: float = 0.0, spread: float = 1.2, side: float = SIDE
) -> Drawn:
    rng = np.random.default_rng(seed)
    log_beta, gamma = differ * rng.normal(size=people), side + differ * rng.normal(size=people)
    who = np.argsort(rng.random((pairs, people)), axis=1)[:, :per_pair].ravel()
    pair = np.repeat(np.arange(pairs), per_pair)
    shown = rng.choice([-1, 1], size=len(pair))
    gap = spread * rng.normal(size=pairs)[pair]
    p = 1 / (1 + np.exp(-(np.exp(log_beta[who]) * gap + gamma[who] * shown)))
    outcome = (rng.random(len(pair)) < p).astype(np.int64)
    return Drawn(pair=pair, annotator=who, outcome=outcome, side=shown, log_beta=log_beta, gamma=gamma)


def joint_side_bias(data: Drawn, ridge: float) -> float:
    """The control: one effect for every pair, estimated beside the side bias by Newton's method. Do not use.

    With a ridge of 0 it is the textbook case of inconsistency (Neyman and Scott 1948; Andersen 1970).
    """
    pairs = int(data.pair.max()) + 1
    gap, gamma = np.zeros(pairs), 0.0
    for _ in range(200):
        p = 1 / (1 + np.exp(-(gap[data.pair] + gamma * data.side)))
        w = p * (1 - p)
        slope = np.bincount(data.pair, data.outcome - p) - ridge * gap
        own = np.bincount(data.pair, w) + max(ridge, 1e-6)
        cross = np.bincount(data.pair, w * data.side)
        step = (np.sum((data.outcome - p) * data.side) - cross @ (slope / own)) / (w.sum() - cross @ (cross / own))
        gamma += step
        gap += np.clip((slope - cross * step) / own, -1, 1)
    return float(gamma)


@pytest.mark.parametrize("per_pair", [2, 3])
def test_planted_side_bias_is_recovered_within_its_interval(per_pair: int) -> None:
    data = draw(per_pair, 4000, per_pair, 40)
    fit = annotators_marginal(*data.arrays)
    assert fit.scale == "conditional"
    assert fit.side.low < SIDE < fit.side.high
    assert fit.side.high - fit.side.low < 0.2
    assert abs(fit.spread - 1.2) < 3 * fit.spread_error
    assert fit.converged
    assert fit.note == ""


def test_the_joint_fit_is_the_control() -> None:
    """One effect per pair: .80 without a ridge (twice .40), near .74 with a slight one."""
    data = draw(2, 10000, 2, 40)
    fit = annotators_marginal(*data.arrays)
    assert joint_side_bias(data, 0.0) == pytest.approx(2 * SIDE, abs=0.06)
    assert joint_side_bias(data, 0.01) == pytest.approx(0.74, abs=0.06)
    assert fit.side.high < 0.5
    three = draw(3, 10000, 3, 40)
    assert joint_side_bias(three, 0.0) == pytest.approx(1.5 * SIDE, abs=0.06)


def test_one_label_per_pair_is_the_plain_logistic_intercept() -> None:
    data = draw(0, 3000, 1, 30)
    fit = annotators_marginal(*data.arrays)
    share = np.mean(data.outcome == (data.side > 0))
    assert fit.scale == "marginal"
    assert fit.side.estimate == pytest.approx(np.log(share / (1 - share)))
    assert fit.first_share.estimate == pytest.approx(share)
    assert fit.side.error == pytest.approx(1 / np.sqrt(3000 * share * (1 - share)), rel=0.35)
    assert fit.spread == 0
    assert "one label per pair" in fit.note
    assert (fit.log_reliability == 0).all()
    assert (fit.log_reliability_errors == np.inf).all()


def test_likelihood_and_score_are_those_of_adaptive_quadrature() -> None:
    counts = np.array([[2, 0, 0, 1, 3, 1], [0, 0, 0, 0, 0, 2], [5, 9, 1, 0, 4, 4]], dtype=float)
    sides, outcomes = np.repeat([-1, 0, 1], 2), np.tile([0, 1], 3)

    def likelihood(row: NDArray[np.float64], log_spread: float, side: float) -> float:
        def product(x: float) -> float:
            p = 1 / (1 + np.exp(-(np.exp(log_spread) * x + side * sides)))
            return float(np.prod(np.where(outcomes, p, 1 - p) ** row) * np.exp(-x * x / 2) / np.sqrt(2 * np.pi))

        return float(np.log(quad(product, -8, 8, epsabs=0, epsrel=1e-12, limit=400)[0]))

    for spread, side in ((0.3, 0.1), (1.2, 0.4), (4.0, -0.7)):
        theta = np.array([np.log(spread), side])
        value, score, information = scores(counts, side, theta[0], 23)
        for i, row in enumerate(counts):
            assert value[i] == pytest.approx(likelihood(row, *theta), abs=1e-5)
            slope = approx_fprime(theta, lambda t, row=row: likelihood(row, *t), 1e-6)
            assert score[i] == pytest.approx(slope, abs=1e-4)
            curve = approx_fprime(
                theta, lambda t, i=i: scores(counts, t[1], float(t[0]), 23)[1][i], 1e-6
            )  # the information is that of the score
            assert information[i] == pytest.approx(-curve, abs=1e-3)


def small_model(per_pair: int = 3) -> tuple[Model, NDArray[np.float64]]:
    data = draw(7, 60, per_pair, 4, differ=0.4)
    checked = Labels(
        pair=data.pair,
        annotator=data.annotator,
        cluster=data.pair,
        outcome=data.outcome.astype(float),
        side=data.side.astype(float),
        pairs=60,
        annotators=4,
    )
    pooled = Pooled(
        side=0.4, spread=1.2, covariance=np.eye(2), log_likelihood=0.0, converged=True, at_bound=False
    )  # fmt: skip
    theta = np.concatenate([data.log_beta, data.gamma, [np.log(1.2)]])
    return Model(checked, pooled), theta


def test_annotators_gradient_and_information_are_those_of_finite_differences() -> None:
    model, theta = small_model()
    state = model.at(theta)
    assert model.score(state) == pytest.approx(approx_fprime(theta, lambda t: model.at(t).value, 1e-6), abs=1e-3)
    information, meat = model.information(theta, state)
    numeric = -approx_fprime(theta, lambda t: model.score(model.at(t)), 1e-6)
    assert information == pytest.approx(numeric, abs=1e-3)
    assert (np.linalg.eigvalsh(meat) > -1e-9).all()
    # Where the model holds, products of scores and information are alike, so errors are the plain ones.
    prior = Prior(side=0.4, reliability_spread=0.4, side_spread=0.4)
    k = 4
    plain = np.linalg.inv(information + np.diag(prior.precision(k)))
    centre = np.eye(2 * k)
    centre[:k, :k] -= 1 / k
    expected = np.sqrt(np.diag(centre @ plain[: 2 * k, : 2 * k] @ centre))
    assert _errors(information, information, prior) == pytest.approx(expected)


def test_annotators_that_differ_are_told_apart() -> None:
    data = draw(11, 3000, 4, 40, differ=0.5)
    fit = annotators_marginal(*data.arrays)
    truth = data.log_beta - data.log_beta.mean()
    assert fit.log_reliability.mean() == pytest.approx(0, abs=1e-9)
    assert np.sqrt(np.mean(((fit.log_reliability - truth) / fit.log_reliability_errors) ** 2)) == pytest.approx(
        1, abs=0.3
    )
    assert np.sqrt(np.mean(((fit.sides - data.gamma) / fit.sides_errors) ** 2)) == pytest.approx(1, abs=0.3)
    assert fit.reliability_spread == pytest.approx(np.std(truth), abs=0.15)
    assert fit.side_spread == pytest.approx(np.std(data.gamma), abs=0.12)
    alike = annotators_marginal(*draw(12, 1500, 4, 40).arrays)
    assert alike.side_spread < 0.15


def test_intervals_cover_where_annotators_differ() -> None:
    """A small version of bench/annotator_intervals.py, with the control: errors that ignore annotators do not cover."""
    design = DESIGNS[4]
    rng = np.random.default_rng(5)
    truth, covered, naive = side_truth(design, rng), [], []
    for _ in range(200):
        drawn = labels(design, people(design, rng), rng)
        pooled = fit_pooled(_checked(*drawn, design.annotators, None)[0])
        off = abs(pooled.side - truth)
        covered.append(off <= _quantile(0.95, design.annotators) * np.sqrt(pooled.covariance[1, 1]))
        naive.append(off <= 1.96 / np.sqrt(len(drawn[0]) * 0.2))
    assert 0.90 <= np.mean(covered) <= 0.99  # 200 simulations: two standard errors around .92 to .975
    assert np.mean(naive) < 0.85


def test_an_unknown_side_and_labels_that_agree_by_chance_are_said() -> None:
    rng = np.random.default_rng(0)
    pair, who = np.repeat(np.arange(500), 2), np.tile([0, 1], 500)
    nothing = np.zeros(1000, dtype=int)
    fit = annotators_marginal(pair, who, rng.integers(2, size=1000), nothing)
    assert "the side bias cannot be known" in fit.note
    assert fit.side.error == np.inf
    opposite = np.tile([0, 1], 500)
    fit = annotators_marginal(pair, who, opposite, rng.choice([-1, 1], size=1000))
    assert fit.spread == 0
    assert "no more than by chance" in fit.note
    same = np.repeat(rng.integers(2, size=500), 2)
    fit = annotators_marginal(pair, who, same, rng.choice([-1, 1], size=1000))
    assert "nearly always" in fit.note


def test_annotators_without_labels_and_a_lone_annotator() -> None:
    data = draw(1, 200, 2, 3)
    fit = annotators_marginal(*data.arrays, annotators=5)
    assert fit.labels[3:].tolist() == [0, 0]
    assert (fit.sides_errors[3:] == np.inf).all()
    lone = annotators_marginal(data.pair, np.zeros_like(data.pair), data.outcome, data.side)
    assert "one annotator" in lone.note
    assert np.isfinite(lone.side.error)


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="outcome: expected only 0, 1"):
        annotators_marginal([0], [0], [2], [1])
    with pytest.raises(ValueError, match="side: expected only"):
        annotators_marginal([0], [0], [1], [3])
    with pytest.raises(ValueError, match="no labels"):
        annotators_marginal(np.zeros(0, int), np.zeros(0, int), np.zeros(0, int), np.zeros(0, int))


def test_pooled_covariance_with_one_label_each_is_the_binomial_one() -> None:
    n = 1000
    won = np.arange(n) % 10 < 6
    checked = Labels(
        pair=np.arange(n),
        annotator=np.arange(n),
        cluster=np.arange(n),
        outcome=won.astype(float),
        side=np.ones(n),
        pairs=n,
        annotators=n,
    )
    pooled = fit_pooled(checked)
    assert pooled.side == pytest.approx(np.log(1.5))
    assert pooled.covariance[1, 1] == pytest.approx(1 / (n * 0.24), rel=0.01)
