"""Rows of the trust services: audit, authorities, CRLs, service keys, people. They stay in this package; others see records (law 8)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from certs.db import Base

# SQLite numbers rows by itself only in a column that is INTEGER and nothing longer.
_SEQUENCE = BigInteger().with_variant(Integer, "sqlite")


class AuditRow(Base):
    """One act. Written in the transaction of the act itself, never changed."""

    __tablename__ = "audit"
    # Without AUTOINCREMENT SQLite may give the number of a deleted last row again, and a deletion would not show.
    __table_args__ = (
        Index("ix_audit_chain_position", "chain", "position", unique=True),
        {"sqlite_autoincrement": True},
    )

    seq: Mapped[int] = mapped_column(_SEQUENCE, primary_key=True, autoincrement=True)
    time: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(64))
    subject_kind: Mapped[str] = mapped_column(String(32))
    subject_id: Mapped[str] = mapped_column(String(200), index=True)
    details: Mapped[dict[str, str]] = mapped_column(JSON)
    # Null only in a row that did not come from pki/audit.py; `antin audit verify` names it.
    chain: Mapped[int | None] = mapped_column(SmallInteger)
    position: Mapped[int | None] = mapped_column(_SEQUENCE)
    link: Mapped[str | None] = mapped_column(String(64))


class AuthorityRow(Base):
    """One certificate authority of ours: the key it signs with, its certificate, and its counters."""

    __tablename__ = "authorities"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    parent: Mapped[str | None] = mapped_column(ForeignKey("authorities.name"))
    profile: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(Text)
    public_key_der: Mapped[bytes] = mapped_column(LargeBinary)
    serial: Mapped[str | None] = mapped_column(ForeignKey("certificates.serial"))
    state: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime]
    # The last CRL number given out, and how often anything on this authority's CRL has changed.
    crl_number: Mapped[int] = mapped_column(_SEQUENCE)
    revocation_epoch: Mapped[int] = mapped_column(_SEQUENCE)
    # Into how many partitions new certificates are spread; 0: they stand on the full CRL. Only ever raised.
    crl_partitions: Mapped[int] = mapped_column(server_default="0")


class CrlRow(Base):
    """One issue of a CRL scope: a complete list, a delta, or both under one number (RFC 5280 5.2.4).

    Both digests are null while it is an intent; a number that stayed an intent is never given again. Shard 0 is the full CRL.
    A list of up to a mebibyte stands in `der` or `delta_der`, a longer one in pieces.
    """

    __tablename__ = "crls"
    __table_args__ = (
        UniqueConstraint("authority", "number"),
        Index("ix_crls_authority_shard_number", "authority", "shard", "number"),
    )

    id: Mapped[int] = mapped_column(_SEQUENCE, primary_key=True, autoincrement=True)
    authority: Mapped[str] = mapped_column(ForeignKey("authorities.name"))
    number: Mapped[int] = mapped_column(_SEQUENCE)
    revocation_epoch: Mapped[int] = mapped_column(_SEQUENCE)
    this_update: Mapped[datetime]
    next_update: Mapped[datetime]
    der: Mapped[bytes | None] = mapped_column(LargeBinary)
    sha256: Mapped[str | None] = mapped_column(String(64))
    shard: Mapped[int] = mapped_column(server_default="0")
    size: Mapped[int | None] = mapped_column(_SEQUENCE)
    delta_der: Mapped[bytes | None] = mapped_column(LargeBinary)
    delta_sha256: Mapped[str | None] = mapped_column(String(64))
    delta_size: Mapped[int | None] = mapped_column(_SEQUENCE)
    delta_base: Mapped[int | None] = mapped_column(_SEQUENCE)
    delta_next_update: Mapped[datetime | None]


class CrlPieceRow(Base):
    """A mebibyte of a long list, so that neither writing nor reading one takes memory."""

    __tablename__ = "crl_pieces"

    crl_id: Mapped[int] = mapped_column(_SEQUENCE, ForeignKey("crls.id"), primary_key=True)
    is_delta: Mapped[bool] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    octets: Mapped[bytes] = mapped_column(LargeBinary)


class CrlEntryRow(Base):
    """What CRLs say of one certificate, as DER, since its state last changed.

    `is_listed`: complete lists and deltas say it; otherwise it is removeFromCRL, for deltas alone. `kept_until` is the later
    of the certificate's end and its revocation: a list dated after it is the last that says it.
    """

    __tablename__ = "crl_entries"
    # Without row numbers SQLite keeps the rows in the order of the key, in which a million of them are read.
    __table_args__ = (Index("ix_crl_entries_authority_epoch", "authority", "epoch"), {"sqlite_with_rowid": False})

    authority: Mapped[str] = mapped_column(ForeignKey("authorities.name"), primary_key=True)
    shard: Mapped[int] = mapped_column(primary_key=True)
    serial: Mapped[str] = mapped_column(String(40), primary_key=True)
    entry: Mapped[bytes] = mapped_column(LargeBinary)
    is_listed: Mapped[bool]
    is_urgent: Mapped[bool]
    kept_until: Mapped[datetime]
    epoch: Mapped[int] = mapped_column(_SEQUENCE)
    changed_at: Mapped[datetime]


class ServiceKeyRow(Base):
    """One key of a service that an authority has delegated: an OCSP responder's or a TSA's. `serial` is null while pending."""

    __tablename__ = "service_keys"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    authority: Mapped[str] = mapped_column(ForeignKey("authorities.name"))
    public_key_der: Mapped[bytes] = mapped_column(LargeBinary)
    serial: Mapped[str | None] = mapped_column(ForeignKey("certificates.serial"))
    state: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime]


class OcspAnswerRow(Base):
    """One OCSP answer that was signed before it was asked for, and what it says. Never deleted: it is evidence.

    `digest` is the one of the CertID, `responder` the serial of the certificate that signed.
    """

    __tablename__ = "ocsp_answers"
    __table_args__ = (Index(None, "serial", "digest", "this_update"),)

    id: Mapped[int] = mapped_column(_SEQUENCE, primary_key=True, autoincrement=True)
    serial: Mapped[str] = mapped_column(ForeignKey("certificates.serial"))
    digest: Mapped[str] = mapped_column(String(8))
    responder: Mapped[str] = mapped_column(ForeignKey("certificates.serial"))
    state: Mapped[str] = mapped_column(String(16))
    revoked_at: Mapped[datetime | None]
    revocation_reason: Mapped[str | None] = mapped_column(String(32))
    suspect_since: Mapped[datetime | None]
    this_update: Mapped[datetime]
    next_update: Mapped[datetime]
    response_data: Mapped[bytes] = mapped_column(LargeBinary)
    signature: Mapped[bytes] = mapped_column(LargeBinary)


class OcspCurrentRow(Base):
    """Which stored answer is the current one, and from when on a new one is wanted."""

    __tablename__ = "ocsp_current"

    serial: Mapped[str] = mapped_column(ForeignKey("certificates.serial"), primary_key=True)
    digest: Mapped[str] = mapped_column(String(8), primary_key=True)
    answer: Mapped[int] = mapped_column(ForeignKey("ocsp_answers.id"))
    refresh_at: Mapped[datetime] = mapped_column(index=True)


class AuditChainRow(Base):
    """How long a chain of audit rows is, and its last link. Whoever appends to the chain keeps this row locked until he commits."""

    __tablename__ = "audit_chains"

    chain: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    length: Mapped[int] = mapped_column(_SEQUENCE)
    head: Mapped[str] = mapped_column(String(64))


class PersonRow(Base):
    """One person who acts here. Never deleted: audit rows name him for ever. `roles` are separated by blanks."""

    __tablename__ = "persons"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    full_name: Mapped[str] = mapped_column(String(64))
    roles: Mapped[str] = mapped_column(String(100))
    state: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime]


class ApprovalRow(Base):
    """One request for others' approval. `content` are the bytes of everything that will be done, `sha256` is theirs.

    `asked_sha256` is that of what was asked for alone, without what it rests on: by it a repeated command finds its request.
    """

    __tablename__ = "approvals"
    # A number must never be given again: people say it to each other.
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  SQLAlchemy reads a plain mapping here

    id: Mapped[int] = mapped_column(_SEQUENCE, primary_key=True, autoincrement=True)
    kind: Mapped[str] = mapped_column(String(32))
    title: Mapped[str] = mapped_column(Text)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    sha256: Mapped[str] = mapped_column(String(64))
    asked_sha256: Mapped[str] = mapped_column(String(64), index=True)
    asked_by: Mapped[str] = mapped_column(String(200))
    principal: Mapped[str] = mapped_column(String(200))
    asked_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    needed: Mapped[int]
    state: Mapped[str] = mapped_column(String(16), index=True)


class ApprovalVoteRow(Base):
    """One person's answer to a request, with as much of the hash as he gave for what he had seen."""

    __tablename__ = "approval_votes"
    __table_args__ = (UniqueConstraint("approval_id", "principal"),)

    id: Mapped[int] = mapped_column(_SEQUENCE, primary_key=True, autoincrement=True)
    approval_id: Mapped[int] = mapped_column(ForeignKey("approvals.id"))
    person: Mapped[str] = mapped_column(String(200))
    principal: Mapped[str] = mapped_column(String(200))
    decision: Mapped[str] = mapped_column(String(16))
    sha256: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str | None] = mapped_column(String(500))
    voted_at: Mapped[datetime]
