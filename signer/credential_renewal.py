"""Renewal of a credential: a new certificate for its key, or a new credential with a new key beside it.

Which certificates may be followed is pki/renewal.py's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sqlalchemy.orm import Session

from certs.inventory import CertificateRecord, State, find_successors, get_certificate
from certs.names import parse_subject
from hsm.spec import load_public_key, spec_of
from pki.audit import Actor, append
from pki.renewal import RenewalRequest, check_renewable, names_of, renew
from pki.roles import Permission, require
from signer.credentials import credential_exists, get_credential, list_credentials, set_certificate
from signer.enrolment import EnrolmentDeps, EnrolmentRequest, enrol

_NUMBERED = re.compile(r"(.+)-([1-9][0-9]*)")
_LONGEST_NAME = 32


@dataclass(frozen=True)
class CredentialRenewal:
    """Which credential, for how long, and whether also when it is early or was done before."""

    name: str
    days: int | None = None
    force: bool = False


def renew_credential(request: CredentialRenewal, actor: Actor, deps: EnrolmentDeps) -> CertificateRecord:
    """A new certificate for the credential's key, with which it signs from then on. Run again after a death, it takes up what it finds."""
    require(actor, Permission.MANAGE_CREDENTIALS)
    require(actor, Permission.ISSUE)
    database, clock = deps.issuing.database, deps.issuing.clock
    with database.alone("enrolment"):
        with database.read() as session:
            credential = get_credential(session, request.name)
            made = _unfinished(session, credential.certificate_serial)
        record = next((each for each in made if each.public_key_der == credential.public_key_der), None)
        record = record or renew(
            RenewalRequest(credential.certificate_serial, days=request.days, force=request.force), actor, deps.issuing
        )
        with database.write() as session:
            set_certificate(session, request.name, record.serial, clock.now())
            append(
                session, clock, actor, "credential.renew", "credential", request.name,
                serial=record.serial, replaces=credential.certificate_serial,
            )  # fmt: skip
    return record


def rekey_credential(request: CredentialRenewal, actor: Actor, deps: EnrolmentDeps) -> tuple[CertificateRecord, str]:
    """A new key, its certificate and a credential under the next name (one name, one key); the old one stays."""
    require(actor, Permission.MANAGE_CREDENTIALS)
    require(actor, Permission.ISSUE)
    issuing = deps.issuing
    with issuing.database.read() as session:
        credential = get_credential(session, request.name)
        record = get_certificate(session, credential.certificate_serial)
        unfinished = {each.serial for each in _unfinished(session, record.serial)}
        check_renewable(
            session, record, issuing.catalogue, issuing.clock.now(),
            same_key=False, force=request.force, unfinished=unfinished,
        )  # fmt: skip
        name = _next_name(session, request.name)
    wanted = EnrolmentRequest(
        name=name,
        profile=record.profile,
        subject=parse_subject(record.subject),
        spec=spec_of(load_public_key(credential.public_key_der)),
        image_sha256=credential.image_sha256,
        diameter_mm=credential.diameter_mm,
        san=names_of(record),
        days=request.days,
        replaces=record.serial,
    )
    return enrol(wanted, actor, deps), name


def _unfinished(session: Session, serial: str) -> list[CertificateRecord]:
    """Certificates that follow this one and that no credential signs with: what a death left."""
    used = {credential.certificate_serial for credential in list_credentials(session)}
    return [each for each in find_successors(session, serial) if each.state is State.ACTIVE and each.serial not in used]


def _next_name(session: Session, name: str) -> str:
    """seal, seal-2, seal-3: the next number that nobody has."""
    numbered = _NUMBERED.fullmatch(name)
    stem, number = (numbered[1], int(numbered[2])) if numbered else (name, 1)
    while True:
        number += 1
        suffix = f"-{number}"
        following = stem[: _LONGEST_NAME - len(suffix)] + suffix
        if not credential_exists(session, following):
            return following
