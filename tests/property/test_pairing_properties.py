"""What holds for every judgement."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from any_comparison import comparisons
from candor.preferences.pairing import pair_comparisons, split_by_prompt, to_pairs
from candor.records import Choice, Comparison, Completion, Prompt, Ranking, Ratings


@given(comparisons(distinct=True))
def test_total_weight_is_one_when_ties_are_split(comparison: Comparison) -> None:
    total = sum(pair.weight for pair in to_pairs(comparison, ties="split"))
    both_bad = isinstance(comparison.judgement, Choice) and comparison.judgement.both_bad
    assert total == pytest.approx(0.0 if both_bad else 1.0)


def test_dropped_ties_take_their_weight_along() -> None:
    """The control of the check above: it does not hold for whatever options."""
    responses = tuple(Completion(id=t, prompt_id="p", text=t) for t in "abc")
    tied = Comparison(
        id="c",
        prompt=Prompt(id="p", messages=()),
        responses=responses,
        judgement=Ranking(order=((0, 1), (2,))),
        shown_order=(),
    )
    assert sum(pair.weight for pair in to_pairs(tied, ties="drop")) == pytest.approx(2 / 3)


@given(comparisons())
def test_every_judged_pair_is_kept_or_counted(comparison: Comparison) -> None:
    count = len(comparison.responses)
    decided = isinstance(comparison.judgement, Choice) and comparison.judgement.best is not None
    report = pair_comparisons([comparison])
    assert len(report.pairs) + sum(report.dropped.values()) == (count - 1 if decided else math.comb(count, 2))


@given(comparisons(distinct=True))
def test_pairs_agree_with_the_judgement(comparison: Comparison) -> None:
    place = {response.text: i for i, response in enumerate(comparison.responses)}
    for pair in to_pairs(comparison):
        a, b = place[pair.chosen.text], place[pair.rejected.text]
        match comparison.judgement:
            case Choice(best=best):
                assert a == best != b
            case Ranking(order=order):
                group = {index: rank for rank, indices in enumerate(order) for index in indices}
                assert group[a] < group[b]
            case Ratings(scores=scores):
                assert scores[a] > scores[b]


@given(st.lists(comparisons(), max_size=6), st.floats(0, 1), st.integers(0, 5))
def test_a_split_keeps_every_comparison_once(data: list[Comparison], share: float, seed: int) -> None:
    split = split_by_prompt(data, share, seed)
    assert sorted(map(repr, [*split.train, *split.heldout])) == sorted(map(repr, data))
    assert split_by_prompt(data, share, seed) == split
