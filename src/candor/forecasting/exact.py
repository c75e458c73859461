"""The same where every reply and its probability is known: no samples, no error.

``probabilities`` are those of the reference (P, R), prompts by replies, each prompt's summing to 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import softmax, xlogy

from candor.forecasting.arrays import FloatArray, check_beta, log_probabilities, table


def optimum(probabilities: ArrayLike, rewards: ArrayLike, beta: float) -> FloatArray:
    """The policy (P, R) that maximises E[r] - beta KL: ``pi* ∝ pi_ref e^{r / beta}``."""
    scores = table(rewards, "rewards")
    return np.asarray(softmax(log_probabilities(probabilities, scores.shape) + scores / check_beta(beta), axis=1))


def best_of(probabilities: ArrayLike, rewards: ArrayLike, n: int) -> FloatArray:
    """The distribution (P, R) of the best of n independent replies; replies of equal reward share by probability.

    Raises ValueError for n < 1.
    """
    scores = table(rewards, "rewards")
    reference = np.exp(log_probabilities(probabilities, scores.shape))
    if n < 1:
        raise ValueError(f"best of {n}: n must be 1 or more")
    found = np.empty_like(reference)
    for p, row in enumerate(scores):
        levels, level = np.unique(row, return_inverse=True)
        mass = np.bincount(level, weights=reference[p], minlength=len(levels))
        upto = np.cumsum(mass)
        won = upto**n - (upto - mass) ** n
        found[p] = reference[p] * np.divide(won, mass, out=np.zeros_like(won), where=mass > 0)[level]
    return found


def mean(probabilities: FloatArray, statistic: ArrayLike) -> FloatArray:
    """E[g] (P,) of a statistic (P, R)."""
    return np.asarray(np.sum(probabilities * table(statistic, "statistic"), axis=1))


def divergence(probabilities: FloatArray, reference: ArrayLike) -> FloatArray:
    """KL(probabilities || reference) (P,), nats."""
    return np.asarray(np.sum(xlogy(probabilities, probabilities) - xlogy(probabilities, table(reference, "p")), axis=1))
