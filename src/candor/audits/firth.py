"""Firth's penalised logistic regression: finite slopes where a model agrees always, never, or above a threshold.

Maximises l(b) + log det I(b) / 2 (Firth 1993, Biometrika 80:27; Heinze & Schemper 2002, Stat. Med. 21:2409). Data are
grouped (successes out of trials per row of the design), which is exact for few distinct rows and lets one call fit a
whole bootstrap: successes and trials may carry leading batch dimensions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.stats import chi2

from candor.audits.stats import LEVEL, FloatArray, Interval, z_value

_MAX_STEP = 5.0  # as in logistf: a longer Newton step on a nearly flat likelihood overshoots
_ITERATIONS = 100
_TOLERANCE = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class FirthFit:
    """Coefficients (..., K), their covariance (..., K, K) and the penalised log-likelihood (...).

    NaN where the design has no information on a coefficient (one distinct row) or Newton's method did not converge.
    """

    coef: FloatArray
    covariance: FloatArray
    log_likelihood: FloatArray

    def wald(self, index: int, level: float = LEVEL) -> Interval:
        """Wald interval of one coefficient of an unbatched fit."""
        half = z_value(level) * float(np.sqrt(self.covariance[index, index]))
        return Interval(low=float(self.coef[index]) - half, high=float(self.coef[index]) + half, method="firth wald")


def intercept_and(x: FloatArray) -> FloatArray:
    """The design matrix (G, 2) of an intercept and one predictor."""
    return np.column_stack([np.ones_like(x), x])


def firth_logistic(
    design: FloatArray, successes: FloatArray, trials: FloatArray, *, fixed: tuple[int, float] | None = None
) -> FirthFit:
    """Fit of successes (..., G) out of trials (..., G) on design (G, K); ``fixed`` holds one coefficient at a value.

    Newton's method on the modified score X'(s - m p + h (1/2 - p)), h = m p (1 - p) x' I^-1 x (Firth 1993, eq. 3),
    with steps cut to 5 and halved while the penalised likelihood falls. The intercept-only fit is logit((s + 1/2) /
    (m + 1)); the saturated 2 x 2 fit adds 1/2 to every cell.
    """
    successes, trials = np.broadcast_arrays(np.asarray(successes, float), np.asarray(trials, float))
    columns = design.shape[1]
    free = [k for k in range(columns) if fixed is None or k != fixed[0]]
    coef = np.zeros((*trials.shape[:-1], columns))
    if fixed is not None:
        coef[..., fixed[0]] = fixed[1]
    usable = _full_rank(_information(design, trials, np.full(trials.shape, 0.5)))
    trials = np.where(usable[..., None], trials, 1.0)  # any invertible stand-in; the result is NaN below
    successes = np.where(usable[..., None], successes, 0.5)
    value = _penalised(design, successes, trials, coef)
    converged = np.zeros(trials.shape[:-1], dtype=bool)
    for _ in range(_ITERATIONS):
        step = np.zeros_like(coef)
        step[..., free] = _newton_step(design, successes, trials, coef, free)
        step *= np.minimum(1.0, _MAX_STEP / np.maximum(np.abs(step).max(axis=-1, keepdims=True), _TOLERANCE))
        for _ in range(10):
            proposed = _penalised(design, successes, trials, coef + step)
            worse = proposed < value - 1e-10
            if not worse.any():
                break
            step = np.where(worse[..., None], step / 2, step)
        coef, value = coef + step, _penalised(design, successes, trials, coef + step)
        converged = np.abs(step).max(axis=-1) < _TOLERANCE
        if converged.all():
            break
    good = converged & usable
    covariance = np.linalg.inv(_information(design, trials, _probability(design, coef)))
    return FirthFit(
        coef=np.where(good[..., None], coef, np.nan),
        covariance=np.where(good[..., None, None], covariance, np.nan),
        log_likelihood=np.where(good, value, np.nan),
    )


def firth_profile(
    design: FloatArray, successes: FloatArray, trials: FloatArray, index: int, level: float = LEVEL
) -> Interval:
    """Profile penalised-likelihood interval of one coefficient: where twice the fall in likelihood is chi2(1, level).

    The interval Heinze & Schemper recommend under separation, where Wald's is too symmetric. For independent
    observations. Raises ValueError where the fit is undefined.
    """
    fit = firth_logistic(design, successes, trials)
    centre, threshold = float(fit.coef[index]), float(chi2.ppf(level, 1)) / 2
    if not np.isfinite(centre):
        raise ValueError("the design has no information on this coefficient")

    def fall(value: float) -> float:
        held = firth_logistic(design, successes, trials, fixed=(index, value))
        return float(fit.log_likelihood - held.log_likelihood) - threshold

    width = 2 * z_value(level) * float(np.sqrt(fit.covariance[index, index]))
    low, high = (_crossing(fall, centre, sign * width) for sign in (-1.0, 1.0))
    return Interval(low=low, high=high, method="firth profile")


def separated(x: FloatArray, successes: FloatArray, trials: FloatArray) -> bool:
    """Whether one predictor separates the outcomes, wholly or but for one value, so that no finite ML slope exists."""
    yes, no = x[successes > 0], x[trials - successes > 1e-12]
    if not len(yes) or not len(no):
        return True
    return bool(no.max() <= yes.min() or yes.max() <= no.min())


def _crossing(fall: Callable[[float], float], centre: float, width: float) -> float:
    edge = centre + width
    for _ in range(20):
        if fall(edge) > 0:
            break
        width *= 1.5
        edge = centre + width
    return float(brentq(fall, *sorted((centre, edge)), xtol=1e-8))


def _probability(design: FloatArray, coef: FloatArray) -> FloatArray:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(coef @ design.T, -500, 500))), dtype=float)


def _information(design: FloatArray, trials: FloatArray, p: FloatArray) -> FloatArray:
    weight = trials * p * (1 - p)
    return np.asarray((design.T * weight[..., None, :]) @ design, dtype=float)


def _full_rank(information: FloatArray) -> FloatArray:
    scale = np.prod(np.diagonal(information, axis1=-2, axis2=-1), axis=-1)
    return np.asarray(np.linalg.det(information) > 1e-10 * np.maximum(scale, 1e-300))


def _newton_step(
    design: FloatArray, successes: FloatArray, trials: FloatArray, coef: FloatArray, free: list[int]
) -> FloatArray:
    p = _probability(design, coef)
    information = _information(design, trials, p)
    leverage = trials * p * (1 - p) * np.einsum("gk,...kl,gl->...g", design, np.linalg.inv(information), design)
    score = (successes - trials * p + leverage * (0.5 - p)) @ design
    # The penalty adds h / 2 to either outcome, and so h to the trials. Without them the step overshoots where trials
    # are few, and with one trial a cell it swings about the optimum for ever.
    block = _information(design, trials + leverage, p)[..., free, :][..., :, free]
    return np.asarray(np.linalg.solve(block, score[..., free, None])[..., 0], dtype=float)


def _penalised(design: FloatArray, successes: FloatArray, trials: FloatArray, coef: FloatArray) -> FloatArray:
    eta = np.clip(coef @ design.T, -500, 500)
    log_likelihood = np.sum(successes * eta - trials * np.logaddexp(0.0, eta), axis=-1)
    _, log_det = np.linalg.slogdet(_information(design, trials, _probability(design, coef)))
    return np.asarray(log_likelihood + log_det / 2, dtype=float)
