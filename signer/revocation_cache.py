"""Answers about strangers' certificates that were asked for once, kept as they came; read anew, signature and all, each time.

Derived data under the home's cache folder: it may be deleted, and whoever can write there can only make an answer useless.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from signer.appearance import derived

_PREFIX = "revocation-"
_MOST = 1000
_MOST_OCTETS = 256 * 1024 * 1024


def cache_name(url: str, certificate_sha256: str) -> str:
    """The name of an answer: a list is about many certificates, an OCSP answer about one (`certificate_sha256`, else empty)."""
    return hashlib.sha256(f"{url}\n{certificate_sha256}".encode()).hexdigest()


class RevocationCache(Protocol):
    """Keeps octets by name. What it cannot keep it loses silently."""

    def get(self, name: str) -> bytes | None: ...

    def put(self, name: str, octets: bytes) -> None: ...


@dataclass
class FolderCache:
    """In a folder, for every process of a home. Bounded in number and size: the oldest go first."""

    folder: Path
    most: int = _MOST
    most_octets: int = _MOST_OCTETS

    def get(self, name: str) -> bytes | None:
        try:
            return self._path(name).read_bytes()
        except OSError:
            return None

    def put(self, name: str, octets: bytes) -> None:
        if len(octets) > self.most_octets:
            return
        derived.keep(self._path(name), octets)
        with contextlib.suppress(OSError):
            self._make_room()

    def _path(self, name: str) -> Path:
        return self.folder / f"{_PREFIX}{name}.bin"

    def _make_room(self) -> None:
        kept = sorted(
            ((status.st_mtime, status.st_size, path) for path in self.folder.glob(f"{_PREFIX}*") for status in [path.stat()]),
            reverse=True,
        )  # fmt: skip
        total = 0
        for at, (_, size, path) in enumerate(kept):
            total += size
            if at >= self.most or total > self.most_octets:
                path.unlink(missing_ok=True)


@dataclass
class MemoryCache:
    """In memory, where there is no home."""

    most: int = 100
    _kept: dict[str, bytes] = field(default_factory=dict)

    def get(self, name: str) -> bytes | None:
        return self._kept.get(name)

    def put(self, name: str, octets: bytes) -> None:
        if len(self._kept) >= self.most:
            self._kept.clear()
        self._kept[name] = octets
