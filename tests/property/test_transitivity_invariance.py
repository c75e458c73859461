"""What must not change the measures of circles: names, sides, and the scale of flows."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from candor.audits.preferences.cycles import cycle_p_values
from candor.audits.preferences.hodge import hodge, shares
from candor.audits.preferences.tournaments import Tournaments, cyclic, cyclic_triads, find_triads


def graph(items: int, edges: list[tuple[int, int]], wins_a: np.ndarray, votes: np.ndarray) -> Tournaments:
    a, b = np.array(edges).T
    nothing = np.empty(0, np.int64)
    return Tournaments(
        group=np.zeros(items, np.int64),
        a=a,
        b=b,
        wins_a=wins_a,
        wins_b=votes - wins_a,
        ties=np.zeros_like(votes),
        vote_edge=nothing,
        vote_for_a=nothing.astype(bool),
        vote_comparison=nothing,
    )


@settings(max_examples=40, deadline=None)
@given(items=st.integers(3, 8), seed=st.integers(0, 10_000))
def test_triads_counted_one_by_one_are_those_of_the_formula(items: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    edges = list(combinations(range(items), 2))
    votes = np.full(len(edges), 3)
    made = graph(items, edges, rng.integers(0, 4, len(edges)), votes)
    triads = find_triads(made, rng)
    counted, decided = cyclic(triads.around(made.wins_a, made.wins_b), votes[triads.edges])
    wins = np.bincount(np.where(made.wins_a > made.wins_b, made.a, made.b), minlength=items)
    assert decided.all()
    assert counted.sum() == cyclic_triads(wins)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.1, 50))
def test_shares_add_up_and_know_neither_scale_nor_direction(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    edges = [edge for edge in combinations(range(6), 2) if rng.random() < 0.7] or [(0, 1)]
    a, b = np.array(edges).T
    made = graph(6, edges, np.ones(len(edges), np.int64), np.ones(len(edges), np.int64))
    triads, flow, weight = find_triads(made, rng), rng.normal(size=len(edges)), rng.uniform(1, 9, len(edges))
    first = shares(hodge(a, b, 6, triads, flow, weight), weight)
    other = shares(hodge(a, b, 6, triads, -scale * flow, 3 * weight), 3 * weight)
    assert abs(first.sum() - 1) < 1e-9
    assert np.allclose(first, other, atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_p_value_of_a_triad_does_not_depend_on_the_names_of_its_items(seed: int) -> None:
    rng = np.random.default_rng(seed)
    edges, votes = [(0, 1), (0, 2), (1, 2)], rng.integers(1, 20, 3)
    made = graph(3, edges, rng.binomial(votes, 0.7), votes)
    known = {
        (int(a), int(b)): (int(x), int(y)) for a, b, x, y in zip(made.a, made.b, made.wins_a, made.wins_b, strict=True)
    }
    order = rng.permutation(3)
    wins, turned_votes = [], []
    for a, b in edges:
        x, y = sorted((int(order[a]), int(order[b])))
        for_x, for_y = known[x, y]
        wins.append(for_x if order[a] == x else for_y)
        turned_votes.append(for_x + for_y)
    other = graph(3, edges, np.array(wins), np.array(turned_votes))
    triads = find_triads(made, rng)
    assert np.isclose(
        cycle_p_values(triads, made.wins_a, made.wins_b)[0], cycle_p_values(triads, other.wins_a, other.wins_b)[0]
    ).all()
