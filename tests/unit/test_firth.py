"""Firth's regression against closed forms, an independent optimiser, and maximum likelihood."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq, minimize
from scipy.stats import chi2

from candor.audits.firth import firth_logistic, firth_profile, intercept_and, separated
from candor.audits.stats import FloatArray

X = np.arange(4.0)
DESIGN = intercept_and(X)
TRIALS = np.array([12.0, 9.0, 15.0, 10.0])
SEPARATED = np.array([0.0, 0.0, 15.0, 10.0])
MIXED = np.array([2.0, 3.0, 9.0, 8.0])


def penalised(coef: FloatArray, successes: FloatArray) -> float:
    p = 1 / (1 + np.exp(-DESIGN @ coef))
    information = sum(m * q * (1 - q) * np.outer(x, x) for m, q, x in zip(TRIALS, p, DESIGN, strict=True))
    likelihood = np.sum(successes * np.log(p) + (TRIALS - successes) * np.log(1 - p))
    return float(likelihood + 0.5 * np.log(np.linalg.det(information)))


def test_intercept_only_adds_half_to_each_side() -> None:
    fit = firth_logistic(np.ones((1, 1)), np.array([7.0]), np.array([9.0]))
    assert fit.coef[0] == pytest.approx(np.log(7.5 / 2.5))


def test_saturated_two_by_two_adds_half_to_each_cell() -> None:
    fit = firth_logistic(DESIGN[:2], np.array([0.0, 10.0]), np.array([10.0, 10.0]))
    logits = np.log(0.5 / 10.5), np.log(10.5 / 0.5)
    assert fit.coef == pytest.approx([logits[0], logits[1] - logits[0]])


@pytest.mark.parametrize("trials", [(1.0, 1.0), (3.0, 1.0)])
def test_few_trials_a_cell_have_a_fit_too(trials: tuple[float, float]) -> None:
    """A step that left out what the penalty adds would swing between two values for ever."""
    fit = firth_logistic(DESIGN[[0, 3]], np.zeros(2), np.array(trials))
    logits = [np.log(0.5 / (m + 0.5)) for m in trials]
    assert fit.coef == pytest.approx([logits[0], (logits[1] - logits[0]) / 3])


@pytest.mark.parametrize("successes", [MIXED, SEPARATED, np.zeros(4), TRIALS], ids=["mixed", "split", "none", "all"])
def test_fit_maximises_the_penalised_likelihood(successes: FloatArray) -> None:
    fit = firth_logistic(DESIGN, successes, TRIALS)
    best = minimize(
        lambda b: -penalised(b, successes),
        fit.coef + 0.3,
        method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-13},
    )
    assert fit.coef == pytest.approx(best.x, abs=1e-5)
    assert float(fit.log_likelihood) == pytest.approx(penalised(fit.coef, successes))


def test_plain_likelihood_is_another_fit() -> None:
    # Negative control: without the penalty the slope is larger, and under separation it runs away.
    def plain(b: FloatArray) -> float:
        eta = DESIGN @ b
        return float(-np.sum(MIXED * eta - TRIALS * np.logaddexp(0, eta)))

    unpenalised = minimize(plain, np.zeros(2)).x[1]
    assert unpenalised - firth_logistic(DESIGN, MIXED, TRIALS).coef[1] > 0.02
    assert np.isfinite(firth_logistic(DESIGN, SEPARATED, TRIALS).coef).all()


def test_grouped_equals_row_by_row_and_batched_equals_one_by_one() -> None:
    rows = np.repeat(DESIGN, TRIALS.astype(int), axis=0)
    outcomes = np.concatenate(
        [np.r_[np.ones(int(s)), np.zeros(int(m - s))] for s, m in zip(MIXED, TRIALS, strict=True)]
    )
    single = firth_logistic(rows, outcomes, np.ones(len(outcomes)))
    grouped = firth_logistic(DESIGN, MIXED, TRIALS)
    assert single.coef == pytest.approx(grouped.coef, abs=1e-8)
    assert single.covariance == pytest.approx(grouped.covariance, abs=1e-8)
    batch = firth_logistic(DESIGN, np.stack([MIXED, SEPARATED, TRIALS]), TRIALS)
    for coef, successes in zip(batch.coef, (MIXED, SEPARATED, TRIALS), strict=True):
        assert coef == pytest.approx(firth_logistic(DESIGN, successes, TRIALS).coef, abs=1e-7)


def test_one_level_has_no_slope() -> None:
    trials = np.array([5.0, 0.0, 0.0, 0.0])
    batch = firth_logistic(DESIGN, np.stack([trials * 0.4, MIXED]), np.stack([trials, TRIALS]))
    assert np.isnan(batch.coef[0]).all()
    assert batch.coef[1] == pytest.approx(firth_logistic(DESIGN, MIXED, TRIALS).coef)
    with pytest.raises(ValueError, match="no information"):
        firth_profile(DESIGN, trials * 0.4, trials, 1)


@pytest.mark.parametrize("successes", [MIXED, SEPARATED], ids=["mixed", "split"])
def test_profile_limits_are_where_the_likelihood_has_fallen(successes: FloatArray) -> None:
    interval = firth_profile(DESIGN, successes, TRIALS, 1)
    top = penalised(firth_logistic(DESIGN, successes, TRIALS).coef, successes)

    def fall(slope: float) -> float:
        def at(b: FloatArray) -> float:
            return -penalised(np.array([b[0], slope]), successes)

        return 2 * (top + minimize(at, [-slope * 1.5], method="Nelder-Mead").fun) - chi2.ppf(0.95, 1)

    for limit in (interval.low, interval.high):
        assert brentq(fall, limit - 0.3, limit + 0.3) == pytest.approx(limit, abs=1e-3)
    wald = firth_logistic(DESIGN, successes, TRIALS).wald(1)
    skewed = abs((interval.high - wald.high) - (wald.low - interval.low))
    assert (skewed > 0.5) == (successes is SEPARATED)  # Wald's is symmetric, hence wrong there


def test_interval_covers_a_planted_slope() -> None:
    rng = np.random.default_rng(4)
    p = 1 / (1 + np.exp(-(-1.0 + 0.7 * X)))
    draws = rng.binomial(25, p, size=(60, 4)).astype(float)
    limits = [firth_profile(DESIGN, s, np.full(4, 25.0), 1) for s in draws]
    assert 0.88 <= np.mean([i.low <= 0.7 <= i.high for i in limits]) <= 1.0
    many = rng.binomial(25, p, size=(2000, 4)).astype(float)
    slopes = firth_logistic(DESIGN, many, np.full(4, 25.0)).coef[:, 1]
    assert slopes.mean() == pytest.approx(0.7, abs=0.01)
    assert np.mean([i.low <= 0.0 <= i.high for i in limits]) < 0.1


def test_separation_is_recognised() -> None:
    assert separated(X, SEPARATED, TRIALS)
    assert separated(X, TRIALS, TRIALS)
    assert separated(X, np.array([0.0, 4.0, 15.0, 10.0]), TRIALS)  # one mixed level is still quasi-separated
    assert not separated(X, MIXED, TRIALS)
    assert not separated(X, np.array([1.0, 0.0, 15.0, 10.0]), TRIALS)
