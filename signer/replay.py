"""Does again, in a restored home, what the audit trail says was done to documents and their numbers after the backup."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from pki.audit import AuditRecord
from signer.documents import OPEN
from signer.recall import RECALLED
from signer.tables import DocumentRow, NumberRow, StatusChangeRow

# Why a number is used of which the register has no document.
RESTORED = "RESTORED"

Deed = Callable[[Session, AuditRecord], bool]


def _reserve(session: Session, act: AuditRecord) -> bool:
    """A number was given. Whether a document bears it nobody knows any more, so it is never given again (ND30 Đ.15)."""
    year, number = map(int, act.subject_id.split("/"))
    if _number(session, act.details["agency"], year, number) is None:
        row = NumberRow(
            agency=act.details["agency"], year=year, number=number, state="used", reason=RESTORED, reserved_at=act.time
        )
        session.add(row)
        session.flush()
    return True


def _void(session: Session, act: AuditRecord) -> bool:
    """A number became a gap. Without an agency in the row it stays used, which keeps it as well."""
    year, number = map(int, act.subject_id.split("/"))
    row = _number(session, act.details.get("agency", ""), year, number)
    if row is not None and row.document_id is None:
        row.state, row.reason = "void", act.details["reason"]
        session.flush()
    return True


def _recall(session: Session, act: AuditRecord) -> bool:
    row = session.scalar(select(DocumentRow).where(DocumentRow.code == act.subject_id).with_for_update())
    if row is None:
        return False
    if row.status in OPEN:
        row.status = RECALLED
        change = StatusChangeRow(
            document_id=row.id, status=RECALLED, reason=act.details["reason"], actor=act.actor, changed_at=act.time
        )
        session.add(change)
        session.flush()
    return True


# What is done again.
REPLAYED: Mapping[str, Deed] = {
    "number.reserve": _reserve,
    "number.void": _void,
    "document.recall": _recall,
}
# What cannot be: a signed or extended file that was stored after the backup, a key or certificate that was made after it.
LOST = frozenset({"document.sign", "document.extend", "credential.create", "credential.renew"})
# What leaves nothing behind but its row. A level that waits in the backup is tried for again, and ends as it ended.
TRACELESS = frozenset(
    {"document.sign.intent", "document.sign.fail", "document.extend.done", "document.extend.close", "file.upgrade"}
)


def _number(session: Session, agency: str, year: int, number: int) -> NumberRow | None:
    return session.scalars(
        select(NumberRow).where(NumberRow.agency == agency, NumberRow.year == year, NumberRow.number == number)
    ).one_or_none()
