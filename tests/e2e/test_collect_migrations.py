"""Migrations from nothing give exactly the tables of ``schema``, on both databases."""

from __future__ import annotations

from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import CheckConstraint, Column, Index, Integer, inspect

from candor.errors import InputError
from candor.projects.database import Database, open_database
from candor.projects.schema import metadata


def differences(database: Database) -> list[Any]:
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, metadata))


def test_migrations_give_the_tables_of_the_program(any_database: Database) -> None:
    assert differences(any_database) == []


def test_a_missing_column_or_index_is_seen(any_database: Database) -> None:
    """The comparison above is no empty one."""
    extra = Column("forgotten", Integer)
    table = metadata.tables["tasks"]
    table.append_column(extra)
    index = Index("ix_tasks_forgotten", extra)
    try:
        seen = {difference[0] for difference in differences(any_database)}
    finally:
        table.indexes.discard(index)
        table._columns.remove(extra)  # type: ignore[attr-defined]
    assert seen == {"add_column", "add_index"}
    assert differences(any_database) == []


def test_checks_and_unique_constraints_are_there(any_database: Database) -> None:
    """Autogenerate does not compare checks."""
    with any_database.reading() as connection:
        found = inspect(connection)
        for table in metadata.tables.values():
            wanted = {c.name for c in table.constraints if isinstance(c, CheckConstraint)}
            assert {c["name"] for c in found.get_check_constraints(table.name)} == wanted


def test_opened_again_nothing_is_migrated(any_database_url: str) -> None:
    open_database(any_database_url, create=True).close()
    again = open_database(any_database_url, upgrade=False)
    assert differences(again) == []
    again.close()


def test_an_empty_database_is_filled_only_where_that_is_asked_for(postgresql_url: str) -> None:
    with pytest.raises(InputError, match="is empty"):
        open_database(postgresql_url)
