"""The keeper: holds lock and sockets of the key process, watches the token process, replaces it, and is its breaker.

It never loads a PKCS#11 module and never reads a PIN, so it answers for its state also while the token hangs. One loop,
nothing in it blocks.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import socket
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from hsm.errors import HSMError, PinLocked, PinWrong, TokenAway
from hsm.keyd.answering import Answering
from hsm.keyd.arguments import Arguments
from hsm.keyd.breaker import Breaker, BreakerState
from hsm.keyd.child import TokenChild
from hsm.keyd.journal import Journal
from hsm.keyd.pin_refusal import Refusal, forget, identify, recall, remember
from hsm.keyd.places import LOCK, PIN_REFUSED, SOCKET, STATE_SOCKET, holds
from hsm.keyd.sockets import ListeningSocket
from hsm.keyd.state import KeyState, Sessions
from hsm.wire import Op, done, failed, refused

_TICK_SECONDS = 0.25
_SILENCE_SECONDS = 3.0  # six missed heartbeats
_IMPORT_SECONDS = 10.0  # what a busy machine may take until the token process does anything
# How long clients may wait in the sockets' queue for a first or replaced token process before they are told to go away.
_GRACE_SECONDS = 5.0
_NOBODY_SECONDS = 60.0
_END_SECONDS = 3.0
_STANDARD_INPUT = 0
_PIN_ERRORS: dict[str, type[HSMError]] = {kind.code: kind for kind in (PinWrong, PinLocked)}
# With these it comes back only when a person does something.
_DEGRADED = ("HSM_PIN_MISSING", "HSM_TOKEN_AMBIGUOUS")


@dataclass
class _Ending:
    """The keeper is on its way out."""

    since: float
    code: int = 0


class Keeper:
    """One keeper. `run` returns its exit code."""

    def __init__(self, arguments: Arguments, lock: int, journal: Journal) -> None:
        self._arguments = arguments
        self._lock = lock
        self._journal = journal
        self._run = arguments.run_folder
        self._selector = selectors.DefaultSelector()
        now = time.monotonic()
        self._started = now
        self._breaker = Breaker(now)
        self._keys = ListeningSocket(self._run / SOCKET)
        self._states = ListeningSocket(self._run / STATE_SOCKET)
        self._refusals = Answering(self._selector, self._refuse)
        self._answers = Answering(self._selector, self._answer_state)
        self._refusing = False
        self._child: TokenChild | None = None
        self._refusal = recall(self._run / PIN_REFUSED)
        self._tried_pin = identify(arguments.pin)
        self._facts: dict[str, str] = {}  # of the last failure: which file, which module
        self._ending: _Ending | None = None
        self._checked = now
        self._listen_for_signals()
        self._register(self._states.socket, self._accept_states)

    def run(self) -> int:
        """Until told to end."""
        self._journal.tell("keeper.started", module=self._arguments.module.name, token=self._arguments.token_label)
        if self._refusal is not None and self._refusal.identity == self._tried_pin:
            self._refuse_pin(self._refusal, known=True)
        else:
            self._spawn()
        while True:
            now = time.monotonic()
            if self._ending is not None and (self._child is None or now - self._ending.since > _END_SECONDS):
                return self._finish(self._ending.code)
            # What the token process says comes first: a state that is asked for after it must know it.
            ready = self._selector.select(self._patience(now))
            for key, _ in sorted(ready, key=lambda each: each[0].fileobj is not self._link()):
                if key.fd in self._selector.get_map():
                    cast(Callable[[], None], key.data)()
            self._tick(time.monotonic())

    # --- the token process -----------------------------------------------------------------------------------------

    def _spawn(self) -> None:
        now = time.monotonic()
        self._tried_pin = identify(self._arguments.pin)
        self._breaker.try_again(now)
        try:
            child = TokenChild(self._arguments, self._keys.socket, self._lock, now)
        except OSError as error:
            self._open(type(error).__name__)
            return
        self._child = child
        self._journal.tell("process.started", process=child.pid)
        self._register(child.link, self._hear)
        self._selector.register(child.gone, selectors.EVENT_READ, self._reap)

    def _hear(self) -> None:
        child = self._child
        if child is None:
            return
        was_ready = child.ready
        told = child.hear()
        if told:
            child.last_heard = time.monotonic()
        if child.is_silent:
            self._unregister(child.link)  # `gone` follows
        for line in told:
            if "event" in line:
                self._journal.tell(line["event"], **line["facts"])
                if line["event"] == "pin.refused":
                    # The file that was read, which may be another than when the process was started.
                    self._tried_pin = identify(self._arguments.pin)
            if line.get("ready"):
                self._breaker.close(time.monotonic())
                self._forget_refusal()
                self._journal.tell("breaker.closed", process=child.pid)
        if child.ready and not was_ready:
            self._refuse_or_serve(time.monotonic())

    def _reap(self) -> None:
        child = self._child
        if child is None:
            return
        self._hear()
        self._child = None
        self._unregister(child.link)
        self._selector.unregister(child.gone)
        reason = child.reap()
        if self._ending is not None:
            return
        if child.idle:
            self._end()
            return
        self._journal.tell("process.died", reason=reason, process=child.pid)
        self._facts = child.failure.facts if child.failure else {}
        if child.failure is not None and child.failure.code in _PIN_ERRORS:
            refusal = Refusal(self._tried_pin or (0, 0, 0), child.failure.code, child.failure.rv)
            remember(self._run / PIN_REFUSED, refusal)
            self._refuse_pin(refusal, known=False)
        else:
            self._open(child.failure.code if child.failure and not child.failure.rv else reason)

    def _watch(self, child: TokenChild, now: float) -> None:
        """Kill a token process that hangs, or says nothing, or does not get ready."""
        hang = self._arguments.hang_seconds
        if (not child.ready and now - child.started > hang + _IMPORT_SECONDS) or child.oldest_call > hang:
            self._kill(child, "process.hangs", "hang")
        elif now - child.last_heard > (_SILENCE_SECONDS if child.ready else _SILENCE_SECONDS + _IMPORT_SECONDS):
            self._kill(child, "process.silent", "silence")

    def _kill(self, child: TokenChild, event: str, reason: str) -> None:
        if not child.kill_reason:
            self._journal.tell(event, reason=reason, process=child.pid, seconds=round(child.oldest_call, 1))
            child.kill(reason)

    # --- the breaker -----------------------------------------------------------------------------------------------

    def _open(self, reason: str) -> None:
        now = time.monotonic()
        delay = self._breaker.open(now, reason)
        self._journal.tell("breaker.opened", reason=reason, seconds=round(delay, 2))
        if not delay:
            self._half_open()

    def _half_open(self) -> None:
        self._journal.tell("breaker.half-open", reason=self._breaker.reason)
        self._spawn()

    def _refuse_pin(self, refusal: Refusal, *, known: bool) -> None:
        self._refusal = refusal
        self._breaker.refuse_pin(time.monotonic(), refusal.rv or refusal.code)
        self._journal.tell("breaker.pin", code=refusal.code, rv=refusal.rv, remembered=known or None)

    def _forget_refusal(self) -> None:
        if self._refusal is not None:
            self._refusal = None
            forget(self._run / PIN_REFUSED)

    def _refuse(self, _op: Op) -> Sequence[bytes]:
        """What a client is told while there is nobody else to tell it."""
        breaker = self._breaker
        kind = _PIN_ERRORS.get(self._refusal.code) if self._refusal else None
        if breaker.state is BreakerState.PIN and self._refusal and kind:
            told = "the token refused the PIN, and is not asked again until the PIN file changes"
            return failed(kind(told, rv=self._refusal.rv, token=self._arguments.token_label))
        after = str(breaker.retry_after(time.monotonic()))
        away = TokenAway("the token is away", retry_after=after, reason=breaker.reason or "starting")
        away.facts = {**self._facts, **away.facts}
        return failed(away)

    def _refuse_or_serve(self, now: float) -> None:
        """Refuse while the breaker is open, and while a new token process takes longer than clients should wait."""
        breaker = self._breaker
        first = breaker.failures <= 1
        grace = min(_GRACE_SECONDS, max(1.0, self._arguments.wait_seconds / 2))
        patient = first and now - breaker.since < grace
        serving = breaker.state is BreakerState.CLOSED or (breaker.state is BreakerState.HALF_OPEN and patient)
        if self._ending is None and not serving:
            if not self._refusing:
                self._refusing = True
                self._register(self._keys.socket, self._accept_refused)
        elif self._refusing:
            self._refusing = False
            self._unregister(self._keys.socket)
            self._refusals.finish()

    # --- sockets and states ----------------------------------------------------------------------------------------

    def _accept_refused(self) -> None:
        self._refusals.accept(self._keys.socket, time.monotonic())

    def _accept_states(self) -> None:
        self._answers.accept(self._states.socket, time.monotonic())

    def _answer_state(self, op: Op) -> Sequence[bytes]:
        if op is Op.STEP_ASIDE:
            if self._arguments.ephemeral:
                self._journal.tell("keeper.steps-aside")
                self._end()
            return done({"ephemeral": self._arguments.ephemeral})
        if op is not Op.STATE:
            return failed(refused("not for the keeper"))
        return done(self._state().as_json())

    def _state(self) -> KeyState:
        breaker, now = self._breaker, time.monotonic()
        child = self._child
        well = breaker.state is BreakerState.CLOSED
        degraded = breaker.state is BreakerState.PIN or breaker.reason in _DEGRADED
        return KeyState(
            state="ok" if well else "degraded" if degraded else "away",
            breaker=breaker.state.value,
            reason=breaker.reason,
            pid=child.pid if child else None,
            keeper_pid=os.getpid(),
            module=str(self._arguments.module),
            token=self._arguments.token_label,
            sessions=child.sessions if child else Sessions(),
            counts=dict(self._journal.counts),
            since_seconds=round(now - breaker.since, 3),
            retry_after=0 if well else breaker.retry_after(now),
            connections=(child.connections if child else 0) + self._refusals.connections,
            ephemeral=self._arguments.ephemeral,
        )

    def _check_sockets(self) -> None:
        """Somebody tidied up: make the sockets again. Without the lock that others would try, go: it protects nothing."""
        if not holds(self._lock, self._run / LOCK):
            self._journal.tell("lock.lost")
            self._end(code=1)
            return
        for each, callback in ((self._keys, self._accept_refused), (self._states, self._accept_states)):
            if each.is_there():
                continue
            registered = self._unregister(each.socket)
            try:
                each.bind_again()
            except OSError as error:
                self._journal.tell("socket.lost", reason=type(error).__name__)
                self._end(code=1)
                return
            self._journal.tell("socket.restored", socket=each.path.name)
            if registered:
                self._register(each.socket, callback)
            if each is self._keys and self._child is not None:
                self._child.hand_over(each.socket)

    # --- the loop --------------------------------------------------------------------------------------------------

    def _tick(self, now: float) -> None:
        self._refusals.drop_silent(now)
        self._answers.drop_silent(now)
        if self._ending is not None:
            return
        if self._child is not None:
            self._watch(self._child, now)
        elif self._breaker.is_due(now):
            self._half_open()
        if now - self._checked >= 0.5:
            self._checked = now
            self._check_sockets()
            if self._breaker.state is BreakerState.PIN and identify(self._arguments.pin) != self._tried_pin:
                self._half_open()
        self._refuse_or_serve(now)
        if self._arguments.ephemeral and self._is_unused(now):
            self._end()

    def _is_unused(self, now: float) -> bool:
        """An ephemeral keeper whose clients were all refused. One that serves is told by its token process."""
        if (self._child is not None and self._child.ready) or self._refusals.connections:
            return False
        return self._refusals.answered > 0 or now - self._started > _NOBODY_SECONDS

    def _patience(self, now: float) -> float:
        if self._breaker.state is BreakerState.OPEN:
            return min(_TICK_SECONDS, max(0.0, self._breaker.next_attempt - now))
        return _TICK_SECONDS

    def _listen_for_signals(self) -> None:
        reading, writing = socket.socketpair()
        reading.setblocking(False)
        writing.setblocking(False)
        signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        self._wakeup = writing
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._end())
        self._register(reading, lambda: self._swallow(reading))
        # Whoever started this keeper to stay holds the other end of its standard input, and takes it along when it dies.
        with contextlib.suppress(OSError):
            if not self._arguments.ephemeral and stat.S_ISFIFO(os.fstat(_STANDARD_INPUT).st_mode):
                self._selector.register(_STANDARD_INPUT, selectors.EVENT_READ, self._end_with_starter)

    def _end_with_starter(self) -> None:
        self._selector.unregister(_STANDARD_INPUT)
        self._journal.tell("keeper.left-alone")
        self._end()

    @staticmethod
    def _swallow(reading: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            reading.recv(64)

    def _end(self, code: int = 0) -> None:
        if self._ending is not None:
            return
        self._ending = _Ending(time.monotonic(), code)
        # The names first: from now on a client finds nobody, and starts or waits for another.
        for each in (self._keys, self._states):
            if each.is_there():
                with contextlib.suppress(OSError):
                    each.path.unlink()
        if self._child is not None:
            if self._child.ready:
                self._child.tell_end()
            else:
                self._child.kill("end")

    def _finish(self, code: int) -> int:
        child = self._child
        if child is not None:
            child.kill("end")
            child.reap()
        self._unregister(self._keys.socket)
        self._refusals.finish()
        self._answers.finish()
        self._keys.close()
        self._states.close()
        self._journal.tell("keeper.ended")
        return code

    def _link(self) -> Any:
        return self._child.link if self._child else None

    def _register(self, listener: socket.socket, callback: Callable[[], None]) -> None:
        self._selector.register(listener, selectors.EVENT_READ, callback)

    def _unregister(self, listener: socket.socket) -> bool:
        try:
            self._selector.unregister(listener)
        except (KeyError, ValueError):
            return False
        return True
