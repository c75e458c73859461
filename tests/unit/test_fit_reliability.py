"""Agreement corrected for chance: hand-computed values, coin tossers, and a small simulation of coverage."""

from __future__ import annotations

import numpy as np
import pytest
from bench.annotator_intervals import DESIGNS, cover_reliability

from candor.preferences.fit import agreement_reliability


def test_hand_computed() -> None:
    # Pair 0: annotators 0, 1 and 2 say 1, 1, 0. Pair 1: annotators 0 and 1 say 0, 0. Pair 2: annotator 2 alone.
    fit = agreement_reliability([0, 0, 0, 1, 1, 2], [0, 1, 2, 0, 1, 2], [1, 1, 0, 0, 0, 1], annotators=4)
    assert fit.n.tolist() == [2, 2, 1, 0]
    assert fit.reliability[:3] == pytest.approx([2 * 0.75 - 1, 2 * 0.75 - 1, -1.0])
    assert np.isnan(fit.reliability[3])
    assert (fit.low[3], fit.high[3]) == (-1.0, 1.0)
    assert fit.panel.estimate == pytest.approx(2 * (0.5 + 0.5 + 0.0 + 1.0 + 1.0) / 5 - 1)
    assert fit.panel.n == 5


def test_what_one_annotator_says_twice_is_no_agreement() -> None:
    fit = agreement_reliability([0, 0, 0], [0, 0, 1], [1, 1, 0])
    assert fit.reliability == pytest.approx([-1.0, -1.0])
    assert np.isnan(agreement_reliability([0, 0], [0, 0], [1, 1]).panel.estimate)


def test_independent_labels_have_the_binomial_error() -> None:
    """Two annotators never meet again: every pair has its own two."""
    rng = np.random.default_rng(0)
    pair = np.repeat(np.arange(2000), 2)
    agree = rng.random(2000) < 0.8
    outcome = np.column_stack([np.ones(2000), agree]).ravel().astype(int)
    fit = agreement_reliability(pair, np.arange(4000), outcome)
    share = agree.mean()
    assert fit.panel.estimate == pytest.approx(2 * share - 1)
    assert fit.panel.error == pytest.approx(2 * np.sqrt(share * (1 - share) / 2000), rel=0.05)
    assert fit.panel.low < 0.6 < fit.panel.high


def test_a_coin_tosser_is_told_from_the_rest() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(2, size=400)
    pair, who = np.repeat(np.arange(400), 20), np.tile(np.arange(20), 400)
    right = rng.random(8000) < np.where(who == 19, 0.5, 0.9)
    outcome = np.where(right, truth[pair], 1 - truth[pair])
    fit = agreement_reliability(pair, who, outcome)
    assert fit.low[19] < 0 < fit.high[19]
    # .9 and .9 agree .82 of the time, .9 and .5 half the time: 18 of the one and one of the other among 19.
    assert fit.reliability[:19] == pytest.approx(np.full(19, 18 / 19 * 0.64), abs=0.1)
    assert (fit.low[:19] > 0.2).all()


@pytest.mark.parametrize("index", [5, 7])
def test_intervals_cover(index: int) -> None:
    """A small version of bench/annotator_intervals.py: 120 simulations, two standard errors around .92 to .975."""
    found = cover_reliability(DESIGNS[index], 120, 1)
    for truth, mean, covered in found.values():
        assert 0.87 <= covered <= 0.999
        assert mean == pytest.approx(truth, abs=0.03)


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="outcome"):
        agreement_reliability([0], [0], [2])
