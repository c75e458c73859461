"""The null: what one score per item says of the same design. Thousands of small Bradley-Terry fits at once.

Scores of one group are drawn from N(0, sd^2) with one sd for all groups, found from how often two votes on a pair
agree: a maximum-likelihood fit of few votes would be spread too far and make too few cycles (and be infinite where a
response lost every vote). What is simulated are votes under scores drawn from the posterior of each group, by Laplace's
approximation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from candor.audits.preferences.tournaments import Tournaments
from candor.preferences.table import FloatArray, IntArray

NEWTON, LONGEST_STEP = 20, 2.0
LEAST_SD, UNKNOWN_SD, MOST_SD = 0.02, 1.0, 8.0
WIDE_SD = 5.0
"""Of the scores under which the deviance is measured: so wide that it hardly shrinks, and keeps scores finite."""
LEAST_EDGES = 20


@dataclass(frozen=True, kw_only=True)
class _Batch:
    """G groups of n items: which items, (G, n), which edges, and between which of the n."""

    items: IntArray
    edges: IntArray
    at: IntArray
    one: IntArray
    two: IntArray

    def wins(self, wins_a: IntArray, wins_b: IntArray) -> FloatArray:
        """Wins of one item over another, (G, n, n)."""
        groups, size = self.items.shape
        wins = np.zeros((groups, size, size))
        wins[self.at, self.one, self.two] = wins_a[self.edges]
        wins[self.at, self.two, self.one] = wins_b[self.edges]
        return wins


@dataclass(frozen=True, kw_only=True)
class Scale:
    """One score per item, (N,), as fitted; ``sd`` is that of the scores within a group.

    ``deviance``: of each group, (G,), 2 sum over edges of the votes' log-likelihood under their own shares less that
    under the scores.
    """

    tournaments: Tournaments
    scores: FloatArray
    sd: float
    deviance: FloatArray
    roots: tuple[FloatArray, ...]

    def simulate(self, rng: np.random.Generator) -> tuple[IntArray, IntArray]:
        """Returns votes of the same design, wins of ``a`` and of ``b``, (E,), under scores drawn from the posterior."""
        scores = self.scores.copy()
        for batch, root in zip(_batches(self.tournaments), self.roots, strict=True):
            noise = rng.standard_normal((*batch.items.shape, 1))
            scores[batch.items] += (root @ noise)[..., 0]
        votes = self.tournaments.votes
        wins = rng.binomial(votes, _win_shares(self.tournaments, scores))
        return wins, votes - wins

    def deviance_of(self, wins_a: IntArray, wins_b: IntArray) -> FloatArray:
        """The deviance, (G,), of other votes of the same design, with scores fitted to them."""
        return _deviance_of(self.tournaments, wins_a, wins_b, self.scores)


def fit_scale(tournaments: Tournaments) -> Scale:
    """Returns Bradley-Terry scores of every group, shrunk towards 0 by as much as the groups together say."""
    batches = list(_batches(tournaments))
    wins = [batch.wins(tournaments.wins_a, tournaments.wins_b) for batch in batches]
    sd = _spread(tournaments)
    all_scores, roots = np.zeros(len(tournaments.group)), []
    for batch, won in zip(batches, wins, strict=True):
        fitted, covariance = _fit(won, sd, np.zeros(batch.items.shape))
        all_scores[batch.items] = fitted
        roots.append(np.asarray(np.linalg.cholesky(covariance), np.float64))
    return Scale(
        tournaments=tournaments,
        scores=all_scores,
        sd=sd,
        deviance=_deviance_of(tournaments, tournaments.wins_a, tournaments.wins_b, all_scores),
        roots=tuple(roots),
    )


def _spread(tournaments: Tournaments) -> float:
    """The sd of normal scores under which two votes on a pair agree as often as they do.

    Of an edge with n votes, (C(w, 2) + C(n - w, 2)) / C(n, 2) estimates p^2 + (1 - p)^2 without bias; under normal
    scores its mean rises with sd. ``UNKNOWN_SD`` where too few edges have two votes.
    """
    from scipy.optimize import brentq

    wins, votes = tournaments.wins_a, tournaments.votes
    twice = votes >= 2
    if twice.sum() < LEAST_EDGES:
        return UNKNOWN_SD
    n, w = votes[twice].astype(float), wins[twice].astype(float)
    agreement = float(np.mean((w * (w - 1) + (n - w) * (n - w - 1)) / (n * (n - 1))))
    points, weights = np.polynomial.hermite_e.hermegauss(61)
    weights = weights / weights.sum()

    def excess(sd: float) -> float:
        shares = _logistic(np.sqrt(2) * sd * points)
        return float(weights @ (shares**2 + (1 - shares) ** 2)) - agreement

    if excess(LEAST_SD) >= 0:
        return LEAST_SD
    return MOST_SD if excess(MOST_SD) <= 0 else float(brentq(excess, LEAST_SD, MOST_SD, xtol=1e-4))


def _batches(tournaments: Tournaments) -> Iterator[_Batch]:
    """The groups by size; items are numbered within their group in order."""
    group = tournaments.group
    sizes = np.bincount(group)
    starts = np.cumsum(sizes) - sizes
    edge_group = tournaments.edge_group
    for size in np.unique(sizes[sizes > 1]):
        groups = np.flatnonzero(sizes == size)
        edges = np.flatnonzero(sizes[edge_group] == size)
        yield _Batch(
            items=starts[groups][:, None] + np.arange(size),
            edges=edges,
            at=np.searchsorted(groups, edge_group[edges]),
            one=tournaments.a[edges] - starts[edge_group[edges]],
            two=tournaments.b[edges] - starts[edge_group[edges]],
        )


def _fit(wins: FloatArray, sd: float, start: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Posterior modes, (G, n), and covariances, (G, n, n), by Newton's method on all groups at once."""
    scores, total = start, wins + wins.transpose(0, 2, 1)
    prior = np.eye(wins.shape[1]) / sd**2
    for _ in range(NEWTON):
        shares = _logistic(scores[:, :, None] - scores[:, None, :])
        gradient = (wins - total * shares).sum(axis=2) - scores / sd**2
        spread = total * shares * (1 - shares)
        hessian = prior - spread
        diagonal = np.arange(wins.shape[1])
        hessian[:, diagonal, diagonal] += spread.sum(axis=2)
        step = np.linalg.solve(hessian, gradient[..., None])[..., 0]
        scores = scores + np.clip(step, -LONGEST_STEP, LONGEST_STEP)
        if np.abs(step).max(initial=0) < 1e-6:
            break
    return scores, np.asarray(np.linalg.inv(hessian), np.float64)


def _win_shares(tournaments: Tournaments, scores: FloatArray) -> FloatArray:
    return _logistic(scores[tournaments.a] - scores[tournaments.b])


def _logistic(x: FloatArray) -> FloatArray:
    return np.asarray(0.5 * (1 + np.tanh(x / 2)))


def _deviance_of(tournaments: Tournaments, wins_a: IntArray, wins_b: IntArray, start: FloatArray) -> FloatArray:
    scores = np.zeros_like(start)
    for batch in _batches(tournaments):
        scores[batch.items] = _fit(batch.wins(wins_a, wins_b), WIDE_SD, start[batch.items])[0]
    return _deviance(tournaments, wins_a, wins_b, scores)


def _deviance(tournaments: Tournaments, wins_a: IntArray, wins_b: IntArray, scores: FloatArray) -> FloatArray:
    difference = scores[tournaments.a] - scores[tournaments.b]
    fitted = -wins_a * np.logaddexp(0, -difference) - wins_b * np.logaddexp(0, difference)
    votes = np.maximum(wins_a + wins_b, 1)
    own = wins_a * np.log(np.maximum(wins_a / votes, 1e-300)) + wins_b * np.log(np.maximum(wins_b / votes, 1e-300))
    each = np.bincount(tournaments.edge_group, weights=2 * (own - fitted), minlength=tournaments.groups)
    return np.asarray(each, np.float64)
