"""Bytes on disk: the content-addressed blobs of a home, and output files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import Self

from signer.errors import Refused, Unavailable

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def _unavailable(error: OSError, path: Path) -> Unavailable:
    code = "DISK_FULL" if error.errno in _FULL else "WRITE_FAILED"
    return Unavailable(code, path=str(path), reason=error.strerror or "unknown")


def _sync_folder(folder: Path) -> None:
    """Make a rename durable: the folder's entry is what could be lost."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_once(target: Path, content: bytes) -> None:
    """Make a file that is whole, synced and never changed; nothing happens when it is there already. Raises Unavailable."""
    if target.exists():
        return
    partial = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        if not target.parent.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            _sync_folder(target.parent.parent)
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise _unavailable(error, target) from error


class BlobStore:
    """Every signed revision under its SHA-256: `ab/abcd…`. A blob is never changed and never half there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path_of(self, sha256: str) -> Path:
        """Where a blob of this digest (lower-case hex) stands or would stand."""
        return self._folder / sha256[:2] / sha256

    def put(self, content: bytes) -> str:
        """Store bytes, synced to disk, and return their SHA-256 in hex. Raises Unavailable; then nothing stays."""
        sha256 = hashlib.sha256(content).hexdigest()
        write_once(self.path_of(sha256), content)
        return sha256

    def get(self, sha256: str) -> bytes:
        """The bytes of a blob; Unavailable when missing or when they no longer have that digest."""
        path = self.path_of(sha256)
        try:
            content = path.read_bytes()
        except OSError as error:
            raise Unavailable("BLOB_MISSING", sha256=sha256) from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise Unavailable("BLOB_ALTERED", sha256=sha256)
        return content


class OutputFile:
    """A file that is reserved before the key is used and appears under its name only when it is whole.

    Space is allocated at once, so that a full disk is noticed before a signature exists.
    """

    def __init__(self, target: Path, *, expected_size: int, replace: bool) -> None:
        self._target = target
        self._replace = replace
        self._partial = target.with_name(f".{target.name[:80]}.{secrets.token_hex(6)}.part")
        if not replace and target.exists():
            raise Refused("OUTPUT_EXISTS", path=str(target))
        try:
            self._file = self._partial.open("xb")
        except OSError as error:
            raise _unavailable(error, target) from error
        try:
            os.posix_fallocate(self._file.fileno(), 0, max(expected_size, 1))
        except OSError as error:
            self._discard()
            raise _unavailable(error, target) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._discard()

    def _discard(self) -> None:
        self._file.close()
        with contextlib.suppress(OSError):
            self._partial.unlink(missing_ok=True)

    def publish(self, content: bytes) -> None:
        """Write, sync and give the file its name, all or nothing."""
        try:
            self._file.write(content)
            self._file.truncate(len(content))
            self._file.flush()
            os.fsync(self._file.fileno())
            if self._replace:
                self._partial.replace(self._target)
            else:
                # link() refuses a name that somebody else has taken in the meantime; rename() would not.
                os.link(self._partial, self._target)
                self._partial.unlink()
            _sync_folder(self._target.parent)
        except FileExistsError as error:
            raise Refused("OUTPUT_EXISTS", path=str(self._target)) from error
        except OSError as error:
            raise _unavailable(error, self._target) from error
