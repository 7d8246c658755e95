"""What a database holds goes into lines and comes back in another; what happened since comes back out of the audit trail."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from sqlalchemy import insert, text
from sqlalchemy.orm import Session

import api.auth.tables
import signer.tables
from api.backup.dump import LEFT_OUT, count_on, dump_tables, is_empty, load_chunk, revision_of
from api.backup.reconcile import LOST, REPLAYED, TRACELESS, reconcile
from api.errors import ComponentError, UsageError
from api.migrations import HEAD
from api.migrations.runner import is_known, upgrade_within
from certs.db import Database
from certs.inventory import State, get_certificate
from certs.names import parse_subject
from hsm.spec import KeySpec, Purpose
from pki import audit
from pki.appointment import add_person, disable_person, grant_role
from pki.approval import Deed, demand
from pki.approval_records import ApprovalState, list_approvals
from pki.approval_rules import Act
from pki.audit import Actor
from pki.audit_export import ExportDeps, export_lines
from pki.audit_survey import chain_ends, survey_all
from pki.authorities import get_authority
from pki.crl import CrlDeps, partition_crl, sign_crl
from pki.errors import (
    ApprovalNeeded,
    AuditExportForeign,
    AuditExportGap,
    AuditExportUnreadable,
    AuditExportWrong,
    RegistrationUnknown,
)
from pki.issuance import IssuanceRequest, issue, issue_wanted
from pki.issuer import load_issuer
from pki.notice_tables import NoticeRow
from pki.persons import PersonState, get_person
from pki.registration import RegistrationDeps, refuse_registration, register_at_once
from pki.registration_records import RegistrationState, Wanted, get_registration, registration_of_certificate
from pki.replay import CRL_MARGIN
from pki.revocation import RevocationDeps, reinstate, revoke, revoke_intents
from pki.roles import Role
from pki.service_keys import ServiceDesk, ServiceKind
from signer.tables import NumberRow
from tests import postgres
from tests.postgres import sqlite_only
from tests.unit.pki.services import build_services
from tests.world import ADMIN, OFFICER_SUBJECT, PUBLIC_URL, build_world, empty_database

ROOT = Path(__file__).parents[3]


def dump(database: Database) -> list[bytes]:
    with database.read() as session:
        return [chunk for _, chunk in dump_tables(session)]


def load(database: Database, chunks: list[bytes], revision: str = HEAD) -> None:
    with database.engine.begin() as connection:
        upgrade_within(connection, revision)
        for chunk in chunks:
            load_chunk(connection, chunk)
        upgrade_within(connection)
        count_on(connection)


@dataclass
class Loss:
    """A world, what was backed up of it, and the database that it came back into."""

    world: object
    folder: Path
    databases: list[Database] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)

    def back_up(self) -> None:
        self.chunks = dump(self.world.database)

    def export(self, name: str = "trail.jsonl", **span) -> Path:
        desk = ServiceDesk(self.world.database, self.world.keys, self.world.clock)
        deps = ExportDeps(self.world.database, self.world.clock, desk)
        (self.folder / name).write_bytes(b"".join(export_lines(deps, **span)))
        return self.folder / name

    def restore(self, *exports: Path):
        folder = self.folder / f"restored-{len(self.databases)}"
        folder.mkdir()
        database = empty_database(folder)
        self.databases.append(database)
        load(database, self.chunks)
        with database.engine.begin() as connection, Session(connection) as session:
            result = reconcile(session, exports, self.world.clock)
            audit.append(session, self.world.clock, ADMIN, "backup.restore", "backup", "backup")
        return database, result


@pytest.fixture
def loss(tmp_path):
    world = build_world(tmp_path)
    build_services(world)
    loss = Loss(world, tmp_path)
    yield loss
    for database in loss.databases:
        postgres.discard(database)
    world.close()


def test_every_row_comes_back_to_the_last_bit(loss):
    world = loss.world
    world.revoke(world.seal().record.serial)
    world.crls()
    moment = datetime(2026, 11, 21, 3, 15, 30, 250, tzinfo=UTC)
    document = {
        "id": 7, "code": "X" * 20, "status": "in-force", "agency": "Sở", "name": 'quyết "định"\n\u2028.pdf', "subject": "",
        "number": 99_999_999_999, "number_year": 2026, "notation": None, "created_at": moment, "issued_at": None,
        "details": {"Ký": [1, 1.5, None, True, "x\ty"], "big": 2**70},
    }  # fmt: skip
    credential = {
        "name": "officer", "role": "officer", "activation": "standing", "agency": "Sở", "scheme": "ecdsa", "diameter_mm": 35.1,
        "public_key_der": bytes(range(256)), "certificate_serial": "00", "image_sha256": None, "created_at": moment,
    }  # fmt: skip
    with world.database.write() as session:
        session.execute(insert(signer.tables.DocumentRow), document)
        session.execute(insert(signer.tables.CredentialRow), credential)
    loss.back_up()
    folder = loss.folder / "again"
    folder.mkdir()
    database = empty_database(folder)
    loss.databases.append(database)
    load(database, loss.chunks)
    assert dump(database) == loss.chunks
    with database.read() as session:
        row = session.get(signer.tables.DocumentRow, 7)
        assert (row.name, row.details, row.created_at, row.number) == (
            document["name"], document["details"], moment, document["number"],
        )  # fmt: skip
        assert session.get(signer.tables.CredentialRow, "officer").public_key_der == bytes(range(256))
        assert survey_all(session).breaks == ()
    # Numbers that a database gives by itself go on after those that came.
    with database.write() as session:
        audit.append(session, world.clock, ADMIN, "x", "thing", "after")
        values = {name: value for name, value in document.items() if name != "id"} | {"code": "Y" * 20}
        assert (
            session.execute(insert(signer.tables.DocumentRow).returning(signer.tables.DocumentRow.id), values).scalar()
            == 8
        )


def test_no_table_is_forgotten_but_the_answers_to_repeated_requests(loss):
    loss.back_up()
    dumped = {json.loads(chunk.splitlines()[0])["table"] for chunk in loss.chunks}
    known = {table for rows in (api.auth.tables.TokenRow, NoticeRow) for table in rows.metadata.tables}
    assert dumped == known - LEFT_OUT


def test_long_tables_come_in_chunks(loss):
    world = loss.world
    rows = [
        {
            "agency": "Sở",
            "year": 2026,
            "number": each,
            "state": "void",
            "reason": "x" * 4000,
            "reserved_at": world.clock.now(),
        }
        for each in range(1200)
    ]
    with world.database.write() as session:
        session.execute(insert(NumberRow), rows)
    loss.back_up()
    lengths = [len(chunk) for chunk in loss.chunks if chunk.startswith(b'{"table": "numbers"')]
    assert len(lengths) == 3
    assert max(lengths) < 3 * 1024 * 1024


@sqlite_only
def test_a_value_that_no_program_of_ours_writes_is_named(loss):
    with loss.world.database.write() as session:
        session.execute(text("UPDATE certificates SET not_after = 'some day'"))
    with pytest.raises(ComponentError) as refused:
        loss.back_up()
    assert (refused.value.code, refused.value.facts) == ("BACKUP_ROW_UNREADABLE", {"table": "certificates"})


@pytest.mark.parametrize(
    "chunk",
    [
        b"", b"x", b"{}", b'{"table":"tokens; DROP TABLE audit","columns":[]}',
        b'{"table":"alembic_version","columns":[["version_num","text"]]}\n["9"]',
        b'{"table":"numbers","columns":[["state","what"]]}\n["x"]',
        b'{"table":"numbers","columns":[["state","text"]]}\n["x","y"]',
        b'{"table":"numbers","columns":[["state","octets"]]}\n["?"]',
        b'{"table":"numbers","columns":[["reserved_at","time"]]}\n["some day"]',
    ],
)  # fmt: skip
def test_what_is_no_chunk_is_refused_before_the_database_sees_it(tmp_path, chunk):
    database = empty_database(tmp_path)
    with database.engine.begin() as connection, pytest.raises((ValueError, KeyError)):
        load_chunk(connection, chunk)
    assert is_empty_again(database)
    postgres.discard(database)


def is_empty_again(database: Database) -> bool:
    with database.engine.connect() as connection:
        return is_empty(connection)


def test_a_row_that_the_database_refuses_is_named(loss):
    folder = loss.folder / "x"
    folder.mkdir()
    other = empty_database(folder)
    loss.databases.append(other)
    head = b'{"table":"numbers","columns":[["state","text"]]}\n["x"]'
    with other.engine.begin() as connection:
        upgrade_within(connection)
    with pytest.raises(UsageError) as refused, other.engine.begin() as connection:
        load_chunk(connection, head)
    assert refused.value.code == "RESTORE_ROW_REFUSED"
    assert refused.value.facts["table"] == "numbers"


def test_rows_of_an_earlier_schema_are_loaded_as_they_were_and_then_migrated(loss):
    early = loss.folder / "early"
    early.mkdir()
    old = empty_database(early)
    loss.databases.append(old)
    with old.engine.begin() as connection:
        upgrade_within(connection, "0004")
        values = {"time": "2026-11-21 03:15:30.000250", "details": '{"paper": "số 12"}'}
        for subject in ("1", "2"):
            connection.execute(
                text(
                    "INSERT INTO audit (time, actor, action, subject_kind, subject_id, details)"
                    " VALUES (:time, 'An', 'seal.hand-over', 'credential', :subject, :details)"
                ),
                values | {"subject": subject},
            )
    with old.read() as session:
        revision = revision_of(session)
    chunks = dump(old)
    folder = loss.folder / "new"
    folder.mkdir()
    new = empty_database(folder)
    loss.databases.append(new)
    load(new, chunks, revision)
    with new.read() as session:
        assert revision_of(session) == HEAD
        survey = survey_all(session)
        assert (survey.rows, survey.breaks) == (2, ())
    assert is_known("0004")
    assert not is_known("9999")


# What happened after the backup.


def test_certificates_are_as_they_were_when_the_trail_ended(loss):
    world = loss.world
    held, good, bad = (
        world.certify("officer", f"CN={name},O=Sở Thử nghiệm,C=VN").record.serial for name in ("A", "B", "C")
    )
    world.revoke(held, "certificateHold")
    loss.back_up()
    world.clock.advance(hours=3)
    reinstate(held, ADMIN, world.revocation_deps)
    world.revoke(good, "certificateHold")
    world.clock.advance(hours=1)
    world.revoke(good, "superseded")
    # What became known still later is not lost either.
    world.clock.advance(hours=1)
    world.revoke(good, "keyCompromise", hours=2)
    world.revoke(bad, "keyCompromise", hours=3)
    partition_crl("issuing", 4, ADMIN, world.crl_deps)
    ref = world.keys.generate(KeySpec.P_256, "late", Purpose.DOCUMENT)
    issuing = load_issuer(world.database, world.keys, "issuing", PUBLIC_URL)
    request = IssuanceRequest("officer", parse_subject(OFFICER_SUBJECT), ref.public_key_der)
    late = issue(request, ADMIN, world.issuing_deps.__class__(**{**vars(world.issuing_deps), "issuer": issuing}))
    world.clock.advance(days=1)
    number = sign_crl(world.issuing, ADMIN, world.crl_deps).number
    trail = loss.export()
    database, result = loss.restore(trail)
    assert (result.missing, result.unknown) == (0, [])
    assert [each.split(" ")[0] for each in result.lost] == ["certificate.issue"]
    with database.read() as session:
        for serial in (held, good, bad):
            assert get_certificate(session, serial) == world.record(serial)
        lost = get_certificate(session, late.serial)
        assert (lost.state, lost.der, lost.crl_shard) == (State.INTENT, None, late.crl_shard)
        assert lost.not_after >= late.not_after
        assert get_authority(session, "issuing").crl_number == number + CRL_MARGIN
    # Somebody has it: it is no beginning that nobody finished. Its serial is taken, it can be revoked, and every list says so.
    deps = RevocationDeps(database, world.clock, world.approvals)
    assert revoke_intents(world.clock.now(), ADMIN, deps) == []
    revoke(late.serial, "cessationOfOperation", ADMIN, deps)
    crl = sign_crl(load_issuer(database, world.keys, "issuing", PUBLIC_URL), ADMIN, CrlDeps(database, world.clock))
    assert crl.number > number
    listed = {f"{each.serial_number:x}": each for each in x509.load_der_x509_crl(crl.der)}
    assert set(listed) == {good, bad, late.serial}
    assert listed[good].revocation_date_utc == world.record(good).revoked_at
    since = listed[bad].extensions.get_extension_for_class(x509.InvalidityDate).value.invalidity_date_utc
    assert since == world.record(bad).suspect_since


def test_the_trail_goes_on_as_if_nothing_had_been_lost(loss):
    world = loss.world
    loss.back_up()
    world.clock.advance(hours=1)
    world.revoke(world.seal().record.serial)
    trail = loss.export()
    database, result = loss.restore(trail)
    with world.database.read() as session:
        before = chain_ends(session)
    with database.read() as session:
        survey = survey_all(session, before)
        assert survey.breaks == ()
        assert survey.rows == sum(each.position for each in before.values()) + 1
    assert result.acts > 0
    # A second file about the same days, and one that ends before the backup, change nothing.
    _, again = loss.restore(
        trail, loss.export("later.jsonl"), loss.export("early.jsonl", until=world.clock.now() - timedelta(minutes=30))
    )
    assert again.acts == result.acts


def test_a_registration_that_was_used_since_makes_no_second_certificate_and_one_that_was_refused_stays_refused(loss):
    world = loss.world
    deps = RegistrationDeps(world.database, world.clock, world.catalogue)
    keys = [world.keys.generate(KeySpec.P_256, f"gate-{n}", Purpose.DOCUMENT).public_key_der for n in range(3)]
    wanted = [Wanted("system", f"CN=Cổng {n},OU=Tổ,O=Sở,C=VN", (), None, key) for n, key in enumerate(keys)]
    used, refused = (register_at_once(each, "hồ sơ 1", ADMIN, deps).id for each in wanted[:2])
    loss.back_up()
    issued = issue_wanted(wanted[0], used, ADMIN, world.issuing_deps)
    refuse_registration(refused, "no such gate", Actor("binh", frozenset({Role.REGISTRATION_OFFICER})), deps)
    late = register_at_once(wanted[2], "hồ sơ 2", ADMIN, deps)
    database, result = loss.restore(loss.export())
    with database.read() as session:
        assert get_registration(session, used).state is RegistrationState.ISSUED
        assert registration_of_certificate(session, issued.serial).id == used
        assert get_registration(session, refused).state is RegistrationState.REFUSED
        with pytest.raises(RegistrationUnknown):
            get_registration(session, late.id)
    # It has to be seen by an officer again, and gets a number of its own.
    assert any(each.startswith("registration.add ") for each in result.lost)
    again = register_at_once(wanted[2], "hồ sơ 2", ADMIN, RegistrationDeps(database, world.clock, world.catalogue))
    assert again.id > late.id


def test_people_and_requests_of_after_the_backup(loss):
    world = loss.world
    deps = world.person_deps
    add_person("an", "An", [Role.ADMIN], ADMIN, deps)
    add_person("binh", "Bình", [Role.AUDITOR], ADMIN, deps)
    asked = Deed(Act.CERTIFICATE_ISSUE, "x", {"subject": "1"})
    with pytest.raises(ApprovalNeeded):
        demand(asked, 1, ADMIN, deps)
    loss.back_up()
    add_person("cuc", "Cúc", [], ADMIN, deps)
    grant_role("cuc", Role.REGISTRATION_OFFICER, ADMIN, deps)
    disable_person("binh", ADMIN, deps)
    for number in range(2, 5):
        with pytest.raises(ApprovalNeeded):
            demand(Deed(Act.CERTIFICATE_ISSUE, "x", {"subject": f"{number}"}), 1, ADMIN, deps)
    database, result = loss.restore(loss.export())
    with database.read() as session:
        for name in ("an", "binh", "cuc"):
            with world.database.read() as source:
                assert get_person(session, name) == get_person(source, name)
        assert get_person(session, "binh").state is PersonState.DISABLED
        # What was open may have been used since: nobody can use it now, and no number is given twice.
        assert [each.state for each in list_approvals(session, world.clock.now())] == [ApprovalState.EXPIRED]
    assert result.approvals_closed == 1
    with pytest.raises(ApprovalNeeded) as needed:
        demand(asked, 1, ADMIN, type(deps)(database, world.clock, world.approvals))
    assert needed.value.facts["id"] == "5"


def test_tokens_numbers_and_recalls_of_after_the_backup(loss):
    world = loss.world
    now = world.clock.now()
    with world.database.write() as session:
        token = {"sha256": "0" * 64, "scopes": "sign", "created_by": "x", "created_at": now, "expires_at": now}
        session.execute(insert(api.auth.tables.TokenRow), token | {"name": "kiosk"})
        document = {"code": "X" * 20, "status": "in-force", "agency": "Sở", "name": "n", "subject": "", "details": {}}
        session.execute(insert(signer.tables.DocumentRow), document | {"created_at": now})
        session.execute(insert(signer.tables.DocumentRow), document | {"created_at": now, "code": "Z" * 20})
        corrected = document | {"created_at": now, "code": "A" * 20, "status": "corrected"}
        session.execute(insert(signer.tables.DocumentRow), corrected)
        kept = {"document_id": 3, "status": "corrected", "reason": "kept", "actor": "x", "by_code": "B" * 20}
        session.execute(insert(signer.tables.StatusChangeRow), kept | {"changed_at": now})
    loss.back_up()
    world.clock.advance(hours=1)
    with world.database.write() as session:
        for action, kind, subject, details in (
            ("token.revoke", "token", "kiosk", {}),
            ("token.revoke", "token", "made-and-revoked-since", {}),
            ("document.recall", "document", "X" * 20, {"reason": "nhầm", "was": "in-force"}),
            ("document.recall", "document", "Y" * 20, {"reason": "nhầm", "was": "in-force"}),
            ("document.correct", "document", "A" * 20, {"reason": "kept", "was": "in-force", "by": "B" * 20}),
            ("document.correct", "document", "Z" * 20, {"reason": "sai thể thức", "was": "in-force", "by": "B" * 20}),
            ("document.replace", "document", "Z" * 20, {"reason": "sai nội dung", "was": "corrected", "by": "C" * 20}),
            ("number.reserve", "number", "2026/07", {"agency": "Sở"}),
            ("number.reserve", "number", "2026/08", {"agency": "Sở"}),
            ("number.void", "number", "2026/08", {"agency": "Sở", "reason": "ABANDONED"}),
            ("certificate.revoke", "certificate", "abcd", {"reason": "superseded", "was": "active"}),
            ("seal.melt", "seal", "1", {}),
            ("number.reserve", "number", "no number", {"agency": "Sở"}),
        ):
            audit.append(session, world.clock, ADMIN, action, kind, subject, **details)
    database, result = loss.restore(loss.export())
    assert [each.rpartition(" (")[0] for each in result.lost] == [
        "document.recall " + "Y" * 20, "certificate.revoke abcd", "number.reserve no number",
    ]  # fmt: skip
    assert [each.rpartition(" (")[0] for each in result.unknown] == ["seal.melt 1"]
    with database.read() as session:
        token = session.query(api.auth.tables.TokenRow).one()
        assert token.revoked_at == world.clock.now()
        statuses = {row.code[0]: row.status for row in session.query(signer.tables.DocumentRow)}
        assert statuses == {"X": "recalled", "Z": "replaced", "A": "corrected"}
        kept, recall, *successions = session.query(signer.tables.StatusChangeRow).order_by("id")
        assert kept.reason == "kept"
        assert (recall.reason, recall.actor, recall.changed_at) == ("nhầm", ADMIN.name, world.clock.now())
        # By which document is known, although the backup has neither of the two.
        assert [(each.status, each.by_code[0], each.reason) for each in successions] == [
            ("corrected", "B", "sai thể thức"),
            ("replaced", "C", "sai nội dung"),
        ]
        assert {(row.number, row.state) for row in session.query(NumberRow)} == {(7, "used"), (8, "void")}


def test_an_export_that_does_not_fit_is_refused(loss):
    world = loss.world
    loss.back_up()
    world.clock.advance(hours=1)
    world.revoke(world.seal().record.serial)
    between = world.clock.now()
    world.clock.advance(hours=1)
    for number in range(10):
        with world.database.write() as session:
            audit.append(session, world.clock, Actor("x"), "x.y", "thing", f"{number}")
    with pytest.raises(AuditExportGap) as gap:
        loss.restore(loss.export("late.jsonl", since=between + timedelta(minutes=1)))
    assert gap.value.facts["path"] == "late.jsonl"
    _, result = loss.restore(loss.export("early.jsonl", until=between))
    assert result.missing == 10
    # Both together are as good as one.
    _, result = loss.restore(loss.folder / "late.jsonl", loss.folder / "early.jsonl")
    assert (result.missing, result.unknown_count) == (0, 10)
    trail = loss.export()
    changed = trail.read_bytes().replace(b'"keyCompromise"', b'"superseded"')
    trail.write_bytes(changed)
    with pytest.raises(AuditExportWrong):
        loss.restore(trail)
    trail.write_bytes(changed[: changed.rindex(b'{"checkpoint"')])
    with pytest.raises(AuditExportUnreadable):
        loss.restore(trail)


def test_another_trail_of_the_same_authority_is_refused(loss):
    world = loss.world
    chunks = dump(world.database)
    with world.database.write() as session:
        audit.append(session, world.clock, Actor("x"), "x.y", "thing", "only in one")
    loss.back_up()
    folder = loss.folder / "twin"
    folder.mkdir()
    twin = empty_database(folder)
    loss.databases.append(twin)
    load(twin, chunks)
    for subject in ("another", "and another"):
        with twin.write() as session:
            audit.append(session, world.clock, Actor("x"), "x.y", "thing", subject)
    deps = ExportDeps(twin, world.clock, ServiceDesk(twin, world.keys, world.clock))
    file = loss.folder / "twin.jsonl"
    file.write_bytes(b"".join(export_lines(deps)))
    with pytest.raises(AuditExportForeign):
        loss.restore(file)


def test_an_export_by_a_signer_that_was_revoked_in_those_days_is_refused(loss):
    world = loss.world
    loss.back_up()
    world.clock.advance(hours=1)
    trail = loss.export("signed-first.jsonl")
    with world.database.read() as session:
        (serial,) = session.execute(text("SELECT serial FROM service_keys WHERE kind = 'tsa'")).one()
    desk = ServiceDesk(world.database, world.keys, world.clock)
    # A process that has the key still and does not look.
    desk.usable(ServiceKind.TSA)
    world.revoke(serial, "keyCompromise", minutes=30)
    deps = ExportDeps(world.database, world.clock, desk)
    stolen = loss.folder / "stolen.jsonl"
    stolen.write_bytes(b"".join(export_lines(deps)))
    with pytest.raises(AuditExportWrong, match="revoked"):
        loss.restore(stolen)
    assert loss.restore(trail)[1].acts == 0


# What kinds of acts there are.


def _actions() -> set[str]:
    """Every action that is written into the trail: texts like `certificate.issue` in modules that append to it, and kinds of approvals."""
    found = {act.value for act in Act}
    for package in ("pki", "signer", "api"):
        for path in (ROOT / package).rglob("*.py"):
            source = path.read_text("utf-8")
            if re.search(r"\bappend\(\s*(session|connection)|audit_values\(", source):
                texts = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
                found |= {
                    each for each in texts if isinstance(each, str) and re.fullmatch(r"[a-z]+(\.[a-z-]+){1,2}", each)
                }
    return {each for each in found if not each.endswith((".db", ".toml", ".json"))}


def test_every_act_that_is_written_has_its_place_after_a_restore():
    kinds = [set(REPLAYED), set(LOST), set(TRACELESS)]
    assert sum(map(len, kinds)) == len(set.union(*kinds))
    written = _actions() | {f"registration.{what}" for what in ("add", "confirm", "refuse", "withdraw")}
    assert {"certificate.revoke", "document.sign.fail", "number.void", "key.purpose", "token.issue"} <= written
    assert written - set.union(*kinds) == set()
