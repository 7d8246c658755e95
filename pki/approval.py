"""Approvals: a deed that others must agree to, bound to the bytes of everything it will do. What each deed does stands where it is done.

For whoever builds such a deed:

    deed = Deed(Act.CERTIFICATE_REVOKE, "people read this", asked={…}, rests_on={…})
    approval = demand(deed, deps.approvals.needed(deed.act), actor, deps)   # before any key, outside any transaction
    with database.write() as session:
        …                                                                  # look again under the locks of the deed
        use(session, approval, deed, actor, clock)                         # in the transaction that is the deed

`asked` is what a person asked for: a repeated command finds its request by it and by who asks. `rests_on` is what it will be
carried out with and what may have changed meanwhile. Both are in the hash. `demand` answers None where nobody has to agree;
otherwise an Approval, or ApprovalNeeded once the request is stored. `use` compares the bytes once more and marks the request done in
the same transaction, so that an approval is used once and not lost when the deed fails before. A deed whose key comes after its
intent uses it with the intent: whether a signature came into being nobody knows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from typing import Any, Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from certs.clock import Clock, rfc3339
from certs.db import Database, hold
from pki.approval_records import (
    OPEN,
    ApprovalState,
    Decision,
    digest,
    is_whole,
    list_votes,
    lock_request,
    not_open,
    note,
    read_request,
    stale,
    standing_votes,
)
from pki.approval_rules import PERMISSION_OF, Act, ApprovalRules
from pki.audit import Actor
from pki.errors import ApprovalError, ApprovalNeeded, ApprovalRejected
from pki.roles import require
from pki.tables import ApprovalRow

# How much of a hash people are told beside the number of the request.
_SAID_DIGITS = 16


class ApprovalDeps(Protocol):
    """What every deed that may have to wait brings: its own dependencies have these."""

    @property
    def database(self) -> Database: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def approvals(self) -> ApprovalRules: ...


@dataclass(frozen=True)
class Deed:
    """What will be done. Values are text, whole numbers, None, and lists of these; `title` says it to people, in no language."""

    act: Act
    title: str
    asked: Mapping[str, Any]
    rests_on: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def content(self) -> bytes:
        """The canonical bytes: keys in order, no blanks, UTF-8."""
        whole = {"title": self.title, "asked": dict(self.asked), "rests_on": dict(self.rests_on)}
        return _canonical(whole | {"act": self.act.value})

    @property
    def sha256(self) -> str:
        return digest(self.content)

    @property
    def asked_sha256(self) -> str:
        return digest(_canonical({"act": self.act.value, "asked": dict(self.asked)}))


@dataclass(frozen=True)
class Approval:
    """The leave to carry out one deed once. Only `demand` gives it."""

    id: int
    deed: Deed


def demand(deed: Deed, needed: int, actor: Actor, deps: ApprovalDeps) -> Approval | None:
    """The approval of this deed, None where `needed` is 0; otherwise the request is stored or found and an error says what it waits for.

    ApprovalNeeded while votes are missing, ApprovalRejected after a no, ApprovalStale when what the request was about has changed:
    that request is closed, and asking once more makes a new one.
    """
    require(actor, PERMISSION_OF[deed.act])
    if needed == 0:
        return None
    with deps.database.write() as session:
        # Two of the same asker at once would make two requests.
        hold(session, f"approval {actor.name} {deed.asked_sha256}")
        found = _find_or_ask(session, deed, needed, actor, deps)
    # What was found out is committed, whatever it is.
    if isinstance(found, ApprovalError):
        raise found
    return found


def use(session: Session, approval: Approval | None, deed: Deed, actor: Actor, clock: Clock) -> None:
    """Spend an approval in the transaction that is the deed. Nothing to do where none was needed."""
    if approval is None:
        return
    row = lock_request(session, approval.id)
    state = read_request(session, row).state_at(clock.now())
    if state is not ApprovalState.APPROVED:
        raise not_open(row, state)
    if deed.sha256 != row.sha256 or not is_whole(row) or row.asked_by != actor.name:
        raise stale(row)
    voters = standing_votes(session, row)
    if len(voters) < row.needed:
        raise _needed(row, len(voters))
    row.state = ApprovalState.DONE.value
    note(session, clock, actor, "use", row, approved_by=", ".join(voters))
    session.flush()


def _find_or_ask(
    session: Session, deed: Deed, needed: int, actor: Actor, deps: ApprovalDeps
) -> Approval | ApprovalError:
    now = deps.clock.now()
    query = (
        select(ApprovalRow)
        .where(
            ApprovalRow.asked_sha256 == deed.asked_sha256,
            ApprovalRow.asked_by == actor.name,
            ApprovalRow.expires_at > now,
            ApprovalRow.state.in_([*OPEN, ApprovalState.REJECTED]),
        )
        .order_by(ApprovalRow.id.desc())
        .with_for_update()
    )
    row = session.scalars(query).first()
    if row is None:
        return _needed(_ask(session, deed, needed, actor, deps), 0)
    if row.state == ApprovalState.REJECTED.value:
        return _rejected(session, row)
    if row.sha256 != deed.sha256 or not is_whole(row):
        row.state = ApprovalState.EXPIRED.value
        note(session, deps.clock, actor, "close", row, why="changed")
        return stale(row)
    # Rules may have become stricter, and voters may have been disabled since.
    row.needed = max(row.needed, needed)
    voters = standing_votes(session, row)
    row.state = (ApprovalState.APPROVED if len(voters) >= row.needed else ApprovalState.WAITING).value
    if row.state == ApprovalState.WAITING.value:
        return _needed(row, len(voters))
    return Approval(row.id, deed)


def _ask(session: Session, deed: Deed, needed: int, actor: Actor, deps: ApprovalDeps) -> ApprovalRow:
    now = deps.clock.now()
    row = ApprovalRow(
        kind=deed.act.value,
        title=deed.title,
        content=deed.content,
        sha256=deed.sha256,
        asked_sha256=deed.asked_sha256,
        asked_by=actor.name,
        principal=actor.principal,
        asked_at=now,
        expires_at=now + timedelta(days=deps.approvals.days),
        needed=needed,
        state=ApprovalState.WAITING.value,
    )
    session.add(row)
    session.flush()
    note(session, deps.clock, actor, "request", row, needed=str(needed), until=rfc3339(row.expires_at))
    return row


def _needed(row: ApprovalRow, votes: int) -> ApprovalNeeded:
    return ApprovalNeeded(
        f"{row.id} waits", id=str(row.id), sha256=row.sha256[:_SAID_DIGITS], missing=str(row.needed - votes), until=rfc3339(row.expires_at)
    )  # fmt: skip


def _rejected(session: Session, row: ApprovalRow) -> ApprovalRejected:
    person = next((each.person for each in list_votes(session, row) if each.decision == Decision.REJECT.value), "")
    return ApprovalRejected(f"{row.id} was rejected", id=str(row.id), person=person, until=rfc3339(row.expires_at))


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
