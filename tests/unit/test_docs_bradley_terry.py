"""docs/bradley-terry.md runs as it stands, and prints what it says it prints."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "bradley-terry.md"
FENCE = re.compile(r"```(python|text)\n(.*?)```", re.DOTALL)
BENCH = re.compile(r"<!-- bench.*?: start -->.*?<!-- bench.*?: end -->", re.DOTALL)  # measured, for hours
FIGURE = re.compile(r"\d+\.\d+|\d+%")


@pytest.fixture(scope="module")
def blocks() -> list[tuple[str, str]]:
    return FENCE.findall(PAGE.read_text())


def run(blocks: list[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """What each piece of code printed, and what the page says it did (nothing where it shows no output)."""
    names: dict[str, object] = {}
    for number, (kind, text) in enumerate(blocks):
        if kind == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(text, str(PAGE), "exec"), names)
            follows = blocks[number + 1] if number + 1 < len(blocks) else ("", "")
            yield printed.getvalue(), follows[1] if follows[0] == "text" else ""


def test_the_page_prints_what_it_says(blocks: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    printed = list(run(blocks))
    assert len(printed) >= 9
    for said, shown in printed:
        assert said == shown


def test_another_world_prints_something_else(blocks: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: people who all agree make no circle where the page shows one."""
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    start = next(i for i, (_, text) in enumerate(blocks) if "condorcet" in text)
    agreeing = [(kind, text.replace('["ABC", "BCA", "CAB"]', '["ABC", "ABC", "ABC"]')) for kind, text in blocks]
    said, shown = list(run([agreeing[0], *agreeing[start : start + 2]]))[1]
    assert "concern" in shown
    assert "concern" not in said


def test_every_figure_of_the_prose_is_one_of_the_code_or_its_output(blocks: list[tuple[str, str]]) -> None:
    known = {figure for _, text in blocks for figure in FIGURE.findall(text)} | {"75%"}
    prose = BENCH.sub("", FENCE.sub("", PAGE.read_text()))
    assert set(FIGURE.findall(prose)) <= known
