"""TokenLogin: one token, found and logged in to when it is first needed, and logged in again when its login is lost.

It asks with a refused PIN never again. It leaves sessions for work to sessions.py.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pkcs11

from hsm.errors import HSMError, PinLocked, PinWrong
from hsm.module import Module, load_module
from hsm.pin import PinSource, check_pin_source, read_pin
from hsm.rv import Scene, translated

OnEvent = Callable[[str, dict[str, str]], None]


def _unheard(_name: str, _facts: dict[str, str]) -> None:
    """What becomes of events that nobody asked for."""


class Calls:
    """The calls to the token in flight, one a thread, and how long each has not got on."""

    def __init__(self) -> None:
        self._begun: dict[int, float] = {}

    def beat(self) -> None:
        """The call of this thread begins now, or has just got on."""
        self._begun[threading.get_ident()] = time.monotonic()

    def end(self) -> None:
        """The call of this thread is over."""
        self._begun.pop(threading.get_ident(), None)

    @contextmanager
    def running(self) -> Iterator[None]:
        self.beat()
        try:
            yield
        finally:
            self.end()

    def oldest_seconds(self) -> float:
        begun = list(self._begun.values())
        return max(0.0, time.monotonic() - min(begun)) if begun else 0.0


@dataclass(frozen=True)
class OpenToken:
    """The token after login, with what was asked of it once."""

    module: Module
    token: pkcs11.Token
    mechanisms: frozenset[int]
    session_limit: int | None


class LoginTurns(Protocol):
    """Logins one after the other, where several processes use one token: it counts the wrong PINs of all together."""

    def turn(self) -> AbstractContextManager[None]: ...
    def check(self) -> None: ...
    def note_refused(self, error: HSMError) -> None: ...


class _Alone:
    """The turns of a process that is alone with its token."""

    def turn(self) -> AbstractContextManager[None]:
        return nullcontext()

    def check(self) -> None:
        return

    def note_refused(self, error: HSMError) -> None:  # noqa: ARG002 nobody else would ask again
        return


class TokenLogin:
    """The login to the token labelled `token_label`. Building it touches nothing."""

    def __init__(
        self,
        module_path: Path,
        token_label: str,
        pin: PinSource,
        on_event: OnEvent | None,
        turns: LoginTurns | None = None,
    ) -> None:
        self.module_path = module_path
        self.token_label = token_label
        self.on_event: OnEvent = _unheard if on_event is None else on_event
        self.calls = Calls()
        self._pin = pin
        self._turns: LoginTurns = _Alone() if turns is None else turns
        self._opening = threading.Lock()
        self._open: OpenToken | None = None
        self._pin_refused: Callable[[], HSMError] | None = None

    @property
    def opened(self) -> OpenToken | None:
        """The token if it was opened before; nothing is touched to tell."""
        return self._open

    def open(self) -> OpenToken:
        """Load the module, find the token and log in, once; every later call only answers."""
        if self._pin_refused is not None:
            raise self._pin_refused()
        if self._open is not None:
            return self._open
        with self._opening:
            if self._open is None:
                if self._pin_refused is not None:
                    raise self._pin_refused()
                # Waiting for a turn is no call to the token.
                with self._turns.turn(), self.calls.running():
                    self._open = self._log_in()
        return self._open

    def generation(self) -> int:
        """Which login a call relies on, for `renew`."""
        opened = self._open
        return 0 if opened is None else opened.module.login_generation(opened.token)

    def is_in_force(self, session: pkcs11.Session, seen: int) -> bool:
        """Whether the session's user is logged in, and nobody has had to log in again since `generation` was seen."""
        opened = self.open()
        return opened.module.is_login_in_force(opened.token, session, seen)

    def renew(self, seen: int) -> None:
        """Log in again, once for all threads that saw the same login lost."""
        opened = self.open()
        with self._turns.turn():
            try:
                with self.calls.running():
                    renewed = opened.module.renew_login(opened.token, self._pin_to_ask_with, seen)
            except (PinWrong, PinLocked) as error:
                self._remember_refusal(error)
                raise
        if renewed:
            self.on_event("login.renewed", {"token": self.token_label})

    def touch(self) -> bool:
        """Use the session that holds the login; False when nobody is logged in any more. For the owner of the pool."""
        opened = self.open()
        return opened.module.touch_login(opened.token)

    def close(self) -> None:
        """Log out, if this is the last of the process to rely on the login."""
        with self._opening:
            opened = self._open
        if opened is not None:
            opened.module.release_login(opened.token)

    def _log_in(self) -> OpenToken:
        module = load_module(self.module_path)
        token = module.find_token(self.token_label)
        with translated(Scene(str(self.module_path), self.token_label, "C_GetMechanismList")):
            mechanisms = frozenset(int(mechanism) for mechanism in token.slot.get_mechanisms())
        session_limit = module.session_limit(token)
        check_pin_source(self._pin)
        try:
            self._turns.check()
            module.log_in(token, read_pin(self._pin))
        except (PinWrong, PinLocked) as error:
            self._remember_refusal(error)
            raise
        return OpenToken(module, token, mechanisms, session_limit)

    def _pin_to_ask_with(self) -> str:
        # Asked while the login's lock is held: whoever waited for it finds out here that the PIN was refused meanwhile.
        if self._pin_refused is not None:
            raise self._pin_refused()
        self._turns.check()
        return read_pin(self._pin)

    def _remember_refusal(self, error: PinWrong | PinLocked) -> None:
        # Whoever has to mend it wants to know which file is meant.
        error.facts |= {"token": self.token_label, "pin_file": str(self._pin)}
        # A real token locks itself after a few tries: it is never asked again from here, whatever the file says later.
        if self._pin_refused is not None:
            return
        self._turns.note_refused(error)
        kind, rv = type(error), error.rv
        self._pin_refused = lambda: kind(
            "the PIN was refused before", rv=rv, token=self.token_label, pin_file=str(self._pin)
        )
        self.on_event("pin.refused", {"token": self.token_label, "rv": rv or ""})
