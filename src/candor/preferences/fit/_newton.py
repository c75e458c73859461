"""Newton steps and standard errors for many parameters and a sparse information matrix.

The matrix is never inverted as a whole above ``DENSE`` parameters. Steps come from conjugate gradients; variances come
from random vectors whose covariance is the inverse, Rao-Blackwellised (Siden, Lindgren, Bolin and Villani 2018,
"Efficient covariance approximations for large sparse precision matrices", the simple estimator), which leaves an error
of the order of one over the number of comparisons per item, and measures it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from candor.preferences.fit._numbers import FloatArray, IntArray, centred, sums

DENSE = 1000
"""Up to so many connected parameters the inverse is exact."""

ACCURACY = 0.01
"""Random vectors are added until the typical standard error is known this well, relative to itself."""

_PROBES = 8
_MOST_PROBES = 256
_CG_STEPS = 400


@dataclass(frozen=True, kw_only=True)
class Information:
    """A positive semidefinite matrix H (P, P), known by what it does.

    ``apply`` gives H X for X (P, m). ``sample`` draws (P, m) with covariance H. ``matrix`` builds H as a sparse array.
    ``groups`` (P,) names connected parts. ``free`` (P,) is 1 in parts whose values sum to 0, else 0: the constant
    vector of such a part is an eigenvector of H, whatever its eigenvalue, and plays no role.
    """

    apply: Callable[[FloatArray], FloatArray]
    sample: Callable[[np.random.Generator, int], FloatArray]
    matrix: Callable[[], Any]
    diagonal: FloatArray
    groups: IntArray
    free: FloatArray

    def project(self, x: FloatArray) -> FloatArray:
        """Returns x (P, m) or (P,) with the mean taken off in every part whose level is free."""
        if not self.free.any():
            return x
        moved = centred(x, self.groups)
        free = self.free.astype(bool)
        return moved if free.all() else np.where(free if x.ndim == 1 else free[:, None], moved, x)


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Standard errors (P,), and how far they are off, relative to themselves: 0 where they are exact."""

    errors: FloatArray
    accuracy: float


def solve(info: Information, rhs: FloatArray, tolerance: float = 1e-3) -> FloatArray:
    """Returns X with H X = rhs, both (P,) or (P, m), by conjugate gradients with a diagonal preconditioner.

    Where those do not arrive within 400 steps (chains of comparisons), by sparse factorisation. ``tolerance`` is
    relative, in the norm of H; the default is for Newton's steps, whose error the next step takes off.
    """
    columns = rhs if rhs.ndim == 2 else rhs[:, None]
    found, arrived = _conjugate_gradients(info, info.project(columns), tolerance)
    if not arrived:
        found = _factorised(info, info.project(columns))
    return found if rhs.ndim == 2 else found[:, 0]


def _conjugate_gradients(info: Information, rhs: FloatArray, tolerance: float) -> tuple[FloatArray, bool]:
    scale = 1.0 / np.maximum(info.diagonal, 1e-300)[:, None]
    x = np.zeros_like(rhs)
    residual = rhs.copy()
    z = info.project(scale * residual)
    direction = z.copy()
    rho = np.einsum("ij,ij->j", residual, z)
    goal = rho * tolerance**2
    for _ in range(_CG_STEPS):
        if np.all(rho <= goal):
            return x, True
        moved = info.apply(direction)
        curvature = np.einsum("ij,ij->j", direction, moved)
        alpha = np.divide(rho, curvature, out=np.zeros_like(rho), where=curvature > 0)
        x += alpha * direction
        residual -= alpha * moved
        z = info.project(scale * residual)
        fresh = np.einsum("ij,ij->j", residual, z)
        direction = z + np.divide(fresh, rho, out=np.zeros_like(rho), where=rho > 0) * direction
        rho = fresh
    return x, bool(np.all(rho <= goal))


def _factorised(info: Information, rhs: FloatArray) -> FloatArray:
    """By sparse LU of H, with one parameter of every free part held at 0 and the level restored afterwards."""
    from scipy.sparse import csc_array, diags_array
    from scipy.sparse.linalg import splu

    _, first = np.unique(info.groups, return_index=True)
    held = first[info.free[first] > 0]
    keep = np.ones(len(info.groups))
    keep[held] = 0.0
    matrix = diags_array(keep) @ info.matrix() @ diags_array(keep) + diags_array(1.0 - keep)
    factors = splu(csc_array(matrix), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0)
    return info.project(np.asarray(factors.solve(rhs * keep[:, None])))


def standard_errors(info: Information, seed: int) -> Errors:
    """Returns the square roots of the diagonal of the inverse of H, levels taken off: the errors of sum-to-zero scores.

    Exact in connected parts of up to 1,000 parameters; above, from 8 random vectors at a time (at most 256) until the
    root mean square of the relative errors is below 1%. A parameter that nothing informs has error inf.
    """
    sizes = np.bincount(info.groups)
    small = sizes[info.groups] <= DENSE
    errors = np.zeros(len(info.groups))
    if small.any():
        errors[small] = _exact(info, small)
    accuracy = 0.0
    if not small.all():
        errors_large, accuracy = _sampled(info, seed)
        errors[~small] = errors_large[~small]
    errors[info.diagonal <= 0] = np.inf
    return Errors(errors=errors, accuracy=accuracy)


def _exact(info: Information, wanted: np.ndarray[Any, Any]) -> FloatArray:
    """Square roots of the diagonals of the inverses of all small parts: one stack of matrices for each size."""
    matrix = info.matrix().tocoo()
    row, column, value = (np.asarray(part) for part in (*matrix.coords, matrix.data))
    sizes = np.bincount(info.groups)
    order = np.argsort(info.groups, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    place[order] = np.arange(len(order)) - starts[info.groups[order]]
    variance = np.zeros(len(info.groups))
    entry_size = sizes[info.groups[row]]
    for size in np.unique(sizes[info.groups[wanted]]):
        names = np.flatnonzero(sizes == size)
        chosen = np.flatnonzero(entry_size == size)
        step = max(1, int(8e6) // int(size) ** 2)
        rank = np.full(len(sizes), -1)
        rank[names] = np.arange(len(names))
        entry_rank = rank[info.groups[row[chosen]]]
        for begin in range(0, len(names), step):
            count = min(step, len(names) - begin)
            use = chosen[(entry_rank >= begin) & (entry_rank < begin + count)]
            flat = ((rank[info.groups[row[use]]] - begin) * size + place[row[use]]) * size + place[column[use]]
            block = sums(flat, value[use], int(count * size * size)).reshape(count, size, size)
            members = order[starts[names[begin : begin + count], None] + np.arange(size)]
            variance[members] = _inverse_diagonals(block, info.free[members[:, 0]])
    return np.sqrt(np.maximum(variance[wanted], 0.0))


def _inverse_diagonals(block: FloatArray, free: FloatArray) -> FloatArray:
    """Diagonals (B, k) of the inverses of (B, k, k), with rows and columns centred where the level is free."""
    size = block.shape[-1]
    level = np.maximum(np.trace(block, axis1=1, axis2=2) / size, 1e-300)
    filled = block + (free * level / size)[:, None, None]  # makes it invertible; the level is taken off below
    dead = np.trace(block, axis1=1, axis2=2) <= 0
    filled[dead] = np.eye(size)
    inverse = np.linalg.inv(filled)
    rows = inverse.mean(axis=2)
    return np.einsum("bii->bi", inverse) - free[:, None] * (2 * rows - rows.mean(axis=1, keepdims=True))


def _sampled(info: Information, seed: int) -> tuple[FloatArray, float]:
    found = sampled_errors(info, seed, lambda x: x, np.ones(len(info.groups)))
    return found.errors, found.accuracy


def sampled_errors(
    info: Information, seed: int, convention: Callable[[FloatArray], FloatArray], own: FloatArray
) -> Errors:
    """Returns errors (P,) of ``convention`` (x), x with covariance H^-1, and their typical relative error.

    ``convention`` is linear and maps (P, m) to (P, m); ``own`` (P,) is how much of each value it leaves in place.
    """
    rng = np.random.default_rng(seed)
    diagonal = np.maximum(info.diagonal, 1e-300)
    sizes = np.bincount(info.groups)[info.groups]
    base = own**2 * (1.0 - 2.0 * info.free / sizes) / diagonal
    total, square, drawn = np.zeros(len(diagonal)), np.zeros(len(diagonal)), 0
    while True:
        b = info.project(info.sample(rng, _PROBES))
        rest = (convention(solve(info, b, tolerance=1e-4)) - (own / diagonal)[:, None] * b) ** 2
        total += rest.sum(axis=1)
        square += (rest**2).sum(axis=1)
        drawn += _PROBES
        mean = total / drawn
        variance = np.maximum(base + mean, 1e-300)
        noise = np.sqrt(np.maximum(square / drawn - mean**2, 0.0) / (drawn - 1))
        accuracy = float(np.sqrt(np.mean((noise / (2 * variance)) ** 2)))
        if accuracy < ACCURACY or drawn >= _MOST_PROBES:
            return Errors(errors=np.sqrt(variance), accuracy=accuracy)


@dataclass(frozen=True, kw_only=True)
class Optimum:
    """Where Newton's method ended: the parameters (P,), the objective there, and whether the last step was tiny."""

    parameters: FloatArray
    value: float
    converged: bool
    iterations: int


def maximise(
    start: FloatArray,
    value: Callable[[FloatArray], float],
    step_at: Callable[[FloatArray], FloatArray],
    *,
    iterations: int = 100,
    tolerance: float = 1e-6,
    longest: float = np.inf,
    enough: float = 0.0,
) -> Optimum:
    """Newton's method (or Fisher scoring, by what ``step_at`` gives), steps cut to ``longest`` and halved on the way.

    ``value`` gives the objective, ``step_at`` the full step (P,). Returns the optimum; it has converged where the last
    full step moves no parameter by more than ``tolerance`` (of the largest, where that is above 1), or gains less than
    ``enough``: a gain of e of a log-likelihood is a distance of sqrt(2 e) standard errors.
    """
    x, reached = start, value(start)
    for iteration in range(iterations):
        step = step_at(x)
        size = float(np.abs(step).max(initial=0.0))
        if size > longest:
            step = step * (longest / size)
        gain, proposed = 1.0, reached
        for _ in range(30):
            proposed = value(x + gain * step)
            if proposed >= reached - 1e-12 * abs(reached):
                break
            gain /= 2
        else:
            return Optimum(parameters=x, value=reached, converged=size < 1e-4, iterations=iteration)
        gained, x, reached = proposed - reached, x + gain * step, proposed
        if gain == 1.0 and gained < enough:
            return Optimum(parameters=x, value=reached, converged=True, iterations=iteration + 1)
        largest = float(np.abs(x[np.isfinite(x)]).max(initial=0.0))  # a parameter held at -inf takes no part
        if gain == 1.0 and size < tolerance * max(1.0, largest):
            return Optimum(parameters=x, value=reached, converged=True, iterations=iteration + 1)
    return Optimum(parameters=x, value=reached, converged=False, iterations=iterations)
