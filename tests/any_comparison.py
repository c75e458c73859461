"""Every comparison that can be written: strategies for hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

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
text = st.text(alphabet=st.characters(codec="utf-8"), max_size=12)
any_text = st.text(alphabet=st.characters(), max_size=12)  # half a surrogate pair included


def prompts(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Prompt]:
    claims = st.builds(
        Claim,
        question=texts,
        truth=st.none() | texts,
        asserted=st.none() | texts,
        stance=st.sampled_from(Stance),
        strength=st.integers(0, 3),
    )
    return st.builds(
        Prompt,
        id=texts,
        messages=st.lists(
            st.builds(Message, role=st.sampled_from(["system", "user", "assistant"]), content=texts), max_size=3
        ).map(tuple),
        claim=st.none() | claims,
        tags=st.dictionaries(texts, texts, max_size=2),
    )


def completions(texts: st.SearchStrategy[str]) -> st.SearchStrategy[Completion]:
    return st.builds(
        Completion,
        id=texts,
        prompt_id=texts,
        text=texts,
        token_ids=st.lists(st.integers(0, 2**31), max_size=3).map(tuple),
        logprobs=st.lists(finite, max_size=3).map(tuple),
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
        st.builds(Ratings, scores=st.lists(st.floats(-1e6, 1e6), min_size=count, max_size=count).map(tuple)),
    )


@st.composite
def comparisons(draw: st.DrawFn, texts: st.SearchStrategy[str] = any_text, *, distinct: bool = False) -> Comparison:
    """A comparison of anything, judged in any way; ``distinct``: no two responses have the same text."""
    key: Any = (lambda c: c.text) if distinct else None
    responses = draw(st.lists(completions(texts), min_size=2, max_size=5, unique_by=key).map(tuple))
    return Comparison(
        id=draw(texts),
        prompt=draw(prompts(texts)),
        responses=responses,
        judgement=draw(judgements(len(responses))),
        shown_order=draw(st.just(()) | st.permutations(range(len(responses))).map(tuple)),
        annotator=draw(texts),
        seconds=draw(st.none() | finite),
        at=draw(st.none() | texts),
        source=draw(texts),
    )
