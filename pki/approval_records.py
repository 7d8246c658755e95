"""Requests for approval as they are stored: records and the votes that still count. Asking is approval.py's, voting voting.py's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from certs.clock import Clock
from pki import audit
from pki.approval_rules import PERMISSION_OF, Act
from pki.errors import ApprovalNotOpen, ApprovalStale, ApprovalUnknown
from pki.persons import find_person
from pki.roles import OWNER, Actor, Permission
from pki.tables import ApprovalRow, ApprovalVoteRow

# SQLite's and PostgreSQL's largest number; a longer one is nobody's.
_LARGEST_ID = 2**63 - 1


class ApprovalState(StrEnum):
    """EXPIRED also of a request whose asker took it back, or whose deed has changed since: it may be asked for anew."""

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    DONE = "done"
    EXPIRED = "expired"


class Decision(StrEnum):
    """What a vote says. WITHDRAW is the asker's own no."""

    APPROVE = "approve"
    REJECT = "reject"
    WITHDRAW = "withdraw"


OPEN = (ApprovalState.WAITING, ApprovalState.APPROVED)


@dataclass(frozen=True)
class Vote:
    """One answer. `sha256` is as much of the hash as the voter named."""

    person: str
    decision: Decision
    sha256: str
    reason: str | None
    voted_at: datetime


@dataclass(frozen=True)
class ApprovalRecord:
    """One request with its votes."""

    id: int
    act: Act
    title: str
    content: bytes
    sha256: str
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    needed: int
    state: ApprovalState
    votes: tuple[Vote, ...]

    def state_at(self, now: datetime) -> ApprovalState:
        """The state as people see it: what was not used in time is over."""
        return ApprovalState.EXPIRED if self.state in OPEN and now >= self.expires_at else self.state


def get_approval(session: Session, number: int) -> ApprovalRecord:
    """One request, or ApprovalUnknown."""
    return read_request(session, lock_request(session, number, lock=False))


def list_approvals(session: Session, now: datetime, *, only_open: bool = False) -> list[ApprovalRecord]:
    """All requests, or those that wait for votes or for being carried out; oldest first."""
    records = [read_request(session, row) for row in session.scalars(select(ApprovalRow).order_by(ApprovalRow.id))]
    return [each for each in records if not only_open or each.state_at(now) in OPEN]


def standing_votes(session: Session, row: ApprovalRow) -> list[str]:
    """Who has approved and still may: a vote of somebody disabled since counts no more."""
    wanted = (Permission.APPROVE, PERMISSION_OF[Act(row.kind)])
    standing = []
    for vote in list_votes(session, row):
        if vote.decision != Decision.APPROVE.value or not row.sha256.startswith(vote.sha256):
            continue
        person = None if vote.person.startswith(OWNER) else find_person(session, vote.person)
        if vote.person.startswith(OWNER) or (person is not None and all(map(person.actor.may, wanted))):
            standing.append(vote.person)
    return standing


def list_votes(session: Session, row: ApprovalRow) -> Sequence[ApprovalVoteRow]:
    """Every vote on a request, in the order they came. For this package only (law 8)."""
    query = select(ApprovalVoteRow).where(ApprovalVoteRow.approval_id == row.id).order_by(ApprovalVoteRow.id)
    return session.scalars(query).all()


def lock_request(session: Session, number: int, *, lock: bool = True) -> ApprovalRow:
    """The row of a request, kept to this transaction; ApprovalUnknown. For this package only (law 8)."""
    row = session.get(ApprovalRow, number, with_for_update=lock) if 0 < number <= _LARGEST_ID else None
    if row is None:
        raise ApprovalUnknown(f"no request {number}", id=str(number)[:32])
    return row


def read_request(session: Session, row: ApprovalRow) -> ApprovalRecord:
    """The record of a row."""
    return ApprovalRecord(
        id=row.id,
        act=Act(row.kind),
        title=row.title,
        content=row.content,
        sha256=row.sha256,
        asked_by=row.asked_by,
        asked_at=row.asked_at,
        expires_at=row.expires_at,
        needed=row.needed,
        state=ApprovalState(row.state),
        votes=tuple(
            Vote(each.person, Decision(each.decision), each.sha256, each.reason, each.voted_at)
            for each in list_votes(session, row)
        ),
    )


def is_whole(row: ApprovalRow) -> bool:
    """Whether the stored bytes are still those of the hash that people have seen, and what stands beside them says the same."""
    if digest(row.content) != row.sha256:
        return False
    said = json.loads(row.content)
    return bool((said["act"], said["title"]) == (row.kind, row.title))


def note(session: Session, clock: Clock, actor: Actor, what: str, row: ApprovalRow, **details: str) -> None:
    """The audit row of what happens to a request, in the same transaction."""
    audit.append(
        session, clock, actor, f"approval.{what}", "approval", str(row.id), kind=row.kind, sha256=row.sha256, **details
    )


def stale(row: ApprovalRow) -> ApprovalStale:
    """The error for a request that is not about what is meant."""
    return ApprovalStale(f"{row.id} is about something else", id=str(row.id))


def not_open(row: ApprovalRow, state: ApprovalState) -> ApprovalNotOpen:
    """The error for a request that is over, or not approved."""
    return ApprovalNotOpen(f"{row.id} is {state}", id=str(row.id), state=state.value)


def digest(content: bytes) -> str:
    """SHA-256 in lower-case hex."""
    return hashlib.sha256(content).hexdigest()
