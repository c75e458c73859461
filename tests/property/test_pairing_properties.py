"""What holds for every judgement and for every comparison that can be written."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from candor.preferences.formats import read_comparisons, write_comparisons
from candor.preferences.pairing import pair_comparisons, split_by_prompt, to_pairs
from candor.records import (
    Choice,
    Claim,
    Comparison,
    Completion,
    Judgement,
    Message,
    Prompt,
    Ranking,
    Ratings,
    Stance,
)

finite = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(max_size=20)
any_text = st.text(alphabet=st.characters(), max_size=20)  # lone surrogates included
prompts = st.builds(
    Prompt,
    id=texts,
    messages=st.lists(
        st.builds(Message, role=st.sampled_from(["system", "user", "assistant"]), content=any_text), max_size=3
    ).map(tuple),
    claim=st.none()
    | st.builds(
        Claim,
        question=texts,
        truth=st.none() | texts,
        asserted=st.none() | texts,
        stance=st.sampled_from(Stance),
        strength=st.integers(0, 3),
    ),
    tags=st.dictionaries(texts, texts, max_size=3),
)
completions = st.builds(
    Completion,
    id=texts,
    prompt_id=texts,
    text=any_text,
    token_ids=st.lists(st.integers(0, 2**31), max_size=4).map(tuple),
    logprobs=st.lists(finite, max_size=4).map(tuple),
    policy=texts,
    sampling=texts,
    stop_reason=st.sampled_from(["eos", "length", "given"]),
)


@st.composite
def orders(draw: st.DrawFn, count: int) -> tuple[tuple[int, ...], ...]:
    """An order of all indices with ties: a permutation cut into groups."""
    indices = draw(st.permutations(range(count)))
    cuts = sorted(draw(st.sets(st.integers(1, count - 1))))
    return tuple(tuple(indices[a:b]) for a, b in zip([0, *cuts], [*cuts, count], strict=True))


def judgements(count: int) -> st.SearchStrategy[Judgement]:
    return st.one_of(
        st.builds(Choice, best=st.integers(0, count - 1), strength=finite),
        st.builds(Choice, best=st.none(), tie=st.just(True)),
        st.builds(Choice, best=st.none(), both_bad=st.just(True)),
        st.builds(Ranking, order=orders(count)),
        st.builds(Ratings, scores=st.lists(st.floats(1, 5), min_size=count, max_size=count).map(tuple)),
    )


@st.composite
def comparisons(draw: st.DrawFn, *, distinct: bool = False) -> Comparison:
    key: Any = (lambda c: c.text) if distinct else None
    responses = draw(st.lists(completions, min_size=2, max_size=6, unique_by=key).map(tuple))
    return Comparison(
        id=draw(texts),
        prompt=draw(prompts),
        responses=responses,
        judgement=draw(judgements(len(responses))),
        shown_order=draw(st.just(()) | st.permutations(range(len(responses))).map(tuple)),
        annotator=draw(texts),
        seconds=draw(st.none() | finite),
        at=draw(st.none() | texts),
        source=draw(texts),
    )


@given(st.lists(comparisons(), min_size=1, max_size=4), st.sampled_from(["c.jsonl", "c.jsonl.gz"]))
def test_comparisons_survive_writing_and_reading(data: list[Comparison], name: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "deeper" / name
        assert write_comparisons(path, data) == len(data)
        report = read_comparisons(path)
        assert [p.name for p in path.parent.iterdir()] == [name]  # nothing temporary stays
    assert report.comparisons == tuple(data)
    assert (report.rows, report.dropped, report.format) == (len(data), {}, "candor")


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
