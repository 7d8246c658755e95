"""Rows of consent: second factors, and activations with the documents that they are for (law 8)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from certs.db import Base


class SecondFactorRow(Base):
    """What proves that the person is there: `kind` is totp; a passkey would be another. `secret` is sealed (factor_seal.py)."""

    __tablename__ = "second_factors"

    credential: Mapped[str] = mapped_column(ForeignKey("credentials.name"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    # The time step of the newest code that was taken: none is taken twice (RFC 6238 5.2).
    last_step: Mapped[int] = mapped_column(BigInteger)
    failures: Mapped[int]
    locked_until: Mapped[datetime | None]
    made_at: Mapped[datetime]
    made_by: Mapped[str] = mapped_column(String(255))


class ActivationRow(Base):
    """One consent: so many signatures with one credential until a time. `remaining` counts down."""

    __tablename__ = "activations"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    credential: Mapped[str] = mapped_column(ForeignKey("credentials.name"), index=True)
    factor: Mapped[str] = mapped_column(String(16))
    count: Mapped[int]
    remaining: Mapped[int]
    made_at: Mapped[datetime]
    made_by: Mapped[str] = mapped_column(String(255))
    expires_at: Mapped[datetime]


class ActivationDocumentRow(Base):
    """One document of an activation, by the SHA-256 of the file that is to be signed; used once."""

    __tablename__ = "activation_documents"

    activation_id: Mapped[str] = mapped_column(ForeignKey("activations.id"), primary_key=True)
    input_sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    used_at: Mapped[datetime | None]
