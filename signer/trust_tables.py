"""Rows of the trust store: whom this home believes besides itself, and the revocation lists that were brought to it (law 8)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from certs.db import Base


class TrustedRow(Base):
    """An anchor, or an authority below one that paths are built with. `tree` is what its signatures count as."""

    __tablename__ = "trusted_certificates"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    tree: Mapped[str] = mapped_column(String(16))
    is_anchor: Mapped[bool] = mapped_column(Boolean)
    subject: Mapped[str] = mapped_column(Text)
    not_after: Mapped[datetime]
    der: Mapped[bytes] = mapped_column(LargeBinary)
    added_at: Mapped[datetime]
    added_by: Mapped[str] = mapped_column(String(255))
    # The store that it came in with; null for what a person typed the fingerprint of.
    origin: Mapped[str | None] = mapped_column(String(64))


class TrustStoreRow(Base):
    """The newest version of a trust store: of our own the one last handed out, of others the one last taken in."""

    __tablename__ = "trust_stores"

    store: Mapped[str] = mapped_column(String(64), primary_key=True)
    version: Mapped[int] = mapped_column(Integer)
    sha256: Mapped[str] = mapped_column(String(64))
    noted_at: Mapped[datetime]
    noted_by: Mapped[str] = mapped_column(String(255))


class TrustListRow(Base):
    """The newest revocation list of an authority outside; `issuer_key` names it by its name and key together."""

    __tablename__ = "trust_lists"

    issuer_key: Mapped[str] = mapped_column(String(64), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64))
    issuer: Mapped[str] = mapped_column(Text)
    this_update: Mapped[datetime]
    next_update: Mapped[datetime]
    der: Mapped[bytes] = mapped_column(LargeBinary)
    imported_at: Mapped[datetime]
    imported_by: Mapped[str] = mapped_column(String(255))
