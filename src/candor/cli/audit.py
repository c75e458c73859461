"""``candor audit``: what can be trusted of an artefact, and what it teaches."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from candor.cli.checked import FailAt, Open, Seed, show
from candor.cli.output import AsJson

EXAMPLES = """
\b
Examples:
  candor audit preferences pairs.jsonl                         a verdict per check; the page is in audits/pairs
  candor audit preferences pairs.jsonl --open                  and opens it in a browser
  candor audit preferences pairs.jsonl --context 2048          what a window of 2,048 tokens would cut off
  candor audit preferences pairs.jsonl --against before.jsonl  two files side by side: after and before filtering
  candor audit preferences pairs.jsonl --json --out made       the audit for a program
  candor audit preferences collect.db#sample                   the labels of a project so far
  candor audit preferences pairs.jsonl --fail-on concern       exit code 1 where there is a concern, for CI

The file may be in any format that Candor reads. audit.json holds every number; the page beside it needs no network.
"""

_ENDINGS = re.compile(r"(\.(jsonl|json|ndjson|parquet|csv|tsv|txt))?(\.(gz|zst|bz2|xz))?$", re.IGNORECASE)

app = typer.Typer(help="Audit a model, or what it learns from.", invoke_without_command=True, rich_markup_mode=None)


@app.callback()
def group(context: typer.Context) -> None:
    """Audit a model, or what it learns from."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command(epilog=EXAMPLES)
def preferences(
    file: Annotated[
        str,
        typer.Argument(
            help="A file, a directory, a data set or a labelling project.", show_default=False, metavar="FILE"
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="The directory of audit.json and the page.", show_default="audits/<name of the file>"),
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Another file, taken as before: both are shown side by side.", show_default=False)
    ] = None,
    context: Annotated[
        int | None,
        typer.Option(min=1, metavar="TOKENS", help="The training's context: what would it cut?", show_default=False),
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            metavar="DIR", help="Count tokens by this model's tokenizer.", show_default="4 characters a token"
        ),
    ] = None,
    seed: Seed = 0,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Count rows that cannot be read, and go on.")] = False,
    fail_on: FailAt = None,
    browser: Open = False,
    as_json: AsJson = False,
) -> None:
    """Audit a preference file: can it be trusted, and what does it teach?

    Prints a verdict per check, concerns first, and writes audit.json and a page with charts and the rows that show it.
    """
    typer.echo("loading ...", err=True)  # what computes takes a moment to import
    from rich.console import Console

    from candor.cli.audit_view import reporter_for
    from candor.report.checks import check_place

    directory = out or Path("audits") / stem(file)
    check_place(directory, "preferences")
    from candor.auditing.preferences import audit_preferences

    done = audit_preferences(
        file,
        out=directory,
        against=against,
        context=context,
        tokenizer=tokenizer,
        seed=seed,
        skip_bad=skip_bad,
        tell=reporter_for(Console(stderr=True)),
    )
    show(done, as_json=as_json, browser=browser, fail_on=fail_on)


def stem(file: str) -> str:
    """The name of a file without its endings, such as ``pairs`` for ``data/pairs.jsonl.gz``; of a project its own."""
    from candor.projects.reference import parse_reference

    path = Path(file)
    if (reference := parse_reference(file)) is not None:
        return reference.slug
    name = path.name if path.name not in ("", "..") else path.resolve().name
    return _ENDINGS.sub("", name) or "audit"
