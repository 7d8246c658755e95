"""Official certificates: others are asked to certify a key of ours, and what they issue becomes a credential, or its new certificate.

A request comes out and a certificate comes in, by hand or by mail: nothing here uses the network. Whom to believe is trust_store.py's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from sqlalchemy import select
from sqlalchemy.orm import Session

from certs.clock import Clock, rfc3339
from certs.db import Database
from certs.inventory import find_by_sha256, get_certificate
from certs.names import SubjectName, common_name, issuer_of, parse_subject, rfc4514, subject_of
from certs.outside import OutsideCertificate, add_outside, get_outside
from certs.serial import serial_hex
from hsm.spec import KeySpec, Purpose, key_id_of, load_public_key, spki_der
from hsm.store import KeyStore
from pki.audit import Actor, append
from pki.certificate_request import sign_request
from pki.roles import Permission, require
from pki.schemes import scheme_for
from signer.credentials import (
    OFFICER,
    SEAL,
    CredentialSummary,
    NewCredential,
    check_name,
    find_by_key,
    get_credential,
    list_credentials,
    register_credential,
    set_certificate,
)
from signer.enrolment import key_label
from signer.errors import Refused, UsageWrong
from signer.official_standing import refuse_revoked
from signer.tables import CredentialRequestRow, CredentialRow
from signer.trust_lists import TrustLists
from signer.trust_path import TrustPath, find_path
from signer.trust_store import add_authorities, list_trusted, shown_subject

ROLES = (OFFICER, SEAL)
_LONGEST_SERIAL, _LONGEST_AGENCY = 40, 64
_BROKEN = (ValueError, TypeError, KeyError, UnsupportedAlgorithm)


@dataclass(frozen=True)
class RequestWish:
    """A request for a credential's key. Of a credential that is there only `subject` may be said; a new one needs role and subject."""

    name: str
    role: str | None = None
    subject: SubjectName | None = None
    spec: KeySpec = KeySpec.P_256
    image_sha256: str | None = None
    diameter_mm: float | None = None


@dataclass(frozen=True)
class OfficialDeps:
    """What asking and taking in work with."""

    database: Database
    keys: KeyStore
    clock: Clock
    lists: TrustLists
    rsa_padding: str


@dataclass(frozen=True)
class Imported:
    """What came in: the credential that signs with it from now on, the tree it stands in, and whether the credential is new."""

    credential: str
    certificate: OutsideCertificate
    tree: str
    is_new: bool


def request_certificate(wish: RequestWish, actor: Actor, deps: OfficialDeps) -> bytes:
    """The request in DER, to be sent to the authority. Asked again for the same, it is for the same key."""
    require(actor, Permission.MANAGE_CREDENTIALS)
    check_name(wish.name)
    with deps.database.alone("enrolment"):
        with deps.database.read() as session:
            known = _credential(session, wish.name)
            subject = wish.subject or _subject_now(session, known)
            waiting = session.get(CredentialRequestRow, wish.name)
            role = known.role if known is not None else wish.role or (waiting.role if waiting is not None else None)
            if subject is None and waiting is not None:
                subject = parse_subject(waiting.subject)
            if known is not None and (wish.role not in (None, known.role) or wish.image_sha256 is not None):
                raise UsageWrong("CREDENTIAL_EXISTS", name=wish.name)
        if role not in ROLES or subject is None:
            raise UsageWrong("REQUEST_NEEDS_WORDS", name=wish.name, valid=", ".join(ROLES))
        public_key_der = known.public_key_der if known is not None else _key(wish, deps)
        deps.keys.check_protected(public_key_der)
        csr = sign_request(deps.keys.get(public_key_der), public_key_der, subject)
        now = deps.clock.now()
        with deps.database.write() as session:
            row = session.get(CredentialRequestRow, wish.name) or CredentialRequestRow(name=wish.name)
            row.role, row.subject, row.csr_der, row.public_key_der = role, str(subject), csr, public_key_der
            row.agency = (known.agency if known is not None else subject.organization or subject.common_name)[
                :_LONGEST_AGENCY
            ]
            row.image_sha256 = wish.image_sha256 or row.image_sha256
            row.diameter_mm = wish.diameter_mm
            row.made_at, row.made_by, row.answered_at = now, actor.name, None
            session.add(row)
            append(
                session, deps.clock, actor, "credential.request", "credential", wish.name,
                subject=str(subject), key_id=key_id_of(public_key_der).hex(),
            )  # fmt: skip
    return csr


def _credential(session: Session, name: str) -> CredentialSummary | None:
    return get_credential(session, name) if session.get(CredentialRow, name) is not None else None


def _subject_now(session: Session, known: CredentialSummary | None) -> SubjectName | None:
    """As its present certificate has it; None where ours could not write that name again."""
    if known is None:
        return None
    text = (
        get_outside(session, known.outside_sha256).subject
        if known.outside_sha256 is not None
        else get_certificate(session, known.certificate_serial).subject
    )
    return parse_subject(text)


def _key(wish: RequestWish, deps: OfficialDeps) -> bytes:
    """The key that was made for this name and that nobody signs with; else a new one."""
    with deps.database.read() as session:
        taken = {each.public_key_der for each in list_credentials(session)}
    for ref in deps.keys.list_keys():
        free = ref.label == key_label(wish.name) and ref.public_key_der not in taken
        if free and ref.spec is wish.spec and ref.purpose is Purpose.DOCUMENT:
            return ref.public_key_der
    return deps.keys.generate(wish.spec, key_label(wish.name), Purpose.DOCUMENT).public_key_der


def read_bundle(data: bytes) -> list[x509.Certificate]:
    """Certificates as authorities send them: PEM, DER, or PKCS #7 in either; UsageWrong OUTSIDE_UNREADABLE."""
    try:
        if b"-----BEGIN PKCS7" in data:
            return pkcs7.load_pem_pkcs7_certificates(data)
        if b"-----BEGIN" in data:
            return x509.load_pem_x509_certificates(data)
        try:
            return [x509.load_der_x509_certificate(data)]
        except _BROKEN:
            return pkcs7.load_der_pkcs7_certificates(data)
    except _BROKEN:
        raise UsageWrong("OUTSIDE_UNREADABLE") from None


def import_certificate(certificates: Sequence[x509.Certificate], actor: Actor, deps: OfficialDeps) -> Imported:
    """Take in the certificate that is for a key of ours; the others are its chain, in any order. Refused unless it is good now."""
    require(actor, Permission.MANAGE_CREDENTIALS)
    now = deps.clock.now()
    with deps.database.alone("enrolment"):
        with deps.database.read() as session:
            certificate, key = _ours_among(certificates, session)
            _refuse_use(certificate, now)
            path = find_path(certificate, certificates, list_trusted(session), now)
            if path is None:
                raise Refused("OFFICIAL_CHAIN_NOWHERE", subject=shown_subject(certificate))
            _refuse_revoked(certificate, path, session, deps)
        deps.keys.check_protected(key)
        new = _described(certificate, key, path, actor, now)
        with deps.database.write() as session:
            return _take_in(session, new, path, actor, deps)


def _ours_among(certificates: Sequence[x509.Certificate], session: Session) -> tuple[x509.Certificate, bytes]:
    """The certificate whose key a request or a credential has."""
    for certificate in certificates:
        try:
            public_key = certificate.public_key()
        except _BROKEN:
            continue
        if not isinstance(public_key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
            continue
        key = spki_der(public_key)
        if find_by_key(session, key) is not None or _request_for(session, key) is not None:
            if find_by_sha256(session, certificate.fingerprint(hashes.SHA256()).hex()) is not None:
                raise Refused("OFFICIAL_IS_OWN", subject=shown_subject(certificate))
            return certificate, key
    subject = shown_subject(certificates[0]) if certificates else ""
    raise Refused("OFFICIAL_KEY_UNKNOWN", subject=subject)


def _request_for(session: Session, key: bytes) -> CredentialRequestRow | None:
    row = CredentialRequestRow
    return session.scalars(select(row).where(row.public_key_der == key)).first()


def _refuse_use(certificate: x509.Certificate, now: datetime) -> None:
    """It is for signing, and in its term."""
    subject = shown_subject(certificate)
    if now > certificate.not_valid_after_utc:
        raise Refused("OFFICIAL_EXPIRED", subject=subject, when=rfc3339(certificate.not_valid_after_utc))
    if now < certificate.not_valid_before_utc:
        raise Refused("OFFICIAL_NOT_YET_VALID", subject=subject, when=rfc3339(certificate.not_valid_before_utc))
    if certificate.serial_number <= 0 or len(serial_hex(certificate.serial_number)) > _LONGEST_SERIAL:
        raise UsageWrong("OUTSIDE_UNREADABLE")
    try:
        values = [each.value for each in certificate.extensions]
    except _BROKEN:
        raise UsageWrong("OUTSIDE_UNREADABLE") from None
    for value in values:
        if isinstance(value, x509.BasicConstraints) and value.ca:
            raise Refused("OUTSIDE_IS_AUTHORITY", name=subject)
        if isinstance(value, x509.KeyUsage) and not (value.content_commitment or value.digital_signature):
            raise Refused("OUTSIDE_KEY_USAGE", name=subject)


def _refuse_revoked(certificate: x509.Certificate, path: TrustPath, session: Session, deps: OfficialDeps) -> None:
    """By the lists that are here. Without any it comes in all the same: whoever signs with it asks again."""
    said = deps.lists.about(session, certificate, path.above[0] if path.above else path.anchor)
    refuse_revoked([said] if said is not None else [], shown_subject(certificate))


def _described(
    certificate: x509.Certificate, key: bytes, path: TrustPath, actor: Actor, now: datetime
) -> OutsideCertificate:
    subject = subject_of(certificate)
    return OutsideCertificate(
        sha256=certificate.fingerprint(hashes.SHA256()).hex(),
        serial=serial_hex(certificate.serial_number),
        subject=rfc4514(subject),
        common_name=common_name(subject) or rfc4514(subject),
        issuer=rfc4514(issuer_of(certificate)),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        der=certificate.public_bytes(Encoding.DER),
        path=path.octets(),
        public_key_der=key,
        imported_at=now,
        imported_by=actor.name,
    )


def _take_in(session: Session, new: OutsideCertificate, path: TrustPath, actor: Actor, deps: OfficialDeps) -> Imported:
    """One commit: certificate, the authorities above it, credential, request answered, audit row."""
    now = deps.clock.now()
    known, request = find_by_key(session, new.public_key_der), _request_for(session, new.public_key_der)
    if known is not None and known.outside_sha256 == new.sha256:
        return Imported(known.name, get_outside(session, new.sha256), path.tree, is_new=False)
    add_outside(session, new)
    add_authorities(session, path.above, path.tree, actor, deps.clock)
    if request is not None:
        request.answered_at = now
    if known is not None:
        name = known.name
        set_certificate(session, name, new.serial, now, outside_sha256=new.sha256)
    else:
        assert request is not None, "a key of ours has a credential or a request"
        name = request.name
        public_key = load_public_key(new.public_key_der)
        credential = NewCredential(
            name, request.role, request.agency, new.public_key_der, new.serial,
            scheme_for(public_key, rsa_padding=deps.rsa_padding), request.image_sha256, request.diameter_mm, new.sha256,
        )  # fmt: skip
        register_credential(session, credential, now)
    append(
        session, deps.clock, actor, "credential.import", "credential", name,
        serial=new.serial, sha256=new.sha256, issuer=new.issuer, tree=path.tree,
    )  # fmt: skip
    return Imported(name, new, path.tree, is_new=known is None)
