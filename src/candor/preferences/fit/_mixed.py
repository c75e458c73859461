"""Labels of pairs whose quality gap is integrated out: likelihood, score and information on a grid of gaps.

A label is one of six kinds per annotator (side -1, 0 or 1, outcome 0 or 1), so the likelihood of all labels on a grid
of gaps is a small table, and every sum over labels is a sparse product with the counts of kinds per pair. That is what
makes a million labels cheap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from candor.preferences.fit._numbers import FloatArray, IntArray, log_sigmoid, sigmoid

KINDS = 6
SIDES = np.repeat([-1.0, 0.0, 1.0], 2)
OUTCOMES = np.tile([0.0, 1.0], 3)
_REACH = 4.8
"""The grid of standard normal gaps ends here: 1.6e-6 of the mass lies beyond."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Equally spaced standard normal gaps (Q,) and the logarithms of their weights (Q,), which sum to 1."""

    x: FloatArray
    log_weights: FloatArray


def grid(spread: float, labels: int) -> Grid:
    """Returns a grid fit for gaps of standard deviation ``spread`` and at most ``labels`` labels per pair.

    The trapezoidal rule on analytic functions that vanish at both ends converges geometrically in 1 / step (Trefethen
    and Weideman 2014, theorem 5.1), faster than Gauss-Hermite where the logistic function is steep against the normal.
    """
    step = min(0.6, 1.2 / max(spread, 1e-9)) / np.sqrt(max(1.0, labels / 4.0))
    half = min(int(np.ceil(_REACH / step)), 200)
    x = np.linspace(-_REACH, _REACH, 2 * half + 1)
    log_weights = -0.5 * x * x
    return Grid(x=x, log_weights=log_weights - np.log(np.exp(log_weights).sum()))


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """``weights`` (pairs, Q) of the gaps given each pair's labels, and the log-likelihood of each pair (pairs,)."""

    weights: FloatArray
    log_likelihoods: FloatArray


def posterior(counts: Any, table: FloatArray, log_weights: FloatArray) -> Posterior:
    """Returns the posterior of each pair's gap.

    ``counts`` (pairs, kinds) says how many labels of each kind a pair has, ``table`` (kinds, Q) their log-likelihoods.
    """
    joint = np.asarray(counts @ table) + log_weights
    top = joint.max(axis=1, keepdims=True)
    joint -= top
    np.exp(joint, out=joint)
    total = joint.sum(axis=1, keepdims=True)
    joint /= total
    return Posterior(weights=joint, log_likelihoods=(top + np.log(total))[:, 0])


@dataclass(frozen=True, kw_only=True)
class Kinds:
    """Per kind and gap (kinds, Q): log-likelihood, residual y - p, p (1 - p), and the part beta tau x of the logit."""

    table: FloatArray
    residual: FloatArray
    curvature: FloatArray
    gap: FloatArray
    side: FloatArray  # (kinds,)


def kinds_of(log_reliability: FloatArray, side: FloatArray, log_spread: float, x: FloatArray) -> Kinds:
    """Returns the tables for annotators (K,), 6 K kinds, of sigma(beta_k tau x + gamma_k side)."""
    gap = np.exp(log_reliability + log_spread)[:, None] * x
    sides = np.tile(SIDES, len(log_reliability))
    outcomes = np.tile(OUTCOMES, len(log_reliability))[:, None]
    gap = np.repeat(gap, KINDS, axis=0)
    eta = gap + np.repeat(side, KINDS)[:, None] * sides[:, None]
    p = sigmoid(eta)
    table = log_sigmoid(np.where(outcomes > 0, eta, -eta))
    return Kinds(table=table, residual=outcomes - p, curvature=p * (1 - p), gap=gap, side=sides)


def kind_numbers(annotator: IntArray, side: FloatArray, outcome: FloatArray) -> IntArray:
    """Returns the kind of each label (N,): six per annotator, by side and outcome."""
    return annotator * KINDS + (side.astype(np.int64) + 1) * 2 + outcome.astype(np.int64)
