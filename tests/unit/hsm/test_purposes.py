"""hsm/purposes.py: octets are recognised by their shape, no octets have two, and a key signs only what it is for."""

from __future__ import annotations

import time

import pytest
from asn1crypto import cms, core, tsp
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from hsm import der
from hsm.errors import KeyPurposeWrong
from hsm.purposes import Content, check_purpose, recognise
from hsm.spec import Purpose, key_id_of, spki_der
from tests import signable
from tests.signable import ALLOWED, DATA, TST_INFO, attributes, content

KNOWN = [kind for kind in Content if kind is not Content.UNKNOWN]
KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
SPKI = spki_der(KEY)
EXAMPLES = {kind: content(kind) for kind in KNOWN}
CONTENT_TYPE, MESSAGE_DIGEST = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4"


def attribute(kind: str, *values: bytes) -> bytes:
    return der.sequence(der.oid(kind), der.set_of(values))


@pytest.mark.parametrize("kind", KNOWN, ids=str)
def test_what_others_libraries_make_is_recognised(kind):
    assert recognise(EXAMPLES[kind]) is kind


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_attributes_that_asn1crypto_encodes_are_recognised_with_every_digest(digest):
    assert tsp.TSTInfo  # its import teaches asn1crypto the name tst_info
    for content_type, kind in (("data", Content.DATA_ATTRIBUTES), ("tst_info", Content.TIMESTAMP_ATTRIBUTES)):
        length = int(digest[3:]) // 8
        made = cms.CMSAttributes([
            cms.CMSAttribute({"type": "content_type", "values": [content_type]}),
            cms.CMSAttribute({"type": "message_digest", "values": [bytes(length)]}),
            cms.CMSAttribute({"type": "signing_time", "values": [cms.Time({"utc_time": core.UTCTime(signable.NOW)})]}),
        ])  # fmt: skip
        assert recognise(made.dump()) is kind


def test_answers_by_name_and_without_extensions_and_lists_without_entries_are_recognised():
    assert recognise(signable.response_data(by_name=True, nonce=False)) is Content.OCSP
    assert recognise(signable.revocation_list(entries=0)) is Content.CRL


@pytest.mark.parametrize("kind", KNOWN, ids=str)
def test_every_truncation_and_every_tail_is_unknown(kind):
    example = EXAMPLES[kind]
    for length in range(len(example)):
        assert recognise(example[:length]) is Content.UNKNOWN
    assert recognise(example + b"\0") is Content.UNKNOWN


@pytest.mark.parametrize("kind", KNOWN, ids=str)
def test_a_changed_octet_makes_no_other_kind(kind):
    example = EXAMPLES[kind]
    for at in range(len(example)):
        for octet in {0x00, 0x01, 0x30, 0x31, 0x7F, 0x80, 0x81, 0xA0, 0xFF, example[at] ^ 1, example[at] ^ 0x80}:
            changed = example[:at] + bytes((octet,)) + example[at + 1 :]
            assert recognise(changed) in {kind, Content.UNKNOWN}


@given(st.data())
def test_several_changed_octets_make_no_other_kind(data):
    kind = data.draw(st.sampled_from(KNOWN))
    changed = bytearray(EXAMPLES[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    assert recognise(bytes(changed)) in {kind, Content.UNKNOWN}


@given(st.binary(max_size=400))
def test_any_octets_are_recognised_as_something_without_an_error(octets):
    assert recognise(octets) in Content
    assert recognise(b"\x30\x82" + len(octets).to_bytes(2, "big") + octets) in Content


MISSHAPEN = {
    "nothing": b"",
    "an empty sequence": der.sequence(),
    "an empty set": der.set_of([]),
    "no content type": der.set_of([attribute(MESSAGE_DIGEST, der.octets(bytes(32)))]),
    "no digest": der.set_of([attribute(CONTENT_TYPE, der.oid(DATA))]),
    "another content type": attributes(content_type="1.2.840.113549.1.7.2"),
    "a digest of an odd length": der.set_of([
        attribute(CONTENT_TYPE, der.oid(DATA)), attribute(MESSAGE_DIGEST, der.octets(bytes(20)))
    ]),
    "two digests in one attribute": der.set_of([
        attribute(CONTENT_TYPE, der.oid(DATA)),
        attribute(MESSAGE_DIGEST, der.octets(bytes(32)), der.octets(b"1" * 32)),
    ]),
    "two digest attributes": der.set_of([
        attribute(CONTENT_TYPE, der.oid(DATA)),
        attribute(MESSAGE_DIGEST, der.octets(bytes(32))),
        attribute(MESSAGE_DIGEST, der.octets(b"1" * 32)),
    ]),
    "two content types": der.set_of([
        attribute(CONTENT_TYPE, der.oid(DATA)),
        attribute(CONTENT_TYPE, der.oid(TST_INFO)),
        attribute(MESSAGE_DIGEST, der.octets(bytes(32))),
    ]),
    "attributes in another order": der.tlv(der.SET, (
        attribute(MESSAGE_DIGEST, der.octets(bytes(32))) + attribute(CONTENT_TYPE, der.oid(DATA))
    )),
    "a length that is not in its fewest octets": b"\x31\x81\x40" + bytes(0x40),
    "an indefinite length": b"\x30\x80" + EXAMPLES[Content.CERTIFICATE][4:] + b"\0\0",
    "a signed certificate": signable.certificate().public_bytes(signable.serialization.Encoding.DER),
}  # fmt: skip


@pytest.mark.parametrize("name", MISSHAPEN)
def test_what_is_not_exactly_of_one_kind_is_unknown(name):
    assert recognise(MISSHAPEN[name]) is Content.UNKNOWN


def version_one_certificate() -> bytes:
    example = EXAMPLES[Content.CERTIFICATE]
    _, start, stop = der.element(example, 0)
    return der.tlv(der.SEQUENCE, example[start + 5 : stop])


def test_a_certificate_of_version_one_or_with_something_behind_its_extensions_is_unknown():
    assert recognise(version_one_certificate()) is Content.UNKNOWN
    example = EXAMPLES[Content.CERTIFICATE]
    _, start, stop = der.element(example, 0)
    assert recognise(der.tlv(der.SEQUENCE, example[start:stop] + der.tlv(0x81, b"\0\1"))) is Content.UNKNOWN


@pytest.mark.parametrize("kind", list(Content), ids=str)
@pytest.mark.parametrize("purpose", [*Purpose, None], ids=str)
def test_a_key_signs_what_its_purpose_allows_and_nothing_else(purpose, kind):
    if (purpose, kind) in ALLOWED:
        check_purpose(purpose, content(kind), SPKI)
        return
    with pytest.raises(KeyPurposeWrong) as refusal:
        check_purpose(purpose, content(kind), SPKI)
    assert refusal.value.facts == {
        "key_id": key_id_of(SPKI).hex(),
        "purpose": purpose.value if purpose else "none",
        "content": kind.value,
    }


@pytest.mark.parametrize("purpose", list(Purpose), ids=str)
def test_every_purpose_may_ask_for_a_certificate_of_its_own_key(purpose):
    check_purpose(purpose, signable.request(KEY), SPKI)


def test_a_list_of_many_entries_takes_no_longer_than_a_short_one():
    """A million entries of 49 octets, as long as the longest list there is; only that their list is there is looked at."""
    short = EXAMPLES[Content.CRL]
    parts = der.elements(short, *der.element(short, 0)[1:])
    entries_at = next(i for i, part in enumerate(parts) if part[0] == der.SEQUENCE and i > 2)
    _, start, stop = parts[entries_at]
    one = short[start:stop]
    head = short[der.element(short, 0)[1] : parts[entries_at - 1][2]]
    many = der.tlv(der.SEQUENCE, head + der.tlv(der.SEQUENCE, one * (49_000_000 // len(one))) + short[stop:])
    begun = time.perf_counter()
    assert recognise(many) is Content.CRL
    assert time.perf_counter() - begun < 0.01
