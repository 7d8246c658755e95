"""Serial numbers: made at random, written as lower-case hex."""

from __future__ import annotations

import re
import secrets

from certs.errors import CertificateNotFound

SERIAL_OCTETS = 20
_HEX = re.compile(r"[0-9a-f]{1,40}")


def random_serial() -> int:
    """A serial of exactly 20 octets: positive (top bit clear, RFC 5280 4.1.2.2) and never shorter (next bit set).

    158 bits come from the system's random source; the database's unique column judges the rest.
    """
    return secrets.randbits(SERIAL_OCTETS * 8 - 2) | 1 << (SERIAL_OCTETS * 8 - 2)


def serial_hex(number: int) -> str:
    """Lower-case hex with whole octets, as the inventory and all JSON write it."""
    digits = f"{number:x}"
    return digits.zfill(len(digits) + len(digits) % 2)


def parse_serial(text: str) -> str:
    """What a person pasted (capitals, colons, spaces, 0x) as the inventory's form; CertificateNotFound if it is no serial."""
    digits = re.sub(r"[:\s]", "", text.lower()).removeprefix("0x")
    if not _HEX.fullmatch(digits):
        raise CertificateNotFound(f"not a serial: {text!r}", serial=text)
    return serial_hex(int(digits, 16))
