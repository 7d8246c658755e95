"""Expiry notices: which certificates end soon, and that it was said, once for each threshold. How a notice travels is for others.

Notices are for the newest certificate of its holder: one that was renewed, or that another certificate of the same holder and kind
outlives, needs none. A threshold counts in the last third of a term only, in which a certificate may be renewed. The smallest one
always counts, at once when a whole term is shorter, so that every certificate is announced before its end.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import ColumnElement, Table, and_, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session, aliased

from certs.clock import Clock
from certs.db import Database
from certs.inventory import State
from certs.outside_tables import OutsideCertificateRow
from certs.tables import CertificateRow
from pki import audit
from pki.audit import Actor
from pki.notice_tables import NoticeRow
from pki.renewal import SHARE
from pki.roles import Permission, require

# The threshold of what has ended.
ENDED = 0
# What ended longer ago is news to nobody: a home that gets this release is not flooded.
_ENDED_WITHIN = timedelta(days=30)
_FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=6)
# With these pauses, somewhat more than three days.
MOST_ATTEMPTS = 20
_BATCH = 500
_NOTICES = cast("Table", NoticeRow.__table__)
# What notices call a certificate that others have issued for a key of ours: it has no profile of this house.
OFFICIAL = "official"


@dataclass(frozen=True)
class Notice:
    """One notice with what it is about. `days` 0: the certificate has ended; otherwise it ends within so many."""

    id: str
    serial: str
    profile: str
    issuer: str
    not_after: datetime
    days: int
    made_at: datetime
    logged_at: datetime | None
    sent_at: datetime | None
    attempts: int
    next_attempt_at: datetime | None
    problem: str


@dataclass(frozen=True)
class _Due:
    """A notice that is to be made; `outside` is the fingerprint of a certificate that is none of the inventory's."""

    serial: str
    days: int
    outside: str | None = None


@dataclass(frozen=True)
class NoticePolicy:
    """At how many days before the end notices are made, besides at the end itself; `sends`: whether they are also sent away."""

    days: tuple[int, ...] = (90, 30, 7, 1)
    sends: bool = False


class NoticeDesk:
    """Makes notices and keeps account of them. Built once; uses no key and no network."""

    def __init__(self, database: Database, clock: Clock, policy: NoticePolicy) -> None:
        self._database = database
        self._clock = clock
        self._policy = policy

    def is_due(self) -> bool:
        """Whether a notice is to be made, logged or sent now."""
        with self._database.read() as session:
            both = itertools.chain(self._due(session), self._due_outside(session))
            if next(both, None) is not None:
                return True
        return bool(self.unlogged(1) or self.unsent(1))

    def due(self, most: int = _BATCH) -> list[tuple[str, int]]:
        """Serial and threshold of each notice that is to be made."""
        return [(each.serial, each.days) for each in self._all_due(most)]

    def make_due(self, actor: Actor) -> int:
        """Make the notices that are due; how many. Two who come at once make each of them once."""
        require(actor, Permission.ISSUE)
        made = 0
        with self._database.alone("notices"):
            while due := self._all_due(_BATCH):
                now = self._clock.now()
                rows = [
                    {
                        "id": secrets.token_hex(16), "serial": None if each.outside else each.serial,
                        "outside_sha256": each.outside, "days": each.days, "made_at": now, "attempts": 0,
                        "next_attempt_at": now if self._policy.sends else None, "problem": "",
                    }
                    for each in due
                ]  # fmt: skip
                with self._database.write() as session:
                    session.execute(insert(_NOTICES), rows)
                    audit.append(session, self._clock, actor, "notice.make", "notices", "expiry", count=str(len(rows)))
                made += len(rows)
        return made

    def list_notices(self, most: int = 1000) -> list[Notice]:
        """The newest notices, newest first."""
        return self._select(most, newest_first=True)

    def unlogged(self, most: int = _BATCH) -> list[Notice]:
        """Notices that no log line tells of yet."""
        return self._select(most, NoticeRow.logged_at.is_(None))

    def unsent(self, most: int = _BATCH, *, hurry: bool = False) -> list[Notice]:
        """Notices whose time to be sent has come; with `hurry` all that are still to be sent."""
        if not self._policy.sends:
            return []
        now = self._clock.now()
        # A time further away than any pause comes from a clock that was set back since.
        its_time = or_(NoticeRow.next_attempt_at <= now, NoticeRow.next_attempt_at > now + LONGEST_PAUSE)
        return self._select(most, NoticeRow.next_attempt_at.is_not(None), *([] if hurry else [its_time]))

    def note_logged(self, notices: Sequence[Notice]) -> None:
        """The log tells of these."""
        with self._database.write() as session:
            ids = [notice.id for notice in notices]
            session.execute(update(_NOTICES).where(_NOTICES.c.id.in_(ids)).values(logged_at=self._clock.now()))

    def note_sent(self, notice: Notice) -> None:
        """The receiver has taken this one."""
        values = {"sent_at": self._clock.now(), "next_attempt_at": None, "problem": ""}
        self._note_attempt(notice, values)

    def note_failed(self, notice: Notice, problem: str) -> None:
        """The receiver has not taken it: again after a pause that doubles, and after many attempts no more."""
        pause = min(_FIRST_PAUSE * 2 ** min(notice.attempts, 10), LONGEST_PAUSE)
        again = self._clock.now() + pause if notice.attempts + 1 < MOST_ATTEMPTS else None
        self._note_attempt(notice, {"next_attempt_at": again, "problem": problem[:200]})

    def _note_attempt(self, notice: Notice, values: Mapping[str, object]) -> None:
        change = update(_NOTICES).where(_NOTICES.c.id == notice.id)
        with self._database.write() as session:
            session.execute(change.values(attempts=notice.attempts + 1, **values))

    def _all_due(self, most: int) -> list[_Due]:
        with self._database.read() as session:
            both = itertools.chain(self._due(session), self._due_outside(session))
            return list(itertools.islice(both, most))

    def _due_outside(self, session: Session) -> Iterator[_Due]:
        """Of certificates that others have issued for keys of ours, while something signs with them: by the same thresholds."""
        now = self._clock.now()
        begin = now - _ENDED_WITHIN
        least = min(self._policy.days, default=ENDED)
        row = OutsideCertificateRow
        for days in (ENDED, *sorted(self._policy.days)):
            end = now + timedelta(days=days)
            said = and_(NoticeRow.outside_sha256 == row.sha256, NoticeRow.days <= days)
            query = select(row.serial, row.sha256, row.not_before, row.not_after).where(
                row.not_after > begin, row.not_after <= end, row.ended_at.is_(None), ~exists().where(said)
            )
            for each in session.execute(query.order_by(row.not_after, row.sha256)):
                if days <= least or timedelta(days=days) <= (each.not_after - each.not_before) / SHARE:
                    yield _Due(each.serial, days, each.sha256)
            begin = end

    def _due(self, session: Session) -> Iterator[_Due]:
        """A certificate stands in one span alone, between two thresholds: who was away at the first of them says only the second."""
        now = self._clock.now()
        begin = now - _ENDED_WITHIN
        # What ends before any threshold comes into its last third would else be announced when it is over.
        least = min(self._policy.days, default=ENDED)
        for days in (ENDED, *sorted(self._policy.days)):
            end = now + timedelta(days=days)
            row = CertificateRow
            query = select(row.serial, row.subject, row.profile, row.not_before, row.not_after).where(
                row.not_after > begin, row.not_after <= end, *_concern(days)
            )
            found = [
                each
                for each in session.execute(query.order_by(row.not_after, row.serial))
                if days <= least or timedelta(days=days) <= (each.not_after - each.not_before) / SHARE
            ]
            for first in range(0, len(found), _BATCH):
                yield from (_Due(each.serial, days) for each in _newest(session, found[first : first + _BATCH]))
            begin = end

    def _select(self, most: int, *conditions: ColumnElement[bool], newest_first: bool = False) -> list[Notice]:
        own, outside = CertificateRow, OutsideCertificateRow
        query = (
            select(
                NoticeRow.id, func.coalesce(own.serial, outside.serial), func.coalesce(own.profile, OFFICIAL),
                func.coalesce(own.issuer, outside.issuer), func.coalesce(own.not_after, outside.not_after),
                NoticeRow.days, NoticeRow.made_at, NoticeRow.logged_at, NoticeRow.sent_at, NoticeRow.attempts,
                NoticeRow.next_attempt_at, NoticeRow.problem,
            )
            .outerjoin(own, own.serial == NoticeRow.serial)
            .outerjoin(outside, outside.sha256 == NoticeRow.outside_sha256)
            .where(*conditions)
        )  # fmt: skip
        order = (NoticeRow.made_at.desc(), NoticeRow.id) if newest_first else (NoticeRow.made_at, NoticeRow.id)
        with self._database.read() as session:
            rows: Sequence[Any] = session.execute(query.order_by(*order).limit(most)).all()
            return [Notice(*row) for row in rows]


def _concern(days: int) -> list[ColumnElement[bool]]:
    """Of certificates in a span: in force, not said yet, not followed by another."""
    other = aliased(CertificateRow)
    follows = and_(other.replaces == CertificateRow.serial, other.state == State.ACTIVE.value, other.der.is_not(None))
    said = and_(NoticeRow.serial == CertificateRow.serial, NoticeRow.days <= days)
    return [
        CertificateRow.state == State.ACTIVE.value,
        CertificateRow.der.is_not(None),
        ~exists().where(said),
        ~exists().where(follows),
    ]


def _newest(session: Session, rows: Sequence[Any]) -> Iterator[Any]:
    """Those whose holder has no certificate of this kind that outlives them, renewed or asked for anew.

    One query for many: without an index on subjects SQLite reads through the table for it.
    """
    row = CertificateRow
    query = (
        select(row.subject, row.profile, func.max(row.not_after))
        .where(row.subject.in_({each.subject for each in rows}), row.state == State.ACTIVE.value, row.der.is_not(None))
        .group_by(row.subject, row.profile)
    )
    latest = {(subject, profile): end for subject, profile, end in session.execute(query)}
    return (each for each in rows if latest[each.subject, each.profile] <= each.not_after)
