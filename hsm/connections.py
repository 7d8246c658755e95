"""Connections of a client to the key process of a run folder: made when needed, kept, and made anew when they break.

They are spread over its token processes (lanes), and one that does not serve is gone round. It knows how to find or start
a key process. What is asked, and what may be asked twice, is client.py's.
"""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hsm.channel import close_quietly, limit_times, receive, receive_short, send
from hsm.errors import HSMError, KeyProcessFailed, StoreClosed, TokenAway
from hsm.keyd.asking import check_server, read_state
from hsm.keyd.places import (
    LOCK,
    START_LOCK,
    check_run_folder,
    count_lanes,
    is_locked,
    prepare_run_folder,
    socket_name,
    wait_for_lock,
)
from hsm.keyd.state import KeyState
from hsm.messages import Message
from hsm.wire import Op, parse_answer, request

_FIRST = 0  # the lane that makes and destroys keys
# A connection that another lane than its own took in is made anew after this time: by then its own may serve again.
_ASTRAY_SECONDS = 5.0
# More are made when more threads ask at once; these stay.
_KEPT = 32
_PAUSE_SECONDS = 0.02
_TRIES = 5
_GONE_SECONDS = 2.0
# The answer that no session came free takes as long as the client would wait, and should still arrive.
_GRACE_SECONDS = 1.0
_NO_ANSWER = "no answer"
_NOT_RUNNING = "not running"
_UNDECIDED = "half-open"


class NotSent(Exception):
    """The connection was dead before the request was sent: nothing of it can have happened."""


class Broken(Exception):
    """The connection broke after the request was sent: it may or may not have happened."""


class Connection:
    """One connection to a lane: one question at a time."""

    def __init__(self, run_folder: Path, lane: int, seconds: float) -> None:
        self.lane = lane
        self.seconds = seconds
        self.until = math.inf
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            limit_times(self._socket, sending=seconds, receiving=seconds)
            self._socket.connect(str(run_folder / socket_name(lane)))
            check_server(self._socket, run_folder)
        except BaseException:
            self._socket.close()
            raise

    def ask(
        self,
        pieces: Sequence[Message],
        seconds: float | None = None,
        *,
        is_short: bool = False,
        meanwhile: Callable[[], None] | None = None,
    ) -> bytes:
        """The answer to a request, raising what it tells; NotSent, Broken, or TokenAway when none comes in time.

        `is_short`: what would not fit into a message of the socket is no answer to this. `meanwhile`: done once it is sent.
        """
        if seconds is not None and seconds != self.seconds:
            limit_times(self._socket, receiving=seconds)
            self.seconds = seconds
        try:
            send(self._socket, pieces)
        except BlockingIOError:
            raise no_answer() from None
        except OSError as error:
            raise NotSent from error
        if meanwhile is not None:
            meanwhile()
        return self.hear(is_short=is_short)

    def hear(self, *, is_short: bool = False) -> bytes:
        """The next answer to what was asked; Broken, or TokenAway when none comes in time."""
        try:
            message = receive_short(self._socket) if is_short else receive(self._socket)
        except BlockingIOError:
            raise no_answer() from None
        except OSError as error:
            raise Broken from error
        if not message:
            raise Broken
        return parse_answer(message)

    def close(self) -> None:
        close_quietly(self._socket)


class Connections:
    """Connections to one key process, for any number of threads."""

    def __init__(self, run_folder: Path, wait_seconds: float, starter: Callable[[], None] | None) -> None:
        self.run_folder = run_folder
        self.wait_seconds = wait_seconds + _GRACE_SECONDS
        self._starter = starter
        self._started = False
        self._lock = threading.Lock()
        self._idle: list[Connection] = []
        self._closed = False
        self._pid = os.getpid()
        self._made = self._pid  # clients with one connection each begin with different lanes

    @property
    def can_start(self) -> bool:
        return self._starter is not None

    @property
    def has_others(self) -> bool:
        """Whether there is more than one lane."""
        return count_lanes(self.run_folder) > 1

    def take(self, *, first: bool = False) -> Connection:
        """A connection that a token process (`first`: the first) has answered on, for this thread until it gives it back."""
        with self._lock:
            if self._closed:
                raise StoreClosed("the key store is closed")
            if self._pid != os.getpid():
                # Shared with the parent of a fork, which goes on using them.
                self._pid = os.getpid()
                self._idle = []
            if self._idle and not first:
                return self._idle.pop()
            for place in range(len(self._idle) - 1, -1, -1):
                if self._idle[place].lane == _FIRST:
                    return self._idle.pop(place)
        return self._connect(first=first)

    def give_back(self, connection: Connection) -> None:
        """Keep a connection that is whole."""
        with self._lock:
            is_due = connection.until != math.inf and time.monotonic() >= connection.until
            if not is_due and not self._closed and len(self._idle) < _KEPT:
                self._idle.append(connection)
                return
        connection.close()

    def forget_idle(self, lane: int | None = None) -> None:
        """Close those that nobody uses, of one lane or of all: the process they lead to has gone."""
        with self._lock:
            idle = [each for each in self._idle if lane in (None, each.lane)]
            self._idle = [each for each in self._idle if lane not in (None, each.lane)]
        for connection in idle:
            connection.close()

    def close(self) -> None:
        """Close all, and wait for a key process that was started here, and now ends, so that the home is at rest."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self.forget_idle()
        if self._started:
            self._wait_for_end()

    def settled_state(self) -> KeyState | None:
        """What the keeper says when it has tried the token; one is started where there is none and a starter is given."""
        deadline = time.monotonic() + self.wait_seconds
        state = read_state(self.run_folder)
        if state is None and self._starter is not None:
            self._start(deadline)
            state = read_state(self.run_folder)
        while state is not None and state.breaker == _UNDECIDED and time.monotonic() < deadline:
            time.sleep(_PAUSE_SECONDS)
            state = read_state(self.run_folder)
        return state

    def _connect(self, *, first: bool) -> Connection:
        deadline = time.monotonic() + self.wait_seconds
        tries = 0
        while True:
            tries += 1
            connection, nobody_listens = self._try_lanes([_FIRST] if first else self._lanes())
            if connection is not None:
                return connection
            if nobody_listens:
                self._start(deadline)
            if time.monotonic() >= deadline or (self._starter is None and tries >= _TRIES):
                raise not_running()
            time.sleep(_PAUSE_SECONDS)

    def _lanes(self) -> list[int]:
        """All lanes, each time beginning with the next."""
        count = count_lanes(self.run_folder)
        with self._lock:
            self._made += 1
            begin = self._made
        return [(begin + number) % count for number in range(count)]

    def _try_lanes(self, lanes: list[int]) -> tuple[Connection | None, bool]:
        """A connection to the first that lets us in, or whether nobody listens; raises when all that do refuse."""
        refusal: HSMError | None = None
        absent = 0
        for lane in lanes:
            try:
                connection = self._greet(lane)
            except (FileNotFoundError, ConnectionRefusedError):
                absent += 1
            except HSMError as error:
                refusal = refusal or error
            except BlockingIOError:
                refusal = refusal or no_answer()
            except OSError as error:
                raise KeyProcessFailed(f"cannot reach the key process: {error}", reason=type(error).__name__) from error
            else:
                if connection is not None:
                    if lane != lanes[0]:
                        connection.until = time.monotonic() + _ASTRAY_SECONDS
                    return connection, False
        if refusal is not None:
            raise refusal
        return None, absent == len(lanes)

    def _greet(self, lane: int) -> Connection | None:
        """A connection that was answered; None when the process was on its way out, and nothing was asked of it."""
        check_run_folder(self.run_folder)
        connection = Connection(self.run_folder, lane, self.wait_seconds)
        try:
            connection.ask(request(Op.HELLO))
        except (NotSent, Broken):
            connection.close()
            return None
        except BaseException:
            connection.close()
            raise
        return connection

    def _start(self, deadline: float) -> None:
        """Start a key process, unless another has done so while this one waited for its turn."""
        if self._starter is None:
            raise not_running()
        prepare_run_folder(self.run_folder)
        lock = wait_for_lock(self.run_folder / START_LOCK, deadline - time.monotonic())
        if lock is None:
            raise KeyProcessFailed("others are starting the key process, and do not end", reason=START_LOCK)
        try:
            if read_state(self.run_folder) is None:
                self._started = True
                self._starter()
        finally:
            os.close(lock)

    def _wait_for_end(self) -> None:
        deadline = time.monotonic() + _GONE_SECONDS
        settled = time.monotonic() + 10 * _PAUSE_SECONDS  # until the key process has noticed that we left
        while is_locked(self.run_folder / LOCK) and time.monotonic() < deadline:
            if time.monotonic() > settled:
                state = read_state(self.run_folder)
                if state is not None and (state.connections or not state.ephemeral):
                    return  # others use it
            time.sleep(_PAUSE_SECONDS / 2)


def not_running() -> TokenAway:
    """Nobody listens, and it is not this process's part to change that."""
    return TokenAway("no key process is running", retry_after="1", reason=_NOT_RUNNING)


def no_answer() -> TokenAway:
    """The key process took longer than this client waits."""
    return TokenAway("the key process does not answer in time", retry_after="1", reason=_NO_ANSWER)
