"""Rows of the trust services: audit, authorities, CRLs, service keys. They stay in this package; others see frozen records (law 8)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, LargeBinary, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from certs.db import Base

# SQLite numbers rows by itself only in a column that is INTEGER and nothing longer.
_SEQUENCE = BigInteger().with_variant(Integer, "sqlite")


class AuditRow(Base):
    """One act. Written in the transaction of the act itself, never changed."""

    __tablename__ = "audit"
    # Without AUTOINCREMENT SQLite may give the number of a deleted last row again, and a deletion would not show.
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012  SQLAlchemy reads a plain mapping here

    seq: Mapped[int] = mapped_column(_SEQUENCE, primary_key=True, autoincrement=True)
    time: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(64))
    subject_kind: Mapped[str] = mapped_column(String(32))
    subject_id: Mapped[str] = mapped_column(String(200), index=True)
    details: Mapped[dict[str, str]] = mapped_column(JSON)


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
