"""What a DER or BER structure is, by its outermost elements: enough to send it to its reader. Nothing inside is believed."""

from __future__ import annotations

from typing import Literal

Shape = Literal[
    "signed-data", "enveloped-data", "other-cms", "timestamp-reply", "timestamp-refusal", "certificate", "crl", "request", "ocsp",
    "private-key", "key-store", "unknown",
]  # fmt: skip
Element = tuple[
    int, int, int | None
]  # tag, where its content begins, where it ends (None: indefinite length, X.690 8.1.3.6)

_INTEGER, _OCTETS, _OID, _ENUMERATED, _SEQUENCE, _CONTEXT_0 = 0x02, 0x04, 0x06, 0x0A, 0x30, 0xA0
_TIMES = (0x17, 0x18)
_PKCS7 = bytes.fromhex("2a864886f70d0107")  # 1.2.840.113549.1.7 (RFC 5652)
_SMIME_TYPES = bytes.fromhex(
    "2a864886f70d01091001"
)  # 1.2.840.113549.1.9.16.1: authEnvelopedData (RFC 5083), compressedData
_SIGNED, _ENVELOPED, _ENCRYPTED = 2, (3, 4), 6


def shape_of(der: bytes) -> Shape:
    """The kind of structure; `unknown` for whatever has no shape that is known."""
    try:
        return _shape_of(der)
    except (IndexError, ValueError):
        return "unknown"


def _shape_of(der: bytes) -> Shape:
    tag, start, _ = _element(der, 0)
    if tag != _SEQUENCE:
        return "unknown"
    first, inner, end = _element(der, start)
    if first == _OID:
        return _cms(der[inner:end])
    if first == _ENUMERATED:
        return "ocsp"
    if first == _INTEGER:
        following = _element(der, end or 0)[0] if end is not None else 0
        return _numbered(der[inner:end], following)
    if first != _SEQUENCE or end is None:
        return "unknown"
    return _signed(der, inner, end)


def _cms(oid: bytes) -> Shape:
    if oid.startswith(_SMIME_TYPES):
        return "enveloped-data" if oid.endswith(b"\x17") else "other-cms"
    if not oid.startswith(_PKCS7) or len(oid) != len(_PKCS7) + 1:
        return "unknown"
    if oid[-1] == _SIGNED:
        return "signed-data"
    return "enveloped-data" if oid[-1] in (*_ENVELOPED, _ENCRYPTED) else "other-cms"


def _numbered(version: bytes, following: int) -> Shape:
    """SEQUENCE { INTEGER … }: keys (RFC 5208, 8017, 5915), PKCS #12 (RFC 7292), requests for time-stamps (RFC 3161)."""
    number = int.from_bytes(version, "big")
    if number == 3 and following == _SEQUENCE:
        return "key-store"
    if (number in (0, 1) and following in (_INTEGER, _OCTETS)) or (number == 0 and following == _SEQUENCE):
        return "private-key"
    return "request" if number == 1 and following == _SEQUENCE else "unknown"


def _signed(der: bytes, start: int, end: int) -> Shape:
    """SEQUENCE { SEQUENCE … }: certificates, lists and requests, which are signed; the reply with a time-stamp, and keys."""
    tag, _inner, stop = _element(der, start)
    if tag == _CONTEXT_0:
        return "certificate"
    if tag == _OID:  # an algorithm: EncryptedPrivateKeyInfo (RFC 5958)
        following = _element(der, end)[0] if end < len(der) else 0
        return "private-key" if following == _OCTETS else "unknown"
    if tag == _SEQUENCE:
        return "crl"  # of version 1
    if tag != _INTEGER or stop is None:
        return "unknown"
    if end >= len(der):
        return "timestamp-refusal"  # its status, and no token (RFC 3161 2.4.2)
    following, after, _ = _element(der, end)
    if following == _SEQUENCE and der[after] == _OID:
        kind, content, last = _element(der, after)
        if kind == _OID and _cms(der[content:last]) == "signed-data":
            return "timestamp-reply"
    third = stop
    for _ in range(2):
        _, _, skipped = _element(der, third)
        if skipped is None:
            return "unknown"
        third = skipped
    fourth = _element(der, third)[0]
    if fourth in _TIMES:
        return "crl"
    return "request" if fourth == _CONTEXT_0 else "certificate" if fourth == _SEQUENCE else "unknown"


def _element(der: bytes, at: int) -> Element:
    tag, length = der[at], der[at + 1]
    start = at + 2
    if length == 0x80:
        return tag, start, None
    if length & 0x80:
        size = length & 0x7F
        if size > 8:
            raise ValueError("a length of more than eight octets")
        length = int.from_bytes(der[start : start + size], "big")
        start += size
    if start + length > len(der):
        raise ValueError("an element that ends behind its file")
    return tag, start, start + length
