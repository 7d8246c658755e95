"""The time-stamping authority: one request to one answer, with the time asked once (RFC 3161).

Tokens are not stored row by row. A row costs more than the token, and proves nothing that the token does not prove by
itself; EN 319 421 7.10 asks for records of keys, certificates and the clock, not of each token. So tokens are counted,
and `write_tally` puts the counts into the audit trail: one row for a span of time, called by whoever keeps the schedule.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from certs.clock import Clock, rfc3339
from certs.db import Database
from certs.errors import DatabaseUnavailable
from hsm import der
from hsm.errors import HSMError
from pki import audit
from pki.audit import Actor
from pki.errors import PkiError
from pki.service_keys import Service, ServiceDesk, ServiceKind
from pki.tsa.failure import Failure, RequestRefused
from pki.tsa.request import TimeStampRequest, parse_request
from pki.tsa.token import TokenTemplate

_GRANTED = der.sequence(der.integer(0))  # PKIStatusInfo, status granted
_REJECTION = 2


@dataclass(frozen=True)
class TsaPolicy:
    """By which policy tokens are made, and how far the clock may be off, in whole seconds."""

    oid: str
    accuracy: int = 1


@dataclass(frozen=True)
class TimeStampAnswer:
    """One TimeStampResp. `failure` None: granted, and `time` is what the token says. `cause` is for the log."""

    der: bytes
    failure: Failure | None = None
    time: datetime | None = None
    cause: Exception | None = None


@dataclass
class _Tally:
    """What happened since the last audit row."""

    since: datetime | None = None
    until: datetime | None = None
    granted: int = 0
    refused: dict[str, int] = field(default_factory=dict)


class TimeStampingAuthority:
    """Answers time-stamp requests with the TSA key in force. Built once; safe for threads."""

    def __init__(self, database: Database, clock: Clock, services: ServiceDesk, policy: TsaPolicy) -> None:
        self._database = database
        self._clock = clock
        self._services = services
        self._policy = policy
        self._policy_oid = der.oid(policy.oid)[2:]
        self._template: TokenTemplate | None = None
        self._lock = threading.Lock()
        self._tally = _Tally()

    def answer(self, request_der: bytes, meanwhile: Callable[[], None] | None = None) -> TimeStampAnswer:
        """Answer one request, whatever it is and whatever fails; nothing is raised that a client or an outage can cause.

        `meanwhile` as for sign_message: it begins after the token's time was taken.
        """
        now = self._clock.now()
        try:
            request = parse_request(request_der)
            if request.policy not in (None, self._policy_oid):
                raise RequestRefused(Failure.UNACCEPTED_POLICY, "another policy is asked for")  # noqa: TRY301  one way out
            token = self._sign(request, now, meanwhile)
        except RequestRefused as refused:
            return self._refuse(refused.failure, refused, now)
        except (DatabaseUnavailable, HSMError, PkiError) as error:
            return self._refuse(Failure.SYSTEM_FAILURE, error, now)
        self._count(now, None)
        return TimeStampAnswer(der.sequence(_GRANTED, token), time=now)

    def service(self) -> Service:
        """The service that the next token is signed by; ServiceNotReady when none is in force."""
        # The newest key speaks; the older ones are there until their last token is no longer asked about.
        return self._services.usable(ServiceKind.TSA)[-1]

    def write_tally(self, actor: Actor) -> bool:
        """Put the counts since the last call into the audit trail; False when there are none. Kept when that fails."""
        with self._lock:
            tally, self._tally = self._tally, _Tally()
        if tally.since is None or tally.until is None:
            return False
        counts = {"granted": str(tally.granted)} | {name: str(count) for name, count in tally.refused.items()}
        try:
            with self._database.write() as session:
                audit.append(
                    session, self._clock, actor, "tsa.tally", "service", ServiceKind.TSA.value,
                    since=rfc3339(tally.since), until=rfc3339(tally.until), **counts,
                )  # fmt: skip
        except DatabaseUnavailable:
            self._restore(tally)
            raise
        return True

    def _sign(self, request: TimeStampRequest, now: datetime, meanwhile: Callable[[], None] | None) -> bytes:
        service = self._services.usable(ServiceKind.TSA, now)[-1]
        template = self._template
        if template is None or template.service is not service:
            template = self._template = TokenTemplate(service, self._policy.oid, self._policy.accuracy)
        return template.sign(request, now, meanwhile)

    def _refuse(self, failure: Failure, cause: Exception, now: datetime) -> TimeStampAnswer:
        self._count(now, failure)
        return TimeStampAnswer(refusal(failure), failure=failure, cause=cause)

    def _count(self, now: datetime, failure: Failure | None) -> None:
        with self._lock:
            tally = self._tally
            tally.since, tally.until = tally.since or now, now
            if failure is None:
                tally.granted += 1
            else:
                tally.refused[failure.name.lower()] = tally.refused.get(failure.name.lower(), 0) + 1

    def _restore(self, tally: _Tally) -> None:
        with self._lock:
            newer, self._tally = self._tally, tally
            tally.until = newer.until or tally.until
            tally.granted += newer.granted
            for name, count in newer.refused.items():
                tally.refused[name] = tally.refused.get(name, 0) + count


def refusal(failure: Failure) -> bytes:
    """A TimeStampResp without a token: rejection and its failure bit."""
    # X.690 11.2.2: a named-bit list ends with its last 1.
    unused = 7 - failure % 8
    octets = bytes(failure // 8) + bytes((0x80 >> failure % 8,))
    return der.sequence(der.sequence(der.integer(_REJECTION), der.tlv(der.BIT_STRING, bytes((unused,)) + octets)))
