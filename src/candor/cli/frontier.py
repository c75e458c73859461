"""``candor frontier``: every remedy for sycophancy at several strengths, and its price."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from candor.cli.checked import Open
from candor.cli.completion import recipes
from candor.cli.output import AsJson
from candor.cli.stopping import resumable
from candor.errors import InputError

EXAMPLES = """
\b
Examples:
  candor frontier                                          every intervention on the embedded testbed, three seeds
  candor frontier --interventions relabel,verifier:0.5     two of them, of one a single strength
  candor frontier my.toml --seeds 0-4 --out mended         on your own recipe, five seeds
  candor frontier --plan plan.toml --workers 8             the interventions that a file names, in eight processes

Run the same command again to resume; what is added later is all that is then computed.
"""

_RANGE = re.compile(r"(\d+)-(\d+)")


def frontier(
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="A TOML file or the name of a packaged recipe.", show_default="default", autocompletion=recipes
        ),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(metavar="SEEDS", help="Such as 0-4, 0,2,5, or a number of seeds.", show_default="3"),
    ] = None,
    interventions: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Some of them, with commas; name:strength for one.", show_default="all"),
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(help="A TOML file of interventions, instead of those that Candor has.", show_default=False),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that share the runs.", show_default="one a core")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The directory of the page and the runs.", show_default="frontiers/<recipe>"),
    ] = None,
    browser: Open = False,
    as_json: AsJson = False,
) -> None:
    """Price the fix: run a recipe with every intervention and show which are worth what they cost.

    Each is run at several strengths and seeds and audited on held-out questions; the page shows helpfulness against
    honesty, which options are dominated by which, and which meet the targets.
    """
    wanted = None if seeds is None else seeds_of(seeds)
    with resumable():
        from rich.console import Console

        from candor import api
        from candor.pipeline.progress import reporter_for

        done = api.frontier(
            recipe,
            out=out,
            interventions=None if interventions is None else interventions.split(","),
            plan=plan,
            seeds=wanted,
            workers=workers,
            tell=reporter_for(Console(stderr=True)),
        )
    from candor.cli.checked import show

    show(done, as_json=as_json, browser=browser)


def seeds_of(text: str) -> tuple[int, ...] | int:
    """``0-4`` or ``0,2,5`` as seeds, a plain number as how many. Raises InputError for anything else."""
    if text.isdigit() and int(text) > 0:
        return int(text)
    found: list[int] = []
    for part in text.split(","):
        limits = _RANGE.fullmatch(part.strip())
        if limits is not None:
            found += range(int(limits[1]), int(limits[2]) + 1)
        elif part.strip().isdigit() and "," in text:
            found.append(int(part))
        else:
            raise InputError(f"expected seeds, got {text!r}", where="--seeds", fix="for example 0-4, or 0,2,5, or 5")
    if not found:
        raise InputError(f"no seed in {text!r}", where="--seeds", fix="for example 0-4")
    return tuple(dict.fromkeys(found))
