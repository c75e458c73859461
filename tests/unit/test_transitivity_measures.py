"""Known answers: Hodge's three parts, counts of cyclic triads as published, fits beside another's."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
from bench.cycles import strengths, tournaments_of
from scipy.stats import binomtest

from candor.audits.preferences.cycles import cycle_p_values, draw, holm_adjusted, many_triads, mixture, plant
from candor.audits.preferences.hodge import hodge, shares
from candor.audits.preferences.one_scale import against_one_scale
from candor.audits.preferences.scale import WIDE_SD, fit_scale
from candor.audits.preferences.tournaments import (
    Tournaments,
    Triads,
    cyclic_triads,
    edge_disjoint,
    find_triads,
    kendall_zeta,
)
from candor.audits.stats import holm
from candor.preferences.fit import bradley_terry


def tournament(edges: list[tuple[int, int]], wins: list[tuple[int, int]], items: int) -> Tournaments:
    order = sorted(range(len(edges)), key=lambda number: edges[number])
    a, b = np.array([edges[i] for i in order]).T
    wins_a, wins_b = np.array([wins[i] for i in order]).T
    empty = np.empty(0, np.int64)
    return Tournaments(
        group=np.zeros(items, np.int64),
        a=a,
        b=b,
        wins_a=wins_a,
        wins_b=wins_b,
        ties=np.zeros(len(edges), np.int64),
        vote_edge=empty,
        vote_for_a=empty.astype(bool),
        vote_comparison=empty,
    )


def parts(edges: list[tuple[int, int]], flow: list[float], weight: list[float] | None = None) -> np.ndarray:
    a, b = np.array(edges).T
    items = int(max(b)) + 1
    graph = tournament(edges, [(1, 0)] * len(edges), items)
    triads = find_triads(graph, np.random.default_rng(0))
    given = np.ones(len(edges)) if weight is None else np.array(weight)
    return shares(hodge(a, b, items, triads, np.array(flow), given), given)[:, 0]


COMPLETE = list(combinations(range(5), 2))


def test_differences_of_scores_are_all_gradient() -> None:
    scores = np.array([0.3, -1.2, 2.0, 0.7, 0.1])
    flow = [scores[a] - scores[b] for a, b in COMPLETE]
    weight = np.random.default_rng(1).uniform(1, 9, len(COMPLETE))
    assert parts(COMPLETE, flow, list(weight)) == pytest.approx([1, 0, 0], abs=1e-9)


def test_a_circle_of_three_is_all_curl() -> None:
    assert parts([(0, 1), (0, 2), (1, 2)], [1.0, -1.0, 1.0]) == pytest.approx([0, 1, 0], abs=1e-9)


def test_a_circle_of_four_without_chords_is_harmonic_and_a_chord_makes_it_curl() -> None:
    square, flow = [(0, 1), (0, 3), (1, 2), (2, 3)], [1.0, -1.0, 1.0, 1.0]
    assert parts(square, flow) == pytest.approx([0, 0, 1], abs=1e-9)
    chord, with_chord = [(0, 1), (0, 2), (0, 3), (1, 2), (2, 3)], [1.0, 0.0, -1.0, 1.0, 1.0]
    assert parts(chord, with_chord) == pytest.approx([0, 1, 0], abs=1e-9)


def test_the_parts_are_those_of_dense_least_squares() -> None:
    rng = np.random.default_rng(4)
    edges = [edge for edge in combinations(range(7), 2) if rng.random() < 0.6]
    a, b = np.array(edges).T
    flow, weight = rng.normal(size=len(edges)), rng.uniform(1, 5, len(edges))
    graph = tournament(edges, [(1, 0)] * len(edges), 7)
    triads = find_triads(graph, rng)
    found = hodge(a, b, 7, triads, flow, weight)
    root, columns = np.sqrt(weight), np.zeros((len(edges), 7))
    columns[np.arange(len(edges)), a], columns[np.arange(len(edges)), b] = 1, -1
    gradient = columns @ np.linalg.lstsq(columns * root[:, None], flow * root, rcond=None)[0]
    round_it = np.zeros((len(edges), len(triads)))
    for number, (ab, bc, ac) in enumerate(triads.edges):
        round_it[[ab, bc, ac], number] = [1, 1, -1]
    turned = round_it / weight[:, None]
    curl = turned @ np.linalg.lstsq(turned * root[:, None], (flow - gradient) * root, rcond=None)[0]
    assert found.gradient[:, 0] == pytest.approx(gradient, abs=1e-7)
    assert found.curl[:, 0] == pytest.approx(curl, abs=1e-7)
    assert np.square(found.harmonic).sum() > 1e-3  # the graph has a longer loop, or the test shows nothing


@pytest.mark.parametrize(
    ("items", "published"),
    [(3, {0: 6, 1: 2}), (4, {0: 24, 1: 16, 2: 24}), (5, {0: 120, 1: 120, 2: 240, 3: 240, 4: 280, 5: 24})],
)
def test_cyclic_triads_of_all_tournaments_as_published(items: int, published: dict[int, int]) -> None:
    """Kendall and Babington Smith (1940), Biometrika 31:324, table of the distribution of d."""
    counts: dict[int, int] = {}
    for outcome in product((0, 1), repeat=items * (items - 1) // 2):
        wins = np.zeros(items, np.int64)
        for (a, b), first in zip(combinations(range(items), 2), outcome, strict=True):
            wins[a if first else b] += 1
        cycles = cyclic_triads(wins)
        counts[cycles] = counts.get(cycles, 0) + 1
    assert counts == published
    assert kendall_zeta(max(published), items) == 0
    assert kendall_zeta(0, items) == 1


def test_wins_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ValueError, match="3 pairs"):
        cyclic_triads(np.array([2, 2, 0]))
    with pytest.raises(ValueError, match="three items"):
        kendall_zeta(0, 2)


def test_triads_are_those_of_a_loop_over_all() -> None:
    rng = np.random.default_rng(2)
    edges = [edge for edge in combinations(range(12), 2) if rng.random() < 0.5]
    graph = tournament(edges, [(1, 0)] * len(edges), 12)
    known = {edge: number for number, edge in enumerate(sorted(edges))}
    wanted = {
        (known[a, b], known[b, c], known[a, c])
        for a, b, c in combinations(range(12), 3)
        if {(a, b), (b, c), (a, c)} <= set(known)
    }
    triads = find_triads(graph, rng)
    assert {tuple(int(edge) for edge in three) for three in triads.edges} == wanted
    apart = triads.edges[edge_disjoint(triads, graph.votes, 100, rng)].ravel()
    assert len(set(apart.tolist())) == len(apart) > 3


def test_the_batched_fit_is_that_of_the_package() -> None:
    rng = np.random.default_rng(5)
    graph = tournaments_of(strengths("bt", 1, rng), 12, rng)
    scale = fit_scale(graph)
    winners = np.concatenate([np.repeat(graph.a, graph.wins_a), np.repeat(graph.b, graph.wins_b)])
    losers = np.concatenate([np.repeat(graph.b, graph.wins_a), np.repeat(graph.a, graph.wins_b)])
    other = bradley_terry(winners, losers, 3, ridge=1 / scale.sd**2)
    assert scale.scores - scale.scores.mean() == pytest.approx(other.scores - np.mean(other.scores), abs=1e-5)
    loose = bradley_terry(winners, losers, 3, ridge=1 / WIDE_SD**2).scores
    gap = loose[graph.a] - loose[graph.b]
    share = graph.wins_a / 12
    own = sum(w * np.log(s) + (12 - w) * np.log(1 - s) for w, s in zip(graph.wins_a, share, strict=True) if 0 < s < 1)
    fitted = -(graph.wins_a @ np.logaddexp(0, -gap) + graph.wins_b @ np.logaddexp(0, gap))
    assert scale.deviance.sum() == pytest.approx(2 * (own - fitted), abs=1e-4)


@pytest.mark.parametrize("spread", [0.5, 1.5])
def test_the_spread_of_scores_is_recovered(spread: float) -> None:
    rng = np.random.default_rng(6)
    scores = rng.normal(0, spread, (1500, 3))
    shares = 1 / (1 + np.exp(np.roll(scores, -1, axis=1) - scores))
    assert fit_scale(tournaments_of(shares, 3, rng)).sd == pytest.approx(spread, rel=0.1)


def test_the_p_value_of_a_circle_is_that_of_its_weakest_majority() -> None:
    graph = tournament([(0, 1), (0, 2), (1, 2)], [(9, 0), (2, 7), (8, 1)], 3)
    triads = find_triads(graph, np.random.default_rng(0))
    p_values, forward = cycle_p_values(triads, graph.wins_a, graph.wins_b)
    assert p_values[0] == pytest.approx(binomtest(7, 9, alternative="greater").pvalue)
    assert forward[0]
    turned, backward = cycle_p_values(triads, graph.wins_b, graph.wins_a)
    assert turned[0] == p_values[0]
    assert not backward[0]


def test_holm_is_that_of_the_statistics_room() -> None:
    p_values = np.random.default_rng(0).random(40) ** 3
    assert holm_adjusted(p_values) == pytest.approx(holm(list(p_values)))


def test_planted_share_is_estimated_and_transitive_votes_are_left_alone() -> None:
    rng = np.random.default_rng(8)
    votes = np.full((200, 3), 15)
    free_of_circles = np.array([0.8, 0.7, 0.15])
    transitive = rng.binomial(votes, free_of_circles)
    fit = mixture(transitive, votes)
    assert fit.share < 0.02
    planted = mixture(plant(transitive, votes, rng), votes)
    assert planted.share == pytest.approx(0.2, abs=0.07)
    assert planted.statistic > fit.statistic + 20
    again = mixture(draw(fit.transitive, votes, rng), votes)
    assert again.share < 0.05


def test_the_names_of_the_items_do_not_matter() -> None:
    rng = np.random.default_rng(9)
    votes = rng.integers(3, 12, (50, 3))
    around = rng.binomial(votes, 0.6)
    first = mixture(around, votes)
    for order, flip in (([1, 2, 0], False), ([2, 1, 0], True)):
        turned = (votes - around if flip else around)[:, order]
        other = mixture(turned, votes[:, order])
        assert other.statistic == pytest.approx(first.statistic, abs=1e-8)
        assert other.share == pytest.approx(first.share, abs=1e-8)


@pytest.mark.parametrize("truth", ["lapses", "thurstone", "hard"])
def test_transitive_votes_are_rarely_called_circular(truth: str) -> None:
    found = 0
    for number in range(6):
        rng = np.random.default_rng([number, 3])
        graph = tournaments_of(strengths(truth, 60, rng), 9, rng)
        triads = find_triads(graph, rng)
        around, among = triads.around(graph.wins_a, graph.wins_b), graph.votes[triads.edges]
        found += many_triads(around, among, rng, simulations=49, powers=0).p_value <= 0.04
    assert found <= 1


def test_circles_in_a_fifth_of_the_triads_are_found() -> None:
    found = 0
    for number in range(5):
        rng = np.random.default_rng([number, 4])
        graph = tournaments_of(strengths("circles .8", 100, rng), 9, rng)
        triads = find_triads(graph, rng)
        around, among = triads.around(graph.wins_a, graph.wins_b), graph.votes[triads.edges]
        found += many_triads(around, among, rng, simulations=49, powers=0).p_value <= 0.04
    assert found >= 4


def test_lapses_are_misfit_and_a_true_model_fits() -> None:
    rng = np.random.default_rng(11)
    gaps = np.array([3.0, 3.0, -6.0])
    shares = np.tile(1 / (1 + np.exp(-gaps)), (150, 1))
    true = against_one_scale(tournaments_of(shares, 25, rng), 0, simulations=49)
    lapsing = against_one_scale(tournaments_of(0.7 * shares + 0.15, 25, rng), 0, simulations=49)
    assert true is not None
    assert lapsing is not None
    fits, misfits = true.dispersion, lapsing.dispersion
    assert fits.p_value > 0.05
    assert misfits.p_value <= 0.05
    assert misfits.low > 1


def test_a_tree_has_nothing_to_measure() -> None:
    assert against_one_scale(tournament([(0, 1), (1, 2)], [(3, 1), (2, 2)], 3), 0) is None


def test_no_triads_no_p_values() -> None:
    empty = np.empty(0, np.int64)
    assert len(cycle_p_values(Triads(ab=empty, bc=empty, ac=empty), empty, empty)[0]) == 0
