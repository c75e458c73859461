"""One pass over a source: counts, malformed rows, limits, and memory that does not grow."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import candor.jsonl
from candor.errors import InputError
from candor.preferences.formats import (
    Dropped,
    Numbered,
    fetch_comparisons,
    read_comparisons,
    stream_comparisons,
    write_comparisons,
)

HH_FILE = Path(__file__).parents[3] / "shared/data/hh_rlhf_harmless_test/harmless-base_test.jsonl.gz"
GOOD = {"prompt": "p", "chosen": "a", "rejected": "b"}


def lines(*rows: Any) -> bytes:
    return b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)


BAD = lines(
    GOOD,
    b'{"prompt": ',
    {**GOOD, "chosen": 5},
    b'{"prompt": "caf\xe9"}',
    {"prompt": "p", "chosen": "a"},
    {**GOOD, "chosen": ""},
    [1, 2],
    {**GOOD, "chosen": [{"role": "tool", "content": "x"}], "rejected": []},
    {"prompt": "p", "response": "r", "rating": 3},
    b"",
    GOOD,
)


def test_malformed_rows_are_counted_and_the_reading_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(BAD)
    stream = stream_comparisons(path, skip_bad=True)
    assert (stream.format, stream.rows, stream.kept, stream.dropped, stream.bad) == ("", 0, 0, {}, {})
    items = list(stream)
    assert [(type(item), item.row, item.path) for item in items] == [(Numbered, 1, path), (Numbered, 11, path)]
    assert (stream.format, stream.rows, stream.kept) == ("trl", 10, 2)
    assert stream.dropped == {"a reply is empty": Dropped(count=1, first_lines=(6,), first_files=("",))}
    assert {reason: bad.first_lines for reason, bad in stream.bad.items()} == {
        "not valid JSON": (2,),
        "field 'chosen': expected a string or a list of messages, found a number": (3,),
        "not UTF-8 text": (4,),
        "field 'rejected': the field is missing": (5,),
        "expected a JSON object, found a list": (7,),
        "field 'chosen[...].role': unknown role": (8,),
        "a row in another format": (9,),
    }
    assert sum(bad.count for bad in stream.bad.values()) == 7
    with pytest.raises(InputError, match="line 2: not valid JSON"):
        list(stream_comparisons(path))


def test_a_stream_can_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(BAD)
    stream = stream_comparisons(path, skip_bad=True)
    first, told = list(stream), (stream.rows, stream.kept, stream.dropped, stream.bad)
    assert list(stream) == first
    assert (stream.rows, stream.kept, stream.dropped, stream.bad) == told


def test_what_fills_while_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(lines(*[GOOD] * 20_000))
    stream = stream_comparisons(path)
    reading = iter(stream)
    for _ in range(10_000):
        next(reading)
    assert (stream.rows, stream.kept, stream.format) == (10_000, 10_000, "trl")
    assert stream.share is not None
    assert 0.4 < stream.share < 0.6
    assert sum(1 for _ in reading) == 10_000
    assert stream.share == 1.0


def test_only_the_first_lines_of_a_reason_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(lines(GOOD, *[{**GOOD, "chosen": ""}] * 30, *[b"{"] * 25))
    stream = stream_comparisons(path, skip_bad=True)
    assert len(list(stream)) == 1
    assert stream.dropped["a reply is empty"] == Dropped(
        count=30, first_lines=tuple(range(2, 22)), first_files=("",) * 20
    )
    assert (stream.bad["not valid JSON"].count, len(stream.bad["not valid JSON"].first_lines)) == (25, 20)
    # Reading into memory keeps them all, as the tests and reports of earlier versions expect.
    assert len(read_comparisons(path, skip_bad=True).dropped["a reply is empty"]) == 30


def test_reasons_do_not_grow_without_end(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(lines(GOOD, *({**GOOD, "tags": {f"t{i}": 5}} for i in range(500))))
    stream = stream_comparisons(path, skip_bad=True)
    assert len(list(stream)) == 1
    assert len(stream.bad) == 101
    assert stream.bad["other reasons"].count == 400


def test_nothing_left(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(lines({**GOOD, "chosen": ""}, b"{", {**GOOD, "chosen": ""}))
    with pytest.raises(InputError, match="none of the 3 rows holds a comparison: 2 x a reply is empty; 1 x not valid"):
        list(stream_comparisons(path, skip_bad=True))
    path.write_bytes(b"\n{\n\n")
    with pytest.raises(InputError, match="none of the 1 rows holds a comparison: 1 x not valid JSON"):
        list(stream_comparisons(path, skip_bad=True))


def test_a_file_whose_first_rows_are_bad_is_known_by_a_later_one(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(lines(b"{", {"question": "x"}, GOOD, GOOD))
    stream = stream_comparisons(path, skip_bad=True)
    assert (len(list(stream)), stream.format) == (2, "trl")
    assert sum(bad.count for bad in stream.bad.values()) == 2
    path.write_bytes(lines({"question": "x"}, {"question": "y"}))
    with pytest.raises(InputError, match="line 1: not a known format of comparisons, fields: question"):
        list(stream_comparisons(path, skip_bad=True))


# Long lines ----------------------------------------------------------------------------------------------------------


def test_a_line_of_50_mb_is_read_and_a_longer_one_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "long.jsonl"
    path.write_bytes(lines(GOOD, {**GOOD, "chosen": "x" * 50_000_000}, GOOD))
    tracemalloc.start()
    assert [len(item.comparison.responses[0].text) for item in stream_comparisons(path)] == [1, 50_000_000, 1]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4.5 * 50_000_000  # the line, its parts while it is put together, and its text
    monkeypatch.setattr(candor.jsonl, "LINE_LIMIT", 2**20)
    with pytest.raises(InputError, match="line 2: the line is too long: 48 MiB, the limit is 1 MiB"):
        list(stream_comparisons(path))
    tracemalloc.start()
    stream = stream_comparisons(path, skip_bad=True)
    assert [item.row for item in stream] == [1, 3]
    assert tracemalloc.get_traced_memory()[1] < 8 * 2**20  # it was never in memory
    tracemalloc.stop()
    assert stream.bad["the line is too long"].first_lines == (2,)


def test_a_quote_that_is_never_closed_does_not_take_the_file_into_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("candor.preferences.containers.tables.LINE_LIMIT", 10_000)
    path = tmp_path / "p.csv"
    path.write_text('prompt,chosen,rejected\na,b,c\n"a,b,c\n' + "a,b,c\n" * 3_000)
    stream = stream_comparisons(path, skip_bad=True)
    assert len(list(stream)) > 1_000
    assert stream.bad["the record is too long"].first_lines == (3,)


def test_a_value_of_a_list_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("candor.preferences.containers.lists.LINE_LIMIT", 400_000)
    path = tmp_path / "p.json"
    path.write_text(json.dumps([GOOD, {**GOOD, "chosen": "x" * 5_000_000}]))
    with pytest.raises(InputError, match="item 2: the value is too long"):
        list(stream_comparisons(path))


def test_a_small_file_that_unpacks_to_a_large_one(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    text = lines(GOOD) + b" " * 200_000_000 + b"\n" + lines(GOOD)
    for name, packed in (("z.jsonl.zst", zstandard.compress(text)), ("z.jsonl.gz", gzip.compress(text, 1))):
        (tmp_path / name).write_bytes(packed)
    del text
    for name in ("z.jsonl.zst", "z.jsonl.gz"):
        tracemalloc.start()
        stream = stream_comparisons(tmp_path / name, skip_bad=True)
        assert len(list(stream)) == 2
        assert tracemalloc.get_traced_memory()[1] < 180e6
        tracemalloc.stop()


# Memory --------------------------------------------------------------------------------------------------------------


def peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


MEASURE = """
import re, sys
from candor.preferences.formats import read_comparisons, stream_comparisons
if sys.argv[1] == "stream":
    for _ in stream_comparisons(sys.argv[2]):
        pass
else:
    read_comparisons(sys.argv[2])
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


def resident_kilobytes(how: str, path: Path) -> int:
    command = [sys.executable, "-c", MEASURE, how, str(path)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not say how much was resident")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    for count in (10_000, 100_000):
        (tmp_path / f"{count}.jsonl").write_bytes(lines(GOOD) * count)
    few, many = (resident_kilobytes("stream", tmp_path / f"{count}.jsonl") for count in (10_000, 100_000))
    assert many < few + 3_000
    # Control: all of them at once do not fit into that.
    assert resident_kilobytes("read", tmp_path / "100000.jsonl") > few + 50_000


@pytest.mark.parametrize("name", ["p.jsonl.gz", "p.jsonl.zst", "p.parquet", "p.json", "p.csv"])
def test_memory_does_not_grow_in_other_containers(tmp_path: Path, name: str) -> None:
    texts = [hashlib.shake_128(b"%d" % i).hexdigest(150) for i in range(6_000)]  # cannot be packed into nothing
    peaks = {}
    for count in (1_500, 6_000):
        path = tmp_path / f"{count}-{name}"
        if name == "p.json":
            path.write_text(json.dumps([{**GOOD, "chosen": text} for text in texts[:count]]))
        elif name == "p.csv":
            path.write_text("prompt,chosen,rejected\n" + "".join(f"p,{text},b\n" for text in texts[:count]))
        else:
            rows = tmp_path / "rows.jsonl"
            rows.write_bytes(lines(*({**GOOD, "chosen": text} for text in texts[:count])))
            write_comparisons(path, read_comparisons(rows).comparisons, to="trl")
        stream = stream_comparisons(path)
        assert sum(1 for _ in stream) == count  # what is loaded once is not measured
        peaks[count] = peak_bytes(lambda stream=stream: [None for _ in stream])
    assert peaks[6_000] < 1.3 * peaks[1_500] + 100_000


def test_ratings_that_stand_together_are_read_with_little_memory(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{i}", "response": f"{k} " + "x" * 500, "rating": k} for i in range(1_000) for k in range(2)]
    peaks = []
    for name, order in (("sorted", rows), ("scattered", [*rows[::2], *rows[1::2]])):
        path = tmp_path / f"{name}.jsonl"
        path.write_bytes(lines(*order))
        peaks.append(peak_bytes(lambda path=path: [None for _ in stream_comparisons(path)]))
        assert sum(1 for _ in stream_comparisons(path)) == 1_000
    assert peaks[0] < 0.4 * peaks[1]


# Single rows ---------------------------------------------------------------------------------------------------------


def test_rows_can_be_fetched_and_the_others_are_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(lines(GOOD, b"broken", {**GOOD, "prompt": "third"}, b"broken", {**GOOD, "chosen": ""}))
    (found,) = fetch_comparisons(path, {3, 5})
    assert (found.row, found.comparison.prompt.messages[0].content) == (3, "third")
    with pytest.raises(InputError, match="line 4"):
        fetch_comparisons(path, {4})
    assert fetch_comparisons(path, set()) == ()


def test_rows_of_comparisons_that_are_spread_over_rows(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(lines(*({"prompt": f"p{i % 3}", "response": f"r{i}", "rating": i} for i in range(6))))
    assert [item.row for item in stream_comparisons(path)] == [1, 2, 3]
    (found,) = fetch_comparisons(path, {2})
    assert [r.text for r in found.comparison.responses] == ["r1", "r4"]


@pytest.mark.skipif(not HH_FILE.exists(), reason=f"{HH_FILE} is not on this machine")
def test_the_real_hh_file_streams_as_it_reads() -> None:
    stream = stream_comparisons(HH_FILE)
    items = list(stream)
    assert (stream.format, stream.rows, stream.kept, len(items)) == ("hh", 2312, 2303, 2303)
    assert {reason: found.count for reason, found in stream.dropped.items()} == {
        "a reply is empty": 4,
        "chosen and rejected have different prompts": 5,
    }
    assert fetch_comparisons(HH_FILE, [items[700].row]) == (items[700],)
