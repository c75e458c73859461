"""``candor pretrain``: a base model from nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

EXAMPLES = """
\b
Examples:
  candor pretrain atlas --out my-base
  candor pretrain atlas --out my-base --seed 1
  candor run --set model.path=my-base        a run that starts from it

It takes about three quarters of an hour on two CPU cores. The base inside the package was made with seed 0.
"""

app = typer.Typer(help="Make a base model from nothing.", invoke_without_command=True, rich_markup_mode=None)


@app.callback()
def group(context: typer.Context) -> None:
    """Make a base model from nothing."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command(epilog=EXAMPLES)
def atlas(
    out: Annotated[Path, typer.Option(help="Where to write the checkpoint.")],
    seed: Annotated[int, typer.Option(help="Everything follows from it.")] = 0,
) -> None:
    """Pretrain the embedded testbed's base model."""
    from rich.console import Console

    from candor import api
    from candor.pipeline.progress import reporter_for

    typer.echo(str(api.pretrain_atlas(out, seed=seed, tell=reporter_for(Console(stderr=True)))))
