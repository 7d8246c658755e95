"""The keeper: holds the lock of the key process and its state socket, starts its lanes one after the other, and is their PIN rule.

It never loads a PKCS#11 module and never reads a PIN, so it answers for its state also while the token hangs. What becomes
of one token process is lane.py's. One loop, nothing in it blocks.
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
from typing import cast

from hsm.keyd.answering import Answering
from hsm.keyd.arguments import Arguments
from hsm.keyd.breaker import BreakerState
from hsm.keyd.child import Failure
from hsm.keyd.journal import Journal
from hsm.keyd.lane import Lane
from hsm.keyd.pin_refusal import Refusal, forget, identify, recall, remember
from hsm.keyd.places import LOCK, PIN_REFUSED, STATE_SOCKET, count_lanes, holds, socket_name
from hsm.keyd.sockets import ListeningSocket
from hsm.keyd.state import KeyState, Sessions
from hsm.wire import Op, done, failed, refused

_TICK_SECONDS = 0.25
_NOBODY_SECONDS = 60.0
_END_SECONDS = 3.0
_STANDARD_INPUT = 0


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
        self._refusal = recall(self._run / PIN_REFUSED)
        self._ending: _Ending | None = None
        self._started = self._checked = time.monotonic()
        # Nobody else shall find it: what is locked in it says whose turn it is to log in (pin_refusal.py).
        turns = os.memfd_create("antin-logins", os.MFD_CLOEXEC)
        arguments.turns = turns
        for number in range(arguments.processes, count_lanes(self._run)):  # of a keeper that was killed, and had more
            (self._run / socket_name(number)).unlink(missing_ok=True)
        self._lanes = [
            Lane(number, arguments, (lock, turns), self, self._selector, journal)
            for number in range(arguments.processes)
        ]
        self._states = ListeningSocket(self._run / STATE_SOCKET)
        self._answers = Answering(self._selector, self._answer_state)
        self._listen_for_signals()
        self._register(self._states.socket, self._accept_states)

    def run(self) -> int:
        """Until told to end."""
        self._journal.tell("keeper.started", module=self._arguments.module.name, token=self._arguments.token_label)
        self._lanes[0].spawn()
        while True:
            now = time.monotonic()
            ending = self._ending
            if ending is not None and (
                all(lane.child is None for lane in self._lanes) or now - ending.since > _END_SECONDS
            ):
                return self._finish(ending.code)
            # What a token process says comes first: a state that is asked for after it must know it.
            ready = self._selector.select(self._patience(now))
            links = {lane.child.link for lane in self._lanes if lane.child}
            for key, _ in sorted(ready, key=lambda each: each[0].fileobj not in links):
                if key.fd in self._selector.get_map():
                    cast(Callable[[], None], key.data)()
            self._tick(time.monotonic())

    # --- what lanes ask --------------------------------------------------------------------------------------------

    @property
    def is_ending(self) -> bool:
        return self._ending is not None

    def pin_in_the_way(self) -> Refusal | None:
        """The refusal of the PIN as its source is now. A real token locks itself after a few: no lane asks again."""
        refusal = self._refusal
        return refusal if refusal is not None and refusal.identity == identify(self._arguments.pin) else None

    def may_start(self, lane: Lane) -> bool:
        """Whether no other is being started: the next asks with a PIN that the one before it was let in with."""
        return self._ending is None and not any(each.is_starting for each in self._lanes if each is not lane)

    def serves_besides(self, lane: Lane) -> bool:
        return any(each.serves for each in self._lanes if each is not lane)

    def note_well(self) -> None:
        """A token process was let in: the token is there, and lanes that wait for it need not wait longer."""
        now = time.monotonic()
        for lane in self._lanes:
            lane.breaker.hurry(now)
        if self._refusal is not None:
            self._refusal = None
            forget(self._run / PIN_REFUSED)

    def note_token_gone(self, lane: Lane) -> None:
        """A token process that served has lost its token. The others may not have noticed, and would go on saying that all is well."""
        for each in self._lanes:
            if each is not lane:
                each.check_child()

    def note_refused_pin(self, failure: Failure) -> Refusal:
        """A token process was not."""
        identity = failure.pin or identify(self._arguments.pin) or (0, 0, 0)
        self._refusal = Refusal(identity, failure.code, failure.rv)
        remember(self._run / PIN_REFUSED, self._refusal)
        return self._refusal

    def end(self, code: int = 0) -> None:
        """Let no client in any more, and the lanes finish what they do."""
        if self._ending is not None:
            return
        self._ending = _Ending(time.monotonic(), code)
        # The names first: from now on a client finds nobody, and starts or waits for another.
        for each in (self._states, *(lane.keys for lane in self._lanes)):
            if each.is_there():
                with contextlib.suppress(OSError):
                    each.path.unlink()
        for lane in self._lanes:
            lane.end_child()

    # --- states ----------------------------------------------------------------------------------------------------

    def _accept_states(self) -> None:
        self._answers.accept(self._states.socket, time.monotonic())

    def _answer_state(self, op: Op) -> Sequence[bytes]:
        if op is Op.STEP_ASIDE:
            if self._arguments.ephemeral:
                self._journal.tell("keeper.steps-aside")
                self.end()
            return done({"ephemeral": self._arguments.ephemeral})
        if op is not Op.STATE:
            return failed(refused("not for the keeper"))
        return done(self._state().as_json())

    def _state(self) -> KeyState:
        now = time.monotonic()
        lanes = self._lanes
        told = tuple(lane.told() for lane in lanes)
        states = {each.state for each in told}
        serves = "ok" in states
        # The one that people should hear of: what is amiss where something is, and else the first.
        amiss = next(
            (lane for lane, each in zip(lanes, told, strict=True) if each.state not in {"ok", "starting"}), None
        )
        breaker = (amiss or lanes[0]).breaker
        is_degraded = amiss is not None if serves else "degraded" in states
        return KeyState(
            state="degraded" if is_degraded else "ok" if serves else "away",
            breaker=(BreakerState.CLOSED if serves else breaker.state).value,
            reason=breaker.reason,
            pid=told[0].pid,
            keeper_pid=os.getpid(),
            module=str(self._arguments.module),
            token=self._arguments.token_label,
            sessions=Sessions(
                sum(each.sessions.open for each in told),
                max((each.sessions.limit for each in told if each.sessions.limit is not None), default=None),
            ),
            counts=dict(self._journal.counts),
            since_seconds=round(now - max(lane.breaker.since for lane in lanes), 3),
            retry_after=0 if serves else breaker.retry_after(now),
            connections=sum(lane.connections for lane in lanes),
            ephemeral=self._arguments.ephemeral,
            processes=told,
        )

    def _check_sockets(self) -> None:
        """Somebody tidied up: make the sockets again. Without the lock that others would try, go: it protects nothing."""
        if not holds(self._lock, self._run / LOCK):
            self._journal.tell("lock.lost")
            self.end(code=1)
            return
        again = [(lane.keys, lane.bind_again) for lane in self._lanes] + [(self._states, self._bind_states_again)]
        for each, bind_again in again:
            if each.is_there():
                continue
            try:
                bind_again()
            except OSError as error:
                self._journal.tell("socket.lost", reason=type(error).__name__)
                self.end(code=1)
                return
            self._journal.tell("socket.restored", socket=each.path.name)

    def _bind_states_again(self) -> None:
        self._selector.unregister(self._states.socket)
        self._states.bind_again()
        self._register(self._states.socket, self._accept_states)

    # --- the loop --------------------------------------------------------------------------------------------------

    def _tick(self, now: float) -> None:
        for lane in self._lanes:
            lane.refusals.drop_silent(now)
        self._answers.drop_silent(now)
        if self._ending is not None:
            return
        checks = now - self._checked >= 0.5
        if checks:
            self._checked = now
            self._check_sockets()
        for lane in self._lanes:
            lane.tick(now, checks_pin=checks)
        if self._arguments.ephemeral and self._is_unused(now):
            self.end()

    def _is_unused(self, now: float) -> bool:
        """An ephemeral keeper whose clients were all refused. One that serves is told by its token process."""
        lane = self._lanes[0]
        if (lane.child is not None and lane.child.ready) or lane.refusals.connections:
            return False
        return lane.refusals.answered > 0 or now - self._started > _NOBODY_SECONDS

    def _patience(self, now: float) -> float:
        due = [lane.breaker.next_attempt for lane in self._lanes if lane.breaker.state is BreakerState.OPEN]
        return min(_TICK_SECONDS, max(0.01, min(due) - now)) if due else _TICK_SECONDS

    def _listen_for_signals(self) -> None:
        reading, writing = socket.socketpair()
        reading.setblocking(False)
        writing.setblocking(False)
        signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
        self._wakeup = writing
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.end())
        self._register(reading, lambda: self._swallow(reading))
        # Whoever started this keeper to stay holds the other end of its standard input, and takes it along when it dies.
        with contextlib.suppress(OSError):
            if not self._arguments.ephemeral and stat.S_ISFIFO(os.fstat(_STANDARD_INPUT).st_mode):
                self._selector.register(_STANDARD_INPUT, selectors.EVENT_READ, self._end_with_starter)

    def _end_with_starter(self) -> None:
        self._selector.unregister(_STANDARD_INPUT)
        self._journal.tell("keeper.left-alone")
        self.end()

    @staticmethod
    def _swallow(reading: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            reading.recv(64)

    def _finish(self, code: int) -> int:
        for lane in self._lanes:
            lane.close()
        self._answers.finish()
        self._states.close()
        self._journal.tell("keeper.ended")
        return code

    def _register(self, listener: socket.socket, callback: Callable[[], None]) -> None:
        self._selector.register(listener, selectors.EVENT_READ, callback)
