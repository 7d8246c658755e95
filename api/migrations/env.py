"""Alembic's entry: runs the revisions on the connection that runner.py opened."""

from __future__ import annotations

from alembic import context

from certs.db import Base

# render_as_batch: SQLite alters a table by copying it.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
