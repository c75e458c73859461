"""The commands put together: each lives in a file of its own and is added here."""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from candor.cli import (
    attribute,
    audit,
    audit_models,
    chat,
    collect,
    collect_items,
    collect_quality,
    convert,
    estimate,
    experiment,
    export,
    forecast,
    frontier,
    pretrain,
    recipes,
    report,
    run,
    runs,
)
from candor.cli.errors import INTERRUPTED, OneLineErrors

app = typer.Typer(
    name="candor",
    cls=OneLineErrors,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: candor run",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(wanted: bool) -> None:
    if wanted:
        from candor import __version__

        typer.echo(f"candor {__version__}")
        raise typer.Exit


@app.callback()
def candor(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Reinforcement learning from human feedback, end to end, that measures what it passes on."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command(epilog=run.EXAMPLES)(run.run)
app.command(epilog=estimate.EXAMPLES)(estimate.estimate)
app.command(epilog=runs.EXAMPLES)(runs.runs)
app.command(epilog=report.EXAMPLES)(report.report)
app.command(epilog=chat.EXAMPLES)(chat.chat)
app.command(epilog=export.EXAMPLES)(export.export)
app.add_typer(audit.app, name="audit")
audit_models.add(audit.app)
app.command(epilog=forecast.EXAMPLES)(forecast.forecast)
app.command(epilog=attribute.EXAMPLES)(attribute.attribute)
app.command(epilog=frontier.EXAMPLES)(frontier.frontier)
app.add_typer(experiment.app, name="experiment")
app.command(epilog=convert.EXAMPLES)(convert.convert)
collect_items.add(collect.app)
collect_quality.add(collect.app)
app.add_typer(collect.app, name="collect")
app.add_typer(recipes.app, name="recipes")
app.add_typer(pretrain.app, name="pretrain")


def main() -> None:
    """The entry point of the ``candor`` command."""
    try:
        app()
    except KeyboardInterrupt:  # before the command's own handling began: nothing was started
        sys.exit(INTERRUPTED)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the exit code is settled; a late Ctrl-C must not add a traceback
