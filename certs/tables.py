"""Rows of the inventory. They stay in this package; others see CertificateRecord (law 8)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, LargeBinary, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from certs.db import Base

# In the words of an index that has only these rows: beside a bound state SQLite would not conclude that it serves.
NOT_ACTIVE = text("certificates.state <> 'active'")


class CertificateRow(Base):
    """One certificate that we signed or were about to sign. Never deleted."""

    __tablename__ = "certificates"
    __table_args__ = (
        Index(None, "created_at", "serial"),
        # Newest first within a state: the few that were revoked are not looked for among all of a name. Nearly all are active.
        Index(
            "ix_certificates_state_created_at_serial", "state", "created_at", "serial",
            sqlite_where=text("state <> 'active'"), postgresql_where=text("state <> 'active'"),
        ),
        # Any part of a word is found. Only PostgreSQL has the operators; SQLite reads the column through.
        Index(
            "ix_certificates_search_text_trigrams", "search_text", postgresql_using="gin",
            postgresql_ops={"search_text": "gin_trgm_ops"},
        ).ddl_if(dialect="postgresql"),
        Index(
            "ix_certificates_organization_text_trigrams", "organization_text", postgresql_using="gin",
            postgresql_ops={"organization_text": "gin_trgm_ops"},
        ).ddl_if(dialect="postgresql"),
    # All that the check of a CRL reads, and nothing else: rows are long, and a million of them lie far apart.
        Index(
            "ix_certificates_listed", "issuer", "crl_shard", "serial", "state", "revoked_at", "revocation_reason",
            "suspect_since", "not_after",
            sqlite_where=text("state IN ('revoked', 'suspended')"),
            postgresql_where=text("state IN ('revoked', 'suspended')"),
        ),
        # Few have ever been on a list.
        Index(
            "ix_certificates_issuer_crl_epoch", "issuer", "crl_epoch",
            sqlite_where=text("crl_epoch IS NOT NULL"), postgresql_where=text("crl_epoch IS NOT NULL"),
        ),
        # Few certificates follow another one.
        Index(
            "ix_certificates_replaces", "replaces",
            sqlite_where=text("replaces IS NOT NULL"), postgresql_where=text("replaces IS NOT NULL"),
        ),
        # A subject may be longer than a B-tree takes.
        Index("ix_certificates_subject_hash", "subject", postgresql_using="hash").ddl_if(dialect="postgresql"),
    )  # fmt: skip

    serial: Mapped[str] = mapped_column(String(40), primary_key=True)
    profile: Mapped[str] = mapped_column(String(32), index=True)
    subject: Mapped[str] = mapped_column(Text)
    common_name: Mapped[str] = mapped_column(Text)
    organization: Mapped[str] = mapped_column(Text)
    # Subject, folded to plain small letters: people search without Vietnamese marks.
    search_text: Mapped[str] = mapped_column(Text)
    organization_text: Mapped[str] = mapped_column(Text, server_default="")
    issuer: Mapped[str] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(16))
    not_before: Mapped[datetime]
    not_after: Mapped[datetime] = mapped_column(index=True)
    tbs: Mapped[bytes] = mapped_column(LargeBinary)
    der: Mapped[bytes | None] = mapped_column(LargeBinary)
    sha256: Mapped[str | None] = mapped_column(String(64), unique=True)
    public_key_der: Mapped[bytes] = mapped_column(LargeBinary)
    key_id: Mapped[str] = mapped_column(String(40), index=True)
    revoked_at: Mapped[datetime | None]
    revocation_reason: Mapped[str | None] = mapped_column(String(32))
    suspect_since: Mapped[datetime | None]
    created_at: Mapped[datetime]
    # Which partition of its issuer's CRL lists it, as its distribution point says; null: the full CRL.
    crl_shard: Mapped[int | None]
    # The issuer's revocation epoch when what its CRL says of this certificate last changed; null: never.
    crl_epoch: Mapped[int | None] = mapped_column(BigInteger().with_variant(Integer, "sqlite"))
    # The serial of the certificate that this one was issued to follow.
    replaces: Mapped[str | None] = mapped_column(String(40))


class IdentifierRow(Base):
    """A number of the holder that stands in a certificate's subject, as it is written there: MST:…, CCCD:…, VATVN-…"""

    __tablename__ = "certificate_identifiers"
    # With row numbers SQLite would keep the key twice.
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012  SQLAlchemy reads a plain mapping here

    # They are looked for by their value alone, so the key begins with it.
    value: Mapped[str] = mapped_column(String(64), primary_key=True)
    serial: Mapped[str] = mapped_column(ForeignKey("certificates.serial"), primary_key=True)
