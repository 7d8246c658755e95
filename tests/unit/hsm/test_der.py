"""DER is written in the one way there is, and read in no other."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from asn1crypto import core

from hsm import der
from hsm.der import Reader


@pytest.mark.parametrize("value", [0, 1, 127, 128, 255, 256, -1, -128, -129, 2**158, -(2**64)])
def test_integers_are_those_of_asn1crypto_and_come_back(value):
    assert der.integer(value) == core.Integer(value).dump()
    assert Reader(der.integer(value)).integer() == value


@pytest.mark.parametrize("dotted", ["1.2.840.113549.1.7.2", "2.5.4.97", "2.25.195083350197969538904333480239290237894"])
def test_object_identifiers_are_those_of_asn1crypto(dotted):
    assert der.oid(dotted) == core.ObjectIdentifier(dotted).dump()


@pytest.mark.parametrize("octets", ["020200 7f", "0202ff80", "0200", "028101 05", "02820001 05"])
def test_an_integer_or_length_in_more_octets_than_needed_is_refused(octets):
    with pytest.raises(ValueError, match="fewest"):
        Reader(bytes.fromhex(octets)).integer()


@pytest.mark.parametrize("octets", ["", "30", "3002", "300205", "3080", "30850000000001", "30ffffff"])
def test_what_ends_too_early_is_refused(octets):
    with pytest.raises(ValueError, match=r"element|length"):
        Reader(bytes.fromhex(octets)).enter()


def test_another_tag_or_a_rest_is_refused():
    with pytest.raises(ValueError, match="tag 04 where 30"):
        Reader(der.octets(b"a")).enter()
    with pytest.raises(ValueError, match="follows"):
        Reader(b"\0").end()


@pytest.mark.parametrize(
    ("microsecond", "text"),
    [
        (0, b"20261121031530Z"),
        (500_000, b"20261121031530.5Z"),
        (10_999, b"20261121031530.01Z"),
        (999, b"20261121031530Z"),
    ],
)
def test_a_fraction_of_a_second_ends_in_no_zero(microsecond, text):
    moment = datetime(2026, 11, 21, 10, 15, 30, microsecond, tzinfo=timezone(timedelta(hours=7)))
    assert der.generalized_time(moment, milliseconds=True) == der.tlv(der.GENERALIZED_TIME, text)
    assert der.generalized_time(moment)[2:] == b"20261121031530Z"
