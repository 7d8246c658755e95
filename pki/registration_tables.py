"""Rows of registrations. They stay in this package; others see records (law 8)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, ForeignKey, Integer, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from certs.db import Base


class RegistrationRow(Base):
    """One registration: what is asked, who confirmed it by which evidence, and the certificate that came of it.

    The digest is that of everything which was confirmed, and null before. Never deleted.
    """

    __tablename__ = "registrations"
    # A number that was once given is not given again, also on SQLite.
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    profile: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(Text)
    san: Mapped[list[str]] = mapped_column(JSON)
    days: Mapped[int | None]
    # Null: the key is to be made in the token.
    public_key_der: Mapped[bytes | None] = mapped_column(LargeBinary)
    # Where the papers lie that the officer has seen: a file number, never their content.
    evidence: Mapped[str | None] = mapped_column(String(200))
    state: Mapped[str] = mapped_column(String(16), index=True)
    asked_by: Mapped[str] = mapped_column(String(200))
    asked_at: Mapped[datetime]
    # Who confirmed or refused it, when, and for a refusal why.
    decided_by: Mapped[str | None] = mapped_column(String(200))
    decided_at: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(String(500))
    sha256: Mapped[str | None] = mapped_column(String(64), index=True)
    certificate_serial: Mapped[str | None] = mapped_column(ForeignKey("certificates.serial"), unique=True)
