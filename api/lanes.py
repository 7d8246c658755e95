"""Lanes: threads that blocking work of one kind runs on, and how much may wait for them.

One processor-bound Python thread makes a key operation in another many times slower, so there are few threads; and
what takes seconds (judging, a token that hangs) must not hold up what takes milliseconds (lists, status answers).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from api.errors import RequestError

T = TypeVar("T")


class Lane:
    """A few threads and a bounded queue before them. Used from one event loop only."""

    def __init__(self, name: str, threads: int, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._room = threads + waiting
        self._inside = 0

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        """Do it on a thread; RequestError BUSY at once when too much waits already.

        Work that has begun is finished even when the client goes away: a signature is never half made.
        """
        if self._inside >= self._room:
            raise RequestError("BUSY")
        self._inside += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)
        future.add_done_callback(self._done)
        return await asyncio.shield(future)

    def close(self) -> None:
        """Take no more work, and forget what has not begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _done(self, future: asyncio.Future[T]) -> None:
        self._inside -= 1
        if not future.cancelled():
            future.exception()  # seen: a client that went away leaves nobody to ask


class Lanes:
    """The lanes of one web process: `quick` for what needs no key, `key` for status answers and time-stamps that are made now,
    `short` for small documents, `sign` for those that are long or wait for somebody outside, and `judge` for files of strangers.
    A token that hangs holds up nobody but those who need it.

    `near`: the database is a file of ours, whose readers wait for nobody (SQLite's WAL). Then a single query is done where
    it is asked for: it takes a third of the time that handing it to a thread and back does.
    """

    def __init__(self, *, signing: int, judging: int, near: bool) -> None:
        self.quick = Lane("quick", 2, 500)
        self.key = Lane("key", 2, 500)
        self.short = Lane("short", 1, 1)
        self.sign = Lane("sign", signing, 200)
        self.judge = Lane("judge", judging, 60)
        self._near = near

    async def look_up(self, query: Callable[..., T], *arguments: object) -> T:
        """One short query that uses no key."""
        return query(*arguments) if self._near else await self.quick.run(query, *arguments)

    def close(self) -> None:
        for lane in (self.quick, self.key, self.short, self.sign, self.judge):
            lane.close()
