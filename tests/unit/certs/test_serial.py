"""Serials are long, positive, random, and always written the same way."""

from __future__ import annotations

import pytest

from certs.errors import CertificateNotFound
from certs.serial import parse_serial, random_serial, serial_hex


def test_every_serial_has_twenty_octets_and_is_positive():
    serials = [random_serial() for _ in range(2000)]
    assert {len(serial.to_bytes(20, "big")) for serial in serials} == {20}
    assert all(0x40 <= serial >> 152 <= 0x7F for serial in serials)
    assert len(set(serials)) == len(serials)
    assert {len(serial_hex(serial)) for serial in serials} == {40}


@pytest.mark.parametrize("text", ["0A:BC", "0abc", "0x0ABC", " abc ", "ABC"])
def test_a_pasted_serial_is_understood(text):
    assert parse_serial(text) == "0abc"


@pytest.mark.parametrize("text", ["", "xyz", "g1", "1" * 41, "-1"])
def test_what_is_no_serial_is_not_found(text):
    with pytest.raises(CertificateNotFound):
        parse_serial(text)
