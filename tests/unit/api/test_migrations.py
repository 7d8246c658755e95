"""Migrations make exactly the tables that the code expects, once."""

from __future__ import annotations

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text
from sqlalchemy.exc import DBAPIError

import api.auth.tables
import certs.tables
import pki.notice_tables
import pki.registration_tables
import pki.tables
import signer.tables
from api.migrations import HEAD, is_current
from api.migrations.runner import build_config, upgrade
from certs.db import Base
from pki import audit
from pki.audit import Actor
from pki.audit_survey import chain_ends, survey_all
from tests.fakes.clock import FixedClock
from tests.postgres import discard
from tests.world import empty_database

# The models that Base.metadata must know before it is compared: each package declares its own.
MODELS = (
    api.auth.tables,
    certs.tables.CertificateRow,
    pki.tables.AuditRow,
    pki.notice_tables,
    pki.registration_tables,
    signer.tables,
)


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
        # SQLite's index of words, with the tables that FTS5 keeps it in, is none of the models'.
        words = {name for name in tables if name.startswith("documents_words")}
        assert bool(words) is (connection.dialect.name == "sqlite")
        tables -= words
        assert tables == set(Base.metadata.tables)

        def is_for_this_database(item, _name, kind, _reflected, _compared) -> bool:
            # Alembic does not ask on which databases an index is meant to be (ddl_if).
            if kind == "table":
                return item.name not in words
            return (
                kind != "index"
                or not item.name.endswith(("_trigrams", "_hash"))
                or connection.dialect.name == "postgresql"
            )

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


def test_the_acts_of_an_earlier_release_become_the_beginning_of_a_chain(database):
    config = build_config()
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0004")
        # More than are linked at a time, with a gap in their numbers and times in another zone than ours.
        for seq in (*range(1, 1002), 2000):
            row = {"seq": seq, "time": "2026-11-21 03:15:30.000250", "actor": "Nguyễn Thị A", "subject": f"{seq}"}
            connection.execute(
                text(
                    "INSERT INTO audit (seq, time, actor, action, subject_kind, subject_id, details)"
                    " VALUES (:seq, :time, :actor, 'seal.hand-over', 'credential', :subject, :details)"
                ),
                row | {"details": '{"paper": "số 12/QĐ", "by": ""}'},
            )
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT setval('audit_seq_seq', 2000)"))
    upgrade(database.engine)
    with database.write() as session:
        audit.append(session, FixedClock(), Actor("b"), "x", "thing", "first after")
    with database.read() as session:
        survey = survey_all(session)
        assert (survey.rows, survey.breaks) == (1003, ())
        assert chain_ends(session)[0].position == 1003
    with database.write() as session:
        session.execute(text("UPDATE audit SET subject_id = '501' WHERE seq = 500"))
    with database.read() as session:
        assert [(each.seq, each.position) for each in survey_all(session).breaks] == [(500, 500)]


def test_the_chains_can_be_taken_away_again(database):
    upgrade(database.engine)
    config = build_config()
    with database.engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0004")
    with database.engine.connect() as connection:
        assert "audit_chains" not in inspect(connection).get_table_names()
        assert "link" not in {column["name"] for column in inspect(connection).get_columns("audit")}
