"""Lineage: what became of a document since it was signed, what it took the place of, and which document holds now (ND30 Đ.18)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from signer.documents import IN_FORCE, OPEN, Registered
from signer.tables import DocumentRow, StatusChangeRow
from signer.validation.verdict import DocumentStatus

RECALLED = "recalled"
REPLACED = "replaced"
CORRECTED = "corrected"


@dataclass(frozen=True)
class StatusChange:
    """One change of a document's status: what it became, why, by whom and when.

    `by` is the code of the document that replaces or corrects it.
    """

    status: str
    reason: str
    actor: str
    changed_at: datetime
    by: str | None = None


@dataclass(frozen=True)
class Lineage:
    """A document among the others of the register, by their codes.

    `changes` oldest first. `holds_now` is the document itself while it is in force, else the one at the end of its
    replacements, and None when that is out of force too or not in this register.
    """

    changes: tuple[StatusChange, ...]
    replaces: tuple[str, ...]
    corrects: tuple[str, ...]
    holds_now: str | None

    @property
    def corrections(self) -> tuple[str, ...]:
        """The documents that correct it, oldest first."""
        return tuple(each.by for each in self.changes if each.status == CORRECTED and each.by is not None)


def lineage_of(session: Session, code: str) -> Lineage:
    """The lineage of a document of the register."""
    before = session.execute(
        select(DocumentRow.code, StatusChangeRow.status)
        .join(DocumentRow, DocumentRow.id == StatusChangeRow.document_id)
        .where(StatusChangeRow.by_code == code)
        .order_by(StatusChangeRow.id)
    ).all()
    return Lineage(
        tuple(status_changes(session, code)),
        tuple(earlier for earlier, status in before if status == REPLACED),
        tuple(earlier for earlier, status in before if status == CORRECTED),
        _holds_now(session, code),
    )


def document_status(session: Session, document: Registered) -> DocumentStatus:
    """What a verdict says of a document. Only one that was replaced or corrected costs a question more."""
    if document.status not in (REPLACED, CORRECTED):
        return DocumentStatus(document.code, document.status)
    lineage = lineage_of(session, document.code)
    holder = (lineage.holds_now,) if lineage.holds_now is not None else ()
    return DocumentStatus(
        document.code, document.status, lineage.corrections if document.status == CORRECTED else holder
    )


def past_status(session: Session, document: Registered, at: datetime) -> DocumentStatus:
    """What a verdict would have said of a document at a past time."""
    happened = [each for each in status_changes(session, document.code) if each.changed_at <= at]
    if not happened:
        return DocumentStatus(document.code, IN_FORCE)
    last = happened[-1]
    return DocumentStatus(document.code, last.status, (last.by,) if last.by is not None else ())


def status_changes(session: Session, code: str) -> list[StatusChange]:
    """What became of a document since it was signed, oldest first."""
    rows = session.scalars(
        select(StatusChangeRow)
        .join(DocumentRow, DocumentRow.id == StatusChangeRow.document_id)
        .where(DocumentRow.code == code)
        .order_by(StatusChangeRow.id)
    )
    return [StatusChange(row.status, row.reason, row.actor, row.changed_at, row.by_code) for row in rows]


def comes_after(session: Session, code: str, earlier: str) -> bool:
    """Whether a document replaces or corrects an earlier one, itself or by way of others."""
    seen: set[str] = set()
    next_ones = {earlier}
    while next_ones:
        if code in next_ones:
            return True
        seen |= next_ones
        next_ones = _followers(session, next_ones) - seen
    return False


def _followers(session: Session, codes: Iterable[str]) -> set[str]:
    following = session.scalars(
        select(StatusChangeRow.by_code)
        .join(DocumentRow, DocumentRow.id == StatusChangeRow.document_id)
        .where(DocumentRow.code.in_(list(codes)))
    )
    return {code for code in following if code is not None}


def _holds_now(session: Session, code: str) -> str | None:
    # A replaced document replaces nothing any more, so the way has an end; that a restored register may lack it is why it is counted.
    seen: set[str] = set()
    while code not in seen:
        seen.add(code)
        status = session.scalar(select(DocumentRow.status).where(DocumentRow.code == code))
        if status in OPEN:
            return code
        following = [each.by for each in status_changes(session, code) if each.status == REPLACED]
        if status != REPLACED or not following or following[-1] is None:
            return None
        code = following[-1]
    return None
