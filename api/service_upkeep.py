"""Upkeep of the services (OCSP responder, time-stamping authority, receipts): makes their keys, and renews certificates that are due."""

from __future__ import annotations

from api.wiring import Installation
from certs.names import parse_subject, subject_name
from hsm.spec import KeySpec
from pki.audit import Actor
from pki.authorities import get_authority
from pki.service_keys import ServiceKind, ensure_service, is_service_ready

_TITLES = {
    ServiceKind.OCSP: "OCSP Responder",
    ServiceKind.TSA: "Time-Stamping Authority",
    ServiceKind.RECEIPT: "Verification Receipts",
}


def services_due(installation: Installation) -> list[ServiceKind]:
    """The kinds whose certificate is missing or old. Asks no key."""
    now = installation.clock.now()
    with installation.database.read() as session:
        return [kind for kind in ServiceKind if not is_service_ready(session, kind.value, now)]


def make_services(installation: Installation, actor: Actor) -> None:
    """Every service, also in a home of an older release; what is due is renewed."""
    with installation.database.read() as session:
        founder = parse_subject(get_authority(session, "issuing").subject).organization
    spec = KeySpec(installation.settings.keys.service)
    for kind in services_due(installation):
        subject = subject_name(CN=f"Antin {_TITLES[kind]}", O=founder, C="VN")
        ensure_service(kind.value, kind, subject, installation.keys, actor, installation.issuing(), spec)
