"""HodgeRank: what of the votes a score explains, what goes round in threes, and what goes round in longer loops.

Jiang, Lim, Yao and Ye (2011), "Statistical ranking and combinatorial Hodge theory", Math. Program. 127:203.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from candor.audits.preferences.tournaments import Triads
from candor.preferences.table import FloatArray, IntArray

ITERATIONS, TOLERANCE = 2000, 1e-10


@dataclass(frozen=True, kw_only=True)
class Hodge:
    """Three flows that add up to the one given, (E, B), and are orthogonal under the weights.

    ``gradient``: differences of one score per item; ``curl``: what circulates in triads; ``harmonic``: what circulates
    in longer loops only. ``scores``: the score, (N, B), up to a constant per component.
    """

    gradient: FloatArray
    curl: FloatArray
    harmonic: FloatArray
    scores: FloatArray


def log_odds_flow(wins_a: IntArray, wins_b: IntArray) -> FloatArray:
    """Log odds that a beats b, each side with half a vote more (Haldane 1956; Jiang et al. 2011, sec. 2.2.1).

    Element by element.
    """
    return np.asarray(np.log((wins_a + 0.5) / (wins_b + 0.5)))


def hodge(a: IntArray, b: IntArray, items: int, triads: Triads, flow: FloatArray, weight: FloatArray) -> Hodge:
    """Returns the Hodge decomposition of ``flow``, preference of a over b on every edge, (E,) or (E, B).

    Least squares under ``weight``, (E,): first onto differences of scores, then onto W^-1 C' for the curl operator C of
    the triads (theorem 2 and eq. 16-17 of Jiang et al. 2011), both by conjugate gradients on sparse normal equations.
    """
    from scipy.sparse import csr_matrix

    flow = flow[:, None] if flow.ndim == 1 else flow
    count = len(a)
    ends, ones = np.arange(count), np.ones(count)
    gradient_of = csr_matrix(
        (np.concatenate([ones, -ones]), (np.concatenate([ends, ends]), np.concatenate([a, b]))), shape=(count, items)
    )
    normal = gradient_of.T @ gradient_of.multiply(weight[:, None]).tocsr()
    scores = _solve(normal, gradient_of.T @ (weight[:, None] * flow))
    gradient = gradient_of @ scores
    rest, curl = flow - gradient, np.zeros_like(flow)
    if len(triads):
        rows = np.tile(np.arange(len(triads)), 3)
        signs = np.repeat([1.0, 1.0, -1.0], len(triads))
        curl_of = csr_matrix((signs, (rows, triads.edges.T.ravel())), shape=(len(triads), count))
        adjoint = curl_of.T.multiply(1 / weight[:, None]).tocsr()
        curl = adjoint @ _solve((curl_of @ adjoint).tocsr(), curl_of @ rest)
    return Hodge(gradient=gradient, curl=curl, harmonic=rest - curl, scores=scores)


def shares(parts: Hodge, weight: FloatArray) -> FloatArray:
    """Returns shares of the weighted sum of squares: gradient, curl, harmonic, (3, B); NaN where there is no flow."""
    sums = np.stack([weight @ np.square(part) for part in (parts.gradient, parts.curl, parts.harmonic)])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums / sums.sum(axis=0))


def _solve(matrix: Any, right: FloatArray) -> FloatArray:
    """Conjugate gradients on every column at once, with the diagonal as preconditioner.

    The systems are singular (a score is known up to a constant) but consistent: any solution will do.
    """
    diagonal = matrix.diagonal()
    scale = np.where(diagonal > 0, 1 / np.where(diagonal > 0, diagonal, 1), 0)[:, None]
    solution, residual = np.zeros_like(right), right.copy()
    direction = scale * residual
    square = (residual * direction).sum(axis=0)
    enough = TOLERANCE**2 * np.maximum(square, np.finfo(float).tiny)
    for _ in range(ITERATIONS):
        if (square <= enough).all():
            break
        moved = matrix @ direction
        along = (direction * moved).sum(axis=0)
        step = np.where(along > 0, square / np.where(along > 0, along, 1), 0)
        solution += step * direction
        residual -= step * moved
        turned = scale * residual
        after = (residual * turned).sum(axis=0)
        direction = turned + np.where(square > 0, after / np.where(square > 0, square, 1), 0) * direction
        square = after
    return solution
