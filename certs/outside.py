"""Certificates that others have issued for keys of ours: kept with their path, and found again. Whether they are good is for others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from sqlalchemy import select
from sqlalchemy.orm import Session

from certs.errors import CertificateNotFound
from certs.outside_tables import OutsideCertificateRow
from hsm import der


@dataclass(frozen=True)
class OutsideCertificate:
    """One of them. `path`: DER of what stands above it, from the nearest up; the anchor is the last."""

    sha256: str
    serial: str
    subject: str
    common_name: str
    issuer: str
    not_before: datetime
    not_after: datetime
    der: bytes
    path: tuple[bytes, ...]
    public_key_der: bytes
    imported_at: datetime
    imported_by: str
    ended_at: datetime | None = None

    def certificate(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.der)

    def whole_path(self) -> tuple[bytes, ...]:
        """The certificate itself, and all above it."""
        return (self.der, *self.path)


def add_outside(session: Session, new: OutsideCertificate) -> None:
    """Keep one; that it is kept already changes nothing but that it is in use again."""
    row = session.get(OutsideCertificateRow, new.sha256)
    if row is not None:
        row.ended_at, row.path = None, b"".join(new.path)
    else:
        session.add(OutsideCertificateRow(**(vars(new) | {"path": b"".join(new.path)})))
    session.flush()


def find_outside(session: Session, sha256: str) -> OutsideCertificate | None:
    """The one with this fingerprint, if it was ever imported."""
    row = session.get(OutsideCertificateRow, sha256)
    return _record(row) if row is not None else None


def get_outside(session: Session, sha256: str) -> OutsideCertificate:
    """The same; CertificateNotFound without it."""
    found = find_outside(session, sha256)
    if found is None:
        raise CertificateNotFound(f"no certificate {sha256}", serial=sha256)
    return found


def list_outside(session: Session) -> list[OutsideCertificate]:
    """Those that something signs with, the first to end first."""
    row = OutsideCertificateRow
    return [
        _record(each) for each in session.scalars(select(row).where(row.ended_at.is_(None)).order_by(row.not_after))
    ]


def end_outside(session: Session, sha256: str, now: datetime) -> None:
    """Nothing signs with this one from here on."""
    row = session.get(OutsideCertificateRow, sha256)
    if row is not None and row.ended_at is None:
        row.ended_at = now
        session.flush()


def _record(row: OutsideCertificateRow) -> OutsideCertificate:
    return OutsideCertificate(
        row.sha256, row.serial, row.subject, row.common_name, row.issuer, row.not_before, row.not_after, row.der,
        _split(row.path), row.public_key_der, row.imported_at, row.imported_by, row.ended_at,
    )  # fmt: skip


def _split(joined: bytes) -> tuple[bytes, ...]:
    """The elements that stand one after the other."""
    found, at = [], 0
    while at < len(joined):
        _, _, end = der.element(joined, at)
        found.append(joined[at:end])
        at = end
    return tuple(found)
