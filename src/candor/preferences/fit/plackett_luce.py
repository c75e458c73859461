"""Plackett-Luce scores of items from rankings of any length, with ties: sparse, by Newton's method, with errors.

A ranking is a sequence of choices: the best of all, then the best of what is left (Plackett 1975; Luce 1959). All
choices of all rankings are the rows of one sparse matrix, so that likelihood, gradient and information are sparse
products.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import comb
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
    regularised_note,
    sums,
    win_graph,
)

EXACT_TIES = 8
"""Ties of up to so many items are averaged over all orders; longer ones by Efron's approximation."""


@dataclass(frozen=True, kw_only=True)
class PlackettLuceFit:
    """Scores (P,) in logits with errors (P,); every field means what it means in ``BradleyTerryFit``."""

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
class _Choices:
    """Choices as rows of ``members`` (T, P), each counted ``weights`` (T,) times; ``chosen`` (P,) counts winners."""

    members: Any
    weights: FloatArray
    chosen: FloatArray


def plackett_luce(
    offsets: ArrayLike,
    ranked: ArrayLike,
    items: int,
    *,
    groups: ArrayLike | None = None,
    open_end: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    ridge: float | None = None,
    seed: int = 0,
) -> PlackettLuceFit:
    """Returns the scores that maximise the Plackett-Luce likelihood of rankings of any length.

    Ranking r is ``ranked[offsets[r]:offsets[r + 1]]``, numbers of items, best first; ``offsets`` (R + 1,) starts with
    0. ``groups`` (N,) numbers places: entries of one ranking with the same number are tied, and the numbers never fall
    within a ranking. The log-likelihood of a tie is the mean over all orders of the tied items, so a tie of two counts
    half a win for each; ties of more than 8 items by Efron's approximation (1977, JASA 72:557). ``open_end`` (R,) is
    True where the last group was not compared within itself (the best of K was named and nothing else): it then says
    nothing, instead of a tie. ``weights`` (R,), ``ridge``, ``seed`` and the errors are as in ``bradley_terry``, with
    which rankings of two agree.

    Raises ValueError for arrays that do not fit, an item twice in a ranking, and a ranking of fewer than two items.
    """
    start, entry = _checked(offsets, ranked, items)
    length = np.diff(start)
    place = _places(groups, start)
    ends = np.zeros(len(length), dtype=bool) if open_end is None else np.asarray(open_end, dtype=bool)
    if ends.shape != length.shape:
        raise ValueError(f"open_end: expected shape {length.shape}, got {ends.shape}")
    counts = case_weights(weights, len(length))
    given = checked_ridge(ridge)

    winners, losers = _beats(start, entry, place, ends, counts > 0)
    components, torn, number = win_graph(winners, losers, items)
    penalty = torn * RIDGE if given is None else np.full(items, given)
    choices = _choices(start, entry, place, ends, counts, items)
    likelihood, slope = _objective(choices, components, penalty)

    def value(scores: FloatArray) -> float:
        return likelihood(scores) - 0.5 * float(penalty @ scores**2)

    best = maximise(np.zeros(items), value, lambda scores: solve(*slope(scores)))
    found = standard_errors(slope(best.parameters)[0], seed)
    unknown = (np.bincount(components, minlength=1)[components] == 1) & (penalty == 0)
    return PlackettLuceFit(
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


def _checked(offsets: ArrayLike, ranked: ArrayLike, items: int) -> tuple[IntArray, IntArray]:
    entry = indices("ranked", ranked, items)
    start = indices("offsets", offsets, len(entry) + 1)
    if len(start) < 1 or start[0] != 0 or start[-1] != len(entry) or (np.diff(start) < 2).any():
        raise ValueError("offsets: expected 0, ..., the number of entries, and at least two items in every ranking")
    key = np.sort(np.repeat(np.arange(len(start) - 1), np.diff(start)) * items + entry)
    if (key[1:] == key[:-1]).any():
        raise ValueError("ranked: an item stands twice in one ranking")
    return start, entry


def _places(groups: ArrayLike | None, start: IntArray) -> IntArray:
    """Places of entries within their ranking, 0 for the best, equal for ties (N,)."""
    total = int(start[-1])
    number = np.arange(total) if groups is None else indices("groups", groups, length=total)
    rising = np.diff(number, prepend=0)
    rising[start[:-1]] = 0
    if (rising < 0).any():
        raise ValueError("groups: expected numbers that never fall within a ranking")
    steps = np.cumsum(rising > 0)
    return np.asarray(steps - np.repeat(steps[start[:-1]], np.diff(start)), dtype=np.int64)


def _beats(
    start: IntArray, entry: IntArray, place: IntArray, ends: np.ndarray[Any, Any], used: np.ndarray[Any, Any]
) -> tuple[IntArray, IntArray]:
    """Edges that carry who is above whom: each entry with the next, both ways in a tie, and each group with the next.

    Between two groups one edge each from and to the group's first entry suffices, since ties connect a group both ways;
    an open end is reached from the group above it, entry by entry.
    """
    ranking = np.repeat(np.arange(len(start) - 1), np.diff(start))
    last = place[start[1:] - 1][ranking]
    opened = ends[ranking] & (place == last)
    follows = np.flatnonzero((ranking[1:] == ranking[:-1]) & used[ranking[1:]])
    tied = place[follows + 1] == place[follows]
    silent = tied & opened[follows]
    down, both = follows[~silent], follows[tied & ~silent]
    first_of_group = np.arange(len(entry))
    same = np.concatenate([[False], (ranking[1:] == ranking[:-1]) & (place[1:] == place[:-1])])
    first_of_group = np.maximum.accumulate(np.where(same, 0, first_of_group))
    open_rows = np.flatnonzero(opened & used[ranking] & (first_of_group > start[ranking]))
    above = first_of_group[open_rows] - 1
    winners = np.concatenate([entry[down], entry[both + 1], entry[above]])
    losers = np.concatenate([entry[down + 1], entry[both], entry[open_rows]])
    return winners, losers


def _choices(
    start: IntArray,
    entry: IntArray,
    place: IntArray,
    ends: np.ndarray[Any, Any],
    counts: FloatArray,
    items: int,
) -> _Choices:
    """All choices of all rankings, one template for each pattern of ties and length."""
    from scipy.sparse import csr_array

    chosen = np.zeros(items)
    rows: list[IntArray] = []
    columns: list[IntArray] = []
    parts: list[FloatArray] = []
    weights: list[FloatArray] = []
    done = 0
    for which, sizes, opened in _patterns(start, place, ends):
        table = entry[start[which][:, None] + np.arange(sum(sizes))]  # (rankings, K)
        row, position, part, weight = _template(sizes, opened)
        stages, count = len(weight), len(which)
        rows.append((done + row[None, :] + stages * np.arange(count)[:, None]).ravel())
        columns.append(table[:, position].ravel())
        parts.append(np.tile(part, count))
        weights.append((counts[which][:, None] * weight).ravel())
        closed = sum(sizes[:-1]) if opened else sum(sizes)
        np.add.at(chosen, table[:, :closed], counts[which][:, None])
        done += stages * count
    if not done:
        return _Choices(members=csr_array((0, items)), weights=np.zeros(0), chosen=chosen)
    places = (np.concatenate(rows), np.concatenate(columns))
    members: Any = csr_array((np.concatenate(parts), places), shape=(done, items))
    return _Choices(members=members, weights=np.concatenate(weights), chosen=chosen)


def _patterns(
    start: IntArray, place: IntArray, ends: np.ndarray[Any, Any]
) -> list[tuple[IntArray, tuple[int, ...], bool]]:
    """Rankings (numbers) with the same sizes of tied groups and the same kind of end."""
    length = np.diff(start)
    untied = place[start[1:] - 1] == length - 1
    found: dict[tuple[tuple[int, ...], bool], list[int]] = {}
    out = []
    for size in np.unique(length[untied]):
        out.append((np.flatnonzero(untied & (length == size)), (1,) * int(size), False))
    for r in np.flatnonzero(~untied):
        sizes = tuple(int(n) for n in np.bincount(place[start[r] : start[r + 1]]))
        found.setdefault((sizes, bool(ends[r])), []).append(int(r))
    return out + [(np.asarray(which), sizes, opened) for (sizes, opened), which in found.items()]


def _template(sizes: tuple[int, ...], opened: bool) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Choices of one pattern: row, position within the ranking, part of the item's weight; and each row's weight.

    For a tied group G with R below it, the mean over orders of sum log(R + what is left of G) is the mean over the
    subsets of every size.
    """
    found: list[tuple[list[int], list[int], float, float]] = []  # tied ones left, those below, part of the tied, weight
    begin, total = 0, sum(sizes)
    for g, size in enumerate(sizes):
        group, below = list(range(begin, begin + size)), list(range(begin + size, total))
        begin += size
        if opened and g == len(sizes) - 1:
            continue
        for left in range(size, 0, -1):
            if size > EXACT_TIES:
                found.append((group, below, left / size, 1.0))
                continue
            for subset in combinations(group, left):
                found.append((list(subset), below, 1.0, 1.0 / comb(size, left)))
    row, position, part, weight = [], [], [], []
    for number, (tied, below, share, times) in enumerate(found):
        row += [number] * (len(tied) + len(below))
        position += tied + below
        part += [share] * len(tied) + [1.0] * len(below)
        weight.append(times)
    return np.array(row, dtype=np.int64), np.array(position, dtype=np.int64), np.array(part), np.array(weight)


def _objective(choices: _Choices, groups: IntArray, ridge: FloatArray) -> tuple[Any, Any]:
    """Log-likelihood of scores (P,), and gradient with information; both free of overflow up to gaps of 700 logits."""
    from scipy.sparse import diags_array

    members, weights, chosen = choices.members, choices.weights, choices.chosen
    transposed = members.T.tocsr()
    squared_parts = transposed.copy()
    squared_parts.data = squared_parts.data**2
    free = (np.bincount(groups, minlength=1)[groups] > 1).astype(float)

    def shares(scores: FloatArray) -> tuple[FloatArray, FloatArray, float]:
        top = float(scores.max(initial=0.0))
        strength = np.exp(np.maximum(scores - top, -700.0))
        return strength, np.maximum(np.asarray(members @ strength), 1e-300), top

    def likelihood(scores: FloatArray) -> float:
        _, total, top = shares(scores)
        return float(chosen @ scores - weights @ (np.log(total) + top))

    def slope(scores: FloatArray) -> tuple[Information, FloatArray]:
        strength, total, _ = shares(scores)
        expected = strength * np.asarray(transposed @ (weights / total))
        gradient = chosen - expected - ridge * scores
        inner = weights / total**2
        diagonal = expected - strength**2 * np.asarray(squared_parts @ inner) + ridge

        def apply(x: FloatArray) -> FloatArray:
            wide = x if x.ndim == 2 else x[:, None]
            seen = np.asarray(members @ (strength[:, None] * wide)) * inner[:, None]
            out = (expected + ridge)[:, None] * wide - strength[:, None] * np.asarray(transposed @ seen)
            return out if x.ndim == 2 else out[:, 0]

        def sample(rng: np.random.Generator, count: int) -> FloatArray:
            row = np.repeat(np.arange(len(total)), np.diff(members.indptr))
            p = members.data * strength[members.indices] / total[row]
            root, scale = np.sqrt(p), np.sqrt(weights)[row]
            out = np.sqrt(ridge)[:, None] * rng.standard_normal((len(ridge), count))
            for j in range(count):  # of covariance diag(p) - p p' for each choice
                noise = root * rng.standard_normal(len(p))
                noise -= p * sums(row, noise, len(total))[row]
                out[:, j] += sums(members.indices, scale * noise, len(ridge))
            return out

        def matrix() -> Any:
            part = diags_array(np.sqrt(inner)) @ members @ diags_array(strength)
            return (diags_array(expected + ridge) - part.T @ part).tocoo()

        info = Information(apply=apply, sample=sample, matrix=matrix, diagonal=diagonal, groups=groups, free=free)
        return info, gradient

    return likelihood, slope
