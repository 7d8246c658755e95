"""Reaching levels that were asked for and missed: the newest file of each waiting document is raised, or waits longer.

The rows that wait are level_requests.py's; raising a file is upgrading.py's. Called by the worker.
"""

from __future__ import annotations

from dataclasses import dataclass

from pki.audit import Actor, append
from pki.roles import Permission, require
from signer.documents import OPEN
from signer.errors import InputUnreadable, Refused, SignerError
from signer.level_requests import CLOSED, DONE, LevelRequest, due_requests, end_requests, put_off
from signer.newest import Newest, newest_of, put_in_place
from signer.storage import BlobStore
from signer.upgrading import AlreadyReached, UpgradeDeps, raise_file

# So many rows are read at a time.
BATCH = 20


@dataclass(frozen=True)
class LevelingDeps:
    """What it works with; built once in api/wiring.py."""

    upgrading: UpgradeDeps
    blobs: BlobStore


def has_due(deps: LevelingDeps) -> bool:
    """Whether any level is to be tried for now."""
    with deps.upgrading.database.read() as session:
        return bool(due_requests(session, deps.upgrading.clock.now(), 1))


def reach_due(actor: Actor, deps: LevelingDeps) -> int:
    """Try for a batch of the levels that are due; how many documents have reached theirs. What fails waits longer and hinders no other."""
    require(actor, Permission.EXTEND_DOCUMENTS)
    with deps.upgrading.database.read() as session:
        requests = due_requests(session, deps.upgrading.clock.now(), BATCH)
    return sum(_reach(request, actor, deps) for request in requests)


def _reach(request: LevelRequest, actor: Actor, deps: LevelingDeps) -> bool:
    database, clock = deps.upgrading.database, deps.upgrading.clock
    with database.read() as session:
        newest = newest_of(session, request.document_id)
    if newest is None or newest.status not in OPEN:
        return _close(request, "DOCUMENT_NOT_IN_FORCE", actor, newest, deps)
    try:
        raised = raise_file(deps.blobs.open(newest.sha256), request.level, deps.upgrading)
        deps.blobs.put(raised.file)
    except AlreadyReached as reached:
        # A later signature was made at the level already: then nothing is missing any more.
        return _close(request, reached.code, actor, newest, deps, DONE)
    except (Refused, InputUnreadable) as error:
        # A rule says no: time does not mend that.
        return _close(request, error.code, actor, newest, deps)
    except SignerError as error:
        with database.write() as session:
            put_off(session, request, error.code, clock.now())
        return False
    with database.write() as session:
        # Signed once more or recalled meanwhile: the next look takes the newer file.
        return put_in_place(session, clock, actor, newest, raised, "document.extend", {})


def _close(
    request: LevelRequest, reason: str, actor: Actor, newest: Newest | None, deps: LevelingDeps, state: str = CLOSED
) -> bool:
    database, clock = deps.upgrading.database, deps.upgrading.clock
    with database.write() as session:
        end_requests(session, request.document_id, state, clock.now(), reason)
        code = newest.code if newest is not None else str(request.document_id)
        action = "document.extend.done" if state == DONE else "document.extend.close"
        append(session, clock, actor, action, "document", code, level=request.level, reason=reason)
    return state == DONE
