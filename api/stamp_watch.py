"""How outside time-stamping authorities do: each request counted, and a change of a server's state logged once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from api.logs import LOGGER


class StampWatch:
    """Told after each request to an outside authority. Built once; safe for threads."""

    def __init__(self) -> None:
        self._logger = logging.getLogger(LOGGER)
        self._lock = threading.Lock()
        self._codes: dict[str, str] = {}
        self._count: Callable[[str, str], None] = _count_nothing

    def count_with(self, count: Callable[[str, str], None]) -> None:
        """From now on also call this with server and outcome: `granted`, or the code of what went wrong."""
        self._count = count

    def tell(self, server: str, code: str) -> None:
        """A request to a server has ended; `code` is empty when a token came."""
        self._count(server, code or "granted")
        with self._lock:
            before = self._codes.get(server, "")
            if code != "TSA_RESTS":
                self._codes[server] = code
        # A server that rests is as it was when it was left alone. A command has no log, and says in its own words what came of it.
        if code in (before, "TSA_RESTS") or not self._logger.hasHandlers():
            return
        if code:
            self._logger.warning("time-stamping authority failing", extra={"server": server, "code": code})
        else:
            self._logger.info("time-stamping authority well again", extra={"server": server})


def _count_nothing(_server: str, _outcome: str) -> None:
    """Where no metrics are kept."""
