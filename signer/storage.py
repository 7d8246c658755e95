"""Bytes on disk: the content-addressed blobs of a home, and output files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BufferedWriter
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from signer.errors import Unavailable, UsageWrong

# What open(2) says where the file system or the kernel does not know O_TMPFILE.
_NO_NAMELESS = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL}
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}
# The path itself is wrong, not the disk: whoever typed it types another.
_WRONG_PATH = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP}
# How many files wait for the disk at a time.
_STORED_AT_ONCE = 8
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


def write_once(target: Path, content: bytes, mode: int = 0o666) -> None:
    """Make a file that is whole, synced and never changed; nothing happens when it is there already. Raises Unavailable."""
    if target.exists():
        return
    partial = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        if not target.parent.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            _sync_folder(target.parent.parent)
        with open(partial, "xb", opener=lambda path, flags: os.open(path, flags, mode)) as file:
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
        path = self.path_of(sha256)
        if not path.parent.is_dir():
            self._make_folders()
        write_once(path, content)
        return sha256

    def put_all(self, contents: Sequence[bytes]) -> list[str | Unavailable]:
        """`put` for each, several at a time: what waits for the disk together is synced together. An error stops no other."""
        if not contents:
            return []

        def put(content: bytes) -> str | Unavailable:
            try:
                return self.put(content)
            except Unavailable as error:
                return error

        # The first alone: it may have folders to make.
        first = put(contents[0])
        with ThreadPoolExecutor(_STORED_AT_ONCE, "store") as pool:
            return [first, *pool.map(put, contents[1:])]

    def _make_folders(self) -> None:
        """All 256 at once: one sync instead of one at each of the first few hundred documents."""
        try:
            for number in range(256):
                (self._folder / f"{number:02x}").mkdir(parents=True, exist_ok=True)
            _sync_folder(self._folder)
        except OSError as error:
            raise _unavailable(error, self._folder) from error

    def remove(self, sha256: str) -> None:
        """Take a blob away that nothing speaks of any more; nothing happens when it is not there. Raises Unavailable."""
        path = self.path_of(sha256)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _unavailable(error, path) from error

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


def _open_nameless(folder: Path) -> BufferedWriter | None:
    """A file that has no name yet, so that even a process that is killed leaves nothing; None where that cannot be had."""
    if not os.path.isdir("/proc/self/fd"):  # noqa: PTH112  a name is given through it
        return None
    try:
        return open(os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o666), "wb")  # noqa: PTH123
    except OSError as error:
        if error.errno in _NO_NAMELESS:
            return None
        raise


class OutputFile:
    """A file that is reserved before the key is used and appears under its name only when it is whole.

    Space is allocated at once, so that a full disk is noticed before a signature exists.
    """

    def __init__(self, target: Path, *, expected_size: int, replace: bool) -> None:
        self._target = target
        self._replace = replace
        # Short: a name of 255 octets, which Vietnamese letters reach soon, leaves no room for more.
        self._partial = target.with_name(f".{secrets.token_hex(8)}.part")
        try:
            if target.is_dir():
                # Said now: at the end, when it is to be named, a key would have been used for nothing.
                raise UsageWrong("OUTPUT_IS_FOLDER", path=str(target))
            if not replace and target.exists():
                raise UsageWrong("OUTPUT_EXISTS", path=str(target))
            self._file = _open_nameless(target.parent) or self._partial.open("xb")
        except OSError as error:
            if error.errno in _WRONG_PATH:
                raise UsageWrong("OUTPUT_NOWHERE", path=str(target), reason=error.strerror or "") from error
            raise _unavailable(error, target) from error
        try:
            os.posix_fallocate(self._file.fileno(), 0, max(expected_size, 1))
        except OSError as error:
            self.discard()
            raise _unavailable(error, target) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def discard(self) -> None:
        """Nothing becomes of it, unless it has its name; a second time nothing happens."""
        # Closing writes what is buffered: after a failed write it fails again, and that has been said.
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            self._partial.unlink(missing_ok=True)

    def _name(self, path: Path) -> None:
        """Give the whole file a name that nobody has."""
        if isinstance(self._file.name, str):
            if path != self._partial:
                self._link_or_rename(path)
            return
        # The descriptor of the folder changes nothing about an absolute path, but makes Python call linkat(2), which
        # alone follows the link below /proc.
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.link(f"/proc/self/fd/{self._file.fileno()}", path, src_dir_fd=folder, follow_symlinks=True)
        finally:
            os.close(folder)

    def _link_or_rename(self, path: Path) -> None:
        try:
            os.link(self._partial, path)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            # A file system without hard links (vfat): the look before the rename is all that protects another's file.
            if path.exists():
                raise FileExistsError(errno.EEXIST, "exists", str(path)) from error
            self._partial.rename(path)
        else:
            self._partial.unlink()

    def publish(self, content: bytes) -> None:
        """Write, sync and give the file its name, all or nothing."""
        self.publish_parts((content,))

    def publish_parts(self, parts: Iterable[bytes]) -> None:
        """`publish` for what is too long for memory, or is still being made; an error of its maker leaves nothing either."""

        def write(file: BinaryIO) -> None:
            for part in parts:
                file.write(part)

        self.publish_by(write)

    def publish_by(self, write: Callable[[BinaryIO], None]) -> None:
        """The same for what wants a file to write into."""
        try:
            write(self._file)
            self._file.truncate(self._file.tell())
            self._file.flush()
            os.fsync(self._file.fileno())
            if self._replace:
                self._name(self._partial)
                self._partial.replace(self._target)
            else:
                # link() refuses a name that somebody else has taken in the meantime; rename() would not.
                self._name(self._target)
            _sync_folder(self._target.parent)
        except FileExistsError as error:
            raise UsageWrong("OUTPUT_EXISTS", path=str(self._target)) from error
        except OSError as error:
            raise _unavailable(error, self._target) from error


def publish_all(files: Sequence[tuple[OutputFile, bytes]]) -> list[Exception | None]:
    """`publish` for each, several at a time, and close them: what went wrong with one stops no other."""

    def publish(given: tuple[OutputFile, bytes]) -> Exception | None:
        output, content = given
        try:
            with output:
                output.publish(content)
        except (UsageWrong, Unavailable) as error:
            return error
        return None

    with ThreadPoolExecutor(_STORED_AT_ONCE, "publish") as pool:
        return list(pool.map(publish, files))
