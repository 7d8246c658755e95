"""Taking in an authority that exists already, with its key in the token: its certificate, and all that its last revocation list says.

What it has issued elsewhere and not revoked stays unknown here, save what is imported by hand: its lists go on, its OCSP says `unknown`.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import cast

from asn1crypto import crl as asn1_crl
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import update
from sqlalchemy.orm import Session

from certs.clock import rfc3339
from certs.csr import check_public_key
from certs.errors import CertificateNotFound
from certs.inventory import CertificateRecord, NewCertificate, add_intent, complete, find_by_key, get_certificate
from certs.lost import LostCertificate, add_lost
from certs.names import common_name, organization, rfc4514, subject_of
from certs.serial import serial_hex
from certs.training import is_training
from hsm.spec import Purpose, key_id_of, spki_der
from pki import audit
from pki.approval import Deed, demand, use
from pki.approval_rules import Act
from pki.audit import Actor
from pki.authorities import (
    AuthorityRecord,
    activate,
    add_pending,
    find_authority,
    find_key_owner,
    is_name,
    list_authorities,
)
from pki.ceremony import CeremonyDeps
from pki.errors import AuthorityExists, AuthorityNameRefused
from pki.import_errors import (
    ImportKeyInUse,
    ImportKeyMissing,
    ImportListWrong,
    ImportNotAuthority,
    ImportNotInForce,
    ImportNotTraining,
    ImportParentUnknown,
    ImportSerialTaken,
    ImportTraining,
)
from pki.revocation import write_revocation
from pki.roles import Permission, require
from pki.tables import AuthorityRow

_LONGEST_SERIAL = 40
_BROKEN = (ValueError, TypeError, KeyError, InvalidSignature, UnsupportedAlgorithm, x509.ExtensionNotFound)
_PROFILES = {True: "root", False: "issuing"}


@dataclass(frozen=True)
class Taken:
    """The authority, and how many revoked certificates its last list named."""

    authority: AuthorityRecord
    revoked: int


def import_authority(
    name: str,
    certificate: x509.Certificate,
    crl: x509.CertificateRevocationList | None,
    actor: Actor,
    deps: CeremonyDeps,
) -> Taken:
    """Make it an authority of this home. `crl`: its last complete list; None only for one that has never revoked anything.

    The same certificate under the same name again returns what is there.
    """
    require(actor, Permission.CREATE_AUTHORITY)
    if not is_name(name):
        raise AuthorityNameRefused(f"{name!r} is no name", authority=name)
    subject = rfc4514(subject_of(certificate))
    _refuse_unfit(certificate, subject, deps)
    public_key_der = spki_der(check_public_key(certificate.public_key()))
    with deps.database.alone("enrolment"):
        with deps.database.read() as session:
            found = find_authority(session, name)
            parent = _parent(certificate, subject, session)
            if found is not None:
                return _same(found, certificate, session)
            _refuse_key_in_use(public_key_der, subject, session)
        _refuse_missing_key(public_key_der, subject, deps)
        number, entries = _read_list(crl, certificate, subject)
        deed = Deed(
            Act.AUTHORITY_CREATE, f"{name}: {subject}",
            {"name": name, "parent": parent, "subject": subject, "certificate": certificate.public_bytes(Encoding.DER).hex()},
        )  # fmt: skip
        approval = demand(
            deed, deps.approvals.needed(deed.act, deps.catalogue.get(_PROFILES[parent is None])), actor, deps
        )
        with deps.database.write() as session:
            use(session, approval, deed, actor, deps.clock)
            return _take_in(name, parent, certificate, number, entries, actor, deps, session)


def _refuse_unfit(certificate: x509.Certificate, subject: str, deps: CeremonyDeps) -> None:
    now = deps.clock.now()
    training = is_training(certificate.public_bytes(Encoding.DER))
    if training and not deps.catalogue.training:
        raise ImportTraining(f"{subject} only serves to practise", subject=subject)
    if deps.catalogue.training and not training:
        raise ImportNotTraining(
            f"{subject} has no place among authorities that only serve to practise", subject=subject
        )
    try:
        extensions = certificate.extensions
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
        usages = [each.value for each in extensions if isinstance(each.value, x509.KeyUsage)]
        # Both are its work here; generations of authorities differ in whether they say so critically.
        fit = constraints.ca and all(usage.key_cert_sign and usage.crl_sign for usage in usages)
    except _BROKEN:
        fit = False
    if not fit or not isinstance(certificate.public_key(), ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise ImportNotAuthority(f"{subject} is no authority", subject=subject)
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begin <= now <= end:
        raise ImportNotInForce(
            f"{subject} is not in force", subject=subject, not_before=rfc3339(begin), not_after=rfc3339(end)
        )


def _parent(certificate: x509.Certificate, subject: str, session: Session) -> str | None:
    """The authority here that has issued it; None for one that has issued itself."""
    if _has_issued(certificate, certificate):
        return None
    for authority in list_authorities(session):
        record = get_certificate(session, authority.serial) if authority.serial else None
        if record is not None and record.der is not None and _has_issued(record.certificate(), certificate):
            return authority.name
    raise ImportParentUnknown(f"nobody here has issued {subject}", subject=subject)


def _has_issued(issuer: x509.Certificate, lower: x509.Certificate) -> bool:
    try:
        lower.verify_directly_issued_by(issuer)
    except _BROKEN:
        return False
    return True


def _same(found: AuthorityRecord, certificate: x509.Certificate, session: Session) -> Taken:
    record = get_certificate(session, found.serial) if found.serial is not None else None
    if record is None or record.der != certificate.public_bytes(Encoding.DER):
        raise AuthorityExists(f"{found.name} is another authority", authority=found.name, subject=found.subject)
    return Taken(found, 0)


def _refuse_key_in_use(public_key_der: bytes, subject: str, session: Session) -> None:
    owner = find_key_owner(session, public_key_der)
    used_by = owner.name if owner is not None else ""
    if not used_by:
        used_by = next((record.common_name for record in find_by_key(session, public_key_der)), "")
    if used_by:
        raise ImportKeyInUse(f"the key of {subject} is used by {used_by}", subject=subject, used_by=used_by)


def _refuse_missing_key(public_key_der: bytes, subject: str, deps: CeremonyDeps) -> None:
    """The token has it, it cannot leave, and it is for authorities from here on and nothing else."""
    ref = next((each for each in deps.keys.list_keys() if each.public_key_der == public_key_der), None)
    if ref is None:
        key_id = key_id_of(public_key_der).hex()
        raise ImportKeyMissing(f"no key {key_id} for {subject}", subject=subject, key_id=key_id)
    if ref.purpose not in {None, Purpose.AUTHORITY}:
        raise ImportKeyInUse(f"the key of {subject} is for others", subject=subject, used_by=str(ref.purpose))
    deps.keys.check_protected(public_key_der)
    if ref.purpose is None:
        deps.keys.assign_purpose(public_key_der, Purpose.AUTHORITY)


def _read_list(
    crl: x509.CertificateRevocationList | None, certificate: x509.Certificate, subject: str
) -> tuple[int, list[x509.RevokedCertificate]]:
    """The number and the entries of its last list, which must be complete and its own."""
    if crl is None:
        return 0, []
    try:
        named = asn1_crl.CertificateList.load(crl.public_bytes(Encoding.DER)).issuer
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        partial = any(each.critical for each in crl.extensions)
        signed = crl.is_signature_valid(cast("rsa.RSAPublicKey", certificate.public_key()))
        good = (
            signed
            and not partial
            and named == asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER)).subject
        )
    except _BROKEN:
        good, number = False, 0
    if not good:
        raise ImportListWrong(f"the list is not that of {subject}", subject=subject)
    return number, list(crl)


def _take_in(
    name: str,
    parent: str | None,
    certificate: x509.Certificate,
    number: int,
    entries: list[x509.RevokedCertificate],
    actor: Actor,
    deps: CeremonyDeps,
    session: Session,
) -> Taken:
    """One commit: certificate, authority, what it has revoked, audit row."""
    now = deps.clock.now()
    new = _described(name, parent, certificate, deps)
    with contextlib.suppress(CertificateNotFound):
        get_certificate(session, new.serial)
        raise ImportSerialTaken(f"serial {new.serial} is taken", serial=new.serial)
    add_pending(
        session, now, name=name, parent=parent, profile=new.profile, subject=new.subject, public_key_der=new.public_key_der
    )  # fmt: skip
    add_intent(session, new)
    complete(session, new, certificate.public_bytes(Encoding.DER))
    authority = activate(session, name, new.serial)
    for entry in entries:
        _note_revoked(session, entry, authority, new)
    # The lists of before are out there: numbers go on from the last of them (RFC 5280 5.2.3).
    session.execute(update(AuthorityRow).where(AuthorityRow.name == name).values(crl_number=number))
    audit.append(
        session, deps.clock, actor, "authority.import", "authority", name,
        serial=new.serial, parent=parent or "", revoked=str(len(entries)), number=str(number),
    )  # fmt: skip
    return Taken(authority, len(entries))


def _described(name: str, parent: str | None, certificate: x509.Certificate, deps: CeremonyDeps) -> NewCertificate:
    serial = serial_hex(certificate.serial_number)
    subject = subject_of(certificate)
    if certificate.serial_number <= 0 or len(serial) > _LONGEST_SERIAL:
        raise ImportNotAuthority("a serial that RFC 5280 does not allow", subject=rfc4514(subject))
    return NewCertificate(
        serial=serial,
        profile=_PROFILES[parent is None],
        subject=rfc4514(subject),
        common_name=common_name(subject),
        organization=organization(subject),
        issuer=parent or name,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        tbs=certificate.tbs_certificate_bytes,
        public_key_der=spki_der(check_public_key(certificate.public_key())),
        created_at=deps.clock.now(),
    )


def _note_revoked(
    session: Session, entry: x509.RevokedCertificate, authority: AuthorityRecord, own: NewCertificate
) -> None:
    """A certificate of before of which only this is known; it stays on the lists until its authority ends."""
    serial = serial_hex(entry.serial_number)
    lost = LostCertificate(
        serial, own.profile, f"CN={serial}", authority.name, entry.revocation_date_utc, own.not_after, None
    )
    if not add_lost(session, lost):
        raise ImportSerialTaken(f"serial {serial} is taken", serial=serial)
    try:
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except _BROKEN:
        reason = x509.ReasonFlags.unspecified
    record: CertificateRecord = get_certificate(session, serial)
    write_revocation(session, record, reason, entry.revocation_date_utc, None, own.created_at)
