"""Raising on request: any signed file, and documents of the register, whose newest file gives way to the raised one.

How a file is raised is upgrading.py's; what waited is leveling.py's.
"""

from __future__ import annotations

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from pki.audit import Actor, append
from pki.roles import Permission, require
from signer.admission import out_of_force
from signer.documents import OPEN, Registered, known_form
from signer.errors import Refused, UsageWrong
from signer.leveling import LevelingDeps
from signer.newest import Newest, newest_of, put_in_place
from signer.octets import Octets, sha256_of
from signer.tables import DocumentRow, SigningActRow
from signer.upgrading import Upgraded, raise_file

# A signature that comes in between makes another file the newest one; that it happens again and again is not to be believed.
_ATTEMPTS = 3


def upgrade_file(pdf: Octets, wanted: str, actor: Actor, deps: LevelingDeps) -> Upgraded:
    """Raise a file; Refused, InputUnreadable or Unavailable, and then nothing is handed out.

    Where it is the newest file of a document in force, the register goes on with the raised one.
    """
    require(actor, Permission.EXTEND_DOCUMENTS)
    raised = raise_file(pdf, wanted, deps.upgrading)
    source = sha256_of(pdf)
    database, clock = deps.upgrading.database, deps.upgrading.clock
    with database.read() as session:
        newest = _stored_as(session, source)
    if newest is not None:
        deps.blobs.put(raised.file)
    with database.write() as session:
        if newest is None or not put_in_place(
            session, clock, actor, newest, raised, "document.extend", {"cause": "request"}
        ):
            append(
                session, clock, actor, "file.upgrade", "file", raised.sha256, before=raised.before, level=raised.level,
                source=source,
            )  # fmt: skip
    return raised


def upgrade_document(code: str, wanted: str, actor: Actor, deps: LevelingDeps) -> Upgraded:
    """Raise the newest file of a document of the register in its place; UsageWrong for no such code, else errors as for a file."""
    require(actor, Permission.EXTEND_DOCUMENTS)
    database, clock = deps.upgrading.database, deps.upgrading.clock
    for _ in range(_ATTEMPTS):
        with database.read() as session:
            newest = _newest_of_code(session, code)
        raised = raise_file(deps.blobs.open(newest.sha256), wanted, deps.upgrading)
        deps.blobs.put(raised.file)
        with database.write() as session:
            if put_in_place(session, clock, actor, newest, raised, "document.extend", {"cause": "request"}):
                return raised
    raise Refused("DOCUMENT_CHANGES", code=newest.code)


def _stored_as(session: Session, sha256: str) -> Newest | None:
    """The document in force whose newest file this is."""
    acts = select(SigningActRow.document_id).where(
        or_(SigningActRow.output_sha256 == sha256, SigningActRow.extended_sha256 == sha256),
        SigningActRow.state == "done",
    )
    document_id = session.scalar(acts.order_by(SigningActRow.id).limit(1))
    newest = newest_of(session, document_id) if document_id is not None else None
    return newest if newest is not None and newest.sha256 == sha256 and newest.status in OPEN else None


def _newest_of_code(session: Session, typed: str) -> Newest:
    code = known_form(typed)
    row = session.execute(select(DocumentRow.id, DocumentRow.status).where(DocumentRow.code == code)).one_or_none()
    newest = newest_of(session, row.id) if row is not None else None
    if newest is None:
        raise UsageWrong("CODE_NOT_FOUND", typed=typed[:40])
    if newest.status not in OPEN:
        raise out_of_force(session, Registered(newest.document_id, code, newest.status))
    return newest
