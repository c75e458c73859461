"""Davidson's extension of Bradley-Terry to ties: sparse, by Newton's method, with standard errors."""

from __future__ import annotations

from dataclasses import dataclass

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
    one_of,
    regularised_note,
    sums,
    win_graph,
)
from candor.preferences.fit.bradley_terry import laplacian_information


@dataclass(frozen=True, kw_only=True)
class DavidsonFit:
    """Scores (P,) as in ``BradleyTerryFit``, and the tie parameter nu with its error.

    nu is how likely a tie is against either win between equal items: P(tie) = nu / (2 + nu). Without any tie it is 0
    and its error NaN, and the scores are those of Bradley-Terry.
    """

    scores: FloatArray
    errors: FloatArray
    nu: float
    nu_error: float
    components: IntArray
    connected: bool
    ridge: float
    note: str
    converged: bool
    iterations: int
    log_likelihood: float
    errors_accuracy: float


@dataclass(frozen=True, kw_only=True)
class _Edges:
    """Compared pairs of items, each once, with the weights of first's wins, second's wins and ties (E,)."""

    first: IntArray
    second: IntArray
    wins: FloatArray
    losses: FloatArray
    ties: FloatArray


def davidson(
    first: ArrayLike,
    second: ArrayLike,
    outcome: ArrayLike,
    items: int,
    *,
    weights: ArrayLike | None = None,
    ridge: float | None = None,
    seed: int = 0,
) -> DavidsonFit:
    """Returns the maximum likelihood fit of Davidson's model (1970, JASA 65:317, eq. 2.2).

    P(first wins) : P(second wins) : P(tie) = exp(d / 2) : exp(-d / 2) : nu, with d = s_first - s_second. ``first`` and
    ``second`` (N,) are numbers of items, ``outcome`` (N,) is 1 (first wins), -1 (second wins) or 0 (a tie). "Both bad"
    is not a tie: leave such rows out. ``weights``, ``ridge``, ``seed`` and the errors are as in ``bradley_terry``; a
    tie connects both items both ways.

    Raises ValueError for arrays that do not fit, an item compared with itself, and where every comparison is a tie.
    """
    one = indices("first", first, items)
    two = indices("second", second, items, length=len(one))
    result = one_of("outcome", outcome, (-1, 0, 1), len(one))
    counts = case_weights(weights, len(one))
    if (one == two).any():
        raise ValueError(f"row {int(np.argmax(one == two))}: item {int(one[np.argmax(one == two)])} against itself")
    used = counts > 0
    one, two, result, counts = one[used], two[used], result[used], counts[used]
    if len(one) and not result.any():
        raise ValueError("every comparison is a tie: neither scores nor nu are finite")
    tied = result == 0
    winners = np.concatenate([np.where(result < 0, two, one), two[tied]])
    losers = np.concatenate([np.where(result < 0, one, two), one[tied]])
    components, torn, number = win_graph(winners, losers, items)
    given = checked_ridge(ridge)
    penalty = torn * RIDGE if given is None else np.full(items, given)
    model = _Model(_aggregated(one, two, result, counts, items), items, components, penalty)

    start = np.zeros(items + 1)
    start[-1] = 0.0 if tied.any() else -np.inf
    best = maximise(start, model.value, model.step)
    scores, log_nu = best.parameters[:-1], float(best.parameters[-1])
    errors, nu_error, accuracy = model.errors(best.parameters, seed)
    unknown = (np.bincount(components)[components] == 1) & (penalty == 0)
    return DavidsonFit(
        scores=scores,
        errors=np.where(unknown, np.inf, errors),
        nu=float(np.exp(log_nu)),
        nu_error=nu_error,
        components=components,
        connected=number == 1 and not torn.any(),
        ridge=float(penalty.max(initial=0.0)),
        note=regularised_note(torn, components, number, given, RIDGE if given is None else 0.0),
        converged=best.converged,
        iterations=best.iterations,
        log_likelihood=model.likelihood(best.parameters),
        errors_accuracy=accuracy,
    )


def _aggregated(one: IntArray, two: IntArray, result: FloatArray, counts: FloatArray, items: int) -> _Edges:
    low, high = np.minimum(one, two), np.maximum(one, two)
    key, place = np.unique(low * items + high, return_inverse=True)
    turned = np.where(one == low, result, -result)
    wins, losses, ties = (sums(place, counts * (turned == r), len(key)) for r in (1, -1, 0))
    return _Edges(first=key // items, second=key % items, wins=wins, losses=losses, ties=ties)


class _Model:
    """The likelihood of (scores, log nu), (P + 1,); log nu of -inf stays."""

    def __init__(self, edges: _Edges, items: int, components: IntArray, penalty: FloatArray) -> None:
        self.edges, self.items, self.penalty = edges, items, penalty
        self.total = edges.wins + edges.losses + edges.ties
        self.build = laplacian_information(edges.first, edges.second, items, components, penalty)

    def likelihood(self, theta: FloatArray) -> float:
        e = self.edges
        half = 0.5 * (theta[e.first] - theta[e.second])
        level = np.logaddexp(np.logaddexp(half, -half), theta[-1])
        tied = float(e.ties.sum()) * theta[-1] if e.ties.any() else 0.0
        return float((e.wins - e.losses) @ half + tied - self.total @ level)

    def value(self, theta: FloatArray) -> float:
        return self.likelihood(theta) - 0.5 * float(self.penalty @ theta[:-1] ** 2)

    def difference(self, values: FloatArray) -> FloatArray:
        """Sums of edge values (E,) into items (P,): plus for the first, minus for the second."""
        e = self.edges
        return sums(e.first, values, self.items) - sums(e.second, values, self.items)

    def parts(self, theta: FloatArray) -> tuple[FloatArray, float, Information, FloatArray, float]:
        """Gradients in scores and log nu; information on scores, between scores and log nu, and on log nu."""
        e = self.edges
        half = 0.5 * (theta[e.first] - theta[e.second])
        level = np.logaddexp(np.logaddexp(half, -half), theta[-1])
        p, q, tie = np.exp(half - level), np.exp(-half - level), np.exp(theta[-1] - level)
        lead = 0.5 * (p - q)
        pull = 0.5 * (e.wins - e.losses) - self.total * lead
        info = self.build(self.total * (0.25 * (p + q) - lead**2))
        gradient = self.difference(pull) - self.penalty * theta[:-1]
        cross = self.difference(-self.total * tie * lead)
        return gradient, float(e.ties.sum() - self.total @ tie), info, cross, float(self.total @ (tie * (1 - tie)))

    def step(self, theta: FloatArray) -> FloatArray:
        gradient, gradient_nu, info, cross, own = self.parts(theta)
        if np.isneginf(theta[-1]):
            return np.append(solve(info, gradient), 0.0)
        moved = solve(info, np.column_stack([gradient, cross]))
        step_nu = (gradient_nu - cross @ moved[:, 0]) / max(own - float(cross @ moved[:, 1]), 1e-12)
        return np.append(moved[:, 0] - moved[:, 1] * step_nu, step_nu)

    def errors(self, theta: FloatArray, seed: int) -> tuple[FloatArray, float, float]:
        """Errors of scores (P,) and of nu, by the inverse of a bordered matrix; and the former's accuracy."""
        _, _, info, cross, own = self.parts(theta)
        alone = standard_errors(info, seed)
        if np.isneginf(theta[-1]):
            return alone.errors, float("nan"), alone.accuracy
        across = solve(info, cross, tolerance=1e-8)
        variance_nu = 1.0 / max(own - float(cross @ across), 1e-12)
        errors = np.sqrt(alone.errors**2 + across**2 * variance_nu)
        return errors, float(np.exp(theta[-1]) * np.sqrt(variance_nu)), alone.accuracy
