"""Rows of certificates that others have issued for keys of ours. They stay in this package; others see OutsideCertificate (law 8)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from certs.db import Base


class OutsideCertificateRow(Base):
    """One certificate from elsewhere, with what stands above it. Never deleted; `ended_at`: nothing signs with it any more."""

    __tablename__ = "outside_certificates"

    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    # As its authority gave it: two authorities may give the same.
    serial: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(Text)
    common_name: Mapped[str] = mapped_column(Text)
    issuer: Mapped[str] = mapped_column(Text)
    not_before: Mapped[datetime]
    not_after: Mapped[datetime] = mapped_column(index=True)
    der: Mapped[bytes] = mapped_column(LargeBinary)
    # DER, one after the other, from the nearest up; the anchor is the last.
    path: Mapped[bytes] = mapped_column(LargeBinary)
    public_key_der: Mapped[bytes] = mapped_column(LargeBinary)
    imported_at: Mapped[datetime]
    imported_by: Mapped[str] = mapped_column(String(255))
    ended_at: Mapped[datetime | None]
