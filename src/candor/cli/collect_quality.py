"""``candor collect quality``, ``gate``, ``gold`` and ``arm``: what labels are worth, and the items that tell it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from candor.cli.collect import EMBEDDED, Database, Slug, opened
from candor.cli.output import AsJson, print_json, stdout

if TYPE_CHECKING:
    from collections.abc import Sequence

    from candor.projects.items import NewItem

QUALITY_EXAMPLES = """
\b
Examples:
  candor collect quality sample                             who labels how, and what the labels reward
  candor collect quality sample --json
"""

GATE_EXAMPLES = """
\b
Examples:
  candor collect gate sample                                may the labels be released? exit code 1 where not
  candor collect gate sample --batch 1 --json
"""

GOLD_EXAMPLES = """
\b
Examples:
  candor collect gold sample --count 20                     from Atlas's facts, the kinds of trap in turn
  candor collect gold sample claims.csv --trap flatters_wrong
  candor collect gold sample claims.csv --kind calibration --count 4
"""

ARM_EXAMPLES = """
\b
Examples:
  candor collect arm sample --count 40                      from Atlas's facts
  candor collect arm sample claims.csv --overlap 6
"""

Batch = Annotated[int | None, typer.Option(min=1, help="This batch's items only.", show_default=False)]
Claims = Annotated[
    Path | None,
    typer.Argument(metavar="[CLAIMS]", help="Question, truth, asserted: rows of any file.", show_default="Atlas's"),
]
Count = Annotated[int | None, typer.Option(min=1, help="So many questions.", show_default="all")]
Seed = Annotated[int, typer.Option(min=0, help="Which questions, in which words.")]
InBatch = Annotated[int | None, typer.Option(min=1, help="The batch they belong to.", show_default="the current one")]


class TrapChoice(StrEnum):
    """What tempts to the wrong reply."""

    PLAIN = "plain"
    LONG_WRONG = "long_wrong"
    POLITE_WRONG = "polite_wrong"
    FLATTERS_WRONG = "flatters_wrong"


class GoldKind(StrEnum):
    """What items with a right answer are for."""

    GOLD = "gold"
    CALIBRATION = "calibration"
    EXAMPLE = "example"


def quality(slug: Slug, database: Database = EMBEDDED, as_json: AsJson = False) -> None:
    """See what a project's labels are worth: annotators, agreement, what is rewarded, the arm."""
    from candor.collect.quality.dashboard import dashboard
    from candor.collect.quality.work import worked
    from candor.projects.labels import read_judgements
    from candor.projects.overview import overview
    from candor.projects.setup import find_project

    with opened(database) as found, found.reading() as connection:
        project = find_project(connection, slug)
        judged = read_judgements(connection, project.id)
        counts, workers = overview(connection, project), worked(connection, project)
    document = dashboard(judged, counts=counts, workers=workers, bounds=project.settings.gate)
    if as_json:
        print_json(document)
        return
    if not judged:
        typer.echo(f"{slug}: no labels yet")
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("annotator", "judgements", "reliability", "first side", "with the user", "gold", "verdict"):
        table.add_column(column, justify="left" if column in ("annotator", "verdict") else "right")
    for one in document["annotators"]:
        measures = [_limits(one.get(name)) for name in ("reliability", "side", "agreement", "traps")]
        verdict = " ".join([one["verdict"], *(f"({reason})" for reason in one["reasons"])])
        table.add_row(one["name"], f"{one['judgements']:,}", *measures, verdict)
    stdout().print(table)
    for check in document["checks"]:
        typer.echo(f"{check['verdict']}: {check['meaning']}")


def gate(slug: Slug, batch: Batch = None, database: Database = EMBEDDED, as_json: AsJson = False) -> None:
    """Say whether a batch of labels may be released, or why not (exit code 1)."""
    from candor.collect.quality.gate import gate as asked
    from candor.collect.quality.gate import gate_document
    from candor.collect.quality.work import worked
    from candor.projects.labels import read_judgements
    from candor.projects.setup import find_project

    with opened(database) as found, found.reading() as connection:
        project = find_project(connection, slug)
        judged = read_judgements(connection, project.id, batch=batch)
        workers = worked(connection, project, batch=batch)
    document = gate_document(asked(judged, project.settings, workers, batch=batch))
    if as_json:
        print_json(document)
    else:
        for check in document["checks"]:
            said = {True: "passes", False: "fails", None: "cannot tell"}[check["passes"]]
            typer.echo(f"{said}: {check['title']}: {check['meaning']}")
        typer.echo("may be released" if document["passes"] else "may not be released")
    if not document["passes"]:
        raise typer.Exit(1)


def gold(
    slug: Slug,
    claims: Claims = None,
    count: Count = None,
    trap: Annotated[
        list[TrapChoice] | None, typer.Option(help="What tempts; may be repeated.", show_default="all four in turn")
    ] = None,
    kind: Annotated[GoldKind, typer.Option(help="What they are for.")] = GoldKind.GOLD,
    batch: InBatch = None,
    seed: Seed = 0,
    database: Database = EMBEDDED,
) -> None:
    """Add items whose right answer is known, made from claims: short and right against long and wrong, and so on."""
    from candor.claims import load_claims
    from candor.collect.quality.gold import gold_items
    from candor.projects.items import TRAPS

    chosen = [one.value for one in trap] if trap else TRAPS
    made = gold_items(load_claims(claims), count=count, traps=chosen, kind=kind.value, seed=seed, batch=batch)  # type: ignore[arg-type]
    _add(slug, made, database)


def arm(
    slug: Slug,
    claims: Claims = None,
    count: Count = None,
    overlap: Annotated[
        int | None, typer.Option(min=1, help="Annotators who judge each.", show_default="the project's")
    ] = None,
    batch: InBatch = None,
    seed: Seed = 0,
    database: Database = EMBEDDED,
) -> None:
    """Add items for the arm that hides the user's belief, made from claims."""
    from candor.claims import load_claims
    from candor.collect.quality.arm_items import arm_items

    _add(slug, arm_items(load_claims(claims), count=count, seed=seed, overlap=overlap, batch=batch), database)


def _add(slug: str, made: Sequence[NewItem], database: str) -> None:
    from candor.projects.items import add_items
    from candor.projects.setup import find_project

    with opened(database) as found, found.writing() as connection:
        added = add_items(connection, find_project(connection, slug), made, now=found.now())
    typer.echo(
        f"{added.added:,} items added to {slug}" + (f", {added.known:,} were there before" if added.known else "")
    )


def _limits(value: Any) -> str:
    if not value or value.get("estimate") is None:
        return "-"
    text = f"{value['estimate']:.2f}"
    return text if value.get("low") is None else f"{text} [{value['low']:.2f}, {value['high']:.2f}]"


def add(app: typer.Typer) -> None:
    """Adds the commands to ``candor collect``."""
    app.command(epilog=QUALITY_EXAMPLES)(quality)
    app.command(epilog=GATE_EXAMPLES)(gate)
    app.command(epilog=GOLD_EXAMPLES)(gold)
    app.command(epilog=ARM_EXAMPLES)(arm)
