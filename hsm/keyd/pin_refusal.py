"""A refused PIN, remembered beside the sockets: no key process, now or later, tries the same PIN file again.

Token processes of one keeper log in one at a time, and the next looks here first: two never ask with one wrong PIN.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hsm.errors import HSMError, PinLocked, PinWrong
from hsm.pin import PinDescriptor, PinSource

Identity = tuple[int, int, int]
_REFUSAL_OCTETS = 4096
PIN_ERRORS: dict[str, type[HSMError]] = {kind.code: kind for kind in (PinWrong, PinLocked)}


@dataclass(frozen=True)
class Refusal:
    """What the token answered (an error's code and the CK_RV), and to which PIN file."""

    identity: Identity
    code: str
    rv: str | None


def identify(source: PinSource) -> Identity | None:
    """Time of change, inode and size of the PIN file; None when it cannot be looked at."""
    try:
        told = os.fstat(source.number) if isinstance(source, PinDescriptor) else source.stat()
    except OSError:
        return None
    return told.st_mtime_ns, told.st_ino, told.st_size


def remember(file: Path, refusal: Refusal) -> None:
    """Write the refusal down, whole or not at all."""
    fresh = file.with_name(file.name + ".new")
    text = _written(refusal)
    with contextlib.suppress(OSError):
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(file)


def recall(file: Path) -> Refusal | None:
    """What was written down; None when nothing was, or nothing that makes sense."""
    try:
        return _parsed(file.read_bytes())
    except OSError:
        return None


def _written(refusal: Refusal) -> str:
    return json.dumps({"identity": refusal.identity, "code": refusal.code, "rv": refusal.rv})


def _parsed(text: bytes) -> Refusal | None:
    try:
        body = json.loads(text)
        changed, inode, size = body["identity"]
        rv = body["rv"]
        return Refusal((int(changed), int(inode), int(size)), str(body["code"]), None if rv is None else str(rv))
    except (ValueError, KeyError, TypeError):
        return None


def forget(file: Path) -> None:
    """The PIN was accepted."""
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)


class SharedTurns:
    """The turns of token processes that share a keeper: what hsm.login.LoginTurns promises, across processes.

    `lock` is a file in memory, of the keeper's, that each has inherited. Record locks belong to a process (fcntl(2)), so
    that a descriptor in common is no lock in common, and go when it dies. The last refusal stands in it too: a full disk
    shall cost no second wrong PIN.
    """

    def __init__(self, lock: int, file: Path, source: PinSource) -> None:
        self._lock = lock
        self._file = file
        self._source = source
        self._here = threading.Lock()
        self.asked: Identity | None = None  # the PIN source that was read last

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """The others wait until this login has succeeded or its refusal is written down."""
        with self._here:
            fcntl.lockf(self._lock, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.lockf(self._lock, fcntl.LOCK_UN)

    def check(self) -> None:
        """Raise what the token answered, if it has refused this PIN."""
        self.asked = identify(self._source)
        for refusal in (_parsed(os.pread(self._lock, _REFUSAL_OCTETS, 0)), recall(self._file)):
            kind = PIN_ERRORS.get(refusal.code) if refusal is not None else None
            if refusal is not None and kind is not None and refusal.identity == self.asked:
                raise kind("the PIN was refused before", rv=refusal.rv)

    def note_refused(self, error: HSMError) -> None:
        """The token has just refused it."""
        if self.asked is not None:
            refusal = Refusal(self.asked, error.code, error.rv)
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, _written(refusal).encode(), 0)
            remember(self._file, refusal)
