"""The register of signed documents: record, code, status, and what was done to each (văn bản đi)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from signer.codes import new_code, parse_code
from signer.errors import UsageWrong
from signer.tables import DocumentRow, SigningActRow

IN_FORCE = "in-force"


@dataclass(frozen=True)
class SigningAct:
    """One use of a credential on a document. `state`: intent, done, failed."""

    id: int
    state: str
    credential: str
    intent: str
    level: str
    field: str
    certificate_serial: str
    output_sha256: str | None
    output_size: int | None
    actor: str
    claimed_time: datetime
    failure: str | None


@dataclass(frozen=True)
class Document:
    """A document of the register. `number` is None until it is issued."""

    code: str
    status: str
    agency: str
    name: str
    subject: str
    number: int | None
    number_year: int | None
    notation: str | None
    details: dict[str, Any]
    created_at: datetime
    issued_at: datetime | None
    acts: tuple[SigningAct, ...]

    @property
    def sha256(self) -> str | None:
        """The newest finished revision."""
        return next((act.output_sha256 for act in reversed(self.acts) if act.state == "done"), None)


@dataclass(frozen=True)
class ActIntent:
    """What is about to be signed, as the intent row keeps it. Digests in lower-case hex."""

    credential: str
    intent: str
    level: str
    field: str
    certificate_serial: str
    digest_algorithm: str
    digest: str
    input_sha256: str
    actor: str
    claimed_time: datetime


def _act(row: SigningActRow) -> SigningAct:
    return SigningAct(
        row.id, row.state, row.credential, row.intent, row.level, row.field, row.certificate_serial, row.output_sha256,
        row.output_size, row.actor, row.claimed_time, row.failure,
    )  # fmt: skip


def _document(session: Session, row: DocumentRow) -> Document:
    acts = session.scalars(select(SigningActRow).where(SigningActRow.document_id == row.id).order_by(SigningActRow.id))
    return Document(
        row.code, row.status, row.agency, row.name, row.subject, row.number, row.number_year, row.notation,
        row.details, row.created_at, row.issued_at, tuple(_act(each) for each in acts),
    )  # fmt: skip


def find_by_revisions(session: Session, sha256s: Sequence[str]) -> int | None:
    """The id of the document one of whose finished revisions has one of these digests."""
    if not sha256s:
        return None
    return session.scalar(
        select(SigningActRow.document_id)
        .where(SigningActRow.output_sha256.in_(sha256s), SigningActRow.state == "done")
        .order_by(SigningActRow.id)
        .limit(1)
    )


def status_by_revisions(session: Session, sha256s: Sequence[str]) -> tuple[str, str] | None:
    """Code and status of the document one of whose finished revisions has one of these digests."""
    document_id = find_by_revisions(session, sha256s)
    if document_id is None:
        return None
    row = session.get_one(DocumentRow, document_id)
    return row.code, row.status


def document_code(session: Session, document_id: int) -> str:
    """The code of a document."""
    return session.get_one(DocumentRow, document_id).code


def document_by_code(session: Session, typed: str) -> Document:
    """The document of a code as a person types it; UsageWrong CODE_MALFORMED or CODE_NOT_FOUND."""
    code = parse_code(typed)
    if code is None:
        raise UsageWrong("CODE_MALFORMED", typed=typed[:40])
    row = session.scalar(select(DocumentRow).where(DocumentRow.code == code))
    if row is None:
        raise UsageWrong("CODE_NOT_FOUND", typed=typed[:40])
    return _document(session, row)


def list_documents(session: Session, limit: int = 1000) -> list[Document]:
    """The newest documents first."""
    rows = session.scalars(select(DocumentRow).order_by(DocumentRow.id.desc()).limit(limit))
    return [_document(session, row) for row in rows]


def open_document(session: Session, *, agency: str, name: str, details: dict[str, Any], now: datetime) -> int:
    """A new record with a fresh code; its id. The code is kept by every later signature."""
    row = DocumentRow(
        code=new_code(),
        status=IN_FORCE,
        agency=agency,
        name=name[:255],
        subject=str(details.get("Subject", "")),
        notation=details.get("CodeNotation"),
        details=details,
        created_at=now,
    )
    session.add(row)
    session.flush()
    return row.id


def mark_issued(session: Session, document_id: int, *, number: int, year: int, now: datetime) -> None:
    """The agency's seal has given the document its number and date."""
    row = session.get_one(DocumentRow, document_id)
    row.number, row.number_year, row.issued_at = number, year, now


def merge_details(session: Session, document_id: int, details: dict[str, Any]) -> None:
    """What a later signature says about the document is added to what is known."""
    if not details:
        return
    row = session.get_one(DocumentRow, document_id)
    row.details = {**row.details, **details}
    row.subject = str(row.details.get("Subject", ""))
    row.notation = row.details.get("CodeNotation")


def begin_act(session: Session, document_id: int, intent: ActIntent) -> int:
    """Store what is about to be signed; the act's id."""
    row = SigningActRow(document_id=document_id, state="intent", **vars(intent))
    session.add(row)
    session.flush()
    return row.id


def finish_act(session: Session, act_id: int, *, output_sha256: str, output_size: int, now: datetime) -> None:
    """The signature exists, was checked and is stored."""
    row = session.get_one(SigningActRow, act_id)
    row.state, row.output_sha256, row.output_size, row.finished_at = "done", output_sha256, output_size, now


def fail_act(session: Session, act_id: int, *, failure: str, now: datetime) -> None:
    """No signature left the house for this intent."""
    row = session.get_one(SigningActRow, act_id)
    row.state, row.failure, row.finished_at = "failed", failure, now


def open_intents(session: Session, before: datetime) -> list[SigningAct]:
    """Acts that began before a moment and never ended: a process died between intent and result."""
    rows = session.scalars(
        select(SigningActRow).where(SigningActRow.state == "intent", SigningActRow.claimed_time < before)
    )
    return [_act(row) for row in rows]


def finished_revisions(session: Session) -> list[tuple[str, str]]:
    """Code and SHA-256 of every revision that was signed and stored."""
    rows = session.execute(
        select(DocumentRow.code, SigningActRow.output_sha256)
        .join(SigningActRow, SigningActRow.document_id == DocumentRow.id)
        .where(SigningActRow.state == "done", SigningActRow.output_sha256.is_not(None))
        .order_by(SigningActRow.id)
    ).tuples()
    return [(code, sha256) for code, sha256 in rows if sha256 is not None]
