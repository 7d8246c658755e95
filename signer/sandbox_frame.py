"""The frame that parent and judge process exchange: a length, a JSON header, blobs; bounded on both sides."""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

_PREFIX = struct.Struct("!4sI")
_MAGIC = b"ANT1"
# What stands before each task: whether a descriptor comes with it.
NO_FILE, WITH_FILE = b"0", b"1"
_HEADER_LIMIT = 32 * 1024 * 1024
_BLOB_COUNT_LIMIT = 4096
_PIECES_AT_ONCE = 64


class FrameSizeError(Exception):
    """A frame passes a bound."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"{size} bytes where {limit} are allowed")
        self.size = size
        self.limit = limit


class FrameFormatError(Exception):
    """What arrived is not a frame."""


def encode_frame(header: dict[str, Any], blobs: Sequence[bytes], limit: int) -> list[memoryview]:
    """The pieces to write, in order; blobs are not copied."""
    if len(blobs) > _BLOB_COUNT_LIMIT:
        raise FrameSizeError(len(blobs), _BLOB_COUNT_LIMIT)
    total = sum(len(blob) for blob in blobs)
    if total > limit:
        raise FrameSizeError(total, limit)
    text = json.dumps({**header, "blobs": [len(blob) for blob in blobs]}, separators=(",", ":")).encode()
    if len(text) > _HEADER_LIMIT:
        raise FrameSizeError(len(text), _HEADER_LIMIT)
    pieces = [_PREFIX.pack(_MAGIC, len(text)) + text, *blobs]
    return [memoryview(piece) for piece in pieces if piece]


def write_pieces(sink: int, pieces: list[memoryview]) -> None:
    """Write what fits of the pieces, in one call, and leave the rest of them. Whoever reads is woken once for a message, not for each."""
    _pass_over(pieces, os.writev(sink, pieces[:_PIECES_AT_ONCE]))


def _pass_over(pieces: list[memoryview], count: int) -> None:
    """So many octets of the pieces are done."""
    while count:
        taken = min(count, len(pieces[0]))
        pieces[0] = pieces[0][taken:]
        count -= taken
        if not pieces[0]:
            pieces.pop(0)


def read_frame(
    stream: BinaryIO, limit: int, when_known: Callable[[dict[str, Any]], None] | None = None
) -> tuple[dict[str, Any], list[bytes]] | None:
    """Read one frame from a blocking stream; None when the stream has ended where a frame could begin.

    `when_known` gets the header before the blobs are read.
    """
    prefix = stream.read(_PREFIX.size)
    if not prefix:
        return None
    header, lengths = _parse_header(_exactly(stream, _parse_prefix(prefix)), limit)
    if when_known is not None:
        when_known(header)
    return header, [_exactly(stream, length) for length in lengths]


class FrameReader:
    """Collects one frame from a descriptor that does not block."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._prefix: bytearray | None = bytearray(_PREFIX.size)
        self._text: bytearray | None = None
        self._blobs: list[bytearray] = []
        self._target: list[memoryview] = [memoryview(self._prefix)]
        self.header: dict[str, Any] = {}

    def read_some(self, source: int) -> bool | None:
        """Read what is there: True when the frame is whole, None when the writer has gone before that."""
        while self._target:
            try:
                count = os.readv(source, self._target[:_PIECES_AT_ONCE])
            except BlockingIOError:
                return False
            if count == 0:
                return None
            self._advance(count)
        return True

    def blobs(self) -> list[bytes]:
        """The blobs of a whole frame. Each is handed out once, so that no second copy lives longer than it must."""
        out = []
        self._blobs.reverse()
        while self._blobs:
            out.append(bytes(self._blobs.pop()))
        return out

    def _advance(self, count: int) -> None:
        _pass_over(self._target, count)
        if self._target:
            return
        if self._prefix is not None:
            self._text = bytearray(_parse_prefix(bytes(self._prefix)))
            self._prefix = None
            self._target = [memoryview(self._text)]
        elif self._text is not None:
            self.header, lengths = _parse_header(bytes(self._text), self._limit)
            self._text = None
            self._blobs = [bytearray(length) for length in lengths]
            self._target = [memoryview(blob) for blob in self._blobs if blob]


def _parse_prefix(prefix: bytes) -> int:
    if len(prefix) != _PREFIX.size:
        raise FrameFormatError("cut off")
    magic, length = _PREFIX.unpack(prefix)
    if magic != _MAGIC or length == 0:
        raise FrameFormatError("not a frame")
    if length > _HEADER_LIMIT:
        raise FrameSizeError(length, _HEADER_LIMIT)
    return int(length)


def _parse_header(text: bytes, limit: int) -> tuple[dict[str, Any], list[int]]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FrameFormatError("the header is not JSON") from error
    lengths = header.pop("blobs", None) if isinstance(header, dict) else None
    if not isinstance(lengths, list) or not all(type(length) is int and length >= 0 for length in lengths):
        raise FrameFormatError("the header names no blobs")
    if len(lengths) > _BLOB_COUNT_LIMIT:
        raise FrameSizeError(len(lengths), _BLOB_COUNT_LIMIT)
    if sum(lengths) > limit:
        raise FrameSizeError(sum(lengths), limit)
    return header, lengths


def _exactly(stream: BinaryIO, length: int) -> bytes:
    data = stream.read(length)
    if len(data) != length:
        raise FrameFormatError("cut off")
    return data
