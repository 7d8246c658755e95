"""Rows of the trust services: audit, authorities, CRLs, service keys, people. They stay in this package; others see records (law 8)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, ForeignKey, Integer, LargeBinary, String, Text, UniqueConstraint
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


class CrlRow(Base):
    """One CRL. `der` is null while it is an intent; a number that stayed an intent is never given again."""

    __tablename__ = "crls"
    __table_args__ = (UniqueConstraint("authority", "number"),)

    id: Mapped[int] = mapped_column(_SEQUENCE, primary_key=True, autoincrement=True)
    authority: Mapped[str] = mapped_column(ForeignKey("authorities.name"))
    number: Mapped[int] = mapped_column(_SEQUENCE)
    revocation_epoch: Mapped[int] = mapped_column(_SEQUENCE)
    this_update: Mapped[datetime]
    next_update: Mapped[datetime]
    der: Mapped[bytes | None] = mapped_column(LargeBinary)
    sha256: Mapped[str | None] = mapped_column(String(64))


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
