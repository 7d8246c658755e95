"""The rows of the signer: credentials, documents, signing acts, numbers. They stay in this package (law 8)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, LargeBinary, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from certs.db import Base


class CredentialRow(Base):
    """Who signs with which key: a name, a key on the token, the certificate in use, a picture."""

    __tablename__ = "credentials"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    role: Mapped[str] = mapped_column(String(16))
    activation: Mapped[str] = mapped_column(String(16))
    agency: Mapped[str] = mapped_column(String(64))
    public_key_der: Mapped[bytes] = mapped_column(LargeBinary)
    certificate_serial: Mapped[str] = mapped_column(String(40))
    # The certificate is one that others have issued, and none of the inventory (certs/outside.py).
    outside_sha256: Mapped[str | None] = mapped_column(String(64))
    scheme: Mapped[str] = mapped_column(String(32))
    image_sha256: Mapped[str | None] = mapped_column(String(64))
    diameter_mm: Mapped[float | None]
    created_at: Mapped[datetime]


class OutsideCredentialRow(Base):
    """What a credential has whose key is elsewhere: its certificates, who holds the key and by what right, and its end."""

    __tablename__ = "outside_credentials"

    name: Mapped[str] = mapped_column(ForeignKey("credentials.name"), primary_key=True)
    # The signer's certificate and those above it; the roots that it was checked with. DER, one after the other.
    certificates: Mapped[bytes] = mapped_column(LargeBinary)
    anchors: Mapped[bytes | None] = mapped_column(LargeBinary)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    common_name: Mapped[str] = mapped_column(String(64))
    not_before: Mapped[datetime]
    not_after: Mapped[datetime]
    holder: Mapped[str] = mapped_column(String(100))
    reference: Mapped[str] = mapped_column(String(200))
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str | None] = mapped_column(String(200))


class CredentialRequestRow(Base):
    """A key that an authority elsewhere is asked to certify, and the credential that is to come of it; the newest request of a name."""

    __tablename__ = "credential_requests"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    role: Mapped[str] = mapped_column(String(16))
    agency: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(Text)
    public_key_der: Mapped[bytes] = mapped_column(LargeBinary)
    csr_der: Mapped[bytes] = mapped_column(LargeBinary)
    image_sha256: Mapped[str | None] = mapped_column(String(64))
    diameter_mm: Mapped[float | None]
    made_at: Mapped[datetime]
    made_by: Mapped[str] = mapped_column(String(255))
    answered_at: Mapped[datetime | None]


class DocumentRow(Base):
    """One document of the register, by its code."""

    __tablename__ = "documents"
    __table_args__ = (
        # Each with the order in which a search gives what it finds.
        Index(None, "number", "id"),
        Index(None, "status", "id"),
        Index(None, "dated_at", "id"),
        # Any part of a word is found. Only PostgreSQL has the operators; SQLite reads the column through.
        Index(
            "ix_documents_search_text_trigrams", "search_text", postgresql_using="gin",
            postgresql_ops={"search_text": "gin_trgm_ops"},
        ).ddl_if(dialect="postgresql"),
        Index(
            "ix_documents_agency_text_trigrams", "agency_text", postgresql_using="gin",
            postgresql_ops={"agency_text": "gin_trgm_ops"},
        ).ddl_if(dialect="postgresql"),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    code: Mapped[str] = mapped_column(String(20), unique=True)
    status: Mapped[str] = mapped_column(String(16))
    agency: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(String(255))
    subject: Mapped[str] = mapped_column(String(500))
    # An agency may type eleven digits (Nghị định 30/2020, Appendix VI: CodeNumber).
    number: Mapped[int | None] = mapped_column(BigInteger)
    number_year: Mapped[int | None]
    notation: Mapped[str | None] = mapped_column(String(30))
    # The words of Nghị định 30/2020, Appendix VI, whose names are not ours to type one by one.
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime]
    issued_at: Mapped[datetime | None]
    # The day that people know it by: of issue, and until then of registration.
    dated_at: Mapped[datetime] = mapped_column(server_default="1970-01-01 00:00:00.000000")
    # What it is found by (search_words.py).
    search_text: Mapped[str] = mapped_column(Text, server_default="")
    agency_text: Mapped[str] = mapped_column(Text, server_default="")


class SigningActRow(Base):
    """One use of a credential on a document: first an intent, then done or failed."""

    __tablename__ = "signing_acts"
    __table_args__ = (
        Index("ix_signing_acts_output_state", "output_sha256", "state"),
        Index(
            "ix_signing_acts_extended", "extended_sha256", sqlite_where=text("extended_sha256 IS NOT NULL"),
            postgresql_where=text("extended_sha256 IS NOT NULL"),
        ),
        # Only files of B-LTA wait for a renewal: the others cost the index nothing.
        Index(
            "ix_signing_acts_renew_at", "renew_at", sqlite_where=text("renew_at IS NOT NULL"),
            postgresql_where=text("renew_at IS NOT NULL"),
        ),
    )  # fmt: skip

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    document_id: Mapped[int] = mapped_column(ForeignKey("documents.id"), index=True)
    state: Mapped[str] = mapped_column(String(8), index=True)
    # None: with a certificate from outside, which is none of the inventory's.
    credential: Mapped[str | None] = mapped_column(ForeignKey("credentials.name"))
    intent: Mapped[str] = mapped_column(String(16))
    level: Mapped[str] = mapped_column(String(8))
    # As long as whoever made the form liked it.
    field: Mapped[str] = mapped_column(Text)
    certificate_serial: Mapped[str] = mapped_column(String(40))
    digest_algorithm: Mapped[str] = mapped_column(String(16))
    digest: Mapped[str] = mapped_column(String(128))
    input_sha256: Mapped[str] = mapped_column(String(64))
    output_sha256: Mapped[str | None] = mapped_column(String(64))
    output_size: Mapped[int | None]
    # The whole file that is kept, where proofs go on behind the signed revision (signer/extending.py).
    extended_sha256: Mapped[str | None] = mapped_column(String(64))
    extended_size: Mapped[int | None]
    # When the newest time-stamp of the file is to be covered by another one (signer/renewal.py).
    renew_at: Mapped[datetime | None]
    actor: Mapped[str] = mapped_column(String(255))
    claimed_time: Mapped[datetime]
    # What it was told by its intent (particulars.py).
    particulars: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    finished_at: Mapped[datetime | None]
    failure: Mapped[str | None] = mapped_column(Text)


class LevelRequestRow(Base):
    """A level that was asked for and not reached when the document was signed; `state` is waiting, done or closed."""

    __tablename__ = "level_requests"
    __table_args__ = (Index("ix_level_requests_state_next_at", "state", "next_at"),)

    act_id: Mapped[int] = mapped_column(ForeignKey("signing_acts.id"), primary_key=True, autoincrement=False)
    document_id: Mapped[int] = mapped_column(ForeignKey("documents.id"), index=True)
    level: Mapped[str] = mapped_column(String(8))
    state: Mapped[str] = mapped_column(String(8))
    attempts: Mapped[int]
    failure: Mapped[str] = mapped_column(String(64))
    asked_at: Mapped[datetime]
    next_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class PreparedRow(Base):
    """A document that waits for its signature, with all that its signature will be made and checked with.

    `state` is waiting, taken, finished, cancelled or expired; `is_kept`: the prepared file is still stored.
    """

    __tablename__ = "prepared_documents"
    __table_args__ = (Index("ix_prepared_documents_state_expires_at", "state", "expires_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    state: Mapped[str] = mapped_column(String(9))
    code: Mapped[str] = mapped_column(String(20))
    credential: Mapped[str | None] = mapped_column(ForeignKey("credentials.name"))
    certificate_serial: Mapped[str] = mapped_column(String(40))
    # From outside: the signer's certificate and those above it; the roots that it was checked with. DER, one after the other.
    certificates: Mapped[bytes | None] = mapped_column(LargeBinary)
    anchors: Mapped[bytes | None] = mapped_column(LargeBinary)
    scheme: Mapped[str] = mapped_column(String(32))
    subfilter: Mapped[str] = mapped_column(String(8))
    intent: Mapped[str] = mapped_column(String(16))
    level: Mapped[str] = mapped_column(String(8))
    name: Mapped[str] = mapped_column(String(255))
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    particulars: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    agency: Mapped[str] = mapped_column(String(64))
    number: Mapped[int | None] = mapped_column(BigInteger)
    number_day: Mapped[datetime | None]
    number_fresh: Mapped[bool]
    field: Mapped[str] = mapped_column(Text)
    placed: Mapped[str | None] = mapped_column(String(16))
    filled: Mapped[list[str]] = mapped_column(JSON)
    input_sha256: Mapped[str] = mapped_column(String(64))
    input_size: Mapped[int]
    blob_sha256: Mapped[str] = mapped_column(String(64))
    blob_size: Mapped[int]
    is_kept: Mapped[bool]
    hole_start: Mapped[int]
    hole_end: Mapped[int]
    digest: Mapped[str] = mapped_column(String(128))
    to_be_signed: Mapped[bytes] = mapped_column(LargeBinary)
    actor: Mapped[str] = mapped_column(String(255))
    claimed_time: Mapped[datetime]
    expires_at: Mapped[datetime]
    taken_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    act_id: Mapped[int | None] = mapped_column(ForeignKey("signing_acts.id"), index=True)
    failure: Mapped[str] = mapped_column(String(64))
    # The consent that it will be signed with, where the credential asks for one.
    activation: Mapped[str | None] = mapped_column(String(32))


class NumberRow(Base):
    """One number of an agency's yearly series: held by hand, reserved for a signature, used, or void with its reason (a gap)."""

    __tablename__ = "numbers"
    __table_args__ = (UniqueConstraint("agency", "year", "series", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    agency: Mapped[str] = mapped_column(String(64))
    year: Mapped[int]
    # What goes out and what comes in are counted apart.
    series: Mapped[str] = mapped_column(String(3), server_default="out")
    number: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(8))
    reason: Mapped[str | None] = mapped_column(Text)
    document_id: Mapped[int | None] = mapped_column(ForeignKey("documents.id"))
    reserved_at: Mapped[datetime]
    # What it was held for by hand; None for one that a signature took by itself.
    purpose: Mapped[str | None] = mapped_column(String(200))


class MandateRow(Base):
    """By what right a person signs for another: thay mặt, ký thay, thừa lệnh, thừa ủy quyền, quyền."""

    __tablename__ = "mandates"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    credential: Mapped[str] = mapped_column(ForeignKey("credentials.name"), index=True)
    form: Mapped[str] = mapped_column(String(4))
    # The body or office in whose place he signs, as it stands in the document: CHỦ TỊCH.
    title: Mapped[str] = mapped_column(String(100))
    given_by: Mapped[str] = mapped_column(String(100))
    reference: Mapped[str] = mapped_column(String(200))
    # Days of Vietnam, as yyyy-mm-dd; the last one counts.
    starts: Mapped[str] = mapped_column(String(10))
    ends: Mapped[str | None] = mapped_column(String(10))
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str | None] = mapped_column(String(200))
    actor: Mapped[str] = mapped_column(String(255))
    created_at: Mapped[datetime]


class ImageRow(Base):
    """A picture of a seal or a signature (image_registry.py): whose it is, how large on paper, who agreed to it, for which days.

    `state` is waiting, active or ended. `owner`: of a seal the agency, of a signature the credential.
    """

    __tablename__ = "images"
    __table_args__ = (Index("ix_images_purpose_owner", "purpose", "owner"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    purpose: Mapped[str] = mapped_column(String(9))
    owner: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(7))
    # Of the octets that are kept, and of those that came.
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    source_sha256: Mapped[str] = mapped_column(String(64))
    # On paper: the diameter of a seal, the width of a signature.
    width_mm: Mapped[float]
    # None: it came before there was a registry, and nobody looked.
    width_px: Mapped[int | None]
    height_px: Mapped[int | None]
    # Days of Vietnam, as yyyy-mm-dd; the last one counts. None: from the day on which it was agreed to.
    starts: Mapped[str | None] = mapped_column(String(10))
    ends: Mapped[str | None] = mapped_column(String(10))
    added_by: Mapped[str] = mapped_column(String(255))
    added_at: Mapped[datetime]
    # None: it came with the home, or before there was a registry.
    approved_by: Mapped[str | None] = mapped_column(Text)
    approved_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    end_reason: Mapped[str | None] = mapped_column(String(200))


class StatusChangeRow(Base):
    """One change of a document's status after it was signed (ND30 Đ.18). Added, never altered."""

    __tablename__ = "document_status_changes"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    document_id: Mapped[int] = mapped_column(ForeignKey("documents.id"), index=True)
    status: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(String(500))
    actor: Mapped[str] = mapped_column(String(200))
    changed_at: Mapped[datetime]
    # The document that replaces or corrects it. A code, no key of a row: after a restore the register may lack that document.
    by_code: Mapped[str | None] = mapped_column(String(20), index=True)


class BatchRow(Base):
    """Many documents that somebody wants signed, with what they share; `state` is open or ended."""

    __tablename__ = "batches"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    code: Mapped[str] = mapped_column(String(32), unique=True)
    # By what right it is signed when its turn comes, and who asked. What a token is, the room above knows.
    token_id: Mapped[int]
    actor: Mapped[str] = mapped_column(String(255))
    request_sha256: Mapped[str] = mapped_column(String(64))
    credential: Mapped[str] = mapped_column(String(32))
    intent: Mapped[str | None] = mapped_column(String(16))
    level: Mapped[str] = mapped_column(String(8))
    subfilter: Mapped[str] = mapped_column(String(8))
    # What the signatures are to forbid (protection.py).
    protection: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    particulars: Mapped[dict[str, str] | None] = mapped_column(JSON(none_as_null=True))
    activation: Mapped[str | None] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(8), index=True)
    total: Mapped[int]
    created_at: Mapped[datetime]
    cancelled_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]


class BatchDocumentRow(Base):
    """One file of a batch; `state` is waiting, done, failed or cancelled. `act_id`: it is being signed, or was."""

    __tablename__ = "batch_documents"
    __table_args__ = (UniqueConstraint("batch_id", "position"), Index("ix_batch_documents_state_id", "state", "id"))

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("batches.id"))
    position: Mapped[int]
    name: Mapped[str] = mapped_column(String(255))
    reference: Mapped[str] = mapped_column(String(100))
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    placement: Mapped[str] = mapped_column(String(64))
    input_sha256: Mapped[str] = mapped_column(String(64))
    input_size: Mapped[int]
    state: Mapped[str] = mapped_column(String(9))
    act_id: Mapped[int | None] = mapped_column(ForeignKey("signing_acts.id"))
    # What the answer to a single signature would have said: of the document, or of the refusal.
    outcome: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    error: Mapped[str | None] = mapped_column(String(64))
    facts: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    ended_at: Mapped[datetime | None]
