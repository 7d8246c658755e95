"""A judge whose next process is ready before the one at work has served its time.

A process serves so many tasks and no more (sandbox.py). The first task of a fresh one waits until it has imported its libraries, most of
a second, and behind it wait all others: in a service that is every request of that moment.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from signer.sandbox import CHILD, Judge, Limits
from signer.sandbox_walls import Walls
from signer.validation.errors import SandboxFailure

# So many tasks before its end the next one is started: at a hundred a second two seconds, in which it is ready.
_AHEAD = 200


class RelayedJudge(Judge):
    """A judge to its callers, and two processes for a moment: the second takes over when the first has served its tasks."""

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        preload: Iterable[str] = (),
        child: Sequence[str] = CHILD,
        ahead: int = _AHEAD,
    ) -> None:
        super().__init__(limits, preload=preload, child=child)
        self._given = {"preload": tuple(preload), "child": tuple(child)}
        self._next_at = max(1, self.limits.tasks - ahead)
        self._asked = 0
        self._at_work = self._fresh()
        self._next: Judge | None = None
        self._turn = threading.Lock()

    def start(self) -> None:
        """Start the process now, so that it imports while the caller does other things. Returns at once."""
        with self._turn:
            self._at_work.start()

    def run(self, task: str, header: dict[str, Any], blobs: Sequence[Any] = ()) -> tuple[dict[str, Any], list[bytes]]:
        """Have one task done, as `Judge.run` does."""
        with self._turn:
            if self._asked >= self.limits.tasks and self._next is not None:
                self._replace()
            self._asked += 1
            if self._asked == self._next_at:
                self._call_next()
            try:
                return self._at_work.run(task, header, blobs)
            except SandboxFailure:
                # What one file has cost its process shall not be the next file's wait.
                with contextlib.suppress(SandboxFailure):
                    self._replace()
                raise

    def walls(self) -> Walls:
        """What the process at work says about the walls around it, as `Judge.walls` does."""
        with self._turn:
            return self._at_work.walls()

    def close(self) -> None:
        """End both processes; closing twice is harmless."""
        with self._turn:
            self._at_work.close()
            if self._next is not None:
                self._next.close()

    def abort(self) -> None:
        """End the process at work at once, also in the middle of a task."""
        self._at_work.abort()

    def _call_next(self) -> None:
        """Start the successor. A file that takes long may be one that its process does not outlive, so then it is called too."""
        if self._next is None:
            self._next = self._fresh()
            self._next.start()

    def _replace(self) -> None:
        if self._next is None:
            self._at_work.start()
            return
        self._at_work.close()
        self._at_work, self._next, self._asked = self._next, None, 0

    def _fresh(self) -> Judge:
        return Judge(self.limits, preload=self._given["preload"], child=self._given["child"], when_slow=self._call_next)
