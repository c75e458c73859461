"""Comparisons as columns: against the records they came from, and the pairs against those that training uses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from candor.preferences.pairing import pair_comparisons
from candor.preferences.table import Judgements, Kind, TableBuilder, hash64
from candor.records import Choice, Comparison, Judgement, Ranking, Ratings
from judged import comparison


def table(*comparisons: Comparison) -> Judgements:
    builder = TableBuilder(lambda prompt, texts: [(float(len(text)),) for text in texts], ("length",))
    for row, made in enumerate(comparisons, start=1):
        builder.add(made, row=row, file="a.jsonl")
    return builder.build()


def test_columns_hold_what_the_records_say() -> None:
    made = table(
        comparison(Choice(best=1, strength=3.0), "a", "bb", shown=(1, 0)),
        comparison(Ranking(order=((2,), (0, 1))), "a", "bb", "ccc", annotator=""),
        comparison(Ratings(scores=(4.0, 2.0)), "a", "bb"),
        comparison(Choice(best=None, both_bad=True), "a", "bb"),
    )
    assert list(made.kinds) == [Kind.CHOICE, Kind.RANKING, Kind.RATINGS, Kind.CHOICE]
    assert list(made.starts) == [0, 2, 5, 7, 9]
    np.testing.assert_array_equal(made.values, [0, 1, -1, -1, 0, 4, 2, np.nan, np.nan])
    assert list(made.places) == [1, 0, *[-1] * 7]
    assert made.annotator_names == ("ann",)
    assert list(made.annotators) == [0, -1, 0, 0]
    assert list(made.strengths) == [3, 1, 1, 1]
    np.testing.assert_array_equal(made.feature("length"), [1, 2, 1, 2, 3, 1, 2, 1, 2])
    assert made.where(2) == ("a.jsonl", 3)
    assert made.items[0] == made.items[2] == made.items[5]  # one prompt, one text
    assert len(set(made.items)) == 3


def test_the_response_shown_first_comes_first() -> None:
    made = table(comparison(Choice(best=1, strength=2.0), "a", "bb", shown=(1, 0)))
    assert made.pairs.ordered.all()
    assert (made.pairs.first[0], made.pairs.second[0]) == (1, 0)
    assert made.pairs.outcome[0] == 1.0
    assert made.pairs.gap[0] == 2.0


def test_without_an_order_the_first_response_says_nothing_about_the_best() -> None:
    made = table(*(comparison(Choice(best=0), f"good {i}", f"bad {i}") for i in range(400)))
    assert not made.pairs.ordered.any()
    assert abs(made.pairs.outcome.mean() - 0.5) < 0.1  # in the file the best is always first


def test_one_unit_for_both_orders_and_a_fixed_side() -> None:
    seen = [comparison(Choice(best=0), "a", "b", shown=s) for s in ((0, 1), (1, 0))]
    turned = comparison(Choice(best=1), "b", "a")
    pairs = table(*seen, turned, comparison(Choice(best=0), "a", "b", prompt="Another?")).pairs
    assert len(set(pairs.unit[:3])) == 1
    assert pairs.unit[3] != pairs.unit[0]
    assert len(set(pairs.canonical_outcome[:3])) == 1
    assert list(pairs.outcome[:2]) == [1.0, 0.0]


def test_a_choice_says_nothing_about_the_others() -> None:
    pairs = table(comparison(Choice(best=2), "a", "b", "c")).pairs
    assert len(pairs) == 2
    assert {2} <= {int(i) for i in (*pairs.first, *pairs.second)}
    np.testing.assert_allclose(pairs.weight, 0.5)


def test_two_responses_with_one_text_are_no_pair() -> None:
    pairs = table(comparison(Ratings(scores=(1.0, 5.0, 3.0)), "a", "a", "b")).pairs
    assert len(pairs) == 2
    np.testing.assert_allclose(pairs.weight, 0.5)


def test_nothing_in_gives_nothing_out() -> None:
    made = table()
    assert len(made) == len(made.pairs) == 0


def test_too_few_features_are_refused() -> None:
    builder = TableBuilder(lambda prompt, texts: [() for _ in texts], ("length",))
    with pytest.raises(ValueError, match="expected 1 features, got 0"):
        builder.add(comparison(Choice(best=0), "a", "b"), row=1)


judgements = st.one_of(
    st.builds(Choice, best=st.integers(0, 3), strength=st.sampled_from([1.0, 2.0])),
    st.just(Choice(best=None, tie=True)),
    st.just(Choice(best=None, both_bad=True)),
    st.permutations(range(4)).map(lambda p: Ranking(order=((p[0],), (p[1], p[2]), (p[3],)))),
    st.lists(st.sampled_from([1.0, 2.0, 5.0]), min_size=4, max_size=4).map(lambda s: Ratings(scores=tuple(s))),
)


@given(st.lists(st.tuples(judgements, st.permutations(range(4)), st.booleans()), max_size=6))
@settings(max_examples=100, deadline=None)
def test_pairs_are_those_of_training(drawn: list[tuple[Judgement, list[int], bool]]) -> None:
    made = [
        comparison(judgement, "a", "b", "c", "d", prompt=f"p{i}", shown=tuple(shown) if known else ())
        for i, (judgement, shown, known) in enumerate(drawn)
    ]
    expected = {
        (pair.prompt.id, pair.chosen.text, pair.rejected.text) for pair in pair_comparisons(made, ties="split").pairs
    }
    columns = table(*made)
    text_of = {hash64(text): text for text in "abcd"}
    found = set()
    for c, i, j, outcome in zip(
        columns.pairs.comparison, columns.pairs.first, columns.pairs.second, columns.pairs.outcome, strict=True
    ):
        texts = text_of[columns.texts[i]], text_of[columns.texts[j]]
        for chosen, rejected, won in ((*texts, outcome > 0), (*texts[::-1], outcome < 1)):
            if won:
                found.add((made[c].prompt.id, chosen, rejected))
    assert found == expected
