"""Without room for its audit row an act does not happen: whatever keeps the row out, on either database."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from api.auth.tokens import issue_token, revoke_token
from api.cli.failures import describe
from api.problems import describe_problem
from certs.errors import DatabaseUnavailable
from pki.crl import find_latest_crl, sign_crl
from pki.errors import AuditUnavailable
from pki.revocation import reinstate
from tests import postgres
from tests.unit.pki.services import build_services
from tests.world import ADMIN

POSTGRESQL_REFUSES = (
    "CREATE FUNCTION no_audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no room'; END $$",
    "CREATE TRIGGER no_audit BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION no_audit()",
)
SQLITE_REFUSES = ("CREATE TRIGGER no_audit BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no room'); END",)
WAYS = {
    "a trigger refuses": POSTGRESQL_REFUSES if postgres.wanted() else SQLITE_REFUSES,
    "no chain is left": ("DELETE FROM audit_chains",),
    "the place is taken": ("UPDATE audit_chains SET length = 0",),
    "the table is gone": ("ALTER TABLE audit RENAME TO audit_away",),
    "the chains are gone": ("ALTER TABLE audit_chains RENAME TO chains_away",),
}


def state_of(world):
    """Everything that the acts below could change."""
    tables = ("certificates", "authorities", "crls", "tokens", "service_keys")
    with world.database.read() as session:
        return {table: session.execute(text(f"SELECT * FROM {table}")).all() for table in tables}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "act",
    [
        lambda world, _, leaf: world.revoke(leaf.record.serial),
        lambda world, held, _: reinstate(held.record.serial, ADMIN, world.revocation_deps),
        lambda world, *_: world.seal(),
        lambda world, *_: issue_token(world.person_deps, ADMIN, scopes=["sign"], name="new"),
        lambda world, *_: revoke_token(world.database, world.clock, ADMIN, "old"),
    ],
    ids=["revoke", "reinstate", "issue", "issue-token", "revoke-token"],
)
def test_an_act_that_cannot_be_audited_changes_nothing(world, act, way):
    held, leaf = world.officer(), world.officer()
    world.revoke(held.record.serial, "certificateHold")
    issue_token(world.person_deps, ADMIN, scopes=["sign"], name="old")
    before = state_of(world)
    with world.database.write() as session:
        for statement in WAYS[way]:
            session.execute(text(statement))
    with pytest.raises(DatabaseUnavailable) as refused:
        act(world, held, leaf)
    assert state_of(world) == before
    exit_code, code, _ = describe(refused.value)
    status, problem, facts = describe_problem(refused.value)
    assert (exit_code, status) == (5, 503)
    assert int(facts["retry_after"]) > 0
    if "gone" in way:
        # The schema of another release, for all we know.
        assert (code, problem) == ("DATABASE_NO_SCHEMA", "REGISTER_UNAVAILABLE")
    else:
        assert isinstance(refused.value, AuditUnavailable)
        assert (code, problem) == ("AUDIT_UNAVAILABLE", "AUDIT_STOPPED")


def test_a_crl_that_cannot_be_audited_is_not_kept(world):
    before = sign_crl(world.issuing, ADMIN, world.crl_deps)
    world.revoke(world.officer().record.serial)
    with world.database.write() as session:
        session.execute(text("DELETE FROM audit_chains"))
    with pytest.raises(AuditUnavailable):
        sign_crl(world.issuing, ADMIN, world.crl_deps)
    with world.database.read() as session:
        assert find_latest_crl(session, "issuing") == before


def test_tokens_go_on_being_counted_when_the_tally_cannot_be_written(world):
    services = build_services(world)
    services.tsa.answer(b"no request")
    with world.database.write() as session:
        rows = session.execute(text("SELECT * FROM audit_chains")).mappings().all()
        session.execute(text("DELETE FROM audit_chains"))
    with pytest.raises(AuditUnavailable):
        services.tsa.write_tally(ADMIN)
    with world.database.write() as session:
        session.execute(text("INSERT INTO audit_chains VALUES (:chain, :length, :head)"), [dict(row) for row in rows])
    assert services.tsa.write_tally(ADMIN)
