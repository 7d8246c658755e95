"""Succession: one document of the register replaces or corrects another (ND30 Đ.18). Both keep their signatures; the links go both ways."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from certs.clock import Clock
from certs.db import Database, hold
from pki.audit import Actor, append
from pki.roles import Permission, require
from signer.admission import out_of_force
from signer.documents import OPEN, Document, Registered, document_by_code, known_form
from signer.errors import Refused, UsageWrong
from signer.lineage import CORRECTED, REPLACED, comes_after, status_changes
from signer.recall import clean_reason
from signer.tables import DocumentRow, SigningActRow, StatusChangeRow

# The audit trail's word for each; replay.py reads them again.
ACTIONS = {REPLACED: "document.replace", CORRECTED: "document.correct"}


@dataclass(frozen=True)
class Succession:
    """What is wanted: `code` becomes `status` (replaced or corrected) by the document `by`. Codes as people type them."""

    code: str
    by: str
    status: str
    reason: str


def record_succession(wanted: Succession, actor: Actor, database: Database, clock: Clock) -> Document:
    """Let a signed document of the register replace or correct another, at once and for everybody; the earlier one as it is now.

    Refused when the earlier one is out of force, or the later one is not what can take its place: it is signed, in force,
    issued if the earlier one is, and not itself replaced or corrected by the earlier one.
    """
    require(actor, Permission.RECALL_DOCUMENTS)
    code, by, why = known_form(wanted.code), known_form(wanted.by), clean_reason(wanted.reason)
    if code == by:
        raise Refused("SUCCESSOR_SAME", code=code)
    with database.write() as session:
        # One at a time: two that cross could else each find that there is no circle yet.
        hold(session, "document succession")
        rows = {each: _row(session, each) for each in sorted((code, by))}
        _refuse_successor(session, rows[code], rows[by], wanted.status)
        was, rows[code].status = rows[code].status, wanted.status
        session.add(
            StatusChangeRow(
                document_id=rows[code].id, status=wanted.status, reason=why, actor=actor.name, changed_at=clock.now(),
                by_code=by,
            )
        )  # fmt: skip
        append(session, clock, actor, ACTIONS[wanted.status], "document", code, reason=why, was=was, by=by)
        session.flush()
        return document_by_code(session, code)


def _row(session: Session, code: str) -> DocumentRow:
    row = session.scalar(select(DocumentRow).where(DocumentRow.code == code).with_for_update())
    if row is None:
        raise UsageWrong("CODE_NOT_FOUND", typed=code)
    return row


def _refuse_successor(session: Session, earlier: DocumentRow, later: DocumentRow, status: str) -> None:
    if earlier.status not in OPEN:
        raise out_of_force(session, Registered(earlier.id, earlier.code, earlier.status))
    if later.status not in OPEN:
        raise Refused("SUCCESSOR_NOT_IN_FORCE", code=later.code)
    done = select(SigningActRow.id).where(SigningActRow.document_id == later.id, SigningActRow.state == "done")
    if session.scalar(done.limit(1)) is None:
        raise Refused("SUCCESSOR_NOT_SIGNED", code=later.code)
    # What only a person has signed is no document of the agency yet (ND30 Đ.32), and takes the place of none.
    if earlier.issued_at is not None and later.issued_at is None:
        raise Refused("SUCCESSOR_NOT_ISSUED", code=later.code)
    if comes_after(session, earlier.code, later.code):
        raise Refused("SUCCESSOR_CIRCLE", code=later.code, earlier=earlier.code)
    if any((each.status, each.by) == (status, later.code) for each in status_changes(session, earlier.code)):
        raise Refused("SUCCESSOR_ALREADY", code=earlier.code, by=later.code)
