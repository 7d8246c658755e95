"""One listening socket for several processes, where a new connection goes to whichever has fewest.

Whoever is woken first would take all that wait: asyncio accepts until nobody is left, and clients that keep their connections,
a proxy or another service, stay with one process while the others have nothing to do.
"""

from __future__ import annotations

import mmap
import os
import socket
import struct
import time
from typing import Any

_COUNT = struct.Struct("=I")
_NOBODY = 0xFFFF_FFFF
# A process with fewer connections that does not accept in this time is busy: then it is anybody's.
_PATIENCE_SECONDS = 0.003
# Between two looks at the same connection that waits.
_PAUSE_SECONDS = 0.002


class Shares:
    """How many connections each process has, in memory that all of them see. `number`: this process's place."""

    def __init__(self, descriptor: int, number: int = 0) -> None:
        self._memory = mmap.mmap(descriptor, 0)
        self._number = number

    @staticmethod
    def create(places: int) -> int:
        """A descriptor for so many processes, none of which is there yet."""
        descriptor = os.memfd_create("antin-connections", os.MFD_CLOEXEC)
        os.write(descriptor, _COUNT.pack(_NOBODY) * places)
        return descriptor

    def tell(self, count: int, number: int | None = None) -> None:
        """Say how many this process has, or another of that number."""
        place = self._number if number is None else number
        _COUNT.pack_into(self._memory, place * _COUNT.size, min(count, _NOBODY - 1))

    def forget(self, number: int) -> None:
        """That process accepts nothing at present."""
        _COUNT.pack_into(self._memory, number * _COUNT.size, _NOBODY)

    @property
    def own(self) -> int:
        """Of this process."""
        return int(_COUNT.unpack_from(self._memory, self._number * _COUNT.size)[0])

    @property
    def fewest(self) -> int:
        """Of all processes that accept."""
        return min(int(count) for (count,) in _COUNT.iter_unpack(self._memory[:]))


class FairSocket(socket.socket):
    """The shared listening socket as one process sees it: at most one connection each time it is asked, and only its share."""

    shares: Shares
    _has_taken = False
    _waiting_since = 0.0
    _looked_at = 0.0

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection; BlockingIOError when there is none, or when it is another's."""
        if self._has_taken:
            self._has_taken = False
            raise BlockingIOError
        now = time.monotonic()
        if self.shares.own > self.shares.fewest and not self._waits_long(now):
            raise BlockingIOError
        accepted = super().accept()
        self._has_taken, self._looked_at = True, 0.0
        # Until the event loop gets to it.
        self.shares.tell(self.shares.own + 1)
        return accepted

    def _waits_long(self, now: float) -> bool:
        """Whether the one that is offered has been for a while, to all of us."""
        if now - self._looked_at > _PAUSE_SECONDS:
            self._waiting_since = now
        self._looked_at = now
        return now - self._waiting_since > _PATIENCE_SECONDS
