"""A progress bar on standard error: how many of how many, how fast, how long still; nothing where no person is watching."""

from __future__ import annotations

import shutil
import time
from typing import TextIO

from api.words import Words

_EVERY_SECONDS = 0.2
_BAR = 30
_CLEAR = "\r\x1b[K"  # ECMA-48 8.3.41: erase the line


class Progress:
    """Built for one command. What else is printed comes between `clear` and the next `show`."""

    def __init__(self, total: int, words: Words, err: TextIO) -> None:
        self._total = total
        self._words = words
        self._err = err
        self._watched = err.isatty()
        self._begun = time.monotonic()
        self._shown_at = 0.0
        self._is_shown = False

    def show(self, done: int) -> None:
        """So many are done."""
        now = time.monotonic()
        if not self._watched or now - self._shown_at < _EVERY_SECONDS:
            return
        self._shown_at, self._is_shown = now, True
        rate = done / max(now - self._begun, 0.001)
        left = round((self._total - done) / rate) if done else 0
        facts = {
            "done": str(done),
            "total": str(self._total),
            "rate": f"{rate:.0f}",
            "left": f"{left // 60}:{left % 60:02d}",
        }
        filled = _BAR * done // max(self._total, 1)
        text = f"[{'#' * filled}{'.' * (_BAR - filled)}] {self._words.say('PROGRESS', facts)}"
        self._err.write(_CLEAR + text[: shutil.get_terminal_size().columns - 1])
        self._err.flush()

    def clear(self) -> None:
        """Take the bar away, for a line that stays."""
        if self._is_shown:
            self._err.write(_CLEAR)
            self._err.flush()
            self._is_shown = False
            self._shown_at = 0.0
