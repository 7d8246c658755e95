"""The content that a signature or time-stamp of its own file belongs to, as the judge process gets it: digests, and none of its octets
but the first. Quick to import: the parent makes it, and parses nothing for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from signer.octets import Octets, hasher_over, sha256_of

# Enough to see how a DER structure begins and how long it says it is.
_HEAD_OCTETS = 16
# What a signature may ask for besides SHA-256, by the names of asn1crypto.
_OTHERS = frozenset({"md5", "sha1", "sha224", "sha384", "sha512", "sha3_224", "sha3_256", "sha3_384", "sha3_512"})
_SHAKES = ("shake256", "shake256_len")


@dataclass(frozen=True)
class Content:
    """What is known of one content: its size, its first octets, digests by algorithm."""

    size: int
    head: bytes
    digests: tuple[tuple[str, bytes], ...]

    def digest(self, algorithm: str) -> bytes | None:
        """The digest by an algorithm, None where it was not made."""
        return dict(self.digests).get(algorithm)

    def to_message(self) -> dict[str, Any]:
        digests = {name: value.hex() for name, value in self.digests}
        return {"size": self.size, "head": self.head.hex(), "digests": digests}

    @classmethod
    def from_message(cls, message: dict[str, Any]) -> Content:
        digests = {str(name): bytes.fromhex(value) for name, value in message["digests"].items()}
        return cls(int(message["size"]), bytes.fromhex(message["head"]), tuple(digests.items()))


def content_of(octets: Octets) -> Content:
    """A content with its SHA-256, which is what nearly every signature asks for."""
    return Content(len(octets), octets[:_HEAD_OCTETS], (("sha256", bytes.fromhex(sha256_of(octets))),))


def with_digests(content: Content, octets: Octets, wanted: Iterable[str]) -> Content:
    """The same with further digests, as far as they are known here; the same object when there is nothing to add."""
    have = {name for name, _ in content.digests}
    added = {name: _digest(octets, name) for name in sorted(set(wanted) - have) if name in _OTHERS or name in _SHAKES}
    return replace(content, digests=(*content.digests, *added.items())) if added else content


def _digest(octets: Octets, algorithm: str) -> bytes:
    if algorithm in _SHAKES:
        shake = hashlib.shake_256()  # RFC 8702 3.1, RFC 8419 2.3: 512 bits
        for piece in octets.pieces(0, len(octets)) if not isinstance(octets, bytes) else (octets,):
            shake.update(piece)
        return shake.digest(64)
    return bytes(hasher_over(octets, algorithm).digest())
