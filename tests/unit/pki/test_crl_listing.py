"""An entry is found in a list's octets however they are cut, and what only looks like one is not taken for it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from hsm import der
from pki.crl_entries import build_entry
from pki.crl_listing import Listing, find_listing

WHEN = datetime(2026, 11, 21, 3, 15, 30, tzinfo=UTC)
SINCE = datetime(2026, 11, 1, tzinfo=UTC)
SERIALS = [f"4{number:039x}" for number in range(1, 6)]
LIST = b"\x30\x82heading" + b"".join(build_entry(serial, WHEN, 1, SINCE) for serial in SERIALS) + b"signature"


@pytest.mark.parametrize("size", [1, 2, 3, 7, 22, 64, 127, 128, 129, len(LIST)])
def test_an_entry_is_found_wherever_the_pieces_are_cut(size):
    pieces = [LIST[at : at + size] for at in range(0, len(LIST), size)]
    assert [find_listing(iter(pieces), serial) for serial in SERIALS] == [Listing("keyCompromise", WHEN, SINCE)] * 5
    assert find_listing(iter(pieces), "4" + "0" * 39) is None


def test_what_an_entry_leaves_out_is_left_out():
    assert find_listing([build_entry("4f", WHEN, None, None)], "4f") == Listing("unspecified", WHEN, None)


def test_an_entry_of_a_delta_that_lifts_a_hold_has_no_time():
    assert find_listing([build_entry("4f", WHEN, 8, None)], "4f") == Listing("removeFromCRL", None, None)


def test_a_serial_inside_something_else_is_no_entry():
    # A short serial, whose octets stand in many places: behind another tag, in an entry of another, in half an entry.
    alike = b"\x31\x04" + der.integer(0x4F) + b"\x30\x03" + der.integer(0x4F) + b"\x30\x7f" + der.integer(0x4F)
    assert find_listing([alike], "4f") is None
    assert find_listing([alike + build_entry("4f", WHEN, 4, None)], "4f") == Listing("superseded", WHEN, None)
