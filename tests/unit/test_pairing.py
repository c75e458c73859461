"""Judgements to pairs: who over whom, with what weight, and what was left out."""

from __future__ import annotations

import pytest

from candor.preferences.pairing import normalised_text, pair_comparisons, split_by_prompt, to_pairs
from candor.records import Choice, Comparison, Completion, Judgement, Message, Pair, Prompt, Ranking, Ratings


def comparison(judgement: Judgement, texts: str, *, prompt: str = "hello", number: int = 0) -> Comparison:
    """A comparison with one response per letter of ``texts``."""
    return Comparison(
        id=f"c{number}",
        prompt=Prompt(id=prompt, messages=(Message(role="user", content=prompt),)),
        responses=tuple(Completion(id=str(i), prompt_id=prompt, text=t) for i, t in enumerate(texts)),
        judgement=judgement,
        shown_order=tuple(range(len(texts))),
        annotator="rater-1",
    )


def told(pairs: list[Pair] | tuple[Pair, ...]) -> dict[str, float]:
    """'chosen > rejected' and its weight."""
    return {f"{p.chosen.text}>{p.rejected.text}": p.weight for p in pairs}


def test_a_choice_of_two_is_one_pair() -> None:
    (pair,) = to_pairs(comparison(Choice(best=1, strength=3.0), "ab"))
    assert (pair.chosen.text, pair.rejected.text, pair.weight, pair.margin) == ("b", "a", 1.0, 0.0)
    assert (pair.annotator, pair.comparison_id, pair.prompt.id) == ("rater-1", "c0", "hello")


def test_the_best_of_four_says_nothing_about_the_others() -> None:
    third = pytest.approx(1 / 3)
    assert told(to_pairs(comparison(Choice(best=2), "abcd"))) == {"c>a": third, "c>b": third, "c>d": third}


def test_a_ranking_is_all_its_ordered_pairs() -> None:
    sixth = pytest.approx(1 / 6)
    found = told(to_pairs(comparison(Ranking(order=((2,), (0,), (3,), (1,))), "abcd")))
    assert found == dict.fromkeys(("c>a", "c>d", "c>b", "a>d", "a>b", "d>b"), sixth)
    # Control: the reversed ranking has none of them.
    assert not found.keys() & told(to_pairs(comparison(Ranking(order=((1,), (3,), (0,), (2,))), "abcd"))).keys()


def test_a_partial_ranking_pairs_what_was_ranked() -> None:
    assert told(to_pairs(comparison(Ranking(order=((3,), (1,))), "abcd"))) == {"d>b": 1.0}


def test_a_tied_group_gives_no_pair_inside() -> None:
    report = pair_comparisons([comparison(Ranking(order=((0, 1), (2,))), "abc")])
    assert told(report.pairs) == {"a>c": pytest.approx(1 / 3), "b>c": pytest.approx(1 / 3)}
    assert report.dropped == {"tie": 1}


def test_ratings_pair_beyond_the_tie_band() -> None:
    rated = comparison(Ratings(scores=(4.0, 3.5, 1.0)), "abc")
    third = pytest.approx(1 / 3)
    assert told(to_pairs(rated)) == {"a>b": third, "a>c": third, "b>c": third}
    report = pair_comparisons([rated], tie_band=0.5)
    assert told(report.pairs) == {"a>c": third, "b>c": third}
    assert report.dropped == {"tie": 1}


def test_the_gap_of_ratings_is_kept_as_margin_on_request() -> None:
    rated = comparison(Ratings(scores=(1.0, 4.0)), "ab")
    assert [p.margin for p in to_pairs(rated)] == [0.0]
    (pair,) = to_pairs(rated, margin="gap")
    assert (pair.chosen.text, pair.margin) == ("b", 3.0)
    assert [p.margin for p in to_pairs(comparison(Choice(best=0), "ab"), margin="gap")] == [0.0]


def test_the_strength_of_a_choice_is_kept_as_margin_on_request() -> None:
    chosen = comparison(Choice(best=1, strength=3.0), "ab")
    assert [[p.margin for p in to_pairs(chosen, margin=m)] for m in ("none", "gap", "strength")] == [
        [0.0],
        [0.0],
        [3.0],
    ]
    assert [p.margin for p in to_pairs(comparison(Ratings(scores=(1.0, 4.0)), "ab"), margin="strength")] == [3.0]
    assert [p.margin for p in to_pairs(comparison(Ranking(order=((0,), (1,))), "ab"), margin="strength")] == [0.0]
    # Of a tie that is split nothing was preferred, and the best of three is so over each of the others.
    tied = to_pairs(comparison(Choice(best=None, tie=True, strength=3.0), "ab"), margin="strength", ties="split")
    assert [p.margin for p in tied] == [0.0, 0.0]
    three = to_pairs(comparison(Choice(best=2, strength=2.0), "abc"), margin="strength")
    assert [(p.margin, p.weight) for p in three] == [(2.0, 0.5), (2.0, 0.5)]


def test_ties_are_dropped_and_counted_or_split() -> None:
    tied = comparison(Choice(best=None, tie=True), "ab")
    report = pair_comparisons([tied])
    assert (report.pairs, report.dropped, report.comparisons) == ((), {"tie": 1}, 1)
    assert told(to_pairs(tied, ties="split")) == {"a>b": 0.5, "b>a": 0.5}
    ranked = to_pairs(comparison(Ranking(order=((0, 1), (2,))), "abc"), ties="split")
    assert sum(p.weight for p in ranked) == pytest.approx(1.0)


def test_both_bad_is_no_tie() -> None:
    report = pair_comparisons([comparison(Choice(best=None, both_bad=True), "ab")], ties="split")
    assert (report.pairs, report.dropped) == ((), {"both bad": 1})


def test_identical_responses_teach_nothing() -> None:
    report = pair_comparisons([comparison(Choice(best=0), "aa"), comparison(Ranking(order=((0,), (1,), (2,))), "aba")])
    assert told(report.pairs) == {"a>b": pytest.approx(1 / 3), "b>a": pytest.approx(1 / 3)}
    assert report.dropped == {"identical responses": 2}
    assert report.comparisons == 2


def test_a_choice_of_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match="c0"):
        to_pairs(comparison(Choice(best=None), "ab"))


def test_a_prompt_never_straddles_the_split() -> None:
    spellings = ("What is  UP {}?", "what is up {}?\n", "What is up {}?")  # the first has a full-width letter below
    data = [
        comparison(Choice(best=0), "ab", prompt=s.format(i).replace("UP", "\uff35P"), number=3 * i + j)
        for i in range(400)
        for j, s in enumerate(spellings)
    ]
    split = split_by_prompt(data, 0.25, seed=0)
    train, heldout = ({normalised_text(c.prompt) for c in part} for part in (split.train, split.heldout))
    assert not train & heldout
    assert len(train) + len(heldout) == 400
    assert len(split.train) == 3 * len(train)
    assert 0.16 < len(heldout) / 400 < 0.34  # four standard errors
    # Control: a split by comparison id would let prompts straddle.
    by_id = [{normalised_text(c.prompt) for c in data if (int(c.id[1:]) % 4 == 0) is side} for side in (True, False)]
    assert by_id[0] & by_id[1]


def test_a_prompts_side_depends_on_seed_and_text_alone() -> None:
    data = [comparison(Choice(best=0), "ab", prompt=f"p{i}") for i in range(200)]
    whole, half = split_by_prompt(data, 0.5, seed=0), split_by_prompt(data[::2], 0.5, seed=0)
    assert half.heldout == tuple(c for c in data[::2] if c in whole.heldout)
    assert split_by_prompt(data, 0.5, seed=1) != whole
    assert (split_by_prompt(data, 0.0, seed=0).heldout, split_by_prompt(data, 1.0, seed=0).train) == ((), ())
    with pytest.raises(ValueError, match="from 0 to 1"):
        split_by_prompt(data, 1.5, seed=0)
