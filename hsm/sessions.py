"""SessionPool: the sessions of one token, opened when first needed, lent to one thread at a time, first come first served.

It holds the token's login for as long as it lives and tries a PIN once. It leaves to the store what is done in a session.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pkcs11

from hsm.errors import HSMError, PinLocked, PinMissing, PinWrong, SessionUnavailable, StoreClosed, TokenFailed
from hsm.module import Module, load_module
from hsm.rv import NO_ROOM, STALE_HANDLE, Scene, to_hsm_error, translated


@dataclass
class WorkSession:
    """A lent session and the key handles it has found. Handles of an older epoch than the pool's mean nothing."""

    session: pkcs11.Session
    epoch: int
    keys: dict[bytes, pkcs11.PrivateKey] = field(default_factory=dict)


@dataclass(frozen=True)
class OpenToken:
    """The token after login, with what was asked of it once."""

    module: Module
    token: pkcs11.Token
    mechanisms: frozenset[int]
    session_limit: int | None


class _Turn:
    """A place in the queue. Granted with a session, or with leave to open one, or with neither when the pool closes."""

    def __init__(self) -> None:
        self.granted = threading.Event()
        self.work: WorkSession | None = None
        self.may_open = False


class SessionPool:
    """Sessions of the token labelled `token_label`. Building it touches nothing; `lend` opens what is needed."""

    def __init__(
        self, module_path: Path, token_label: str, pin_file: Path, *, max_sessions: int, wait_seconds: float
    ) -> None:
        if max_sessions < 1:
            raise ValueError("a pool needs at least one session")
        self.module_path = module_path
        self.token_label = token_label
        self._pin_file = pin_file
        self._wait_seconds = wait_seconds
        self._opening = threading.Lock()
        self._open: OpenToken | None = None
        self._pin_refused: Callable[[], HSMError] | None = None
        # Everything below is guarded by this lock; no call to the token is made while it is held.
        self._lock = threading.Lock()
        self._returned = threading.Condition(self._lock)
        self._idle: list[WorkSession] = []  # the last one back is lent first: its handles are warm
        self._queue: deque[_Turn] = deque()
        self._count = 0
        self._limit = max_sessions
        self._epoch = 0
        self._closed = False
        self._logged_out = False

    @property
    def sessions_open(self) -> int:
        """Sessions this pool holds, the one that logged in among them."""
        with self._lock:
            return self._count + (0 if self._open is None or self._logged_out else 1)

    def scene(self, operation: str, mechanism: str = "") -> Scene:
        """What errors of this pool's token name."""
        return Scene(str(self.module_path), self.token_label, operation, limit=self._limit, mechanism=mechanism)

    def open_token(self) -> OpenToken:
        """Load the module, find the token and log in, once; every later call only answers."""
        if self._closed:
            raise _closed()
        if self._open is not None:
            return self._open
        with self._opening:
            if self._open is None:
                if self._pin_refused is not None:
                    raise self._pin_refused()
                self._open = self._log_in()
        return self._open

    @contextmanager
    def lend(self) -> Iterator[WorkSession]:
        """A session for one thread, given back at the end. One that failed in any way but a stale handle is dropped."""
        self.open_token().module.check_process()
        work = self._take()
        sound = False
        try:
            yield work
            sound = True
        except (HSMError, *STALE_HANDLE) as error:
            # A refusal of ours says nothing about the session, unless the token spoke in it.
            sound = not isinstance(error, HSMError) or error.rv is None
            raise
        finally:
            self._give_back(work, sound=sound)

    def raise_epoch(self) -> None:
        """Let every session forget its handles before it is lent again."""
        with self._lock:
            self._epoch += 1

    def close(self) -> None:
        """Close the sessions, wait for those that are lent, log out. In a forked child nothing is touched."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for turn in self._queue:
                turn.granted.set()
            self._queue.clear()
        with self._opening:
            opened = self._open
        if opened is None:
            return
        try:
            opened.module.check_process()
        except TokenFailed:
            return
        with self._lock:
            idle, self._idle = self._idle, []
        for work in idle:
            self._discard(work)
        with self._lock:
            self._returned.wait_for(lambda: self._count == 0, timeout=self._wait_seconds)
            self._logged_out = True
        opened.module.release_login(opened.token)

    def _log_in(self) -> OpenToken:
        module = load_module(self.module_path)
        token = module.find_token(self.token_label)
        with translated(self.scene("C_GetMechanismList")):
            mechanisms = frozenset(int(mechanism) for mechanism in token.slot.get_mechanisms())
        session_limit = module.session_limit(token)
        pin = read_pin(self._pin_file)
        try:
            module.log_in(token, pin)
        except (PinWrong, PinLocked) as error:
            # A real token locks itself after a few tries: this pool never asks it again, whatever the file says later.
            kind, rv = type(error), error.rv
            self._pin_refused = lambda: kind("the PIN was refused before", rv=rv, token=self.token_label)
            raise
        if session_limit is not None:
            with self._lock:
                self._limit = max(1, min(self._limit, session_limit - 1))  # one is the login's
        return OpenToken(module, token, mechanisms, session_limit)

    def _take(self) -> WorkSession:
        deadline = time.monotonic() + self._wait_seconds
        while True:
            turn = self._queue_up()
            if not turn.granted.wait(max(0.0, deadline - time.monotonic())) and not self._granted_after_all(turn):
                raise SessionUnavailable("no session came free in time", limit=str(self._limit))
            work = turn.work
            if work is None:
                if not turn.may_open:
                    raise _closed()
                work = self._open_session()
            if work is not None:
                return work

    def _queue_up(self) -> _Turn:
        turn = _Turn()
        with self._lock:
            if self._closed:
                raise _closed()
            if self._queue:
                self._queue.append(turn)
            elif self._idle:
                turn.work = self._refreshed(self._idle.pop())
                turn.granted.set()
            elif self._count < self._limit:
                self._grant_opening(turn)
            else:
                self._queue.append(turn)
        return turn

    def _granted_after_all(self, turn: _Turn) -> bool:
        """The grant may have come between the end of the wait and now; if not, the place in the queue is given up."""
        with self._lock:
            if turn.granted.is_set():
                return True
            self._queue.remove(turn)
            return False

    def _open_session(self) -> WorkSession | None:
        """A new session in the place that was counted for it; None when the token has no room for so many."""
        opened = self._open
        assert opened is not None  # a turn is granted only after open_token()
        try:
            session = opened.token.open(rw=True)
        except pkcs11.PKCS11Error as error:
            with self._lock:
                self._count -= 1
                if isinstance(error, NO_ROOM) and self._count:
                    # The token gives fewer than it or the setting promised: make do with those that are open.
                    self._limit = self._count
                    return None
                self._pass_on()
                self._returned.notify_all()
            raise to_hsm_error(error, self.scene("C_OpenSession")) from error
        return WorkSession(session, self._epoch)

    def _give_back(self, work: WorkSession, *, sound: bool) -> None:
        with self._lock:
            keep = sound and not self._closed
            if keep:
                if self._queue:
                    turn = self._queue.popleft()
                    turn.work = self._refreshed(work)
                    turn.granted.set()
                else:
                    self._idle.append(work)
        if not keep:
            self._discard(work)

    def _discard(self, work: WorkSession) -> None:
        try:
            work.session.close()  # opened without a PIN, so this does not log out
        except pkcs11.PKCS11Error:
            pass  # it is dropped because it is broken
        finally:
            with self._lock:
                self._count -= 1
                self._pass_on()
                self._returned.notify_all()

    def _pass_on(self) -> None:
        """Let the first of the queue open a session where there is room for one. Called with the lock held."""
        if self._queue and self._count < self._limit:
            self._grant_opening(self._queue.popleft())

    def _grant_opening(self, turn: _Turn) -> None:
        self._count += 1
        turn.may_open = True
        turn.granted.set()

    def _refreshed(self, work: WorkSession) -> WorkSession:
        if work.epoch != self._epoch:
            work.keys.clear()
            work.epoch = self._epoch
        return work


def _closed() -> StoreClosed:
    return StoreClosed("the key store is closed")


def read_pin(pin_file: Path) -> str:
    """The PIN in a file: its text without the line end. The PIN appears in no message."""
    try:
        pin = pin_file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise PinMissing(f"cannot read the PIN file: {type(error).__name__}", pin_file=str(pin_file)) from None
    if not pin:
        raise PinMissing("the PIN file is empty", pin_file=str(pin_file))
    return pin
