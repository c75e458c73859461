"""``candor experiment``: what RLHF does to a bias, shown where the truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from candor.cli.checked import Open, Seed
from candor.cli.completion import recipes
from candor.cli.frontier import seeds_of
from candor.cli.output import AsJson
from candor.cli.report import RunArgument
from candor.cli.stopping import resumable
from candor.errors import InputError

TRANSFER_EXAMPLES = """
\b
Examples:
  candor experiment bias-transfer --tree-only              the law where everything is enumerated: seconds
  candor experiment bias-transfer                          and PPO on the embedded testbed: a quarter of an hour
  candor experiment bias-transfer --weights 0,2 --betas 0.3,1 --seeds 0-2 --workers 8

Run the same command again to resume.
"""

JUDGES_EXAMPLES = """
\b
Examples:
  candor experiment judges default-seed0            the policies of a finished run against its demonstrators
  candor experiment judges default-seed0 --json     every number, for a program
"""

app = typer.Typer(help="See what RLHF does to a bias.", invoke_without_command=True, rich_markup_mode=None)


@app.callback()
def group(context: typer.Context) -> None:
    """See what RLHF does to a bias, where the truth is known."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("bias-transfer", epilog=TRANSFER_EXAMPLES)
def bias_transfer(
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="A TOML file or the name of a packaged recipe.", show_default="default", autocompletion=recipes
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(metavar="NUMBERS", help="The panel's weights on agreement.", show_default="0,1,1.5,2,3"),
    ] = None,
    betas: Annotated[
        str | None, typer.Option(metavar="NUMBERS", help="KL coefficients.", show_default="0.3,0.6,1.2")
    ] = None,
    seeds: Annotated[
        str | None,
        typer.Option(metavar="SEEDS", help="Such as 0-4, or a number of seeds.", show_default="the recipe's"),
    ] = None,
    updates: Annotated[int, typer.Option(min=1, help="Of PPO: the law is about its optimum.")] = 48,
    tree_only: Annotated[bool, typer.Option("--tree-only", help="Leave the runs on Atlas out.")] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that share the runs.", show_default="one a core")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The directory of the page and the runs.", show_default="bias-transfer")
    ] = None,
    browser: Open = False,
    as_json: AsJson = False,
) -> None:
    """Follow a bias from the labels through the reward model to the policy, against the closed form b / beta."""
    with resumable():
        from rich.console import Console

        from candor import api
        from candor.pipeline.progress import reporter_for

        done = api.bias_transfer(
            recipe,
            weights=numbers(weights, "--weights"),
            betas=numbers(betas, "--betas"),
            seeds=None if seeds is None else seeds_of(seeds),
            updates=updates,
            tree_only=tree_only,
            workers=workers,
            out=out,
            tell=reporter_for(Console(stderr=True)),
        )
    from candor.cli.checked import show

    show(done, as_json=as_json, browser=browser)


@app.command(epilog=JUDGES_EXAMPLES)
def judges(
    run: RunArgument,
    out: Annotated[Path | None, typer.Option(help="The directory of the page.", show_default="RUN/judges")] = None,
    seed: Seed = 0,
    browser: Open = False,
    as_json: AsJson = False,
) -> None:
    """People as judges: let the annotators compare each policy's replies with the demonstrations'.

    Their votes and what they would say without their bias stand side by side: rated above human references, or better?
    """
    with resumable():
        from rich.console import Console

        from candor import api
        from candor.pipeline.progress import reporter_for

        done = api.judges(run, out=out, seed=seed, tell=reporter_for(Console(stderr=True)))
    from candor.cli.checked import show

    show(done, as_json=as_json, browser=browser)


def numbers(text: str | None, where: str) -> list[float] | None:
    """``0.3,1`` as numbers. Raises InputError for anything else."""
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(f"expected numbers, got {text!r}", where=where, fix="for example 0.3,1") from None
