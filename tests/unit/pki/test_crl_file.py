"""A list that is written as bytes is the list that another builder makes, and no difference from the inventory passes the check."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given, settings
from hypothesis import strategies as st

from certs.listed import REASON_CODES
from hsm import der
from pki.crl_entries import build_entry
from pki.crl_file import CrlFile, Heading, build_tbs
from pki.crl_lines import compare_entries
from pki.revocation import REASONS
from pki.schemes import scheme_for

ISSUER = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Hương Giang Issuing CA")])
NOW = datetime(2026, 11, 21, 3, 15, 30, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
NUMBER = x509.CRLNumber(7)

SERIALS = st.integers(1, (1 << 159) - 1)
# 2000 to 2099, in seconds.
TIMES = st.integers(946_684_800, 4_102_444_799).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
ENTRIES = st.lists(
    st.tuples(SERIALS, TIMES, st.sampled_from(["unspecified", *REASON_CODES]), st.none() | TIMES),
    unique_by=lambda entry: entry[0], max_size=12,
)  # fmt: skip


def hex_of(serial: int) -> str:
    digits = f"{serial:x}"
    return digits.zfill(len(digits) + len(digits) % 2)


def encode(entries) -> list[bytes]:
    return [build_entry(hex_of(n), when, REASON_CODES.get(reason), since) for n, when, reason, since in entries]


def lines_of(entries) -> list[str]:
    form = "%Y-%m-%d %H:%M:%S"
    return [
        f"{hex_of(n)}|{when.strftime(form)}|{'' if reason == 'unspecified' else reason}|{since.strftime(form) if since else ''}"
        for n, when, reason, since in entries
    ]


def heading(key=KEY) -> Heading:
    extension = der.sequence(der.oid("2.5.29.20"), der.octets(NUMBER.public_bytes()))
    return Heading(
        issuer=ISSUER.public_bytes(), number=7, this_update=NOW, next_update=NOW + timedelta(days=7),
        extensions=der.sequence(extension), scheme=scheme_for(key.public_key()),
    )  # fmt: skip


def theirs(entries, key=KEY, rsa_padding=None) -> x509.CertificateRevocationList:
    """The same list by the other builder."""
    revoked = []
    for serial, when, reason, since in entries:
        builder = x509.RevokedCertificateBuilder(serial, when.replace(tzinfo=None))
        if reason != "unspecified":
            builder = builder.add_extension(x509.CRLReason(REASONS[reason]), critical=False)
        if since is not None:
            builder = builder.add_extension(x509.InvalidityDate(since.replace(tzinfo=None)), critical=False)
        revoked.append(builder.build())
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=ISSUER,
        last_update=NOW.replace(tzinfo=None),
        next_update=(NOW + timedelta(days=7)).replace(tzinfo=None),
        revoked_certificates=revoked,
    )
    return builder.add_extension(NUMBER, critical=False).sign(key, SHA256(), rsa_padding=rsa_padding)


def write(entries, key=KEY) -> CrlFile:
    encoded = encode(entries)
    crl = CrlFile(heading(key), None)
    assert crl.write_tbs(len(encoded), sum(map(len, encoded)), encoded)
    return crl


@given(ENTRIES)
@settings(deadline=None)
def test_the_octets_to_be_signed_are_those_of_another_builder(entries):
    assert build_tbs(heading(), b"".join(encode(entries))) == theirs(entries).tbs_certlist_bytes


@pytest.mark.parametrize("kind", ["ec", "rsa"])
def test_a_signed_file_is_a_list_that_another_reader_accepts(kind):
    key = KEY if kind == "ec" else rsa.generate_private_key(public_exponent=65537, key_size=2048)
    entries = [(n, NOW, "superseded", None) for n in range(1, 300)]
    with write(entries, key) as crl:
        crl.sign(key)
        assert crl.is_signed_by(key.public_key())
        whole = b"".join(crl.pieces())
        assert (crl.size, crl.frame().last_update_utc) == (len(whole), NOW)
    read = x509.load_der_x509_crl(whole)
    assert read.is_signature_valid(key.public_key())
    assert [entry.serial_number for entry in read] == list(range(1, 300))
    pss = padding.PSS(padding.MGF1(SHA256()), padding.PSS.DIGEST_LENGTH) if kind == "rsa" else None
    assert read.tbs_certlist_bytes == theirs(entries, key, pss).tbs_certlist_bytes


def test_another_keys_signature_is_noticed():
    with write([]) as crl:
        crl.sign(ec.generate_private_key(ec.SECP256R1()))
        assert not crl.is_signed_by(KEY.public_key())


def test_entries_that_are_fewer_octets_than_was_said_are_noticed():
    encoded = encode([(5, NOW, "superseded", None), (6, NOW, "superseded", None)])
    with CrlFile(heading(), None) as crl:
        assert not crl.write_tbs(2, sum(map(len, encoded)), encoded[:1])


@given(ENTRIES, st.integers(1, 200))
def test_the_check_accepts_what_the_inventory_says_however_the_octets_are_cut(entries, size):
    octets = b"".join(encode(entries))
    pieces = [octets[at : at + size] for at in range(0, len(octets), size)]
    assert compare_entries(pieces, iter(lines_of(entries)), len(entries))


@given(ENTRIES.filter(bool), st.data())
@settings(deadline=None)
def test_the_check_refuses_a_list_that_forgets_doubles_or_changes_one_entry(entries, data):
    place = data.draw(st.integers(0, len(entries) - 1))
    serial, when, reason, since = entries[place]
    changed = {
        "forgets": [],
        "doubles": [entries[place], entries[place]],
        "serial": [(serial ^ 2 or 1, when, reason, since)],
        "time": [(serial, when + timedelta(seconds=1), reason, since)],
        "reason": [(serial, when, "superseded" if reason != "superseded" else "unspecified", since)],
        "suspicion": [(serial, when, reason, None if since else NOW)],
    }
    wrong = changed[data.draw(st.sampled_from(sorted(changed)))]
    listed = [*entries[:place], *wrong, *entries[place + 1 :]]
    assert not compare_entries([b"".join(encode(listed))], iter(lines_of(entries)), len(entries))
    assert not compare_entries([b"".join(encode(listed))], iter(lines_of(entries)), len(listed))


@given(ENTRIES.filter(bool), st.data())
@settings(deadline=None)
def test_no_octet_of_an_entry_can_be_another(entries, data):
    octets = bytearray(b"".join(encode(entries)))
    place = data.draw(st.integers(0, len(octets) - 1))
    octets[place] ^= data.draw(st.integers(1, 255))
    assert not compare_entries([bytes(octets)], iter(lines_of(entries)), len(entries))


@given(st.binary(max_size=200))
def test_octets_that_are_no_entries_are_refused_and_never_raise(octets):
    assert compare_entries([octets], iter(()), 0) is (octets == b"")
