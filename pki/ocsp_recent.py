"""OCSP answers at hand: those of the last minute in memory, then the stored ones, and a new signature for the rest.

RFC 5019 6 lets a responder hand out answers it has made before. Here none is ever staler than the inventory: the state of each
certificate is read anew, and only an answer made of the very same states is used a second time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from certs.clock import Clock
from certs.db import Database, Mark
from certs.errors import DatabaseUnavailable
from certs.inventory import RevocationState, revocation_states
from certs.serial import serial_hex
from pki.ocsp import OcspResponder
from pki.ocsp_answer import OcspAnswer, ResponseStatus, refusal
from pki.ocsp_request import parse_request
from pki.ocsp_store import StoredAnswers

# As long as a process goes on with what it once read of the service's own key (service_keys.py).
_KEPT = timedelta(seconds=60)
_MOST_ANSWERS = 10_000
# A request for one certificate without extensions; longer ones are seldom asked twice.
_LONGEST_REQUEST = 256

_States = dict[str, RevocationState]


@dataclass(frozen=True)
class _Recent:
    answer: OcspAnswer
    serials: tuple[str, ...]
    states: _States
    made_at: datetime
    mark: Mark | None  # of the database, from before the states were read


class RecentAnswers:
    """A responder before which the answers of the last minute are kept. Built once; safe for threads."""

    def __init__(self, responder: OcspResponder, database: Database, clock: Clock, most: int = _MOST_ANSWERS) -> None:
        self._responder = responder
        self._stored = StoredAnswers(database, clock)
        self._database = database
        self._clock = clock
        self._most = most
        self._recent: dict[bytes, _Recent] = {}

    def answer(self, request_der: bytes) -> OcspAnswer:
        """Answer one request as the responder does, from memory where that says the same."""
        return self.find(request_der) or self.make(request_der)

    def find(self, request_der: bytes) -> OcspAnswer | None:
        """The recent or stored answer to this request, if it is still what would be said. Uses no key; a query or two."""
        known = self._recent.get(request_der)
        try:
            mark = self._database.mark()
            if known is not None and self._is_fresh(known, self._clock.now()):
                if known.mark is not None and known.mark == mark:
                    return known.answer
                if self._states(known.serials) == known.states:
                    self._recent[request_der] = replace(known, mark=mark)
                    return known.answer
            elif len(request_der) > _LONGEST_REQUEST:
                return None
            stored = self._stored.find(request_der)
        except DatabaseUnavailable as error:
            return refusal(ResponseStatus.TRY_LATER, error)
        if stored is None:
            return None
        states = {stored.serial: stored.state}
        self._keep(request_der, _Recent(stored.answer, (stored.serial,), states, self._clock.now(), mark))
        return stored.answer

    def make(self, request_der: bytes) -> OcspAnswer:
        """An answer made now, and kept for who asks next."""
        if len(request_der) > _LONGEST_REQUEST:
            return self._responder.answer(request_der)
        now, serials = self._clock.now(), _serials(request_der)
        try:
            # Read before the answer is made: should a state change in between, the answer is the newer of the two, and the
            # next comparison fails.
            mark = self._database.mark()
            states = self._states(serials)
        except DatabaseUnavailable as error:
            return refusal(ResponseStatus.TRY_LATER, error)
        answer = self._responder.answer(request_der)
        if answer.cacheable:
            self._keep(request_der, _Recent(answer, serials, states, now, mark))
        return answer

    def _keep(self, request_der: bytes, recent: _Recent) -> None:
        if len(self._recent) >= self._most:
            self._recent.clear()
        self._recent[request_der] = recent

    def _is_fresh(self, known: _Recent, now: datetime) -> bool:
        # A clock that was set back makes nothing young again.
        end = known.answer.next_update
        return end is not None and known.made_at <= now < min(end, known.made_at + _KEPT)

    def _states(self, serials: tuple[str, ...]) -> _States:
        if not serials:
            return {}
        with self._database.look() as connection:
            return revocation_states(connection, serials)


def _serials(request_der: bytes) -> tuple[str, ...]:
    """The serials asked about; none when the request is malformed, which the responder says."""
    try:
        certificates = parse_request(request_der).certificates
    except ValueError:
        return ()
    return tuple(serial_hex(each.serial) for each in certificates if each.serial > 0)
