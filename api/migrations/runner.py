"""Brings a database to this release's schema with Alembic, configured in code: no alembic.ini and no path of a machine."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from api.migrations import is_current
from certs.db import hold
from certs.outages import database_errors


def build_config() -> Config:
    """Where the revisions stand, by package, so that an installed Antin finds them too."""
    config = Config()
    config.set_main_option("script_location", "api:migrations")
    # Alembic splits lists of paths by this; without it it warns.
    config.set_main_option("path_separator", "os")
    return config


def upgrade(engine: Engine) -> bool:
    """Apply what is due, all in one transaction; True when something was. Costs one query when nothing is due."""
    if is_current(engine):
        return False
    with database_errors(), engine.begin() as connection:
        upgrade_within(connection)
    return True


def upgrade_within(connection: Connection, revision: str = "head") -> None:
    """The same in the caller's transaction, up to a revision."""
    config = build_config()
    if connection.dialect.name == "postgresql":
        # A large table may take its time, and so may another process that migrates: this one waits and finds it done.
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SET LOCAL lock_timeout = 0"))
    hold(connection, "migration")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def is_known(revision: str) -> bool:
    """Whether this release has a revision, so that it can make a schema of that time and go on from there."""
    return any(each.revision == revision for each in ScriptDirectory.from_config(build_config()).walk_revisions())
