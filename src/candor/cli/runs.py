"""``candor runs``: what has been run, how far it came, and what it showed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from candor.cli.completion import directories
from candor.cli.output import AsJson, print_json, stdout
from candor.storage import size

if TYPE_CHECKING:
    from rich.table import Table

    from candor.results import RunInfo

EXAMPLES = """
\b
Examples:
  candor runs                  the runs under runs/, the latest first
  candor runs experiments      those under another directory
  candor runs --json           the same for a program, with intervals

An interrupted run goes on when it is run again with the same arguments.
"""


def runs(
    root: Annotated[
        str, typer.Argument(help="The directory that holds the runs.", autocompletion=directories)
    ] = "runs",
    as_json: AsJson = False,
) -> None:
    """List the runs under a directory.

    Each with its state, time, size on disk, and the headline measure before and after.
    """
    from candor.results import find_runs

    found = find_runs(root)
    if as_json:
        print_json([info.to_json() for info in found])
    elif not found:
        typer.echo(f"no runs under {root}; make one with: candor run")
    else:
        stdout().print(table(found))


def table(found: Sequence[RunInfo]) -> Table:
    """One line per run."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, show_edge=False, header_style="dim")
    for column in ("run", "recipe", "seed", "state", "when", "time", "size", "before -> after, with 95% intervals"):
        made.add_column(column, no_wrap=column in ("seed", "when", "time", "size"), overflow="fold")
    for info in found:
        made.add_row(
            info.name,
            info.recipe,
            "" if info.seed is None else str(info.seed),
            state_text(info),
            info.when.astimezone().strftime("%Y-%m-%d %H:%M"),
            "" if info.seconds is None else f"{info.seconds:.0f} s",
            size(info.size),
            "" if info.headline is None else info.headline.text(),
        )
    return made


def state_text(info: RunInfo) -> str:
    """``finished``, or where an interrupted run stopped and how many stages are done."""
    if info.at is None:
        return info.state
    return f"{info.state} at {info.at} ({len(info.stages)} of {info.planned} stages done)"
