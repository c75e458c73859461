"""``candor audit preferences``: its table, its JSON, its exit codes, and that it speaks before it loads anything."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner

from candor.cli import audit, audit_view
from candor.cli.errors import OneLineErrors
from candor.report.checks import write_page
from fake_audit import FakeAudit, document

ESCAPE = "\x1b[31m[red]evil[/red]"


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """Runs the command on a document that nobody had to compute; what it was asked for is in ``asked``."""
    made = ModuleType("candor.auditing.preferences")

    def audit_preferences(source: str, *, out: Path, tell: Any, **given: Any) -> Any:
        invoke.asked = {"source": source, "out": out, **given}  # type: ignore[attr-defined]
        tell.start("reading", None)
        tell.update(1_000)
        tell.finish("1,000 comparisons")
        tell.start("agreement")
        tell.finish()
        raw = document(invoke.audit)  # type: ignore[attr-defined]
        return SimpleNamespace(document=raw, page=write_page(raw, out))

    made.audit_preferences = audit_preferences  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "candor.auditing", ModuleType("candor.auditing"))
    monkeypatch.setitem(sys.modules, "candor.auditing.preferences", made)
    monkeypatch.chdir(tmp_path)
    app = typer.Typer(cls=OneLineErrors, invoke_without_command=True)
    app.callback()(lambda: None)
    app.add_typer(audit.app, name="audit")

    def invoke(*arguments: str, audit: FakeAudit | None = None) -> Any:
        invoke.audit = audit or FakeAudit(charts=False)  # type: ignore[attr-defined]
        return CliRunner().invoke(app, ["audit", *arguments], prog_name="candor")

    return invoke


def text(raw: dict[str, Any], width: int = 120) -> str:
    """What a terminal of that width shows."""
    written = io.StringIO()
    console = Console(file=written, width=width, force_terminal=True, color_system=None, highlight=False)
    for line in audit_view.lines(raw):
        console.print(line)
    return written.getvalue()


def test_the_table_has_concerns_first_and_a_sentence_for_each() -> None:
    shown = text(document(FakeAudit(charts=False)))
    lines = shown.splitlines()
    assert lines[0] == "data/pairs.jsonl: 10,000 comparisons of 3,100 prompts by 12 annotators"
    assert "200 rows left out: both responses are the same (first in line 3)" in lines[1]
    assert "2 rows skipped as unreadable: the winner is neither a nor b (first in line 5,012)" in shown
    verdicts = [line.split("  ")[0].strip() for line in lines if line[:1] in "▲●?✓"]
    assert verdicts == ["▲ concern"] * 3 + ["● note"] + ["? cannot tell"] * 2 + ["✓ fine"] * 2
    assert "▲ concern      Side bias" in shown
    assert "\n3 concerns: side bias; length and style; agreement with the user's view. Of the other 5 checks:" in shown


@pytest.mark.parametrize("width", [60, 80, 200])
def test_the_table_fits_its_terminal_and_loses_no_word(width: int) -> None:
    shown = text(document(FakeAudit(charts=False)), width)
    assert all(len(line) <= width for line in shown.splitlines())
    assert "…" not in shown
    assert all(word in shown for word in ("Transitivity", "truncation:", "held-out", "cannot tell"))


def test_in_a_narrow_terminal_a_check_has_the_whole_width() -> None:
    lines = text(document(FakeAudit(charts=False)), 80).splitlines()
    place = next(number for number, line in enumerate(lines) if line == "▲ concern  Side bias")
    assert lines[place + 1].startswith("  ")
    assert max(len(line.rstrip()) for line in lines) > 70
    assert not any(line.startswith("verdict") for line in lines)


def test_in_a_pipe_a_check_is_one_line_without_blanks_at_its_end() -> None:
    raw = document(FakeAudit(charts=False))
    raw["checks"][0]["title"] = "A title that is longer than the column of the table that a terminal has"
    written = io.StringIO()
    for line in audit_view.lines(raw):
        Console(file=written, width=400, highlight=False).print(line)
    lines = written.getvalue().splitlines()
    assert sum(line[:1] in "▲●?✓" for line in lines) == len(raw["checks"])
    assert any(raw["checks"][0]["title"] in line for line in lines)
    assert all(line == line.rstrip() for line in lines)


def test_one_is_not_told_in_the_plural() -> None:
    raw = document(FakeAudit(charts=False))
    raw["data"] |= {"comparisons": 1, "prompts": 1}
    raw["data"]["dropped"] = {"a reply is empty": {"count": 1, "first_lines": [3]}}
    shown = text(raw)
    assert ": 1 comparison of 1 prompt by" in shown
    assert "1 row left out: a reply is empty (first in line 3)" in shown


def test_nothing_of_the_file_reaches_the_terminal_as_a_command() -> None:
    raw = document(FakeAudit(charts=False, source=f"a{ESCAPE}.jsonl", hostile=ESCAPE, against=True))
    raw["checks"][0]["title"] = raw["checks"][0]["meaning"] = ESCAPE
    shown = text(raw)
    assert "\x1b" not in shown
    assert "[red]evil[/red]" in shown  # markup stays text


def test_two_files_differ_by_the_verdicts_that_moved() -> None:
    shown = text(document(FakeAudit(charts=False, against=True, concerns=False)))
    assert "against data/before.jsonl: Side bias: concern -> fine" in shown
    assert "the same verdicts" in text(document(FakeAudit(charts=False, against=True)))


def test_a_file_without_checks_is_told() -> None:
    assert text(document(FakeAudit(checks=False))).splitlines()[-1] == "Nothing was checked."


def test_the_command_passes_on_what_was_asked_for_and_says_where_things_are(invoke: Any) -> None:
    result = invoke(
        "preferences",
        "data/pairs.jsonl.gz",
        "--context",
        "512",
        "--seed",
        "3",
        "--skip-bad",
        "--against",
        "b.jsonl",
        "--tokenizer",
        "a-model",
    )
    assert result.exit_code == 0, result.output
    assert invoke.asked == {
        "source": "data/pairs.jsonl.gz", "out": Path("audits/pairs"), "against": "b.jsonl", "context": 512, "seed": 3,
        "skip_bad": True, "tokenizer": "a-model",
    }  # fmt: skip
    assert result.stdout.splitlines()[-2:] == ["audit: audits/pairs/audit.json", "page: audits/pairs/preferences.html"]
    assert Path("audits/pairs/preferences.html").is_file()
    assert result.stderr.startswith("loading ...")


def test_json_is_all_there_is_on_standard_output(invoke: Any) -> None:
    result = invoke("preferences", "pairs.jsonl", "--json", "--out", "made")
    told = json.loads(result.stdout)
    assert told["files"] == {"audit": "made/audit.json", "page": "made/preferences.html"}
    assert told["checks"] == json.loads(Path("made/audit.json").read_text())["checks"]
    assert result.stderr.splitlines() == ["loading ...", "reading: 0.0 s, 1,000 comparisons"]


@pytest.mark.parametrize(
    ("arguments", "concerns", "code"),
    [
        ([], True, 0),
        (["--fail-on", "concern"], True, 1),
        (["--fail-on", "concern"], False, 0),
        (["--fail-on", "note"], False, 1),
        (["--fail-on", "concern", "--json"], True, 1),
    ],
)
def test_verdicts_fail_only_where_that_was_asked_for(
    invoke: Any, arguments: list[str], concerns: bool, code: int
) -> None:
    result = invoke("preferences", "pairs.jsonl", *arguments, audit=FakeAudit(charts=False, concerns=concerns))
    assert result.exit_code == code
    assert "pairs" in result.stdout  # the audit is told all the same


def test_a_foreign_directory_is_refused_before_anything_is_read(invoke: Any) -> None:
    Path("mine").mkdir()
    Path("mine/thesis.tex").write_text("years")
    result = invoke("preferences", "pairs.jsonl", "--out", "mine")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1].startswith("error: mine: the directory holds something other than an audit")
    assert not hasattr(invoke, "asked")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("preferences", "error: missing argument 'FILE' (see candor audit preferences --help)"),
        ("preferences a --context 0", "error: invalid value for '--context': "),
        ("preferences a --fail-on fine", "error: invalid value for '--fail-on': "),
        ("rewards a", "error: no such command 'rewards'"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(invoke: Any, arguments: str, told: str) -> None:
    result = invoke(*arguments.split())
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(told)
    assert len(result.stderr.splitlines()) == 1


def test_the_page_opens_where_it_was_asked_for(invoke: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: bool(opened.append(url)))
    result = invoke("preferences", "pairs.jsonl", "--open")
    assert opened == [Path("audits/pairs/preferences.html").resolve().as_uri()]
    assert "no browser could be started" in result.stderr


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("data/pairs.jsonl", "pairs"),
        ("pairs.jsonl.gz", "pairs"),
        ("p.v1.parquet", "p.v1"),
        ("org/data", "data"),
        ("dir/", "dir"),
        (".jsonl", "audit"),
    ],
)
def test_an_audit_is_named_after_its_file(file: str, name: str) -> None:
    assert audit.stem(file) == name


def test_the_live_line_tells_rows_per_second_and_goes_away() -> None:
    assert audit_view.progress_text(12_000, 50_000, 2.0) == "12,000 of 50,000, 6,000/s"
    assert audit_view.progress_text(12_000, None, 2.0) == "12,000, 6,000/s"
    assert audit_view.progress_text(3, 20, 0.0) == "3 of 20"
    written = io.StringIO()
    reporter = audit_view.reporter_for(Console(file=written, force_terminal=True, width=100, _environ={}))
    assert isinstance(reporter, audit_view.Reading)
    reporter.start("reading [b]x[/b]", None)
    reporter.update(5_000)
    reporter.note("a note [brackets stay]")
    reporter.finish("5,000 comparisons")
    assert "reading [b]x[/b]" in written.getvalue()
    assert "a note [brackets stay]" in written.getvalue()
    assert "5,000 comparisons" in written.getvalue()
    assert not isinstance(audit_view.reporter_for(Console(file=io.StringIO())), audit_view.Reading)


FIRST_WORDS = """
import io, sys
class First(io.StringIO):
    def write(self, text):
        text = text.decode() if isinstance(text, bytes) else text
        if text.strip():
            print(*(m for m in {heavy!r} if m in sys.modules), "at", text.strip()[:7], file=sys.__stdout__)
            raise SystemExit
        return len(text)
    def isatty(self): return False
{before}
from candor.cli import audit
sys.stderr = First()
audit.app(["preferences", "pairs.jsonl"])
"""
HEAVY = ("torch", "transformers", "sklearn", "datasets", "pyarrow", "polars", "scipy", "altair", "vl_convert", "numpy")


def first_words(before: str = "") -> str:
    """The heavy modules that are loaded when the command first writes something."""
    command = [sys.executable, "-c", FIRST_WORDS.format(heavy=HEAVY, before=before)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_command_speaks_before_it_loads_anything_heavy() -> None:
    assert first_words() == "at loading"
    # Control: what is loaded is seen.
    assert first_words("import numpy") == "numpy at loading"


def test_a_place_below_a_file_and_a_seed_below_zero_are_one_line_before_anything_is_read(invoke: Any) -> None:
    Path("file").touch()
    for arguments, says in (
        (["--out", "file/below"], "error: file: a file is where a directory should be"),
        (["--out", "n" * 300], "the name is too long"),
        (["--seed", "-1"], "error: invalid value for '--seed'"),
    ):
        invoke.asked = None
        result = invoke("preferences", "pairs.jsonl", *arguments)
        assert result.exit_code == 2, result.output
        assert says.replace(f"{Path.cwd()}/", "") in result.stderr.replace(f"{Path.cwd()}/", "")
        assert invoke.asked is None
        assert not result.stdout


def test_a_question_has_no_colon_after_it_and_checks_are_counted_once() -> None:
    raw = document(FakeAudit(charts=False, concerns=False))
    raw["checks"][0]["title"] = "Is it so?"
    raw["checks"][0]["meaning"] = "It is."
    written = io.StringIO()
    for line in audit_view.lines(raw):
        Console(file=written, width=400, highlight=False).print(line)
    assert "  Is it so? It is." in written.getvalue()
    assert f"No concern in {len(raw['checks'])} checks. Among them: " in written.getvalue()
