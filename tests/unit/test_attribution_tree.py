"""Attribution against the enumerated truth of a pipeline on the token tree (the bench runs 100 repetitions of it)."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from bench.attribution_tree import CLEAN, FACTORS, Planted, coverage, outcomes

from candor.experiments.attribution.effects import effects


def test_shapley_values_are_those_of_all_orders() -> None:
    table = outcomes(Planted(), None)
    said = {effect.name: effect.estimate for effect in effects(table[None], FACTORS).shapley}
    for i, name in enumerate(FACTORS):
        added = []
        for order in itertools.permutations(range(3)):
            before = tuple(int(order.index(j) < order.index(i)) for j in range(3))
            after = tuple(1 if j == i else one for j, one in enumerate(before))
            added.append(table[after] - table[before])
        assert said[name] == pytest.approx(float(np.mean(added)), abs=1e-12)
        assert len(added) == math.factorial(3)
    assert sum(said.values()) == pytest.approx(table[1, 1, 1] - table[0, 0, 0])
    assert said["labels"] > said["demonstrations"] > 0.05  # the larger planting has the larger value


def test_intervals_hold_the_truth_and_a_clean_pipeline_is_not_blamed() -> None:
    held, _, claimed, wide = coverage(Planted(), 6, 4)
    assert np.mean(list(held.values())) >= 0.8
    assert claimed == 1.0
    assert np.mean(wide) < 0.03
    _, truth, claimed, _ = coverage(CLEAN, 6, 4)
    assert claimed <= 1 / 6
    assert truth.total.estimate == pytest.approx(0.0, abs=1e-12)
