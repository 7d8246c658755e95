"""SessionPool: the sessions of one token, opened when first needed, lent to one thread at a time, first come first served.

It holds the token's login (login.py) for as long as it lives. It leaves to ladder.py what is done about a call that failed
in a session.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pkcs11

from hsm.errors import SessionUnavailable, StoreClosed, TokenFailed
from hsm.login import LoginTurns, OnEvent, OpenToken, TokenLogin
from hsm.module import handle_of
from hsm.pin import PinSource
from hsm.rv import Rung, Scene, name_of, rung_of, to_hsm_error

# A pool that the token made smaller tries one session more after this time, and after each refusal twice as late.
GROW_SECONDS = 5.0
_LONGEST_GROW_SECONDS = 300.0
# How long to wait before asking again a token whose every session others hold: from, to.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0


@dataclass(eq=False)
class WorkSession:
    """A lent session and the key handles it has found, by public key. Handles of an older epoch than the pool's mean nothing.

    `login` is the login that was in force when it was lent.
    """

    session: pkcs11.Session
    epoch: int
    generation: int
    keys: dict[bytes, pkcs11.Object] = field(default_factory=dict)
    login: int = 0


class _Turn:
    """A place in the queue. Granted with a session, or with leave to open one, or with neither when the pool closes."""

    def __init__(self) -> None:
        self.granted = False
        self.work: WorkSession | None = None
        self.may_open = False
        self.grows = False
        # A bare lock: threading.Event takes three of them, and a busy pool makes a turn for each signature.
        self._wait = threading.Lock()
        self._wait.acquire()

    def grant(self) -> None:
        """To be called once, with the pool's lock held."""
        self.granted = True
        self._wait.release()

    def wait(self, seconds: float) -> bool:
        """Whether it was granted in time."""
        return self._wait.acquire(timeout=seconds)


class SessionPool:
    """Sessions of the token labelled `token_label`. Building it touches nothing; `take` opens what is needed."""

    def __init__(
        self,
        module_path: Path,
        token_label: str,
        pin: PinSource,
        *,
        max_sessions: int,
        wait_seconds: float,
        on_event: OnEvent | None = None,
        grow_seconds: float = GROW_SECONDS,
        turns: LoginTurns | None = None,
    ) -> None:
        if max_sessions < 1:
            raise ValueError("a pool needs at least one session")
        self.login = TokenLogin(module_path, token_label, pin, on_event, turns)
        self.calls, self.on_event = self.login.calls, self.login.on_event  # waiting for a turn is no call
        self.wait_seconds = wait_seconds
        # Everything below is guarded by this lock; no call to the token is made while it is held.
        self._lock = threading.Lock()
        self._returned = threading.Condition(self._lock)
        self._idle: list[WorkSession] = []  # the last one back is lent first: its handles are warm
        self._queue: deque[_Turn] = deque()
        self._holders: dict[int, WorkSession] = {}  # by session handle: a token may use a number again
        self._count = 0
        self._limit = self._wanted = max_sessions
        self._is_bounded = False
        self._first_grow_seconds = self._grow_seconds = grow_seconds
        self._grow_at = 0.0
        self._epoch = self._generation = 0
        self._closed = self._logged_out = False

    @property
    def sessions_open(self) -> int:
        """Sessions this pool holds, the one that logged in among them."""
        with self._lock:
            return self._count + (0 if self.login.opened is None or self._logged_out else 1)

    @property
    def limit(self) -> int:
        """How many sessions it makes do with at present."""
        return self._limit

    @property
    def has_room(self) -> bool:
        """Whether whoever comes now will hardly have to wait: a session is idle, or may be opened."""
        return not self._queue and (bool(self._idle) or self._count < self._limit)

    def scene(self, operation: str, mechanism: str = "") -> Scene:
        """What errors of this pool's token name."""
        return Scene(
            str(self.login.module_path), self.login.token_label, operation, limit=self._limit, mechanism=mechanism
        )

    def open_token(self) -> OpenToken:
        """The token, logged in to now or before."""
        if self._closed:
            raise _closed()
        opened = self.login.open()
        if not self._is_bounded:
            self._bound(opened.session_limit)
        return opened

    def take(self, deadline: float) -> WorkSession:
        """A session for this thread until it gives it back; SessionUnavailable when none came free before the deadline."""
        self.open_token().module.check_process()
        with self._lock:
            if self._idle and not self._queue and not self._closed:
                work = self._refreshed(self._idle.pop())
                self.calls.beat()
                return work
        return self._take_in_turn(deadline)

    def give_back(self, work: WorkSession, *, sound: bool) -> None:
        """End a loan. A session that is not sound is closed, and its place given to whoever waits."""
        self.calls.end()
        self._return(work, sound=sound)

    def raise_epoch(self) -> None:
        """Let every session forget its handles before it is lent again."""
        with self._lock:
            self._epoch += 1

    def drop_idle(self) -> None:
        """Close the sessions that nobody uses, and those that are lent when they come back: the token has dropped one."""
        with self._lock:
            idle, self._idle = self._idle, []
            self._generation += 1
        for work in idle:
            self._discard(work)

    def shrink(self, rv: str) -> None:
        """The token has no room for so many: make do with one fewer until it does."""
        with self._lock:
            limit = self._shrink_to(min(self._limit - 1, self._count))
        self._tell_shrunk(limit, rv)

    def keep_alive(self) -> None:
        """Use the login's session and every idle one; replace a lost login, drop what the token has dropped."""
        if self._closed or self.login.opened is None:
            return
        module = self.open_token().module
        module.check_process()
        seen = self.login.generation()
        with self.calls.running():
            is_logged_in = self._is_alive(self.login.touch)
        if not is_logged_in:
            self.login.renew(seen)
            self.raise_epoch()
        with self._lock:
            idle = self._idle[::-1]
        for work in idle:
            with self._lock:
                if work not in self._idle:
                    continue
                self._idle.remove(work)
            sound = False
            try:
                with self.calls.running():
                    sound = self._is_alive(partial(module.touch, work.session))
            finally:
                self._return(work, sound=sound, last=False)
            if not sound:
                self.on_event("session.dropped", {"operation": "keep-alive"})

    def close(self) -> None:
        """Close the sessions, wait for those that are lent, log out. In a forked child nothing is touched."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for turn in self._queue:
                turn.grant()
            self._queue.clear()
        opened = self.login.opened
        if opened is None:
            return
        try:
            opened.module.check_process()
        except TokenFailed:
            return
        self.drop_idle()
        with self._lock:
            self._returned.wait_for(lambda: self._count == 0, timeout=self.wait_seconds)
            self._logged_out = True
        self.login.close()

    def _bound(self, session_limit: int | None) -> None:
        """Want no more sessions than the token allows."""
        with self._lock:
            if session_limit is not None and not self._is_bounded:
                self._wanted = max(1, min(self._wanted, session_limit - 1))  # one is the login's
                self._limit = min(self._limit, self._wanted)
            self._is_bounded = True

    def _is_alive(self, touch: Callable[[], bool]) -> bool:
        try:
            return touch()
        except pkcs11.PKCS11Error as error:
            if rung_of(error) is None:
                rv = name_of(error) or ""
                self.on_event("token.failed", {"operation": "keep-alive", "rv": rv})
                raise to_hsm_error(error, self.scene("keep-alive")) from error
            return False

    def _take_in_turn(self, deadline: float) -> WorkSession:
        while True:
            turn = self._queue_up()
            if not turn.wait(max(0.0, deadline - time.monotonic())) and not self._granted_after_all(turn):
                raise SessionUnavailable("no session came free in time", limit=str(self._limit))
            self.calls.beat()
            work = turn.work
            if work is None:
                if not turn.may_open:
                    self.calls.end()
                    raise _closed()
                try:
                    work = self._open_session(turn, deadline)
                finally:
                    if work is None:
                        self.calls.end()
            if work is not None:
                return work

    def _queue_up(self) -> _Turn:
        turn = _Turn()
        with self._lock:
            if self._closed:
                raise _closed()
            if not self._queue and self._idle:
                turn.work = self._refreshed(self._idle.pop())
                turn.grant()
                return turn
            self._queue.append(turn)
            if self._count < self._limit:
                self._pass_on()
            elif self._limit < self._wanted and time.monotonic() >= self._grow_at:
                self._limit += 1
                self._grow_at = time.monotonic() + self._grow_seconds
                self._queue[0].grows = True
                self._pass_on()
        return turn

    def _granted_after_all(self, turn: _Turn) -> bool:
        """The grant may have come between the end of the wait and now; if not, the place in the queue is given up."""
        with self._lock:
            if turn.granted:
                return True
            self._queue.remove(turn)
            return False

    def _open_session(self, turn: _Turn, deadline: float) -> WorkSession | None:
        """A new session in the place that was counted for it; None when the token has no room for so many."""
        opened = self.login.opened
        assert opened is not None  # a turn is granted only after open_token()
        pause = _FIRST_PAUSE
        while True:
            generation = self._generation
            try:
                session = opened.token.open(rw=True)
                break
            except pkcs11.PKCS11Error as error:
                if rung_of(error) is Rung.ROOM:
                    if self._gave_up_place(turn, name_of(error) or ""):
                        return None
                    # The token's sessions are all with other programs: wait for them, without spinning.
                    if time.monotonic() + pause < deadline and not self._closed:
                        self.calls.end()  # waiting is no call
                        time.sleep(pause)
                        self.calls.beat()
                        pause = min(2 * pause, _LONGEST_PAUSE)
                        continue
                else:
                    self.on_event("token.failed", {"operation": "C_OpenSession", "rv": name_of(error) or ""})
                with self._lock:
                    self._leave_place()
                raise to_hsm_error(error, self.scene("C_OpenSession")) from error
        work = WorkSession(session, self._epoch, generation)
        with self._lock:
            self._holders[handle_of(session)] = work
            if turn.grows:
                self._grow_seconds = self._first_grow_seconds
        if turn.grows:
            self.on_event("pool.grown", {"limit": str(self._limit)})
        return work

    def _gave_up_place(self, turn: _Turn, rv: str) -> bool:
        """Make do with the sessions that are there, if there are any besides the one that was refused."""
        with self._lock:
            if self._count <= 1:
                return False
            self._count -= 1
            limit = self._shrink_to(self._count)
            if turn.grows:
                self._grow_seconds = min(2 * self._grow_seconds, _LONGEST_GROW_SECONDS)
                self._grow_at = time.monotonic() + self._grow_seconds
            self._pass_on()
            self._returned.notify_all()
        if not turn.grows:  # a pool that stays as small as it was is no news
            self._tell_shrunk(limit, rv)
        return True

    def _shrink_to(self, limit: int) -> int | None:
        """Take a new limit and put growing off; None when it is no smaller than before. Called with the lock held."""
        limit = max(1, limit)
        self._grow_at = time.monotonic() + self._grow_seconds
        if limit >= self._limit:
            return None
        self._limit = limit
        return limit

    def _tell_shrunk(self, limit: int | None, rv: str) -> None:
        if limit is not None:
            self.on_event("pool.shrunk", {"limit": str(limit), "rv": rv})

    def _return(self, work: WorkSession, *, sound: bool, last: bool = True) -> None:
        with self._lock:
            # Not one of more than the token has room for, nor one whose number the token has given to another since.
            keep = sound and not self._closed and self._count <= self._limit
            keep = keep and work.generation == self._generation
            keep = keep and self._holders.get(handle_of(work.session)) is work
            if keep:
                if self._queue:
                    turn = self._queue.popleft()
                    turn.work = self._refreshed(work)
                    turn.grant()
                elif last:
                    self._idle.append(work)
                else:
                    self._idle.insert(0, work)
        if not keep:
            self._discard(work)

    def _discard(self, work: WorkSession) -> None:
        handle = handle_of(work.session)
        with self._lock:
            is_ours = self._holders.get(handle) is work
            if is_ours:
                del self._holders[handle]
        try:
            if is_ours:
                with suppress(pkcs11.PKCS11Error):  # it is dropped because it is broken
                    work.session.close()  # opened without a PIN, so this does not log out
        finally:
            with self._lock:
                self._leave_place()

    def _leave_place(self) -> None:
        """One session fewer. Called with the lock held."""
        self._count -= 1
        self._pass_on()
        self._returned.notify_all()

    def _pass_on(self) -> None:
        """Let the first of the queue open a session where there is room for one. Called with the lock held."""
        if self._queue and self._count < self._limit:
            turn = self._queue.popleft()
            self._count += 1
            turn.may_open = True
            turn.grant()

    def _refreshed(self, work: WorkSession) -> WorkSession:
        if work.epoch != self._epoch:
            work.keys.clear()
            work.epoch = self._epoch
        return work


def _closed() -> StoreClosed:
    return StoreClosed("the key store is closed")
