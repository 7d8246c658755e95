"""Reaching levels that were asked for and missed: the newest file of each waiting document is raised, or waits longer.

The rows that wait are level_requests.py's; raising a file is upgrading.py's. Called by the worker.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from pki.audit import Actor, append
from pki.roles import Permission, require
from signer.documents import OPEN
from signer.errors import InputUnreadable, Refused, SignerError
from signer.level_requests import CLOSED, DONE, LevelRequest, due_requests, end_requests, put_off
from signer.storage import BlobStore
from signer.tables import DocumentRow, SigningActRow
from signer.upgrading import Upgraded, UpgradeDeps, raise_file

_AT_ONCE = 20


@dataclass(frozen=True)
class LevelingDeps:
    """What it works with; built once in api/wiring.py."""

    upgrading: UpgradeDeps
    blobs: BlobStore


@dataclass(frozen=True)
class _Newest:
    """The newest finished act of a document, and the file that came of it."""

    act_id: int
    code: str
    status: str
    sha256: str


def has_due(deps: LevelingDeps) -> bool:
    """Whether any level is to be tried for now."""
    with deps.upgrading.database.read() as session:
        return bool(due_requests(session, deps.upgrading.clock.now(), 1))


def reach_due(actor: Actor, deps: LevelingDeps) -> int:
    """Try for every level that is due; how many documents have reached theirs. What fails waits longer and hinders no other."""
    require(actor, Permission.EXTEND_DOCUMENTS)
    with deps.upgrading.database.read() as session:
        requests = due_requests(session, deps.upgrading.clock.now(), _AT_ONCE)
    return sum(_reach(request, actor, deps) for request in requests)


def _reach(request: LevelRequest, actor: Actor, deps: LevelingDeps) -> bool:
    database, clock = deps.upgrading.database, deps.upgrading.clock
    with database.read() as session:
        newest = _newest(session, request.document_id)
    if newest is None or newest.status not in OPEN:
        return _close(request, "DOCUMENT_NOT_IN_FORCE", actor, newest, deps)
    try:
        raised = raise_file(deps.blobs.get(newest.sha256), request.level, deps.upgrading)
        deps.blobs.put(raised.content)
    except (Refused, InputUnreadable) as error:
        # A rule says no: time does not mend that.
        return _close(request, error.code, actor, newest, deps)
    except SignerError as error:
        with database.write() as session:
            put_off(session, request, error.code, clock.now())
        return False
    with database.write() as session:
        if not _note(session, request.document_id, newest, raised):
            return False  # signed once more or recalled meanwhile: the next look takes the newer file
        end_requests(session, request.document_id, DONE, clock.now())
        append(
            session, clock, actor, "document.extend", "document", newest.code, sha256=raised.sha256, before=raised.before,
            level=raised.level,
        )  # fmt: skip
    return True


def _close(request: LevelRequest, reason: str, actor: Actor, newest: _Newest | None, deps: LevelingDeps) -> bool:
    database, clock = deps.upgrading.database, deps.upgrading.clock
    # A later signature was made at the level already: then nothing is missing any more.
    reached = reason == "LEVEL_ALREADY_REACHED"
    with database.write() as session:
        end_requests(session, request.document_id, DONE if reached else CLOSED, clock.now(), reason)
        code = newest.code if newest is not None else str(request.document_id)
        action = "document.extend.done" if reached else "document.extend.close"
        append(session, clock, actor, action, "document", code, level=request.level, reason=reason)
    return reached


def _newest(session: Session, document_id: int) -> _Newest | None:
    stored = func.coalesce(SigningActRow.extended_sha256, SigningActRow.output_sha256)
    row = session.execute(
        select(SigningActRow.id, DocumentRow.code, DocumentRow.status, stored)
        .join(DocumentRow, DocumentRow.id == SigningActRow.document_id)
        .where(SigningActRow.document_id == document_id, SigningActRow.state == "done")
        .order_by(SigningActRow.id.desc())
        .limit(1)
    ).one_or_none()
    return None if row is None else _Newest(*row)


def _note(session: Session, document_id: int, newest: _Newest, raised: Upgraded) -> bool:
    """Write level and file of an act; False when it is not the newest any more, or its document is out of force."""
    session.execute(select(DocumentRow.id).where(DocumentRow.id == document_id).with_for_update())
    now = _newest(session, document_id)
    if now is None or now != newest:
        return False
    session.execute(
        update(SigningActRow)
        .where(SigningActRow.id == newest.act_id)
        .values(level=raised.level, extended_sha256=raised.sha256, extended_size=len(raised.content))
    )
    return True
