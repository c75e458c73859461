"""Whatever was compared: what a format says when it is read back was said, and what it does not say is counted."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from any_comparison import comparisons, orders, text
from candor.preferences.formats import TARGETS, Target, convert_comparisons, read_comparisons
from candor.preferences.formats.as_rows import two_by_two, unreadable
from candor.preferences.formats.hh import TURN_INSIDE
from candor.records import Choice, Comparison, Message, Ranking, Ratings

TWO_BY_TWO = ("trl", "trl-chat", "hh", "pairs", "chatbot-arena", "pku-saferlhf", "shp", "summarize-from-feedback")
"""Formats of two responses a row: what a format cannot hold is counted by the pair, elsewhere by the comparison."""

RANKINGS = ("nectar", "oasst", "oasst-trees")
RATINGS = ("ratings", "distilabel", "ultrafeedback", "ultrafeedback-binarized", "summarize-from-feedback-axes")

visible = st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=12).filter(str.strip)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


@st.composite
def asked(draw: st.DrawFn) -> tuple[Message, ...]:
    """A conversation that awaits a reply, a text to be summarised, or anything at all."""
    kind = draw(st.sampled_from(["conversation", "summary", "anything"]))
    if kind == "summary":
        heads = draw(st.sampled_from(["", "SUBREDDIT: r/aww\n\n", "TITLE: t\n\n", "SUBREDDIT: r/aww\n\nTITLE: t\n\n"]))
        start = draw(st.sampled_from([f"{heads}POST: ", "Article: "]))
        return (Message(role="user", content=f"{start}{draw(visible)}\n\nTL;DR:"),)
    if kind == "conversation":
        turns = draw(st.integers(0, 2)) * 2 + 1
        return tuple(Message(role="assistant" if i % 2 else "user", content=draw(visible)) for i in range(turns))
    roles = st.sampled_from(["system", "user", "assistant"])
    return tuple(draw(st.lists(st.builds(Message, role=roles, content=text), max_size=3)))


@st.composite
def fitting(draw: st.DrawFn, found: Comparison, to: str) -> Comparison:
    """A judgement of the kind that the format holds, about what it holds."""
    count, message = len(found.responses), Message(role="user", content="POST: It sleeps.\n\nTL;DR:")
    found = replace(found, prompt=replace(found.prompt, messages=(message,)), shown_order=tuple(range(count)))
    if to in RANKINGS:
        return replace(found, judgement=Ranking(order=draw(orders(count))))
    if to in RATINGS and to != "ultrafeedback-binarized":
        scores = draw(st.lists(st.floats(1, 5), min_size=count, max_size=count))
        return replace(found, judgement=Ratings(scores=tuple(scores)))
    found = replace(found, responses=found.responses[:2], shown_order=draw(st.sampled_from([(0, 1), (1, 0)])))
    if to in RATINGS:
        return replace(found, judgement=Ratings(scores=draw(st.tuples(st.floats(1, 5), st.floats(1, 5)))))
    best, strength = draw(st.integers(0, 1)), float(draw(st.integers(1, 3)))
    return replace(found, judgement=Choice(best=best, strength=strength))


def told(found: Comparison) -> Counter[object]:
    """What is said of each two responses, whatever their order; white space around texts is no part of a transcript."""
    messages = tuple((m.role, m.content.strip()) for m in found.prompt.messages)
    said: Counter[object] = Counter()
    for sided in two_by_two(found):
        texts = [sided.text(i).strip() for i in (sided.first, sided.second)]
        if sided.better == sided.second:
            texts.reverse()
        both = tuple(texts) if sided.better is not None else frozenset(texts)
        said[messages, both, sided.both_bad] += 1
    return said


@pytest.mark.parametrize("to", [name for name in TARGETS if name != "candor"])
@hypothesis.settings(max_examples=60)
@given(data=st.data())
def test_nothing_is_made_up_and_nothing_lost_in_silence(folder: Path, to: Target, data: st.DataObject) -> None:
    found = data.draw(comparisons(visible | text, distinct=True))
    found = replace(found, prompt=replace(found.prompt, messages=data.draw(asked())))
    hypothesis.assume(len({r.text.strip() for r in found.responses}) == len(found.responses))
    fits = all(response.text.strip() for response in found.responses) and data.draw(st.booleans())
    if fits:
        found = data.draw(fitting(found, to))
    path = folder / f"{to}.jsonl"
    written = convert_comparisons(path, [found], to=to)
    back: Counter[object] = Counter()
    if written.rows and not (to.startswith("trl") and unreadable(found)):  # TRL's writer leaves that to its reader
        for comparison in read_comparisons(path).comparisons:
            back += told(comparison)
    whole, lost = told(found), sum(written.dropped.values())
    assert not back - whole
    if fits:
        assert (back, lost) == (whole, 0) or TURN_INSIDE in written.dropped
    if to.startswith("trl"):
        return  # tests/property/test_formats_properties.py counts there
    if to in TWO_BY_TWO and lost != 1:
        assert back.total() + lost == whole.total()
    elif to in TWO_BY_TWO:
        assert back.total() in (whole.total() - 1, 0)  # one pair, or a comparison that no reader takes
    else:
        assert (back, lost) in ((whole, 0), (Counter(), 1))
