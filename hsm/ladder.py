"""The inner ladder: what is done about a call that failed in a session, before anybody hears of it.

Each rung is climbed once for a call; what stands on no rung leaves as its HSMError. Trying again is safe because what is
done was fixed before: the same octets are signed, the same object is looked for. Replacing the process, when a failure
is fatal for it (rv.is_fatal), is left to the key process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import pkcs11

from hsm.errors import HSMError, MechanismUnavailable, SessionUnavailable
from hsm.rv import Rung, name_of, rung_of, to_hsm_error
from hsm.sessions import SessionPool, WorkSession

Answer = TypeVar("Answer")

# A session that had no memory left gets a moment before another is asked.
_ROOM_PAUSE = 0.05


class Ladder:
    """Runs acts in sessions of a pool."""

    def __init__(self, pool: SessionPool) -> None:
        self._pool = pool

    def run(
        self,
        act: Callable[[WorkSession], Answer],
        operation: str,
        mechanism: str = "",
        deadline: float | None = None,
    ) -> Answer:
        """The answer of an act in a lent session. `operation` and `mechanism` are what an error names; `deadline`, on the monotonic
        clock, ends the wait for a session earlier than the pool's own limit.

        A session whose act failed is dropped, unless the failure was a refusal of ours that the token had no part in.
        """
        pool = self._pool
        if deadline is None:
            deadline = time.monotonic() + pool.wait_seconds
        climbed: set[Rung] | None = None
        while True:
            work = pool.take(deadline)
            work.login = pool.login.generation()
            sound = False
            try:
                answer = act(work)
                sound = True
                return answer  # noqa: TRY300 the loop is for the other ends
            except pkcs11.PKCS11Error as error:
                rung = rung_of(error)
                climbed = climbed or set()
                if rung is None or rung in climbed:
                    self._tell_failed(error, operation)
                    raise to_hsm_error(error, pool.scene(operation, mechanism)) from error
                climbed.add(rung)
                failed = name_of(error) or ""
                sound = rung is Rung.LOGIN  # the session is well, only nobody is logged in
            except HSMError as error:
                sound = error.rv is None  # the token had no part in it
                raise
            finally:
                pool.give_back(work, sound=sound)
            self._climb(rung, work.login, failed, operation, deadline)

    @contextmanager
    def session(self, operation: str, mechanism: str = "") -> Iterator[WorkSession]:
        """A lent session for an act that is never tried twice."""
        pool = self._pool
        work = pool.take(time.monotonic() + pool.wait_seconds)
        sound = False
        try:
            yield work
            sound = True
        except pkcs11.PKCS11Error as error:
            self._tell_failed(error, operation)
            raise to_hsm_error(error, pool.scene(operation, mechanism)) from error
        except HSMError as error:
            sound = error.rv is None
            raise
        finally:
            pool.give_back(work, sound=sound)

    def _climb(self, rung: Rung, login: int, rv: str, operation: str, deadline: float) -> None:
        pool, facts = self._pool, {"rv": rv, "operation": operation}
        if rung is Rung.LOGIN:
            self._renew_login(login, deadline)
            pool.raise_epoch()
            return
        pool.on_event("session.dropped", facts)
        if rung is Rung.SESSIONS:
            pool.drop_idle()
        if rung in {Rung.SESSIONS, Rung.HANDLES}:
            pool.raise_epoch()
            pool.on_event("handles.forgotten", facts)
        if rung is Rung.ROOM:
            pool.shrink(rv)
            time.sleep(max(0.0, min(_ROOM_PAUSE, deadline - time.monotonic())))

    def _renew_login(self, seen: int, deadline: float) -> None:
        """A new login needs a session: where the token has no room for one, those that are idle make room."""
        pool = self._pool
        while True:
            try:
                pool.login.renew(seen)
            except SessionUnavailable as error:
                pool.drop_idle()
                pool.shrink(error.rv or "")
                if time.monotonic() + _ROOM_PAUSE >= deadline:
                    raise
                time.sleep(_ROOM_PAUSE)
            else:
                return

    def _tell_failed(self, error: pkcs11.PKCS11Error, operation: str) -> None:
        told = to_hsm_error(error, self._pool.scene(operation, operation))
        if not isinstance(told, MechanismUnavailable):
            self._pool.on_event("token.failed", {"operation": operation, "rv": name_of(error) or ""})
