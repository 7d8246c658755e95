"""The line between the supervisor of `antin serve` and a process of it: one says that it is ready, both learn when the other has gone."""

from __future__ import annotations

import os
import signal
import socket
import threading

READY = b"r"


class Lifeline:
    """The process's end of the line, by an inherited descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._line = socket.socket(fileno=descriptor)

    def watch(self) -> None:
        """From now on end this process, by SIGTERM to itself, when the supervisor's end is closed."""
        threading.Thread(target=self._wait, name="lifeline", daemon=True).start()

    def tell_ready(self) -> None:
        """Say that this process does its work."""
        self._line.sendall(READY)

    def _wait(self) -> None:
        while self._line.recv(1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
