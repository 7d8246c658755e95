"""WaitingLine: acts that wait for a session are run one after the other by threads of its own, so that a session waits for nobody.

A thread that is lent a session by another one has to wake up first, which on a token that is waited for (a device, a network)
costs each of its signatures a quarter of a millisecond in which the session does nothing. Here the act is ready when a
session comes free, and whoever asked wakes up while the next one is signed. What is done in a session stays ladder.py's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from hsm.errors import SessionUnavailable
from hsm.ladder import Ladder
from hsm.sessions import SessionPool, WorkSession

Answer = TypeVar("Answer")


class _Job:
    """An act, its answer or its error. Whoever takes `claim` first has it: a thread that runs it, or the asker who gives up."""

    def __init__(self, act: Callable[[WorkSession], Any], operation: str, mechanism: str, deadline: float) -> None:
        self.act, self.operation, self.mechanism, self.deadline = act, operation, mechanism, deadline
        self.claim, self.done = threading.Lock(), threading.Lock()
        self.done.acquire()
        self.answer: Any = None
        self.error: BaseException | None = None


class WaitingLine:
    """Runs acts in sessions of a pool: at once in the caller's thread where a session is idle, else in the order of asking."""

    def __init__(self, pool: SessionPool, ladder: Ladder, most_threads: int) -> None:
        self._pool, self._ladder, self._most = pool, ladder, most_threads
        self._lock = threading.Lock()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._threads = 0
        self._closed = False

    def run(self, act: Callable[[WorkSession], Answer], operation: str, mechanism: str = "") -> Answer:
        """As `Ladder.run`. SessionUnavailable when its turn has not come within the pool's limit."""
        if self._pool.has_room and self._jobs.empty():
            return self._ladder.run(act, operation, mechanism)
        self._pool.open_token().module.check_process()
        job = _Job(act, operation, mechanism, time.monotonic() + self._pool.wait_seconds)
        if not self._queued(job):
            return self._ladder.run(act, operation, mechanism)  # which says that all is closed
        if not job.done.acquire(timeout=self._pool.wait_seconds):
            if job.claim.acquire(blocking=False):
                raise SessionUnavailable("no session came free in time", limit=str(self._pool.limit))
            job.done.acquire()  # it has begun: the token's own limits count from here on
        if job.error is not None:
            raise job.error
        answer: Answer = job.answer
        return answer

    def close(self) -> None:
        """End the threads when they have done what was asked before."""
        with self._lock:
            self._closed = True
            for _ in range(self._threads):
                self._jobs.put(None)

    def _queued(self, job: _Job) -> bool:
        with self._lock:
            if self._closed:
                return False
            self._jobs.put(job)
            # As many as there may be sessions, also while the token has room for fewer: those that wait let the pool try to grow.
            if self._threads < self._most:
                self._threads += 1
                threading.Thread(target=self._work, name=f"line-{self._threads}", daemon=True).start()
        return True

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            if not job.claim.acquire(blocking=False):
                continue
            try:
                job.answer = self._ladder.run(job.act, job.operation, job.mechanism, job.deadline)
            except BaseException as error:  # noqa: BLE001 it is raised where it was asked
                job.error = error
            job.done.release()
