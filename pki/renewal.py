"""Renewal: which certificate may be followed by another, and what that one says: same holder and profile, the same key or a new one.

How it is made is issuance.py's. What a credential signs with afterwards is for the room above.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from sqlalchemy.orm import Session

from certs.catalogue import Catalogue
from certs.clock import rfc3339
from certs.inventory import CertificateRecord, State, find_successors, get_certificate
from certs.names import parse_subject
from pki.audit import Actor
from pki.issuance import IssuanceRequest, IssuingDeps, issue
from pki.renewal_errors import (
    AlreadyRenewed,
    RenewalKeyNotNew,
    RenewalNotByHand,
    RenewalOfRevoked,
    RenewalOfSuspended,
    RenewalTooEarly,
    RenewalTooLate,
)
from pki.roles import Permission, require
from pki.service_keys import ServiceKind

# They renew themselves (service_upkeep.py), with a rule of their own about revoked ones.
_SERVICES = frozenset(kind.profile for kind in ServiceKind)
# A certificate is renewed, and its end is announced, in the last third of its term.
SHARE = 3


@dataclass(frozen=True)
class RenewalRequest:
    """The certificate of `serial` is to be followed. `public_key_der` None: by one with the same key.

    `force`: also before its last third, or once more.
    """

    serial: str
    public_key_der: bytes | None = None
    days: int | None = None
    force: bool = False


def renew(request: RenewalRequest, actor: Actor, deps: IssuingDeps) -> CertificateRecord:
    """Issue the certificate that follows another. The old one stays as it is.

    RenewalRefused says why not; ApprovalNeeded and everything else as `issue`.
    """
    require(actor, Permission.ISSUE)
    with deps.database.read() as session:
        record = get_certificate(session, request.serial)
    if request.public_key_der == record.public_key_der:
        raise RenewalKeyNotNew(f"{record.serial} has this key", serial=record.serial)
    # Two at once would each find nobody there yet.
    with deps.database.alone("renewal"):
        now = deps.clock.now()
        with deps.database.read() as session:
            check_renewable(
                session, record, deps.catalogue, now, same_key=request.public_key_der is None, force=request.force
            )
        key = request.public_key_der or record.public_key_der
        return issue(following(record, key, request.days), actor, deps)


def check_renewable(
    session: Session,
    record: CertificateRecord,
    catalogue: Catalogue,
    now: datetime,
    *,
    same_key: bool,
    force: bool,
    unfinished: Container[str] = (),
) -> None:
    """RenewalRefused unless this certificate may be followed now. `unfinished`: successors that a death left, to be taken up."""
    if record.profile in _SERVICES or catalogue.get(record.profile).authority:
        raise RenewalNotByHand(f"{record.serial}: {record.profile}", serial=record.serial, profile=record.profile)
    record.certificate()  # an intent is nothing to follow
    if record.state is State.REVOKED:
        raise RenewalOfRevoked(
            f"{record.serial} is revoked",
            serial=record.serial,
            revoked_at=rfc3339(record.revoked_at) if record.revoked_at else "",
            reason=record.revocation_reason or "",
        )
    if record.state is State.SUSPENDED:
        raise RenewalOfSuspended(f"{record.serial} is suspended", serial=record.serial)
    successor = next((each for each in find_successors(session, record.serial) if _counts(each, unfinished)), None)
    if successor is not None and not force:
        raise AlreadyRenewed(f"{successor.serial} follows", serial=record.serial, successor=successor.serial)
    if not same_key:
        return
    # Time has run out for this key: who holds it nobody has vouched for since.
    if now > record.not_after:
        raise RenewalTooLate(f"{record.serial} has ended", serial=record.serial, not_after=rfc3339(record.not_after))
    begins = renewable_from(record)
    if now < begins and not force:
        raise RenewalTooEarly(
            f"{record.serial} has time",
            serial=record.serial,
            not_after=rfc3339(record.not_after),
            begins=rfc3339(begins),
        )


def renewable_from(record: CertificateRecord) -> datetime:
    """When the last third of a certificate's term begins."""
    return record.not_after - (record.not_after - record.not_before) / SHARE


def following(record: CertificateRecord, public_key_der: bytes, days: int | None = None) -> IssuanceRequest:
    """What is asked for: everything as it was confirmed for the certificate before, and nothing from anywhere else (law 5)."""
    return IssuanceRequest(
        profile=record.profile,
        subject=parse_subject(record.subject),
        public_key_der=public_key_der,
        san=names_of(record),
        days=days,
        replaces=record.serial,
    )


def names_of(record: CertificateRecord) -> tuple[str, ...]:
    """The e-mail addresses or host names of a certificate."""
    try:
        names = record.certificate().extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(str(name.value) for name in names)


def _counts(successor: CertificateRecord, unfinished: Container[str]) -> bool:
    """Whether somebody has it and may use it: an intent is nobody's, and who lost the new one to a revocation may ask again."""
    if successor.der is None or successor.serial in unfinished:
        return False
    return successor.state in (State.ACTIVE, State.SUSPENDED)
