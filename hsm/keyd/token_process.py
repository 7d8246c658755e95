"""The token process: it alone loads the PKCS#11 module and reads the PIN, and lets clients in, whom counter.py serves.

It is spawned by its keeper, tells it twice a second that it lives, and never outlives it. It mends what can be mended in
a session (ladder.py); whatever else happens it says why and goes, for another to take its place.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gc
import json
import os
import resource
import selectors
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

from hsm.channel import close_quietly, is_ours, limit_times, receive, receive_listener, send
from hsm.errors import HSMError, MessageRefused, SessionUnavailable
from hsm.keyd.arguments import Arguments, parse_arguments
from hsm.keyd.counter import Counter
from hsm.keyd.pin_refusal import SharedTurns
from hsm.keyd.places import PIN_REFUSED
from hsm.keyd.requests import Requests, is_final
from hsm.pkcs11_store import Pkcs11Store
from hsm.wire import failed, refused

_BEAT_SECONDS = 0.5
_SEND_SECONDS = 5.0  # one of too many, that does not read why
_LONG_CALL_SECONDS = 0.05
_FAREWELL_SECONDS = 1.0  # for requests in flight when the token has failed
_DRAIN_SECONDS = 2.0  # for requests in flight when told to end
_LONELY_SECONDS = 10.0  # of an ephemeral key process without any client
_FULL_SECONDS = 0.05
_REFUSING_THREADS = 16  # connections beyond the limit that are told so, at a time
_BETWEEN_SESSIONS = 8
_GARBAGE_THRESHOLD = 20_000
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE = 1, 4  # prctl(2)
EXIT_FAILED = 3


class TokenProcess:
    """One token process, from its start to its end."""

    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments
        self._link = socket.socket(fileno=arguments.link)
        self._listener = socket.socket(fileno=arguments.listener)
        self._telling = threading.Lock()
        self._lock = threading.Lock()  # guards the connections
        self._connections: set[socket.socket] = set()
        self._refusing = 0
        self._ending = threading.Event()
        self._limit: int | None = None
        self._wake_reading, self._wake_writing = socket.socketpair()
        self._turns = SharedTurns(arguments.turns, arguments.run_folder / PIN_REFUSED, arguments.pin)
        self._store = Pkcs11Store(
            Path(arguments.module),
            arguments.token_label,
            arguments.pin,
            max_sessions=arguments.max_sessions,
            wait_seconds=arguments.wait_seconds,
            on_event=self._on_event,
            turns=self._turns,
        )
        self._requests = Requests(self._store, self._on_fatal, self._on_defect, is_first=arguments.lane == 0)
        # A few more than sessions: while some check and send what came, no session is idle.
        threads = arguments.max_sessions + _BETWEEN_SESSIONS
        processors = max(1, (os.cpu_count() or 1) // arguments.processes)
        self._counter = Counter(
            self._requests.answer, self._requests.answer_together, self._gone, self._on_event, processors, threads
        )

    def run(self) -> NoReturn:
        """Open the token, sign the canary, serve until the end."""
        self._start(self._beat, "heartbeat")
        try:
            self._requests.canary()
            self._limit = self._store.status().session_limit
        except HSMError as error:
            self._tell_failed(error)
            os._exit(EXIT_FAILED)
        # What is there now stays: the collector need not walk through it again and again. What a signature makes goes by itself.
        gc.freeze()
        gc.set_threshold(_GARBAGE_THRESHOLD, 20, 20)
        self._counter.open()
        self._tell(ready=True, beat=self._pulse())
        self._start(self._keep_alive, "keep-alive")
        self._serve()
        self._leave()

    # --- connections -----------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._link, selectors.EVENT_READ)
            selector.register(self._wake_reading, selectors.EVENT_READ)
            lonely = time.monotonic() + _LONELY_SECONDS
            while not self._ending.is_set():
                if self._arguments.ephemeral and time.monotonic() > lonely:
                    # Nobody came, or nobody came back after the token process before this one had died.
                    lonely = time.monotonic() + _LONELY_SECONDS
                    self._end_when_idle()
                for key, _ in selector.select(_LONELY_SECONDS / 2):
                    if key.fileobj is self._listener:
                        self._accept()
                    elif key.fileobj is self._link:
                        fresh = self._hear()
                        if fresh is not None:
                            selector.unregister(self._listener)
                            self._listener.close()
                            self._listener = fresh
                            selector.register(fresh, selectors.EVENT_READ)
                    else:
                        self._wake_reading.recv(64)
                        self._end_when_idle()

    def _hear(self) -> socket.socket | None:
        """What the keeper says: to end, to look for the token, or where to listen from now on. Its death ends this process."""
        try:
            message, listener = receive_listener(self._link)
        except OSError:
            message, listener = b"", None
        if not message:
            os._exit(EXIT_FAILED)
        told = json.loads(message)
        if "end" in told:
            self._ending.set()
        if "check" in told:
            self._start(self._requests.check_token, "check")
        return listener

    def _accept(self) -> bool:
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                time.sleep(_FULL_SECONDS)  # the queue holds those that wait; asking at once again would only spin
            return False
        connection.setblocking(True)
        with self._lock:
            full = len(self._connections) >= self._arguments.max_connections
            if full:
                self._refusing += 1
            else:
                self._connections.add(connection)
            refusing, number = self._refusing, len(self._connections)
        if not full:
            self._tell(connections=number)
            self._admit(connection)
        elif refusing <= _REFUSING_THREADS:
            self._on_event("connections.full", {"limit": str(self._arguments.max_connections)})
            self._start(self._turn_away, "refusal", connection)
        else:
            self._turned_away(connection)
        return True

    def _admit(self, connection: socket.socket) -> None:
        if is_ours(connection):
            self._counter.admit(connection)
            return
        error = refused("another user's")
        self._on_event("message.refused", dict(error.facts))
        with contextlib.suppress(OSError):
            send(connection, failed(error))
        close_quietly(connection)
        self._gone(connection)

    def _gone(self, connection: socket.socket) -> None:
        """A connection has ended."""
        with self._lock:
            self._connections.discard(connection)
            number = len(self._connections)
        self._tell(connections=number)
        if not number and self._arguments.ephemeral:
            with contextlib.suppress(OSError):
                self._wake_writing.send(b"\0")

    def _turn_away(self, connection: socket.socket) -> None:
        """Tell a connection too many, after what it asks: closed before, the answer would be lost with the question."""
        limit = str(self._arguments.max_connections)
        with contextlib.suppress(OSError, MessageRefused):
            limit_times(connection, sending=_SEND_SECONDS, receiving=_SEND_SECONDS)
            if receive(connection):
                send(connection, failed(SessionUnavailable("too many connections", limit=limit)))
        self._turned_away(connection)

    def _turned_away(self, connection: socket.socket) -> None:
        close_quietly(connection)
        with self._lock:
            self._refusing -= 1

    def _end_when_idle(self) -> None:
        """Of an ephemeral key process: whoever comes in this very moment is either served or finds nobody."""
        while True:
            with self._lock:
                if self._connections:
                    return
            if not self._accept():
                break
        self._tell(idle=True)
        self._ending.set()

    # --- the end ---------------------------------------------------------------------------------------------------

    def _leave(self) -> NoReturn:
        """Finish what is in flight, give the token back, go."""
        self._drain(_DRAIN_SECONDS)
        closing = self._start(self._store.close, "closing")
        closing.join(_FAREWELL_SECONDS)
        os._exit(0)

    def _drain(self, seconds: float) -> None:
        """Let no client send more, and wait until those that have sent are answered and gone."""
        self._listener.close()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with self._lock:
                if not self._connections:
                    return
            time.sleep(0.005)

    def _on_fatal(self, error: HSMError) -> None:
        self._tell_failed(error)
        self._start(self._fail, "farewell")

    def _fail(self) -> NoReturn:
        # Requests in flight are told; the token is not touched again, not even to log out.
        self._drain(_FAREWELL_SECONDS)
        os._exit(EXIT_FAILED)

    def _on_defect(self, error: Exception) -> None:
        self._on_event("key.defect", {"reason": type(error).__name__})

    # --- what the keeper is told -----------------------------------------------------------------------------------

    def _beat(self) -> None:
        while True:
            self._counter.allow_all_if_slow(_LONG_CALL_SECONDS)
            self._tell(beat=self._pulse())
            time.sleep(_BEAT_SECONDS)

    def _pulse(self) -> dict[str, Any]:
        store = self._store
        oldest = round(store.oldest_call_seconds(), 3)
        return {"oldest": oldest, "sessions": store.sessions_open, "limit": self._limit}

    def _keep_alive(self) -> None:
        while not self._ending.wait(self._arguments.keep_alive_seconds):
            try:
                self._store.keep_alive()
            except HSMError as error:
                if is_final(error) and self._requests.fatal is None:
                    self._requests.fatal = error
                    self._on_fatal(error)

    def _on_event(self, name: str, facts: dict[str, str]) -> None:
        self._tell(event=name, facts=facts)

    def _tell_failed(self, error: HSMError) -> None:
        self._tell(failed={"code": error.code, "rv": error.rv, "facts": error.facts, "pin": self._turns.asked})

    def _tell(self, **line: Any) -> None:
        message = json.dumps(line).encode()
        try:
            with self._telling:
                self._link.send(message)
        except BlockingIOError:
            return
        except OSError:
            os._exit(EXIT_FAILED)  # the keeper has gone

    @staticmethod
    def _start(work: Any, name: str, *given: Any) -> threading.Thread:
        thread = threading.Thread(target=work, args=given, name=name, daemon=True)
        thread.start()
        return thread


def main(words: list[str]) -> NoReturn:
    """Settle in below the keeper, and run."""
    arguments = parse_arguments(words)
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # Another process of the same user shall neither read this one's memory nor find it in a core file.
    libc.prctl(_PR_SET_DUMPABLE, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if os.getppid() != arguments.keeper:
        os._exit(EXIT_FAILED)  # it died before the line above could tie us to it
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a key press in the terminal reaches the whole group; the keeper decides
    TokenProcess(arguments).run()


if __name__ == "__main__":
    main(sys.argv[1:])
