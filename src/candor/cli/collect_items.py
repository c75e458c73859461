"""``candor collect import`` and ``export``: items in, labels out."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from candor.cli.collect import EMBEDDED, Database, Force, Slug, opened
from candor.cli.convert import To
from candor.cli.output import AsJson, print_json

if TYPE_CHECKING:
    from candor.collect.importing import FileItems
    from candor.projects.setup import Project

IMPORT_EXAMPLES = """
\b
Examples:
  candor collect import sample replies.jsonl               rows with 'prompt' and 'responses'
  candor collect import sample pairs.jsonl.gz              the texts of comparisons in any known format
  candor collect import sample gold.jsonl --kind gold      items whose right answer is known
  candor collect import sample --from-run default-seed0 --stage ppo --count 100      its policy writes the replies

The same items again are counted and left as they are.
"""


class Kind(StrEnum):
    """What items are for."""

    MAIN = "main"
    GOLD = "gold"
    CALIBRATION = "calibration"
    EXAMPLE = "example"


def import_(
    slug: Slug,
    source: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="Items, or comparisons.", show_default=False)
    ] = None,
    kind: Annotated[
        Kind | None, typer.Option(help="What the items are for.", show_default="what the rows say, or main")
    ] = None,
    from_run: Annotated[
        str | None, typer.Option(metavar="RUN", help="A run whose policies write the replies.", show_default=False)
    ] = None,
    stage: Annotated[
        list[str] | None,
        typer.Option(help="A stage of that run; may be repeated.", show_default="the last one with a policy"),
    ] = None,
    prompts: Annotated[
        str | None, typer.Option(help="A file of prompts.", show_default="what the run trains on")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many prompts of the run's.")] = 100,
    temperature: Annotated[float, typer.Option(min=0.01, help="At which replies are drawn.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Prompts and replies follow from it.")] = 0,
    database: Database = EMBEDDED,
    as_json: AsJson = False,
) -> None:
    """Add items to a project, from a file or from what a run's policies write."""
    from candor.collect.importing import counted, read_items
    from candor.errors import InputError
    from candor.projects.items import add_items
    from candor.projects.setup import find_project

    if (source is None) == (from_run is None):
        raise InputError("expected a FILE or --from-run, and not both", where="candor collect import")
    with opened(database) as found:
        with found.reading() as connection:
            project = find_project(connection, slug)
        if from_run is not None:
            read = _written(project, from_run, stage, prompts, count, temperature, seed)
        else:
            assert source is not None
            read = read_items(source, project, kind=None if kind is None else kind.value)
        with found.writing() as connection:
            added = add_items(connection, project, read.items, now=found.now())
    if as_json:
        print_json(
            {
                "project": slug,
                "rows": read.rows,
                "added": added.added,
                "known": added.known,
                "by_kind": dict(added.by_kind),
                "answers_left_behind": read.answers,
                "dropped": dict(read.dropped),
                "ignored": list(read.ignored),
            }
        )
        return
    typer.echo(f"{source or from_run}: {read.rows:,} rows read, {added.added:,} items added to {slug}")
    if added.known:
        typer.echo(f"  known: {added.known:,} were there before")
    if read.answers:
        typer.echo(f"  the answers of {read.answers:,} comparisons are left behind: people give new ones")
    for line in counted(read.dropped):
        typer.echo(f"  {line}")
    if read.ignored:
        typer.echo(f"  not read: {', '.join(read.ignored)}")


def _written(
    project: Project,
    name: str,
    stages: list[str] | None,
    prompts: str | None,
    count: int,
    temperature: float,
    seed: int,
) -> FileItems:
    from candor.collect.from_run import prompts_of, read_run
    from candor.results import Run, locate_run

    run = Run(locate_run(name))
    chosen = stages or [run.policies[-1]]
    typer.echo(f"{name}: {', '.join(chosen)} write ...", err=True)
    return read_run(
        run, project, stages=chosen, prompts=prompts_of(run, prompts), count=count, temperature=temperature, seed=seed
    )


EXPORT_EXAMPLES = """
\b
Examples:
  candor collect export sample labels.jsonl                all that is known, as Candor's rows
  candor collect export sample pairs.parquet --to trl-chat
  candor collect export sample batch-1.jsonl --batch 1 --no-retests
"""


def export(
    slug: Slug,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.", show_default=False)],
    to: Annotated[To, typer.Option("--to", help="The format to write.")] = To.CANDOR,
    batch: Annotated[int | None, typer.Option(min=1, help="This batch's items only.", show_default=False)] = None,
    retests: Annotated[bool, typer.Option(help="Second looks at an item too.")] = True,
    gold: Annotated[bool, typer.Option("--gold", help="Answers to gold and calibration items too.")] = False,
    force: Force = False,
    database: Database = EMBEDDED,
    as_json: AsJson = False,
) -> None:
    """Write a project's labels to a file."""
    from candor.collect.exporting import export_labels

    with opened(database) as found:
        written = export_labels(found, slug, out, to=to.value, batch=batch, retests=retests, gold=gold, force=force)
    if as_json:
        print_json(
            {
                "path": str(out),
                "to": to.value,
                "labels": written.comparisons,
                "rows": written.rows,
                "not_written": dict(written.dropped),
            }
        )
        return
    typer.echo(f"{out}: {written.comparisons:,} labels, {written.rows:,} rows of {to.value}")
    for reason, count in written.dropped.items():
        typer.echo(f"  no row: {count:,} x {reason}")


def add(app: typer.Typer) -> None:
    """Adds the commands to ``candor collect``."""
    app.command("import", epilog=IMPORT_EXAMPLES)(import_)
    app.command("export", epilog=EXPORT_EXAMPLES)(export)
