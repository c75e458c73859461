"""``candor audit``: what can be trusted of an artefact, and what it teaches."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from candor.cli.output import AsJson, print_json, stdout

EXAMPLES = """
\b
Examples:
  candor audit preferences pairs.jsonl                         a verdict per check; the page is in audits/pairs
  candor audit preferences pairs.jsonl --open                  and opens it in a browser
  candor audit preferences pairs.jsonl --context 2048          what a window of 2,048 tokens would cut off
  candor audit preferences pairs.jsonl --against before.jsonl  two files side by side: after and before filtering
  candor audit preferences pairs.jsonl --json --out made       the audit for a program
  candor audit preferences pairs.jsonl --fail-on concern       exit code 1 where there is a concern, for CI

The file may be in any format that Candor reads. audit.json holds every number; the page beside it needs no network.
"""

_ENDINGS = re.compile(r"(\.(jsonl|json|ndjson|parquet|csv|tsv|txt))?(\.(gz|zst|bz2|xz))?$", re.IGNORECASE)

app = typer.Typer(help="Audit what a model learns from.", invoke_without_command=True, rich_markup_mode=None)


class FailOn(StrEnum):
    """The mildest verdict that counts as a failure."""

    CONCERN = "concern"
    NOTE = "note"


@app.callback()
def group(context: typer.Context) -> None:
    """Audit what a model learns from."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command(epilog=EXAMPLES)
def preferences(
    file: Annotated[
        str,
        typer.Argument(help="A file, a directory or a data set of preferences.", show_default=False, metavar="FILE"),
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
    seed: Annotated[int, typer.Option(min=0, help="Samples and bootstraps follow from it.")] = 0,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Count rows that cannot be read, and go on.")] = False,
    fail_on: Annotated[
        FailOn | None, typer.Option(help="Exit with 1 at such a verdict, or a worse one.", show_default=False)
    ] = None,
    browser: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Audit a preference file: can it be trusted, and what does it teach?

    Prints a verdict per check, concerns first, and writes audit.json and a page with charts and the rows that show it.
    """
    typer.echo("loading ...", err=True)  # what computes takes a moment to import
    from rich.console import Console

    from candor.cli.audit_view import lines, reporter_for
    from candor.report.preferences import check_place

    directory = out or Path("audits") / stem(file)
    check_place(directory)
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
    page = directory / "preferences.html" if done.page is None else done.page
    if as_json:
        print_json({**done.document, "files": {"audit": str(page.with_name("audit.json")), "page": str(page)}})
    else:
        console = stdout()
        for line in lines(done.document):
            console.print(line, crop=False)
        typer.echo(f"audit: {page.with_name('audit.json')}\npage: {page}")
    if browser:
        open_page(page)
    if fail_on is not None and fails(done.document, fail_on):
        raise typer.Exit(1)


def stem(file: str) -> str:
    """The name of a file without its endings, such as ``pairs`` for ``data/pairs.jsonl.gz``."""
    path = Path(file)
    name = path.name if path.name not in ("", "..") else path.resolve().name
    return _ENDINGS.sub("", name) or "audit"


def fails(document: Mapping[str, Any], fail_on: FailOn) -> bool:
    """Whether a check came to the verdict or a worse one; ``cannot tell`` is none of them."""
    worse = {"concern"} if fail_on is FailOn.CONCERN else {"concern", "note"}
    return any(check["verdict"] in worse for check in document["checks"])


def open_page(page: Path) -> None:
    """Opens a page in a browser, or says where it is where none could be started."""
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        typer.echo(f"no browser could be started; the page is {page}", err=True)
