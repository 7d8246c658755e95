"""The newest file of a document, and that a raised one takes its place; which file that should be is for those who raise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from certs.clock import Clock
from pki.audit import Actor, append
from signer.level_requests import DONE, end_requests, waiting_levels
from signer.levels import reaches
from signer.tables import DocumentRow, SigningActRow
from signer.upgrading import Upgraded


@dataclass(frozen=True)
class Newest:
    """The newest finished act of a document, and the file that came of it."""

    act_id: int
    document_id: int
    code: str
    status: str
    sha256: str


def newest_of(session: Session, document_id: int) -> Newest | None:
    """The newest file of a document; None when no signature of it was finished."""
    stored = func.coalesce(SigningActRow.extended_sha256, SigningActRow.output_sha256)
    row = session.execute(
        select(SigningActRow.id, DocumentRow.id, DocumentRow.code, DocumentRow.status, stored)
        .join(DocumentRow, DocumentRow.id == SigningActRow.document_id)
        .where(SigningActRow.document_id == document_id, SigningActRow.state == "done")
        .order_by(SigningActRow.id.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else Newest(*row)


def put_in_place(
    session: Session, clock: Clock, actor: Actor, newest: Newest, raised: Upgraded, action: str, facts: Mapping[str, str]
) -> bool:  # fmt: skip
    """Write level, file and audit row. False, and nothing written, when the file is not the newest any more or its document was recalled.

    What waited for a level that the file has now waits no more.
    """
    session.execute(select(DocumentRow.id).where(DocumentRow.id == newest.document_id).with_for_update())
    if newest_of(session, newest.document_id) != newest:
        return False
    acts = update(SigningActRow).where(SigningActRow.document_id == newest.document_id)
    session.execute(acts.where(SigningActRow.renew_at.is_not(None)).values(renew_at=None))
    session.execute(
        acts.where(SigningActRow.id == newest.act_id).values(
            level=raised.level,
            extended_sha256=raised.sha256,
            extended_size=len(raised.file),
            renew_at=raised.renew_at,
        )
    )
    if all(reaches(raised.level, level) for level in waiting_levels(session, newest.document_id)):
        end_requests(session, newest.document_id, DONE, clock.now())
    append(
        session, clock, actor, action, "document", newest.code, sha256=raised.sha256, before=raised.before, level=raised.level,
        **facts,
    )  # fmt: skip
    return True
