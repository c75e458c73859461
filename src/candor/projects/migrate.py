"""The tables of a database made, or brought up to date, by Alembic's migrations inside the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import inspect

from candor.errors import InputError

if TYPE_CHECKING:
    from alembic.config import Config

    from candor.projects.database import Database

MIGRATIONS = Path(__file__).parent / "migrations"


def bring_up_to_date(database: Database, *, create: bool, upgrade: bool) -> None:
    """Makes the tables of an empty database (``create``) or those that later versions added (``upgrade``).

    Raises InputError where that is needed and not asked for, and for a database of another program or a later version.
    """
    from alembic import command
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    with database.reading() as connection:
        tables = set(inspect(connection).get_table_names())
        current = MigrationContext.configure(connection).get_current_revision()
    script = ScriptDirectory.from_config(_config())
    if current == script.get_current_head():
        return
    if current is None:
        if tables:
            raise InputError("is a database of something else", where=database.name, fix="give Candor one of its own")
        if not create:
            raise InputError("is empty", where=database.name, fix=f"candor collect serve --database {database.name}")
    else:
        try:
            script.get_revision(current)
        except CommandError as error:
            raise InputError("was written by a later version", where=database.name, fix="upgrade candor") from error
        if not upgrade:
            raise InputError("is of an earlier version", where=database.name, fix="candor collect status upgrades it")
    config = _config()
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
