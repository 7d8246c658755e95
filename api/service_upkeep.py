"""Upkeep of the services (OCSP responder, time-stamping authority, receipts): makes their keys, and renews certificates that are due."""

from __future__ import annotations

from api.wiring import Installation
from certs.names import parse_subject, subject_name
from hsm.spec import KeySpec
from pki.audit import Actor
from pki.authorities import get_authority
from pki.service_keys import ServiceKind, ensure_service, is_service_ready

# What every home needs; the key for trust stores is made when the first one is handed out.
_NEEDED = (ServiceKind.OCSP, ServiceKind.TSA, ServiceKind.RECEIPT)
_TITLES = {
    ServiceKind.OCSP: "OCSP Responder",
    ServiceKind.TSA: "Time-Stamping Authority",
    ServiceKind.RECEIPT: "Verification Receipts",
    ServiceKind.TRUST_STORE: "Trust Store",
}


def services_due(installation: Installation) -> list[ServiceKind]:
    """The kinds whose certificate is missing or old. Asks no key."""
    now = installation.clock.now()
    with installation.database.read() as session:
        return [kind for kind in _NEEDED if not is_service_ready(session, kind.value, now)]


def make_services(installation: Installation, actor: Actor) -> None:
    """The OCSP responder, the time-stamping authority and the key of receipts, also in a home of an older release; what is due is
    renewed.
    """
    for kind in services_due(installation):
        _make(installation, kind, actor)


def make_trust_store_service(installation: Installation, actor: Actor) -> None:
    """The key that signs trust stores, with its certificate; what is due is renewed."""
    _make(installation, ServiceKind.TRUST_STORE, actor)


def _make(installation: Installation, kind: ServiceKind, actor: Actor) -> None:
    with installation.database.read() as session:
        founder = parse_subject(get_authority(session, "issuing").subject).organization
    spec = KeySpec(installation.settings.keys.service)
    subject = subject_name(CN=f"Antin {_TITLES[kind]}", O=founder, C="VN")
    ensure_service(kind.value, kind, subject, installation.keys, actor, installation.issuing(), spec)
