"""Each annotator's reliability and side bias, shrunk towards the population (empirical Bayes)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from candor.preferences.fit._mixed import KINDS, Grid, Kinds, Posterior, grid, kind_numbers, kinds_of, posterior
from candor.preferences.fit._numbers import FloatArray, IntArray
from candor.preferences.fit._pooled import Labels, Pooled

_ROUNDS = 60
_LEAST, _MOST = 0.02, 2.0
"""Limits of the standard deviations between annotators: below the first they are alike."""

_CHUNK = 100_000
"""So many pairs of labels at once: more would not fit the processor's cache, let alone the memory."""


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
class Prior:
    """Mean of the side biases, and standard deviations of log reliability and side bias between annotators."""

    side: float
    reliability_spread: float
    side_spread: float

    def precision(self, annotators: int) -> FloatArray:
        """Returns one over the variance of log beta_k, gamma_k and log tau: (2K + 1,)."""
        ones = np.ones(annotators)
        return np.concatenate([ones / self.reliability_spread**2, ones / self.side_spread**2, [0.0]])

    def centre(self, annotators: int) -> FloatArray:
        """Returns the means of log beta_k and gamma_k, and 0 for log tau, which has no prior: (2K + 1,)."""
        return np.concatenate([np.zeros(annotators), np.full(annotators, self.side), [0.0]])


@dataclass(frozen=True, kw_only=True)
class State:
    """The likelihood at one value of the parameters, for what is derived from it."""

    value: float
    kinds: Kinds
    found: Posterior
    expected: FloatArray  # how often each kind was given at each gap, expected (kinds, Q)


class Model:
    """The marginal likelihood of theta = (log beta, gamma, log tau), (2K + 1,).

    Where the spread of gaps is 0 it stays 0: all slopes in log beta and log tau are then 0, and all labels make one
    row.
    """

    def __init__(self, labels: Labels, pooled: Pooled) -> None:
        from scipy.sparse import csr_array

        self.annotators = labels.annotators
        self.gaps = pooled.spread > 0
        order = np.argsort(labels.pair, kind="stable")
        self.pair = labels.pair[order]
        self.kind = kind_numbers(labels.annotator, labels.side, labels.outcome)[order]
        shape = (labels.pairs, labels.annotators * KINDS)
        counts: Any = csr_array((np.ones(len(self.kind)), (self.pair, self.kind)), shape=shape)
        counts.sum_duplicates()
        self.counts = counts if self.gaps else csr_array(counts.sum(axis=0)[None, :])
        self.transposed = self.counts.T.tocsr()
        most = int(np.bincount(labels.pair).max())
        flat = Grid(x=np.zeros(1), log_weights=np.zeros(1))
        self.points = grid(2.0 * pooled.spread, most) if self.gaps else flat

    def at(self, theta: FloatArray) -> State:
        """The likelihood at theta, with all that its derivatives need."""
        k = self.annotators
        kinds = kinds_of(theta[:k], theta[k : 2 * k], theta[2 * k] if self.gaps else -np.inf, self.points.x)
        found = posterior(self.counts, kinds.table, self.points.log_weights)
        expected = np.asarray(self.transposed @ found.weights)
        return State(value=float(found.log_likelihoods.sum()), kinds=kinds, found=found, expected=expected)

    def score(self, state: State) -> FloatArray:
        """The gradient (2K + 1,), by Fisher's identity the expected gradient given the labels."""
        pull = state.expected * state.kinds.residual
        reliability, side = _per_annotator(pull * state.kinds.gap), _per_annotator(pull * state.kinds.side[:, None])
        return np.concatenate([reliability, side, [reliability.sum()]])

    def information(self, theta: FloatArray, state: State) -> tuple[FloatArray, FloatArray]:
        """Observed information (2K + 1, 2K + 1) by Louis (1982), and the sum of outer products of the pairs' scores."""
        complete = self._complete(state)
        if not self.gaps:
            return complete, complete  # labels are independent
        scores = self._pair_scores(state)
        meat = np.asarray((scores.T @ scores).todense())
        return complete - self._second_moments(theta, state) + meat, meat

    def _complete(self, state: State) -> FloatArray:
        """Expected information of labels whose gaps were known (2K + 1, 2K + 1)."""
        k, kinds = self.annotators, state.kinds
        held, pull = state.expected * kinds.curvature, state.expected * kinds.residual
        gap = _per_annotator(held * kinds.gap**2 - pull * kinds.gap)
        cross = _per_annotator(held * kinds.gap * kinds.side[:, None])
        side = _per_annotator(held * kinds.side[:, None] ** 2)
        full = np.zeros((2 * k + 1, 2 * k + 1))
        index = np.arange(k)
        full[index, index], full[k + index, k + index] = gap, side
        full[index, k + index] = full[k + index, index] = cross
        full[:k, -1] = full[-1, :k] = gap
        full[k : 2 * k, -1] = full[-1, k : 2 * k] = cross
        full[-1, -1] = gap.sum()
        return full

    def _second_moments(self, theta: FloatArray, state: State) -> FloatArray:
        """Sum over pairs of E[S S'] given the labels, S the score of labels whose gap is known (2K + 1, 2K + 1)."""
        k, x = self.annotators, self.points.x
        powers = np.stack([np.ones_like(x), x, x * x], axis=1)
        slope = np.exp(theta[:k] + theta[2 * k])  # of a label's logit in x
        out = np.zeros((2 * k, 2 * k))
        for one, two in self._label_pairs():
            a, b = self.kind[one], self.kind[two]
            product = state.found.weights[self.pair[one]]
            product = product * state.kinds.residual[a]
            product *= state.kinds.residual[b]
            moments = product @ powers
            who, other = a // KINDS, b // KINDS
            here, there = state.kinds.side[a], state.kinds.side[b]
            blocks = (
                (who, other, slope[who] * slope[other] * moments[:, 2]),
                (who, k + other, slope[who] * there * moments[:, 1]),
                (k + who, other, here * slope[other] * moments[:, 1]),
                (k + who, k + other, here * there * moments[:, 0]),
            )
            for row, column, value in blocks:
                np.add.at(out.reshape(-1), row * (2 * k) + column, np.where(one == two, 0.5, 1.0) * value)
        out += out.T  # each two labels came once, a label with itself half
        full = np.zeros((2 * k + 1, 2 * k + 1))
        full[: 2 * k, : 2 * k] = out
        full[: 2 * k, -1] = full[-1, : 2 * k] = out[:k].sum(axis=0)
        full[-1, -1] = out[:k, :k].sum()
        return full

    def _label_pairs(self) -> Iterator[tuple[IntArray, IntArray]]:
        """Every label with itself and with each later label of its pair, in chunks."""
        one, distance = np.arange(len(self.pair)), 0
        while len(one):
            for begin in range(0, len(one), _CHUNK):
                yield one[begin : begin + _CHUNK], one[begin : begin + _CHUNK] + distance
            distance += 1
            one = one[one + distance < len(self.pair)]
            one = one[self.pair[one] == self.pair[one + distance]]

    def _pair_scores(self, state: State) -> Any:
        """The score of each pair, sparse (pairs, 2K + 1): posterior means of what each label adds."""
        from scipy.sparse import csr_array

        k, kinds = self.annotators, state.kinds
        gap, side = np.empty(len(self.pair)), np.empty(len(self.pair))
        pulled = kinds.residual * kinds.gap
        for begin in range(0, len(self.pair), _CHUNK):
            part = slice(begin, begin + _CHUNK)
            weights, kind = state.found.weights[self.pair[part]], self.kind[part]
            gap[part] = np.einsum("nq,nq->n", weights, pulled[kind])
            side[part] = np.einsum("nq,nq->n", weights, kinds.residual[kind]) * kinds.side[kind]
        who = self.kind // KINDS
        column = np.concatenate([who, k + who, np.full(len(who), 2 * k)])
        values, row = np.concatenate([gap, side, gap]), np.tile(self.pair, 3)
        return csr_array((values, (row, column)), shape=(int(self.pair[-1]) + 1, 2 * k + 1))


def _per_annotator(values: FloatArray) -> FloatArray:
    return np.asarray(values.sum(axis=1).reshape(-1, KINDS).sum(axis=1))


def fit_hierarchy(labels: Labels, pooled: Pooled) -> Hierarchy:
    """Returns the annotators' values that maximise the penalised marginal likelihood, with errors.

    Newton's method; after every step the standard deviations between annotators are re-estimated by MacKay's fixed
    point (1992, "Bayesian interpolation", section 4): the sum of squares over the number of values that the labels
    tell.
    """
    model, k = Model(labels, pooled), labels.annotators
    prior = Prior(side=pooled.side, reliability_spread=0.3, side_spread=0.3)
    theta = np.concatenate([np.zeros(k), np.full(k, pooled.side), [np.log(pooled.spread) if model.gaps else 0.0]])
    state = model.at(theta)
    converged = False
    for _ in range(_ROUNDS):
        information, meat = model.information(theta, state)
        step = _step(information, prior, model.score(state), theta)
        theta, state = _uphill(model, prior, theta, state, step)
        renewed = _renewed(information, theta, prior)
        moved = max(
            float(np.abs(step).max()),
            abs(renewed.reliability_spread - prior.reliability_spread),
            abs(renewed.side_spread - prior.side_spread),
        )
        prior = renewed
        if moved < 1e-3:
            converged = True
            break
    errors = _errors(information, meat, prior)
    return Hierarchy(
        log_reliability=theta[:k] - theta[:k].mean(),
        log_reliability_errors=errors[:k] if model.gaps else np.full(k, np.inf),
        sides=theta[k : 2 * k],
        sides_errors=errors[k : 2 * k],
        reliability_spread=prior.reliability_spread if prior.reliability_spread > 1.01 * _LEAST and model.gaps else 0.0,
        side_spread=prior.side_spread if prior.side_spread > 1.01 * _LEAST else 0.0,
        converged=converged,
    )


def _step(information: FloatArray, prior: Prior, score: FloatArray, theta: FloatArray) -> FloatArray:
    """Newton's step, uphill also where the likelihood curves the wrong way, and no value by more than 1."""
    k = len(theta) // 2
    precision = prior.precision(k)
    slope = score - precision * (theta - prior.centre(k))
    size, axes = np.linalg.eigh(information + np.diag(precision))
    step = axes @ ((axes.T @ slope) / np.maximum(np.abs(size), 1e-6))
    return np.asarray(step * min(1.0, 1.0 / max(float(np.abs(step).max()), 1e-12)))


def _uphill(model: Model, prior: Prior, theta: FloatArray, state: State, step: FloatArray) -> tuple[FloatArray, State]:
    precision, centre = prior.precision(model.annotators), prior.centre(model.annotators)

    def penalty(at: FloatArray) -> float:
        return 0.5 * float(precision @ (at - centre) ** 2)

    reached = state.value - penalty(theta)
    for _ in range(10):
        tried = theta + step
        found = model.at(tried)
        if found.value - penalty(tried) >= reached - 1e-9 * abs(reached):
            return tried, found
        step = step / 2
    return theta, state


def _renewed(information: FloatArray, theta: FloatArray, prior: Prior) -> Prior:
    k = len(theta) // 2
    if k == 1:
        return Prior(side=float(theta[1]), reliability_spread=prior.reliability_spread, side_spread=prior.side_spread)
    precision = prior.precision(k)
    variance = np.diagonal(np.linalg.pinv(information + np.diag(precision), hermitian=True))
    told = np.clip(1.0 - variance * precision, 1e-9, 1.0)[: 2 * k]
    b, g = theta[:k] - theta[:k].mean(), theta[k : 2 * k]
    side = float(np.average(g, weights=told[k:]))

    def spread(values: FloatArray, known: FloatArray) -> float:
        degrees = float(known.sum()) * (k - 1) / k  # the mean takes one
        return float(np.clip(np.sqrt(values @ values / degrees), _LEAST, _MOST))

    return Prior(side=side, reliability_spread=spread(b, told[:k]), side_spread=spread(g - side, told[k:]))


def _errors(information: FloatArray, meat: FloatArray, prior: Prior) -> FloatArray:
    """Root mean square errors of the shrunken values (2K,): of H^-1 (M + P) H^-1, H the information with the prior's.

    M is the sum of outer products of the pairs' scores, which stays right where the model is wrong, and P the prior's
    precision; where the model holds M + P = H. The mean of log beta, a convention, is taken off.
    """
    k = len(information) // 2
    precision = np.diag(prior.precision(k))
    bread = np.linalg.pinv(information + precision, hermitian=True)
    covariance = (bread @ (meat + precision) @ bread)[: 2 * k, : 2 * k]
    level = np.eye(2 * k)
    level[:k, :k] -= 1.0 / k
    return np.sqrt(np.maximum(np.einsum("ij,ij->i", level @ covariance, level), 0.0))
