"""``candor convert``: preference data from any known format to any that can hold it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from candor.cli.output import AsJson, print_json

if TYPE_CHECKING:
    from candor.preferences.formats import ComparisonStream, Dropped
    from candor.records import Comparison

EXAMPLES = """
\b
Examples:
  candor convert pairs.jsonl pairs.parquet --to trl-chat     pairs as messages, for TRL
  candor convert pairs.jsonl all.jsonl.zst --to candor       everything that the rows say, compressed
  candor convert pairs.jsonl pairs-trl.jsonl --to trl --skip-bad --json
  candor convert pairs.jsonl pairs-trl.jsonl --to trl --force
  candor convert pairs.jsonl pairs-hh.jsonl --to hh          any format that can hold them: docs/formats.md

The format of IN is told by its fields; it may be a .jsonl, .json, .csv, .tsv, .parquet or .arrow file (text also
packed, .gz or .zst), a directory of such files, a dataset that was saved to disk, or a name on the Hugging Face hub,
with NAME:SPLIT, or a labelling project, collect.db#NAME. OUT ends in .jsonl, .jsonl.gz, .jsonl.zst or .parquet.
"""

SHOWN_LINES = 5
ROWS_A_TURN = 500
"""The progress bar is moved so often."""


class To(StrEnum):
    """The format of the file that is written."""

    TRL = "trl"
    TRL_CHAT = "trl-chat"
    CANDOR = "candor"
    HH = "hh"
    PAIRS = "pairs"
    RATINGS = "ratings"
    CHATBOT_ARENA = "chatbot-arena"
    DISTILABEL = "distilabel"
    HELPSTEER2_PREFERENCES = "helpsteer2-preferences"
    HELPSTEER3 = "helpsteer3"
    NECTAR = "nectar"
    OASST = "oasst"
    OASST_TREES = "oasst-trees"
    PKU_SAFERLHF = "pku-saferlhf"
    SHP = "shp"
    SUMMARIZE_FROM_FEEDBACK = "summarize-from-feedback"
    SUMMARIZE_FROM_FEEDBACK_AXES = "summarize-from-feedback-axes"
    ULTRAFEEDBACK = "ultrafeedback"
    ULTRAFEEDBACK_BINARIZED = "ultrafeedback-binarized"


def convert(
    source: Annotated[str, typer.Argument(metavar="IN", help="Comparisons in any known format.", show_default=False)],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.", show_default=False)],
    to: Annotated[To, typer.Option("--to", help="The format to write.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Replace OUT where it is there.")] = False,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Count malformed rows and go on.")] = False,
    as_json: AsJson = False,
) -> None:
    """Convert preference data from any known format to another, or to TRL's pairs.

    Says how many rows were read and written, and what was left out and why.
    """
    from candor.errors import InputError
    from candor.preferences.formats import convert_comparisons, stream_comparisons, writable
    from candor.projects.reference import as_file
    from candor.storage import can_be_made

    writable(out, to=to.value)
    can_be_made(out)
    if out.exists() and (out.is_dir() or not force):
        fix = "give another name" if out.is_dir() else "give another name, or --force to replace it"
        raise InputError("is already there", where=str(out), fix=fix)
    with as_file(source) as file:
        stream = stream_comparisons(file, skip_bad=skip_bad)
        with _progress(stream) as tell:
            written = convert_comparisons(out, _watched(stream, tell), to=to.value)
    if as_json:
        print_json(
            {
                "path": str(out),
                "format": stream.format,
                "to": to.value,
                "rows_read": stream.rows,
                "comparisons": stream.kept,
                "rows_written": written.rows,
                "dropped": {reason: found.count for reason, found in stream.dropped.items()},
                "bad": {reason: found.count for reason, found in stream.bad.items()},
                "not_written": dict(written.dropped),
                "ignored": [str(path) for path in stream.ignored],
            }
        )
        return
    typer.echo(f"{source}: {stream.format}, {_counted(stream.rows, 'row')} read, {_counted(stream.kept, 'comparison')}")
    for line in _left_out(stream, dict(written.dropped)):
        typer.echo(f"  {line}")
    typer.echo(f"{out}: {to.value}, {_counted(written.rows, 'row')} written")


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _left_out(stream: ComparisonStream, not_written: dict[str, int]) -> Iterator[str]:
    for reason, found in stream.bad.items():
        yield f"malformed: {found.count:,} x {reason} ({_places(found)})"
    for reason, found in stream.dropped.items():
        yield f"left out: {found.count:,} x {reason} ({_places(found)})"
    for reason, count in not_written.items():
        yield f"no row: {count:,} x {reason}"
    for path in stream.ignored:
        yield f"not read: {path}, a file of another kind"


def _places(found: Dropped) -> str:
    """Such as ``lines 4, 17, ...``; with the file where there are several."""
    places = [
        f"{file} {line}" if file else str(line) for line, file in zip(found.first_lines, found.first_files, strict=True)
    ]
    shown = ", ".join(places[:SHOWN_LINES])
    return f"{'row' if found.count == 1 else 'rows'} {shown}" + (", ..." if found.count > SHOWN_LINES else "")


def _watched(stream: ComparisonStream, tell: Callable[[], None]) -> Iterable[Comparison]:
    for number, item in enumerate(stream):
        if number % ROWS_A_TURN == 0:
            tell()
        yield item.comparison


@contextmanager
def _progress(stream: ComparisonStream) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, with the share of the file where that is known; nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns: tuple[Any, ...] = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def tell() -> None:
            share = stream.share
            bar.update(
                task,
                total=None if share is None else 1.0,
                completed=share or 0.0,
                description=f"{stream.rows:,} rows",
            )

        yield tell
