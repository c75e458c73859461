"""Progress: live lines on a terminal, plain ones elsewhere, a dated log, and nothing left behind by a failure."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from candor.pipeline.progress import Live, Logged, Plain, Silent, metrics_text, reporter_for, working


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    return Console(file=written, force_terminal=terminal, width=100, _environ={}), written


@pytest.mark.parametrize("terminal", [True, False])
def test_two_pieces_of_work_and_a_note(terminal: bool) -> None:
    screen, written = console(terminal=terminal)
    reporter = reporter_for(screen)
    assert isinstance(reporter, Live if terminal else Plain)
    for name in ("sft", "ppo"):
        with working(reporter, name, 10, done=4):
            reporter.update(5, {"reward": 0.25, "lr": 1.0})
            reporter.note(f"note of {name} [brackets stay]")
    text = written.getvalue()
    for name in ("sft", "ppo"):
        assert f"{name}: 0." in text
        assert f"note of {name} [brackets stay]" in text
    assert ("from 4/10" in text) is not terminal


def test_a_failure_ends_the_line_and_goes_on_upwards() -> None:
    screen, written = console(terminal=True)
    with pytest.raises(ZeroDivisionError), working(reporter_for(screen), "sft"):
        _ = 1 / 0
    assert "stopped" in written.getvalue()


def test_the_log_keeps_everything_but_updates(tmp_path: Path) -> None:
    path = tmp_path / "not yet there" / "run.log"
    logged = Logged(Silent(), path)
    logged.note("before it began")
    assert not path.exists()
    logged.begin()
    with working(logged, "sft", 10, done=4):
        logged.update(5, {"loss": 1.0})
    logged.note("done")
    lines = [line.split(" ", 1) for line in path.read_text().splitlines()]
    assert [text for _, text in lines] == ["before it began", "sft: started at 4 of 10", "sft: finished", "done"]
    assert all(time.startswith("20") and time.endswith("+00:00") for time, _ in lines)


def test_a_line_shows_the_metrics_that_matter_in_their_order() -> None:
    assert metrics_text({"lr": 1.0, "kl": 0.123456, "loss": 2.0}) == "loss 2  kl 0.123"
