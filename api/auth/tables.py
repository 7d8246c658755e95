"""The rows of the outer room: bearer tokens and idempotency keys. Neither is stored, only its digest."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from certs.db import Base


class TokenRow(Base):
    """One bearer token: the SHA-256 of 256 random bits, what it may do, and until when."""

    __tablename__ = "tokens"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(String(32), unique=True)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[str] = mapped_column(String(100))
    created_by: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    # Whose it is. Without a name nobody answers for it but its maker.
    person: Mapped[str | None] = mapped_column(String(32))


class IdempotencyRow(Base):
    """One Idempotency-Key of a token: which body it stood on, and the answer once there is one."""

    __tablename__ = "idempotency_keys"

    token_id: Mapped[int] = mapped_column(ForeignKey("tokens.id"), primary_key=True)
    key_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    body_sha256: Mapped[str] = mapped_column(String(64))
    # None while the request is being worked on.
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    begun_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
