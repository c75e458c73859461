"""Are the majorities themselves cyclic, beyond what chance makes of transitive ones?

Few votes turn majorities round by chance: single votes under a Bradley-Terry model whose scores have standard deviation
1 give 17% of cyclic triads. The null here is all that is transitive, whatever its form (lapses, Thurstone noise, any
strengths): in each triad there is an order of the three such that the majority of all people who might be asked goes
with it. The strengths of the three majorities are left free, so a Bradley-Terry model may fit as badly as it likes.
Two tests look at it:

- **single triads**: a cycle is shown where each of its three majorities is shown (intersection-union, Berger 1982),
  with Holm's correction over the triads;
- **many triads**: the distribution of strengths over triads is estimated without an assumption on its form (Kiefer and
  Wolfowitz 1956), once among transitive strengths and once among all; twice the difference of the log-likelihoods is
  compared with that of data simulated from the transitive fit on the same design.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from candor.audits.preferences.tournaments import Triads
from candor.preferences.table import BoolArray, FloatArray, IntArray

STRENGTHS = np.array([0.5, 0.58, 0.66, 0.74, 0.82, 0.9, 0.96, 0.995])
"""Shares of a majority between which strengths are distributed."""

STEPS, PRUNE_AFTER, PRUNE_BELOW = 120, 30, 1e-5
"""Steps of EM, and when strengths that hardly any triad has are left out."""

MAX_VOTES = 400
"""Votes of an edge beyond these are scaled down in the test of many triads."""

REFERENCE_SHARE, REFERENCE_STRENGTH = 0.2, 0.75
"""The cycles that a design must be able to show before none found means fine."""

VOTES_TRIED = (3, 5, 7, 9, 11, 15, 21, 31, 51, 101)


@lru_cache(maxsize=1)
def _configurations() -> tuple[IntArray, IntArray]:
    """Indices of the strengths of three majorities: transitive ones (the last is the long edge), then cyclic ones."""
    count = len(STRENGTHS)
    transitive = [(x, y, z) for x in range(count) for y in range(x, count) for z in range(count)]
    cyclic = [(x, y, z) for x in range(1, count) for y in range(x, count) for z in range(y, count)]
    return np.array(transitive), np.array(cyclic)


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """Strengths of triads as estimated. ``statistic``: twice the gain in log-likelihood that cycles bring.

    ``transitive`` and ``free``: weights over the transitive, and over all, configurations. ``share``: the weight of
    cyclic ones in ``free``.
    """

    statistic: float
    share: float
    transitive: FloatArray
    free: FloatArray


@dataclass(frozen=True, kw_only=True)
class ManyTriads:
    """The test of many triads: share of cyclic majorities with its interval, p-value, and power at the reference.

    ``power`` is that at ``REFERENCE_SHARE`` of cycles whose majorities are ``REFERENCE_STRENGTH`` each.
    """

    share: float
    low: float
    high: float
    p_value: float
    power: float | None
    triads: int
    transitive: FloatArray = field(repr=False)


def cycle_p_values(triads: Triads, wins_a: IntArray, wins_b: IntArray) -> tuple[FloatArray, BoolArray]:
    """Intersection-union p-value of a cycle of majorities for each triad, (T,), and whether it goes a > b > c > a.

    ``wins_a`` and ``wins_b``, (E,): votes for either end of every edge. The p-value is the largest of the three of
    exact one-sided sign tests; it holds for any dependence between the edges (Berger 1982, Technometrics 24:295).
    """
    from scipy.stats import binom

    if not len(triads):
        return np.empty(0), np.empty(0, bool)
    for_a, for_b = (binom.sf(wins - 1, wins_a + wins_b, 0.5) for wins in (wins_a, wins_b))
    forward = np.maximum(np.maximum(for_a[triads.ab], for_a[triads.bc]), for_b[triads.ac])
    backward = np.maximum(np.maximum(for_b[triads.ab], for_b[triads.bc]), for_a[triads.ac])
    return np.minimum(forward, backward), forward <= backward


def holm_adjusted(p_values: FloatArray) -> FloatArray:
    """Holm's step-down adjusted p-values, (T,), for millions (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1)), 1.0)
    return adjusted


def mixture(around: IntArray, votes: IntArray) -> Mixture:
    """Returns the strengths of (T, 3) votes as estimated among transitive ones and among all, by EM."""
    patterns, counts = np.unique(_canonical(around, votes), axis=0, return_counts=True)
    transitive, _ = _configurations()
    likelihoods = _likelihoods(patterns[:, :3], patterns[:, 3:])
    null, null_fit = _em(likelihoods[:, : len(transitive)], counts.astype(float))
    free, free_fit = _em(likelihoods, counts.astype(float))
    return Mixture(
        statistic=max(0.0, 2 * (free_fit - null_fit)),
        share=float(free[len(transitive) :].sum()),
        transitive=null,
        free=free,
    )


def _canonical(around: IntArray, votes: IntArray) -> IntArray:
    """Votes round the cycle and in all, (T, 6), under that naming of the three items which comes first in order."""
    base = np.int64(votes.max(initial=0)) + 1
    named = []
    for turn in range(3):
        order = (np.arange(3) + turn) % 3
        named.append((around[:, order], votes[:, order]))
        named.append(((votes - around)[:, order[::-1]], votes[:, order[::-1]]))
    edges = np.stack([with_it * base + total for with_it, total in named])
    first = np.lexsort((edges[:, :, 2], edges[:, :, 1], edges[:, :, 0]), axis=0)[0]
    chosen = edges[first, np.arange(len(around))]
    return np.hstack([chosen // base, chosen % base])


def _likelihoods(around: IntArray, votes: IntArray) -> FloatArray:
    """Likelihood of every pattern under every configuration, (patterns, configurations), each averaged over names.

    The names of three items carry nothing, so the six ways to name them are averaged over. Relative to the likelihood
    of the observed shares, which is the same for all.
    """
    transitive, cyclic = _configurations()
    scale = np.minimum(1.0, MAX_VOTES / np.maximum(votes, 1))
    with_it, against = around * scale, (votes - around) * scale
    total = np.maximum(with_it + against, 1e-12)
    best = with_it * np.log(np.maximum(with_it / total, 1e-300)) + against * np.log(np.maximum(against / total, 1e-300))
    up, down = np.log(STRENGTHS), np.log1p(-STRENGTHS)
    forward = np.exp(with_it[..., None] * up + against[..., None] * down - best[..., None])
    backward = np.exp(with_it[..., None] * down + against[..., None] * up - best[..., None])
    return np.hstack(
        [_averaged(forward, backward, transitive, turned=True), _averaged(forward, backward, cyclic, turned=False)]
    )


def _averaged(forward: FloatArray, backward: FloatArray, triple: IntArray, *, turned: bool) -> FloatArray:
    one, two, three = triple.T
    last, last_back = (backward, forward) if turned else (forward, backward)
    total = np.zeros((len(forward), len(triple)))
    for turn in range(3):
        x, y, z = turn, (turn + 1) % 3, (turn + 2) % 3
        total += forward[:, x][:, one] * forward[:, y][:, two] * last[:, z][:, three]
        total += backward[:, y][:, one] * backward[:, x][:, two] * last_back[:, z][:, three]
    return total / 6


def _em(likelihoods: FloatArray, counts: FloatArray) -> tuple[FloatArray, float]:
    """Weights of a mixture by EM from equal ones, and the log-likelihood."""
    size = likelihoods.shape[1]
    kept, weights = np.arange(size), np.full(size, 1 / size)
    share = counts / counts.sum()
    for step in range(STEPS):
        if step == PRUNE_AFTER:
            kept = np.flatnonzero(weights > PRUNE_BELOW)
            likelihoods, weights = np.ascontiguousarray(likelihoods[:, kept]), weights[kept] / weights[kept].sum()
        weights = weights * (likelihoods.T @ (share / np.maximum(likelihoods @ weights, 1e-300)))
    full = np.zeros(size)
    full[kept] = weights
    return full, float(counts @ np.log(np.maximum(likelihoods @ weights, 1e-300)))


def draw(weights: FloatArray, votes: IntArray, rng: np.random.Generator) -> IntArray:
    """Returns votes round the cycle, (T, 3), of triads whose strengths have the given weights (transitive, or all)."""
    transitive, cyclic = _configurations()
    number = rng.choice(len(weights), size=len(votes), p=weights / weights.sum())
    triple = STRENGTHS[np.vstack([transitive, cyclic])[number]]
    triple[:, 2] = np.where(number < len(transitive), 1 - triple[:, 2], triple[:, 2])
    return rng.binomial(votes, _renamed(triple, rng))


def plant(around: IntArray, votes: IntArray, rng: np.random.Generator) -> IntArray:
    """The same votes with cycles of the reference strength in the reference share of triads, at least in one."""
    planted = rng.permutation(len(votes))[: max(1, round(REFERENCE_SHARE * len(votes)))]
    cycles = _renamed(np.full((len(planted), 3), REFERENCE_STRENGTH), rng)
    around = around.copy()
    around[planted] = rng.binomial(votes[planted], cycles)
    return around


def _renamed(triple: FloatArray, rng: np.random.Generator) -> FloatArray:
    turn = (np.arange(3) + rng.integers(3, size=len(triple))[:, None]) % 3
    triple = np.take_along_axis(triple, turn, axis=1)
    return np.where(rng.random(len(triple))[:, None] < 0.5, triple, 1 - triple[:, ::-1])


def many_triads(
    around: IntArray, votes: IntArray, rng: np.random.Generator, *, simulations: int = 199, powers: int = 60
) -> ManyTriads:
    """Returns the test of many triads that share no edge, from votes of shape (T, 3).

    The p-value is (1 + simulated at least as large) / (1 + ``simulations``); the interval of the share is that of a
    parametric bootstrap from the free fit, of as many simulations as ``powers``. ``power`` is None where cycles were
    found or ``powers`` is 0.
    """
    fit = mixture(around, votes)
    null = np.array([mixture(draw(fit.transitive, votes, rng), votes).statistic for _ in range(simulations)])
    p_value = (1 + int(np.sum(null >= fit.statistic - 1e-9))) / (1 + simulations)
    critical = float(np.quantile(null, 1 - MANY_LEVEL, method="higher"))
    shares = [fit.share, *(mixture(draw(fit.free, votes, rng), votes).share for _ in range(powers))]
    low, high = np.quantile(shares, [0.025, 0.975])
    return ManyTriads(
        share=fit.share,
        low=float(min(low, fit.share)),
        high=float(max(high, fit.share)),
        p_value=p_value,
        power=None if p_value <= MANY_LEVEL or not powers else _power(fit.transitive, votes, critical, rng, powers),
        triads=len(votes),
        transitive=fit.transitive,
    )


MANY_LEVEL, SINGLE_LEVEL = 0.04, 0.01
"""The levels of the two tests, which add up to 5%."""


def _power(
    transitive: FloatArray, votes: IntArray, critical: float, rng: np.random.Generator, simulations: int
) -> float:
    found = 0
    for _ in range(simulations):
        around = plant(draw(transitive, votes, rng), votes, rng)
        found += mixture(around, votes).statistic > critical
    return found / simulations


def votes_needed(
    transitive: FloatArray, triads: int, rng: np.random.Generator, *, power: float = 0.9, simulations: int = 60
) -> int | None:
    """The least votes per edge at which as many triads would show the reference cycles with this power, or None.

    Among ``VOTES_TRIED``, by bisection: more votes show more.
    """
    low, high = 0, len(VOTES_TRIED)
    while low < high:
        middle = (low + high) // 2
        votes = np.full((triads, 3), VOTES_TRIED[middle])
        null = [mixture(draw(transitive, votes, rng), votes).statistic for _ in range(simulations)]
        critical = float(np.quantile(null, 1 - MANY_LEVEL, method="higher"))
        if _power(transitive, votes, critical, rng, simulations) >= power:
            high = middle
        else:
            low = middle + 1
    return VOTES_TRIED[low] if low < len(VOTES_TRIED) else None


def single_power(votes: IntArray, level: float) -> float:
    """Power of the test of one triad, by the votes of each, (T, 3): the mean chance that a reference cycle shows."""
    from scipy.stats import binom

    least = binom.isf(level, votes, 0.5) + 1
    return float(np.prod(binom.sf(least - 1, votes, REFERENCE_STRENGTH), axis=1).mean()) if len(votes) else 0.0


def single_votes_needed(level: float, *, power: float = 0.9) -> int:
    """The least odd number of votes per edge at which one triad shows a reference cycle at ``level``."""
    each = 3
    while single_power(np.full((1, 3), each), level) < power:
        each += 2
    return each
