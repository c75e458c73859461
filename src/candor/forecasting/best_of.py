"""Best-of-n from m >= n samples: what the best of n replies would be like, over all ways to draw n of the m.

Sorted by reward, the sample of rank j is the best of a random subset of n with probability C(j - 1, n - 1) / C(m, n).
Equal rewards share: a level of reward held by ranks lo + 1 .. hi is the best with probability
``(C(hi, n) - C(lo, n)) / C(m, n)``, the finite counterpart of ``F^n - F_^n``. The estimate is unbiased (a U-statistic).
"""

from __future__ import annotations

import numpy as np
from scipy.special import gammaln

from candor.forecasting.arrays import FloatArray
from candor.forecasting.jackknife import pseudo_values


def best_of_weights(rewards: FloatArray, n: int) -> FloatArray:
    """The probability (P, m) that each sample is the best of n out of m, ties shared.

    Raises ValueError unless 1 <= n <= m.
    """
    return np.array([_Sorted(row).weights(n) for row in rewards])


def best_of_pseudo_values(rewards: FloatArray, values: FloatArray, n: int) -> FloatArray:
    """The pseudo-values (S, P, m) of the means of S statistics (S, P, m), and of the KL at place S.

    So there are S + 1 of them; the rows' means are the unbiased estimates (of the KL: corrected for bias). Raises
    ValueError unless 1 <= n < m.
    """
    prompts, m = rewards.shape
    if not 1 <= n < m:
        raise ValueError(f"best of {n} needs more than {n} samples per prompt for its error, there are {m}")
    found = np.empty((len(values) + 1, prompts, m))
    for p in range(prompts):
        found[:, p] = _Sorted(rewards[p]).pseudo_values(values[:, p], n)
    return found


def kl_bound(n: int) -> float:
    """What KL(best of n || reference) cannot exceed, nats: log n - (n - 1) / n, reached where no rewards are equal."""
    return float(np.log(n) - (n - 1) / n)


class _Sorted:
    """One prompt's samples by reward, with the ranks ``low`` + 1 .. ``high`` that their level of reward holds."""

    def __init__(self, rewards: FloatArray) -> None:
        self.order = np.argsort(rewards, kind="stable")
        ordered = rewards[self.order]
        self.low = np.searchsorted(ordered, ordered, side="left")
        self.high = np.searchsorted(ordered, ordered, side="right")

    def weights(self, n: int) -> FloatArray:
        m = len(self.order)
        if not 1 <= n <= m:
            raise ValueError(f"best of {n} needs at least {n} samples per prompt, there are {m}")
        chance = _chance(m, m, n)
        found = np.empty(m)
        found[self.order] = (chance[self.high] - chance[self.low]) / (self.high - self.low)
        return found

    def pseudo_values(self, values: FloatArray, n: int) -> FloatArray:
        """Of S statistics (S, m) and the KL, (S + 1, m): leaving out a sample shifts the ranks above it by one."""
        m, tied = len(self.order), self.high - self.low
        chance = _chance(m, m, n)
        whole = (chance[self.high] - chance[self.low]) / tied
        less = _chance(m, m - 1, n)
        above = (less[self.high - 1] - less[np.maximum(self.low - 1, 0)]) / tied  # a sample below is left out
        equal = (less[self.high - 1] - less[self.low]) / np.maximum(tied - 1, 1)  # one of the same level
        below = (less[np.minimum(self.high, m - 1)] - less[np.minimum(self.low, m - 1)]) / tied  # one above
        given = np.vstack([values[:, self.order], np.zeros((1, m))])
        totals, left_out = given @ whole, np.empty((len(given), m))
        left_out[:] = self._joined(given * below, given * equal, given * above, own=given * equal)
        totals[-1] = np.sum(_entropic(whole, m))
        inner = (_entropic(w, m - 1) for w in (below, equal, above))
        left_out[-1] = self._joined(*inner, own=_entropic(equal, m - 1))
        found = np.empty_like(left_out)
        found[:, self.order] = pseudo_values(totals, left_out)
        return found

    def _joined(self, below: FloatArray, equal: FloatArray, above: FloatArray, *, own: FloatArray) -> FloatArray:
        """The sums (..., m) that remain when a sample goes: those below it, beside it without itself, and above it."""

        def sums(values: FloatArray) -> FloatArray:
            return np.concatenate([np.zeros((*values.shape[:-1], 1)), np.cumsum(values, axis=-1)], axis=-1)

        under, same, over = sums(below), sums(equal), sums(above)
        beside = same[..., self.high] - same[..., self.low] - own
        return np.asarray(under[..., self.low] + beside + over[..., [-1]] - over[..., self.high], dtype=np.float64)


def _chance(ranks: int, m: int, n: int) -> FloatArray:
    """C(k, n) / C(m, n) for k = 0 .. ranks: that n draws of m all fall among k of them."""
    k = np.arange(ranks + 1, dtype=np.float64)
    inside = np.maximum(k, n)
    logs = gammaln(inside + 1) - gammaln(inside - n + 1) - gammaln(m + 1.0) + gammaln(m - n + 1.0)
    return np.asarray(np.where(k < n, 0.0, np.exp(logs)), dtype=np.float64)


def _entropic(weights: FloatArray, m: int) -> FloatArray:
    """What a sample of weight w adds to the KL from the m samples as they are: w log(m w), 0 where w is 0."""
    return np.asarray(np.where(weights > 0, weights * np.log(np.maximum(weights, 1e-300) * m), 0.0), dtype=np.float64)
