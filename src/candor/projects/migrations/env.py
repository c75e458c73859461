"""Runs migrations on the connection that :mod:`candor.projects.migrate` hands over."""

from alembic import context

from candor.projects.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
