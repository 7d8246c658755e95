"""Levels that were asked for and not reached when a document was signed: the rows that wait. Who reaches them is leveling.py."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from signer.tables import LevelRequestRow

WAITING, DONE, CLOSED = "waiting", "done", "closed"
# After each failure twice as long, up to an hour: an authority that is back is asked soon, one that is gone not all day.
_FIRST_WAIT = timedelta(seconds=15)
_LONGEST_WAIT = timedelta(hours=1)


@dataclass(frozen=True)
class LevelRequest:
    """One level that waits. `failure` is the code of what was in the way the last time."""

    act_id: int
    document_id: int
    level: str
    attempts: int
    failure: str
    asked_at: datetime


def add_request(session: Session, *, act_id: int, document_id: int, level: str, failure: str, now: datetime) -> None:
    """Note in the transaction of a signature's result that its level was not reached."""
    session.add(
        LevelRequestRow(
            act_id=act_id, document_id=document_id, level=level, state=WAITING, attempts=1, failure=failure, asked_at=now,
            next_at=now + _FIRST_WAIT, ended_at=None,
        )
    )  # fmt: skip


def waiting_requests(session: Session, document_ids: Iterable[int]) -> dict[int, LevelRequest]:
    """What still waits for each of these documents, by their ids: the newest. One query."""
    query = select(LevelRequestRow).where(
        LevelRequestRow.document_id.in_(document_ids), LevelRequestRow.state == WAITING
    )
    # The newest of a document comes last, and stays.
    return {row.document_id: _request(row) for row in session.scalars(query.order_by(LevelRequestRow.act_id))}


def waiting_levels(session: Session, document_id: int) -> list[str]:
    """The levels that a document still waits for."""
    query = select(LevelRequestRow.level).where(
        LevelRequestRow.document_id == document_id, LevelRequestRow.state == WAITING
    )
    return list(session.scalars(query))


def due_requests(session: Session, now: datetime, most: int) -> list[LevelRequest]:
    """The requests that are to be tried now, the longest waiting first."""
    query = select(LevelRequestRow).where(LevelRequestRow.state == WAITING, LevelRequestRow.next_at <= now)
    return [_request(row) for row in session.scalars(query.order_by(LevelRequestRow.next_at).limit(most))]


def put_off(session: Session, request: LevelRequest, failure: str, now: datetime) -> None:
    """It failed again: later, then."""
    wait = min(_FIRST_WAIT * 2 ** min(request.attempts, 10), _LONGEST_WAIT)
    session.execute(
        update(LevelRequestRow)
        .where(LevelRequestRow.act_id == request.act_id, LevelRequestRow.state == WAITING)
        .values(attempts=request.attempts + 1, failure=failure, next_at=now + wait)
    )


def end_requests(session: Session, document_id: int, state: str, now: datetime, failure: str = "") -> None:
    """Nothing waits for a document any more: reached, or closed for a reason that time does not mend."""
    session.execute(
        update(LevelRequestRow)
        .where(LevelRequestRow.document_id == document_id, LevelRequestRow.state == WAITING)
        .values(state=state, failure=failure, ended_at=now)
    )


def _request(row: LevelRequestRow) -> LevelRequest:
    return LevelRequest(row.act_id, row.document_id, row.level, row.attempts, row.failure, row.asked_at)
