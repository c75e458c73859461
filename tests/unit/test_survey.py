"""One pass over comparisons: a sample that the order of the rows does not change."""

from __future__ import annotations

import numpy as np

from candor.audits.preferences.survey import Numbered, survey
from candor.records import Choice
from judged import comparison


def numbered(count: int) -> list[Numbered]:
    return [
        Numbered(
            row=i + 1, comparison=comparison(Choice(best=i % 2), f"a{i}", f"b{i}", prompt=f"p{i}", identity=f"c{i}")
        )
        for i in range(count)
    ]


def test_a_small_file_is_kept_whole() -> None:
    found = survey(numbered(5), sample=10)
    assert list(found.sample) == [0, 1, 2, 3, 4]
    assert not found.sampled


def test_the_sample_is_of_the_size_and_does_not_depend_on_the_order() -> None:
    rows = numbered(300)
    forward, backward = survey(rows, sample=40), survey(rows[::-1], sample=40)
    assert len(forward.sample) == 40
    assert forward.sampled
    assert {c.id for c in forward.sample.values()} == {c.id for c in backward.sample.values()}
    assert {c.id for c in survey(rows, sample=40, seed=1).sample.values()} != {c.id for c in forward.sample.values()}


def test_the_sample_is_uniform() -> None:
    rows = numbered(200)
    places = np.concatenate([list(survey(rows, sample=20, seed=seed).sample) for seed in range(60)])
    counts = np.bincount(places // 50, minlength=4)  # 1,200 draws over four quarters
    assert np.all(np.abs(counts - 300) < 4 * np.sqrt(300))
