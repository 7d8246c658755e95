"""An OCSP request, read strictly from DER (RFC 6960 4.1, RFC 9654). What it asks about is for ocsp.py to answer."""

from __future__ import annotations

from dataclasses import dataclass

from hsm import der
from hsm.der import Reader

# A request of one certificate has about 110 octets; RFC 5019 2.1.1 wants one at a time.
MOST_OCTETS = 16_384
MOST_CERTIFICATES = 50

_NONCE = der.oid("1.3.6.1.5.5.7.48.1.2")[2:]
_LONGEST_NONCE = 128  # RFC 9654 2.1
_LONGEST_HASH = 64
_LONGEST_SERIAL = 21
_NULL = der.tlv(der.NULL, b"")


@dataclass(frozen=True)
class CertId:
    """Which certificate is asked about. `algorithm` is the content of the digest's OID; `der` is our own encoding of it all."""

    algorithm: bytes
    issuer_name_hash: bytes
    issuer_key_hash: bytes
    serial: int
    der: bytes


@dataclass(frozen=True)
class OcspRequest:
    """The certificates asked about, in the order of the request, and the nonce (empty for none)."""

    certificates: tuple[CertId, ...]
    nonce: bytes


def parse_request(data: bytes) -> OcspRequest:
    """Read a request; ValueError for whatever is no OCSP request, or asks for something that we do not understand."""
    if len(data) > MOST_OCTETS:
        raise ValueError("the request is too long")
    outer = Reader(data)
    request = outer.enter()
    outer.end()
    tbs = request.enter()
    if request.next_is(0xA0):
        # RFC 6960 4.1.2 lets a requestor sign. Status is public here, so nobody needs to say who he is.
        request.take(0xA0)
    request.end()
    if tbs.next_is(0xA0):
        version = tbs.enter(0xA0)
        if version.integer() != 0:
            raise ValueError("the version is not 1")
        version.end()
    if tbs.next_is(0xA1):
        tbs.take(0xA1)  # requestorName
    listed = tbs.enter()
    certificates: list[CertId] = []
    while not listed.is_empty:
        if len(certificates) == MOST_CERTIFICATES:
            raise ValueError("the request asks about too many certificates")
        certificates.append(_parse_single(listed.enter()))
    if not certificates:
        raise ValueError("the request asks about no certificate")
    nonce = b""
    if tbs.next_is(0xA2):
        explicit = tbs.enter(0xA2)
        nonce = _parse_extensions(explicit.enter())
        explicit.end()
    tbs.end()
    return OcspRequest(tuple(certificates), nonce)


def _parse_single(single: Reader) -> CertId:
    certificate = _parse_cert_id(single.enter())
    if single.next_is(0xA0):
        explicit = single.enter(0xA0)
        _parse_extensions(explicit.enter())
        explicit.end()
    single.end()
    return certificate


def _parse_cert_id(reader: Reader) -> CertId:
    algorithm = reader.enter()
    oid = algorithm.take(der.OID)
    parameters = b""
    if not algorithm.is_empty:
        if algorithm.take(der.NULL):
            raise ValueError("NULL with content")
        parameters = _NULL
    algorithm.end()
    name_hash, key_hash = reader.take(der.OCTET_STRING), reader.take(der.OCTET_STRING)
    serial = reader.integer()
    reader.end()
    encoded_serial = der.integer(serial)
    if (
        not oid
        or max(len(name_hash), len(key_hash), len(oid)) > _LONGEST_HASH
        or len(encoded_serial) > _LONGEST_SERIAL + 2
    ):
        raise ValueError("a hash or serial of a length that does not exist")
    # Encoded anew: what comes back under our signature is only what we understood.
    encoded = der.sequence(
        der.sequence(der.tlv(der.OID, oid), parameters), der.octets(name_hash), der.octets(key_hash), encoded_serial
    )
    return CertId(oid, name_hash, key_hash, serial, encoded)


def _parse_extensions(extensions: Reader) -> bytes:
    """The nonce among the extensions, or nothing. RFC 6960 4.4: the unknown are ignored, unless they are critical."""
    nonce = b""
    seen: set[bytes] = set()
    while not extensions.is_empty:
        extension = extensions.enter()
        oid = extension.take(der.OID)
        critical = extension.next_is(der.BOOLEAN) and extension.take(der.BOOLEAN) != b"\0"
        value = extension.take(der.OCTET_STRING)
        extension.end()
        if oid in seen:
            raise ValueError("an extension stands twice")
        seen.add(oid)
        if oid == _NONCE:
            held = Reader(value)
            nonce = held.take(der.OCTET_STRING)
            held.end()
            if not 1 <= len(nonce) <= _LONGEST_NONCE:
                raise ValueError("the nonce has a length that RFC 9654 2.1 does not allow")
        elif critical:
            raise ValueError("a critical extension that we do not know")
    return nonce
