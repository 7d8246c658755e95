"""A request is read strictly; whatever is not one gets the five octets of malformedRequest and no signature."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm import der
from pki.ocsp_answer import ResponseStatus
from pki.ocsp_request import MOST_CERTIFICATES, MOST_OCTETS, parse_request
from tests.unit.pki.services import build_services

MALFORMED = bytes.fromhex("30030a0101")
SHA1 = der.algorithm("1.3.14.3.2.26", der.tlv(der.NULL, b""))


def cert_id(serial: bytes = der.integer(5), algorithm: bytes = SHA1, name: bytes = b"n" * 20) -> bytes:
    return der.sequence(algorithm, der.octets(name), der.octets(b"k" * 20), serial)


def single(certificate: bytes | None = None, extensions: bytes = b"") -> bytes:
    return der.sequence(certificate or cert_id(), extensions)


def extension(oid: str, value: bytes, *, critical: bool = False) -> bytes:
    flag = der.tlv(der.BOOLEAN, b"\xff") if critical else b""
    return der.sequence(der.oid(oid), flag, der.octets(value))


def extensions(number: int, *parts: bytes) -> bytes:
    return der.explicit(number, der.sequence(*parts))


def request(*singles: bytes, before: bytes = b"", after: bytes = b"", signature: bytes = b"") -> bytes:
    return der.sequence(der.sequence(before, der.sequence(*singles), after), signature)


NONCE = "1.3.6.1.5.5.7.48.1.2"

MALFORMED_REQUESTS = {
    "nothing": b"",
    "text": b"hello",
    "an empty sequence": der.sequence(),
    "no certificate": request(),
    "bytes behind it": request(single()) + b"\0",
    "indefinite length": b"\x30\x80" + der.sequence(der.sequence(single())) + b"\0\0",
    "a long form where a short one does": b"\x30\x81" + bytes((len(request(single())) - 2,)) + request(single())[2:],
    "version 2": request(single(), before=der.explicit(0, der.integer(1))),
    "a serial with a leading zero": request(single(cert_id(b"\x02\x02\x00\x05"))),
    "a serial of 30 octets": request(single(cert_id(der.integer(1 << 239)))),
    "a hash of 65 octets": request(single(cert_id(name=b"n" * 65))),
    "digest parameters": request(single(cert_id(algorithm=der.algorithm("1.3.14.3.2.26", der.octets(b""))))),
    "an unknown critical extension": request(
        single(), after=extensions(2, extension("1.2.3", b"\x05\x00", critical=True))
    ),
    "an unknown critical extension of one certificate": request(
        single(extensions=extensions(0, extension("1.2.3", b"\x05\x00", critical=True)))
    ),
    "two nonces": request(single(), after=extensions(2, *[extension(NONCE, der.octets(b"a"))] * 2)),
    "a nonce that is no OCTET STRING": request(single(), after=extensions(2, extension(NONCE, b"raw nonce"))),
    "too many certificates": request(*[single()] * (MOST_CERTIFICATES + 1)),
    "too many octets": request(single(), after=extensions(2, extension("1.2.3", b"a" * MOST_OCTETS))),
}


@pytest.mark.parametrize("what", MALFORMED_REQUESTS)
def test_what_is_no_request_is_malformed(world, what):
    answer = build_services(world).ocsp.answer(MALFORMED_REQUESTS[what])
    assert (answer.status, answer.der) == (ResponseStatus.MALFORMED_REQUEST, MALFORMED)
    assert isinstance(answer.cause, ValueError)


def test_what_requestors_add_is_read_over():
    parsed = parse_request(
        request(
            single(extensions=extensions(0, extension("1.2.3", b"\x05\x00"))),
            single(cert_id(der.integer(7))),
            before=der.explicit(0, der.integer(0)) + der.explicit(1, der.tlv(0x82, b"me")),
            after=extensions(2, extension("1.2.3", b"\x05\x00"), extension(NONCE, der.octets(b"abc"))),
            signature=der.explicit(0, der.sequence()),
        )
    )
    assert [each.serial for each in parsed.certificates] == [5, 7]
    assert parsed.nonce == b"abc"


def test_the_certificate_id_is_encoded_as_it_came():
    for algorithm in (SHA1, der.algorithm("1.3.14.3.2.26"), der.algorithm("1.2.3.4")):
        asked = cert_id(algorithm=algorithm)
        assert parse_request(request(single(asked))).certificates[0].der == asked


def test_a_digest_that_nobody_uses_is_unknown_and_not_malformed(world):
    asked = request(single(cert_id(algorithm=der.algorithm("1.2.840.113549.2.5"))))
    answer = build_services(world).ocsp.answer(asked)
    assert ocsp.load_der_ocsp_response(answer.der).certificate_status is ocsp.OCSPCertStatus.UNKNOWN


def test_negative_serials_and_zero_are_unknown(world):
    services = build_services(world)
    for serial in (0, -5):
        answer = services.ocsp.answer(request(single(cert_id(der.integer(serial)))))
        assert b"\x82\x00" in answer.der
        assert answer.status is ResponseStatus.SUCCESSFUL


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_damage_to_a_request_raises_anything_but_value_error(data):
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(b"n" * 32, b"k" * 32, 99, hashes.SHA256())
    whole = builder.add_extension(x509.OCSPNonce(b"n" * 16), critical=False).build().public_bytes(Encoding.DER)
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(0, len(whole)))])
    try:
        parsed = parse_request(cut)
    except ValueError:
        return
    assert all(each.der in cut for each in parsed.certificates)
