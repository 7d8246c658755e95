"""Keeps the key process of a service running: starts it, waits for it, starts it anew when it ends, and ends it at last.

What happens to the token behind it is the key process's own care.
"""

from __future__ import annotations

import contextlib
import logging
import subprocess
import threading
import time

from hsm.errors import HSMError
from hsm.keyd.asking import read_state
from hsm.keyd.process import KeyProcess

# A process that dies soon after its start is not started again at once, but after ever longer pauses.
SOON_SECONDS = 10.0
_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_POLL_SECONDS = 0.05
_LAST_SECONDS = 0.5


def pause_after(failures: int) -> float:
    """How long to wait before the next start, after so many soon deaths in a row."""
    return _PAUSES[min(failures, len(_PAUSES)) - 1] if failures else 0.0


class KeyWatch:
    """One key process that stays, watched from a thread. The rest of the service does without it while it is away."""

    def __init__(self, process: KeyProcess, logger: logging.Logger) -> None:
        self._process = process
        self._logger = logger
        self._stopping = threading.Event()
        self._settled = threading.Event()
        self._lock = threading.Lock()
        self._keeper: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._watch, name="key-watch", daemon=True)

    def start(self) -> None:
        """Begin. Returns at once."""
        self._thread.start()

    def is_settled(self) -> bool:
        """Whether it is known by now if keys can be used: the first attempt at the token has ended, well or not."""
        return self._settled.is_set()

    def stop(self) -> None:
        """End the key process: by asking, and after a moment by force. Requests that are with it are broken off."""
        self._stopping.set()
        with self._lock:
            keeper = self._keeper
        if keeper is not None:
            with contextlib.suppress(OSError):
                keeper.terminate()
            try:
                keeper.wait(_LAST_SECONDS)
            except subprocess.TimeoutExpired:
                self._logger.warning("key process killed")
                keeper.kill()
                keeper.wait()
            _close_lifeline(keeper)
        # Only a start that is under way keeps the thread; its process ends with us, when its standard input does.
        self._thread.join(_LAST_SECONDS)

    def _watch(self) -> None:
        failures = deaths = 0
        while not self._stopping.wait(pause_after(failures)):
            begun = time.monotonic()
            try:
                keeper = self._process.start(ephemeral=False, after_deaths=deaths)
            except HSMError as error:
                self._logger.warning("key process not started", extra={"code": error.code, "error": str(error)})
            else:
                self._hold(keeper)
                self._settle(keeper)
                status = keeper.wait()
                _close_lifeline(keeper)
                if not self._stopping.is_set():
                    deaths += 1
                    self._logger.warning("key process died", extra={"exit": status})
            self._settled.set()
            failures = 0 if time.monotonic() - begun > SOON_SECONDS else failures + 1

    def _hold(self, keeper: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._keeper = keeper
        if self._stopping.is_set():
            keeper.terminate()  # stopped while it was being started

    def _settle(self, keeper: subprocess.Popen[bytes]) -> None:
        while not self._settled.is_set() and keeper.poll() is None:
            told = read_state(self._process.settings.run_folder)
            if told is not None and told.breaker != "half-open":
                self._settled.set()
            else:
                self._stopping.wait(_POLL_SECONDS)


def _close_lifeline(keeper: subprocess.Popen[bytes]) -> None:
    if keeper.stdin is not None:
        with contextlib.suppress(OSError):
            keeper.stdin.close()
