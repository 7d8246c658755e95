"""What can be asked of a file's octets wherever they are, in memory or on disk: digests, a stream."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, cast

from signer.long_file import LongFile, LongStream

Octets = bytes | LongFile
# `hashlib.new` takes several times as long to find one.
_QUICK = {"sha256": hashlib.sha256, "sha384": hashlib.sha384, "sha512": hashlib.sha512}


def whole(octets: Octets) -> bytes:
    """All of them in memory."""
    return octets if isinstance(octets, bytes) else octets[:]


def sha256_of(octets: Octets, end: int | None = None) -> str:
    """SHA-256 in hex of all octets, or of those before `end`."""
    end = len(octets) if end is None else end
    if isinstance(octets, bytes):
        return hashlib.sha256(memoryview(octets)[:end]).hexdigest()
    return str(octets.hasher_at("sha256", end).hexdigest())


def hasher_over(octets: Octets, algorithm: str) -> Any:
    """A hasher that has seen all octets."""
    if not isinstance(octets, bytes):
        return octets.hasher_at(algorithm, len(octets))
    hasher = _hasher(algorithm)
    hasher.update(octets)
    return hasher


def _hasher(algorithm: str) -> Any:
    quick = _QUICK.get(algorithm)
    return quick() if quick is not None else hashlib.new(algorithm, usedforsecurity=False)


def digest_of_ranges(octets: Octets, ranges: Sequence[int], algorithm: str) -> bytes:
    """Digest over ranges, offset and length by turns, one behind the other; the octets before the first one are not hashed."""
    places = list(zip(ranges[::2], ranges[1::2], strict=True))
    if isinstance(octets, bytes) or places[0][0] != 0:
        hasher = _hasher(algorithm)
    else:
        _, length = places.pop(0)
        hasher = octets.hasher_at(algorithm, min(length, len(octets)))
    for start, length in places:
        for piece in pieces_of(octets, start, start + length):
            hasher.update(piece)
    return bytes(hasher.digest())


def digest_around(octets: Octets, hole: tuple[int, int], algorithm: str) -> bytes:
    """Digest over all but a hole (ISO 32000-2 12.8.1)."""
    return digest_of_ranges(octets, (0, hole[0], hole[1], len(octets) - hole[1]), algorithm)


def pieces_of(octets: Octets, start: int = 0, end: int | None = None) -> Iterator[bytes | memoryview]:
    """The octets between two offsets, in portions that need no memory."""
    end = len(octets) if end is None else min(end, len(octets))
    if isinstance(octets, bytes):
        yield memoryview(octets)[start:end]
    else:
        yield from octets.pieces(start, end)


def beginning_of(octets: Octets, end: int) -> Octets:
    """The first octets."""
    return octets[:end] if isinstance(octets, bytes) else octets.beginning(end)


def stream_of(octets: Octets) -> BinaryIO:
    """A stream to read them from."""
    if isinstance(octets, bytes):
        return io.BytesIO(octets)
    return cast("BinaryIO", io.BufferedReader(LongStream(octets), 64 * 1024))
