"""The side bias of the population and the spread of gaps, with errors clustered by pair (or prompt) and annotator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from candor.preferences.fit._mixed import KINDS, grid, kind_numbers, kinds_of, posterior
from candor.preferences.fit._numbers import FloatArray, IntArray

MOST_SPREAD = 20.0
_NO_SPREAD = 0.05
"""Below this the labels of a pair agree no more than by chance, and the gap is taken to be 0."""


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """Side bias and spread of gaps of all labels together; ``covariance`` (2, 2) is of (log spread, side bias).

    ``spread`` is 0 where it cannot be known (no pair has two labels) or is not different from 0.
    """

    side: float
    spread: float
    covariance: FloatArray
    log_likelihood: float
    converged: bool
    at_bound: bool


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Checked labels (N,): numbers of pair, annotator and cluster, outcome 0 or 1, side -1, 0 or 1."""

    pair: IntArray
    annotator: IntArray
    cluster: IntArray
    outcome: FloatArray
    side: FloatArray
    pairs: int
    annotators: int


def patterns(group: IntArray, kind: IntArray, groups: int) -> tuple[FloatArray, IntArray]:
    """Returns the distinct rows of counts of kinds (T, 6), and which of them each group has (groups,)."""
    counts = np.bincount(group * KINDS + kind, minlength=groups * KINDS).reshape(groups, KINDS)
    base = int(counts.max(initial=0)) + 1
    if base**KINDS < 2**62:
        key = counts @ (base ** np.arange(KINDS, dtype=np.int64))
        _, first, place = np.unique(key, return_index=True, return_inverse=True)
        return counts[first].astype(float), place
    rows, place = np.unique(counts, axis=0, return_inverse=True)
    return rows.astype(float), place.reshape(-1)


def scores(
    counts: FloatArray, side: float, log_spread: float, labels: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Returns, per pattern (T,), log-likelihood, score (T, 2) and observed information (T, 2, 2) in (log spread, side).

    By Louis (1982): the information is the expected complete-data information less the variance of the complete-data
    score, given the labels.
    """
    points = grid(float(np.exp(log_spread)), labels)
    kinds = kinds_of(np.zeros(1), np.array([side]), log_spread, points.x)
    found = posterior(counts, kinds.table, points.log_weights)
    by_gap = counts @ (kinds.residual * kinds.gap)
    by_side = counts @ (kinds.residual * kinds.side[:, None])
    complete = np.stack([by_gap, by_side], axis=-1)  # (T, Q, 2)
    w = found.weights
    score = np.einsum("tq,tqa->ta", w, complete)
    spread = np.einsum("tq,tqa,tqb->tab", w, complete, complete) - score[:, :, None] * score[:, None, :]
    design = np.stack([kinds.gap, np.broadcast_to(kinds.side[:, None], kinds.gap.shape)])
    expected = np.empty_like(spread)
    for a in range(2):
        for b in range(2):
            curved = kinds.curvature * design[a] * design[b] - (kinds.residual * kinds.gap if a == b == 0 else 0.0)
            expected[:, a, b] = np.einsum("tq,tq->t", w, counts @ curved)
    return found.log_likelihoods, score, expected - spread


def fit_pooled(labels: Labels) -> Pooled:
    """Returns the maximum of the marginal likelihood of (spread, side bias) and its two-way clustered covariance."""
    kind = kind_numbers(np.zeros_like(labels.annotator), labels.side, labels.outcome)
    counts, pattern = patterns(labels.pair, kind, labels.pairs)
    times = np.bincount(pattern, minlength=len(counts)).astype(float)
    most = int(counts.sum(axis=1).max(initial=1))
    best = -np.inf, 0.0, -np.inf, True
    if most > 1:
        best = _climb(counts, times, most)
    without = _climb_side(counts, times, most)
    if not np.exp(best[2]) > _NO_SPREAD or best[0] <= without[0]:
        best = without
    value, side, log_spread, converged = best
    covariance = _covariance(labels, kind, counts, pattern, side, log_spread, most)
    return Pooled(
        side=side,
        spread=0.0 if np.isneginf(log_spread) else float(np.exp(log_spread)),
        covariance=covariance,
        log_likelihood=value,
        converged=converged,
        at_bound=log_spread >= np.log(MOST_SPREAD) - 1e-6,
    )


def _climb(counts: FloatArray, times: FloatArray, most: int) -> tuple[float, float, float, bool]:
    """Newton's method in (log spread, side), uphill also where the likelihood is not concave: (value, side, ...)."""
    theta = np.array([0.0, 0.0])
    low, high = np.log(_NO_SPREAD / 2), np.log(MOST_SPREAD)
    value, converged = -np.inf, False
    for _ in range(100):
        found, score, information = scores(counts, theta[1], theta[0], most)
        value = float(times @ found)
        gradient, hessian = times @ score, np.einsum("t,tab->ab", times, information)
        size, axes = np.linalg.eigh(hessian)
        step = axes @ ((axes.T @ gradient) / np.maximum(np.abs(size), 1e-9))
        step *= min(1.0, 1.0 / max(float(np.abs(step).max()), 1e-12))
        gain = 1.0
        for _ in range(30):
            tried = np.array([np.clip(theta[0] + gain * step[0], low, high), theta[1] + gain * step[1]])
            if float(times @ scores(counts, tried[1], tried[0], most)[0]) >= value - 1e-12 * abs(value):
                break
            gain /= 2
        moved = float(np.abs(tried - theta).max())
        theta = tried
        if moved < 1e-9:
            converged = True
            break
    return value, float(theta[1]), float(theta[0]), converged


def _climb_side(counts: FloatArray, times: FloatArray, most: int) -> tuple[float, float, float, bool]:
    """The logistic intercept on the side, without gaps: closed form."""
    first = times @ (counts @ (SIDED * CHOSE_FIRST))
    sided = times @ (counts @ SIDED)
    if sided == 0:
        return float(times @ scores(counts, 0.0, -np.inf, most)[0]), 0.0, -np.inf, True
    share = (first + 0.5) / (sided + 1.0) if first in (0.0, sided) else first / sided
    side = float(np.log(share / (1 - share)))
    return float(times @ scores(counts, side, -np.inf, most)[0]), side, -np.inf, True


SIDED = np.array([1.0, 1.0, 0.0, 0.0, 1.0, 1.0])
CHOSE_FIRST = np.array([1.0, 0.0, 0.0, 0.0, 0.0, 1.0])


def _covariance(
    labels: Labels, kind: IntArray, counts: FloatArray, pattern: IntArray, side: float, log_spread: float, most: int
) -> FloatArray:
    """Two-way clustered sandwich (Cameron, Gelbach and Miller 2011): clusters + annotators - both.

    What an annotator contributes is the score with all labels less that without the annotator's, so that the effect on
    the gaps that others are judged by is included; an annotator's share of the labels is undone as in the jackknife.
    """
    _, score, information = scores(counts, side, log_spread, most)
    bread = np.einsum("t,tab->ab", np.bincount(pattern, minlength=len(counts)).astype(float), information)
    free = [0, 1] if np.isfinite(log_spread) else [1]
    per_pair = score[pattern]
    by_cluster = _summed(per_pair, _cluster_of_pair(labels))
    meat = by_cluster.T @ by_cluster * _small_sample(len(by_cluster))
    if labels.annotators > 1:
        key = labels.pair * labels.annotators + labels.annotator
        names, group = np.unique(key, return_inverse=True)
        own, owned = patterns(group, kind, len(names))
        pair, annotator = names // labels.annotators, names % labels.annotators
        case, place = np.unique(pattern[pair] * len(own) + owned, return_inverse=True)
        left = counts[case // len(own)] - own[case % len(own)]
        without = scores(left, side, log_spread, most)[1]
        influence = per_pair[pair] - without[place]
        share = np.bincount(labels.annotator, minlength=labels.annotators) / len(labels.pair)
        by_annotator = _summed(influence, annotator) / np.maximum(1.0 - share, 0.5)[np.unique(annotator), None]
        _, both = np.unique(
            labels.cluster[_first(group, len(names))] * labels.annotators + annotator, return_inverse=True
        )
        by_both = _summed(influence, both)
        total = meat + by_annotator.T @ by_annotator * _small_sample(len(by_annotator)) - by_both.T @ by_both
        meat = _at_least(total, meat)
    inverse = np.zeros((2, 2))
    inverse[np.ix_(free, free)] = np.linalg.pinv(bread[np.ix_(free, free)])
    return np.asarray(inverse @ meat @ inverse)


def _small_sample(clusters: int) -> float:
    return clusters / (clusters - 1) if clusters > 1 else 1.0


def _first(group: IntArray, groups: int) -> IntArray:
    first = np.empty(groups, dtype=np.int64)
    first[group[::-1]] = np.arange(len(group))[::-1]
    return first


def _cluster_of_pair(labels: Labels) -> IntArray:
    _, numbered = np.unique(labels.cluster[_first(labels.pair, labels.pairs)], return_inverse=True)
    return numbered


def _summed(values: FloatArray, group: IntArray) -> FloatArray:
    names, place = np.unique(group, return_inverse=True)
    return np.column_stack([np.bincount(place, weights=column, minlength=len(names)) for column in values.T])


def _at_least(total: FloatArray, floor: FloatArray) -> FloatArray:
    """``total``, or ``floor`` where subtracting the overlap left less than one-way clustering (too few annotators)."""
    size = np.linalg.eigvalsh(total - floor)
    return total if size.min() >= -1e-12 * np.trace(floor) else 0.5 * (total + total.T) + _lifted(total, floor)


def _lifted(total: FloatArray, floor: FloatArray) -> FloatArray:
    size, axes = np.linalg.eigh(total - floor)
    return np.asarray(axes @ np.diag(np.maximum(-size, 0.0)) @ axes.T)
