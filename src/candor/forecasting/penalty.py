"""The smallest penalty on agreement that keeps optimisation from raising it, in KL the cheapest fix.

The reward is lowered by ``lambda * A(x, y)``, A = 1 where the reply agrees with a false belief. Under the tilt the odds
of agreement grow by ``m1 / m0``, m1 = E_ref[e^{r/beta} | A = 1] and m0 = E_ref[e^{r/beta} | A = 0] over ALL replies
that do not agree; ``lambda* = beta log(m1 / m0)`` undoes exactly that, and ``max{0, lambda*}`` only where it grew. What
comes back is the reference's level of agreement, no better.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logsumexp

from candor.forecasting.arrays import FloatArray, check_beta, log_probabilities, table


@dataclass(frozen=True, kw_only=True)
class Penalties:
    """lambda* of each prompt (P,), in units of the reward; of one prompt none depends on another.

    ``unclipped`` is nan, and ``clipped`` 0, where a prompt's replies all agree, none does, or agreement does not apply
    (nan): no penalty changes what is there. ``undefined`` counts the prompts of the first two kinds.
    """

    unclipped: FloatArray
    undefined: int

    @property
    def clipped(self) -> FloatArray:
        return np.maximum(np.nan_to_num(self.unclipped, nan=0.0), 0.0)


@dataclass(frozen=True, kw_only=True)
class GlobalPenalty:
    """One lambda for all prompts, and the mean agreement (0 to 1) over them: of the reference, without and with it."""

    value: float
    reference: float
    unpenalised: float
    penalised: float
    prompts: int


def prompt_penalties(
    rewards: ArrayLike, agreement: ArrayLike, beta: float, *, probabilities: ArrayLike | None = None
) -> Penalties:
    """lambda*(x) = beta log(m1 / m0) of each prompt, from m samples or an enumerated distribution.

    ``rewards`` and ``agreement`` are (P, m): agreement 1 where the reply agrees, 0 where not, nan throughout a prompt
    that it does not apply to (voiced no false belief). ``probabilities`` (P, m) are those of enumerated replies;
    without them every reply counts alike. Raises ValueError for other shapes or values. Source: Shapira, Benade and
    Procaccia 2026 (arXiv 2602.01002), with all replies that do not agree in m0.
    """
    odds = _odds(rewards, agreement, check_beta(beta), probabilities)
    with np.errstate(invalid="ignore"):
        moved = beta * (odds.tilted - odds.reference)  # the log-odds' growth is log(m1 / m0)
    return Penalties(unclipped=np.where(odds.mixed, moved, np.nan), undefined=int(np.sum(odds.applies & ~odds.mixed)))


def global_penalty(
    rewards: ArrayLike, agreement: ArrayLike, beta: float, *, probabilities: ArrayLike | None = None
) -> GlobalPenalty:
    """The one lambda >= 0 that brings mean agreement under the tilted policy back to the reference's, by root search.

    Arguments as in :func:`prompt_penalties`. It is 0 where agreement does not grow. Raises ValueError where agreement
    applies to no prompt.
    """
    odds = _odds(rewards, agreement, check_beta(beta), probabilities)
    if not odds.applies.any():
        raise ValueError("agreement applies to no prompt")
    before, after = odds.reference[odds.applies], odds.tilted[odds.applies]

    def agreeing(penalty: float) -> float:
        return float(expit(after - penalty / beta).mean())

    level = float(expit(before).mean())
    value = 0.0 if agreeing(0.0) <= level else _root(lambda penalty: agreeing(penalty) - level, scale=beta)
    return GlobalPenalty(
        value=value, reference=level, unpenalised=agreeing(0.0), penalised=agreeing(value), prompts=len(before)
    )


@dataclass(frozen=True)
class _Odds:
    """Log-odds of agreement (P,), in the reference and under the tilt: infinite where one side is empty."""

    reference: FloatArray
    tilted: FloatArray
    applies: np.ndarray

    @property
    def mixed(self) -> np.ndarray:
        return np.asarray(self.applies & np.isfinite(self.reference))


def _odds(rewards: ArrayLike, agreement: ArrayLike, beta: float, probabilities: ArrayLike | None) -> _Odds:
    scores, agrees = table(rewards, "rewards"), table(agreement, "agreement")
    if scores.shape != agrees.shape:
        raise ValueError(f"rewards are of shape {scores.shape}, agreement of shape {agrees.shape}")
    missing = np.isnan(agrees)
    applies = ~missing.any(axis=1)
    if np.any(missing.any(axis=1) != missing.all(axis=1)) or np.any(~missing & (agrees != 0) & (agrees != 1)):
        raise ValueError("agreement must be 0 or 1, or nan in all replies to a prompt")
    if not np.all(np.isfinite(scores)):
        raise ValueError("rewards must be finite")
    logp = log_probabilities(probabilities, scores.shape)

    def log_odds(weights: FloatArray) -> FloatArray:
        yes = logsumexp(np.where(agrees == 1, weights, -np.inf), axis=1)
        no = logsumexp(np.where(agrees == 0, weights, -np.inf), axis=1)
        with np.errstate(invalid="ignore"):
            return np.asarray(yes - no, dtype=np.float64)

    return _Odds(log_odds(logp), log_odds(logp + scores / beta), np.asarray(applies))


def _root(excess: Callable[[float], float], scale: float) -> float:
    """Where a decreasing function that starts above 0 crosses it, by bisection to the last digit."""
    low, high = 0.0, scale
    while excess(high) > 0:
        low, high = high, 2 * high
    while True:
        middle = (low + high) / 2
        if middle in (low, high):
            return high
        low, high = (middle, high) if excess(middle) > 0 else (low, middle)
