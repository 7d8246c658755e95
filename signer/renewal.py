"""Renewing archive time-stamps in time: files of B-LTA are raised once more before their newest time-stamp ends (EN 319 142-1 5.5).

When that is stands with the act that made the file. Raising is upgrading.py's. Called by the worker.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from pki.audit import Actor, append
from pki.roles import Permission, require
from signer.documents import OPEN
from signer.errors import InputUnreadable, Refused, SignerError
from signer.leveling import LevelingDeps
from signer.levels import B_LTA
from signer.newest import Newest, newest_of, put_in_place
from signer.tables import SigningActRow
from signer.upgrading import AlreadyReached, raise_file

# So many rows are read at a time.
BATCH = 20
# A third of a certificate's life is left when it begins: an hour more is nothing, and the services that are away get their rest.
_AGAIN_AFTER = timedelta(hours=1)


def has_renewals(deps: LevelingDeps) -> bool:
    """Whether any file is to be renewed now."""
    with deps.upgrading.database.read() as session:
        return bool(_due(session, deps.upgrading.clock.now(), 1))


def renew_due(actor: Actor, deps: LevelingDeps) -> int:
    """Renew a batch of the files that are due; how many were. What fails is tried again in an hour and hinders no other."""
    require(actor, Permission.EXTEND_DOCUMENTS)
    with deps.upgrading.database.read() as session:
        documents = _due(session, deps.upgrading.clock.now(), BATCH)
    return sum(_renew(document_id, actor, deps) for document_id in documents)


def _due(session: Session, now: datetime, most: int) -> list[int]:
    acts = select(SigningActRow.document_id).where(SigningActRow.renew_at <= now)
    return list(
        session.scalars(acts.group_by(SigningActRow.document_id).order_by(SigningActRow.document_id).limit(most))
    )


def _renew(document_id: int, actor: Actor, deps: LevelingDeps) -> bool:
    database, clock = deps.upgrading.database, deps.upgrading.clock
    with database.read() as session:
        newest = newest_of(session, document_id)
    assert newest is not None, "only a finished act has a renewal"
    if newest.status not in OPEN:
        return _close(newest, "DOCUMENT_NOT_IN_FORCE", actor, deps)
    try:
        raised = raise_file(deps.blobs.open(newest.sha256), B_LTA, deps.upgrading)
        deps.blobs.put(raised.file)
    except AlreadyReached as reached:
        # A later signature brought a younger time-stamp, or nobody had looked yet.
        return _note(newest, reached.renew_at, deps)
    except (Refused, InputUnreadable) as error:
        # A rule says no: time does not mend that, and people have to know.
        return _close(newest, error.code, actor, deps)
    except SignerError:
        return _note(newest, clock.now() + _AGAIN_AFTER, deps)
    with database.write() as session:
        return put_in_place(session, clock, actor, newest, raised, "document.extend", {"cause": "renewal"})


def _note(newest: Newest, renew_at: datetime | None, deps: LevelingDeps) -> bool:
    """Look again at that time, at the newest file alone."""
    with deps.upgrading.database.write() as session:
        _forget(session, newest)
        session.execute(update(SigningActRow).where(SigningActRow.id == newest.act_id).values(renew_at=renew_at))
    return False


def _close(newest: Newest, reason: str, actor: Actor, deps: LevelingDeps) -> bool:
    with deps.upgrading.database.write() as session:
        _forget(session, newest)
        append(
            session, deps.upgrading.clock, actor, "document.extend.close", "document", newest.code, level=B_LTA, reason=reason
        )  # fmt: skip
    return False


def _forget(session: Session, newest: Newest) -> None:
    acts = update(SigningActRow).where(SigningActRow.document_id == newest.document_id)
    session.execute(acts.where(SigningActRow.renew_at.is_not(None)).values(renew_at=None))
