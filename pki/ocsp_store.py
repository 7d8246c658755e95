"""OCSP answers signed before they are asked for, kept for ever, and given out while they are what would be said now.

For all certificates that have not ended, with the digests that clients ask with. They are served while the token is away
(RFC 5019 6). When to sign is for the worker, answers with a nonce are ocsp.py's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Select, Table, and_, bindparam, delete, insert, or_, select
from sqlalchemy.orm import Session

from certs.clock import Clock
from certs.db import Database, hold
from certs.inventory import REVOCATIONS, RevocationState, State, find_by_key, get_certificate, revocation_state_of
from certs.serial import serial_hex
from hsm.spec import load_public_key, spki_der
from hsm.store import KeyStore
from pki.ocsp import OcspResponder, SigningResponder
from pki.ocsp_answer import (
    OcspAnswer,
    Responder,
    ResponseStatus,
    build_answer,
    build_cert_id,
    build_responder,
    build_response_data,
    digest_of,
)
from pki.ocsp_request import parse_request
from pki.schemes import scheme_for, sign_messages
from pki.service_keys import ServiceKind, ServiceState, issuers_of, list_services
from pki.tables import OcspAnswerRow, OcspCurrentRow

# How long a stored answer may be passed on at the most; a new one is signed at half of it. Our own copies change with the
# certificate's state at once, so this bounds only for how long a token may be away, and who replays an old one.
LIFETIME = timedelta(hours=12)
# SHA-1 is what most clients ask with (RFC 5019 2.1.1), SHA-256 what the newer ones do.
DIGESTS = ("sha1", "sha256")
_BATCH = 200
# As long as a process goes on with what it once read of a responder's certificate (service_keys.py).
_KEPT = timedelta(seconds=60)

_ANSWERS = cast("Table", OcspAnswerRow.__table__)
_CURRENT = cast("Table", OcspCurrentRow.__table__)
_STATE_COLUMNS = ("state", "revoked_at", "revocation_reason", "suspect_since")
_IS_SAID = and_(*(REVOCATIONS.c[name].is_not_distinct_from(_ANSWERS.c[name]) for name in _STATE_COLUMNS))
_FIND = (
    select(
        *REVOCATIONS.c, _ANSWERS.c.responder, _ANSWERS.c.this_update, _ANSWERS.c.next_update, _ANSWERS.c.response_data,
        _ANSWERS.c.signature,
    )
    .join_from(_CURRENT, _ANSWERS, _ANSWERS.c.id == _CURRENT.c.answer)
    .join(REVOCATIONS, REVOCATIONS.c.serial == _CURRENT.c.serial)
    .where(_CURRENT.c.serial == bindparam("wanted"), _CURRENT.c.digest == bindparam("asked_with"), _IS_SAID)
)  # fmt: skip


@dataclass(frozen=True)
class StoredAnswer:
    """An answer, and the state of which certificate it tells."""

    answer: OcspAnswer
    serial: str
    state: RevocationState


class StoredAnswers:
    """Gives out stored answers. Uses no key. Built once; safe for threads."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._read_at: datetime | None = None
        self._responders: dict[str, Responder] = {}

    def find(self, request_der: bytes) -> StoredAnswer | None:
        """The stored answer to a request for one certificate, if it says what the inventory says now; DatabaseUnavailable.

        None for everything else, malformed requests among it: the responder says what is wrong with those.
        """
        try:
            request = parse_request(request_der)
        except ValueError:
            return None
        asked = request.certificates[0]
        digest = digest_of(asked)
        if len(request.certificates) != 1 or request.nonce or asked.serial <= 0 or digest not in DIGESTS:
            return None
        now, serial = self._clock.now(), serial_hex(asked.serial)
        with self._database.glance() as connection:
            row = connection.execute(_FIND, {"wanted": serial, "asked_with": digest}).one_or_none()
        if row is None or not row.this_update <= now < row.next_update:
            return None
        responder = self._responders_at(now).get(row.responder)
        # Encoded as most clients do; one that leaves the parameters of the digest out wants its own octets back.
        if responder is None or now > responder.not_after or asked != build_cert_id(responder, digest, asked.serial):
            return None
        return StoredAnswer(_answer_of(responder, row), serial, revocation_state_of(row))

    def _responders_at(self, now: datetime) -> dict[str, Responder]:
        if self._read_at is None or not self._read_at <= now < self._read_at + _KEPT:
            with self._database.read() as session:
                self._responders = _responders_in_force(session, now)
            self._read_at = now
        return self._responders


class AnswerSigner:
    """Signs what is due. One at a time for each authority; a death between two batches loses nothing."""

    def __init__(
        self, database: Database, clock: Clock, keys: KeyStore, responder: OcspResponder, lifetime: timedelta = LIFETIME
    ) -> None:
        self._database = database
        self._clock = clock
        self._keys = keys
        self._responder = responder
        self._lifetime = lifetime

    def sign_due(self, most: int | None = None) -> int:
        """Sign answers for what has none, or one that says something else, or is half over; how many certificates that were.

        ServiceNotReady, HSMError, DatabaseUnavailable: what was signed before is kept.
        """
        signed = 0
        now = self._clock.now().replace(microsecond=0)
        done: set[str] = set()
        for responder in self._responder.responders(now):
            authority = responder.facts.authority
            if authority in done:
                continue
            done.add(authority)
            while most is None or signed < most:
                room = _BATCH if most is None else min(_BATCH, most - signed)
                states = self._due(responder, now, room)
                self._sign(responder, states, now)
                signed += len(states)
                if len(states) < room:
                    break
        return signed

    def is_due(self) -> bool:
        """Whether any certificate waits for an answer that could be signed. Asks no key."""
        now = self._clock.now().replace(microsecond=0)
        with self._database.read() as session:
            return any(
                session.execute(_select_due(authority, serial, now).limit(1)).first() is not None
                for authority, serial in _signers(session, now).items()
            )

    def count_due(self) -> int:
        """How many certificates wait for an answer."""
        now = self._clock.now().replace(microsecond=0)
        return sum(len(self._due(responder, now, None)) for responder in self._responder.responders(now))

    def _due(self, responder: SigningResponder, now: datetime, most: int | None) -> dict[str, RevocationState]:
        query = _select_due(responder.facts.authority, _serial_of(responder), now).limit(most)
        with self._database.read() as session:
            return {row[0]: revocation_state_of(row) for row in session.execute(query)}

    def _sign(self, responder: SigningResponder, states: dict[str, RevocationState], now: datetime) -> None:
        if not states:
            return
        facts, service = responder.facts, responder.service
        next_update = min(now + self._lifetime, facts.not_after.replace(microsecond=0))
        wanted = [(serial, digest) for serial in states for digest in DIGESTS]
        messages = [
            build_response_data(
                facts, [(build_cert_id(facts, digest, int(serial, 16)), states[serial])], now, next_update
            )
            for serial, digest in wanted
        ]
        signatures = sign_messages(self._keys, spki_der(service.public_key), service.scheme, messages)
        common = {"responder": _serial_of(responder), "this_update": now, "next_update": next_update}
        rows = [
            {
                "serial": serial, "digest": digest, "response_data": message, "signature": signature, **common,
                **{name: getattr(states[serial], name) for name in _STATE_COLUMNS},
            }
            for (serial, digest), message, signature in zip(wanted, messages, signatures, strict=True)
        ]  # fmt: skip
        with self._database.write() as session:
            hold(session, f"ocsp answers {facts.authority}")
            made = session.scalars(
                insert(OcspAnswerRow).returning(OcspAnswerRow.id, sort_by_parameter_order=True), rows
            )
            current = [
                {"serial": serial, "digest": digest, "answer": answer, "refresh_at": now + (next_update - now) / 2}
                for (serial, digest), answer in zip(wanted, made.all(), strict=True)
            ]
            session.execute(delete(OcspCurrentRow).where(OcspCurrentRow.serial.in_(list(states))))
            session.execute(insert(OcspCurrentRow), current)


def find_answer_at(session: Session, serial: str, at: datetime, digest: str = DIGESTS[-1]) -> OcspAnswer | None:
    """The stored answer that was the current one at a time: the newest that was signed by then and had not ended."""
    query = select(_ANSWERS).where(
        _ANSWERS.c.serial == serial,
        _ANSWERS.c.digest == digest,
        _ANSWERS.c.this_update <= at,
        _ANSWERS.c.next_update > at,
    )
    row = session.execute(query.order_by(_ANSWERS.c.this_update.desc(), _ANSWERS.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else _answer_of(_responder_of(session, row.responder), row)


def _select_due(authority: str, responder: str, now: datetime) -> Select[Any]:
    """Certificates of an authority that have not ended and whose stored answer, if there is one, is not as it should be.

    One digest stands for both: their answers are signed and stored together.
    """
    answer = select(_CURRENT.c.refresh_at, _ANSWERS).join_from(_CURRENT, _ANSWERS, _ANSWERS.c.id == _CURRENT.c.answer)
    said = answer.where(_CURRENT.c.digest == DIGESTS[0]).subquery("said")
    return (
        select(*REVOCATIONS.c)
        .outerjoin_from(REVOCATIONS, said, said.c.serial == REVOCATIONS.c.serial)
        .where(
            REVOCATIONS.c.issuer == authority,
            REVOCATIONS.c.state != State.INTENT.value,
            REVOCATIONS.c.not_after > now,
            or_(
                said.c.id.is_(None),
                said.c.refresh_at <= now,
                said.c.this_update > now,  # signed before the clock was set back
                said.c.responder != responder,
                *(said.c[name].is_distinct_from(REVOCATIONS.c[name]) for name in _STATE_COLUMNS),
            ),
        )
    )


def _signers(session: Session, now: datetime) -> dict[str, str]:
    """By authority, the serial of the responder's certificate that new answers are signed under: the oldest key's in force."""
    found: dict[str, str] = {}
    for service in list_services(session, ServiceKind.OCSP):
        if service.state is not ServiceState.ACTIVE or service.serial is None:
            continue
        if get_certificate(session, service.serial).state_at(now) is State.ACTIVE:
            found.setdefault(service.authority, service.serial)
    return found


def _responders_in_force(session: Session, now: datetime) -> dict[str, Responder]:
    """Every certificate of a responder that is in force, by its serial: a renewed one's predecessor too."""
    found: dict[str, Responder] = {}
    for service in list_services(session, ServiceKind.OCSP):
        if service.state is not ServiceState.ACTIVE:
            continue
        for record in find_by_key(session, service.public_key_der):
            if record.profile == ServiceKind.OCSP.profile and record.state_at(now) is State.ACTIVE:
                found[record.serial] = _responder_of(session, record.serial)
    return found


def _responder_of(session: Session, serial: str) -> Responder:
    record = get_certificate(session, serial)
    scheme = scheme_for(load_public_key(record.public_key_der))
    return build_responder(record.issuer, record.certificate(), issuers_of(session, record.issuer)[0], scheme)


def _serial_of(responder: SigningResponder) -> str:
    return serial_hex(responder.service.certificate.serial_number)


def _answer_of(responder: Responder, row: Any) -> OcspAnswer:
    octets = build_answer(responder, row.response_data, row.signature)
    return OcspAnswer(
        ResponseStatus.SUCCESSFUL, octets, cacheable=True, this_update=row.this_update, next_update=row.next_update
    )
