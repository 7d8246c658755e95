"""The register of batches: documents that wait to be signed together, and what became of each. Who signs them is batch_work.py."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from certs.clock import Clock
from certs.db import Database
from pki.audit import Actor, append
from pki.roles import Permission, require
from signer.activation import kept_activation, refuse_unless_covered
from signer.credentials import SEAL, STANDING, get_credential
from signer.errors import UsageWrong
from signer.metadata import Metadata
from signer.particulars import NOTHING_PARTICULAR, Particulars
from signer.password import NO_PASSWORD, Password
from signer.protection import NO_PROTECTION, Protection, refuse_protection
from signer.subfilters import PADES
from signer.tables import BatchDocumentRow, BatchRow
from signer.uploads import UploadStore

OPEN, ENDED = "open", "ended"
WAITING, DONE, FAILED, CANCELLED = "waiting", "done", "failed", "cancelled"
STATES = (WAITING, DONE, FAILED, CANCELLED)


@dataclass(frozen=True)
class NewDocument:
    """One file of a new batch. `reference` is the client's own name for it."""

    name: str
    pdf: bytes
    sha256: str
    reference: str = ""
    placement: str = "auto"
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True)
class NewBatch:
    """Files that are to be signed by one credential, and for whom. `request_sha256` tells one request from another."""

    token_id: int
    request_sha256: str
    credential: str
    intent: str | None
    level: str
    documents: Sequence[NewDocument]
    subfilter: str = PADES
    protection: Protection = NO_PROTECTION
    particulars: Particulars = NOTHING_PARTICULAR
    password: Password = NO_PASSWORD
    activation: str | None = None


@dataclass(frozen=True)
class BatchDocument:
    """One file of a batch as it stands. `outcome` has what is said of a signed one, `error` and `facts` why another is none."""

    position: int
    name: str
    reference: str
    state: str
    outcome: Mapping[str, Any] | None
    error: str | None
    facts: Mapping[str, str]
    ended_at: datetime | None


@dataclass(frozen=True)
class Batch:
    """A batch as it stands. `counts` by the states of its documents."""

    id: int
    code: str
    token_id: int
    actor: str
    credential: str
    level: str
    state: str
    total: int
    created_at: datetime
    cancelled_at: datetime | None
    ended_at: datetime | None
    counts: Mapping[str, int]
    documents: tuple[BatchDocument, ...] = ()


def add_batch(new: NewBatch, actor: Actor, database: Database, uploads: UploadStore, clock: Clock) -> Batch:
    """Keep the files and register the batch; from its commit on the worker signs it, whatever becomes of this process."""
    require(actor, Permission.SIGN_DOCUMENTS)
    with database.read() as session:
        credential = get_credential(session, new.credential)
        role = credential.role
    # What every document would be refused for, is said at once.
    refuse_protection(new.protection, new.level, seals=role == SEAL)
    code, now = secrets.token_hex(16), clock.now()
    if credential.activation != STANDING:
        with database.look() as connection:
            refuse_unless_covered(
                connection, new.credential, new.activation, [each.sha256 for each in new.documents], now
            )
    # The files first: a batch whose files are not there could never be signed.
    uploads.keep(code, [each.pdf for each in new.documents], new.password)
    with database.write() as session:
        row = BatchRow(
            code=code, token_id=new.token_id, actor=actor.name, request_sha256=new.request_sha256,
            credential=new.credential, intent=new.intent, level=new.level, subfilter=new.subfilter,
            protection=new.protection.to_json() if new.protection else None, particulars=new.particulars.to_json(), state=OPEN,
            activation=kept_activation(new.activation),
            total=len(new.documents), created_at=now,
        )  # fmt: skip
        session.add(row)
        session.flush()
        session.execute(insert(BatchDocumentRow), [_values(row.id, *each) for each in enumerate(new.documents)])
        append(session, clock, actor, "batch.add", "batch", code, credential=new.credential, documents=str(row.total))
        return _batch(session, row, with_documents=True)


def _values(batch_id: int, position: int, document: NewDocument) -> dict[str, Any]:
    return {
        "batch_id": batch_id, "position": position, "name": document.name, "reference": document.reference,
        "details": document.metadata, "placement": document.placement, "input_sha256": document.sha256,
        "input_size": len(document.pdf), "state": WAITING,
    }  # fmt: skip


def batch_by_code(session: Session, code: str) -> Batch:
    """A batch with its documents; UsageWrong BATCH_UNKNOWN."""
    return _batch(session, _row(session, code), with_documents=True)


def find_batch(session: Session, token_id: int, request_sha256: str, since: datetime) -> Batch | None:
    """The batch that came of a request, registered at a moment or later."""
    query = select(BatchRow).where(
        BatchRow.token_id == token_id, BatchRow.request_sha256 == request_sha256, BatchRow.created_at >= since
    )
    row = session.scalars(query.order_by(BatchRow.id.desc()).limit(1)).first()
    return None if row is None else _batch(session, row, with_documents=True)


def cancel_batch(code: str, actor: Actor, database: Database, clock: Clock) -> Batch:
    """Sign no more of it. What is being signed is finished; what has ended already stays as it is."""
    require(actor, Permission.SIGN_DOCUMENTS)
    with database.write() as session:
        row = _row(session, code, lock=True)
        if row.state == OPEN and row.cancelled_at is None:
            row.cancelled_at = clock.now()
            append(session, clock, actor, "batch.cancel", "batch", row.code)
        return _batch(session, row, with_documents=True)


def count_waiting(session: Session, token_id: int) -> int:
    """How many documents of a token still wait."""
    query = select(func.count(BatchDocumentRow.id)).join(BatchRow, BatchRow.id == BatchDocumentRow.batch_id)
    return session.scalar(query.where(BatchRow.token_id == token_id, BatchDocumentRow.state == WAITING)) or 0


def end_cancelled(session: Session, now: datetime) -> list[str]:
    """What was cancelled waits no longer. The codes of the batches that ended by it."""
    ended = []
    for row in session.scalars(
        select(BatchRow).where(BatchRow.state == OPEN, BatchRow.cancelled_at.is_not(None)).with_for_update()
    ):
        session.execute(
            update(BatchDocumentRow)
            .where(BatchDocumentRow.batch_id == row.id, BatchDocumentRow.state == WAITING)
            .values(state=CANCELLED, ended_at=now)
        )
        row.state, row.ended_at = ENDED, now
        ended.append(row.code)
    return ended


def end_if_over(session: Session, batch_id: int, now: datetime) -> bool:
    """Whether nothing of a batch waits any more; then it has ended."""
    waiting = select(BatchDocumentRow.id).where(
        BatchDocumentRow.batch_id == batch_id, BatchDocumentRow.state == WAITING
    )
    if session.scalar(waiting.limit(1)) is not None:
        return False
    session.execute(update(BatchRow).where(BatchRow.id == batch_id).values(state=ENDED, ended_at=now))
    return True


def open_batches(session: Session) -> list[str]:
    """The codes of those whose files are still wanted."""
    return list(session.scalars(select(BatchRow.code).where(BatchRow.state == OPEN)))


def _row(session: Session, code: str, *, lock: bool = False) -> BatchRow:
    query = select(BatchRow).where(BatchRow.code == code)
    row = session.scalar(query.with_for_update() if lock else query) if code.isascii() and code.isalnum() else None
    if row is None:
        raise UsageWrong("BATCH_UNKNOWN", batch=code[:40])
    return row


def _batch(session: Session, row: BatchRow, *, with_documents: bool) -> Batch:
    counts = dict.fromkeys(STATES, 0)
    documents: list[BatchDocument] = []
    if with_documents:
        for each in session.scalars(
            select(BatchDocumentRow).where(BatchDocumentRow.batch_id == row.id).order_by(BatchDocumentRow.position)
        ):
            counts[each.state] += 1
            documents.append(
                BatchDocument(
                    each.position, each.name, each.reference, each.state, each.outcome, each.error, each.facts or {},
                    each.ended_at,
                )
            )  # fmt: skip
    return Batch(
        row.id, row.code, row.token_id, row.actor, row.credential, row.level, row.state, row.total, row.created_at,
        row.cancelled_at, row.ended_at, counts, tuple(documents),
    )  # fmt: skip
