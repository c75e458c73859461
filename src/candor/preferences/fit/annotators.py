"""Scores of items and annotators together: Bradley-Terry with reliability and side bias, and Crowd-BT.

For items that many annotators compared many times. Where every pair of responses is compared only once or a few times,
``annotators_marginal`` is the right fit: one effect per item biases the annotators' values there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from candor.preferences.fit._newton import DENSE, Errors, Information, maximise, sampled_errors, solve
from candor.preferences.fit._numbers import (
    RIDGE,
    FloatArray,
    IntArray,
    case_weights,
    checked_ridge,
    indices,
    log_sigmoid,
    one_of,
    regularised_note,
    sigmoid,
    win_graph,
)

GOOD = 0.9
"""Crowd-BT's prior guess of how often an annotator means what is said, before any data."""


@dataclass(frozen=True, kw_only=True)
class ItemsAndAnnotatorsFit:
    """Scores (P,) and annotators' reliabilities (K,) and side biases (K,), with errors.

    Scores sum to 0 over connected items and log reliabilities to 0 over annotators. ``sides`` are in logits, positive
    where the response shown first is preferred. The other fields mean what they mean in ``BradleyTerryFit``.
    """

    scores: FloatArray
    errors: FloatArray
    log_reliability: FloatArray
    log_reliability_errors: FloatArray
    sides: FloatArray
    sides_errors: FloatArray
    components: IntArray
    connected: bool
    ridge: float
    note: str
    converged: bool
    iterations: int
    log_likelihood: float
    errors_accuracy: float


@dataclass(frozen=True, kw_only=True)
class CrowdFit:
    """Scores (P,) and eta (K,), how often each annotator means what is said; errors of scores and of logit eta."""

    scores: FloatArray
    errors: FloatArray
    eta: FloatArray
    logit_eta_errors: FloatArray
    components: IntArray
    ridge: float
    note: str
    converged: bool
    iterations: int
    log_likelihood: float
    errors_accuracy: float


@dataclass(frozen=True, kw_only=True)
class _Rows:
    """Checked comparisons (N,): items, annotator, whether the first won, its side, how often it counts."""

    first: IntArray
    second: IntArray
    annotator: IntArray
    won: FloatArray
    side: FloatArray
    weights: FloatArray
    items: int
    annotators: int


@dataclass(frozen=True, kw_only=True)
class _Slopes:
    """Per comparison (N,): slopes of its logit (or chance) in d = s_first - s_second and in each annotator's value.

    ``pull`` times these is the slope of the log-likelihood, ``root`` times these the root of the expected information.
    """

    pull: FloatArray
    root: FloatArray
    in_d: FloatArray
    in_values: tuple[FloatArray, ...]


class _Joint:
    """Penalised likelihood of (scores, one or two values per annotator), (P + A K,), with its Fisher information."""

    def __init__(
        self,
        rows: _Rows,
        slopes: Callable[[FloatArray], _Slopes],
        ridge: FloatArray,
        centre: FloatArray,
        groups: IntArray,
    ) -> None:
        self.rows, self.slopes, self.ridge, self.centre = rows, slopes, ridge, centre
        values = (len(ridge) - rows.items) // rows.annotators
        columns = [rows.first, rows.second]
        columns += [rows.items + a * rows.annotators + rows.annotator for a in range(values)]
        self.columns = np.column_stack(columns).astype(np.int32).ravel()
        self.pointers = (np.arange(len(rows.first) + 1) * len(columns)).astype(np.int64)
        alone = int(groups.max(initial=-1)) + 1
        self.groups = np.concatenate([groups, np.full(len(ridge) - rows.items, alone)])
        self.free = np.zeros(len(ridge))
        self.free[: rows.items] = np.bincount(groups)[groups] > 1

    def parts(self, theta: FloatArray) -> tuple[Information, FloatArray]:
        """The Fisher information with the ridge, and the gradient."""
        from scipy.sparse import csr_array, diags_array

        found = self.slopes(theta)
        scaled = [found.in_d, -found.in_d, *found.in_values]
        shape = (len(self.rows.first), len(theta))
        block = np.column_stack(scaled)
        raw: Any = csr_array((block.ravel(), self.columns, self.pointers), shape=shape)
        design: Any = csr_array(((block * found.root[:, None]).ravel(), self.columns, self.pointers), shape=shape)
        back = design.T.tocsr()
        gradient = np.asarray(raw.T @ found.pull) - self.ridge * (theta - self.centre)
        squares = np.bincount(self.columns, weights=design.data**2, minlength=len(theta)) + self.ridge

        def apply(x: FloatArray) -> FloatArray:
            held = self.ridge[:, None] * x if x.ndim == 2 else self.ridge * x
            return np.asarray(back @ (design @ x) + held)

        def sample(rng: np.random.Generator, count: int) -> FloatArray:
            signs = rng.integers(0, 2, size=(shape[0], count)) * 2.0 - 1.0
            prior = np.sqrt(self.ridge)[:, None] * rng.standard_normal((shape[1], count))
            return np.asarray(back @ signs + prior)

        def matrix() -> Any:
            return (back @ design + diags_array(self.ridge)).tocoo()

        info = Information(
            apply=apply, sample=sample, matrix=matrix, diagonal=squares, groups=self.groups, free=self.free
        )
        return info, gradient

    def errors(self, theta: FloatArray, seed: int, convention: Callable[[FloatArray], FloatArray]) -> Errors:
        """Errors of all values under a convention: exact up to 1,000 values, else sampled."""
        info, _ = self.parts(theta)
        if len(theta) > DENSE:
            return sampled_errors(info, seed, convention, self._own(convention))
        dense = np.asarray(info.matrix().todense())
        level = max(float(np.trace(dense)) / len(dense), 1e-300)
        units = np.zeros((len(theta), 0))
        for group in np.unique(self.groups[self.free > 0]):
            unit = ((self.groups == group) & (self.free > 0)).astype(float)
            units = np.column_stack([units, unit / np.sqrt(unit.sum())])
        dead = np.flatnonzero(info.diagonal <= 0)
        dense[dead, dead] = level
        inverse: FloatArray = np.linalg.inv(dense + level * units @ units.T).astype(np.float64, copy=False)
        inverse = info.project(info.project(inverse).T)
        moved = convention(convention(inverse).T)
        return Errors(errors=np.sqrt(np.maximum(np.diagonal(moved), 0.0)), accuracy=0.0)

    def _own(self, convention: Callable[[FloatArray], FloatArray]) -> FloatArray:
        """How much of itself the convention leaves of each value: 1, but 1 - 1 / K for centred annotators' values."""
        own = np.ones(len(self.ridge))
        first = self.rows.items
        unit = np.zeros((len(own), 1))
        unit[first] = 1.0
        own[first : first + self.rows.annotators] = convention(unit)[first, 0]
        return own


def bradley_terry_with_annotators(
    first: ArrayLike,
    second: ArrayLike,
    outcome: ArrayLike,
    annotator: ArrayLike,
    side: ArrayLike,
    items: int,
    annotators: int,
    *,
    weights: ArrayLike | None = None,
    ridge: float | None = None,
    annotator_ridge: float = 1.0,
    seed: int = 0,
) -> ItemsAndAnnotatorsFit:
    """Returns the fit of P(first wins) = sigma(beta_k (s_first - s_second) + gamma_k side).

    All arrays are (N,): items (0 to ``items`` - 1), outcome 1 (first wins) or 0, annotator (0 to ``annotators`` - 1),
    and side 1 (first was shown first), -1 or 0 (not known). Maximised by Fisher scoring, less ``annotator_ridge`` / 2
    times the sum of log beta_k squared plus gamma_k squared, and ``ridge`` / 2 times that of squared scores (left out:
    0.1 where the win graph is not strongly connected, else 0). The conventions sum s = 0 and mean log beta = 0 are
    imposed on the maximum, which only a ridge on scores would otherwise move. Errors are those of the expected
    information, ridges included; exact up to 1,000 values in all, else sampled from ``seed``.

    Raises ValueError for arrays that do not fit and for an item compared with itself.
    """
    rows = _checked(first, second, outcome, annotator, side, items, annotators, weights)
    components, penalty, torn, number, given = _penalty(rows, ridge, always=False)
    everyone = np.full(2 * annotators, float(annotator_ridge))
    full = np.concatenate([penalty, everyone])

    def split(theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        d = theta[rows.first] - theta[rows.second]
        return d, np.exp(theta[items + rows.annotator]), theta[items + annotators + rows.annotator]

    def likelihood(theta: FloatArray) -> float:
        d, beta, gamma = split(theta)
        eta = beta * d + gamma * rows.side
        return float(rows.weights @ log_sigmoid(np.where(rows.won > 0, eta, -eta)))

    def slopes(theta: FloatArray) -> _Slopes:
        d, beta, gamma = split(theta)
        p = sigmoid(beta * d + gamma * rows.side)
        root = np.sqrt(rows.weights * p * (1 - p))
        return _Slopes(pull=rows.weights * (rows.won - p), root=root, in_d=beta, in_values=(beta * d, rows.side))

    joint = _Joint(rows, slopes, full, np.zeros(len(full)), components)
    best = maximise(
        np.zeros(len(full)),
        lambda theta: likelihood(theta) - 0.5 * float(full @ theta**2),
        lambda theta: solve(*joint.parts(theta)),
        tolerance=1e-6,
        longest=2.0,
        enough=1e-7,
    )
    theta = best.parameters.copy()
    shift = float(theta[items : items + annotators].mean()) if annotators else 0.0
    theta[:items] *= np.exp(shift)
    theta[items : items + annotators] -= shift

    def convention(x: FloatArray) -> FloatArray:
        mean = x[items : items + annotators].mean(axis=0)
        moved = x.copy()
        moved[:items] += theta[:items, None] * mean
        moved[items : items + annotators] -= mean
        return moved

    found = joint.errors(theta, seed, convention)
    unknown = (np.bincount(components)[components] == 1) & (penalty == 0)
    return ItemsAndAnnotatorsFit(
        scores=theta[:items],
        errors=np.where(unknown, np.inf, found.errors[:items]),
        log_reliability=theta[items : items + annotators],
        log_reliability_errors=found.errors[items : items + annotators],
        sides=theta[items + annotators :],
        sides_errors=found.errors[items + annotators :],
        components=components,
        connected=number == 1 and not torn.any(),
        ridge=float(penalty.max(initial=0.0)),
        note=regularised_note(torn, components, number, given, RIDGE if given is None else 0.0),
        converged=best.converged,
        iterations=best.iterations,
        log_likelihood=likelihood(theta),
        errors_accuracy=found.accuracy,
    )


def crowd_bt(
    first: ArrayLike,
    second: ArrayLike,
    outcome: ArrayLike,
    annotator: ArrayLike,
    items: int,
    annotators: int,
    *,
    weights: ArrayLike | None = None,
    ridge: float | None = None,
    annotator_ridge: float = 0.1,
    seed: int = 0,
) -> CrowdFit:
    """Returns the fit of Crowd-BT (Chen, Bennett, Collins-Thompson and Horvitz 2013, "Pairwise ranking aggregation").

    P(first wins) = eta_k sigma(d) + (1 - eta_k) sigma(-d), d = s_first - s_second (their eq. 3): annotator k means
    what is said with probability eta_k, and the opposite otherwise. Arrays as in ``bradley_terry_with_annotators``.
    Scores always carry a ridge (0.1 unless given): what many annotators agree on fits a large gap as well as a large
    eta. logit eta has precision ``annotator_ridge`` around logit 0.9, which also says that most annotators mean well:
    without that, turning all scores and annotators round fits as well. By Fisher scoring; errors as there, of scores
    and of logit eta.

    Raises ValueError for arrays that do not fit and for an item compared with itself.
    """
    rows = _checked(first, second, outcome, annotator, None, items, annotators, weights)
    components, penalty, _, _, given = _penalty(rows, ridge, always=True)
    full = np.concatenate([penalty, np.full(annotators, float(annotator_ridge))])
    centre = np.concatenate([np.zeros(items), np.full(annotators, np.log(GOOD / (1 - GOOD)))])

    def chances(theta: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        f, eta = sigmoid(theta[rows.first] - theta[rows.second]), sigmoid(theta[items + rows.annotator])
        return f, eta, np.clip(eta * f + (1 - eta) * (1 - f), 1e-15, 1 - 1e-15)

    def likelihood(theta: FloatArray) -> float:
        p = chances(theta)[2]
        return float(rows.weights @ np.log(np.where(rows.won > 0, p, 1 - p)))

    def slopes(theta: FloatArray) -> _Slopes:
        f, eta, p = chances(theta)
        information = 1.0 / (p * (1 - p))
        return _Slopes(
            pull=rows.weights * (rows.won - p) * information,
            root=np.sqrt(rows.weights * information),
            in_d=(2 * eta - 1) * f * (1 - f),
            in_values=(eta * (1 - eta) * (2 * f - 1),),
        )

    joint = _Joint(rows, slopes, full, centre, components)
    best = maximise(
        centre.copy(),
        lambda theta: likelihood(theta) - 0.5 * float(full @ (theta - centre) ** 2),
        lambda theta: solve(*joint.parts(theta)),
        tolerance=1e-6,
        longest=2.0,
        enough=1e-7,
    )
    found = joint.errors(best.parameters, seed, lambda x: x)
    used = RIDGE if given is None else given
    return CrowdFit(
        scores=best.parameters[:items],
        errors=found.errors[:items],
        eta=sigmoid(best.parameters[items:]),
        logit_eta_errors=found.errors[items:],
        components=components,
        ridge=used,
        note=f"regularised: Crowd-BT always carries a ridge on scores, here {used:g}",
        converged=best.converged,
        iterations=best.iterations,
        log_likelihood=likelihood(best.parameters),
        errors_accuracy=found.accuracy,
    )


def _penalty(
    rows: _Rows, ridge: float | None, *, always: bool
) -> tuple[IntArray, FloatArray, FloatArray, int, float | None]:
    """Components of items, the ridge on each score, which items need one, the number of components, the given ridge."""
    used = rows.weights > 0
    winners = np.where(rows.won > 0, rows.first, rows.second)[used]
    losers = np.where(rows.won > 0, rows.second, rows.first)[used]
    components, torn, number = win_graph(winners, losers, rows.items)
    given = checked_ridge(ridge)
    if given is not None:
        penalty = np.full(rows.items, given)
    else:
        penalty = np.full(rows.items, RIDGE) if always else torn * RIDGE
    return components, penalty, torn, number, given


def _checked(
    first: ArrayLike,
    second: ArrayLike,
    outcome: ArrayLike,
    annotator: ArrayLike,
    side: ArrayLike | None,
    items: int,
    annotators: int,
    weights: ArrayLike | None,
) -> _Rows:
    one = indices("first", first, items)
    n = len(one)
    two = indices("second", second, items, length=n)
    if (one == two).any():
        raise ValueError(f"row {int(np.argmax(one == two))}: item {int(one[np.argmax(one == two)])} against itself")
    return _Rows(
        first=one,
        second=two,
        annotator=indices("annotator", annotator, annotators, length=n),
        won=one_of("outcome", outcome, (0, 1), n),
        side=np.zeros(n) if side is None else one_of("side", side, (-1, 0, 1), n),
        weights=case_weights(weights, n),
        items=items,
        annotators=annotators,
    )
