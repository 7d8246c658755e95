"""Credentials whose key is elsewhere: a certificate from outside, enrolled for a person of an agency or for its seal, and ended again.

What such a certificate must be like is outside.py's; what is signed with it goes through handing_over.py.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from certs.clock import Clock, for_people
from certs.db import Database, hold
from pki.approval import Deed, demand, use
from pki.approval_rules import Act, ApprovalRules
from pki.audit import Actor, append
from pki.roles import Permission, require
from pki.schemes import Scheme
from signer.credentials import OFFICER, OUTSIDE, SEAL, check_name, credential_exists, unknown_credential
from signer.errors import Refused, UsageWrong
from signer.outside import Outside, der_of, outside_signatory, refuse_if_ended
from signer.prepared import der_values
from signer.tables import CredentialRow, OutsideCredentialRow

ROLES = (OFFICER, SEAL)
_LONGEST = {"agency": 64, "holder": 100, "reference": 200, "reason": 200}


@dataclass(frozen=True)
class NewOutside:
    """What is asked for. `agency` "": as the certificate has it. `reference`: the paper by which the holder has the key (ND30 Đ.32)."""

    name: str
    role: str
    certificate: x509.Certificate
    others: tuple[x509.Certificate, ...]
    holder: str
    reference: str
    agency: str = ""
    image_sha256: str | None = None
    diameter_mm: float | None = None


@dataclass(frozen=True)
class OutsideCredential:
    """One of them as lists show it. `ended_at` None: it may sign, as far as its certificate lasts."""

    name: str
    role: str
    agency: str
    common_name: str
    serial: str
    sha256: str
    not_before: datetime
    not_after: datetime
    holder: str
    reference: str
    created_at: datetime
    ended_at: datetime | None
    end_reason: str | None


@dataclass(frozen=True)
class OutsideDeps:
    """What enrolling needs."""

    database: Database
    clock: Clock
    approvals: ApprovalRules
    rsa_padding: str


def enrol_outside(new: NewOutside, actor: Actor, deps: OutsideDeps) -> OutsideCredential:
    """Register it; where the home asks for it, somebody else has to agree before. Refused when the certificate may not sign now."""
    require(actor, Permission.MANAGE_CREDENTIALS)
    check_name(new.name)
    if new.role not in ROLES:
        raise UsageWrong("CREDENTIAL_ROLE_UNKNOWN", role=new.role[:40], valid=", ".join(ROLES))
    holder, reference = _text("holder", new.holder), _text("reference", new.reference)
    signatory = outside_signatory(new.certificate, new.others, deps.clock.now(), rsa_padding=deps.rsa_padding)
    agency = _text("agency", new.agency or signatory.agency)
    with deps.database.read() as session:
        _refuse_taken(session, new.name, _key_of(new))
        refuse_if_ended(session, signatory, deps.clock.now())
    deed = Deed(
        Act.CREDENTIAL_ENROL,
        f"{new.name}: {signatory.common_name} ({new.role}, {agency})",
        {
            "name": new.name, "role": new.role, "agency": agency, "holder": holder, "reference": reference,
            "certificate": signatory.sha256, "picture": new.image_sha256,
            "diameter_mm": None if new.diameter_mm is None else f"{new.diameter_mm:g}",
        },
    )  # fmt: skip
    approval = demand(deed, deps.approvals.needed(Act.CREDENTIAL_ENROL), actor, deps)
    now = deps.clock.now()
    with deps.database.write() as session:
        hold(session, "outside credentials")
        hold(session, f"credential {new.name}")
        _refuse_taken(session, new.name, _key_of(new))
        use(session, approval, deed, actor, deps.clock)
        credential = CredentialRow(
            name=new.name, role=new.role, activation=OUTSIDE, agency=agency,
            public_key_der=_key_of(new),
            certificate_serial=signatory.serial, scheme=signatory.template.scheme.value, image_sha256=new.image_sha256,
            diameter_mm=new.diameter_mm, created_at=now,
        )  # fmt: skip
        outside = OutsideCredentialRow(
            name=new.name, certificates=b"".join(der_of((signatory.certificate, *signatory.above))),
            anchors=b"".join(der_of(signatory.roots)) or None, sha256=signatory.sha256,
            common_name=signatory.common_name, not_before=new.certificate.not_valid_before_utc,
            not_after=new.certificate.not_valid_after_utc, holder=holder, reference=reference,
        )  # fmt: skip
        session.add(credential)
        session.flush()
        session.add(outside)
        append(
            session, deps.clock, actor, Act.CREDENTIAL_ENROL.value, "credential", new.name, role=new.role,
            agency=agency, holder=holder, reference=reference, certificate=signatory.sha256,
        )  # fmt: skip
        session.flush()
        return _read(credential, outside)


def end_outside(name: str, reason: str, actor: Actor, database: Database, clock: Clock) -> OutsideCredential:
    """It signs no more, and what it signed counts no more as an officer's: the card is lost, the holder has another office."""
    require(actor, Permission.MANAGE_CREDENTIALS)
    reason = _text("reason", reason)
    with database.write() as session:
        hold(session, f"credential {name}")
        credential, outside = _rows(session, name)
        if outside.ended_at is not None:
            raise _ended(outside)
        outside.ended_at, outside.end_reason = clock.now(), reason
        append(session, clock, actor, "credential.end", "credential", name, reason=reason)
        session.flush()
        return _read(credential, outside)


def list_outside(session: Session) -> list[OutsideCredential]:
    """All of them by name, those that have ended too."""
    query = select(CredentialRow, OutsideCredentialRow).join(
        OutsideCredentialRow, OutsideCredentialRow.name == CredentialRow.name
    )
    return [_read(*row) for row in session.execute(query.order_by(CredentialRow.name))]


def is_outside(session: Session, name: str) -> bool:
    """Whether the key of the credential of this name is elsewhere."""
    query = select(OutsideCredentialRow.name).where(OutsideCredentialRow.name == name)
    return name.isascii() and name.isprintable() and session.scalar(query) is not None


def usable_outside(session: Session, name: str, now: datetime, scheme: Scheme | None = None) -> Outside:
    """Whose signature it will be; Refused when it has ended or its certificate may not sign now."""
    credential, outside = _rows(session, name)
    if outside.ended_at is not None:
        raise _ended(outside)
    own, *above = _certificates(outside.certificates)
    others = (*above, *_certificates(outside.anchors or b""))
    found = outside_signatory(own, others, now, scheme=scheme or Scheme(credential.scheme))
    signatory = Outside(
        **(
            vars(found)
            | {
                "name": credential.name, "role": credential.role, "agency": credential.agency,
                "image_sha256": credential.image_sha256, "diameter_mm": credential.diameter_mm,
            }
        )
    )  # fmt: skip
    refuse_if_ended(session, signatory, now)
    return signatory


def refuse_ended_outside(session: Session, outside: Outside, now: datetime) -> None:
    """Refused unless it may sign now, by what is in the register as this transaction sees it; nobody ends it before that ends."""
    refuse_if_ended(session, outside, now)
    if outside.name is not None:
        row = session.get_one(
            OutsideCredentialRow, outside.name, with_for_update={"read": True}, populate_existing=True
        )
        if row.ended_at is not None:
            raise _ended(row)


def enrolled_in_force(session: Session, sha256s: Collection[str], now: datetime) -> dict[str, str]:
    """Of these fingerprints of certificates those that are enrolled and may sign now, each with the credential's name."""
    if not sha256s:
        return {}
    row = OutsideCredentialRow
    query = select(row.sha256, row.name).where(
        row.sha256.in_(list(sha256s)), row.ended_at.is_(None), row.not_before <= now, row.not_after >= now
    )
    return dict(session.execute(query).all())


def _rows(session: Session, name: str) -> tuple[CredentialRow, OutsideCredentialRow]:
    query = select(CredentialRow, OutsideCredentialRow).join(
        OutsideCredentialRow, OutsideCredentialRow.name == CredentialRow.name
    )
    # No database takes every text that somebody may type.
    found = session.execute(query.where(CredentialRow.name == name)).first() if name.isprintable() else None
    if found is None:
        raise unknown_credential(session, name)
    return found


def _key_of(new: NewOutside) -> bytes:
    return new.certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _refuse_taken(session: Session, name: str, public_key_der: bytes) -> None:
    if credential_exists(session, name):
        raise UsageWrong("CREDENTIAL_EXISTS", name=name)
    query = select(CredentialRow.name).where(
        CredentialRow.public_key_der == public_key_der,
        ~exists().where(OutsideCredentialRow.name == CredentialRow.name, OutsideCredentialRow.ended_at.is_not(None)),
    )
    other = session.scalars(query).first()
    if other is not None:
        # One key has one role, whichever certificate says so: counted as two, an officer's card could seal what it has signed.
        raise Refused("CERTIFICATE_ENROLLED", name=other)


def _ended(row: OutsideCredentialRow) -> Refused:
    when = for_people(row.ended_at) if row.ended_at else ""
    return Refused("CREDENTIAL_ENDED", name=row.name, when=when, reason=row.end_reason or "")


def _text(what: str, typed: str) -> str:
    text = unicodedata.normalize("NFC", typed).strip()
    if not text or len(text) > _LONGEST[what] or not text.isprintable():
        raise UsageWrong("CREDENTIAL_TEXT_WRONG", field=what, limit=str(_LONGEST[what]))
    return text


def _certificates(joined: bytes) -> Sequence[x509.Certificate]:
    return [x509.load_der_x509_certificate(each) for each in der_values(joined)]


def _read(credential: CredentialRow, outside: OutsideCredentialRow) -> OutsideCredential:
    return OutsideCredential(
        credential.name, credential.role, credential.agency, outside.common_name, credential.certificate_serial,
        outside.sha256, outside.not_before, outside.not_after, outside.holder, outside.reference,
        credential.created_at, outside.ended_at, outside.end_reason,
    )  # fmt: skip
