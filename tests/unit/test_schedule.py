"""Learning-rate factors against their closed forms."""

from __future__ import annotations

import math

import pytest

from candor.training.schedule import Schedule, constant, cosine, linear


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (constant, [1.0, 1.0, 1.0, 1.0]),
        (linear, [1.0, 0.75, 0.5, 0.25]),
        (cosine, [1.0, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]),
    ],
)
def test_four_updates_without_warmup(schedule: Schedule, expected: list[float]) -> None:
    assert [schedule(step, 4, 0) for step in range(4)] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("schedule", [linear, cosine])
def test_it_reaches_zero_after_the_last_update_not_before(schedule: Schedule) -> None:
    assert schedule(99, 100, 10) > 0
    assert schedule(100, 100, 10) == pytest.approx(0, abs=1e-12)
    assert schedule(150, 100, 10) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("schedule", [constant, linear, cosine])
def test_warmup_rises_from_above_zero_and_joins_at_one(schedule: Schedule) -> None:
    assert [schedule(step, 20, 4) for step in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


@pytest.mark.parametrize("schedule", [constant, linear, cosine])
@pytest.mark.parametrize(("total", "warmup"), [(1, 0), (1, 1), (3, 3), (2, 9)])
def test_short_runs_stay_within_bounds_and_always_learn(schedule: Schedule, total: int, warmup: int) -> None:
    assert all(0 < schedule(step, total, warmup) <= 1 for step in range(total))


def test_cosine_and_linear_spend_the_same_in_all() -> None:
    # Both average 1/2 over the run (the trapezoid sum of a half cosine equals that of a line).
    for schedule in (linear, cosine):
        assert sum(schedule(step, 50, 0) for step in range(50)) == pytest.approx(25.5)
