"""Bytes on disk: the content-addressed blobs of a home, and output files that are there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from weakref import WeakKeyDictionary

from signer.errors import InputUnreadable, Unavailable, UsageWrong
from signer.long_file import LONG, LongFile, Source
from signer.octets import Octets, sha256_of
from signer.unnamed_file import UnnamedFile

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
        # Copies that were taken in and are nobody's yet, by what reads from them.
        self._taken: WeakKeyDictionary[Source, UnnamedFile] = WeakKeyDictionary()

    def path_of(self, sha256: str) -> Path:
        """Where a blob of this digest (lower-case hex) stands or would stand."""
        return self._folder / sha256[:2] / sha256

    def put(self, content: Octets) -> str:
        """Store octets, synced to disk, and return their SHA-256 in hex. Raises Unavailable; then nothing stays."""
        sha256 = sha256_of(content)
        path = self.path_of(sha256)
        if not path.parent.is_dir():
            self._make_folders()
        if isinstance(content, bytes):
            write_once(path, content)
        else:
            self._put_long(path, content)
        return sha256

    def take_in(self, descriptor: int, size: int, *, room: int) -> LongFile:
        """A copy of a long file for us alone, which nobody can change while it is signed, and which becomes a blob without being copied
        again. Until then it has no name. `room`: space for what will be appended. Raises Unavailable, or InputUnreadable when the file is
        being written to meanwhile.
        """
        before = os.fstat(descriptor)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            unnamed = UnnamedFile(self._folder)
            source = Source(unnamed.open_reader(), size)
            unnamed.copy_from(descriptor, size, room, source.hash_ahead)
        except OSError as error:
            if error.errno == errno.ENODATA:
                raise InputUnreadable("INPUT_CHANGES") from error
            raise _unavailable(error, self._folder) from error
        after = os.fstat(descriptor)
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            # Half of what was there and half of what came: nobody has seen that file.
            raise InputUnreadable("INPUT_CHANGES")
        unnamed.go_ahead(lambda: None)
        self._taken[source] = unnamed
        return LongFile(source)

    def _put_long(self, path: Path, content: LongFile) -> None:
        if path.exists():
            return
        source = content.source
        unnamed = self._taken.pop(source, None) if content.size == source.size else None
        try:
            if unnamed is None:
                unnamed = UnnamedFile(self._folder)
                unnamed.copy_from(source.fileno(), content.size, len(content.tail))
            unnamed.wait()
            unnamed.write_at(content.size, content.tail)
            with contextlib.suppress(FileExistsError):  # the same octets, from somebody else
                unnamed.link_as(path)
            _sync_folder(path.parent)
        except OSError as error:
            raise _unavailable(error, path) from error
        finally:
            if unnamed is not None:
                unnamed.discard()

    def put_all(self, contents: Sequence[Octets]) -> list[str | Unavailable]:
        """`put` for each, several at a time: what waits for the disk together is synced together. An error stops no other."""
        if not contents:
            return []

        def put(content: Octets) -> str | Unavailable:
            try:
                return self.put(content)
            except Unavailable as error:
                return error

        # The first alone: it may have folders to make.
        first = put(contents[0])
        return [first, *(self._storing.map(put, contents[1:]) if len(contents) > 1 else ())]

    @cached_property
    def _storing(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_STORED_AT_ONCE, "store")

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

    def open(self, sha256: str) -> Octets:
        """A blob wherever it is: a long one stays on disk. Unavailable as for `get`."""
        try:
            descriptor = os.open(self.path_of(sha256), os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise Unavailable("BLOB_MISSING", sha256=sha256) from error
        source = Source(descriptor, os.fstat(descriptor).st_size)
        if source.size <= LONG:
            return self.get(sha256)
        content = LongFile(source)
        try:
            if sha256_of(content) == sha256:
                return content
        except OSError as error:
            raise Unavailable("BLOB_MISSING", sha256=sha256) from error
        raise Unavailable("BLOB_ALTERED", sha256=sha256)


class OutputFile:
    """A file that is reserved before the key is used and appears under its name only when it is whole.

    Space is allocated at once, so that a full disk is noticed before a signature exists.
    """

    def __init__(self, target: Path, *, expected_size: int, replace: bool) -> None:
        self._target = target
        self._replace = replace
        self._begun: Source | None = None
        try:
            if target.is_dir():
                # Said now: at the end, when it is to be named, a key would have been used for nothing.
                raise UsageWrong("OUTPUT_IS_FOLDER", path=str(target))
            if not replace and target.exists():
                raise UsageWrong("OUTPUT_EXISTS", path=str(target))
            self._unnamed = UnnamedFile(target.parent)
        except OSError as error:
            if error.errno in _WRONG_PATH:
                raise UsageWrong("OUTPUT_NOWHERE", path=str(target), reason=error.strerror or "") from error
            raise _unavailable(error, target) from error
        try:
            self._unnamed.reserve(expected_size)
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
        self._unnamed.discard()

    def begin(self, content: Octets) -> None:
        """What is published is going to begin with these octets: a long file is copied while the caller goes on."""
        if isinstance(content, LongFile):
            source = self._begun = content.source
            self._unnamed.go_ahead(lambda: self._unnamed.copy_from(source.fileno(), source.size))

    def publish(self, content: Octets) -> None:
        """Write, sync and give the file its name, all or nothing."""
        if isinstance(content, bytes):
            self.publish_parts((content,))
            return
        with self._publishing():
            self._unnamed.wait()
            if not self._unnamed.has_come or content.source is not self._begun or content.size != content.source.size:
                self._unnamed.copy_from(content.source.fileno(), content.size)
            self._unnamed.write_at(content.size, content.tail)

    def publish_parts(self, parts: Iterable[bytes]) -> None:
        """`publish` for what is too long for memory, or is still being made; an error of its maker leaves nothing either."""

        def write(file: BinaryIO) -> None:
            for part in parts:
                file.write(part)

        self.publish_by(write)

    def publish_by(self, write: Callable[[BinaryIO], None]) -> None:
        """The same for what wants a file to write into."""
        with self._publishing(), open(self._unnamed.fileno(), "wb", closefd=False) as file:
            # What was begun with another file would write over it.
            self._unnamed.wait()
            write(file)
            file.truncate(file.tell())

    @contextlib.contextmanager
    def _publishing(self) -> Iterator[None]:
        try:
            yield
            if self._replace:
                self._unnamed.put_in_place(self._target)
            else:
                # link() refuses a name that somebody else has taken in the meantime; rename() would not.
                self._unnamed.link_as(self._target)
            _sync_folder(self._target.parent)
        except FileExistsError as error:
            raise UsageWrong("OUTPUT_EXISTS", path=str(self._target)) from error
        except OSError as error:
            raise _unavailable(error, self._target) from error


def publish_all(files: Sequence[tuple[OutputFile, Octets]]) -> list[Exception | None]:
    """`publish` for each, several at a time, and close them: what went wrong with one stops no other."""

    def publish(given: tuple[OutputFile, Octets]) -> Exception | None:
        output, content = given
        try:
            with output:
                output.publish(content)
        except (UsageWrong, Unavailable) as error:
            return error
        return None

    with ThreadPoolExecutor(_STORED_AT_ONCE, "publish") as pool:
        return list(pool.map(publish, files))
