"""What must not matter to fits does not: order of rows, numbers of items, weights against repeated rows, names."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from candor.preferences.fit import (
    agreement_reliability,
    annotators_marginal,
    bradley_terry,
    bradley_terry_with_annotators,
    davidson,
    plackett_luce,
)

ITEMS, PEOPLE = 5, 3
Ints = NDArray[np.int64]


@st.composite
def comparisons(draw: st.DrawFn) -> tuple[Ints, Ints, Ints, Ints, Ints, np.random.Generator]:
    """First, second, outcome (-1, 0, 1), annotator, side, and a source of shuffles."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    n = draw(st.integers(3, 60))
    first = rng.integers(ITEMS, size=n)
    second = (first + 1 + rng.integers(ITEMS - 1, size=n)) % ITEMS
    return (
        first, second, rng.choice([-1, 1, 1, 0], size=n), rng.integers(PEOPLE, size=n), rng.choice([-1, 1], size=n), rng
    )  # fmt: skip


def close(a: NDArray[np.float64], b: NDArray[np.float64], tolerance: float = 1e-5) -> None:
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@settings(max_examples=25, deadline=None)
@given(comparisons())
def test_bradley_terry(data: tuple[Ints, Ints, Ints, Ints, Ints, np.random.Generator]) -> None:
    first, second, outcome, _, _, rng = data
    won, lost = np.where(outcome < 0, second, first), np.where(outcome < 0, first, second)
    fit = bradley_terry(won, lost, ITEMS)
    order, names = rng.permutation(len(won)), rng.permutation(ITEMS)
    shuffled = bradley_terry(names[won[order]], names[lost[order]], ITEMS)
    close(shuffled.scores[names], fit.scores)
    close(shuffled.errors[names], fit.errors)
    weights = rng.integers(0, 4, size=len(won))
    weighted = bradley_terry(won, lost, ITEMS, weights=weights)
    repeated = bradley_terry(np.repeat(won, weights), np.repeat(lost, weights), ITEMS)
    close(weighted.scores, repeated.scores)
    close(weighted.errors, repeated.errors)
    turned = bradley_terry(lost, won, ITEMS)
    close(turned.scores, -fit.scores)
    for group in np.unique(fit.components):
        assert abs(fit.scores[fit.components == group].sum()) < 1e-6


@settings(max_examples=15, deadline=None)
@given(comparisons())
def test_davidson_and_plackett_luce(data: tuple[Ints, Ints, Ints, Ints, Ints, np.random.Generator]) -> None:
    first, second, outcome, _, _, rng = data
    outcome[0] = 1
    order, names = rng.permutation(len(first)), rng.permutation(ITEMS)
    fit = davidson(first, second, outcome, ITEMS)
    turned = davidson(names[second[order]], names[first[order]], -outcome[order], ITEMS)
    close(turned.scores[names], fit.scores)
    close(turned.errors[names], fit.errors)
    assert abs(turned.nu - fit.nu) < 1e-5 * max(1.0, fit.nu)
    won, lost = np.where(outcome < 0, second, first), np.where(outcome < 0, first, second)
    groups = np.column_stack([np.zeros_like(outcome), (outcome != 0).astype(int)])
    pairs = np.column_stack([won, lost])
    offsets = np.arange(len(won) + 1) * 2
    ranked = plackett_luce(offsets, pairs.ravel(), ITEMS, groups=groups.ravel())
    shuffled = plackett_luce(offsets, names[pairs[order]].ravel(), ITEMS, groups=groups[order].ravel())
    close(shuffled.scores[names], ranked.scores)
    close(shuffled.errors[names], ranked.errors)


@settings(max_examples=10, deadline=None)
@given(comparisons())
def test_with_annotators(data: tuple[Ints, Ints, Ints, Ints, Ints, np.random.Generator]) -> None:
    first, second, outcome, who, side, rng = data
    won = (outcome > 0).astype(int)
    fit = bradley_terry_with_annotators(first, second, won, who, side, ITEMS, PEOPLE, ridge=0.2)
    order, people = rng.permutation(len(first)), rng.permutation(PEOPLE)
    other = bradley_terry_with_annotators(
        second[order], first[order], 1 - won[order], people[who[order]], -side[order], ITEMS, PEOPLE, ridge=0.2
    )
    close(other.scores, fit.scores, 5e-3)
    close(other.log_reliability[people], fit.log_reliability, 5e-3)
    close(other.sides[people], fit.sides, 5e-3)


@settings(max_examples=10, deadline=None)
@given(comparisons())
def test_marginal_and_reliability(data: tuple[Ints, Ints, Ints, Ints, Ints, np.random.Generator]) -> None:
    """Which response of a pair is named first does not matter, pair by pair: no sign of quality can leak in."""
    pair, _, outcome, who, side, rng = data
    won = (outcome > 0).astype(int)
    order, people, pairs = rng.permutation(len(pair)), rng.permutation(PEOPLE), rng.permutation(ITEMS)
    turned = rng.integers(2, size=ITEMS)[pair]
    won2, side2 = np.where(turned, 1 - won, won)[order], np.where(turned, -side, side)[order]
    a = annotators_marginal(pair, who, won, side, annotators=PEOPLE)
    b = annotators_marginal(pairs[pair[order]], people[who[order]], won2, side2, annotators=PEOPLE)
    close(np.array([b.side.estimate, b.spread]), np.array([a.side.estimate, a.spread]), 1e-3)
    close(b.sides[people], a.sides, 0.02)
    c, d = agreement_reliability(pair, who, won), agreement_reliability(pairs[pair[order]], people[who[order]], won2)
    assert (c.panel.n, np.isnan(c.panel.estimate)) == (d.panel.n, np.isnan(d.panel.estimate))
    if c.panel.n:
        close(np.array([d.panel.estimate, d.panel.low]), np.array([c.panel.estimate, c.panel.low]))
