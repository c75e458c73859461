"""``candor report``: a run's page, built again from its files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from candor.cli.completion import run_names
from candor.cli.output import AsJson, print_json
from candor.storage import writing

if TYPE_CHECKING:
    from candor.results import Run

EXAMPLES = """
\b
Examples:
  candor report default-seed0            builds runs/default-seed0/report.html and prints where it is
  candor report default-seed0 --open     and opens it in a browser
  candor report default-seed0 --json     the stage table and every finding, for a program

An unfinished run has a report too: of the stages that it has finished.
"""

RunArgument = Annotated[
    str,
    typer.Argument(
        help="A run's directory, or its name under runs/.", autocompletion=run_names, show_default=False, metavar="RUN"
    ),
]


def report(
    run: RunArgument,
    browser: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    as_json: AsJson = False,
) -> None:
    """Build a run's report from its files.

    Prints where the page is. One that is there already is built again.
    """
    from candor.records import to_json
    from candor.results import Run, locate_run

    found = Run(locate_run(run))
    page = write(found)
    if browser:
        import webbrowser

        if not webbrowser.open(page.resolve().as_uri()):
            typer.echo(f"no browser could be started; the page is {page}", err=True)
    if as_json:
        findings = [to_json(finding) for finding in found.finding_records]
        print_json({"report": str(page), "summary": found.summary, "findings": findings})
    else:
        typer.echo(str(page))


def write(found: Run) -> Path:
    """Writes the page; a place that cannot be written to is the user's to settle."""
    from candor.report import write_report

    with writing(found.report):
        return write_report(found.path)
