"""Voting: one person's yes or no to a request for approval, under the lock of the request. What comes of it is approval.py's."""

from __future__ import annotations

import re
import unicodedata

from sqlalchemy.orm import Session

from pki.approval import ApprovalDeps
from pki.approval_records import (
    OPEN,
    ApprovalRecord,
    ApprovalState,
    Decision,
    is_whole,
    list_votes,
    lock_request,
    not_open,
    note,
    read_request,
    stale,
    standing_votes,
)
from pki.approval_rules import PERMISSION_OF, Act
from pki.errors import (
    ApprovalHashTooShort,
    ApprovalHashWrong,
    ApprovalNotByPerson,
    ApprovalOwn,
    ApprovalReasonRefused,
    ApprovalVoted,
)
from pki.persons import find_person, get_active_person
from pki.roles import OWNER, Actor, Permission, require
from pki.tables import ApprovalRow, ApprovalVoteRow

# What people compare: 32 bits suffice against a mix-up, and the number of the request is named too.
LEAST_HASH_DIGITS = 8
LONGEST_REASON = 500
_HASH = re.compile(rf"[0-9a-f]{{{LEAST_HASH_DIGITS},64}}")


def approve(number: int, seen_sha256: str, actor: Actor, deps: ApprovalDeps) -> ApprovalRecord:
    """Agree to a request, naming the hash (or its beginning) of what one has seen."""
    return _vote(number, Decision.APPROVE, seen_sha256, None, actor, deps)


def reject(number: int, reason: str, actor: Actor, deps: ApprovalDeps) -> ApprovalRecord:
    """Say no, for good; the asker may so take back his own."""
    return _vote(number, Decision.REJECT, None, reason, actor, deps)


def _vote(
    number: int, decision: Decision, seen: str | None, reason: str | None, actor: Actor, deps: ApprovalDeps
) -> ApprovalRecord:
    require(actor, Permission.APPROVE)
    seen = None if seen is None else _parse_hash(seen)
    reason = None if reason is None else _clean(reason)
    with deps.database.write() as session:
        # The person before the request, as a change of persons takes them: so neither waits for the other for ever.
        present = _lock_voter(session, number, actor)
        row = lock_request(session, number)
        # Whoever votes could do the deed himself.
        for each in (actor, present):
            require(each, Permission.APPROVE)
            require(each, PERMISSION_OF[Act(row.kind)])
        if _is_own(row, actor):
            if decision is Decision.APPROVE:
                raise ApprovalOwn(f"{row.id} is {actor.name}'s own", id=str(row.id), person=actor.name)
            decision = Decision.WITHDRAW
        if any(each.principal == actor.principal for each in list_votes(session, row)):
            raise ApprovalVoted(f"{actor.name} has voted on {row.id}", id=str(row.id), person=actor.name)
        state = read_request(session, row).state_at(deps.clock.now())
        # What is approved can still be stopped until it is done, and takes no more approvals than it needs.
        if state not in OPEN or (decision is Decision.APPROVE and len(standing_votes(session, row)) >= row.needed):
            raise not_open(row, state)
        if not is_whole(row):
            raise stale(row)
        if seen is not None and not row.sha256.startswith(seen):
            raise ApprovalHashWrong(f"{seen} is not the hash of {row.id}", id=str(row.id))
        session.add(
            ApprovalVoteRow(
                approval_id=row.id, person=actor.name, principal=actor.principal, decision=decision.value,
                sha256=seen or row.sha256, reason=reason, voted_at=deps.clock.now(),
            )
        )  # fmt: skip
        session.flush()
        row.state = _state_after(session, row, decision).value
        note(session, deps.clock, actor, decision.value, row, **({"reason": reason} if reason else {}))
        session.flush()
        return read_request(session, row)


def _state_after(session: Session, row: ApprovalRow, decision: Decision) -> ApprovalState:
    if decision is Decision.REJECT:
        return ApprovalState.REJECTED
    if decision is Decision.WITHDRAW:
        return ApprovalState.EXPIRED
    enough = len(standing_votes(session, row)) >= row.needed
    return ApprovalState.APPROVED if enough else ApprovalState.WAITING


def _lock_voter(session: Session, number: int, actor: Actor) -> Actor:
    """The voter as he stands now, and not as he stood when he came in: a person or the owner, somebody whom one can ask why."""
    if actor.is_owner:
        return actor
    if find_person(session, actor.name) is None:
        raise ApprovalNotByPerson(f"{actor.name} is no person", id=str(number), actor=actor.name)
    return get_active_person(session, actor.name, lock=True).actor


def _is_own(row: ApprovalRow, actor: Actor) -> bool:
    """Also the owner's login and a person of the same name are one: nobody gets around this by changing hats."""
    return row.principal == actor.principal or row.asked_by.removeprefix(OWNER) == actor.name.removeprefix(OWNER)


def _parse_hash(typed: str) -> str:
    text = typed.strip().lower()
    if not _HASH.fullmatch(text):
        raise ApprovalHashTooShort(f"{typed[:64]!r} names no hash", typed=typed[:64], least=str(LEAST_HASH_DIGITS))
    return text


def _clean(reason: str) -> str:
    """The reason as it is kept: one line that nothing hides in."""
    text = " ".join(unicodedata.normalize("NFC", reason).split())
    if not 0 < len(text) <= LONGEST_REASON or any(unicodedata.category(each)[0] == "C" for each in text):
        raise ApprovalReasonRefused("the reason cannot be kept", limit=str(LONGEST_REASON))
    return text
