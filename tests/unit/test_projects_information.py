"""The expected information of one more answer, against its definition by simulation and by hand."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from candor.projects.information import expected_information
from candor.records import Choice, Judgement, Ranking, Ratings

A, B, TIE = Choice(best=0), Choice(best=1), Choice(best=None, tie=True)


def entropy(p: np.ndarray) -> np.ndarray:
    return -(p * np.log(p)).sum(axis=-1)


def simulated(alpha: tuple[float, ...]) -> float:
    """H(E p) - E H(p), p ~ Dirichlet(alpha)."""
    p = np.random.default_rng(0).dirichlet(alpha, 400_000)
    return float(entropy(p.mean(axis=0)) - entropy(p).mean())


@pytest.mark.parametrize(
    ("answers", "alpha"),
    [((), (1, 1)), ((A,), (2, 1)), ((A, A, A), (4, 1)), ((A, B), (2, 2)), ((A, TIE), (2.5, 1.5)), ((A, B) * 5, (6, 6))],
)
def test_a_pair_is_a_coin_of_unknown_bias(answers: tuple[Judgement, ...], alpha: tuple[float, ...]) -> None:
    assert expected_information("comparison", 2, answers) == pytest.approx(simulated(alpha), abs=5e-4)


def test_of_an_unlabelled_pair_it_is_known_exactly() -> None:
    """log 2 - 1/2: the mean entropy of a coin whose bias is uniform is half a nat."""
    assert expected_information("comparison", 2, ()) == pytest.approx(log(2) - 0.5, abs=1e-6)


def test_it_tells_an_open_question_from_a_contested_one() -> None:
    """Entropy cannot: the next answer to both is a coin's toss."""
    contested = expected_information("comparison", 2, (A, B) * 10)
    assert contested < expected_information("comparison", 2, ()) / 5


def test_which_response_is_called_first_does_not_matter() -> None:
    assert expected_information("comparison", 2, (A, A, B)) == expected_information("comparison", 2, (B, B, A))


def test_ratings_are_a_die_of_unknown_loads() -> None:
    answers = (Ratings(scores=(5.0, 1.0)), Ratings(scores=(5.0, 3.0)))
    expected = (simulated((0.5, 0.5, 0.5, 0.5, 2.5)) + simulated((1.5, 0.5, 1.5, 0.5, 0.5))) / 2
    assert expected_information("rating", 2, answers) == pytest.approx(expected, abs=1e-3)


def test_a_ranking_is_the_mean_of_its_pairs() -> None:
    order = Ranking(order=((0,), (1, 2), (3,)))
    pairs = [(2, 1)] * 5 + [(1.5, 1.5)]
    expected = sum(simulated(alpha) for alpha in pairs) / 6
    assert expected_information("ranking", 4, (order,)) == pytest.approx(expected, abs=1e-3)


def test_every_answer_of_one_kind_makes_the_next_tell_less() -> None:
    values = [expected_information("comparison", 2, (A,) * n) for n in range(8)]
    assert values == sorted(values, reverse=True)
