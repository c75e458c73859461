"""The bench of planted bias in small: intervals cover, clean data stay clean, and naive intervals do not cover."""

from __future__ import annotations

import numpy as np
import pytest
from bench.planted_bias import SIDE, calibrated, clean, lines, many, one
from bench.planted_files import PLANTED, Setting, simulate
from scipy.stats import binom

SMALL = Setting(name="small", comparisons=1500, annotators=24, labels=(2,), load=3.0, weights=0.4)
SIMULATIONS = 60


@pytest.fixture(scope="module")
def measured():
    truth = calibrated(SMALL, 5, times=60)
    outcome = many(SMALL, truth.planted, SIMULATIONS, seed=1)
    return list(lines(SMALL, truth.effects, outcome)), outcome


def test_intervals_cover_the_population_average(measured):
    found, _ = measured
    assert len(found) == len(PLANTED)
    covered = sum(round(line.coverage * SIMULATIONS) for line in found)
    low, high = binom.ppf([0.001, 0.999], len(PLANTED) * SIMULATIONS, 0.95)
    assert low <= covered <= high


def test_naive_intervals_do_not(measured):
    found, _ = measured
    covered = sum(round(line.naive * SIMULATIONS) for line in found)
    assert covered < binom.ppf(0.001, len(PLANTED) * SIMULATIONS, 0.95)


def test_estimates_are_not_biased_and_their_errors_are_of_the_right_size(measured):
    found, outcome = measured
    for line in found:
        assert abs(line.bias) < 4 * np.mean(outcome.errors) / np.sqrt(SIMULATIONS)
        assert 0.7 < line.error_ratio < 1.4  # of 60: the standard deviation is known to 9%


def test_the_typical_annotators_own_weight_is_another_and_larger_number(measured):
    """Why the truth is taken from a large draw: heterogeneity and lapses shrink the population average."""
    truth = calibrated(SMALL, 5, times=20)
    side = next(effect for effect in truth.effects if effect.name == SIDE)
    assert truth.planted[SIDE] > 1.1 * side.estimate


def test_clean_data_are_seldom_flagged():
    clean_setting = Setting(**{**{f: getattr(SMALL, f) for f in SMALL.__dataclass_fields__}, "longer_is_better": 0.0})
    found = clean(clean_setting, many(clean_setting, {}, SIMULATIONS, seed=2))
    assert found.any_flagged * SIMULATIONS <= binom.ppf(0.999, SIMULATIONS, 0.05)
    assert found.flagged <= 0.03


def test_one_seed_gives_one_file():
    first, second = (simulate(SMALL, {}, np.random.default_rng(3)).judgements for _ in range(2))
    np.testing.assert_array_equal(first.values, second.values)
    assert one(SMALL, {}, 3) == one(SMALL, {}, 3)
