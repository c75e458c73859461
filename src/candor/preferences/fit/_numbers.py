"""What every fit needs: checked arrays, stable logistic functions, and the statement of what was regularised."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

RIDGE = 0.1
"""The default ridge where no finite maximum exists: a Gaussian prior of standard deviation 3.2 on every score."""


def sigmoid(x: FloatArray) -> FloatArray:
    """Returns 1 / (1 + exp(-x)), element by element and without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def log_sigmoid(x: FloatArray) -> FloatArray:
    """Returns log(1 / (1 + exp(-x))), element by element and without overflow."""
    return np.minimum(x, 0.0) - np.log1p(np.exp(-np.abs(x)))


def sums(place: IntArray, values: FloatArray, count: int) -> FloatArray:
    """Returns the sums of ``values`` (N,) by ``place`` (N,), of shape (count,): floats also where N is 0."""
    return np.bincount(place, weights=values, minlength=count).astype(np.float64, copy=False)


def indices(name: str, values: ArrayLike, below: int | None = None, length: int | None = None) -> IntArray:
    """Returns ``values`` as integers of shape (N,).

    Raises ValueError where they are not whole numbers from 0 to ``below`` - 1, or not ``length`` of them.
    """
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
        raise ValueError(f"{name}: expected a one-dimensional array of integers, got {array.dtype} {array.shape}")
    if length is not None and len(array) != length:
        raise ValueError(f"{name}: expected {length} values, got {len(array)}")
    if array.size and (array.min() < 0 or (below is not None and array.max() >= below)):
        raise ValueError(f"{name}: expected values from 0 to {below - 1 if below is not None else 'any'}")
    return array.astype(np.int64, copy=False)


def one_of(name: str, values: ArrayLike, allowed: tuple[int, ...], length: int) -> FloatArray:
    """Returns ``values`` (N,) as numbers. Raises ValueError where one is not ``allowed`` or the length differs."""
    array = np.asarray(values)
    if array.shape != (length,):
        raise ValueError(f"{name}: expected shape ({length},), got {array.shape}")
    if not np.isin(array, allowed).all():
        raise ValueError(f"{name}: expected only {', '.join(map(str, allowed))}")
    return array.astype(np.float64)


def case_weights(values: ArrayLike | None, length: int) -> FloatArray:
    """Returns how often each row counts, (N,): 1 where nothing is given. Raises ValueError for negative weights."""
    if values is None:
        return np.ones(length)
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (length,) or not np.isfinite(array).all() or (array < 0).any():
        raise ValueError(f"weights: expected {length} finite numbers, none negative")
    return array


def checked_ridge(ridge: float | None) -> float | None:
    """Returns the ridge that was asked for. Raises ValueError where it is negative or not finite."""
    if ridge is not None and not 0 <= ridge < np.inf:
        raise ValueError(f"ridge: expected a number from 0 on, got {ridge}")
    return ridge


def centred(values: FloatArray, groups: IntArray) -> FloatArray:
    """Returns ``values`` (P,) or (P, m) less their mean within each group (P,)."""
    counts = np.bincount(groups)
    if values.ndim == 1:
        return values - (np.bincount(groups, weights=values) / counts)[groups]
    if len(counts) == 1:
        return values - values.mean(axis=0)
    order = np.argsort(groups, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    means = np.add.reduceat(values[order], starts, axis=0) / counts[:, None]
    return values - means[groups]


def win_graph(winners: IntArray, losers: IntArray, items: int) -> tuple[IntArray, FloatArray, int]:
    """Which items can be compared at all, and whose scores are finite without help.

    Returns, for a graph with an edge from each winner to each loser: the weakly connected component of each item (P,),
    1 for items of components that are not strongly connected, else 0 (P,), and the number of components. A finite
    maximum of the likelihood needs every component strongly connected (Ford 1957; Hunter 2004, Assumption 1).
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    graph: Any = csr_array((np.ones(len(winners), dtype=np.int8), (winners, losers)), shape=(items, items))
    count, weak = connected_components(graph, directed=True, connection="weak")
    _, strong = connected_components(graph, directed=True, connection="strong")
    first = np.full(count, -1, dtype=np.int64)
    first[weak[::-1]] = strong[::-1]  # any one strong label of each component
    torn = np.zeros(count)
    torn[weak[first[weak] != strong]] = 1.0
    return weak.astype(np.int64), torn[weak], int(count)


def regularised_note(torn: FloatArray, components: IntArray, count: int, ridge: float | None, used: float) -> str:
    """One sentence on what the data cannot say by themselves; empty where they can."""
    parts = []
    if ridge:
        parts.append(f"regularised: a ridge of {ridge:g} on every score was asked for")
    elif used and torn.any():
        whole = "some items only ever won or only ever lost against the others"
        share = f"{int(torn.sum()):,} of {len(torn):,} items"
        parts.append(f"regularised: {whole}, so a ridge of {used:g} keeps the scores of {share} finite")
    elif torn.any():
        parts.append("not regularised although some items only ever won or only ever lost: their scores are not finite")
    groups = count - int((np.bincount(components) == 1).sum())
    alone = count - groups
    if groups > 1:
        parts.append(f"{groups:,} groups of items were never compared with each other, and each has its own zero")
    if alone and len(components) > 1:
        parts.append(f"{alone:,} items were never compared")
    return "; ".join(parts)
