"""Rows of expiry notices. They stay in this package; others see Notice (law 8)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from certs.db import Base


class NoticeRow(Base):
    """That one certificate ends soon, or has ended, said once for each threshold. `days` 0: it has ended.

    `id` is what a receiver knows the notice by, however often it comes. `next_attempt_at` is null when nothing is left to be sent.
    """

    __tablename__ = "notices"
    __table_args__ = (UniqueConstraint("serial", "days"), UniqueConstraint("outside_sha256", "days"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    # One of the two: a certificate of the inventory, or one that others have issued for a key of ours.
    serial: Mapped[str | None] = mapped_column(ForeignKey("certificates.serial"))
    outside_sha256: Mapped[str | None] = mapped_column(ForeignKey("outside_certificates.sha256"))
    days: Mapped[int]
    made_at: Mapped[datetime] = mapped_column(index=True)
    logged_at: Mapped[datetime | None] = mapped_column(index=True)
    sent_at: Mapped[datetime | None]
    attempts: Mapped[int]
    next_attempt_at: Mapped[datetime | None] = mapped_column(index=True)
    problem: Mapped[str] = mapped_column(String(200))
