"""Certificate revocation lists: signed from the inventory, numbered and kept by the database. Publishing is for others."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from sqlalchemy import select
from sqlalchemy.orm import Session

from certs.clock import Clock
from certs.db import Database
from certs.inventory import CertificateRecord, revoked_by
from certs.names import issuer_of, subject_of
from certs.template import key_identifier_of
from hsm.spec import PublicKey
from pki import audit
from pki.audit import Actor
from pki.authorities import get_authority, next_crl_number
from pki.errors import CrlMismatch, CrlNotFound
from pki.issuer import Issuer, choose_signature
from pki.revocation import REASONS
from pki.roles import Permission, require
from pki.tables import CrlRow

LIFETIME = timedelta(days=7)
# The root's key is meant to be away most of the time; what it certifies changes once in years.
ROOT_LIFETIME = timedelta(days=90)


@dataclass(frozen=True)
class CrlDeps:
    """What CRLs need besides the issuer."""

    database: Database
    clock: Clock


@dataclass(frozen=True)
class CrlRecord:
    """One CRL that was signed and compared with the inventory."""

    authority: str
    number: int
    this_update: datetime
    next_update: datetime
    der: bytes
    sha256: str


@dataclass(frozen=True)
class _Plan:
    number: int
    this_update: datetime
    next_update: datetime
    entries: Sequence[CertificateRecord]


def sign_crl(issuer: Issuer, actor: Actor, deps: CrlDeps, lifetime: timedelta | None = None) -> CrlRecord:
    """Sign a full CRL of everything this authority has revoked. CrlMismatch when it does not say what the inventory says."""
    require(actor, Permission.SIGN_CRL)
    now = deps.clock.now().replace(microsecond=0)
    next_update = now + (lifetime or (ROOT_LIFETIME if issuer.is_root else LIFETIME))
    # 1. One transaction sees the entries, takes the next number and notes the intent. A death after it costs a number.
    with deps.database.write() as session:
        number = next_crl_number(session, issuer.name)
        last = find_latest_crl(session, issuer.name)
        entries = revoked_by(session, issuer.name, last.this_update if last is not None else None)
        row = CrlRow(
            authority=issuer.name,
            number=number,
            revocation_epoch=get_authority(session, issuer.name).revocation_epoch,
            this_update=now,
            next_update=next_update,
        )
        session.add(row)
        session.flush()
        row_id = row.id
    plan = _Plan(number, now, next_update, entries)
    # 2. The only line that uses the key.
    crl = _sign(issuer, plan)
    # 3. A list that forgets somebody is worse than none (boulder#6438): read it back before anybody else does.
    _check_crl(crl, issuer, plan)
    # 4. Result and audit together.
    der = crl.public_bytes(serialization.Encoding.DER)
    record = CrlRecord(issuer.name, number, now, next_update, der, hashlib.sha256(der).hexdigest())
    with deps.database.write() as session:
        row = session.get_one(CrlRow, row_id)
        row.der, row.sha256 = record.der, record.sha256
        audit.append(
            session,
            deps.clock,
            actor,
            "crl.sign",
            "authority",
            issuer.name,
            number=str(number),
            entries=str(len(entries)),
            sha256=record.sha256,
        )
    return record


def crl_due(authority: str, deps: CrlDeps) -> bool:
    """Whether a new CRL is needed: there is none, half of its life is over, or something changed since it was built."""
    with deps.database.read() as session:
        epoch = get_authority(session, authority).revocation_epoch
        row = _latest_row(session, authority)
        if row is None:
            return True
        half = row.this_update + (row.next_update - row.this_update) / 2
        return row.revocation_epoch != epoch or deps.clock.now() >= half


def find_latest_crl(session: Session, authority: str) -> CrlRecord | None:
    """The CRL with the highest number, if there is one."""
    row = _latest_row(session, authority)
    return _record(row) if row is not None else None


def find_latest_dates(session: Session, authority: str) -> tuple[datetime, datetime] | None:
    """this_update and next_update of that CRL, without the list itself, which may be long."""
    query = select(CrlRow.this_update, CrlRow.next_update).where(CrlRow.authority == authority, CrlRow.der.is_not(None))
    row = session.execute(query.order_by(CrlRow.number.desc()).limit(1)).one_or_none()
    return None if row is None else (row[0], row[1])


def get_crl(session: Session, authority: str, number: int) -> CrlRecord:
    """The CRL of this number; CrlNotFound for one that never was, or was never finished."""
    query = select(CrlRow).where(CrlRow.authority == authority, CrlRow.number == number, CrlRow.der.is_not(None))
    row = session.scalars(query).one_or_none()
    if row is None:
        raise CrlNotFound(f"{authority} has no CRL {number}", authority=authority, number=str(number))
    return _record(row)


def _sign(issuer: Issuer, plan: _Plan) -> x509.CertificateRevocationList:
    # The whole list goes to the constructor: `add_revoked_certificate` copies it every time, which is quadratic.
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=subject_of(issuer.certificate),
        last_update=plan.this_update.replace(tzinfo=None),
        next_update=plan.next_update.replace(tzinfo=None),
        revoked_certificates=[_build_entry(record) for record in plan.entries],
    )
    # RFC 5280 5.2.1 and 5.2.3: both MUST be there, neither is critical.
    identifier = x509.AuthorityKeyIdentifier(key_identifier_of(issuer.certificate), None, None)
    builder = builder.add_extension(identifier, critical=False)
    builder = builder.add_extension(x509.CRLNumber(plan.number), critical=False)
    choice = choose_signature(issuer.key.public_key())
    return builder.sign(issuer.key, choice.digest, rsa_padding=choice.rsa_padding)


def _build_entry(record: CertificateRecord) -> x509.RevokedCertificate:
    assert record.revoked_at is not None
    revoked_at = record.revoked_at.replace(tzinfo=None, microsecond=0)
    builder = x509.RevokedCertificateBuilder(int(record.serial, 16), revoked_at)
    reason = REASONS[record.revocation_reason or "unspecified"]
    # RFC 5280 5.3.1: unspecified is said by leaving the extension out.
    if reason is not x509.ReasonFlags.unspecified:
        builder = builder.add_extension(x509.CRLReason(reason), critical=False)
    if record.suspect_since is not None:
        since = record.suspect_since.replace(tzinfo=None, microsecond=0)
        builder = builder.add_extension(x509.InvalidityDate(since), critical=False)  # RFC 5280 5.3.2
    return builder.build()


def _check_crl(crl: x509.CertificateRevocationList, issuer: Issuer, plan: _Plan) -> None:
    public_key = issuer.certificate.public_key()
    assert isinstance(public_key, PublicKey)
    said = {entry.serial_number: _said(entry) for entry in crl}
    known = {int(record.serial, 16): _known(record) for record in plan.entries}
    problem = ""
    if not crl.is_signature_valid(public_key):
        problem = "signature"
    elif issuer_of(crl) != subject_of(issuer.certificate):
        problem = "issuer"
    elif crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number != plan.number:
        problem = "number"
    elif (crl.last_update_utc, crl.next_update_utc) != (plan.this_update, plan.next_update):
        problem = "times"
    elif said != known or len(crl) != len(plan.entries):
        problem = "entries"
    if problem:
        raise CrlMismatch(
            f"CRL {plan.number} of {issuer.name}: wrong {problem}",
            authority=issuer.name,
            number=str(plan.number),
            problem=problem,
        )


def _said(entry: x509.RevokedCertificate) -> tuple[datetime, str, datetime | None]:
    reason, since = "unspecified", None
    for extension in entry.extensions:
        if isinstance(extension.value, x509.CRLReason):
            reason = extension.value.reason.value
        if isinstance(extension.value, x509.InvalidityDate):
            since = extension.value.invalidity_date_utc
    return entry.revocation_date_utc, reason, since


def _known(record: CertificateRecord) -> tuple[datetime, str, datetime | None]:
    assert record.revoked_at is not None
    since = record.suspect_since.replace(microsecond=0) if record.suspect_since is not None else None
    return record.revoked_at.replace(microsecond=0), record.revocation_reason or "unspecified", since


def _latest_row(session: Session, authority: str) -> CrlRow | None:
    query = select(CrlRow).where(CrlRow.authority == authority, CrlRow.der.is_not(None))
    return session.scalars(query.order_by(CrlRow.number.desc()).limit(1)).one_or_none()


def _record(row: CrlRow) -> CrlRecord:
    assert row.der is not None
    assert row.sha256 is not None
    return CrlRecord(row.authority, row.number, row.this_update, row.next_update, row.der, row.sha256)
