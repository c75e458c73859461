"""Measures of inconsistency, each beside what one score per item gives on the same design."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from candor.audits.preferences.hodge import Hodge, hodge, log_odds_flow, shares
from candor.audits.preferences.scale import fit_scale
from candor.audits.preferences.tournaments import (
    Tournaments,
    Triads,
    cyclic,
    find_triads,
    of_items,
)
from candor.audits.stats import cluster_bootstrap
from candor.preferences.table import BoolArray, FloatArray, IntArray

MOST_GROUPS, MOST_ITEMS, SIMULATIONS = 400, 40, 199
HODGE_PARTS = ("gradient", "curl", "harmonic")


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One number, its interval over groups (NaN with one group), and the middle 95% of it under one scale.

    ``p_value``: share of simulations that are at least as inconsistent. ``n``: triads, groups or edges it stands on.
    """

    name: str
    estimate: float
    low: float
    high: float
    null_low: float
    null_high: float
    p_value: float
    n: int


@dataclass(frozen=True, kw_only=True)
class OneScale:
    """What one score per item says of G groups that hold a loop.

    ``dispersion``: how far the votes lie from the fit, over what is usual. ``spread``: sd of the scores within a group.
    """

    measures: tuple[Measure, ...]
    dispersion: Measure
    spread: float
    groups: int
    groups_with_loops: int
    mean_votes: float
    cut: bool

    def measure(self, name: str) -> Measure | None:
        """The measure of that name, or None where the design has none."""
        return next((measure for measure in self.measures if measure.name == name), None)


def with_loops(tournaments: Tournaments) -> BoolArray:
    """Whether each item, (N,), belongs to a group in which votes go round at all: with more edges than a tree has."""
    voted = tournaments.votes > 0
    seen = np.zeros(len(tournaments.group), bool)
    seen[tournaments.a[voted]] = seen[tournaments.b[voted]] = True
    edges = np.bincount(tournaments.edge_group[voted], minlength=tournaments.groups)
    loops = edges - np.bincount(tournaments.group[seen], minlength=tournaments.groups) + _components(tournaments, seen)
    return np.asarray(seen & (loops > 0)[tournaments.group])


def _components(tournaments: Tournaments, seen: BoolArray) -> IntArray:
    """Connected parts of each group, (G,), among the items seen."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    voted = tournaments.votes > 0
    a, b, size = tournaments.a[voted], tournaments.b[voted], len(tournaments.group)
    part = connected_components(csr_matrix((np.ones(len(a)), (a, b)), shape=(size, size)), directed=False)[1]
    first = np.unique(part[seen], return_index=True)[1]
    return np.bincount(tournaments.group[np.flatnonzero(seen)[first]], minlength=tournaments.groups)


def against_one_scale(tournaments: Tournaments, seed: int, simulations: int = SIMULATIONS) -> OneScale | None:
    """Returns the measures of the groups with loops, or None where there is none.

    At most ``MOST_GROUPS`` groups drawn at random, and of each the ``MOST_ITEMS`` items with most votes.
    """
    kept = with_loops(tournaments)
    loops = len(np.unique(tournaments.group[kept]))
    if not loops:
        return None
    rng = np.random.default_rng([seed & (2**63 - 1), 5])
    kept, cut = _cut(tournaments, kept, rng)
    part = of_items(tournaments, kept)
    part = of_items(part, with_loops(part)) if cut else part
    if not part.groups:
        return None
    triads, scale = find_triads(part, rng), fit_scale(part)
    draws = [scale.simulate(rng) for _ in range(simulations)]
    wins_a = np.stack([part.wins_a, *(wins for wins, _ in draws)], axis=1)
    wins_b = np.stack([part.wins_b, *(wins for _, wins in draws)], axis=1)
    deviances = np.array([scale.deviance, *(scale.deviance_of(*draw) for draw in draws)])
    voted = np.maximum(part.votes, 1).astype(float)
    parts = hodge(part.a, part.b, len(part.group), triads, log_odds_flow(wins_a, wins_b), voted)
    measures = [
        *_triad_measures(part, triads, wins_a, wins_b),
        *_hodge_measures(part, parts, voted),
    ]
    return OneScale(
        measures=tuple(measures),
        dispersion=_dispersion(deviances, int((part.votes > 0).sum())),
        spread=scale.sd,
        groups=part.groups,
        groups_with_loops=loops,
        mean_votes=float(part.votes[part.votes > 0].mean()),
        cut=cut,
    )


def _cut(tournaments: Tournaments, kept: BoolArray, rng: np.random.Generator) -> tuple[BoolArray, bool]:
    groups = np.unique(tournaments.group[kept])
    cut = len(groups) > MOST_GROUPS
    if cut:
        chosen = rng.choice(groups, MOST_GROUPS, replace=False)
        kept = kept & np.isin(tournaments.group, chosen)
    sizes = np.bincount(tournaments.group[kept], minlength=tournaments.groups)
    for group in np.flatnonzero(sizes > MOST_ITEMS):
        items = np.flatnonzero(kept & (tournaments.group == group))
        weight = np.bincount(tournaments.a, weights=tournaments.votes, minlength=len(kept))
        weight = weight + np.bincount(tournaments.b, weights=tournaments.votes, minlength=len(kept))
        kept = kept.copy()
        kept[items[np.argsort(-weight[items], kind="stable")[MOST_ITEMS:]]] = False
        cut = True
    return kept, cut


def _measure(name: str, values: FloatArray, n: int, sums: FloatArray | None, *, more_is_worse: bool = True) -> Measure:
    """``values``: the observed one, then the simulated; ``sums``: numerator and denominator per group, (G, 2)."""
    observed, null = float(values[0]), values[1:]
    worse = null >= observed - 1e-12 if more_is_worse else null <= observed + 1e-12
    low, high = np.nan, np.nan
    if sums is not None and len(sums) > 1:
        boot = cluster_bootstrap(sums, _ratio, method="percentile")
        if boot.interval is not None:
            low, high = boot.interval.low, boot.interval.high
    null_low, null_high = np.quantile(null, [0.025, 0.975])
    return Measure(
        name=name,
        estimate=observed,
        low=low,
        high=high,
        null_low=float(null_low),
        null_high=float(null_high),
        p_value=(1 + int(worse.sum())) / (1 + len(null)),
        n=n,
    )


def _ratio(sums: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums[..., 0] / sums[..., 1])


def _by_group(values: FloatArray, group: IntArray, groups: int) -> FloatArray:
    return np.asarray(np.bincount(group, weights=values, minlength=groups), np.float64)


def _triad_measures(part: Tournaments, triads: Triads, wins_a: IntArray, wins_b: IntArray) -> list[Measure]:
    if not len(triads):
        return []
    votes = part.votes[triads.edges][..., None]
    around = np.stack([wins_a[triads.ab], wins_a[triads.bc], wins_b[triads.ac]], axis=1)
    in_circle, decided = cyclic(around, votes)
    measures = []
    if decided.any(axis=0).all():
        group = part.edge_group[triads.ab]
        sums = np.stack(
            [_by_group(flags[:, 0].astype(float), group, part.groups) for flags in (in_circle, decided)], axis=1
        )
        share = in_circle.sum(axis=0) / decided.sum(axis=0)
        measures.append(_measure("cyclic_triads", share, int(decided[:, 0].sum()), sums))
    zetas, complete = _zetas(part, wins_a > wins_b, wins_a == wins_b)
    if complete and np.isfinite(zetas).any(axis=0).all():
        known = np.isfinite(zetas[:, 0])
        sums = np.stack([np.where(known, zetas[:, 0], 0), known.astype(float)], axis=1)
        with np.errstate(invalid="ignore"):
            mean = np.nanmean(zetas, axis=0)
        measures.append(_measure("kendall_zeta", mean, int(known.sum()), sums, more_is_worse=False))
    return measures


def _zetas(part: Tournaments, beats: BoolArray, tied: BoolArray) -> tuple[FloatArray, int]:
    """Kendall's zeta of every complete group, (complete, B), NaN where a majority is tied; and how many there are."""
    sizes = np.bincount(part.group, minlength=part.groups)
    edges = np.bincount(part.edge_group[part.votes > 0], minlength=part.groups)
    complete = np.flatnonzero((sizes >= 3) & (2 * edges == sizes * (sizes - 1)))
    scores = np.zeros((len(part.group), beats.shape[1]), np.int64)
    np.add.at(scores, part.a, beats)
    np.add.at(scores, part.b, ~beats & ~tied)
    undecided = np.zeros((part.groups, beats.shape[1]), np.int64)
    np.add.at(undecided, part.edge_group, tied)
    pairs = np.zeros_like(undecided)
    np.add.at(pairs, part.group, scores * (scores - 1) // 2)
    size = sizes[complete]
    triples = size * (size - 1) * (size - 2) // 6
    most = np.where(size % 2 == 1, size**3 - size, size**3 - 4 * size) / 24
    zetas = 1 - (triples[:, None] - pairs[complete]) / most[:, None]
    return np.where(undecided[complete] == 0, zetas, np.nan), len(complete)


def _hodge_measures(part: Tournaments, parts: Hodge, weight: FloatArray) -> list[Measure]:
    all_shares, measures = shares(parts, weight), []
    squares = [weight * np.square(flow[:, 0]) for flow in (parts.gradient, parts.curl, parts.harmonic)]
    total = _by_group(sum(squares, np.zeros(len(weight))), part.edge_group, part.groups)
    for number, name in enumerate(HODGE_PARTS):
        values = all_shares[number]
        if not np.isfinite(values).all() or values.max() < 1e-6:
            continue
        sums = np.stack([_by_group(squares[number], part.edge_group, part.groups), total], axis=1)
        measures.append(_measure(name, values, len(weight), sums, more_is_worse=name != "gradient"))
    return measures


def _dispersion(deviances: FloatArray, edges: int) -> Measure:
    """The deviance, (B, G), over its mean under one scale: 1 where one score per item is all there is."""
    usual = deviances[1:].mean(axis=0)
    values = deviances.sum(axis=1) / max(float(usual.sum()), 1e-12)
    return _measure("dispersion", values, edges, np.stack([deviances[0], usual], axis=1))
