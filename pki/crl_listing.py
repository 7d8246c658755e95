"""What one finished list says of one certificate: its entry is looked for in the list's own octets, piece by piece.

Entries of today (crl_entries.py) say nothing about a list of long ago.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from hsm import der
from pki.crl_lines import parse_entry

# The longest entry that we write has 69 octets; a match at the end of a piece waits for the next one.
_LONGEST = 128


@dataclass(frozen=True)
class Listing:
    """What an entry says. `revoked_at` is None for removeFromCRL, which has no time that counts."""

    reason: str
    revoked_at: datetime | None
    suspect_since: datetime | None


def find_listing(pieces: Iterable[bytes], serial: str) -> Listing | None:
    """The entry of a serial in a list whose octets come in pieces of any size; None where it is not listed."""
    wanted = der.integer(int(serial, 16))
    held = b""
    for piece in pieces:
        held += piece
        found = _search(held, wanted, serial, is_last=False)
        if found is not None:
            return found
        held = held[-2 * _LONGEST :]
    return _search(held, wanted, serial, is_last=True)


def _search(data: bytes, wanted: bytes, serial: str, *, is_last: bool) -> Listing | None:
    at = data.find(wanted)
    while at >= 0:
        if not is_last and at + _LONGEST > len(data):
            return None  # perhaps cut off: it comes once more with what follows
        # SEQUENCE, one octet of length, then the serial (RFC 5280 5.1.2.6). What only looks like it is passed by.
        if at >= 2 and data[at - 2] == der.SEQUENCE:
            listing = _parse(data[at - 2 : at + data[at - 1]], serial)
            if listing is not None:
                return listing
        at = data.find(wanted, at + 1)
    return None


def _parse(entry: bytes, serial: str) -> Listing | None:
    try:
        named, when, reason, since = parse_entry(entry)
    except (ValueError, IndexError):
        return None
    if int(named, 16) != int(serial, 16):
        return None
    return Listing(reason or "unspecified", _moment(when), _moment(since))


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None
