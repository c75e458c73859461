"""``candor collect``: labels by people, on an embedded database or a team's."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from candor.cli.output import AsJson, print_json

if TYPE_CHECKING:
    from candor.projects.database import Database as Opened

EMBEDDED = "collect.db"

EXAMPLES = """
\b
Examples:
  candor collect serve                                      sample projects, ready for the first label
  candor collect create replies --task comparison           a project of one's own
  candor collect import replies replies.jsonl               items for it
  candor collect invite replies                             a link for an annotator
  candor collect status
  candor collect export sample labels.jsonl                 a project's labels, as Candor's rows
  candor audit preferences collect.db#sample                can they be trusted?

Every command works on collect.db in this directory, or on --database: a file, or postgresql://user:password@host/name.
"""

app = typer.Typer(
    help="Collect comparisons, rankings and ratings from people.",
    invoke_without_command=True,
    rich_markup_mode=None,
    epilog=EXAMPLES,
)

Database = Annotated[
    str,
    typer.Option("--database", "-d", envvar="CANDOR_DATABASE", help="A file, or postgresql://user:password@host/name."),
]
Slug = Annotated[str, typer.Argument(metavar="PROJECT", help="The project's short name.", show_default=False)]


class Task(StrEnum):
    """What annotators do."""

    COMPARISON = "comparison"
    RANKING = "ranking"
    RATING = "rating"


class RoleChoice(StrEnum):
    """What somebody may do."""

    ANNOTATOR = "annotator"
    LEAD = "lead"
    ADMIN = "admin"


@app.callback()
def group(context: typer.Context) -> None:
    """Collect comparisons, rankings and ratings from people."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@contextmanager
def opened(database: str, *, create: bool = False) -> Iterator[Opened]:
    """The database, closed at the end."""
    from candor.projects.database import open_database

    found = open_database(database, create=create)
    try:
        yield found
    finally:
        found.close()


SERVE_EXAMPLES = """
\b
Examples:
  candor collect serve                                      on this machine, with sample projects
  candor collect serve --port 9000 --no-open
  candor collect serve --no-sample                          without them
  candor collect serve --database postgresql://candor@db/labels --host 0.0.0.0 --behind-https --name labels.example.org
"""


@app.command(epilog=SERVE_EXAMPLES)
def serve(
    database: Database = EMBEDDED,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = 8400,
    name: Annotated[
        list[str] | None,
        typer.Option(help="A name under which others reach this server; may be repeated.", show_default=False),
    ] = None,
    behind_https: Annotated[
        bool, typer.Option("--behind-https", help="A proxy before this server speaks https.")
    ] = False,
    sample: Annotated[bool, typer.Option(help="Make sample projects in a new database.")] = True,
    browser: Annotated[bool, typer.Option("--open/--no-open", help="Open a browser.")] = True,
) -> None:
    """Serve the labelling pages and their API until Ctrl-C.

    The first start makes the database and prints a link that signs you in as its admin.
    """
    from candor.collect.sample import create_samples
    from candor.collect.serve import check_address, first_link, listening
    from candor.collect.serve import serve as run
    from candor.projects.setup import list_projects

    check_address(host, behind_https=behind_https)
    listener = listening(host, port)
    with opened(database, create=True) as found:
        with found.reading() as connection:
            empty = not list_projects(connection)
        token = first_link(found)
        if sample and empty:
            create_samples(found)
            _join_all(found)
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{listener.getsockname()[1]}"

        def ready() -> None:
            typer.echo(f"labels go to {found.name}")
            typer.echo(f"pages: {address}   (Ctrl-C stops)")
            if token is not None:
                typer.echo(f"sign in as admin, once, within a day: {address}/join#{token}")
            if browser:
                _open(f"{address}/join#{token}" if token is not None else address)

        with suppress(KeyboardInterrupt):  # how a server is stopped
            run(found, listener, behind_https=behind_https, hosts=name or (), ready=ready)
    typer.echo(f"stopped; every label is in {found.name}")


def _join_all(database: Opened) -> None:
    """The first admin labels too."""
    from candor.projects.accounts.accounts import list_accounts
    from candor.projects.setup import add_member, list_projects

    with database.writing() as connection:
        for account in list_accounts(connection):
            for project in list_projects(connection):
                add_member(connection, project, account.id, now=database.now())


def _open(address: str) -> None:
    import webbrowser

    webbrowser.open(address)  # the address is on the terminal in any case


CREATE_EXAMPLES = """
\b
Examples:
  candor collect create replies --title "Which reply helps more?" --instructions guide.md
  candor collect create order --task ranking --set overlap=2 --set pay_per_hour=18
"""

Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="A setting; may be repeated.", show_default=False),
]


@app.command(epilog=CREATE_EXAMPLES)
def create(
    slug: Slug,
    task: Annotated[Task, typer.Option(help="What annotators do.")] = Task.COMPARISON,
    title: Annotated[str, typer.Option(help="What annotators read.", show_default="the short name")] = "",
    instructions: Annotated[
        Path | None, typer.Option(help="A Markdown file that annotators read.", show_default=False)
    ] = None,
    settings: Set = None,
    seed: Annotated[int, typer.Option(min=0, help="The arms of items follow from it.")] = 0,
    database: Database = EMBEDDED,
) -> None:
    """Make a project (and the database, where there is none)."""
    from candor.projects.settings import read_settings
    from candor.projects.setup import create_project

    chosen = read_settings(_assignments(settings or []), where="--set")
    text = _text(instructions) if instructions is not None else ""
    with opened(database, create=True) as found, found.writing() as connection:
        project = create_project(
            connection,
            slug=slug,
            title=title,
            task=task.value,
            instructions=text,
            settings=chosen,
            seed=seed,
            now=found.now(),
        )
    typer.echo(f"{found.name}: made {project.slug}, a {project.task}")
    typer.echo(f"next: {_command('import', project.slug, 'FILE', database=database)}")


SET_EXAMPLES = """
\b
Examples:
  candor collect set sample overlap=5 gold_rate=0.2
  candor collect set sample gate.alpha_at_least=0.5
  candor collect set sample --pause
  candor collect set sample --batch 2                      hand out the items of batch 2 too
"""


@app.command("set", epilog=SET_EXAMPLES)
def set_(
    slug: Slug,
    values: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings.", show_default=False)
    ] = None,
    title: Annotated[str | None, typer.Option(help="A new title.", show_default=False)] = None,
    instructions: Annotated[Path | None, typer.Option(help="A Markdown file.", show_default=False)] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Items up to this batch.", show_default=False)] = None,
    pause: Annotated[
        bool | None, typer.Option("--pause/--resume", help="Hand nothing out, or go on.", show_default=False)
    ] = None,
    database: Database = EMBEDDED,
    as_json: AsJson = False,
) -> None:
    """Change a project's settings, or see them."""
    from candor.projects.setup import change_project, find_project

    changes: dict[str, Any] = {"title": title, "batch": batch, "paused": pause}
    changes["instructions"] = None if instructions is None else _text(instructions)
    changes["settings"] = _assignments(values or []) or None
    changes = {key: value for key, value in changes.items() if value is not None}
    with opened(database) as found, found.writing() as connection:
        project = change_project(connection, find_project(connection, slug), changes)
    shown = project.settings.model_dump(mode="json")
    if as_json:
        print_json({"project": project.slug, "batch": project.batch, "paused": project.paused, "settings": shown})
        return
    typer.echo(f"{project.slug}: batch {project.batch}{', paused' if project.paused else ''}")
    for key, value in shown.items():
        typer.echo(f"  {key} = {value}")


INVITE_EXAMPLES = """
\b
Examples:
  candor collect invite sample                             a link for one annotator
  candor collect invite sample --count 5 --days 14
  candor collect invite sample --role lead
"""


@app.command(epilog=INVITE_EXAMPLES)
def invite(
    slug: Slug,
    role: Annotated[RoleChoice, typer.Option(help="What they may do.")] = RoleChoice.ANNOTATOR,
    count: Annotated[int, typer.Option(min=1, max=1_000, help="How many links: each works once.")] = 1,
    pool: Annotated[str | None, typer.Option(help="The group that they belong to.", show_default=False)] = None,
    days: Annotated[float, typer.Option(help="How long a link works.")] = 7,
    site: Annotated[str, typer.Option(help="Where the pages are reached.")] = "http://127.0.0.1:8400",
    database: Database = EMBEDDED,
    as_json: AsJson = False,
) -> None:
    """Make links with which people make an account and take part."""
    from candor.projects.accounts.invitations import invite as make
    from candor.projects.setup import find_project

    links = []
    with opened(database) as found, found.writing() as connection:
        project = find_project(connection, slug)
        for _ in range(count):
            token = make(connection, role=role.value, by=None, project=project, pool=pool, days=days, now=found.now())
            links.append(f"{site.rstrip('/')}/join#{token}")
    if as_json:
        print_json({"project": slug, "links": links})
        return
    for link in links:
        typer.echo(link)


LINK_EXAMPLES = """
\b
Examples:
  candor collect link admin                                 somebody lost the password
  candor collect link ann --site https://labels.example.org
"""


@app.command(epilog=LINK_EXAMPLES)
def link(
    name: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Who is to be signed in.", show_default=False)],
    site: Annotated[str, typer.Option(help="Where the pages are reached.")] = "http://127.0.0.1:8400",
    database: Database = EMBEDDED,
) -> None:
    """Make a link that signs an account in, once."""
    from candor.projects.accounts.accounts import find_account
    from candor.projects.accounts.invitations import sign_in_link

    with opened(database) as found, found.writing() as connection:
        token = sign_in_link(connection, find_account(connection, name), by=None, now=found.now())
    typer.echo(f"{site.rstrip('/')}/join#{token}")


STATUS_EXAMPLES = """
\b
Examples:
  candor collect status
  candor collect status --json
"""


@app.command(epilog=STATUS_EXAMPLES)
def status(database: Database = EMBEDDED, as_json: AsJson = False) -> None:
    """See every project and how far it has come."""
    from dataclasses import asdict

    from candor.projects.overview import overview
    from candor.projects.setup import list_projects

    with opened(database) as found, found.reading() as connection:
        counted = [(project, overview(connection, project)) for project in list_projects(connection)]
    if as_json:
        print_json(
            {
                "database": found.name,
                "projects": [
                    {"slug": p.slug, "title": p.title, "task": p.task, "batch": p.batch, "paused": p.paused} | asdict(o)
                    for p, o in counted
                ],
            }
        )
        return
    from rich.table import Table

    from candor.cli.output import stdout

    table = Table(box=None, pad_edge=False)
    for column in ("project", "task"):
        table.add_column(column)
    for column in ("items", "labels", "of", "complete", "gold", "retests", "skips", "annotators"):
        table.add_column(column, justify="right")
    table.add_column("")
    for p, o in counted:
        counts = (o.items, o.labels, o.wanted, o.complete, o.gold_answers, o.retests, o.skips, o.annotators)
        table.add_row(p.slug, p.task, *(f"{n:,}" for n in counts), "paused" if p.paused else "")
    typer.echo(found.name)
    stdout().print(table)


BACKUP_EXAMPLES = """
\b
Examples:
  candor collect backup labels-2026-11-26.zip
  candor collect backup team.zip --database postgresql://candor@db/labels
"""
Force = Annotated[bool, typer.Option("--force", help="Replace the file where it is there.")]


@app.command(epilog=BACKUP_EXAMPLES)
def backup(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.", show_default=False)],
    force: Force = False,
    database: Database = EMBEDDED,
) -> None:
    """Write everything into one file, while others go on labelling."""
    from candor.projects.backup import back_up

    with opened(database) as found:
        saved = back_up(found, out, force=force)
    typer.echo(f"{saved.path}: {saved.rows['submissions']:,} submissions, {saved.rows['items']:,} items")


RESTORE_EXAMPLES = """
\b
Examples:
  candor collect restore labels.zip --database again.db
  candor collect restore labels.zip --database postgresql://candor@db/moved      from SQLite to a team's server
"""


@app.command(epilog=RESTORE_EXAMPLES)
def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="What backup wrote.", show_default=False)],
    database: Database = EMBEDDED,
) -> None:
    """Make a new database from a backup."""
    from candor.projects.backup import restore as bring_back
    from candor.projects.database import shown_name

    saved = bring_back(source, database)
    typer.echo(f"{shown_name(database)}: {saved.rows['submissions']:,} submissions, {saved.rows['items']:,} items")


def _command(*words: str, database: str) -> str:
    option = [] if database == EMBEDDED else ["--database", database]
    return shlex.join(["candor", "collect", *words, *option])


def _text(path: Path) -> str:
    from candor.errors import InputError

    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InputError(f"cannot be read: {why}", where=str(path)) from error


def _assignments(values: list[str]) -> dict[str, Any]:
    """``key=value`` pairs as a tree; values are JSON, or else texts."""
    import json

    from candor.errors import InputError

    tree: dict[str, Any] = {}
    for text in values:
        key, equals, value = text.partition("=")
        if not equals or not key:
            raise InputError("expected KEY=VALUE", where=text)
        place = tree
        *path, last = key.split(".")
        for part in path:
            place = place.setdefault(part, {})
        try:
            place[last] = json.loads(value)
        except json.JSONDecodeError:
            place[last] = value
    return tree
