"""Krippendorff's alpha: the published example, the definition by brute force, invariances, coverage."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candor.audits.preferences.alpha import Level, agreement, alpha, chance, coding, measure

# Krippendorff (2011), section C: four observers, twelve units, values missing.
NONE = float("nan")
EXAMPLE = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3],
        [NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE],
    ]
)
PUBLISHED: dict[Level, float] = {"nominal": 0.743, "ordinal": 0.815, "interval": 0.849}
LEVELS: tuple[Level, ...] = ("nominal", "ordinal", "interval")


def long(table: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    coders, units = np.indices(table.shape).reshape(2, -1)
    return units, coders, table.ravel(), units


def by_definition(table: np.ndarray, level: str) -> float:
    """Over all pairs of values, as the definition says; slow."""
    columns = [column[np.isfinite(column)] for column in table.T]
    columns = [column for column in columns if len(column) >= 2]
    pooled = np.concatenate(columns)
    counts = {value: np.sum(pooled == value) for value in np.unique(pooled)}

    def ordinal(c: float, k: float) -> float:
        low, high = min(c, k), max(c, k)
        between = sum(n for value, n in counts.items() if low <= value <= high)
        return float(between - (counts[c] + counts[k]) / 2) ** 2

    metrics: dict[str, Callable[[float, float], float]] = {
        "nominal": lambda c, k: float(c != k),
        "ordinal": lambda c, k: ordinal(c, k) if c != k else 0.0,
        "interval": lambda c, k: (c - k) ** 2,
        "ratio": lambda c, k: ((c - k) / (c + k)) ** 2,
    }
    metric = metrics[level]

    def disagreement(values: np.ndarray) -> float:
        return sum(metric(a, b) for i, a in enumerate(values) for j, b in enumerate(values) if i != j)

    observed = sum(disagreement(column) / (len(column) - 1) for column in columns) / len(pooled)
    expected = disagreement(pooled) / (len(pooled) * (len(pooled) - 1))
    return 1 - observed / expected if expected else float("nan")


@pytest.mark.parametrize("level", LEVELS)
def test_the_published_example(level: Level) -> None:
    assert alpha(coding(*long(EXAMPLE), level=level)) == pytest.approx(PUBLISHED[level], abs=5e-4)


def test_the_definition_gives_the_published_figures_too() -> None:
    published = {**PUBLISHED, "ratio": 0.797}
    assert {level: round(by_definition(EXAMPLE, level), 3) for level in published} == published


tables = st.integers(0, 2**32 - 1).map(np.random.default_rng)


@settings(max_examples=60, deadline=None)
@given(tables, st.sampled_from(LEVELS))
def test_any_table_with_missing_values_gives_what_the_definition_gives(rng: np.random.Generator, level: Level) -> None:
    table = rng.integers(1, 5, size=(rng.integers(2, 6), rng.integers(2, 12))).astype(float)
    table[rng.random(table.shape) < 0.3] = NONE
    made = coding(*long(table), level=level)
    if not made.n:
        assert np.isnan(alpha(made))
        return
    expected = by_definition(table, level)
    assert alpha(made) == pytest.approx(expected, abs=1e-9, nan_ok=True)


@settings(max_examples=30, deadline=None)
@given(tables, st.sampled_from(LEVELS))
def test_names_and_order_do_not_matter_nor_does_the_unit_of_an_interval(rng: np.random.Generator, level: Level) -> None:
    table = rng.integers(1, 5, size=(4, 15)).astype(float)
    table[rng.random(table.shape) < 0.2] = NONE
    units, coders, values, clusters = long(table)
    order = rng.permutation(len(values))
    renamed = (units * 7 + 3)[order], (9 - coders)[order], (values * 2.5 + 4)[order], (clusters * 5)[order]
    before, after = coding(units, coders, values, clusters, level=level), coding(*renamed, level=level)
    assert alpha(after) == pytest.approx(alpha(before), nan_ok=True)
    if level == "nominal":
        assert agreement(after) == pytest.approx(agreement(before), nan_ok=True)


def test_a_coder_who_repeats_a_unit_counts_once_and_never_agrees_with_themselves() -> None:
    units, coders, values = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 0, 1]), np.array([1.0, 1, 0, 1, 1])
    made = coding(units, coders, values, units, level="nominal")
    assert made.n == 4
    assert agreement(made) == 0.5  # 2/3 if the repeat were somebody else
    halves = coding(units, coders, np.array([1.0, 0, 0, 1, 1]), units, level="nominal")
    assert agreement(halves) == 0.75  # one of the two repeats agrees with the other coder


def panel(rng: np.random.Generator, *, coders: int, units: int, spread: float = 1.5, skill: float = 0.0) -> np.ndarray:
    """Yes or no of some of the coders to each unit, who differ by ``skill``."""
    logit = rng.normal(0, spread, units)
    reliability = np.exp(rng.normal(0, skill, coders))
    table = (rng.random((coders, units)) < 1 / (1 + np.exp(-reliability[:, None] * logit))).astype(float)
    table[rng.random(table.shape) < 0.8] = NONE
    return table


def test_drawing_coders_agrees_with_leaving_them_out() -> None:
    """The jackknife over coders of Arvesen (1969), by recomputing, is the oracle of the matrix products."""
    table = panel(np.random.default_rng(3), coders=40, units=300, skill=0.8)
    found = measure(coding(*long(table), level="nominal"), seed=0).alpha
    left_out = np.array([alpha(coding(*long(np.delete(table, i, axis=0)), level="nominal")) for i in range(len(table))])
    jackknife = np.sqrt((len(table) - 1) * np.var(left_out))
    assert found.over_coders is not None
    width = (found.over_coders.high - found.over_coders.low) / 3.92
    assert width == pytest.approx(jackknife, rel=0.3)
    assert found.over_coders.low < found.estimate < found.over_coders.high


def test_intervals_over_clusters_cover() -> None:
    big = alpha(coding(*long(panel(np.random.default_rng(0), coders=30, units=20_000)), level="nominal"))
    covered = 0
    for seed in range(60):
        made = coding(*long(panel(np.random.default_rng(seed + 1), coders=30, units=100)), level="nominal")
        interval = measure(made, seed=seed, resamples=400, over_coders=False).alpha.over_clusters
        assert interval is not None
        covered += interval.low <= big <= interval.high
    assert covered >= 51  # 95% of 60 is 57; fewer than 51 has probability .001


def test_chance_is_zero_and_noise_lies_within_it() -> None:
    rng = np.random.default_rng(5)
    noise = panel(rng, coders=30, units=300, spread=0.0)
    signal = panel(rng, coders=30, units=300)
    by_chance = chance(coding(*long(noise), level="nominal"), seed=1).alpha
    assert by_chance.low < 0 < by_chance.high
    assert by_chance.low < alpha(coding(*long(noise), level="nominal")) < by_chance.high
    assert (
        alpha(coding(*long(signal), level="nominal"))
        > chance(coding(*long(signal), level="nominal"), seed=1).alpha.high
    )


def test_with_few_coders_there_is_no_interval_over_them() -> None:
    assert measure(coding(*long(EXAMPLE), level="interval"), seed=0).alpha.over_coders is None


def test_blocks_of_many_clusters_give_the_same_width(monkeypatch: pytest.MonkeyPatch) -> None:
    made = coding(*long(panel(np.random.default_rng(9), coders=20, units=900)), level="nominal")
    whole = measure(made, seed=0).alpha.over_clusters
    monkeypatch.setattr("candor.audits.preferences.alpha.MOST_BLOCKS", 150)
    monkeypatch.setattr("candor.audits.preferences.alpha.MOST_CODER_BLOCKS", 10)
    blocks = measure(made, seed=0).alpha.over_clusters
    assert whole is not None
    assert blocks is not None
    assert blocks.high - blocks.low == pytest.approx(whole.high - whole.low, rel=0.25)
