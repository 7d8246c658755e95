"""Work that costs less for several at once: what waits at the same moment is done together, each with a result of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from api.errors import RequestError
from api.lanes import Lane

J = TypeVar("J")
R = TypeVar("R")


class Together(Generic[J, R]):
    """Jobs before a lane. The first one goes at once; those that come while it is worked on go together when it is done.

    So nobody waits for company, and the more come, the more share. Used from one event loop only.
    """

    def __init__(
        self, lane: Lane, work: Callable[[Sequence[J]], Sequence[R | Exception | None]], *, most: int, waiting: int
    ) -> None:
        """`work` says of each job in turn what came of it, None where its turn has not come: it is the next one's. It does one at least.

        `most` of them are done at a time, `waiting` may wait.
        """
        self._lane = lane
        self._work = work
        self._most = most
        self._room = waiting
        self._waiting: list[tuple[J, asyncio.Future[R]]] = []
        self._at_work: asyncio.Task[None] | None = None

    async def run(self, job: J) -> R:
        """What came of it, or its exception; RequestError BUSY at once when too much waits already.

        A job that has begun is finished even when its client goes away; one that waits is dropped then.
        """
        if len(self._waiting) >= self._room:
            raise RequestError("BUSY")
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_seen)
        self._waiting.append((job, future))
        if self._at_work is None:
            self._at_work = asyncio.create_task(self._go_on())
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            self._waiting = [each for each in self._waiting if each[1] is not future]
            raise

    async def _go_on(self) -> None:
        try:
            while self._waiting:
                taken, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._do(taken)
        finally:
            self._at_work = None

    async def _do(self, taken: Sequence[tuple[J, asyncio.Future[R]]]) -> None:
        results: Sequence[R | Exception | None]
        try:
            results = await self._lane.run(self._work, [job for job, _ in taken])
        except asyncio.CancelledError:
            # The service ends.
            for _, future in taken:
                future.cancel()
            raise
        except Exception as error:  # noqa: BLE001  whatever it is, each of them is told
            results = [error] * len(taken)
        for (_, future), result in zip(taken, results, strict=True):
            if isinstance(result, Exception):
                future.set_exception(result)
            elif result is not None:
                future.set_result(result)
        self._waiting = [each for each, result in zip(taken, results, strict=True) if result is None] + self._waiting


def _seen(future: asyncio.Future[R]) -> None:
    """A client that went away leaves nobody to ask."""
    if not future.cancelled():
        future.exception()
