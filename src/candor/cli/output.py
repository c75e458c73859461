"""What commands print: JSON for programs, tables for people."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON to standard output, and no more.")]

PIPED_WIDTH = 400
"""Columns of a table that goes into a file or a pipe: nothing is wrapped there."""


def print_json(value: Any) -> None:
    """Prints a value as indented JSON."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def stdout() -> Console:
    """A console on standard output that wraps at the edge of a terminal and nowhere else."""
    import sys

    from rich.console import Console

    terminal = sys.stdout is not None and sys.stdout.isatty()  # None: it was closed from outside
    return Console(highlight=False, width=None if terminal else PIPED_WIDTH)
