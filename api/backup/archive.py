"""A backup file: a tar, encrypted with age to recovery keys, whose parts come one after the other and are never all in memory.

Anybody who has the recovery key opens one without us: `age -d -i recovery.key FILE | tar x`. The last part, `manifest.json`, names
every part with its length and SHA-256 (a blob's name is its SHA-256, so blobs are counted only); a file that was cut, altered or
put together from two is refused by age itself. What the parts mean is for others.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import pyrage

from api.errors import ComponentError, UsageError

MANIFEST = "manifest.json"
BLOBS = "blob/"
_BLOCK = tarfile.BLOCKSIZE
# A home of a million documents has some hundred parts besides its blobs.
_LONGEST_MANIFEST = 64 * 1024 * 1024
_PLAIN = re.compile(r"[^\x00/]{1,100}")


@dataclass(frozen=True)
class Part:
    """One part to be written: a name, its length, and exactly that many octets."""

    name: str
    length: int
    octets: Iterable[bytes]


def part_of(name: str, content: bytes) -> Part:
    """A part whose octets are all here."""
    return Part(name, len(content), (content,))


class Sink(Protocol):
    """Where the octets of one part go when it is read."""

    def write(self, octets: bytes, /) -> object:
        """The next octets."""
        ...

    def close(self) -> object:
        """All of them have come."""
        ...


@dataclass
class Seen:
    """What went by: every part that is no blob, how many blobs, how many octets, and one digest over all of it."""

    parts: dict[str, tuple[int, str]] = field(default_factory=dict)
    blobs: int = 0
    octets: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def note(self, name: str, length: int, sha256: str) -> None:
        if name.startswith(BLOBS):
            self.blobs += 1
        else:
            self.parts[name] = (length, sha256)
        self.octets += length
        self.digest.update(f"{name}\n{length}\n{sha256}\n".encode())

    def manifest(self) -> dict[str, Any]:
        return {
            "parts": {name: {"length": length, "sha256": sha256} for name, (length, sha256) in self.parts.items()},
            "blobs": self.blobs,
            "octets": self.octets,
            "digest": self.digest.hexdigest(),
        }


def encrypt_parts(parts: Iterable[Part], recipients: Sequence[pyrage.x25519.Recipient], out: BinaryIO) -> Seen:
    """Write a whole backup file. An error of whoever makes the parts comes through as it is."""
    seen = Seen()
    reader = _Reader(_tar(parts, seen))
    writer = _Writer(out)
    try:
        pyrage.encrypt_io(reader, writer, list(recipients))
    except (pyrage.EncryptError, OSError):
        # The library passes on no more than the words of an error.
        for behind in (reader.error, writer.error):
            if behind is not None:
                raise behind from None
        raise
    return seen


def decrypt_parts(file: BinaryIO, name: str, identities: Sequence[Any], take: Callable[[str, int], Sink]) -> Seen:
    """Read a whole backup file, each part into the sink that `take` gives for its name and length.

    UsageError RECOVERY_KEY_WRONG or BACKUP_UNREADABLE; until this has returned nothing that was read may be believed.
    """
    unpacker = _Unpacker(name, take)
    try:
        pyrage.decrypt_io(file, unpacker, list(identities))
    except (pyrage.DecryptError, OSError) as error:
        if unpacker.error is not None:
            raise unpacker.error from None
        code = "RECOVERY_KEY_WRONG" if "No matching keys" in str(error) else "BACKUP_UNREADABLE"
        raise UsageError(code, path=name) from None
    except BaseException:
        # The library may have gone on after the first error, which is the one that matters.
        if unpacker.error is not None:
            raise unpacker.error from None
        raise
    unpacker.finish()
    return unpacker.seen


def _tar(parts: Iterable[Part], seen: Seen) -> Iterator[bytes]:
    for part in parts:
        yield from _member(part, seen)
    yield from _member(part_of(MANIFEST, json.dumps(seen.manifest(), indent=1).encode()), None)
    yield bytes(2 * _BLOCK)


def _member(part: Part, seen: Seen | None) -> Iterator[bytes]:
    head = tarfile.TarInfo(part.name)
    head.size, head.mode = part.length, 0o600
    yield head.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")
    digest, length = hashlib.sha256(), 0
    for octets in part.octets:
        digest.update(octets)
        length += len(octets)
        yield octets
    if length != part.length:
        raise ComponentError("BACKUP_FILE_CHANGED", path=part.name)
    yield bytes(-length % _BLOCK)
    if seen is not None:
        seen.note(part.name, length, digest.hexdigest())


class _Reader:
    """Octets that are made when they are asked for, as the file that the library wants to read."""

    def __init__(self, octets: Iterator[bytes]) -> None:
        self._octets = octets
        self._rest = memoryview(b"")
        self.error: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        try:
            while not self._rest:
                self._rest = memoryview(next(self._octets))
        except StopIteration:
            return b""
        except BaseException as error:
            self.error = error
            raise
        taken = self._rest if size < 0 else self._rest[:size]
        self._rest = self._rest[len(taken) :]
        return bytes(taken)


class _Writer:
    """A file that remembers why it could not be written."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.error: BaseException | None = None

    def write(self, octets: bytes) -> int:
        try:
            return self._out.write(octets)
        except BaseException as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._out.flush()


class _Unpacker:
    """Takes a tar as it comes and gives each part to its sink."""

    def __init__(self, name: str, take: Callable[[str, int], Sink]) -> None:
        self.seen = Seen()
        self.error: BaseException | None = None
        self._name = name
        self._take = take
        self._head = b""
        self._part: tuple[str, int, Sink] | None = None
        self._digest = hashlib.sha256()
        self._left = 0
        self._padding = 0
        self._manifest = bytearray()
        self._ended = False

    def write(self, octets: bytes) -> int:
        if self.error is not None:
            raise self.error
        try:
            self._feed(memoryview(octets))
        except BaseException as error:
            self.error = error
            raise
        return len(octets)

    def flush(self) -> None:
        """The library says so at the end; sinks are closed one by one."""

    def finish(self) -> None:
        """Nothing more comes: it has to have been all."""
        if not self._ended or self._part is not None:
            raise self._unreadable()
        try:
            said = json.loads(self._manifest)
        except ValueError:
            raise self._unreadable() from None
        if said != self.seen.manifest():
            raise self._unreadable()

    def _feed(self, octets: memoryview) -> None:
        while octets:
            if self._left:
                taken, octets = octets[: self._left], octets[self._left :]
                self._pass_on(bytes(taken))
            elif self._padding:
                taken, octets = octets[: self._padding], octets[self._padding :]
                self._padding -= len(taken)
            else:
                wanted = _BLOCK - len(self._head)
                self._head, octets = self._head + bytes(octets[:wanted]), octets[wanted:]
                if len(self._head) == _BLOCK:
                    head, self._head = self._head, b""
                    self._begin(head)

    def _begin(self, head: bytes) -> None:
        if not any(head):
            self._ended = True
            return
        if self._ended or self._manifest:
            raise self._unreadable()
        try:
            info = tarfile.TarInfo.frombuf(head, "utf-8", "strict")
        except (tarfile.HeaderError, UnicodeDecodeError):
            raise self._unreadable() from None
        if not info.isreg() or info.size < 0 or not is_safe(info.name):
            raise self._unreadable()
        if info.name == MANIFEST and info.size > _LONGEST_MANIFEST:
            raise self._unreadable()
        sink: Sink = _Collected(self._manifest) if info.name == MANIFEST else self._take(info.name, info.size)
        self._part = (info.name, info.size, sink)
        self._digest = hashlib.sha256()
        self._left, self._padding = info.size, -info.size % _BLOCK
        if not self._left:
            self._end()

    def _pass_on(self, octets: bytes) -> None:
        assert self._part is not None
        self._part[2].write(octets)
        self._digest.update(octets)
        self._left -= len(octets)
        if not self._left:
            self._end()

    def _end(self) -> None:
        assert self._part is not None
        name, length, sink = self._part
        self._part = None
        if name.startswith(BLOBS) and name.removeprefix(BLOBS) != self._digest.hexdigest():
            raise self._unreadable()
        sink.close()
        if name != MANIFEST:
            self.seen.note(name, length, self._digest.hexdigest())

    def _unreadable(self) -> UsageError:
        return UsageError("BACKUP_UNREADABLE", path=self._name)


class _Collected:
    """A part that is kept in memory."""

    def __init__(self, into: bytearray) -> None:
        self._into = into

    def write(self, octets: bytes, /) -> None:
        self._into += octets

    def close(self) -> None:
        """Nothing is open."""


def is_safe(name: str) -> bool:
    """Whether a part's name stays below the folder it is put in. age says that nobody has changed a file, not who made it."""
    return all(_PLAIN.fullmatch(step) and step not in {".", ".."} for step in name.split("/"))


def fits(name: str) -> bool:
    """Whether a tar of the plain kind can hold this name."""
    try:
        tarfile.TarInfo(name).tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")
    except (ValueError, UnicodeEncodeError):
        return False
    return is_safe(name)


def sha256_of(path: Path) -> str:
    """The digest of a file, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
