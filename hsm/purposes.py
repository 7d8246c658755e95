"""What a key may sign: tells what to-be-signed octets are by their strict DER shape, and refuses what a key is not for.

It judges the kind, never the worth: what a certificate says is the profile's business, in rooms above. Only outer
elements are walked, so a revocation list of a million entries costs no more than an empty one.
"""

from __future__ import annotations

from enum import StrEnum

from hsm.der import (
    BIT_STRING,
    GENERALIZED_TIME,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    SET,
    UTC_TIME,
    explicit,
    integer,
    oid,
    tlv,
)
from hsm.errors import KeyPurposeWrong
from hsm.messages import Message
from hsm.spec import Purpose, key_id_of


class Content(StrEnum):
    """What to-be-signed octets are. The value is the name that errors and logs use."""

    CERTIFICATE = "certificate"
    CRL = "crl"
    OCSP = "ocsp"
    REQUEST = "request"
    DATA_ATTRIBUTES = "attributes-of-data"
    TIMESTAMP_ATTRIBUTES = "attributes-of-timestamp"
    TRUST_STORE_ATTRIBUTES = "attributes-of-trust-store"
    UNKNOWN = "unknown"


# An own certification request is allowed to every purpose; it is checked apart, because the key in it counts.
_ALLOWED = {
    Purpose.AUTHORITY: frozenset({Content.CERTIFICATE, Content.CRL}),
    Purpose.OCSP_RESPONDER: frozenset({Content.OCSP}),
    Purpose.TSA: frozenset({Content.TIMESTAMP_ATTRIBUTES}),
    Purpose.DOCUMENT: frozenset({Content.DATA_ATTRIBUTES}),
    Purpose.RECEIPT: frozenset({Content.DATA_ATTRIBUTES}),
    Purpose.TRUST_STORE: frozenset({Content.TRUST_STORE_ATTRIBUTES}),
}

# Each use of a member by its class's name is a call, and this runs for every signature.
_UNKNOWN = Content.UNKNOWN
_V1, _V2 = integer(0), integer(1)
_CERTIFICATE_V3 = explicit(0, integer(2))
_CONTENT_TYPE, _MESSAGE_DIGEST = oid("1.2.840.113549.1.9.3"), oid("1.2.840.113549.1.9.4")
_TYPE_OCTETS = len(_CONTENT_TYPE)  # and of the other
# The whole value sets of the contentType attribute (RFC 5652 11.1), by what they say was digested: id-data of
# RFC 5652 4, id-ct-TSTInfo of RFC 3161 2.4.2.
_CONTENT_TYPES = {
    tlv(SET, oid("1.2.840.113549.1.7.1")): Content.DATA_ATTRIBUTES,
    tlv(SET, oid("1.2.840.113549.1.9.16.1.4")): Content.TIMESTAMP_ATTRIBUTES,
    # certs/oids.py, TRUST_STORE_CONTENT: ours.
    tlv(SET, oid("2.25.234730728928956898269319628527611044104")): Content.TRUST_STORE_ATTRIBUTES,
}
# And of the messageDigest attribute (11.2): one OCTET STRING as long as a SHA-256, SHA-384 or SHA-512.
_DIGEST_HEADS = tuple(tlv(SET, tlv(OCTET_STRING, bytes(length)))[:4] for length in (32, 48, 64))
_TIMES = (UTC_TIME, GENERALIZED_TIME)
_CONTEXT_0, _CONTEXT_1, _CONTEXT_2, _CONTEXT_3 = 0xA0, 0xA1, 0xA2, 0xA3

Element = tuple[int, int, int, int]  # tag, start of the element, start of its content, end


class _NotTheShapeError(Exception):
    """The octets are not what their beginning promised."""


def recognise(tbs: Message) -> Content:
    """What these octets are. Whatever is not exactly the shape of one kind is UNKNOWN, and nothing has two shapes.

    The first element tells the kind apart: [0] a certificate, INTEGER 0 a request, INTEGER 1 a CRL, [1] or [2] an OCSP
    answer; signed attributes alone are a SET.
    """
    return _recognise(tbs)[0]


def check_purpose(purpose: Purpose | None, tbs: Message, public_key_der: bytes) -> None:
    """Raise KeyPurposeWrong unless a key of this purpose may sign these octets.

    Every purpose may sign a certification request for its own key: the proof that it is held (RFC 2986 4.2).
    """
    content, requested = _recognise(tbs)
    if purpose is not None:
        if content in _ALLOWED[purpose]:
            return
        if content is Content.REQUEST and requested == public_key_der:
            return
    key_id = key_id_of(public_key_der).hex()
    named = purpose.value if purpose is not None else "none"
    raise KeyPurposeWrong(
        f"key {key_id} is for {named} and does not sign {content.value}",
        key_id=key_id,
        purpose=named,
        content=content.value,
    )


def _recognise(tbs: Message) -> tuple[Content, bytes]:
    """The kind, and for a request the SubjectPublicKeyInfo it is for."""
    try:
        tag, _, at, end = _element(tbs, 0, len(tbs))
        if end != len(tbs):
            return Content.UNKNOWN, b""
        if tag == SET:
            return _signed_attributes(tbs, at, end), b""
        if tag != SEQUENCE:
            return Content.UNKNOWN, b""
        first = tbs[at : at + 1]
        if first == b"\xa0":
            _check_certificate(tbs, at, end)
            return Content.CERTIFICATE, b""
        if first in {b"\xa1", b"\xa2"}:
            _check_response_data(tbs, at, end)
            return Content.OCSP, b""
        version = tbs[at : at + 3]
        if version == _V2:
            _check_revocation_list(tbs, at, end)
            return Content.CRL, b""
        if version == _V1:
            return Content.REQUEST, _requested_key(tbs, at, end)
    except _NotTheShapeError:
        pass
    return Content.UNKNOWN, b""


def _check_certificate(data: Message, at: int, end: int) -> None:
    """TBSCertificate of version 3 (RFC 5280 4.1), without the unique identifiers that 4.1.2.8 forbids."""
    # version, serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo, extensions [3] OPTIONAL
    parts = _elements(data, at, end)
    if tuple(part[0] for part in parts[1:7]) != _CERTIFICATE_TAGS or data[at : parts[0][3]] != _CERTIFICATE_V3:
        raise _NotTheShapeError
    serial, validity = parts[1], parts[4]
    if not 1 <= serial[3] - serial[2] <= 20:  # RFC 5280 4.1.2.2
        raise _NotTheShapeError
    _check_algorithm(data, parts[2])
    times = _elements(data, validity[2], validity[3])
    if len(times) != 2 or times[0][0] not in _TIMES or times[1][0] not in _TIMES:
        raise _NotTheShapeError
    _check_public_key(data, parts[6])
    _check_extensions(data, parts[7:], _CONTEXT_3)


_CERTIFICATE_TAGS = (INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE)


def _check_revocation_list(data: Message, at: int, end: int) -> None:
    """TBSCertList of version 2 (RFC 5280 5.1); nextUpdate is there, as 5.1.2.5 demands. No entry is looked at."""
    # version, signature, issuer, thisUpdate, nextUpdate, revokedCertificates OPTIONAL, crlExtensions [0] OPTIONAL
    parts = _elements(data, at, end)
    if len(parts) < 5 or parts[1][0] != SEQUENCE or parts[2][0] != SEQUENCE:
        raise _NotTheShapeError
    if parts[3][0] not in _TIMES or parts[4][0] not in _TIMES:
        raise _NotTheShapeError
    _check_algorithm(data, parts[1])
    rest = parts[5:]
    if rest and rest[0][0] == SEQUENCE:
        _, _, start, stop = rest.pop(0)
        if _element(data, start, stop)[0] != SEQUENCE:  # where none is revoked the list is absent (5.1.2.6)
            raise _NotTheShapeError
    _check_extensions(data, rest, _CONTEXT_0)


def _check_response_data(data: Message, at: int, end: int) -> None:
    """ResponseData of version 1 (RFC 6960 4.2.1), which DER leaves unsaid."""
    # responderID [1] Name or [2] OCTET STRING, producedAt, responses, responseExtensions [1] OPTIONAL
    parts = _elements(data, at, end)
    if len(parts) < 3 or parts[1][0] != GENERALIZED_TIME or parts[2][0] != SEQUENCE:
        raise _NotTheShapeError
    tag, _, start, stop = parts[0]
    inner, _, _, inner_end = _element(data, start, stop)
    if inner != (SEQUENCE if tag == _CONTEXT_1 else OCTET_STRING) or inner_end != stop:
        raise _NotTheShapeError
    _, _, start, stop = parts[2]
    single, _, start, stop = _element(data, start, stop)
    if single != SEQUENCE or _element(data, start, stop)[0] != SEQUENCE:  # SingleResponse begins with its CertID
        raise _NotTheShapeError
    _check_extensions(data, parts[3:], _CONTEXT_1)


def _requested_key(data: Message, at: int, end: int) -> bytes:
    """The SubjectPublicKeyInfo of a CertificationRequestInfo (RFC 2986 4.1)."""
    # version, subject, subjectPKInfo, attributes [0]
    parts = _elements(data, at, end)
    if tuple(part[0] for part in parts) != (INTEGER, SEQUENCE, SEQUENCE, _CONTEXT_0):
        raise _NotTheShapeError
    _check_public_key(data, parts[2])
    return data[parts[2][1] : parts[2][3]]


def _signed_attributes(data: Message, at: int, end: int) -> Content:
    """SignedAttributes as they are hashed: a SET OF in DER with one contentType and one messageDigest (RFC 5652 5.3, 5.4)."""
    content, digests, before = _UNKNOWN, 0, b""
    while at < end:
        tag, begin, start, stop = _element(data, at, end)
        at = stop
        whole = data[begin:stop]
        # Ordered by encoding (X.690 11.6); octets that begin alike differ before the shorter ends.
        if tag != SEQUENCE or whole <= before:
            raise _NotTheShapeError
        before = whole
        # What follows a type that is known must be one of few values, whole: nothing in it needs to be walked.
        kind_end = start + _TYPE_OCTETS
        kind = data[start:kind_end]
        if kind == _CONTENT_TYPE:
            if content is not _UNKNOWN:
                raise _NotTheShapeError
            content = _CONTENT_TYPES.get(data[kind_end:stop], _UNKNOWN)
            if content is _UNKNOWN:
                raise _NotTheShapeError
        elif kind == _MESSAGE_DIGEST:
            value = data[kind_end:stop]
            if value[:4] not in _DIGEST_HEADS or len(value) != value[3] + 4:
                raise _NotTheShapeError
            digests += 1
        else:
            kind_tag, _, _, kind_end = _element(data, start, stop)
            values_tag, _, _, values_end = _element(data, kind_end, stop)
            if kind_tag != OID or values_tag != SET or values_end != stop:
                raise _NotTheShapeError
    if digests != 1:
        raise _NotTheShapeError
    return content


def _check_algorithm(data: Message, part: Element) -> None:
    """AlgorithmIdentifier: an OBJECT IDENTIFIER and at most one element of parameters."""
    tag, _, _, stop = _element(data, part[2], part[3])
    if tag != OID or (stop != part[3] and _element(data, stop, part[3])[3] != part[3]):
        raise _NotTheShapeError


def _check_public_key(data: Message, part: Element) -> None:
    """SubjectPublicKeyInfo (RFC 5280 4.1): an algorithm and a BIT STRING."""
    algorithm = _element(data, part[2], part[3])
    if algorithm[0] != SEQUENCE:
        raise _NotTheShapeError
    _check_algorithm(data, algorithm)
    tag, _, _, stop = _element(data, algorithm[3], part[3])
    if tag != BIT_STRING or stop != part[3]:
        raise _NotTheShapeError


def _check_extensions(data: Message, rest: list[Element], tag: int) -> None:
    """Nothing more, or Extensions under one explicit tag."""
    if not rest:
        return
    (found, _, start, stop), *more = rest
    if more or found != tag:
        raise _NotTheShapeError
    inner, _, _, inner_end = _element(data, start, stop)
    if inner != SEQUENCE or inner_end != stop:
        raise _NotTheShapeError


def _elements(data: Message, at: int, end: int) -> list[Element]:
    out = []
    while at < end:
        part = _element(data, at, end)
        out.append(part)
        at = part[3]
    return out


def _element(data: Message, at: int, end: int) -> Element:
    """The element at an offset, which ends within what holds it. Its length is in the fewest octets (X.690 10.1)."""
    # der.element does nearly this; this one is bounded by its parent, refuses long forms and runs for every signature.
    start = at + 2
    if start > end:
        raise _NotTheShapeError
    length = data[at + 1]
    if length >= 0x80:
        width = length & 0x7F
        start += width
        if not 1 <= width <= 4 or start > end:
            raise _NotTheShapeError
        length = int.from_bytes(data[at + 2 : start], "big")
        if length < (0x80 if width == 1 else 1 << 8 * (width - 1)):
            raise _NotTheShapeError
    stop = start + length
    if stop > end:
        raise _NotTheShapeError
    return data[at], at, start, stop
