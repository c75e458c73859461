"""Which annotators are unlike the rest: a robust picture of the panel, and tests against it that allow for real spread.

Honest people differ. A test against the panel's mean with sampling error alone would flag honest annotators once they
have judged enough. So the null is empirical (Efron 2004, JASA 99:96): annotator k's measure is the panel's centre, plus
the spread of honest annotators, plus sampling error; centre and spread are those of the bulk of the panel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import betabinom, binom, norm
from scipy.stats import t as student

from candor.audits.stats import holm

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Side = Literal["both", "above", "below"]

FEWEST = 5
"""With fewer annotators, nobody can say which of them is the odd one out."""
CUT = 2.7
"""Who lies further out does not take part in the final spread; 0.7% of honest annotators do."""
ROUNDS = 20


@dataclass(frozen=True, kw_only=True)
class Bulk:
    """The centre and the spread (standard deviation, sampling error taken off) of most of the panel.

    ``floor``: the spread that is granted in any case; ``members``: how many took part; ``error``: of the centre.
    """

    centre: float
    spread: float
    floor: float
    members: int
    error: float


def bulk(values: FloatArray, variances: FloatArray, floor: float) -> Bulk:
    """Returns the bulk of A annotators with measures and sampling variances, (A,), robust to a minority far out.

    It starts from the median, with the spread that puts half of the standardised deviations within 0.674; then those
    beyond CUT are left out and the spread of the rest is found by moments (Paule & Mandel 1982, with the variance of a
    normal truncated at CUT), until nobody changes sides. The spread is never below ``floor``: a few dozen annotators
    cannot show that theirs is smaller.

    Raises ValueError with fewer than FEWEST annotators.
    """
    if len(values) < FEWEST:
        raise ValueError(f"a panel needs {FEWEST} annotators, got {len(values)}")
    centre = float(np.median(values))
    spread = _solve(partial(_median_deviation, values - centre, variances), float(norm.ppf(0.75)), floor)
    target = 1 - 2 * CUT * norm.pdf(CUT) / (2 * norm.cdf(CUT) - 1)
    kept = np.abs(values - centre) <= CUT * np.sqrt(variances + spread**2)
    for _ in range(ROUNDS):
        x, v = values[kept], variances[kept]
        weights = 1 / (v + spread**2)
        centre = float(np.average(x, weights=weights))
        spread = _solve(partial(_mean_square, x - centre, v), float(target), floor)
        now = np.abs(values - centre) <= CUT * np.sqrt(variances + spread**2)
        if np.array_equal(now, kept):
            break
        kept = now if now.sum() >= FEWEST else kept
    error = float(1 / np.sqrt(np.sum(1 / (variances[kept] + spread**2))))
    return Bulk(centre=centre, spread=spread, floor=floor, members=int(kept.sum()), error=error)


def _median_deviation(deviations: FloatArray, variances: FloatArray, spread: float) -> float:
    return float(np.median(np.abs(deviations) / np.sqrt(variances + spread**2)))


def _mean_square(deviations: FloatArray, variances: FloatArray, spread: float) -> float:
    return float(np.mean(deviations**2 / (variances + spread**2)))


def _solve(statistic: Callable[[float], float], target: float, floor: float) -> float:
    """The spread at or above the floor at which a falling statistic comes down to its target, by bisection."""
    if statistic(floor) <= target:
        return floor
    low, high = floor, max(2 * floor, 1e-6)
    while statistic(high) > target and high < 1e6:
        low, high = high, 2 * high
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if statistic(middle) > target else (low, middle)
    return high


def tail(values: FloatArray, variances: FloatArray, usual: Bulk, side: Side) -> FloatArray:
    """Returns the p-value of each annotator, (A,), for lying outside of the bulk on one side or on both.

    A t statistic: the part of the variance that was estimated beyond the floor has ``members - 1`` degrees of freedom,
    the rest counts as known (Satterthwaite 1946).
    """
    variance = variances + usual.spread**2 + usual.error**2
    z = (values - usual.centre) / np.sqrt(variance)
    estimated = (usual.spread**2 - usual.floor**2) / variance
    freedom = (usual.members - 1) / np.maximum(estimated, 1e-6) ** 2
    if side == "both":
        return np.asarray(2 * student.sf(np.abs(z), freedom))
    return np.asarray(student.sf(z if side == "above" else -z, freedom))


def counts_below(successes: FloatArray, trials: FloatArray, usual: Bulk) -> FloatArray:
    """Returns the p-value of each annotator, (A,), for as few successes as these: beta-binomial, so exact with few.

    The beta distribution has the centre and the spread of the bulk.
    """
    mean = min(max(usual.centre, 1e-3), 1 - 1e-3)
    spread = min(max(np.hypot(usual.spread, usual.error), 1e-4), 0.95 * np.sqrt(mean * (1 - mean)))
    concentration = mean * (1 - mean) / spread**2 - 1
    return np.asarray(
        betabinom.cdf(np.round(successes), np.round(trials), mean * concentration, (1 - mean) * concentration)
    )


def counts_above(successes: FloatArray, trials: FloatArray, chance: FloatArray) -> FloatArray:
    """Returns the p-value of each annotator, (A,), for as many successes as these by chance: binomial."""
    return np.asarray(binom.sf(np.round(successes) - 1, np.round(trials), chance))


def adjusted(p_values: FloatArray, tested: NDArray[np.bool_], share: float) -> FloatArray:
    """Returns family-wise p-values over annotators and over kinds of test, (A,); 1 where nothing was tested.

    Holm over the annotators tested, divided by the ``share`` of the error that this kind of test may spend: flagging
    below .05 in every kind keeps the chance of any false flag at .05 if the shares sum to 1.
    """
    found = np.ones(len(p_values))
    if tested.any():
        found[tested] = np.minimum(1.0, np.array(holm(list(p_values[tested]))) / share)
    return found


def reach(usual: Bulk, variance: float, tests: int, share: float, side: Side, power: float = 0.85) -> float:
    """Returns how far from the centre an annotator must be to be found with ``power`` at the Bonferroni level."""
    level = 0.05 * share / max(tests, 1) / (2 if side == "both" else 1)
    null = np.sqrt(variance + usual.spread**2 + usual.error**2)
    return float(norm.isf(level) * null + norm.ppf(power) * np.sqrt(variance))
