"""docs/formats.md names every format with fields that it is told by, and shows errors as they are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import candor.jsonl
from candor.errors import InputError
from candor.preferences.containers import ENDINGS
from candor.preferences.formats import FORMATS, read_comparisons
from format_rows import FILES, PAIR, SHP

PAGE = (Path(__file__).parents[2] / "docs/formats.md").read_text(encoding="utf-8")


def blocks(info: str) -> list[str]:
    return re.findall(rf"^```{info}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_every_format_is_in_the_table_in_the_order_of_detection() -> None:
    reading = PAGE.split("## Writing")[0]
    assert re.findall(r"^\| `([\w-]+)` \|", reading, re.MULTILINE) == [found.name for found in FORMATS]


@pytest.mark.parametrize("name", FILES)
def test_the_fields_of_the_table_are_those_of_the_rows(name: str) -> None:
    (cell,) = re.findall(rf"^\| `{name}` \| (.*?) \|", PAGE.split("## Writing")[0], re.MULTILINE)
    named, text = re.findall(r"`(\w[\w-]*)`", cell), json.dumps(FILES[name])
    known = [field for field in named if f'"{field}"' in text]
    assert len(known) >= 2
    assert set(named) - set(known) <= ALTERNATIVES


ALTERNATIVES = {"chosen_score", "chosen_rating", "chosen-rating", "rating", "instruction", "prompt", "choice"} | {
    "preference", "a", "b", "tie", "both_bad",
}  # fmt: skip
"""What the table names beside the fields of the rows: other names for one of them, and values."""


def test_every_ending_is_named() -> None:
    assert [ending for ending in ENDINGS if f"`{ending}`" not in PAGE] == []


@pytest.mark.parametrize(("info", "ending"), [("csv comparisons", "csv"), ("jsonl comparisons", "jsonl")])
def test_example_rows_are_read(info: str, ending: str, tmp_path: Path) -> None:
    for text in blocks(info):
        path = tmp_path / f"x.{ending}"
        path.write_text(text, encoding="utf-8")
        report = read_comparisons(path)
        assert report.comparisons
        assert not report.dropped
        assert all(comparison.annotator for comparison in report.comparisons)


def test_shown_errors_are_the_real_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pair = {"prompt": "p", "response_a": "x", "response_b": "y", "winner": "a"}
    rows: list[bytes] = [
        json.dumps({**pair, "winner": "c"}).encode(),
        json.dumps({k: v for k, v in pair.items() if k != "response_b"}).encode(),
        json.dumps({**pair, "strength": float("nan")}).encode(),
        json.dumps(SHP).encode(),
        b"{\xff}",
        b" " * (80 * 2**20),
    ]
    told = []
    for row in rows:
        Path("pairs.jsonl").write_bytes(json.dumps(PAIR).encode() + b"\n" + row)
        with pytest.raises(InputError) as caught:
            read_comparisons("pairs.jsonl")
        told.append(str(caught.value))
    assert "\n".join(told) + "\n" == blocks("text errors")[0]
    assert candor.jsonl.LINE_LIMIT == 64 * 2**20


def test_the_python_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("pairs.jsonl").write_text(json.dumps(PAIR) + "\n")
    (code,) = blocks("python")
    names: dict[str, object] = {}
    exec(compile(code, "docs/formats.md", "exec"), names)
    assert getattr(names["stream"], "kept", None) == 1
