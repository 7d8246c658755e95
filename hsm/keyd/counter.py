"""Counter: the threads that answer clients. Few work at once where the token computes on our own processors.

A thread a connection would let all of them contend for the interpreter: with eight clients two thirds of the time of a
P-256 signature went into handing it over. Here the threads share one epoll(7), and a thread that is done finds the next
request waiting. It leaves to the token process whom it lets in, and to requests.py what is answered.
"""

from __future__ import annotations

import contextlib
import math
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from hsm.channel import close_quietly, limit_times, receive, send
from hsm.errors import MessageRefused
from hsm.wire import SIGN, SIGN_AHEAD, Op, failed

_SEND_SECONDS = 5.0  # a client that does not read its answer
# One event and then silence until it is asked for again: no two threads serve one connection.
_ONCE = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLONESHOT
# Of so many signatures the one that waited least tells whether the token computes here or is waited for, as a device or a
# network is: a busy machine makes everybody wait, but not each time. After a while it is asked again.
_SAMPLE, _WAITING_SECONDS, _ASK_AGAIN_SECONDS = 32, 0.001, 60.0
# So many are answered together at most, and no more than fit into this time: the first of them waits for the last. What is
# answered at once wakes its askers at once, and the processor is not taken from the token for each of them.
_TOGETHER, _TOGETHER_SECONDS = 8, 0.004
_QUICK = frozenset(bytes((op,)) for op in (Op.SIGN, Op.SIGN_AHEAD, Op.GET, Op.HELLO, Op.STATUS))


GiveFirst = Callable[[Sequence[bytes]], None]


class Counter:
    """Serves the connections it is given, and gives each back to `on_gone` when it has ended."""

    def __init__(
        self,
        answer: Callable[[bytes, GiveFirst], Sequence[bytes]],
        answer_together: Callable[[Sequence[bytes]], list[Sequence[bytes] | MessageRefused]],
        on_gone: Callable[[socket.socket], None],
        on_event: Callable[[str, dict[str, str]], None],
        few: int,
        most: int,
    ) -> None:
        self._answer = answer
        self._answer_together = answer_together
        self._on_gone = on_gone
        self._on_event = on_event
        self._most = most
        self._few = self._allowed = min(most, few)
        self._sampled, self._least_waited, self._least_worked = 0, math.inf, math.inf
        self._allowed_until = 0.0
        self._together = 1
        self._signing: dict[int, float] = {}  # since when, by thread
        self._gate = threading.Condition()
        self._poll = select.epoll()
        self._connections: dict[int, socket.socket] = {}

    def open(self) -> None:
        """Start the threads."""
        for number in range(self._most):
            threading.Thread(target=self._work, args=(number,), name=f"counter-{number}", daemon=True).start()

    def admit(self, connection: socket.socket) -> None:
        """Serve this client for as long as it stays."""
        connection.setblocking(False)
        self._connections[connection.fileno()] = connection
        self._poll.register(connection.fileno(), _ONCE)

    def allow_all_if_slow(self, seconds: float) -> None:
        """Let every thread work when a signature is in the token for longer than this. The making of a key tells nothing of signatures."""
        begun = list(self._signing.values())
        if begun and time.monotonic() - min(begun) > seconds:
            self.allow_all()

    def allow_all(self) -> None:
        """Calls to the token wait for something else than our processors: let every thread work."""
        self._allowed_until = time.monotonic() + _ASK_AGAIN_SECONDS
        if self._allowed < self._most:
            with self._gate:
                self._allowed = self._most
                self._gate.notify_all()

    def _note(self, begun: float, work_begun: float, count: int = 1) -> None:
        """So many signatures are made since these times, of the clock and of this thread's work."""
        # Several threads may be in here at once; a sample more or less decides nothing.
        now, worked = time.monotonic(), (time.thread_time() - work_begun) / count
        if self._allowed > self._few:
            if now > self._allowed_until:
                self._allowed = self._few
            return
        self._least_waited = min(self._least_waited, (now - begun) / count - worked)
        self._least_worked = min(self._least_worked, worked)
        self._sampled += count
        if self._sampled >= _SAMPLE:
            if self._least_waited > _WAITING_SECONDS:
                self.allow_all()
            self._together = max(1, min(_TOGETHER, int(_TOGETHER_SECONDS / max(self._least_worked, 1e-6))))
            self._sampled, self._least_waited, self._least_worked = 0, math.inf, math.inf

    def _work(self, number: int) -> None:
        while True:
            if number >= self._allowed:
                with self._gate:
                    self._gate.wait_for(lambda: number < self._allowed)
            # A thread that works alone takes what has come while it worked; of several, each takes one.
            alone = self._allowed == 1
            ready = [self._connections[found] for found, _ in self._poll.poll(maxevents=self._together if alone else 1)]
            if len(ready) == 1:
                self._serve(ready[0])
            else:
                self._serve_together(ready)

    def _serve_together(self, connections: list[socket.socket]) -> None:
        """One request of each."""
        asked = [(each, message) for each in connections if (message := self._take(each, together=True))]
        if len(asked) < 2:
            for connection, message in asked:
                self._deal_with(connection, message)
            return
        begun, work_begun = time.monotonic(), time.thread_time()
        thread = threading.get_ident()
        self._signing[thread] = begun
        try:
            answers = self._answer_together([message for _, message in asked])
        finally:
            del self._signing[thread]
        self._note(begun, work_begun, len(asked))
        for (connection, _), answer in zip(asked, answers, strict=True):
            if isinstance(answer, MessageRefused):
                self._end(connection, answer)
            else:
                self._give(connection, answer)

    def _serve(self, connection: socket.socket) -> None:
        """One request."""
        message = self._take(connection)
        if message:
            self._deal_with(connection, message)

    def _take(self, connection: socket.socket, *, together: bool = False) -> bytes:
        """A request that is to be answered now. What may take long gets a thread of its own; `together`: only what signs."""
        try:
            message = receive(connection)
        except BlockingIOError:
            self._wait_for_next(connection)
            return b""
        except (MessageRefused, OSError, MemoryError) as error:
            self._end(connection, error)
            return b""
        if not message:
            self._end(connection, None)
        elif message[1:2] not in _QUICK:
            threading.Thread(target=self._deal_with, args=(connection, message), name="deed", daemon=True).start()
        elif together and message[:2] != SIGN:
            self._deal_with(connection, message)
        else:
            return message
        return b""

    def _deal_with(self, connection: socket.socket, message: bytes) -> None:
        try:
            signs = message[:2] in (SIGN, SIGN_AHEAD)
            answer = (
                self._signed(connection, message) if signs else self._answer(message, partial(_give_first, connection))
            )
        except (MessageRefused, OSError, MemoryError) as error:
            self._end(connection, error)
            return
        self._give(connection, answer)

    def _signed(self, connection: socket.socket, message: bytes) -> Sequence[bytes]:
        begun, work_begun = time.monotonic(), time.thread_time()
        thread = threading.get_ident()
        self._signing[thread] = begun
        try:
            answer = self._answer(message, partial(_give_first, connection))
        finally:
            del self._signing[thread]
        self._note(begun, work_begun)
        return answer

    def _give(self, connection: socket.socket, answer: Sequence[bytes]) -> None:
        try:
            send(connection, answer)
        except BlockingIOError:
            # It has not read its last answers; nobody else shall wait for it.
            threading.Thread(target=self._insist, args=(connection, answer), name="slow", daemon=True).start()
            return
        except (MessageRefused, OSError, MemoryError) as error:
            self._end(connection, error)
            return
        self._wait_for_next(connection)

    def _insist(self, connection: socket.socket, answer: Sequence[bytes]) -> None:
        try:
            connection.setblocking(True)
            limit_times(connection, sending=_SEND_SECONDS)
            send(connection, answer)
            connection.setblocking(False)
        except (MessageRefused, OSError, MemoryError) as error:
            self._end(connection, error)
            return
        self._wait_for_next(connection)

    def _wait_for_next(self, connection: socket.socket) -> None:
        self._poll.modify(connection.fileno(), _ONCE)

    def _end(self, connection: socket.socket, error: Exception | None) -> None:
        if isinstance(error, MessageRefused):
            self._on_event("message.refused", dict(error.facts))
            with contextlib.suppress(OSError):
                send(connection, failed(error))
        elif isinstance(error, BlockingIOError):
            self._on_event("client.dropped", {"reason": "does not read its answer"})
        elif isinstance(error, MemoryError):
            self._on_event("client.dropped", {"reason": "no memory for its message"})
        descriptor = connection.fileno()
        with contextlib.suppress(OSError):
            self._poll.unregister(descriptor)
        # Before it is closed: the number may be another's at once.
        self._connections.pop(descriptor, None)
        close_quietly(connection)
        self._on_gone(connection)


def _give_first(connection: socket.socket, answer: Sequence[bytes]) -> None:
    """The first of two answers. To a client that does not take it the second comes alone, and is none to what was asked."""
    with contextlib.suppress(OSError):
        send(connection, answer)
