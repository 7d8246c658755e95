"""A message that lies in a file reads as its octets do, at every place, and says when the file does not give it."""

from __future__ import annotations

import tempfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.errors import MessageRefused
from hsm.messages import FileMessage


@given(st.binary(max_size=200), st.binary(max_size=9), st.binary(max_size=9), st.integers(0, 220), st.integers(0, 220))
def test_it_has_the_length_the_octets_and_the_parts_of_its_octets(octets, before, after, start, end):
    with tempfile.TemporaryFile() as file:
        file.write(before + octets + after)
        file.flush()
        message = FileMessage(file.fileno(), len(before), len(octets))
        assert (len(message), bytes(message), b"".join(message.pieces())) == (len(octets), octets, octets)
        assert message[start:end] == octets[start:end]
        assert [message[place] for place in range(len(octets))] == list(octets)
        with pytest.raises(IndexError):
            message[len(octets)]


def test_more_than_a_mebibyte_comes_in_pieces():
    with tempfile.TemporaryFile() as file:
        file.write(bytes(5 << 19))
        file.flush()
        assert [len(piece) for piece in FileMessage(file.fileno(), 0, 5 << 19).pieces()] == [1 << 20, 1 << 20, 1 << 19]


def test_a_file_that_has_become_shorter_or_is_closed_is_refused_and_not_read_as_less():
    with tempfile.TemporaryFile() as file:
        file.write(b"12345")
        file.flush()
        message = FileMessage(file.fileno(), 0, 6)
        for read in (lambda: bytes(message), lambda: message[5], lambda: message[2:6]):
            with pytest.raises(MessageRefused):
                read()
    with pytest.raises(MessageRefused):
        message[0:1]
