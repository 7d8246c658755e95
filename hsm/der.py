"""DER (X.690) as bytes: encodings that signatures, OCSP answers and time-stamps need again and again, and a small strict reader.

Structures of strangers beyond a request's few fields are left to asn1crypto.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import UTC, datetime

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
ENUMERATED, UTF8_STRING, PRINTABLE_STRING, IA5_STRING = 0x0A, 0x0C, 0x13, 0x16
UTC_TIME, GENERALIZED_TIME, SEQUENCE, SET = 0x17, 0x18, 0x30, 0x31


def tlv(tag: int, content: bytes) -> bytes:
    """Tag, definite length in the fewest octets (X.690 10.1), content."""
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content  # nearly all are short
    return header(tag, length) + content


def header(tag: int, length: int) -> bytes:
    """Tag and length of an element whose content follows elsewhere."""
    if length < 0x80:
        return bytes((tag, length))
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets


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
    magnitude = value if value >= 0 else ~value
    return tlv(INTEGER, value.to_bytes(magnitude.bit_length() // 8 + 1, "big", signed=True))


def octets(value: bytes) -> bytes:
    """OCTET STRING."""
    return tlv(OCTET_STRING, value)


def bits(value: bytes) -> bytes:
    """BIT STRING of whole octets."""
    return tlv(BIT_STRING, b"\0" + value)


def generalized_time(moment: datetime, *, milliseconds: bool = False) -> bytes:
    """GeneralizedTime in UTC, Zulu, seconds always there; a fraction ends in no zero and is left out when it is none.

    X.690 11.7 and RFC 3161 2.4.2. Without `milliseconds` there is none (RFC 5280 4.1.2.5.2).
    """
    moment = moment.astimezone(UTC)
    fraction = f".{moment.microsecond // 1000:03}".rstrip("0").rstrip(".") if milliseconds else ""
    return tlv(GENERALIZED_TIME, f"{moment:%Y%m%d%H%M%S}{fraction}Z".encode("ascii"))


def certificate_time(moment: datetime) -> bytes:
    """Time of certificates and CRLs: UTCTime until 2049, GeneralizedTime from 2050 on (RFC 5280 4.1.2.5, 5.1.2.4)."""
    moment = moment.astimezone(UTC)
    if moment.year >= 2050:
        return generalized_time(moment)
    # By numbers: the words of strftime take three times as long.
    clock = moment.hour, moment.minute, moment.second
    return tlv(UTC_TIME, b"%02d%02d%02d%02d%02d%02dZ" % (moment.year % 100, moment.month, moment.day, *clock))


@functools.lru_cache(maxsize=256)  # a few dozen are in use
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
    size = len(data)
    while at < end:
        if at + 1 < size and (length := data[at + 1]) < 0x80 and (stop := at + 2 + length) <= size:
            # Nearly all are short, and a certificate has sixty.
            out.append((data[at], at + 2, stop))
        else:
            tag, start, stop = element(data, at)
            out.append((tag, start, stop))
        at = stop
    return out


class Reader:
    """Reads the elements of one constructed value in order. Every refusal is a ValueError.

    Stricter than `element`: lengths in the fewest octets (X.690 10.1), and nothing may be left over at `end`.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_empty(self) -> bool:
        return self._at == len(self._data)

    def next_is(self, tag: int) -> bool:
        """Whether another element follows and has this tag."""
        return not self.is_empty and self._data[self._at] == tag

    def take(self, tag: int) -> bytes:
        """The content of the next element, which must have this tag."""
        found, start, stop = element(self._data, self._at)
        if found != tag:
            raise ValueError(f"tag {found:02x} where {tag:02x} belongs")
        width, length = start - self._at - 2, stop - start  # octets of a long-form length
        if width != (0 if length < 0x80 else (length.bit_length() + 7) // 8):
            raise ValueError("a length that is not in its fewest octets")
        self._at = stop
        return self._data[start:stop]

    def enter(self, tag: int = SEQUENCE) -> Reader:
        """A reader of what the next element holds."""
        return Reader(self.take(tag))

    def integer(self) -> int:
        """The next element as an INTEGER in its fewest octets (X.690 8.3.2)."""
        content = self.take(INTEGER)
        value = int.from_bytes(content, "big", signed=True)
        if not content or tlv(INTEGER, content) != integer(value):
            raise ValueError("an integer that is not in its fewest octets")
        return value

    def end(self) -> None:
        """ValueError when something is left."""
        if not self.is_empty:
            raise ValueError("something follows the last element")
