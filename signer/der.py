"""DER encodings (X.690) that a signature needs again and again, as bytes; reading DER is left to asn1crypto."""

from __future__ import annotations

from collections.abc import Iterable

INTEGER, OCTET_STRING, NULL, OID, SEQUENCE, SET = 0x02, 0x04, 0x05, 0x06, 0x30, 0x31


def tlv(tag: int, content: bytes) -> bytes:
    """Tag, definite length in the fewest octets (X.690 10.1), content."""
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def sequence(*parts: bytes) -> bytes:
    """SEQUENCE of already encoded parts."""
    return tlv(SEQUENCE, b"".join(parts))


def set_of(parts: Iterable[bytes], tag: int = SET) -> bytes:
    """SET OF in DER: ordered by encoding, shorter ones padded with zeros (X.690 11.6)."""
    encoded = list(parts)
    longest = max(map(len, encoded), default=0)
    return tlv(tag, b"".join(sorted(encoded, key=lambda part: bytes(part).ljust(longest, b"\0"))))


def integer(value: int) -> bytes:
    """INTEGER, two's complement in the fewest octets (X.690 8.3)."""
    return tlv(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def octets(value: bytes) -> bytes:
    """OCTET STRING."""
    return tlv(OCTET_STRING, value)


def oid(dotted: str) -> bytes:
    """OBJECT IDENTIFIER from its dotted form (X.690 8.19)."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    out = bytearray()
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | (arc & 0x7F))
        out += bytes(reversed(groups))
    return tlv(OID, bytes(out))


def algorithm(dotted: str, parameters: bytes = b"") -> bytes:
    """AlgorithmIdentifier; `parameters` already encoded, absent by default."""
    return sequence(oid(dotted), parameters)


def explicit(number: int, content: bytes) -> bytes:
    """[number] EXPLICIT around encoded content."""
    return tlv(0xA0 | number, content)


def element(data: bytes, at: int) -> tuple[int, int, int]:
    """Tag, start and end of the content of the element at an offset; ValueError for what is not short-tagged DER."""
    try:
        tag, first = data[at], data[at + 1]
    except IndexError:
        raise ValueError("an element ends before it begins") from None
    start = at + 2
    length = first
    if first & 0x80:
        width = first & 0x7F
        if not 1 <= width <= 4:
            raise ValueError("a length that DER does not allow")
        length = int.from_bytes(data[start : start + width], "big")
        start += width
    if start + length > len(data):
        raise ValueError("an element is longer than what holds it")
    return tag, start, start + length


def elements(data: bytes, at: int, end: int) -> list[tuple[int, int, int]]:
    """The elements side by side between two offsets."""
    out = []
    while at < end:
        tag, start, stop = element(data, at)
        out.append((tag, start, stop))
        at = stop
    return out
