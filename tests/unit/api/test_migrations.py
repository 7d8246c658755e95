"""Migrations make exactly the tables that the code expects, once."""

from __future__ import annotations

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

import api.auth.tables
import certs.tables
import pki.tables
import signer.tables
from api.migrations import HEAD, is_current
from api.migrations.runner import build_config, upgrade
from certs.db import Base
from tests.postgres import discard
from tests.world import empty_database

# The models that Base.metadata must know before it is compared: each package declares its own.
MODELS = (api.auth.tables, certs.tables.CertificateRow, pki.tables.AuditRow, signer.tables)


@pytest.fixture
def database(tmp_path):
    database = empty_database(tmp_path)
    yield database
    discard(database)


def test_an_empty_database_is_brought_to_head_and_a_current_one_is_left_alone(database):
    assert not is_current(database.engine)
    assert upgrade(database.engine)
    assert is_current(database.engine)
    assert not upgrade(database.engine)


def test_the_named_head_is_the_newest_revision():
    assert ScriptDirectory.from_config(build_config()).get_heads() == [HEAD]


def test_the_migrated_schema_is_that_of_the_models(database):
    upgrade(database.engine)
    with database.engine.connect() as connection:
        tables = set(inspect(connection).get_table_names()) - {"alembic_version"}
        assert tables == set(Base.metadata.tables)

        def is_for_this_database(item, _name, kind, _reflected, _compared) -> bool:
            # Alembic does not ask on which databases an index is meant to be (ddl_if).
            return kind != "index" or not item.name.endswith("_trigrams") or connection.dialect.name == "postgresql"

        options = {"compare_type": True, "include_object": is_for_this_database}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []


def test_a_migration_that_fails_leaves_nothing(database):
    with database.write() as session:
        session.execute(text("CREATE TABLE crls (id INTEGER)"))
    with pytest.raises(DBAPIError, match=r'crls"? already exists'):
        upgrade(database.engine)
    with database.engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["crls"]
