"""pki/audit_export.py: a file that says by itself whether it is what we signed, and what was removed since."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import text

from api.settings import load_settings
from certs.errors import TableValueWrong
from certs.oids import AUDIT_CHECKPOINT_POLICY
from hsm.der import SEQUENCE, Reader, tlv
from hsm.spec import KeySpec
from pki import audit
from pki.audit import Actor
from pki.audit_chain import BreakKind
from pki.audit_export import (
    ExportDeps,
    check_export,
    export_lines,
    exported_acts,
    read_checkpoint,
    refuse_revoked_signer,
)
from pki.audit_survey import survey_all
from pki.errors import AuditExportUnreadable, AuditExportWrong, ServiceNotReady
from pki.service_keys import ServiceDesk, ServiceKind
from pki.tsa.request import build_request
from tests.unit.pki.services import build_services, make_service
from tests.world import build_world

LAST = re.compile(rb'\{"checkpoint":(.*),"timestamp":"(.*)"\}\n')


class Exporter:
    """A world with a time-stamping authority, and a file that was exported from it."""

    def __init__(self, world, folder) -> None:
        self.world, self.folder = world, folder
        self.services = build_services(world)
        self.deps = ExportDeps(world.database, world.clock, ServiceDesk(world.database, world.keys, world.clock))
        self.anchors = [world.root.certificate]
        self.file = folder / "audit.jsonl"

    def act(self, subject: str, **details: str) -> None:
        with self.world.database.write() as session:
            audit.append(session, self.world.clock, Actor("Nguyễn Thị A"), "thing.do", "thing", subject, **details)

    def export(self, **span):
        self.file.write_bytes(b"".join(export_lines(self.deps, **span)))
        return self.file

    def lines(self) -> list[bytes]:
        return self.file.read_bytes().splitlines(keepends=True)

    def write(self, lines) -> None:
        self.file.write_bytes(b"".join(lines))

    def check(self):
        return check_export(self.file, self.anchors)

    def broken(self) -> list[tuple[str, int]]:
        _, reports = self.check()
        return [(each.kind.value, each.position) for report in reports for each in report.breaks]

    def problem(self) -> str:
        with pytest.raises(AuditExportWrong) as wrong:
            self.check()
        return wrong.value.facts["problem"]


@pytest.fixture
def exporter(world, tmp_path):
    return Exporter(world, tmp_path)


def test_a_file_has_every_act_and_is_whole_by_itself(exporter):
    exporter.act("seal", paper="số 12/QĐ", odd="\ud800", quoted='"\n')
    exporter.export()
    checkpoint, reports = exporter.check()
    assert [each.broken for each in reports] == [0]
    acts = list(exported_acts(exporter.file, checkpoint))
    with exporter.world.database.read() as session:
        known = audit.list_acts(session)
    assert [(act["seq"], act["actor"], act["subject_id"], act["details"]) for act in acts] == [
        (act.seq, act.actor, act.subject_id, act.details) for act in known
    ]
    assert checkpoint.stamp.time == exporter.world.clock.now()
    assert checkpoint.stamp.anchor == exporter.world.root.certificate


@pytest.mark.parametrize("spec", [KeySpec.P_256, KeySpec.RSA_3072, KeySpec.P_384])
def test_openssl_verifies_the_checkpoint(tmp_path, spec):
    world = build_world(tmp_path)
    try:
        exporter = Exporter.__new__(Exporter)
        exporter.world = world
        make_service(world, ServiceKind.TSA, spec=spec)
        exporter.deps = ExportDeps(world.database, world.clock, ServiceDesk(world.database, world.keys, world.clock))
        exporter.file = tmp_path / "audit.jsonl"
        exporter.export()
        *rows, last = exporter.lines()
        found = LAST.fullmatch(last)
        assert found is not None
        checkpoint, token = found.groups()
        (tmp_path / "checkpoint").write_bytes(checkpoint)
        (tmp_path / "token").write_bytes(base64.b64decode(token))
        (tmp_path / "root.pem").write_bytes(world.root.certificate.public_bytes(Encoding.PEM))
        words = [
            "openssl", "ts", "-verify", "-data", "checkpoint", "-in", "token", "-token_in", "-CAfile", "root.pem",
            "-attime", str(int(world.clock.now().timestamp())),
        ]  # fmt: skip
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert "Verification: OK" in done.stdout + done.stderr
        assert json.loads(checkpoint)["rows_sha256"] == hashlib.sha256(b"".join(rows)).hexdigest()
        shown = subprocess.run(
            ["openssl", "ts", "-reply", "-in", "token", "-token_in", "-text"], cwd=tmp_path, capture_output=True, text=True, check=True
        )  # fmt: skip
        assert f"Policy OID: {AUDIT_CHECKPOINT_POLICY}" in shown.stdout
    finally:
        world.close()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"action": "authority.create"', '"action": "authority.undo"'),
        ('"details": {', '"details": {"a": "b", '),
        ('"time": "2026', '"time": "2025'),
        ('"actor": "ceremony-admin"', '"actor": "somebody"'),
        ('"seq": 3', '"seq": 4711'),
        ('"link": "', '"link": "0'),
    ],
)
def test_a_changed_line_is_named(exporter, old, new):
    lines = exporter.export() and exporter.lines()
    at = next(number for number, line in enumerate(lines) if old in line.decode())
    lines[at] = lines[at].decode().replace(old, new).encode()
    exporter.write(lines)
    assert exporter.broken() == [("changed", at + 1)]


@pytest.mark.parametrize(("at", "kind"), [(0, "removed"), (5, "removed"), (-2, "truncated")])
def test_a_removed_line_is_named(exporter, at, kind):
    lines = exporter.export() and exporter.lines()
    position = json.loads(lines.pop(at))["position"]
    exporter.write(lines)
    assert exporter.broken() == [(kind, position)]


def test_a_line_put_in_is_named(exporter):
    lines = exporter.export() and exporter.lines()
    exporter.write([*lines[:5], lines[4].replace(b"ceremony-admin", b"somebody"), *lines[5:]])
    assert exporter.broken() == [("inserted", 5)]


def test_lines_that_only_look_the_same_are_not_those_that_were_signed(exporter):
    lines = exporter.export() and exporter.lines()
    exporter.write([lines[0].replace(b": ", b":"), *lines[1:]])
    assert exporter.problem() == "lines were rearranged"


@pytest.mark.parametrize(
    "line",
    [b"\n", b"{}\n", b"[]\n", b"17\n", b"null\n", b"\xff\n", b'{"chain":0}\n', b"[" * 100_000 + b"\n", b'{"a":"' + b"x" * 5_000_000 + b'"}\n'],
    ids=lambda line: str(line[:10]),
)  # fmt: skip
def test_a_line_that_is_no_row_is_named_by_its_number(exporter, line):
    lines = exporter.export() and exporter.lines()
    exporter.write([*lines[:3], line, *lines[3:]])
    assert exporter.problem() == "line 4 is no row"


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"position": 4', b'"position": true'), (b'"position": 4', b'"position": "4"'), (b'"actor": "ceremony-admin"', b'"actor": null')],
)  # fmt: skip
def test_a_row_with_values_of_another_kind_is_none(exporter, old, new):
    lines = exporter.export() and exporter.lines()
    lines[3] = lines[3].replace(old, new)
    exporter.write(lines)
    assert exporter.problem() == "line 4 is no row"


def test_a_row_of_another_chain_belongs_to_none(exporter):
    lines = exporter.export() and exporter.lines()
    lines[3] = lines[3].replace(b'"chain": 0', b'"chain": 5')
    exporter.write(lines)
    assert exporter.problem() == "line 4 belongs to no chain of the file"


@pytest.mark.parametrize(
    ("old", "new"),
    [(rb'"rows":\d', b'"rows":9'), (rb'"head":"..', b'"head":"zz'), (rb'"time":"2026', b'"time":"2025'), (rb'"form":"antin', b'"form":"Antin')],
)  # fmt: skip
def test_a_changed_checkpoint_is_not_the_one_that_was_signed(exporter, old, new):
    *lines, last = exporter.export() and exporter.lines()
    exporter.write([*lines, re.sub(old, new, last, count=1)])
    assert exporter.problem() == "time-stamp: imprint"


def test_a_checkpoint_under_which_somebody_has_put_a_token_of_his_own_request_is_refused(exporter):
    """Anybody may ask the time-stamping authority for a token over anything: that makes no checkpoint of it."""
    *lines, last = exporter.export() and exporter.lines()
    octets = LAST.fullmatch(last)[1].replace(b'"from":null', b'"from":"2026-01-01T00:00:00.000000Z"')
    answer = exporter.services.tsa.answer(build_request("sha256", hashlib.sha256(octets).digest()))
    assert answer.failure is None
    response = Reader(answer.der).enter()
    response.take(SEQUENCE)
    token = tlv(SEQUENCE, response.take(SEQUENCE))
    exporter.write([*lines, b'{"checkpoint":%b,"timestamp":"%b"}\n' % (octets, base64.b64encode(token))])
    assert exporter.problem() == "time-stamp: policy"


def test_no_home_gives_tokens_to_requests_under_the_policy_of_checkpoints(tmp_path):
    with pytest.raises(TableValueWrong, match="policy"):
        load_settings(tmp_path / "antin.toml", {"ANTIN_TSA__POLICY": AUDIT_CHECKPOINT_POLICY})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"hello\n",
        b"{}\n",
        b'{"checkpoint":{},"timestamp":""}\n',
        b'{"checkpoint":{},"timestamp":"AAA"}\n',
        b"x" * 6_000_000,
    ],
)
def test_what_is_no_export_is_said_to_be_none(exporter, content):
    exporter.file.write_bytes(content)
    with pytest.raises(AuditExportUnreadable):
        exporter.check()


def test_a_token_that_is_none_proves_nothing(exporter):
    exporter.file.write_bytes(b'{"checkpoint":{},"timestamp":"AAAA"}\n')
    assert exporter.problem() == "time-stamp: structure"


def test_a_file_of_another_house_is_refused(exporter, tmp_path_factory):
    exporter.export()
    other = build_world(tmp_path_factory.mktemp("other"), apart=True)
    exporter.anchors = [other.root.certificate]
    assert exporter.problem() == "time-stamp: path"
    exporter.anchors = []
    assert exporter.problem() == "time-stamp: path"
    exporter.anchors = [exporter.world.issuing.certificate]
    exporter.check()
    other.close()


def test_a_certificate_that_has_ended_since_still_proves_what_it_signed(exporter):
    exporter.export()
    exporter.world.clock.advance(days=365 * 30)
    assert exporter.broken() == []


def test_a_time_has_the_acts_from_its_first_to_its_last(exporter):
    start = exporter.world.clock.now()
    for number in range(6):
        exporter.world.clock.advance(hours=1)
        exporter.act(f"thing-{number}")
    exporter.export(since=start + timedelta(hours=2), until=start + timedelta(hours=4))
    checkpoint, reports = exporter.check()
    assert [act["subject_id"] for act in exported_acts(exporter.file, checkpoint)] == ["thing-1", "thing-2", "thing-3"]
    assert [each.broken for each in reports] == [0]
    lines = exporter.lines()
    exporter.write(lines[1:])
    assert [kind for kind, _ in exporter.broken()] == ["removed"]


def test_a_time_without_acts_has_a_checkpoint_alone(exporter):
    exporter.export(since=exporter.world.clock.now() + timedelta(days=1))
    checkpoint, reports = exporter.check()
    assert (checkpoint.rows, reports, len(exporter.lines())) == (0, (), 1)
    assert checkpoint.ends[0].position > 0


def test_an_export_tells_a_database_whose_tail_was_removed_with_its_end_put_right(exporter):
    exporter.act("removed later")
    exporter.export()
    exporter.file.write_bytes(exporter.lines()[-1])  # the checkpoint is enough
    ends = read_checkpoint(exporter.file, exporter.anchors).ends
    database = exporter.world.database
    with database.read() as session:
        assert survey_all(session, ends).broken == 0
        length = ends[0].position
        link = session.execute(
            text("SELECT link FROM audit WHERE chain = 0 AND position = :p"), {"p": length - 1}
        ).scalar_one()
    with database.write() as session:
        session.execute(text("DELETE FROM audit WHERE chain = 0 AND position = :p"), {"p": length})
        session.execute(
            text("UPDATE audit_chains SET length = :p, head = :link WHERE chain = 0"), {"p": length - 1, "link": link}
        )
    with database.read() as session:
        assert survey_all(session).broken == 0
        assert [(each.kind, each.position) for each in survey_all(session, ends).breaks] == [
            (BreakKind.FORGOTTEN, length)
        ]


def test_a_broken_trail_is_exported_as_it_is_and_its_file_names_the_same_row(exporter):
    with exporter.world.database.write() as session:
        session.execute(text("UPDATE audit SET actor = 'somebody' WHERE position = 4"))
    exporter.export()
    assert exporter.broken() == [("changed", 4)]


def test_a_signer_revoked_before_he_signed_is_refused_and_one_revoked_since_is_not(exporter):
    world = exporter.world
    exporter.export()
    checkpoint = read_checkpoint(exporter.file, exporter.anchors)
    with world.database.read() as session:
        refuse_revoked_signer(session, checkpoint)
    world.clock.advance(days=1)
    serial = f"{checkpoint.stamp.signer.serial_number:x}"
    world.revoke(serial, "superseded")
    with world.database.read() as session:
        refuse_revoked_signer(session, checkpoint)
    with world.database.write() as session:
        session.execute(
            text("UPDATE certificates SET suspect_since = created_at WHERE serial = :serial"), {"serial": serial}
        )
    with world.database.read() as session, pytest.raises(AuditExportWrong):
        refuse_revoked_signer(session, checkpoint)


def test_without_a_time_stamping_authority_there_is_no_checkpoint(world):
    deps = ExportDeps(world.database, world.clock, ServiceDesk(world.database, world.keys, world.clock))
    with pytest.raises(ServiceNotReady):
        list(export_lines(deps))
