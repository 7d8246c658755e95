"""Migrations: says which schema this release wants and whether a database has it. Changing one is for runner.py.

Nothing here imports Alembic (0.2 s): every command asks `is_current`, only `init` and `serve` migrate.
"""

from __future__ import annotations

from sqlalchemy import Engine, exc, text

from certs.outages import database_errors

# The newest revision in versions/; a test holds it to what Alembic finds there.
HEAD = "0030"


def is_current(engine: Engine) -> bool:
    """Whether the schema is this release's. One query; an empty database is simply not current."""
    with database_errors(), engine.connect() as connection:
        try:
            present: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
        except (exc.OperationalError, exc.ProgrammingError) as error:
            if "alembic_version" in str(error.orig):
                return False
            raise
    return present == HEAD
