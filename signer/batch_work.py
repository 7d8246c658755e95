"""Works batches off: signs what waits, a chunk at a time, and notes what came of each document in the commit of its signature.

One process does this at a time (api/schedule.py sees to it), so an act that a waiting document still bears is that of a
process that died.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.orm import Session

from certs.clock import Clock
from pki.audit import Actor, append
from pki.errors import RoleMissing
from signer.appearance.errors import AppearanceError, FontMissing, ImageUnreadable
from signer.batches import DONE, FAILED, OPEN, WAITING, end_cancelled, end_if_over, open_batches
from signer.documents import fail_act
from signer.errors import InputUnreadable, OwnOutputBroken, Refused, Unavailable, UsageWrong
from signer.particulars import Particulars
from signer.password import Password
from signer.protection import NO_PROTECTION, Protection
from signer.signing_batch import MOST, sign_documents
from signer.signing_case import reason_of
from signer.signing_parts import SignedDocument, SigningDeps, SignRequest
from signer.tables import BatchDocumentRow, BatchRow
from signer.uploads import UploadStore

# What stays so however often it is tried. All else may be well again the next time.
_FINAL = (Refused, InputUnreadable, UsageWrong, OwnOutputBroken, AppearanceError, RoleMissing)
_OF_THE_INSTALLATION = (FontMissing, ImageUnreadable)
_MOST_OCTETS = 32 * 1024 * 1024
_DIED = "PROCESS_DIED"
_UPDATE = update(BatchDocumentRow)


@dataclass(frozen=True)
class BatchDeps:
    """What working batches off needs. `actor_of` is who stands behind a token now; it raises Refused when nobody does any more."""

    signing: SigningDeps
    uploads: UploadStore
    actor_of: Callable[[int], Actor]


@dataclass(frozen=True)
class _Waiting:
    """One document whose turn has come."""

    id: int
    position: int
    sha256: str
    name: str
    placement: str
    details: dict[str, Any]


@dataclass(frozen=True)
class _Turn:
    """Some documents of one batch."""

    batch_id: int
    code: str
    token_id: int
    credential: str
    intent: str | None
    level: str
    subfilter: str
    protection: Protection
    particulars: Particulars
    activation: str | None
    documents: tuple[_Waiting, ...]


def has_waiting(deps: BatchDeps) -> bool:
    """Whether any batch is open; cheap, and asks no key."""
    with deps.signing.database.read() as session:
        return session.scalar(select(BatchRow.id).where(BatchRow.state == OPEN).limit(1)) is not None


def forget_orphans(deps: BatchDeps, older_than: float) -> None:
    """Remove files of batches that were never registered, or have ended."""
    with deps.signing.database.read() as session:
        known = set(open_batches(session))
    deps.uploads.forget_all_but(known, older_than)


def work_off(deps: BatchDeps, system: Actor) -> bool:
    """Sign the next documents of the oldest batch; False when nothing waits. Raises what is away: then they go on waiting."""
    database, clock = deps.signing.database, deps.signing.clock
    with database.write() as session:
        _close_dead(session, system, clock)
        ended = end_cancelled(session, clock.now())
        turn = _next(session)
    for code in ended:
        deps.uploads.forget(code)
    if turn is None:
        return False
    failure = _sign(turn, deps)
    with database.write() as session:
        is_over = end_if_over(session, turn.batch_id, clock.now())
    if is_over:
        deps.uploads.forget(turn.code)
    if failure is not None:
        raise failure
    return True


def _next(session: Session) -> _Turn | None:
    row = session.scalars(select(BatchRow).where(BatchRow.state == OPEN).order_by(BatchRow.id).limit(1)).first()
    if row is None:
        return None
    taken: list[_Waiting] = []
    octets = 0
    for each in session.scalars(
        select(BatchDocumentRow)
        .where(BatchDocumentRow.batch_id == row.id, BatchDocumentRow.state == WAITING)
        .order_by(BatchDocumentRow.position)
        .limit(MOST)
    ):
        octets += each.input_size
        if taken and octets > _MOST_OCTETS:
            break
        taken.append(_Waiting(each.id, each.position, each.input_sha256, each.name, each.placement, each.details))
    return _Turn(
        row.id, row.code, row.token_id, row.credential, row.intent, row.level, row.subfilter,
        Protection.from_json(row.protection) if row.protection else NO_PROTECTION,
        Particulars.from_json(row.particulars), row.activation, tuple(taken),
    )  # fmt: skip


def _close_dead(session: Session, system: Actor, clock: Clock) -> None:
    """Acts of a process that died before their result: no signature left the house, and the document is signed anew."""
    dead = session.execute(
        select(BatchDocumentRow.id, BatchDocumentRow.act_id)
        .where(BatchDocumentRow.state == WAITING, BatchDocumentRow.act_id.is_not(None))
        .order_by(BatchDocumentRow.act_id)
    ).all()
    for row, act in dead:
        assert act is not None
        if fail_act(session, act, failure=_DIED, now=clock.now()):
            append(session, clock, system, "document.sign.fail", "act", str(act), reason=_DIED)
        session.execute(_UPDATE.where(BatchDocumentRow.id == row).values(act_id=None))


def _sign(turn: _Turn, deps: BatchDeps) -> Exception | None:
    """Sign what can be signed; what is away, if anything is."""
    results: dict[int, Exception] = {}
    requests: list[SignRequest] = []
    places: list[_Waiting] = []
    try:
        actor = deps.actor_of(turn.token_id)
        password = _password(turn, deps)
        for each in turn.documents:
            try:
                pdf = deps.uploads.read(turn.code, each.position, each.sha256)
            except Unavailable as error:
                # It does not come back by itself.
                results[each.id] = InputUnreadable(error.code, **error.facts)
                continue
            requests.append(
                SignRequest(
                    pdf,
                    each.name,
                    turn.credential,
                    turn.intent,
                    turn.level,
                    each.details,
                    each.placement,
                    subfilter=turn.subfilter,
                    protection=turn.protection,
                    password=password,
                    particulars=turn.particulars,
                    activation=turn.activation,
                )
            )
            places.append(each)
        ledger = _Ledger(places, deps)
        came = sign_documents(requests, actor, deps.signing, ledger)
        results |= {
            each.id: result
            for each, result in zip(places, came, strict=True)
            if isinstance(result, Exception) and each.id not in ledger.ended
        }
    except (Refused, RoleMissing) as error:
        results = {each.id: error for each in turn.documents}
        came = []
    _note(results, deps)
    away = [each for each in (*results.values(), *came) if isinstance(each, Exception) and not _is_final(each)]
    return away[0] if away else None


def _password(turn: _Turn, deps: BatchDeps) -> Password:
    try:
        return deps.uploads.password(turn.code)
    except Unavailable as error:
        # It does not come back by itself, and other batches wait behind this one.
        raise Refused(error.code, **error.facts) from error


def _note(results: dict[int, Exception], deps: BatchDeps) -> None:
    """What came of documents that no act had begun for."""
    if not results:
        return
    now = deps.signing.clock.now()
    with deps.signing.database.write_rows() as connection:
        for row_id, error in sorted(results.items()):
            connection.execute(_UPDATE.where(BatchDocumentRow.id == row_id).values(_failed(error, now)))


def _is_final(error: Exception) -> bool:
    return isinstance(error, _FINAL) and not isinstance(error, _OF_THE_INSTALLATION)


def _failed(error: Exception, now: datetime) -> dict[str, Any]:
    facts = {name: str(value) for name, value in getattr(error, "facts", {}).items()}
    code = str(getattr(error, "code", reason_of(error)))[:64]
    if _is_final(error):
        return {"state": FAILED, "act_id": None, "error": code, "facts": facts, "ended_at": now}
    # It waits on; the operator sees for what.
    return {"state": WAITING, "act_id": None, "error": code, "facts": {}}


class _Ledger:
    """The rows of a chunk's documents, which move with their acts."""

    def __init__(self, places: Sequence[_Waiting], deps: BatchDeps) -> None:
        self._places = places
        self._clock = deps.signing.clock
        self.ended: set[int] = set()

    def note_begun(self, connection: Connection, acts: Sequence[tuple[int, int]]) -> None:
        for place, act in acts:
            connection.execute(_UPDATE.where(BatchDocumentRow.id == self._places[place].id).values(act_id=act))

    def note_ended(self, connection: Connection, results: Sequence[tuple[int, SignedDocument | Exception]]) -> None:
        now = self._clock.now()
        for place, result in results:
            row = self._places[place].id
            values = _failed(result, now) if isinstance(result, Exception) else _done(result, now)
            connection.execute(_UPDATE.where(BatchDocumentRow.id == row).values(values))
            self.ended.add(row)


def _done(document: SignedDocument, now: datetime) -> dict[str, Any]:
    outcome = {
        "code": document.code, "sha256": document.sha256, "status": document.status, "issued": document.issued,
        "number": document.number, "level": document.level, "pending_level": document.pending,
        "findings": [each.to_json() for each in document.findings],
    }  # fmt: skip
    return {"state": DONE, "outcome": outcome, "error": None, "facts": None, "ended_at": now}
