"""``candor convert``: what it writes, says and refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from candor import cli
from candor.preferences.formats import read_comparisons
from disks import bound_by_permissions
from format_rows import NECTAR, PAIR

RANKED = {**NECTAR, "answers": NECTAR["answers"]}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.jsonl"
    rows = [PAIR, {**PAIR, "winner": "tie"}, {**PAIR, "winner": "both_bad"}, {**PAIR, "response_a": ""}]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def convert(*arguments: object) -> Any:
    return CliRunner().invoke(cli.app, ["convert", *map(str, arguments)], prog_name="candor")


def test_what_was_read_written_and_left_out_is_said(source: Path) -> None:
    out = source.with_name("out.jsonl")
    done = convert(source, out, "--to", "trl")
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        f"{source}: pairs, 4 rows read, 3 comparisons",
        "  left out: 1 x a reply is empty (row 4)",
        "  no row: 1 x tie",
        "  no row: 1 x both bad",
        f"{out}: trl, 1 row written",
    ]
    assert json.loads(out.read_text()) == {
        "prompt": "Sky?", "chosen": "Blue.", "rejected": "Green.", "margin": 0.0, "weight": 1.0,
        "comparison_id": "in:1", "annotator": "7", "strength": 2.0, "seconds": 3.5, "shown_first": "chosen",
        "chosen_policy": "m2", "rejected_policy": "m1",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["o.jsonl", "o.jsonl.gz", "o.jsonl.zst", "o.parquet"])
@pytest.mark.parametrize("to", ["trl", "trl-chat", "candor"])
def test_every_target_into_every_container(source: Path, to: str, name: str) -> None:
    out = source.with_name(name)
    done = convert(source, out, "--to", to, "--json")
    told = json.loads(done.stdout)
    assert (told["rows_written"], told["comparisons"]) == ((3, 3) if to == "candor" else (1, 3))
    report = read_comparisons(out)
    assert (report.format, report.rows) == ("candor" if to == "candor" else "trl", told["rows_written"])
    if to == "candor":
        assert report.comparisons == read_comparisons(source).comparisons


def test_a_ranking_becomes_its_pairs_with_their_weight(tmp_path: Path) -> None:
    path = tmp_path / "n.jsonl"
    path.write_text(json.dumps(RANKED) + "\n")
    assert convert(path, tmp_path / "o.jsonl", "--to", "trl-chat").exit_code == 0
    rows = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [row["chosen"][0]["content"] for row in rows] == ["Blue.", "Blue.", "Bluish."]
    assert [row["weight"] for row in rows] == [pytest.approx(1 / 3)] * 3
    assert {row["comparison_id"] for row in rows} == {"n:1"}
    # Read back they are comparisons of their own, which have to have names of their own.
    assert len({c.id for c in read_comparisons(tmp_path / "o.jsonl").comparisons}) == 3


def test_malformed_rows(source: Path) -> None:
    source.write_text(source.read_text() + "{\n")
    out = source.with_name("out.jsonl")
    done = convert(source, out, "--to", "candor")
    assert done.exit_code == 2
    assert done.stderr.startswith(f"error: {source}, line 5: not valid JSON")
    assert not out.exists()
    done = convert(source, out, "--to", "candor", "--skip-bad")
    assert done.exit_code == 0
    assert "  malformed: 1 x not valid JSON (row 5)" in done.stdout.splitlines()


def test_a_file_is_replaced_only_when_asked(source: Path) -> None:
    out = source.with_name("out.jsonl")
    out.write_text("mine")
    done = convert(source, out, "--to", "trl")
    assert (done.exit_code, out.read_text()) == (2, "mine")
    assert "is already there (give another name, or --force to replace it)" in done.stderr
    assert convert(source, out, "--to", "trl", "--force").exit_code == 0
    assert out.read_text() != "mine"
    # Into itself: the old file is there until the new one is whole.
    assert convert(source, source, "--to", "candor", "--force").exit_code == 0
    assert read_comparisons(source).format == "candor"


def test_what_cannot_be_written(source: Path, tmp_path: Path) -> None:
    done = convert(source, source.with_name("out.csv"), "--to", "trl")
    assert done.exit_code == 2
    assert "cannot tell how to write this (end the name in .jsonl, .jsonl.gz, .jsonl.zst, .parquet)" in done.stderr
    source.write_text(json.dumps({**PAIR, "prompt": "half \ud83d"}) + "\n")
    done = convert(source, tmp_path / "o.parquet", "--to", "candor")
    assert done.exit_code == 2
    assert "a value that Parquet cannot hold" in done.stderr
    assert not list(tmp_path.glob(".*unfinished"))
    assert convert(source, tmp_path / "o.jsonl", "--to", "candor").exit_code == 0


def test_a_directory(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.jsonl").write_text(json.dumps(PAIR) + "\n")
    (folder / "b.jsonl").write_text(json.dumps(PAIR) + "\n" + json.dumps({**PAIR, "response_b": ""}) + "\n")
    (folder / "notes.txt").write_text("")
    done = convert(folder, tmp_path / "o.jsonl", "--to", "trl")
    assert done.stdout.splitlines() == [
        f"{folder}: pairs, 3 rows read, 2 comparisons",
        "  left out: 1 x a reply is empty (row b.jsonl 2)",
        f"  not read: {folder / 'notes.txt'}, a file of another kind",
        f"{tmp_path / 'o.jsonl'}: trl, 2 rows written",
    ]


def test_a_place_that_cannot_be_written_is_one_line_before_anything_is_read(source: Path, tmp_path: Path) -> None:
    for out in (source / "out.jsonl", tmp_path / f"{'n' * 300}.jsonl"):
        done = convert(tmp_path / "not there.jsonl", out, "--to", "trl")
        assert done.exit_code == 2, done.output
        assert len(done.stderr.splitlines()) == 1
        assert done.stderr.startswith("error: ")
        assert "a file is where a directory should be" in done.stderr or "the name is too long" in done.stderr


def test_what_a_file_holds_is_no_command_for_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps({**PAIR, "winner": "\x1b[2J\u202eevil"}) + "\n")
    done = CliRunner().invoke(cli.app, ["convert", str(path), str(tmp_path / "o.jsonl"), "--to", "trl"], color=True)
    assert done.exit_code == 2
    assert "unknown value '\\x1b[2J\\u202eevil'" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_standard_output_that_is_full_or_closed(source: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "candor", "convert", str(source), str(tmp_path / "o.jsonl"), "--to", "trl"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (2, "error: standard output: no space left on the device\n")


def test_a_file_that_may_not_be_read_is_one_line(source: Path, tmp_path: Path) -> None:
    source.chmod(0)
    with bound_by_permissions():
        done = convert(source, tmp_path / "o.jsonl", "--to", "trl")
    assert (done.exit_code, done.stderr) == (2, f"error: {source}: cannot be read: permission denied\n")
