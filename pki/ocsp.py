"""The OCSP responder: answers from the inventory, signed by the key that the authority delegated (RFC 6960, RFC 5019).

HTTP, caching headers and what becomes of `cause` are for rooms above.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.serialization import Encoding

from certs.clock import Clock
from certs.db import Database
from certs.errors import DatabaseUnavailable
from certs.inventory import RevocationState, State, revocation_states
from certs.serial import serial_hex
from hsm import der
from hsm.errors import HSMError
from pki.errors import PkiError
from pki.ocsp_request import CertId, OcspRequest, parse_request
from pki.revocation import REASONS
from pki.schemes import sign_message
from pki.service_keys import Service, ServiceDesk, ServiceKind

# How long an answer may be passed on. A revocation is known everywhere after that, so it is short.
LIFETIME = timedelta(hours=1)

_BASIC = der.oid("1.3.6.1.5.5.7.48.1.1")
_NONCE = der.oid("1.3.6.1.5.5.7.48.1.2")
_ARCHIVE_CUTOFF = der.oid("1.3.6.1.5.5.7.48.1.6")
_INVALIDITY_DATE = der.oid("2.5.29.24")
_GOOD, _UNKNOWN = der.tlv(0x80, b""), der.tlv(0x82, b"")
# CRLReason numbers of RFC 5280 5.3.1, by our names of the reasons. `unspecified` is said by leaving it out.
_REASON_NUMBERS = {
    "keyCompromise": 1, "cACompromise": 2, "affiliationChanged": 3, "superseded": 4, "cessationOfOperation": 5,
    "certificateHold": 6, "privilegeWithdrawn": 9, "aACompromise": 10,
}  # fmt: skip
assert set(_REASON_NUMBERS) | {"unspecified"} == set(REASONS)
# Digests that CertIDs are made with, by the content of their OID.
_CERT_ID_DIGESTS = {
    der.oid(dotted)[2:]: name
    for name, dotted in (
        ("sha1", "1.3.14.3.2.26"),
        ("sha256", "2.16.840.1.101.3.4.2.1"),
        ("sha384", "2.16.840.1.101.3.4.2.2"),
        ("sha512", "2.16.840.1.101.3.4.2.3"),
    )
}


class ResponseStatus(IntEnum):
    """OCSPResponseStatus (RFC 6960 4.2.1). All but the first are unsigned and carry nothing else (RFC 6960 2.3)."""

    SUCCESSFUL = 0
    MALFORMED_REQUEST = 1
    INTERNAL_ERROR = 2
    TRY_LATER = 3
    UNAUTHORIZED = 6


@dataclass(frozen=True)
class OcspAnswer:
    """One OCSPResponse. A shared cache may keep it until `next_update` when `cacheable` (RFC 5019 6.1): not one with a nonce.

    `this_update` and `next_update` are None unless it is successful. `cause` is why it is not, for the log.
    """

    status: ResponseStatus
    der: bytes
    cacheable: bool = False
    this_update: datetime | None = None
    next_update: datetime | None = None
    cause: Exception | None = None


@dataclass(frozen=True)
class _Responder:
    """A service with the parts of its answers that never change. `issuers` are its authority's (algorithm, name, key) hashes."""

    service: Service
    issuers: frozenset[tuple[bytes, bytes, bytes]]
    responder_id: bytes
    algorithm: bytes
    tail: bytes
    archive_from: datetime


class OcspResponder:
    """Answers requests for every authority that has an OCSP service key. Built once; safe for threads."""

    def __init__(self, database: Database, clock: Clock, services: ServiceDesk, lifetime: timedelta = LIFETIME) -> None:
        self._database = database
        self._clock = clock
        self._services = services
        self._lifetime = lifetime
        # By the service object: the desk makes a new one when anything about it changed.
        self._responders: dict[int, _Responder] = {}

    def answer(self, request_der: bytes) -> OcspAnswer:
        """Answer one request, whatever it is and whatever fails; nothing is raised that a client or an outage can cause."""
        try:
            request = parse_request(request_der)
        except ValueError as error:
            return refusal(ResponseStatus.MALFORMED_REQUEST, error)
        try:
            return self._answer(request)
        except (DatabaseUnavailable, HSMError) as error:
            return refusal(ResponseStatus.TRY_LATER, error)
        except PkiError as error:
            # No responder in force: somebody else may be able to answer, we are not (RFC 6960 2.3, RFC 5019 2.2.3).
            return refusal(ResponseStatus.UNAUTHORIZED, error)

    def _answer(self, request: OcspRequest) -> OcspAnswer:
        now = self._clock.now().replace(microsecond=0)
        responder = self._responder_for(request, now)
        known = [each for each in request.certificates if _issuer_of(each) in responder.issuers]
        serials = [serial_hex(each.serial) for each in known if each.serial > 0]
        states: dict[str, RevocationState] = {}
        if serials:  # what strangers ask about other people's certificates costs no query
            with self._database.read() as session:
                states = revocation_states(session, serials)
        next_update = min(now + self._lifetime, responder.service.not_after.replace(microsecond=0))
        times = der.generalized_time(now) + der.explicit(0, der.generalized_time(next_update))
        singles = [
            _single(each, _state_of(each, responder, states), times, now, responder) for each in request.certificates
        ]
        body = responder.responder_id + der.generalized_time(now) + der.sequence(*singles)
        if request.nonce:
            nonce = der.sequence(_NONCE, der.octets(der.octets(request.nonce)))  # RFC 9654 2.1
            body += der.explicit(1, der.sequence(nonce))
        response_data = der.tlv(der.SEQUENCE, body)
        service = responder.service
        signature = sign_message(service.key, service.scheme, response_data)
        basic = der.sequence(response_data, responder.algorithm, der.bits(signature), responder.tail)
        content = der.explicit(0, der.sequence(_BASIC, der.octets(basic)))
        return OcspAnswer(
            ResponseStatus.SUCCESSFUL,
            der.sequence(der.tlv(der.ENUMERATED, b"\0"), content),
            cacheable=not request.nonce,
            this_update=now,
            next_update=next_update,
        )

    def _responder_for(self, request: OcspRequest, now: datetime) -> _Responder:
        """The responder of the first issuer we know; for strangers the first there is, which says "unknown".

        One answer has one signer, and a delegated signer speaks for one authority (RFC 6960 4.2.2.2): what a mixed request
        asks of another authority is "unknown" in it, and answered when asked by itself.
        """
        responders = self._current(self._services.usable(ServiceKind.OCSP, now))
        for certificate in request.certificates:
            issuer = _issuer_of(certificate)
            for responder in responders:
                if issuer in responder.issuers:
                    return responder
        return responders[0]

    def _current(self, services: Sequence[Service]) -> list[_Responder]:
        known = self._responders
        if any(known.get(id(each)) is None or known[id(each)].service is not each for each in services):
            known = {id(each): _build_responder(each) for each in services}
            self._responders = known
        return [known[id(each)] for each in services]


def _build_responder(service: Service) -> _Responder:
    certificate = service.certificate.public_bytes(Encoding.DER)
    issuer = asn1_x509.Certificate.load(service.issuer.public_bytes(Encoding.DER))
    # The contents of a BIT STRING begin with the octet that counts unused bits; the digest is over what follows.
    issuer_key = issuer.public_key["public_key"].contents[1:]
    key = asn1_x509.Certificate.load(certificate).public_key["public_key"].contents[1:]
    return _Responder(
        service=service,
        issuers=frozenset(
            (oid, hashlib.new(name, issuer.subject.dump()).digest(), hashlib.new(name, issuer_key).digest())
            for oid, name in _CERT_ID_DIGESTS.items()
        ),
        # RFC 6960 4.2.1: the SHA-1 of the key's bits, whatever else is SHA-256. RFC 5019 2.2.2 prefers it to the name.
        responder_id=der.explicit(2, der.octets(hashlib.sha1(key).digest())),  # noqa: S324  an identifier, no signature
        algorithm=service.scheme.algorithm_identifier(),
        tail=der.explicit(0, der.sequence(certificate)),
        archive_from=service.issuer.not_valid_before_utc,
    )


def _issuer_of(certificate: CertId) -> tuple[bytes, bytes, bytes]:
    return certificate.algorithm, certificate.issuer_name_hash, certificate.issuer_key_hash


def _state_of(certificate: CertId, responder: _Responder, states: dict[str, RevocationState]) -> RevocationState | None:
    """What the inventory knows, or None: another issuer, or a serial that this issuer never gave."""
    if certificate.serial <= 0 or _issuer_of(certificate) not in responder.issuers:
        return None
    state = states.get(serial_hex(certificate.serial))
    return state if state is not None and state.issuer == responder.service.authority else None


def _single(
    certificate: CertId, state: RevocationState | None, times: bytes, now: datetime, responder: _Responder
) -> bytes:
    """SingleResponse (RFC 6960 4.2.1)."""
    extensions = b""
    # A serial that was never issued is not good (RFC 6960 2.2); nor is an intent, of which nobody knows that it was signed.
    if state is None or state.state is State.INTENT:
        status = _UNKNOWN
    elif state.state in (State.REVOKED, State.SUSPENDED):
        status, extensions = _revoked(state)
    else:
        status = _GOOD
    if state is not None and now > state.not_after:
        # RFC 6960 4.4.4: we go on answering for what has ended, as far back as the authority goes (EN 319 411-2 6.3.10).
        cutoff = der.octets(der.generalized_time(responder.archive_from))
        extensions += der.sequence(_ARCHIVE_CUTOFF, cutoff)
    if extensions:
        times += der.explicit(1, der.tlv(der.SEQUENCE, extensions))
    return der.tlv(der.SEQUENCE, certificate.der + status + times)


def _revoked(state: RevocationState) -> tuple[bytes, bytes]:
    """RevokedInfo, and the date since when the key is suspect as a CRL entry would say it (RFC 6960 4.4.5, RFC 5280 5.3.2)."""
    assert state.revoked_at is not None
    info = der.generalized_time(state.revoked_at)
    number = _REASON_NUMBERS.get(state.revocation_reason or "unspecified")
    if number is not None:
        info += der.explicit(0, der.tlv(der.ENUMERATED, bytes((number,))))
    extensions = b""
    if state.suspect_since is not None:
        extensions = der.sequence(_INVALIDITY_DATE, der.octets(der.generalized_time(state.suspect_since)))
    return der.tlv(0xA1, info), extensions


def refusal(status: ResponseStatus, cause: Exception) -> OcspAnswer:
    """An answer that says only why there is none; rooms above give INTERNAL_ERROR with it for what nobody foresaw."""
    return OcspAnswer(status, der.sequence(der.tlv(der.ENUMERATED, bytes((status,)))), cause=cause)
