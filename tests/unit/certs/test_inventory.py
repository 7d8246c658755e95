"""The inventory finds a certificate by whatever people know of it, and says in what state it is."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from sqlalchemy.exc import IntegrityError

from certs.errors import CertificateNotFound
from certs.inventory import (
    NewCertificate,
    State,
    add_intent,
    complete,
    find_by_key,
    find_by_sha256,
    fold,
    get_certificate,
    set_state,
)
from certs.listed import REASON_CODES, changed_lines, listed_lines
from certs.listed_octets import encode, listed_octets
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
    record = complete(session, new("aa"), b"der")
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
    assert complete(session, new("aa"), b"der").state is State.REVOKED


def test_an_unfinished_certificate_cannot_be_taken_for_one(session):
    add_intent(session, new("aa"))
    with pytest.raises(CertificateNotFound):
        get_certificate(session, "aa").certificate()


def test_what_is_not_revoked_has_expired_after_its_end(session):
    for serial in ("aa", "bb", "cc"):
        add_intent(session, new(serial))
        complete(session, new(serial), serial.encode())
    set_state(session, "bb", State.REVOKED, revoked_at=NOW, reason="superseded")
    set_state(session, "cc", State.SUSPENDED, revoked_at=NOW, reason="certificateHold")
    end = NOW + timedelta(days=731)
    states = {serial: get_certificate(session, serial).state_at(end) for serial in ("aa", "bb", "cc")}
    assert states == {"aa": State.ACTIVE, "bb": State.REVOKED, "cc": State.SUSPENDED}
    later = end + timedelta(seconds=1)
    states = {serial: get_certificate(session, serial).state_at(later) for serial in ("aa", "bb", "cc")}
    assert states == {"aa": State.EXPIRED, "bb": State.REVOKED, "cc": State.EXPIRED}
    stored = {serial: get_certificate(session, serial).state for serial in ("aa", "bb", "cc")}
    assert stored == {"aa": State.ACTIVE, "bb": State.REVOKED, "cc": State.SUSPENDED}


def test_folding_takes_every_vietnamese_mark():
    assert fold("ĐẶNG Thị Ỷ Ưở") == "dang thi y uo"


def test_a_certificate_is_found_by_fingerprint_and_by_key(session):
    add_intent(session, new("aa"))
    record = complete(session, new("aa"), b"der")
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

    def listed(kept_from):
        return [line.split("|")[0] for line in listed_lines(session, "issuing", [None], kept_from)]

    assert listed(None) == ["aa", "bb"]
    assert listed(NOW + timedelta(days=1)) == ["aa", "bb"]
    assert listed(NOW + timedelta(days=2)) == ["bb"]


def test_a_line_of_a_crl_says_serial_time_reason_and_suspicion_and_of_a_lifted_hold_that_it_is_over(session):
    for serial in ("aa", "bb", "cc"):
        add_intent(session, new(serial))
    at, since = NOW.replace(microsecond=5), NOW - timedelta(days=3)
    set_state(session, "aa", State.REVOKED, revoked_at=at, reason="unspecified", crl_epoch=1)
    set_state(session, "bb", State.REVOKED, revoked_at=at, reason="keyCompromise", suspect_since=since, crl_epoch=2)
    set_state(session, "cc", State.INTENT, crl_epoch=3)
    when, before = (f"{each:%Y-%m-%d %H:%M:%S}" for each in (at, since))
    lines = [f"aa|{when}||", f"bb|{when}|keyCompromise|{before}"]
    assert list(listed_lines(session, "issuing", [None], None)) == lines
    assert list(changed_lines(session, "issuing", [None], 1)) == [lines[1], "cc||removeFromCRL|"]


@pytest.mark.parametrize("reason", ["unspecified", *REASON_CODES])
@pytest.mark.parametrize("since", [None, NOW - timedelta(days=3, seconds=7)])
def test_the_database_makes_the_octets_of_an_entry_that_another_builder_makes(session, reason, since):
    serial = "4f" + "a0" * 19
    add_intent(session, new(serial))
    at = NOW.replace(microsecond=5)
    set_state(session, serial, State.REVOKED, revoked_at=at, reason=reason, suspect_since=since)
    builder = x509.RevokedCertificateBuilder(int(serial, 16), NOW.replace(tzinfo=None))
    if reason != "unspecified":
        builder = builder.add_extension(x509.CRLReason(x509.ReasonFlags(reason)), critical=False)
    if since is not None:
        builder = builder.add_extension(x509.InvalidityDate(since.replace(tzinfo=None)), critical=False)
    revoked = x509.CertificateRevocationListBuilder(
        x509.Name([]), NOW.replace(tzinfo=None), (NOW + timedelta(days=1)).replace(tzinfo=None), [], [builder.build()]
    ).sign(ec.generate_private_key(ec.SECP256R1()), SHA256())
    (octets,) = listed_octets(session, "issuing", [(None, ())], None)
    # revokedCertificates is a sequence of nothing else, at the end of a list without extensions.
    assert revoked.tbs_certlist_bytes.endswith(bytes((0x30, len(octets))) + octets)


@pytest.mark.parametrize("serial", ["aa", "ff" * 20, "00" + "11" * 19])
def test_an_entry_that_is_not_like_the_others_is_left_to_the_lines(session, serial):
    add_intent(session, new(serial))
    set_state(session, serial, State.REVOKED, revoked_at=NOW, reason="superseded")
    assert list(listed_octets(session, "issuing", [(None, ())], None)) == [None]
    assert len(list(listed_lines(session, "issuing", [None], None))) == 1


def test_the_octets_of_many_are_those_of_each_one_after_the_other(session):
    rows = []
    for number in range(300):
        serial = f"{0x4F << 152 | number * 7919:040x}"
        reason = ["unspecified", *REASON_CODES][number % 9]
        since = NOW - timedelta(days=number) if number % 4 == 1 else None
        add_intent(session, new(serial))
        set_state(session, serial, State.REVOKED, revoked_at=NOW, reason=reason, suspect_since=since)
        rows.append((serial, reason, since))
    at, long = f"{NOW:%Y-%m-%d %H:%M:%S}", "%Y-%m-%d %H:%M:%S"
    alone = [encode(serial, at, reason, f"{since:{long}}" if since else "", 19) for serial, reason, since in rows]
    (octets,) = listed_octets(session, "issuing", [(None, ())], None)
    assert octets == b"".join(alone)
    assert len(set(map(len, alone))) == 4
    # Wherever it pauses, also where there is nothing, the same comes of it.
    for cuts in ([rows[99][0]], [rows[0][0], rows[1][0], rows[299][0]], ["g", "", rows[150][0], "50", rows[150][0]]):
        portions = list(listed_octets(session, "issuing", [(None, cuts)], None))
        assert b"".join(portions) == octets
        assert len(portions) > 1


SERIAL, AT = "4f" + "a0" * 19, "2026-11-21 03:15:30"


@pytest.mark.parametrize(
    "columns",
    [
        (SERIAL, "2050-01-01 00:00:00", "superseded", ""),
        (SERIAL, "1999-12-31 23:59:59", "superseded", ""),
        (SERIAL, "2126-11-21 03:15:30", "superseded", ""),
        (SERIAL, AT, "a word of others", ""),
        (SERIAL, AT, "superseded", "2026-11-21"),
        (SERIAL[:-2] + "  ", AT, "superseded", ""),
        (SERIAL[:-2] + "xy", AT, "superseded", ""),
        # Two that are too short and too long by as much, one and none, and one with a comma of its own.
        (SERIAL[:-2] + "," + SERIAL + "11", f"{AT},{AT}", "superseded,superseded", ","),
        (f"{SERIAL},{SERIAL}", AT, "superseded", ""),
        (SERIAL, AT, "super,seded", ","),
        (SERIAL[:-1] + ",", AT, "superseded", ""),
    ],
)
def test_columns_that_are_not_like_those_of_nearly_every_entry_make_no_octets(columns):
    assert encode(SERIAL, AT, "superseded", "", 19) is not None
    assert encode(*columns, 19) is None
