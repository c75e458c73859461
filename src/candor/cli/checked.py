"""What the commands of audits and experiments share: their options, what they print, and how they end."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from candor.cli.output import print_json, stdout

if TYPE_CHECKING:
    from candor.results.checks import Checked


class FailOn(StrEnum):
    """The mildest verdict that counts as a failure."""

    CONCERN = "concern"
    NOTE = "note"


FailAt = Annotated[
    FailOn | None,
    typer.Option("--fail-on", help="Exit with 1 at such a verdict, or a worse one.", show_default=False),
]
Open = Annotated[bool, typer.Option("--open", help="Open the page in a browser.")]
Seed = Annotated[int, typer.Option(min=0, help="Samples and bootstraps follow from it.")]


def show(done: Checked, *, as_json: bool, browser: bool, fail_on: FailOn | None = None) -> None:
    """Prints what was found and where its files are, opens the page, and exits with 1 where ``fail_on`` asks for it."""
    from candor.cli.audit_view import lines
    from candor.report.checks.kinds import kind_of

    page = done.page
    if page is None:
        raise ValueError("what a command shows has been written")
    kind = kind_of(done.document)
    file, name = page.with_name(kind.document), "audit" if kind.audit else "document"
    if as_json:
        print_json({**done.document, "files": {name: str(file), "page": str(page)}})
    else:
        console = stdout()
        for line in lines(done.document):
            console.print(line, crop=False)
        typer.echo(f"{name}: {file}\npage: {page}")
    if browser:
        open_page(page)
    if fail_on is not None and fails(done.document, fail_on):
        raise typer.Exit(1)


def fails(document: Mapping[str, Any], fail_on: FailOn) -> bool:
    """Whether a check came to the verdict or a worse one; ``cannot tell`` is none of them."""
    worse = {"concern"} if fail_on is FailOn.CONCERN else {"concern", "note"}
    return any(check["verdict"] in worse for check in document["checks"])


def open_page(page: Path) -> None:
    """Opens a page in a browser, or says where it is where none could be started."""
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        typer.echo(f"no browser could be started; the page is {page}", err=True)
