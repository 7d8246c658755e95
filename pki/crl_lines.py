"""CRL lines: reads the entries of a finished list and compares them with the lines that the inventory makes of its own columns.

A line says serial, time, reason and date of suspicion (certs/listed.py). Entries are decoded here from the list's octets and
never taken from what the list was made of: a list that forgets somebody is worse than none (boulder#6438).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import islice

from certs.listed import REASON_CODES, REMOVED, REMOVED_NAME
from hsm import der

_REASON, _INVALIDITY_DATE = der.oid("2.5.29.21"), der.oid("2.5.29.24")
_REASONS = {code: name for name, code in REASON_CODES.items()} | {REMOVED: REMOVED_NAME}
_IS_REMOVED = f"{REMOVED_NAME}|"
_SHORT = 0x80
# SEQUENCE, INTEGER of 20 octets, UTCTime of 13: where serial, time and extensions of nearly every entry are.
_SERIAL, _TIME, _MORE = 4, 26, 39
_UTC_TIME_HEADER = bytes((der.UTC_TIME, 13))


def compare_entries(pieces: Iterable[bytes], lines: Iterator[str], count: int) -> bool:
    """Whether the entries, however their octets are cut into pieces, are `count` and say line by line what the lines say."""
    rest, seen = b"", 0
    try:
        for piece in pieces:
            said, rest = _read(rest + piece)
            if said != list(islice(lines, len(said))):
                return False
            seen += len(said)
    except ValueError:
        return False  # what is no entry of ours says nothing that the inventory says
    return not rest and seen == count and next(lines, None) is None


def _read(data: bytes) -> tuple[list[str], bytes]:
    """A line for each entry that is whole, and the octets behind them; ValueError for what no entry of ours is.

    A million entries pass here: what they have in common is read at fixed places, the rest by a strict reader.
    """
    out: list[str] = []
    at, end = 0, len(data)
    while at + 2 <= end:
        length = data[at + 1]
        stop = at + 2 + length
        if data[at] != der.SEQUENCE or length >= _SHORT:
            raise ValueError("an entry that is not ours")
        if stop > end:
            break
        # A first octet from 01 to 7f is a positive number in its fewest octets (X.690 8.3.2).
        if (
            length >= _MORE - 2
            and data[at + 2] == der.INTEGER
            and data[at + 3] == 20
            and 0 < data[at + _SERIAL] < 0x80
            and data[at + 24 : at + _TIME] == _UTC_TIME_HEADER
        ):
            serial = data[at + _SERIAL : at + 24].hex()
            when = (
                _date(data[at + _TIME : at + 32])
                + _minute(data[at + 32 : at + 36])
                + _second(data[at + 36 : at + _MORE])
            )
            more = _extensions(data[at + _MORE : stop])
        else:
            serial, when, more = _unusual(data[at:stop])
        # When a hold was lifted the inventory does not keep.
        out.append(f"{serial}||{more}" if more == _IS_REMOVED else f"{serial}|{when}|{more}")
        at = stop
    return out, data[at:]


@lru_cache(maxsize=20_000)
def _date(digits: bytes) -> str:
    """YYMMDD of a UTCTime, whose years are 1950 to 2049 (RFC 5280 4.1.2.5.1)."""
    text = _digits(digits)
    century = "20" if text < "50" else "19"
    return f"{century}{text[:2]}-{text[2:4]}-{text[4:]} "


def _time_of_day(digits: bytes) -> str:
    """HHMMSSZ."""
    return _minute(digits[:4]) + _second(digits[4:])


@lru_cache(maxsize=1440)
def _minute(digits: bytes) -> str:
    text = _digits(digits)
    return f"{text[:2]}:{text[2:]}:"


@lru_cache(maxsize=60)
def _second(digits: bytes) -> str:
    if len(digits) != 3 or digits[2:] != b"Z":
        raise ValueError("a time that is not UTC")
    return _digits(digits[:2])


@lru_cache(maxsize=1024)
def _extensions(encoded: bytes) -> str:
    """`reason|since` of crlEntryExtensions; an unknown one is a ValueError."""
    reason = since = ""
    if encoded:
        outer = der.Reader(encoded)
        extensions = outer.enter()
        outer.end()
        while not extensions.is_empty:
            extension = extensions.enter()
            kind = der.tlv(der.OID, extension.take(der.OID))
            value = der.Reader(extension.take(der.OCTET_STRING))  # none of ours is critical
            extension.end()
            if kind == _REASON and not reason:
                reason = _REASONS.get(int.from_bytes(value.take(der.ENUMERATED), "big"), "another reason")
            elif kind == _INVALIDITY_DATE and not since:
                since = _generalized(value.take(der.GENERALIZED_TIME))
            else:
                raise ValueError("an extension that is not ours")
            value.end()
    return f"{reason}|{since}"


def _unusual(entry: bytes) -> tuple[str, str, str]:
    """The same of an entry with a short serial or a late date."""
    reader = der.Reader(entry).enter()
    number = f"{reader.integer():x}"
    serial = number.zfill(len(number) + len(number) % 2)
    if reader.next_is(der.UTC_TIME):
        time = reader.take(der.UTC_TIME)
        when = _date(time[:6]) + _time_of_day(time[6:])
    else:
        when = _generalized(reader.take(der.GENERALIZED_TIME))
        if when < "2050":
            raise ValueError("a time in the wrong form")  # RFC 5280 5.1.2.6
    extensions = der.tlv(der.SEQUENCE, reader.take(der.SEQUENCE)) if not reader.is_empty else b""
    reader.end()
    return serial, when, _extensions(extensions)


def _generalized(digits: bytes) -> str:
    """YYYYMMDDHHMMSSZ."""
    text = _digits(digits[:8])
    return f"{text[:4]}-{text[4:6]}-{text[6:]} {_time_of_day(digits[8:])}"


def _digits(octets: bytes) -> str:
    if not octets.isdigit():
        raise ValueError("a time that is no number")
    return octets.decode("ascii")
