"""``candor attribute``: which stage let sycophancy in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from candor.cli.checked import Open
from candor.cli.completion import recipes
from candor.cli.frontier import seeds_of
from candor.cli.output import AsJson
from candor.cli.stopping import resumable

EXAMPLES = """
\b
Examples:
  candor attribute                                       the embedded testbed: four factors, three seeds
  candor attribute --factors labels,optimiser            two of them: a quarter of the work
  candor attribute my.toml --clean-labels honest.jsonl --clean-base path/to/base --seeds 0-4
  candor attribute --workers 8 --out attributions/mine   eight processes share the stages

Every stage is computed once, however many settings share it; run the same command again to resume.
"""


def attribute(
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="A TOML file or the name of a packaged recipe.", show_default="default", autocompletion=recipes
        ),
    ] = None,
    factors: Annotated[
        str | None,
        typer.Option(metavar="NAMES", help="Of base, demonstrations, labels, optimiser.", show_default="all"),
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(metavar="SEEDS", help="Such as 0-4, 0,2,5, or a number of seeds.", show_default="3"),
    ] = None,
    clean_base: Annotated[
        Path | None, typer.Option(help="A checkpoint that is not biased.", show_default="Atlas's own")
    ] = None,
    clean_demonstrations: Annotated[
        Path | None, typer.Option(help="A file of honest demonstrations.", show_default="Atlas's own")
    ] = None,
    clean_labels: Annotated[
        Path | None,
        typer.Option(help="A file of comparisons by unbiased annotators.", show_default="the panel, unbiased"),
    ] = None,
    clean_beta: Annotated[
        float | None, typer.Option(min=1e-9, help="A careful KL coefficient.", show_default="ten times the recipe's")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that share the stages.", show_default="one a core")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="The directory of the page and the runs.", show_default="attributions/<recipe>"),
    ] = None,
    browser: Open = False,
    as_json: AsJson = False,
) -> None:
    """Find the source: run a recipe with each factor as it is and clean, and share out its sycophancy among them.

    Base model, demonstrations, labels and optimiser are swapped for clean counterparts in every combination, over
    several seeds; the page gives each one's share of the final agreement with false beliefs, with intervals.
    """
    wanted = None if seeds is None else seeds_of(seeds)
    with resumable():
        from rich.console import Console

        from candor import api
        from candor.pipeline.progress import reporter_for

        done = api.attribute(
            recipe,
            factors=None if factors is None else factors.split(","),
            seeds=wanted,
            clean_base=clean_base,
            clean_demonstrations=clean_demonstrations,
            clean_labels=clean_labels,
            clean_beta=clean_beta,
            workers=workers,
            out=out,
            tell=reporter_for(Console(stderr=True)),
        )
    from candor.cli.checked import show

    show(done, as_json=as_json, browser=browser)
