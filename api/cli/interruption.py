"""Ctrl-C in the middle of a long row: the first asks to stop behind what has begun, the second breaks it off."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self


class Interruption:
    """While it is entered, SIGINT and SIGTERM are requests. Only a main thread hears signals; elsewhere nothing changes."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._heard)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def is_asked(self) -> bool:
        """Whether somebody wants it to stop."""
        return self.number is not None

    @property
    def exit_code(self) -> int:
        """What a shell shows for a program that this signal has ended."""
        return 128 + (self.number or signal.SIGINT)

    def _heard(self, number: int, _frame: FrameType | None) -> None:
        if self.number is not None:
            raise KeyboardInterrupt
        self.number = number
