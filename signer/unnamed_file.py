"""A file that is being written and has no name yet, so that a process that is killed leaves nothing; it gets its name when it is whole."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import threading
from collections.abc import Callable
from pathlib import Path

# What open(2) says where the file system or the kernel does not know O_TMPFILE.
_NO_NAMELESS = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL}
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}
# What says that the kernel cannot copy between these two by itself.
_NO_KERNEL_COPY = {errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM}
_FICLONE = 0x40049409  # linux/fs.h
_PORTION = 8 * 1024 * 1024
_SHORTER = "the file has become shorter"


class UnnamedFile:
    """A file in the folder where it is going to have its name. `discard` when nothing becomes of it; a second time nothing happens."""

    def __init__(self, folder: Path) -> None:
        self._partial: Path | None = None
        self._descriptor = _open_nameless(folder)
        if self._descriptor < 0:
            # Short: a name of 255 octets, which Vietnamese letters reach soon, leaves no room for more.
            self._partial = folder / f".{secrets.token_hex(8)}.part"
            self._descriptor = os.open(self._partial, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o666)
        self._ahead: threading.Thread | None = None
        self._stopped = False
        # Whether what went ahead came to its end.
        self.has_come = False

    def __del__(self) -> None:
        self.discard()

    def fileno(self) -> int:
        return self._descriptor

    def open_reader(self) -> int:
        """Another descriptor of the same file, which cannot write."""
        path = self._partial or f"/proc/self/fd/{self._descriptor}"
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def reserve(self, octets: int) -> None:
        """Take the space now, so that a full disk is noticed before anything was done; OSError."""
        os.posix_fallocate(self._descriptor, 0, max(octets, 1))

    def copy_from(self, source: int, octets: int, room: int = 0, came: Callable[[int], None] | None = None) -> None:
        """The first octets of another file, copied by the kernel, or shared with it where the file system can; OSError.

        `room`: space for what comes behind them. `came` is told how far it has got.
        """
        if _shared(source, self._descriptor):
            if os.fstat(self._descriptor).st_size < octets:
                raise OSError(errno.ENODATA, _SHORTER)
            self.reserve(octets + room)
            if came is not None:
                came(octets)
            return
        self.reserve(octets + room)
        for at in range(0, octets, _PORTION):
            if self._stopped:
                raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
            end = min(octets, at + _PORTION)
            _copy(source, self._descriptor, at, end)
            if came is not None:
                came(end)

    def go_ahead(self, work: Callable[[], None]) -> None:
        """Let a thread write and sync what is known already, while the caller goes on. An error there comes again at the end."""

        def run() -> None:
            with contextlib.suppress(OSError):
                work()
                os.fsync(self._descriptor)
                self.has_come = True

        self._ahead = threading.Thread(target=run, name="copy")
        self._ahead.start()

    def wait(self) -> None:
        """Until what went ahead is done."""
        ahead, self._ahead = self._ahead, None
        # It is its own last holder when everybody else has let go of the file.
        if ahead is not None and ahead is not threading.current_thread():
            ahead.join()

    def write_at(self, at: int, octets: bytes) -> None:
        """Write, and end the file behind it; OSError."""
        view = memoryview(octets)
        while view:
            written = os.pwrite(self._descriptor, view, at)
            at += written
            view = view[written:]
        os.truncate(self._descriptor, at)

    def link_as(self, path: Path) -> None:
        """Give the whole, synced file a name that nobody has; FileExistsError when somebody has it."""
        os.fsync(self._descriptor)
        if self._partial is not None:
            self._link_or_rename(path)
            return
        # The descriptor of the folder changes nothing about an absolute path, but makes Python call linkat(2), which
        # alone follows the link below /proc.
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.link(f"/proc/self/fd/{self._descriptor}", path, src_dir_fd=folder, follow_symlinks=True)
        finally:
            os.close(folder)

    def put_in_place(self, path: Path) -> None:
        """Give the whole, synced file this name, whoever has it."""
        if self._partial is None:
            partial = path.with_name(f".{secrets.token_hex(8)}.part")
            self.link_as(partial)
            self._partial = partial
        else:
            os.fsync(self._descriptor)
        self._partial.replace(path)

    def discard(self) -> None:
        """Close it. Without a name it is gone."""
        self._stopped = True
        descriptor = getattr(self, "_descriptor", -1)
        if descriptor < 0:
            return
        self.wait()
        self._descriptor = -1
        with contextlib.suppress(OSError):
            os.close(descriptor)
        if self._partial is not None:
            with contextlib.suppress(OSError):
                self._partial.unlink(missing_ok=True)

    def _link_or_rename(self, path: Path) -> None:
        assert self._partial is not None
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


def _open_nameless(folder: Path) -> int:
    """A descriptor of a file that has no name; -1 where that cannot be had."""
    if not os.path.isdir("/proc/self/fd"):  # noqa: PTH112  a name is given through it
        return -1
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno in _NO_NAMELESS:
            return -1
        raise


def _shared(source: int, target: int) -> bool:
    """Whether the file system lets both share their blocks, until one is written to."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def _copy(source: int, target: int, at: int, end: int) -> None:
    while at < end:
        try:
            count = os.copy_file_range(source, target, end - at, at, at)
        except OSError as error:
            if error.errno not in _NO_KERNEL_COPY:
                raise
            count = os.pwrite(target, os.pread(source, min(end - at, 1024 * 1024), at), at)
        if count == 0:
            raise OSError(errno.ENODATA, _SHORTER)
        at += count
