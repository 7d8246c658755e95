"""Recall: the agency takes a document back (ND30 Đ.18). The signature stays as good as it was; the document is out of force."""

from __future__ import annotations

import unicodedata

from sqlalchemy import select

from certs.clock import Clock
from certs.db import Database
from pki.audit import Actor, append
from pki.roles import Permission, require
from signer.admission import out_of_force
from signer.documents import OPEN, Document, Registered, document_by_code, known_form
from signer.errors import UsageWrong
from signer.lineage import RECALLED
from signer.tables import DocumentRow, StatusChangeRow

LONGEST_REASON = 500
# Characters that turn text around or hide in it.
_FORBIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn"}


def recall_document(typed: str, reason: str, actor: Actor, database: Database, clock: Clock) -> Document:
    """Take a document out of force, at once and for everybody who asks; Refused when it is out of force already."""
    require(actor, Permission.RECALL_DOCUMENTS)
    code, why = known_form(typed), clean_reason(reason)
    with database.write() as session:
        row = session.scalar(select(DocumentRow).where(DocumentRow.code == code).with_for_update())
        if row is None:
            raise UsageWrong("CODE_NOT_FOUND", typed=typed[:40])
        if row.status not in OPEN:
            raise out_of_force(session, Registered(row.id, code, row.status))
        was, row.status = row.status, RECALLED
        session.add(
            StatusChangeRow(document_id=row.id, status=RECALLED, reason=why, actor=actor.name, changed_at=clock.now())
        )
        append(session, clock, actor, "document.recall", "document", code, reason=why, was=was)
        session.flush()
        return document_by_code(session, code)


def clean_reason(reason: str) -> str:
    """The reason of a change of status as it is kept: one line that nothing hides in."""
    text = " ".join(unicodedata.normalize("NFC", reason).split())
    if not text:
        raise UsageWrong("RECALL_REASON_MISSING")
    if len(text) > LONGEST_REASON:
        raise UsageWrong("RECALL_REASON_TOO_LONG", limit=str(LONGEST_REASON))
    if any(unicodedata.category(character) in _FORBIDDEN for character in text):
        raise UsageWrong("RECALL_REASON_CHARACTER")
    return text
