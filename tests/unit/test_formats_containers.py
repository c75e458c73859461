"""Where rows come from: each kind of file, its row numbers, and how it fails."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import zstandard
from pyarrow import parquet

from candor.errors import InputError
from candor.jsonl import Malformed, Row
from candor.preferences.containers import check_source, open_source, stem
from candor.preferences.containers.objects import row_dicts
from candor.preferences.formats import fetch_comparisons, read_comparisons, stream_comparisons
from candor.records import Choice, Ratings
from disks import bound_by_permissions

Rows = Sequence[dict[str, Any]]
ROWS: list[dict[str, Any]] = [
    {"prompt": f"question {i}", "chosen": f"good, {i}", "rejected": f'bad "{i}"\nindeed'} for i in range(5)
]


def as_lines(rows: Rows) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def as_table(rows: Rows, delimiter: str = ",") -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def as_parquet(rows: Rows) -> bytes:
    out = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(list(rows)), out, row_group_size=2)
    return out.getvalue()


def as_arrow(rows: Rows, new: Callable[..., Any] = pa.ipc.new_stream) -> bytes:
    out, table = io.BytesIO(), pa.Table.from_pylist(list(rows))
    with new(out, table.schema) as writer:
        writer.write_table(table, max_chunksize=2)
    return out.getvalue()


KINDS: dict[str, tuple[Callable[[Rows], bytes], str]] = {
    "p.jsonl": (as_lines, "line"),
    "p.jsonl.gz": (lambda rows: gzip.compress(as_lines(rows)), "line"),
    "p.jsonl.zst": (lambda rows: zstandard.compress(as_lines(rows)), "line"),
    "p.ndjson": (as_lines, "line"),
    "no-ending": (as_lines, "line"),
    "lines.json": (as_lines, "line"),
    "p.json": (lambda rows: json.dumps(list(rows), indent=2).encode(), "item"),
    "p.json.gz": (lambda rows: gzip.compress(json.dumps(list(rows)).encode()), "item"),
    "p.csv": (as_table, "line"),
    "p.csv.gz": (lambda rows: gzip.compress(as_table(rows)), "line"),
    "p.tsv": (lambda rows: as_table(rows, "\t"), "line"),
    "p.parquet": (as_parquet, "row"),
    "parquet-without-ending": (as_parquet, "row"),
    "p.arrow": (as_arrow, "row"),
    "file.arrow": (lambda rows: as_arrow(rows, pa.ipc.new_file), "row"),
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Rows], Path]:
    def to_file(name: str, rows: Rows) -> Path:
        path = tmp_path / name
        path.write_bytes(KINDS[name][0](rows))
        return path

    return to_file


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_file_gives_the_same_comparisons(name: str, write: Callable[[str, Rows], Path]) -> None:
    path = write(name, ROWS)
    report = read_comparisons(path)
    assert report.rows == 5
    told = [(c.prompt.messages[0].content, *(r.text for r in c.responses)) for c in report.comparisons]
    assert told == [(row["prompt"], row["chosen"], row["rejected"]) for row in ROWS]
    numbers = [item.row for item in stream_comparisons(path)]
    assert numbers == ([2, 4, 6, 8, 10] if "sv" in name else [1, 2, 3, 4, 5])  # records of a table span two lines
    assert [item.row for item in fetch_comparisons(path, [numbers[3], numbers[1]])] == [numbers[1], numbers[3]]
    (fourth,) = fetch_comparisons(path, [numbers[3]])
    assert fourth.comparison == report.comparisons[3]


@pytest.mark.parametrize("name", KINDS)
def test_a_malformed_row_is_told_in_the_words_of_its_file(name: str, write: Callable[[str, Rows], Path]) -> None:
    bad = {**ROWS[1], "claim": "none"}
    path = write(name, [{**row, "claim": ""} if "sv" in name else {**row, "claim": None} for row in ROWS[:1]] + [bad])
    number = 4 if "sv" in name else 2
    with pytest.raises(InputError) as caught:
        read_comparisons(path)
    assert str(caught.value).startswith(f"{path}, {KINDS[name][1]} {number}, field 'claim")


@pytest.mark.parametrize("name", KINDS)
def test_half_a_file(name: str, write: Callable[[str, Rows], Path]) -> None:
    """Cut in the middle it is an error, and with skip_bad what came before the cut is kept and the cut is counted."""
    noise = np.random.default_rng(0).bytes(2_000 * 200).hex()  # so that it cannot be packed into one block
    many = [{**ROWS[0], "prompt": noise[400 * i : 400 * (i + 1)]} for i in range(2_000)]
    path = write(name, many)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2 + 7])
    with pytest.raises(InputError):
        read_comparisons(path)
    stream = stream_comparisons(path, skip_bad=True)
    if "parquet" in name:  # its table of contents stands at the end
        with pytest.raises(InputError, match="none of the 1 rows holds a comparison: 1 x cannot be read"):
            list(stream)
    elif name != "file.arrow":  # likewise
        kept = list(stream)
        assert 500 < len(kept) < 1500
        assert sum(bad.count for bad in stream.bad.values()) == 1
        assert stream.rows == len(kept) + 1


@pytest.mark.parametrize("packed", [gzip.compress, zstandard.compress])
def test_several_compressed_files_in_one(packed: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"  # what it is packed with is told by its first bytes
    path.write_bytes(packed(as_lines(ROWS[:2])) + packed(as_lines(ROWS[2:])))
    assert len(read_comparisons(path).comparisons) == 5


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("prompt,chosen,rejected,chosen\na,b,c,d\n")
    with pytest.raises(InputError, match=r"line 1: two columns are called 'chosen' \(give each column a name"):
        read_comparisons(path)
    with pytest.raises(InputError, match="none of the 1 rows holds a comparison: 1 x two columns of one name"):
        read_comparisons(path, skip_bad=True)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.jsonl", "[" * 100_000, "not valid JSON: nested too deeply (expected one object per line)"),
        ("a.jsonl", '{"rating": ' + "9" * 5000 + "}", "not valid JSON: a number with too many digits (expected one"),
        ("a.json", '{\n"rows": []}', "expected a list of objects, or one object per line"),
        ("a.json", '[{"rating": ' + "9" * 5000 + "}]", "item 1: not valid JSON: a number with too many digits"),
    ],
)
def test_no_advice_for_programmers(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=re.escape(says)):
        read_comparisons(tmp_path / name)


def test_numbers_in_a_table_are_text(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text(
        "prompt,response_a,response_b,preference,annotator,strength,seconds,shown_first\n"
        "Sky?,Green.,Blue.,b,r1,2,3.5,a\nSea?,Wet.,Dry.,A,,,,\n"
    )
    first, second = read_comparisons(path).comparisons
    assert (first.judgement, first.annotator, first.seconds) == (Choice(best=1, strength=2.0), "r1", 3.5)
    assert (first.shown_order, second.judgement, second.annotator) == ((0, 1), Choice(best=0), "")
    assert (second.seconds, second.shown_order) == (None, ())
    path.write_text('prompt,response,rating\n"Sky, say?",Blue.,4.5\n"Sky, say?",Red.,x\n')
    with pytest.raises(InputError, match="line 3, field 'rating': expected a number, found 'x'"):
        read_comparisons(path)
    path.write_text('prompt,response,rating\n"Sky, say?",Blue.,4.5\n"Sky, say?",Red.,1\n')
    assert read_comparisons(path).comparisons[0].judgement == Ratings(scores=(4.5, 1.0))


def test_messages_in_a_table(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    messages = [[{"role": "user", "content": "Sky?"}, {"role": "assistant", "content": c}] for c in ("Blue.", "Red.")]
    path.write_bytes(as_table([{"chosen": json.dumps(messages[0]), "rejected": json.dumps(messages[1])}]))
    (found,) = read_comparisons(path).comparisons
    assert [r.text for r in found.responses] == ["Blue.", "Red."]
    # A text that only looks like a list stays a text.
    path.write_bytes(as_table([{"prompt": "Sort [3, 1]", "chosen": "[1, 3]", "rejected": "[3, 1]"}]))
    assert [r.text for r in read_comparisons(path).comparisons[0].responses] == ["[1, 3]", "[3, 1]"]


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        (b"prompt,chosen,rejected\na,b,c\nd,e\n", 3, "expected 3 cells, found 2"),
        (b"prompt,chosen,rejected\na,b,c\n\xff,e,f\n", 3, "not UTF-8 text (byte 0)"),
        (
            b'prompt,chosen,rejected\na,b,c\nd,"e\nf\n',
            3,
            "a quote that is not closed takes the rest of the file, to line 5",
        ),
        (b"prompt,chosen,rejected\na,b,c\nd\re,f,g\n", 3, "not a valid record"),
    ],
)
def test_what_is_wrong_in_a_table(tmp_path: Path, content: bytes, line: int, says: str) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(content + b"h,i,j\n")
    with pytest.raises(InputError) as caught:
        read_comparisons(path)
    assert str(caught.value).startswith(f"{path}, line {line}: {says}")
    stream = stream_comparisons(path, skip_bad=True)
    kept = [item.comparison.responses[0].text for item in stream]
    assert kept[0] == "b"
    assert kept[-1] == ("b" if b'"' in content else "i")  # an open quote takes the rest of the file
    assert [bad.first_lines for bad in stream.bad.values()] == [(line,)]


@pytest.mark.parametrize(
    ("content", "number", "says"),
    [
        ('[{"prompt": "a", "chosen": "b", "rejected": "c"}, 5]', 2, "expected a JSON object, found a number"),
        ('[{"prompt": "a", "chosen": "b", "rejected": "c"}, {"prompt"}]', 2, "not valid JSON"),
        ('[{"prompt": "a", "chosen": "b", "rejected": "c"} {}]', 2, "not valid JSON: expected ','"),
        ('[{"prompt": "a", "chosen": "b", "rejected": "c"}', 2, "not valid JSON: the list is not closed"),
        ('[{"prompt": "a", "chosen": "b", "rejected": "c"}, ' + "[" * 100_000, 2, "not valid JSON"),
    ],
)
def test_what_is_wrong_in_a_list(tmp_path: Path, content: str, number: int, says: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        read_comparisons(path)
    assert str(caught.value).startswith(f"{path}, item {number}: {says}")
    assert len(read_comparisons(path, skip_bad=True).comparisons) == 1


def test_a_list_longer_than_what_is_read_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("candor.preferences.containers.lists.CHUNK", 7)
    path = tmp_path / "p.json"
    path.write_text(
        "\ufeff \n"
        + json.dumps([{**row, "number": 1.5e3, "caf\xe9": "\U0001f600"} for row in ROWS], ensure_ascii=False)
    )
    assert len(read_comparisons(path).comparisons) == 5
    path.write_text("[ ]")
    with pytest.raises(InputError, match="the file has no rows"):
        read_comparisons(path)


# Directories and datasets ------------------------------------------------------------------------------------------


def test_a_directory_is_read_in_order_and_what_is_no_data_is_told(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(as_lines(ROWS[2:])))
    (tmp_path / "a.parquet").write_bytes(as_parquet(ROWS[:2]))
    (tmp_path / "README.md").write_text("# Data")
    (tmp_path / ".cache").mkdir()
    stream = stream_comparisons(tmp_path)
    items = list(stream)
    assert [(item.file, item.row, item.path.name) for item in items] == [
        ("a.parquet", 1, "a.parquet"), ("a.parquet", 2, "a.parquet"),
        ("b.jsonl.gz", 1, "b.jsonl.gz"), ("b.jsonl.gz", 2, "b.jsonl.gz"), ("b.jsonl.gz", 3, "b.jsonl.gz"),
    ]  # fmt: skip
    assert stream.ignored == (tmp_path / "README.md",)
    assert stream.share == 1.0
    assert [i.comparison for i in fetch_comparisons(tmp_path, [("b.jsonl.gz", 2)])] == [items[3].comparison]
    assert len(fetch_comparisons(tmp_path, [2])) == 2


def test_files_of_one_directory_have_one_format(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(as_lines(ROWS))
    (tmp_path / "b.jsonl").write_bytes(as_lines([{"prompt": "p", "response": "r", "rating": 3}]))
    with pytest.raises(InputError, match=r"b.jsonl, line 1: the file's format is ratings, .* before it trl"):
        read_comparisons(tmp_path)
    stream = stream_comparisons(tmp_path, skip_bad=True)
    assert len(list(stream)) == 5
    assert stream.bad["a file in another format"].first_files == ("b.jsonl",)


def test_a_directory_without_data(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Data")
    with pytest.raises(InputError, match="is a directory without a file of comparisons in it"):
        read_comparisons(tmp_path)


def test_a_dataset_that_was_saved(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    data = datasets.Dataset.from_list(ROWS)
    data.save_to_disk(tmp_path / "one", num_shards=2)
    assert [item.row for item in stream_comparisons(tmp_path / "one")] == [1, 2, 3, 4, 5]
    datasets.DatasetDict({"train": data, "test": data.select(range(2))}).save_to_disk(tmp_path / "splits")
    assert read_comparisons(tmp_path / "splits").rows == 5
    assert read_comparisons(f"{tmp_path / 'splits'}:test").rows == 2
    with pytest.raises(InputError, match="no split is called 'valid'"):
        read_comparisons(f"{tmp_path / 'splits'}:valid")
    with pytest.raises(InputError, match="the dataset has no splits"):
        read_comparisons(f"{tmp_path / 'one'}:train")
    datasets.DatasetDict({"x": data, "y": data}).save_to_disk(tmp_path / "unnamed")
    with pytest.raises(InputError, match="has several splits"):
        read_comparisons(tmp_path / "unnamed")


def test_a_dataset_on_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def load(name: str, config: str | None, *, split: str, streaming: bool) -> Any:
        asked.append((name, config, split, streaming))
        return iter(ROWS)

    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets, "load_dataset", load)
    monkeypatch.setattr("candor.preferences.containers.hub._unreachable", str)
    for source in ("owner/name", "owner/name:test", "owner/name:config:test"):
        report = read_comparisons(source)
        assert (len(report.comparisons), report.comparisons[0].id) == (5, f"{source.split('/')[1]}:1")
    assert dict.fromkeys(asked) == {
        ("owner/name", None, "train", True): None,
        ("owner/name", None, "test", True): None,
        ("owner/name", "config", "test", True): None,
    }


def test_a_hub_that_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")

    def nobody(*_: Any) -> Any:
        raise OSError("no such host")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("socket.getaddrinfo", nobody)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    with pytest.raises(InputError) as caught:
        read_comparisons("owner/name")
    assert str(caught.value).startswith("owner/name: no such file, and no dataset of that name could be loaded")
    assert "cannot be reached" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_no_name_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("data/pairs.jsonl", "data/pairs.parquet", "pairs.csv", "data/more/pairs", "pairs"):
        with pytest.raises(InputError, match="no such file"):
            read_comparisons(name)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("pipe", "pipe: is a pipe or a device, expected a file (write what comes out of it to a file first"),
        ("/dev/null", "/dev/null: is a pipe or a device"),
        ("loop", "loop: is a link that leads nowhere (check where it leads)"),
        ("link.jsonl", "link.jsonl: is a link that leads nowhere"),
        ("n" * 300, "cannot be read: file name too long (check the path)"),
        ("closed/a.jsonl", "closed/a.jsonl: cannot be read: permission denied (check the path)"),
        ("closed", "closed: cannot be read: permission denied (check the path)"),
        ("", "the name of the file is empty"),
    ],
)
def test_what_is_no_file_is_refused_and_never_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    os.symlink("loop", "loop")
    os.symlink("nowhere", "link.jsonl")
    Path("closed").mkdir(mode=0)
    with bound_by_permissions():
        for ask in (read_comparisons, check_source):
            with pytest.raises(InputError, match=re.escape(says)):
                ask(name)


def test_a_source_can_be_checked_without_being_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        check_source(tmp_path / "pairs.jsonl")
    (tmp_path / "pairs.jsonl").write_bytes(b"no row at all")
    check_source(tmp_path / "pairs.jsonl")
    check_source("owner/name")  # that may be one on the hub: only the network knows


# Columns -------------------------------------------------------------------------------------------------------------


def test_columns_as_objects_are_what_pyarrow_makes_of_them() -> None:
    text, whole, real = pa.string(), pa.int64(), pa.float64()
    schema = pa.schema({
        "text": text, "whole": whole, "list": pa.list_(whole), "struct": pa.struct({"k": text, "n": real}),
        "map": pa.map_(text, text), "nested": pa.list_(pa.struct({"role": text, "content": text})),
        "flag": pa.bool_(), "time": pa.timestamp("us"), "nothing": pa.null(), "large": pa.large_string(),
    })  # fmt: skip
    rows = [
        {"text": "x", "whole": 1, "list": [1, 2], "struct": {"k": "v", "n": None}, "map": [("a", "b")],
         "nested": [{"role": "u", "content": "x"}], "flag": True, "time": 5, "large": "L"},
        dict.fromkeys(schema.names),
        {"text": "z", "whole": 3, "list": [], "struct": {"k": None, "n": 2.5}, "map": [], "nested": [], "flag": False},
        {"text": "y", "whole": 4, "list": [5, None], "map": [("k", "v"), ("z", None)],
         "nested": [{"role": None, "content": "x"}, None]},
    ]  # fmt: skip
    batch = pa.RecordBatch.from_pylist(rows, schema=schema)
    for start in range(5):
        for length in range(5 - start):
            part = batch.slice(start, length)
            assert row_dicts(part) == part.to_pylist(maps_as_pydicts="lossy")


def test_a_stem_is_the_name_without_what_says_how_it_is_packed() -> None:
    assert [stem(n) for n in ("a.jsonl.gz", "a.b.parquet", "owner-name", "x.json.zst")] == [
        "a",
        "a.b",
        "owner-name",
        "x",
    ]


def test_a_scan_can_leave_rows_out(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(as_lines(ROWS[:1]) + b"broken\n" + as_lines(ROWS[:1]))
    (file,) = open_source(path).files
    assert [type(row) for row in file.scan()] == [Row, Malformed, Row]
    assert [row.line for row in file.scan(only={3})] == [3]
