"""The policy that optimisation comes to, pi*(y|x) ∝ pi_ref(y|x) exp(r(x, y) / beta), seen through samples of pi_ref.

Each sample counts with the self-normalised weight ``w_i = e^{r_i / beta} / sum_j e^{r_j / beta}``; then E*[g] is
``sum w_i g_i`` and KL(pi* || pi_ref) is ``sum w_i log(m w_i)``, both corrected by the jackknife.
Source: Ziegler 2019 for the optimum; Shapira, Benade and Procaccia 2026 (arXiv 2602.01002) for the drift.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from candor.forecasting.arrays import FloatArray, check_beta
from candor.forecasting.jackknife import pseudo_values


@dataclass(frozen=True)
class Tilt:
    """Samples' weights under the tilt. ``shares`` (P, m) are e^{r/beta} up to a factor per prompt, the largest 1."""

    shares: FloatArray
    exponents: FloatArray  # log of the shares, (r - max r) / beta

    @classmethod
    def of(cls, rewards: FloatArray, beta: float) -> Tilt:
        """The tilt of m samples per prompt. Raises ValueError unless beta is positive."""
        exponents = (rewards - rewards.max(axis=1, keepdims=True)) / check_beta(beta)
        return cls(np.exp(exponents), exponents)

    @property
    def weights(self) -> FloatArray:
        """(P, m), each prompt's sum to 1."""
        return np.asarray(self.shares / self.shares.sum(axis=1, keepdims=True), dtype=np.float64)

    @property
    def effective(self) -> FloatArray:
        """Kish's effective sample size (P,): 1 / sum w^2, from 1 to m."""
        return np.asarray(1 / np.sum(self.weights**2, axis=1), dtype=np.float64)

    def statistic(self, values: FloatArray) -> FloatArray:
        """The pseudo-values (P, m) of E*[g], from g of each sample (P, m)."""
        top, total = np.sum(self.shares * values, axis=1), self.shares.sum(axis=1)
        rest = self._rest(total)
        return pseudo_values(top / total, (top[:, None] - self.shares * values) / rest)

    def divergence(self) -> FloatArray:
        """The pseudo-values (P, m) of KL(pi* || pi_ref), nats: E*[r / beta] - log E_ref[e^{r / beta}]."""
        m = self.shares.shape[1]
        scaled = self.shares * self.exponents
        top, total = scaled.sum(axis=1), self.shares.sum(axis=1)
        rest = self._rest(total)
        left_out = (top[:, None] - scaled) / rest - np.log(rest / (m - 1))
        return pseudo_values(top / total - np.log(total / m), left_out)

    def plain_divergence(self) -> float:
        """The mean KL without correction, which never rises with beta: what a root search needs."""
        total = self.shares.sum(axis=1)
        inner = np.sum(self.shares * self.exponents, axis=1) / total - np.log(total / self.shares.shape[1])
        return float(inner.mean())

    def _rest(self, total: FloatArray) -> FloatArray:
        """The sums without sample i (P, m); never 0, though the others' weights may all vanish beside one."""
        return np.maximum(total[:, None] - self.shares, np.finfo(np.float64).tiny)
