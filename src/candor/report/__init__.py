"""One self-contained HTML page per run: what happened to the model, stage by stage, and where it came in."""

from __future__ import annotations

from pathlib import Path

__all__ = ["write_report"]


def write_report(run_dir: Path) -> Path:
    """Writes ``report.html`` into a run directory, from the files there alone, and returns its path.

    The page opens offline: style, script, fonts and charts are inside it. What a run lacks (claims, PPO, a panel,
    samples) is left out or said to be missing.

    Raises InputError where the directory holds no stage, or one of its files cannot be read.
    """
    from candor.report.page import write_page  # the chart libraries take half a second to import

    return write_page(Path(run_dir))
