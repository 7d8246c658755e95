"""Whether the register lets a document it knows take one more signature: one out of force takes none, and one is issued once."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select
from sqlalchemy.orm import Session

from certs.clock import for_people
from signer.documents import OPEN, Document, Registered
from signer.errors import Refused
from signer.numbering import written
from signer.office_policy import APPROVE, COMMENT
from signer.tables import DocumentRow, SigningActRow, StatusChangeRow


def refuse_closed_document(
    session: Session | Connection, document: Registered, revisions: Sequence[str], sealing: str | None
) -> None:
    """Refused when the document takes no signature on a file that holds these signed revisions.

    `sealing`: the credential that is to issue it, None for a person's signature. Once issued, a document goes on from the
    issued file alone: a signature on an older revision would make a second original beside it.
    """
    if document.status not in OPEN:
        raise out_of_force(session, document)
    if document.number is not None:
        _refuse_second_issue(session, document, revisions, sealing)


def refuse_second_issue(
    session: Session | Connection, document: Registered, revisions: Sequence[str], sealing: str
) -> None:
    """The same in the transaction that commits the seal: of two clerks who seal at one moment, the second one is refused."""
    session.execute(select(DocumentRow.id).where(DocumentRow.id == document.id).with_for_update())
    _refuse_second_issue(session, document, revisions, sealing)


def out_of_force(session: Session | Connection, document: Registered) -> Refused:
    """What is said about a document that was recalled or replaced: which, how and when."""
    changed = session.scalar(
        select(StatusChangeRow.changed_at)
        .where(StatusChangeRow.document_id == document.id)
        .order_by(StatusChangeRow.id.desc())
        .limit(1)
    )
    status = session.scalar(select(DocumentRow.status).where(DocumentRow.id == document.id))
    when = for_people(changed) if changed else ""
    return Refused("DOCUMENT_NOT_IN_FORCE", code=document.code, status=str(status), when=when)


def awaits_seal(document: Document) -> bool:
    """Whether only persons have signed a document that is not issued: it is none of the agency's yet."""
    done = [act.intent for act in document.acts if act.state == "done"]
    return document.issued_at is None and all(intent in (APPROVE, COMMENT) for intent in done)


def _refuse_second_issue(
    session: Session | Connection, document: Registered, revisions: Sequence[str], sealing: str | None
) -> None:
    issues = session.execute(
        select(SigningActRow.output_sha256, SigningActRow.credential).where(
            SigningActRow.document_id == document.id, SigningActRow.intent == "issue", SigningActRow.state == "done"
        )
    )
    # Another agency's seal on the issued file is a joint document; the same seal again, or one beside it, is not.
    if any(sha256 not in revisions or credential == sealing for sha256, credential in issues):
        number = session.scalar(select(DocumentRow.number).where(DocumentRow.id == document.id))
        raise Refused("ALREADY_ISSUED", code=document.code, number=written(number) if number else "")
