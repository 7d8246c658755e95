"""The inventory finds a certificate by whatever people know of it, and says in what state it is."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from certs.errors import CertificateNotFound
from certs.inventory import (
    NewCertificate,
    State,
    add_intent,
    complete,
    count_by_state,
    find_by_key,
    find_by_sha256,
    fold,
    get_certificate,
    revoked_by,
    set_state,
)
from tests.postgres import discard
from tests.world import new_database

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
KEY = b"0Y0\x13"


@pytest.fixture
def database(tmp_path):
    database = new_database(tmp_path)
    yield database
    discard(database)


@pytest.fixture
def session(database):
    with database.write() as session:
        yield session


def new(serial: str, subject: str = "CN=Trung tâm Đo đạc,O=Sở,C=VN", **changes) -> NewCertificate:
    values = {
        "serial": serial,
        "profile": "agency-seal",
        "subject": subject,
        "common_name": "Trung tâm Đo đạc",
        "organization": "Sở",
        "issuer": "issuing",
        "not_before": NOW,
        "not_after": NOW + timedelta(days=731),
        "tbs": b"tbs",
        "public_key_der": KEY,
        "created_at": NOW,
    }
    return NewCertificate(**(values | changes))


def serials(records) -> list[str]:
    return [record.serial for record in records]


def test_an_intent_becomes_a_certificate(session):
    add_intent(session, new("aa"))
    assert get_certificate(session, "aa").state is State.INTENT
    assert get_certificate(session, "aa").der is None
    record = complete(session, "aa", b"der")
    assert (record.state, record.der, record.tbs) == (State.ACTIVE, b"der", b"tbs")
    assert record.sha256 == hashlib.sha256(b"der").hexdigest()


def test_the_database_refuses_a_serial_that_it_has_seen(database):
    with database.write() as session:
        add_intent(session, new("aa"))
    with pytest.raises(IntegrityError), database.write() as session:
        add_intent(session, new("aa", subject="CN=another"))


def test_an_intent_that_was_revoked_meanwhile_stays_revoked(session):
    add_intent(session, new("aa"))
    set_state(session, "aa", State.REVOKED, revoked_at=NOW, reason="keyCompromise")
    assert complete(session, "aa", b"der").state is State.REVOKED


def test_an_unfinished_certificate_cannot_be_taken_for_one(session):
    add_intent(session, new("aa"))
    with pytest.raises(CertificateNotFound):
        get_certificate(session, "aa").certificate()


def test_what_is_not_revoked_has_expired_after_its_end(session):
    for serial in ("aa", "bb", "cc"):
        add_intent(session, new(serial))
        complete(session, serial, serial.encode())
    set_state(session, "bb", State.REVOKED, revoked_at=NOW, reason="superseded")
    set_state(session, "cc", State.SUSPENDED, revoked_at=NOW, reason="certificateHold")
    end = NOW + timedelta(days=731)
    states = {serial: get_certificate(session, serial).state_at(end) for serial in ("aa", "bb", "cc")}
    assert states == {"aa": State.ACTIVE, "bb": State.REVOKED, "cc": State.SUSPENDED}
    later = end + timedelta(seconds=1)
    states = {serial: get_certificate(session, serial).state_at(later) for serial in ("aa", "bb", "cc")}
    assert states == {"aa": State.EXPIRED, "bb": State.REVOKED, "cc": State.EXPIRED}
    assert count_by_state(session) == {State.ACTIVE: 1, State.REVOKED: 1, State.SUSPENDED: 1}


def test_folding_takes_every_vietnamese_mark():
    assert fold("ĐẶNG Thị Ỷ Ưở") == "dang thi y uo"


def test_a_certificate_is_found_by_fingerprint_and_by_key(session):
    add_intent(session, new("aa"))
    record = complete(session, "aa", b"der")
    assert find_by_sha256(session, record.sha256.upper()) == record
    assert find_by_sha256(session, "00" * 32) is None
    assert serials(find_by_key(session, KEY)) == ["aa"]
    assert find_by_key(session, b"another") == []


def test_an_unknown_serial_is_not_found(session):
    with pytest.raises(CertificateNotFound) as refused:
        get_certificate(session, "ff")
    assert refused.value.facts == {"serial": "ff"}


def test_a_crl_lists_the_issuers_own_and_drops_what_stood_on_one_past_its_end(session):
    add_intent(session, new("aa", not_after=NOW + timedelta(days=1)))
    add_intent(session, new("bb"))
    add_intent(session, new("cc", issuer="root"))
    add_intent(session, new("dd"))
    for serial in ("aa", "bb", "cc"):
        set_state(session, serial, State.REVOKED, revoked_at=NOW, reason="superseded")
    assert serials(revoked_by(session, "issuing", None)) == ["aa", "bb"]
    assert serials(revoked_by(session, "issuing", NOW + timedelta(days=1))) == ["aa", "bb"]
    assert serials(revoked_by(session, "issuing", NOW + timedelta(days=2))) == ["bb"]
