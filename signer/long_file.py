"""A file too long for memory, as a value: octets on disk behind an open descriptor, and a tail behind them in memory.

It is read by offsets and never mapped: mapped pages count as memory, and one that somebody cuts off kills who looks at it.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import io
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, overload

# What is longer than this stays on disk.
LONG = 1024 * 1024
_PIECE = 4 * 1024 * 1024
_SEARCHED = 1024 * 1024
# Digests of other beginnings go on from here, or from where one was asked for.
_STRIDE = 64 * 1024 * 1024
_MOST_STATES = 256


class Source:
    """The first `size` octets of an open file, and the digests that were begun over them. The descriptor is its own, and goes with it."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor = descriptor
        self.size = size
        # By algorithm: how far a digest has come, and what it was there. Beginnings are what is asked for again and again.
        self._states: dict[str, dict[int, Any]] = {}
        # How far the thread has been asked to go, and has come.
        self._asked = self._reached = 0
        self._lock = threading.Lock()
        self._ahead: ThreadPoolExecutor | None = None

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        """Read no more; a second time nothing happens. Whoever knows when it ends need not wait until all forget it."""
        if self._ahead is not None:
            self._ahead.shutdown(wait=False, cancel_futures=True)
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def fileno(self) -> int:
        return self._descriptor

    def read(self, start: int, end: int) -> bytes:
        """Octets by their offsets, all of them; OSError when the file has become shorter than it was."""
        read = os.pread(self._descriptor, end - start, start)
        while len(read) < end - start:
            more = os.pread(self._descriptor, end - start - len(read), start + len(read))
            if not more:
                raise OSError(errno.ENODATA, "the file has become shorter")
            read += more
        return read

    def hash_ahead(self, end: int) -> None:
        """Let a thread hash so far, while the caller goes on: SHA-256 of every file is going to be asked for."""
        if self._asked == self.size:
            return
        self._asked = end
        if self._ahead is None:
            self._ahead = ThreadPoolExecutor(1, "hash")
        self._ahead.submit(self._advance, end)
        if end == self.size:
            self._ahead.shutdown(wait=False)

    def _advance(self, end: int) -> None:
        with self._lock:
            if self._reached < end:
                # Where it stands is kept, and what it has passed is not.
                self._states["sha256"] = {
                    at: hasher for at, hasher in self._states.get("sha256", {}).items() if at % _STRIDE == 0
                }
                self._states["sha256"][end] = self._continued("sha256", end)
                self._reached = end

    def hasher_at(self, algorithm: str, end: int) -> Any:
        """A hasher that has seen the octets before `end`. What was hashed once is not hashed again for a longer beginning."""
        with self._lock:
            hasher = self._continued(algorithm, end)
            states = self._states[algorithm]
            if len(states) < _MOST_STATES:
                states[end] = hasher.copy()
            if algorithm == "sha256":
                self._reached = max(self._reached, end)
            return hasher

    def changed_at(self) -> tuple[int, int]:
        """Size of the whole file and the time of its last change, as the file system says."""
        status = os.fstat(self._descriptor)
        return status.st_size, status.st_mtime_ns

    def _continued(self, algorithm: str, end: int) -> Any:
        states = self._states.setdefault(algorithm, {})
        at = max((at for at in states if at <= end), default=0)
        hasher = states[at].copy() if at else hashlib.new(algorithm, usedforsecurity=False)
        buffer = memoryview(bytearray(min(_PIECE, max(1, end - at))))
        while at < end:
            stop = min(end, at + _PIECE, (at // _STRIDE + 1) * _STRIDE)
            count = os.preadv(self._descriptor, [buffer[: stop - at]], at)
            if count == 0:
                raise OSError(errno.ENODATA, "the file has become shorter")
            hasher.update(buffer[:count])
            at += count
            if at % _STRIDE == 0 and len(states) < _MOST_STATES:
                states[at] = hasher.copy()
        return hasher


class LongFile:
    """The octets of a source up to `size`, and a tail. Behaves like `bytes` as far as reading goes; what it hands out is in memory."""

    __slots__ = ("size", "source", "tail")

    def __init__(self, source: Source, tail: bytes = b"", size: int | None = None) -> None:
        self.source = source
        self.tail = tail
        self.size = source.size if size is None else size

    def __len__(self) -> int:
        return self.size + len(self.tail)

    def __add__(self, tail: bytes) -> LongFile:
        return LongFile(self.source, self.tail + tail, self.size)

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> bytes: ...
    def __getitem__(self, place: int | slice) -> int | bytes:
        if isinstance(place, slice):
            start, end, step = place.indices(len(self))
            if step != 1:
                raise ValueError("octets are read as they stand")
            return self._between(start, end)
        at = place + len(self) if place < 0 else place
        if not 0 <= at < len(self):
            raise IndexError("no such octet")
        return self._between(at, at + 1)[0]

    def __contains__(self, word: bytes) -> bool:
        return self.find(word) >= 0

    def find(self, word: bytes, start: int = 0, end: int | None = None) -> int:
        """As `bytes.find`, a piece at a time."""
        start, end, _ = slice(start, end).indices(len(self))
        while start + len(word) <= end:
            stop = min(end, start + _SEARCHED)
            at = _find(self._between(start, stop), word)
            if at >= 0:
                return start + at
            if stop == end:
                break
            start = stop - len(word) + 1
        return -1

    def rfind(self, word: bytes, start: int = 0, end: int | None = None) -> int:
        """As `bytes.rfind`, a piece at a time."""
        start, end, _ = slice(start, end).indices(len(self))
        while start + len(word) <= end:
            begin = max(start, end - _SEARCHED)
            at = self._between(begin, end).rfind(word)
            if at >= 0:
                return begin + at
            if begin == start:
                break
            end = begin + len(word) - 1
        return -1

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """Octets by their offsets, in portions."""
        while start < end:
            stop = min(end, start + _PIECE)
            yield self._between(start, stop)
            start = stop

    def hasher_at(self, algorithm: str, end: int) -> Any:
        """A hasher that has seen the octets before `end`."""
        hasher = self.source.hasher_at(algorithm, min(end, self.size))
        if end > self.size:
            hasher.update(memoryview(self.tail)[: end - self.size])
        return hasher

    def beginning(self, end: int) -> LongFile:
        """The first octets as a file."""
        if end >= self.size:
            return LongFile(self.source, self.tail[: end - self.size], self.size)
        return LongFile(self.source, size=end)

    def _between(self, start: int, end: int) -> bytes:
        if end <= start:
            return b""
        if end <= self.size:
            return self.source.read(start, end)
        behind = self.tail[max(0, start - self.size) : end - self.size]
        return behind if start >= self.size else self.source.read(start, self.size) + behind


@cache
def _memmem() -> Callable[..., int | None] | None:
    try:
        function = ctypes.CDLL(None).memmem
    except (OSError, AttributeError):
        return None
    function.restype = ctypes.c_void_p
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
    found: Callable[..., int | None] = function
    return found


def _find(piece: bytes, word: bytes) -> int:
    """As `bytes.find`, which takes six times as long as the C library in a long piece, and lets no other thread work meanwhile."""
    search = _memmem()
    if search is None or not piece:
        return piece.find(word)
    begin = ctypes.cast(ctypes.c_char_p(piece), ctypes.c_void_p).value
    found = search(begin, len(piece), word, len(word))
    return -1 if found is None or begin is None else found - begin


class LongStream(io.RawIOBase):
    """A long file to be read as a stream; wrap it in `io.BufferedReader`."""

    def __init__(self, file: LongFile) -> None:
        self.file = file
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self.file)}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        octets = self.file[self._at : self._at + len(buffer)]
        buffer[: len(octets)] = octets
        self._at += len(octets)
        return len(octets)
