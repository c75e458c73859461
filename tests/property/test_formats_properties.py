"""What survives a file, whatever was compared; and that nothing in a file does more harm than a one-line error."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from any_comparison import any_text, comparisons, text
from candor.errors import InputError
from candor.preferences.dialogues import plain_prompt
from candor.preferences.formats import FORMATS, convert_comparisons, read_comparisons, stream_comparisons
from candor.preferences.pairing import pair_comparisons
from candor.records import Choice, Comparison, Message
from format_rows import FILES


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


@pytest.mark.parametrize("name", ["c.jsonl", "c.jsonl.gz", "c.jsonl.zst", "c.parquet"])
@hypothesis.settings(max_examples=25)
@given(data=st.data())
def test_candors_own_rows_lose_nothing(folder: Path, name: str, data: st.DataObject) -> None:
    texts = text if name == "c.parquet" else any_text  # Parquet has no half surrogate pairs
    wanted = data.draw(st.lists(comparisons(texts), min_size=1, max_size=3))
    written = convert_comparisons(folder / name, wanted)
    assert (written.rows, written.comparisons, written.dropped) == (len(wanted), len(wanted), {})
    report = read_comparisons(folder / name)
    assert report.comparisons == tuple(wanted)
    assert (report.rows, report.format, report.dropped) == (len(wanted), "candor", {})


# TRL -----------------------------------------------------------------------------------------------------------------

visible = st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=12).filter(str.strip)
spoken = visible.map(str.strip)


@st.composite
def dialogues(draw: st.DrawFn, to: str) -> tuple[Message, ...]:
    """Messages that await a reply: one of the user, as it is, or turn by turn; with a system message for the chat."""
    turns = draw(st.integers(0, 2)) * 2 + 1
    contents = spoken if turns > 1 and to == "trl" else visible
    messages = [Message(role="assistant" if i % 2 else "user", content=draw(contents)) for i in range(turns)]
    system = [Message(role="system", content=draw(visible))] if to == "trl-chat" and draw(st.booleans()) else []
    return (*system, *messages)


@pytest.mark.parametrize("to", ["trl", "trl-chat"])
@pytest.mark.parametrize("name", ["c.jsonl", "c.parquet"])
@hypothesis.settings(max_examples=40)
@given(data=st.data())
def test_what_a_pair_can_hold_comes_back(folder: Path, to: Any, name: str, data: st.DataObject) -> None:
    """Of a choice between two: the prompt, its claim and tags, texts, policies, who, how strongly, when, what was seen.

    Lost are ids of prompt and responses, tokens, sampling, and where it came from; the chosen response comes first.
    """
    comparison = data.draw(comparisons(visible, distinct=True))
    messages = data.draw(dialogues(to))
    two = replace(
        comparison,
        prompt=replace(comparison.prompt, messages=messages),
        responses=comparison.responses[:2],
        judgement=Choice(best=len(comparison.id) % 2, strength=2.5),
        shown_order=tuple(i for i in comparison.shown_order if i < 2),
    )
    hypothesis.assume(to == "trl-chat" or plain_prompt(messages) is not None)
    written = convert_comparisons(folder / f"{to}-{name}", [two], to=to)
    assert (written.rows, written.dropped) == (1, {})
    (back,) = read_comparisons(folder / f"{to}-{name}").comparisons
    best = two.judgement.best if isinstance(two.judgement, Choice) else None
    assert best is not None
    chosen, rejected = two.responses[best], two.responses[1 - best]
    assert (back.prompt.messages, back.prompt.claim, back.prompt.tags) == (
        two.prompt.messages, two.prompt.claim, two.prompt.tags
    )  # fmt: skip
    assert [(r.text, r.policy) for r in back.responses] == [(r.text, r.policy) for r in (chosen, rejected)]
    assert (back.judgement, back.id, back.annotator) == (Choice(best=0, strength=2.5), two.id, two.annotator)
    assert (back.seconds, back.at) == (two.seconds, two.at)
    assert [(best, 1 - best)[i] for i in back.shown_order] == list(two.shown_order)


@pytest.mark.parametrize("to", ["trl", "trl-chat"])
@hypothesis.settings(max_examples=40)
@given(comparison=comparisons(visible))
def test_what_a_pair_cannot_hold_is_counted(folder: Path, to: Any, comparison: Comparison) -> None:
    path = folder / f"counted-{to}.jsonl"
    written = convert_comparisons(path, [comparison], to=to)
    pairs = pair_comparisons([comparison])
    assert written.rows + sum(written.dropped.values()) == len(pairs.pairs) + sum(pairs.dropped.values())
    rows = [json.loads(line) for line in path.read_text().split("\n") if line]
    plain = to == "trl-chat" or plain_prompt(comparison.prompt.messages) is not None
    assert [row["weight"] for row in rows] == ([pair.weight for pair in pairs.pairs] if plain else [])
    assert {row["comparison_id"] for row in rows} <= {comparison.id}


# Fuzz ----------------------------------------------------------------------------------------------------------------

NAMES = [
    "prompt", "chosen", "rejected", "responses", "judgement", "instruction", "completions", "generations", "ratings",
    "response", "helpfulness", "response_1", "response_2", "preference_strength", "context", "response1", "response2",
    "overall_preference", "individual_preference", "answers", "message_id", "parent_id", "role", "text", "rank",
    "message_tree_id", "replies", "info", "summaries", "summary", "choice", "worker", "extra", "conversation_a",
    "conversation_b", "winner", "history", "human_ref_A", "human_ref_B", "labels", "score_ratio", "response_0",
    "better_response_id", "conversation_id", "user_prompt", "model_response", "score", "if_chosen", "turn",
    "conversation_history", "completion", "label", "response_a", "response_b", "rating", "annotator", "strength",
    "seconds", "at", "tstamp", "shown_first", "claim", "tags", "score_chosen", "score_rejected", "id", "content",
]  # fmt: skip
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-3, 3), st.floats(), st.text(max_size=6),
    st.sampled_from(["a", "b", "user", "assistant", "model_a", "tie", "\n\nHuman: x\n\nAssistant: y", "prompter", ""]),
)  # fmt: skip
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def changed(draw: st.DrawFn, value: Any) -> Any:
    """The value with something in it, at any depth, put in another's place, taken out or added."""
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        name = draw(st.sampled_from(sorted(value)))
        if draw(st.integers(0, 5)) == 0:
            return {key: kept for key, kept in value.items() if key != name}
        return {**value, name: draw(changed(value[name]))}
    if isinstance(value, list) and value and draw(st.integers(0, 4)):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], draw(changed(value[place])), *value[place + draw(st.integers(0, 1)) :]]
    return draw(values)


@st.composite
def files(draw: st.DrawFn) -> list[Any]:
    """Rows of one format, of which some are not what they should be, and perhaps one of no format at all."""
    data: list[Any] = list(FILES[draw(st.sampled_from(sorted(FILES)))])
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(data) - 1))
        data.insert(draw(st.integers(0, len(data))), draw(changed(data[place])))
    return data


def outcome(path: Path, *, skip_bad: bool) -> None:
    """Reads a file: fine, or an InputError in one line. A row is a comparison, or is counted."""
    stream, told = stream_comparisons(path, skip_bad=skip_bad), str(path)
    try:
        for _ in stream:
            pass
    except InputError as error:
        told = str(error)
    assert str(path) in told
    assert "\n" not in told
    assert all(found.count >= len(found.first_lines) > 0 for found in (*stream.dropped.values(), *stream.bad.values()))
    single = stream.format not in SEVERAL and callable(
        next(f.read for f in FORMATS if f.name == (stream.format or "trl"))
    )
    if skip_bad and single and stream.format:
        left_out = sum(found.count for found in (*stream.dropped.values(), *stream.bad.values()))
        assert stream.kept + left_out == stream.rows


SEVERAL = ("helpsteer2-preferences", "helpsteer3", "oasst-trees", "prism-conversations")
"""Formats of which a row may hold several comparisons."""


@hypothesis.settings(max_examples=200)
@given(data=files() | st.lists(values, min_size=1, max_size=4), skip_bad=st.booleans())
def test_any_json_gives_a_comparison_a_count_or_one_line(folder: Path, data: list[Any], skip_bad: bool) -> None:
    path = folder / "fuzz.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in data))
    outcome(path, skip_bad=skip_bad)
    (folder / "fuzz.json").write_text(json.dumps(data))
    outcome(folder / "fuzz.json", skip_bad=skip_bad)


GOOD = b'{"prompt": "p", "chosen": "a", "rejected": "b"}\n'


@pytest.mark.parametrize("name", ["f.jsonl", "f.json", "f.csv", "f.tsv", "f.parquet", "f.arrow"])
@hypothesis.settings(max_examples=40)
@given(
    data=st.binary(max_size=200), skip_bad=st.booleans(), start=st.sampled_from([b"", GOOD, b"PAR1", b"[", b"ARROW1"])
)
def test_any_bytes_give_one_line(folder: Path, name: str, data: bytes, skip_bad: bool, start: bytes) -> None:
    path = folder / name
    path.write_bytes(start + data)
    outcome(path, skip_bad=skip_bad)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
@hypothesis.settings(max_examples=40)
@given(place=st.integers(0, 10**6), byte=st.integers(0, 255), cut=st.integers(0, 10**6), skip_bad=st.booleans())
def test_damaged_packed_files_give_one_line(
    folder: Path, pack: Any, place: int, byte: int, cut: int, skip_bad: bool
) -> None:
    whole = bytearray(pack(b"".join(GOOD.replace(b"p", b"%d" % i) for i in range(50))))
    whole[place % len(whole)] = byte
    path = folder / "damaged.jsonl"
    path.write_bytes(bytes(whole[: len(whole) - cut % len(whole) // 2]))
    outcome(path, skip_bad=skip_bad)


@pytest.fixture(scope="module")
def columns(folder: Path) -> None:
    """A sound Parquet file and a sound Arrow file."""
    rows = folder / "sound.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in FILES["candor"] * 20))
    convert_comparisons(folder / "sound.parquet", read_comparisons(rows).comparisons)
    table = parquet.read_table(folder / "sound.parquet")
    with pa.OSFile(str(folder / "sound.arrow"), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)


flips = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=9)


@pytest.mark.usefixtures("columns")
@pytest.mark.parametrize("ending", [".parquet", ".arrow"])
@hypothesis.settings(max_examples=80)
@hypothesis.example(flips=[(99, 11)], skip_bad=False)  # a type that pyarrow has no arrays for
@given(flips=flips, skip_bad=st.booleans())
def test_damaged_columns_give_one_line(folder: Path, ending: str, flips: list[tuple[int, int]], skip_bad: bool) -> None:
    """An Arrow file is mapped into memory: a wrong offset ended the process before batches were checked."""
    damaged = bytearray((folder / f"sound{ending}").read_bytes())
    for place, byte in flips:
        damaged[place % len(damaged)] = byte
    path = folder / f"damaged{ending}"
    path.write_bytes(bytes(damaged))
    outcome(path, skip_bad=skip_bad)
