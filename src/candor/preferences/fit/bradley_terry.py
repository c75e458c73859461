"""Bradley-Terry scores of items from who beat whom: sparse, by Newton's method, with standard errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from candor.preferences.fit._newton import Information, maximise, solve, standard_errors
from candor.preferences.fit._numbers import (
    RIDGE,
    FloatArray,
    IntArray,
    case_weights,
    checked_ridge,
    indices,
    log_sigmoid,
    regularised_note,
    sigmoid,
    sums,
    win_graph,
)


@dataclass(frozen=True, kw_only=True)
class BradleyTerryFit:
    """Scores (P,) in logits, which sum to 0 over the items that are connected with each other, and their errors (P,).

    ``connected``: whether the win graph of all items is strongly connected, so that the scores of all items are finite
    and can be compared. ``components`` (P,) numbers the groups within which scores can be compared. ``note`` says in
    one sentence what was regularised or cannot be compared; it is empty otherwise. ``errors_accuracy`` is the typical
    relative error of ``errors`` themselves: 0 where they are exact. An item that was never compared has score 0 and
    error inf (with a ridge given: that of the prior). ``log_likelihood`` is without the ridge.
    """

    scores: FloatArray
    errors: FloatArray
    components: IntArray
    connected: bool
    ridge: float
    note: str
    converged: bool
    iterations: int
    log_likelihood: float
    errors_accuracy: float


@dataclass(frozen=True, kw_only=True)
class Edges:
    """Compared pairs of items, each once: ``first`` < ``second``, with weights of first's and of second's wins (E,)."""

    first: IntArray
    second: IntArray
    wins: FloatArray
    losses: FloatArray


def aggregate(winners: IntArray, losers: IntArray, weights: FloatArray, items: int) -> Edges:
    """Returns comparisons (N,) as the distinct pairs of items, in order of their numbers."""
    low, high = np.minimum(winners, losers), np.maximum(winners, losers)
    key, place = np.unique(low * items + high, return_inverse=True)
    won = weights * (winners == low)
    wins = sums(place, won, len(key))
    losses = sums(place, weights - won, len(key))
    return Edges(first=key // items, second=key % items, wins=wins, losses=losses)


def laplacian_information(
    first: IntArray, second: IntArray, items: int, groups: IntArray, ridge: FloatArray
) -> Callable[[FloatArray], Information]:
    """Returns a function from edge weights (E,) to their Laplacian plus diag(ridge): the information on scores."""
    from scipy.sparse import coo_array, csr_array

    edges = len(first)
    row, column = np.concatenate([first, second]), np.concatenate([second, first])
    order = np.lexsort((column, row))
    pointers = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=items))])
    inner = column[order].astype(np.int32)
    source = order % max(edges, 1)
    free = (np.bincount(groups)[groups] > 1).astype(float)

    def build(weight: FloatArray) -> Information:
        degree = np.bincount(first, weights=weight, minlength=items)
        degree += np.bincount(second, weights=weight, minlength=items)
        adjacency: Any = csr_array((weight[source], inner, pointers.astype(np.int32)), shape=(items, items))
        diagonal = degree + ridge

        def apply(x: FloatArray) -> FloatArray:
            scaled = diagonal[:, None] * x if x.ndim == 2 else diagonal * x
            return np.asarray(scaled - adjacency @ x)

        def sample(rng: np.random.Generator, count: int) -> FloatArray:
            root = np.sqrt(weight)
            drawn = np.sqrt(ridge)[:, None] * rng.standard_normal((items, count))
            for j in range(count):
                edge = np.where(rng.random(edges) < 0.5, root, -root)
                drawn[:, j] += np.bincount(first, weights=edge, minlength=items)
                drawn[:, j] -= np.bincount(second, weights=edge, minlength=items)
            return drawn

        def matrix() -> Any:
            index = np.arange(items)
            values = np.concatenate([-weight[source], diagonal])
            places = (np.concatenate([row[order], index]), np.concatenate([column[order], index]))
            return coo_array((values, places), shape=(items, items))

        return Information(apply=apply, sample=sample, matrix=matrix, diagonal=diagonal, groups=groups, free=free)

    return build


def bradley_terry(
    winners: ArrayLike,
    losers: ArrayLike,
    items: int,
    *,
    weights: ArrayLike | None = None,
    ridge: float | None = None,
    seed: int = 0,
) -> BradleyTerryFit:
    """Returns the scores that maximise sum_n w_n log sigma(s_winner(n) - s_loser(n)) (Bradley and Terry 1952).

    ``winners`` and ``losers`` (N,) are numbers of items, from 0 to ``items`` - 1; ``weights`` (N,) count a comparison
    more than once. Repeated pairs are added up first, and the order of rows does not matter. ``ridge`` subtracts ridge
    / 2 times the sum of squared scores; left out, it is 0.1 for items of components that are not strongly connected
    (no finite maximum exists there: Ford 1957) and 0 for all others. ``errors`` are square roots of the diagonal of
    the inverse of the observed information, ridge included and levels taken off: exact where up to 1,000 items are
    connected, otherwise estimated with random vectors from ``seed`` (``_newton.standard_errors``). They hold if
    comparisons are independent given the items.

    Raises ValueError for arrays that do not fit and for an item that is compared with itself.
    """
    won = indices("winners", winners, items)
    lost = indices("losers", losers, items, length=len(won))
    if (won == lost).any():
        raise ValueError(f"row {int(np.argmax(won == lost))}: item {int(won[np.argmax(won == lost)])} against itself")
    counts = case_weights(weights, len(won))
    used = counts > 0
    edges = aggregate(won[used], lost[used], counts[used], items)
    components, torn, number = win_graph(won[used], lost[used], items)
    given = checked_ridge(ridge)
    penalty = torn * RIDGE if given is None else np.full(items, given)

    first, second, total = edges.first, edges.second, edges.wins + edges.losses
    build = laplacian_information(first, second, items, components, penalty)

    def likelihood(scores: FloatArray) -> float:
        gap = scores[first] - scores[second]
        return float(total @ log_sigmoid(gap) - edges.losses @ gap)

    def value(scores: FloatArray) -> float:
        return likelihood(scores) - 0.5 * float(penalty @ scores**2)

    def slope(scores: FloatArray) -> tuple[Information, FloatArray]:
        p = sigmoid(scores[first] - scores[second])
        pull = edges.wins - total * p
        gradient = np.bincount(first, weights=pull, minlength=items) - np.bincount(
            second, weights=pull, minlength=items
        )
        return build(total * p * (1 - p)), gradient - penalty * scores

    best = maximise(np.zeros(items), value, lambda scores: solve(*slope(scores)))
    found = standard_errors(slope(best.parameters)[0], seed)
    unknown = (np.bincount(components)[components] == 1) & (penalty == 0)
    return BradleyTerryFit(
        scores=best.parameters,
        errors=np.where(unknown, np.inf, found.errors),
        components=components,
        connected=number == 1 and not torn.any(),
        ridge=float(penalty.max(initial=0.0)),
        note=regularised_note(torn, components, number, given, RIDGE if given is None else 0.0),
        converged=best.converged,
        iterations=best.iterations,
        log_likelihood=likelihood(best.parameters),
        errors_accuracy=found.accuracy,
    )
