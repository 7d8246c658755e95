"""Certificates of which only the audit trail knows: rows that keep their serials, so that none is given twice and each can be revoked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Table, func, insert, select
from sqlalchemy.orm import Session

from certs.inventory import CertificateRecord, State, fold
from certs.names import parse_subject
from certs.tables import NOT_ACTIVE, CertificateRow
from hsm.spec import key_id_of

_TABLE = cast("Table", CertificateRow.__table__)
_ADD = insert(_TABLE)


@dataclass(frozen=True)
class LostCertificate:
    """What a trail says of a certificate whose octets are gone. `not_after` is the latest that it can be good."""

    serial: str
    profile: str
    subject: str
    issuer: str
    issued_at: datetime
    not_after: datetime
    crl_shard: int | None


def is_lost(record: CertificateRecord) -> bool:
    """Whether only a trail knows of it. An intent of this database has the octets that were to be signed; this one has none at all."""
    return record.der is None and not record.tbs


def find_lost(session: Session, most: int) -> list[str]:
    """Serials of lost certificates that nobody has revoked."""
    c = _TABLE.c
    query = (
        select(c.serial).where(c.state == State.INTENT.value, NOT_ACTIVE, func.length(c.tbs) == 0).order_by(c.serial)
    )
    return list(session.scalars(query.limit(most)))


def add_lost(session: Session, lost: LostCertificate) -> bool:
    """Note it as an intent without octets and without a key; False when the inventory has its serial already."""
    if session.scalar(select(_TABLE.c.serial).where(_TABLE.c.serial == lost.serial)) is not None:
        return False
    subject = parse_subject(lost.subject)
    row = {
        "serial": lost.serial,
        "profile": lost.profile,
        "subject": lost.subject,
        "common_name": subject.common_name,
        "organization": subject.organization,
        "search_text": fold(f"{lost.subject} {lost.serial}"),
        "organization_text": fold(subject.organization),
        "issuer": lost.issuer,
        "state": State.INTENT.value,
        "not_before": lost.issued_at,
        "not_after": lost.not_after,
        "tbs": b"",
        "public_key_der": b"",
        "key_id": key_id_of(b"").hex(),
        "created_at": lost.issued_at,
        "crl_shard": lost.crl_shard,
    }
    session.execute(_ADD, row)
    return True
