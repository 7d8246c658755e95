"""Answering: a keeper's own short answers on a socket: its state, and refusals while no token process serves.

One connection is one request and one answer. Nothing here blocks, so nobody can hold the keeper up.
"""

from __future__ import annotations

import contextlib
import selectors
import socket
from collections.abc import Callable, Sequence
from functools import partial

from hsm.channel import close_quietly, is_ours, receive, send
from hsm.errors import MessageRefused
from hsm.wire import Op, failed, parse_request

_WAIT_SECONDS = 5.0
_MOST = 256

Answer = Callable[[Op], Sequence[bytes]]


class Answering:
    """Connections of one listening socket, answered by a callable. The keeper's loop calls `accept` and `hear`."""

    def __init__(self, selector: selectors.BaseSelector, answer: Answer) -> None:
        self._selector = selector
        self._answer = answer
        self._waiting: dict[socket.socket, float] = {}
        self.answered = 0

    @property
    def connections(self) -> int:
        return len(self._waiting)

    def accept(self, listener: socket.socket, now: float) -> None:
        """Take everybody who waits."""
        while True:
            try:
                connection, _ = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError:
                return  # out of descriptors: those that wait are met again in the next round
            connection.setblocking(False)
            if len(self._waiting) >= _MOST or not is_ours(connection):
                close_quietly(connection)
                continue
            self._waiting[connection] = now
            self._selector.register(connection, selectors.EVENT_READ, partial(self.hear, connection))

    def hear(self, connection: socket.socket) -> None:
        """Answer a connection that has something to say, and close it."""
        # From here on the other side's sends fail, so that whatever it could send is answered below.
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RD)
        try:
            while message := receive(connection):
                self.answered += 1
                send(connection, self._answer(parse_request(message)))
        except MessageRefused as error:
            with contextlib.suppress(OSError):
                send(connection, failed(error))
        except OSError:
            pass  # gone, or not reading
        self._drop(connection)

    def drop_silent(self, now: float) -> None:
        """Let go of those that have said nothing for long."""
        for connection in [each for each, since in self._waiting.items() if now - since > _WAIT_SECONDS]:
            self._drop(connection)

    def finish(self) -> None:
        """Answer or drop everybody."""
        for connection in list(self._waiting):
            self.hear(connection)

    def _drop(self, connection: socket.socket) -> None:
        if self._waiting.pop(connection, None) is not None:
            self._selector.unregister(connection)
            close_quietly(connection)
