"""``candor run``: a recipe from its start, or from where it was left, to its report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from candor.cli.completion import recipes
from candor.cli.stage_table import summary_lines
from candor.cli.stopping import resumable

EXAMPLES = """
\b
Examples:
  candor run                                      the whole pipeline on the embedded testbed, offline
  candor run --set ppo.kl_coef=0.05 --seed 1      with a weaker KL penalty and another seed
  candor run --set compare.panel.agreement=0      with annotators who do not reward agreement
  candor run my.toml --out runs/mine              on your own model, prompts, demonstrations and comparisons
  candor run hh --set compare.file=pairs.jsonl    a reward model and PPO on HH-format pairs
  candor run --tensorboard tb                     watched with: tensorboard --logdir tb

Run the same command again to resume; finished stages are not computed again.
"""


def run(
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="A TOML file or the name of a packaged recipe.", show_default="default", autocompletion=recipes
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's directory.", show_default="runs/<recipe>-seed<seed>")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Overrides the recipe's seed.", show_default=False)] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="STAGE.FIELD=VALUE", help="Overrides one value of the recipe; may be repeated."),
    ] = None,
    tensorboard: Annotated[
        Path | None,
        typer.Option(help="Write curves, findings and replies there, for TensorBoard.", show_default=False),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print summary.json to standard output, and no more.")
    ] = False,
) -> None:
    """Run a recipe: train, compare, reward, optimise, and audit after every stage. Run again to resume."""
    with resumable():
        from rich.console import Console

        from candor import api
        from candor.pipeline.progress import reporter_for

        wanted = api.prepare(recipe, seed=seed, overrides=overrides or [])
        directory = out or api.default_directory(wanted)
        tracker = None if tensorboard is None else api.TensorBoard(tensorboard)
        done = api.run(wanted, out=directory, tell=reporter_for(Console(stderr=True)), tracker=tracker)
    if as_json:
        typer.echo(json.dumps(done.summary, indent=2, ensure_ascii=False))
        return
    for line in summary_lines(done.summary):
        typer.echo(line)
    typer.echo(f"report: {done.report}")
