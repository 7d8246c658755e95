"""Messages: what a key is asked to sign, as octets or as part of a file that is read in pieces: a long list is never in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import overload

from hsm.errors import MessageRefused

_PIECE = 1 << 20


class FileMessage:
    """Some octets of an open file, for a key to sign: whole like any message, but not held. The file must not change meanwhile."""

    def __init__(self, descriptor: int, start: int, length: int) -> None:
        self._descriptor = descriptor
        self._start = start
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __bytes__(self) -> bytes:
        return b"".join(self.pieces())

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> bytes: ...
    def __getitem__(self, place: int | slice) -> int | bytes:
        """One octet, or some that follow each other, as `bytes` has them."""
        if isinstance(place, int):
            return self._read(range(self._length)[place], 1)[0]
        start, stop, step = place.indices(self._length)
        if step != 1:
            raise ValueError("octets of a file are read one after the other")
        return self._read(start, max(0, stop - start))

    def pieces(self) -> Iterator[bytes]:
        """All of it, a mebibyte at a time; MessageRefused when the file does not give it."""
        for at in range(0, self._length, _PIECE):
            yield self._read(at, min(_PIECE, self._length - at))

    def _read(self, at: int, length: int) -> bytes:
        try:
            found = os.pread(self._descriptor, length, self._start + at)
        except OSError as error:
            raise MessageRefused(f"message refused: {error}", reason="unreadable file") from error
        if len(found) != length:
            raise MessageRefused("message refused: its file has become shorter", reason="shorter than it says")
        return found


Message = bytes | FileMessage
