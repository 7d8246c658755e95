"""The OCSP responder: answers from the inventory, signed when asked by the key that the authority delegated (RFC 6960, RFC 5019).

Answers made before they are asked for are ocsp_store.py's; HTTP, caching headers and what becomes of `cause` are for rooms above.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from certs.clock import Clock
from certs.db import Database
from certs.errors import DatabaseUnavailable
from certs.inventory import RevocationState, revocation_states
from certs.serial import serial_hex
from hsm.errors import HSMError
from pki.errors import PkiError
from pki.ocsp_answer import (
    OcspAnswer,
    Responder,
    ResponseStatus,
    build_answer,
    build_cert_id,
    build_responder,
    build_response_data,
    refusal,
)
from pki.ocsp_request import CertId, OcspRequest, parse_request
from pki.schemes import sign_message
from pki.service_keys import Service, ServiceDesk, ServiceKind

# How long an answer may be passed on. A revocation is known everywhere after that, so it is short.
LIFETIME = timedelta(hours=1)


@dataclass(frozen=True)
class SigningResponder:
    """A responder with its key."""

    service: Service
    facts: Responder


class OcspResponder:
    """Answers requests for every authority that has an OCSP service key. Built once; safe for threads."""

    def __init__(self, database: Database, clock: Clock, services: ServiceDesk, lifetime: timedelta = LIFETIME) -> None:
        self._database = database
        self._clock = clock
        self._services = services
        self._lifetime = lifetime
        # By the service object: the desk makes a new one when anything about it changed.
        self._responders: dict[int, SigningResponder] = {}

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

    def about(self, authority: str, serial: str) -> OcspAnswer | None:
        """A fresh answer about one certificate of an authority, made here for who needs no request; None when nobody speaks for it.

        The certificate is named by SHA-1, which every reader of answers knows (RFC 5019 2.1.1). PkiError, HSMError, DatabaseUnavailable.
        """
        now = self._clock.now().replace(microsecond=0)
        responder = next((each for each in self.responders(now) if each.facts.authority == authority), None)
        if responder is None:
            return None
        certificate = build_cert_id(responder.facts, "sha1", int(serial, 16))
        return self._sign(responder, OcspRequest((certificate,), b""), now)

    def responders(self, now: datetime) -> list[SigningResponder]:
        """Every responder that may sign now, oldest key first; ServiceNotReady when there is none."""
        services = self._services.usable(ServiceKind.OCSP, now)
        known = self._responders
        if any(known.get(id(each)) is None or known[id(each)].service is not each for each in services):
            known = {
                id(each): SigningResponder(
                    each, build_responder(each.authority, each.certificate, each.issuer, each.scheme)
                )
                for each in services
            }
            self._responders = known
        return [known[id(each)] for each in services]

    def _answer(self, request: OcspRequest) -> OcspAnswer:
        now = self._clock.now().replace(microsecond=0)
        return self._sign(_responder_for(request, self.responders(now)), request, now)

    def _sign(self, responder: SigningResponder, request: OcspRequest, now: datetime) -> OcspAnswer:
        facts = responder.facts
        known = [each for each in request.certificates if facts.is_issuer_of(each)]
        serials = [serial_hex(each.serial) for each in known if each.serial > 0]
        states: dict[str, RevocationState] = {}
        if serials:  # what strangers ask about other people's certificates costs no query
            with self._database.look() as connection:
                states = revocation_states(connection, serials)
        next_update = min(now + self._lifetime, facts.not_after.replace(microsecond=0))
        asked = [(each, _state_of(each, facts, states)) for each in request.certificates]
        response_data = build_response_data(facts, asked, now, next_update, request.nonce)
        signature = sign_message(responder.service.key, responder.service.scheme, response_data)
        return OcspAnswer(
            ResponseStatus.SUCCESSFUL,
            build_answer(facts, response_data, signature),
            cacheable=not request.nonce,
            this_update=now,
            next_update=next_update,
        )


def _responder_for(request: OcspRequest, responders: Sequence[SigningResponder]) -> SigningResponder:
    """The responder of the first issuer we know; for strangers the first there is, which says "unknown".

    One answer has one signer, and a delegated signer speaks for one authority (RFC 6960 4.2.2.2): what a mixed request
    asks of another authority is "unknown" in it, and answered when asked by itself.
    """
    for certificate in request.certificates:
        for responder in responders:
            if responder.facts.is_issuer_of(certificate):
                return responder
    return responders[0]


def _state_of(certificate: CertId, responder: Responder, states: dict[str, RevocationState]) -> RevocationState | None:
    """What the inventory knows, or None: another issuer, or a serial that this issuer never gave."""
    if certificate.serial <= 0 or not responder.is_issuer_of(certificate):
        return None
    state = states.get(serial_hex(certificate.serial))
    return state if state is not None and state.issuer == responder.authority else None
