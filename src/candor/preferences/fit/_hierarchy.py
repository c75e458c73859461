"""Each annotator's reliability and side bias, shrunk towards the population (empirical Bayes)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from candor.preferences.fit._mixed import KINDS, Grid, Kinds, Posterior, grid, kind_numbers, kinds_of, posterior
from candor.preferences.fit._numbers import FloatArray
from candor.preferences.fit._pooled import Labels, Pooled

_ROUNDS = 20
_LEAST, _MOST = 0.02, 2.0
"""Limits of the standard deviations between annotators: below the first they are alike."""


@dataclass(frozen=True, kw_only=True)
class Hierarchy:
    """Annotators' values (K,) with errors, and the standard deviations between annotators."""

    log_reliability: FloatArray
    log_reliability_errors: FloatArray
    sides: FloatArray
    sides_errors: FloatArray
    reliability_spread: float
    side_spread: float
    converged: bool


@dataclass(frozen=True, kw_only=True)
class _Prior:
    side: float
    reliability_spread: float
    side_spread: float

    def precision(self, annotators: int) -> FloatArray:
        """Of log beta_k, gamma_k and log tau (2K + 1,)."""
        ones = np.ones(annotators)
        return np.concatenate([ones / self.reliability_spread**2, ones / self.side_spread**2, [0.0]])


class _Model:
    """The marginal likelihood of (log beta, gamma, log tau) (2K + 1,); ``gaps`` False where tau is 0 and stays so."""

    def __init__(self, labels: Labels, pooled: Pooled) -> None:
        from scipy.sparse import csr_array

        self.annotators = labels.annotators
        self.gaps = pooled.spread > 0
        kind = kind_numbers(labels.annotator, labels.side, labels.outcome)
        shape = (labels.pairs, labels.annotators * KINDS)
        self.counts: Any = csr_array((np.ones(len(kind)), (labels.pair, kind)), shape=shape)
        self.counts.sum_duplicates()
        if not self.gaps:  # pairs do not matter: one row holds everything
            self.counts = csr_array(self.counts.sum(axis=0)[None, :])
        self.transposed = self.counts.T.tocsr()
        most = int(np.bincount(labels.pair).max())
        widest = pooled.spread * 2.0 if self.gaps else 0.0
        points = grid(widest, most)
        self.points = points if self.gaps else Grid(x=np.zeros(1), log_weights=np.zeros(1))

    def at(self, theta: FloatArray) -> tuple[Kinds, Posterior]:
        k = self.annotators
        kinds = kinds_of(theta[:k], theta[k : 2 * k], theta[2 * k] if self.gaps else -np.inf, self.points.x)
        return kinds, posterior(self.counts, kinds.table, self.points.log_weights)

    def expected(self, found: Posterior) -> FloatArray:
        """How often each kind was given at each gap, expected (kinds, Q)."""
        return np.asarray(self.transposed @ found.weights)

    def gradient(self, kinds: Kinds, expected: FloatArray) -> FloatArray:
        pull = expected * kinds.residual
        reliability = (pull * kinds.gap).sum(axis=1).reshape(-1, KINDS).sum(axis=1)
        side = (pull.sum(axis=1) * kinds.side).reshape(-1, KINDS).sum(axis=1)
        return np.concatenate([reliability, side, [reliability.sum()]])

    def complete_diagonal(self, kinds: Kinds, expected: FloatArray) -> FloatArray:
        """Diagonal of the expected information of labels whose gaps were known (2K + 1,): the scale of each value."""
        held = expected * kinds.curvature
        reliability = (held * kinds.gap**2).sum(axis=1).reshape(-1, KINDS).sum(axis=1)
        side = (held.sum(axis=1) * kinds.side**2).reshape(-1, KINDS).sum(axis=1)
        return np.concatenate([reliability, side, [reliability.sum()]])

    def information(self, kinds: Kinds, found: Posterior) -> tuple[FloatArray, FloatArray]:
        """Observed information (2K + 1, 2K + 1) by Louis (1982), and the sum of outer products of the pairs' scores."""
        k = self.annotators
        scores = self._pair_scores(kinds, found)
        meat = np.asarray((scores.T @ scores).todense())
        second = np.zeros((2 * k + 1, 2 * k + 1))
        for q in range(len(self.points.x)):
            weighted = self.counts.multiply(found.weights[:, q : q + 1]).tocsr()
            both = np.asarray((self.transposed @ weighted).todense())
            parts = [kinds.residual[:, q] * kinds.gap[:, q], kinds.residual[:, q] * kinds.side]
            second[: 2 * k, : 2 * k] += _collapsed(both, parts)
        second[: 2 * k, 2 * k] = second[: 2 * k, :k].sum(axis=1)
        second[2 * k, : 2 * k] = second[: 2 * k, 2 * k]
        second[2 * k, 2 * k] = second[:k, :k].sum()
        return self._complete(kinds, self.expected(found)) - second + meat, meat

    def _complete(self, kinds: Kinds, expected: FloatArray) -> FloatArray:
        k = self.annotators
        held, pull = expected * kinds.curvature, expected * kinds.residual

        def per(values: FloatArray) -> FloatArray:
            return np.asarray(values.sum(axis=1).reshape(-1, KINDS).sum(axis=1))

        gap2 = per(held * kinds.gap**2 - pull * kinds.gap)
        cross = per(held * kinds.gap * kinds.side[:, None])
        side2 = per(held * kinds.side[:, None] ** 2)
        full = np.zeros((2 * k + 1, 2 * k + 1))
        index = np.arange(k)
        full[index, index], full[k + index, k + index] = gap2, side2
        full[index, k + index] = full[k + index, index] = cross
        full[:k, -1] = full[-1, :k] = gap2
        full[k : 2 * k, -1] = full[-1, k : 2 * k] = cross
        full[-1, -1] = gap2.sum()
        return full

    def _pair_scores(self, kinds: Kinds, found: Posterior) -> Any:
        """The score of each pair, sparse (pairs, 2K + 1): posterior means of what each label adds."""
        from scipy.sparse import coo_array

        k = self.annotators
        entries = self.counts.tocoo()
        row, kind = entries.coords
        weights = found.weights[row] * entries.data[:, None]
        gap = np.einsum("nq,nq->n", weights, (kinds.residual * kinds.gap)[kind])
        side = np.einsum("nq,nq->n", weights, kinds.residual[kind]) * kinds.side[kind]
        who = kind // KINDS
        column = np.concatenate([who, k + who, np.full(len(who), 2 * k)])
        values, rows = np.concatenate([gap, side, gap]), np.concatenate([row, row, row])
        return coo_array((values, (rows, column)), shape=(self.counts.shape[0], 2 * k + 1)).tocsr()


def _collapsed(both: FloatArray, parts: list[FloatArray]) -> FloatArray:
    """Sums over the six kinds of each annotator: (2K, 2K) from (6K, 6K) and two factors per kind."""
    k = len(both) // KINDS
    out = np.empty((2 * k, 2 * k))
    for a, left in enumerate(parts):
        for b, right in enumerate(parts):
            scaled = (left[:, None] * both * right).reshape(k, KINDS, k, KINDS).sum(axis=(1, 3))
            out[a * k : (a + 1) * k, b * k : (b + 1) * k] = scaled
    return out


def fit_hierarchy(labels: Labels, pooled: Pooled) -> Hierarchy:
    """Returns the annotators' values that maximise the penalised marginal likelihood.

    The variances between annotators are re-estimated after every fit as the mean of squared values plus their posterior
    variances (Laplace; MacKay 1992), until they settle.
    """
    model, k = _Model(labels, pooled), labels.annotators
    prior = _Prior(side=pooled.side, reliability_spread=0.3, side_spread=0.3)
    theta = np.concatenate([np.zeros(k), np.full(k, pooled.side), [np.log(pooled.spread) if model.gaps else 0.0]])
    settled = False
    for _ in range(_ROUNDS):
        theta, arrived = _climb(model, theta, prior)
        renewed = _renewed(model, theta, prior)
        change = max(
            abs(renewed.reliability_spread - prior.reliability_spread),
            abs(renewed.side_spread - prior.side_spread),
            abs(renewed.side - prior.side),
        )
        prior = renewed
        if change < 0.003 and arrived:
            settled = True
            break
    theta, arrived = _climb(model, theta, prior)
    errors = _errors(model, theta, prior)
    return Hierarchy(
        log_reliability=theta[:k] - theta[:k].mean(),
        log_reliability_errors=errors[:k] if model.gaps else np.full(k, np.inf),
        sides=theta[k : 2 * k],
        sides_errors=errors[k : 2 * k],
        reliability_spread=prior.reliability_spread if prior.reliability_spread > 1.01 * _LEAST and model.gaps else 0.0,
        side_spread=prior.side_spread if prior.side_spread > 1.01 * _LEAST else 0.0,
        converged=arrived and (settled or k == 1),
    )


def _centre(k: int, prior: _Prior) -> FloatArray:
    return np.concatenate([np.zeros(k), np.full(k, prior.side), [0.0]])


def _climb(model: _Model, start: FloatArray, prior: _Prior) -> tuple[FloatArray, bool]:
    """By L-BFGS, every value on the scale of its expected error."""
    from scipy.optimize import minimize

    k = model.annotators
    precision, centre = prior.precision(k), _centre(k, prior)
    kinds, found = model.at(start)
    scale = 1.0 / np.sqrt(np.maximum(model.complete_diagonal(kinds, model.expected(found)) + precision, 1e-6))

    def objective(z: FloatArray) -> tuple[float, FloatArray]:
        theta = start + scale * z
        kinds, found = model.at(theta)
        away = theta - centre
        value = float(found.log_likelihoods.sum()) if model.gaps else float(found.log_likelihoods[0])
        slope = model.gradient(kinds, model.expected(found)) - precision * away
        if not model.gaps:
            slope[:k], slope[-1] = -precision[:k] * away[:k], 0.0
        return -(value - 0.5 * float(precision @ away**2)), -slope * scale

    best = minimize(objective, np.zeros(2 * k + 1), jac=True, method="L-BFGS-B", options={"gtol": 1e-3, "ftol": 1e-12})
    return start + scale * best.x, bool(np.abs(best.jac).max() < 0.05)


def _renewed(model: _Model, theta: FloatArray, prior: _Prior) -> _Prior:
    """Variances between annotators by MacKay's fixed point: sum of squares over the number of values that data tell.

    That number is the sum of 1 - posterior variance / prior variance; the level of each kind of value takes one away.
    """
    k = model.annotators
    kinds, found = model.at(theta)
    precision = prior.precision(k)[: 2 * k]
    variance = 1.0 / (np.maximum(_observed_diagonal(model, kinds, found), 0.0) + precision)
    told = 1.0 - variance * precision
    b, g = theta[:k] - theta[:k].mean(), theta[k : 2 * k]
    side = float(np.average(g, weights=np.maximum(told[k:], 1e-9)))

    def spread(values: FloatArray, known: FloatArray) -> float:
        return float(np.clip(np.sqrt(values @ values / max(float(known.sum()) * (k - 1) / k, 1e-9)), _LEAST, _MOST))

    if k == 1:
        return prior
    return _Prior(side=side, reliability_spread=spread(b, told[:k]), side_spread=spread(g - side, told[k:]))


def _observed_diagonal(model: _Model, kinds: Kinds, found: Posterior) -> FloatArray:
    """Diagonal of the observed information on log beta and gamma (2K,), labels of one annotator on one pair apart."""
    entries = model.counts.tocoo()
    row, kind = entries.coords
    weights = found.weights[row]
    missing = []
    for table in (kinds.residual * kinds.gap, kinds.residual * kinds.side[:, None]):
        values = table[kind]
        mean = np.einsum("nq,nq->n", weights, values)
        spread = np.einsum("nq,nq,nq->n", weights, values, values) - mean**2
        missing.append(np.bincount(kind // KINDS, weights=spread * entries.data, minlength=model.annotators))
    complete = np.diagonal(model._complete(kinds, model.expected(found)))[: 2 * model.annotators]
    return np.asarray(complete - np.concatenate(missing))


def _errors(model: _Model, theta: FloatArray, prior: _Prior) -> FloatArray:
    """Root mean square errors of the shrunken values (2K,): H^-1 (M + P) H^-1, robust in M and P from the prior.

    M is the sum of outer products of the pairs' scores and P the prior's precision; where the model holds M + P = H.
    The levels of log beta (a convention) are taken off.
    """
    k = model.annotators
    kinds, found = model.at(theta)
    precision = prior.precision(k)
    information, meat = model.information(kinds, found)
    if not model.gaps:
        meat = np.diag(model.complete_diagonal(kinds, model.expected(found)))
        information[:k], information[:, :k], information[-1], information[:, -1] = 0, 0, 0, 0
        meat[:k], meat[:, :k], meat[-1], meat[:, -1] = 0, 0, 0, 0
    bread = np.linalg.pinv(information + np.diag(precision), hermitian=True)
    covariance = bread @ (meat + np.diag(precision)) @ bread
    level = np.eye(2 * k)
    level[:k, :k] -= 1.0 / k
    return np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", level, covariance[: 2 * k, : 2 * k], level, optimize=True), 0.0))
