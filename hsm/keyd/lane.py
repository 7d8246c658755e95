"""Lane: one token process with a listening socket and a breaker of its own, as its keeper starts, hears and replaces it.

It leaves to the keeper what concerns the token as a whole: the lock, a refused PIN, the order of starts, and the end.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Sequence
from typing import Protocol

from hsm.errors import TokenAway, TokenMissing
from hsm.keyd.answering import Answering
from hsm.keyd.arguments import Arguments
from hsm.keyd.breaker import Breaker, BreakerState
from hsm.keyd.child import Failure, TokenChild
from hsm.keyd.journal import Journal
from hsm.keyd.pin_refusal import PIN_ERRORS, Refusal
from hsm.keyd.places import socket_name
from hsm.keyd.sockets import ListeningSocket
from hsm.keyd.state import ProcessState, Sessions
from hsm.wire import Op, failed

_SILENCE_SECONDS = 3.0  # six missed heartbeats
_IMPORT_SECONDS = 10.0  # what a busy machine may take until the token process does anything
# How long clients may wait in the socket's queue for a first or replaced token process before they are told to go away.
_GRACE_SECONDS = 5.0
# With these it comes back only when a person does something.
_DEGRADED = ("HSM_PIN_MISSING", "HSM_TOKEN_AMBIGUOUS")


class Owner(Protocol):
    """What a lane asks of its keeper."""

    @property
    def is_ending(self) -> bool: ...
    def pin_in_the_way(self) -> Refusal | None: ...
    def may_start(self, lane: Lane) -> bool: ...
    def serves_besides(self, lane: Lane) -> bool: ...
    def note_well(self) -> None: ...
    def note_token_gone(self, lane: Lane) -> None: ...
    def note_refused_pin(self, failure: Failure) -> Refusal: ...
    def end(self) -> None: ...


class Lane:
    """The `number`-th token process of a keeper, and those that take its place."""

    def __init__(
        self,
        number: int,
        arguments: Arguments,
        inherited: Sequence[int],
        owner: Owner,
        selector: selectors.BaseSelector,
        journal: Journal,
    ) -> None:
        self.number = number
        self._arguments = arguments.of_lane(number)
        self._inherited = inherited
        self._owner = owner
        self._selector = selector
        self._journal = journal
        now = time.monotonic()
        self.breaker = Breaker(now)
        self.keys = ListeningSocket(arguments.run_folder / socket_name(number))
        self.refusals = Answering(selector, self._refuse)
        self.child: TokenChild | None = None
        self._refusing = False
        self._was_started = False
        self._refusal: Refusal | None = None
        self._facts: dict[str, str] = {}  # of the last failure: which file, which module

    # --- the token process -----------------------------------------------------------------------------------------

    @property
    def is_starting(self) -> bool:
        return self.child is not None and not self.child.ready

    @property
    def serves(self) -> bool:
        return self.breaker.state is BreakerState.CLOSED

    def spawn(self) -> None:
        """Start a token process, unless the PIN that it would ask with was refused."""
        refusal = self._owner.pin_in_the_way()
        if refusal is not None:
            self.refuse_pin(refusal, known=True)
            return
        now = time.monotonic()
        self._was_started = True
        self.breaker.try_again(now)
        try:
            child = TokenChild(self._arguments, self.keys.socket, self._inherited, now)
        except OSError as error:
            self._open(type(error).__name__)
            return
        self.child = child
        self._tell("process.started", process=child.pid)
        self._selector.register(child.link, selectors.EVENT_READ, self._hear)
        self._selector.register(child.gone, selectors.EVENT_READ, self._reap)

    def end_child(self) -> None:
        """Ask it to finish, or end it where it does nothing yet."""
        if self.child is not None:
            if self.child.ready:
                self.child.tell_end()
            else:
                self.child.kill("end")

    def check_child(self) -> None:
        """Let it see whether the token is still there: nobody may ask it for a signature for long."""
        if self.child is not None and self.child.ready:
            self.child.tell_check()

    def close(self) -> None:
        """Nothing of the token process stays, and whoever waits is told."""
        if self.child is not None:
            self.child.kill("end")
            self.child.reap()
        self._unregister(self.keys.socket)
        self.refusals.finish()
        self.keys.close()

    def _hear(self) -> None:
        child = self.child
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
                self._tell(line["event"], **line["facts"])
            if "failed" in line and was_ready and child.failure and child.failure.code == TokenMissing.code:
                self._owner.note_token_gone(self)
            if line.get("ready"):
                self.breaker.close(time.monotonic())
                self._refusal = None
                self._owner.note_well()
                self._tell("breaker.closed", process=child.pid)
        if child.ready and not was_ready:
            self.refuse_or_serve(time.monotonic())

    def _reap(self) -> None:
        child = self.child
        if child is None:
            return
        self._hear()
        self.child = None
        self._unregister(child.link)
        self._selector.unregister(child.gone)
        reason = child.reap()
        if self._owner.is_ending:
            return
        if child.idle:
            self._owner.end()
            return
        self._tell("process.died", reason=reason, process=child.pid)
        failure = child.failure
        self._facts = failure.facts if failure else {}
        if failure is not None and failure.code in PIN_ERRORS:
            self.refuse_pin(self._owner.note_refused_pin(failure), known=False)
        else:
            self._open(failure.code if failure and not failure.rv else reason)

    def _watch(self, child: TokenChild, now: float) -> None:
        """Kill a token process that hangs, or says nothing, or does not get ready."""
        hang = self._arguments.hang_seconds
        if (not child.ready and now - child.started > hang + _IMPORT_SECONDS) or child.oldest_call > hang:
            self._kill(child, "process.hangs", "hang")
        elif now - child.last_heard > (_SILENCE_SECONDS if child.ready else _SILENCE_SECONDS + _IMPORT_SECONDS):
            self._kill(child, "process.silent", "silence")

    def _kill(self, child: TokenChild, event: str, reason: str) -> None:
        if not child.kill_reason:
            self._tell(event, reason=reason, process=child.pid, seconds=round(child.oldest_call, 1))
            child.kill(reason)

    # --- the breaker -----------------------------------------------------------------------------------------------

    def _open(self, reason: str) -> None:
        now = time.monotonic()
        delay = self.breaker.open(now, reason)
        self._tell("breaker.opened", reason=reason, seconds=round(delay, 2))
        if not delay and self._owner.may_start(self):
            self._half_open()

    def _half_open(self) -> None:
        self._tell("breaker.half-open", reason=self.breaker.reason)
        self.spawn()

    def refuse_pin(self, refusal: Refusal, *, known: bool) -> None:
        """The token refused the PIN: nothing is started until its source has changed."""
        self._refusal = refusal
        self.breaker.refuse_pin(time.monotonic(), refusal.rv or refusal.code)
        if known and self.number:
            return  # told by the lane that was refused, or by the first
        self._tell("breaker.pin", code=refusal.code, rv=refusal.rv, remembered=known or None)

    def _refuse(self, _op: Op) -> Sequence[bytes]:
        """What a client is told while there is nobody else to tell it."""
        breaker = self.breaker
        kind = PIN_ERRORS.get(self._refusal.code) if self._refusal else None
        if breaker.state is BreakerState.PIN and self._refusal and kind:
            told = "the token refused the PIN, and is not asked again until the PIN file changes"
            facts = {"token": self._arguments.token_label, "pin_file": str(self._arguments.pin)}
            return failed(kind(told, rv=self._refusal.rv, **facts))
        after = str(breaker.retry_after(time.monotonic()))
        away = TokenAway("the token is away", retry_after=after, reason=breaker.reason or "starting")
        away.facts = {**self._facts, **away.facts}
        return failed(away)

    def refuse_or_serve(self, now: float) -> None:
        """Refuse while the breaker is open, while another lane could serve, and while a start takes longer than clients should wait."""
        breaker = self.breaker
        grace = min(_GRACE_SECONDS, max(1.0, self._arguments.wait_seconds / 2))
        patient = breaker.failures <= 1 and now - breaker.since < grace and not self._owner.serves_besides(self)
        serving = self.serves or (breaker.state is BreakerState.HALF_OPEN and patient)
        if not self._owner.is_ending and not serving:
            if not self._refusing:
                self._refusing = True
                self._selector.register(self.keys.socket, selectors.EVENT_READ, self._accept_refused)
        elif self._refusing:
            self._refusing = False
            self._unregister(self.keys.socket)
            self.refusals.finish()

    def _accept_refused(self) -> None:
        self.refusals.accept(self.keys.socket, time.monotonic())

    # --- what the keeper does with it ------------------------------------------------------------------------------

    def tick(self, now: float, *, checks_pin: bool) -> None:
        """What time brings: a process that hangs, the end of a pause, a mended PIN."""
        if self.child is not None:
            self._watch(self.child, now)
        elif self._owner.may_start(self):
            if not self._was_started and self.breaker.state is BreakerState.HALF_OPEN:
                self.spawn()
            elif self.breaker.is_due(now) or (
                checks_pin and self.breaker.state is BreakerState.PIN and self._owner.pin_in_the_way() is None
            ):
                self._half_open()
        self.refuse_or_serve(now)

    def bind_again(self) -> None:
        """A new socket in place of one whose name has gone. OSError when there can be none."""
        registered = self._unregister(self.keys.socket)
        self.keys.bind_again()
        if registered:
            self._selector.register(self.keys.socket, selectors.EVENT_READ, self._accept_refused)
        if self.child is not None:
            self.child.hand_over(self.keys.socket)

    def told(self) -> ProcessState:
        """How it is doing. One that has not failed yet is on its way, which is no trouble."""
        breaker, child = self.breaker, self.child
        if self.serves:
            state = "ok"
        elif breaker.state is BreakerState.PIN or breaker.reason in _DEGRADED:
            state = "degraded"
        elif breaker.state is BreakerState.HALF_OPEN and not breaker.reason:
            state = "starting"
        else:
            state = "away"
        return ProcessState(
            child.pid if child else None, state, breaker.state.value, child.sessions if child else Sessions()
        )

    @property
    def connections(self) -> int:
        return (self.child.connections if self.child else 0) + self.refusals.connections

    def _tell(self, event: str, **facts: object) -> None:
        self._journal.tell(event, **facts, lane=self.number if self._arguments.processes > 1 else None)

    def _unregister(self, listener: socket.socket) -> bool:
        try:
            self._selector.unregister(listener)
        except (KeyError, ValueError):
            return False
        return True
