"""History: what was true of a certificate at a time of the past, what of it was known then and what is known today, and the evidence.

It reads the audit trail, the archive of CRLs and the stored OCSP answers, and changes nothing. Answers that were signed when asked are
not stored, so they are no evidence here. How it is shown is for the rooms above.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from cryptography.x509 import ocsp
from sqlalchemy import select
from sqlalchemy.orm import Session

from certs.clock import rfc3339
from certs.inventory import CertificateRecord, get_certificate
from certs.lost import is_lost
from certs.serial import serial_hex
from pki.authorities import find_authority
from pki.crl_archive import StoredCrl, crl_octets, find_at
from pki.crl_entries import FULL
from pki.crl_listing import Listing, find_listing
from pki.errors import HistoryTimeRefused
from pki.ocsp_store import find_answer_at
from pki.revocation import HOLD
from pki.tables import AuditRow

_KIND = "certificate"
_RESTORED = "backup.restore"


class Past(StrEnum):
    """What a certificate was. SUSPECT is only said of today's knowledge: its key was under suspicion then, as became known later."""

    NOT_ISSUED = "not-issued"
    INTENT = "intent"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    EXPIRED = "expired"
    SUSPECT = "suspect"


@dataclass(frozen=True)
class Standing:
    """A state with what belongs to it: since when, for what reason, suspect since when."""

    state: Past
    revoked_at: datetime | None = None
    reason: str | None = None
    suspect_since: datetime | None = None


@dataclass(frozen=True)
class LifeEvent:
    """One change in a certificate's life. `time` is never before that of the change before it, whatever the clock said (`noted_at`)."""

    time: datetime
    noted_at: datetime
    act: str
    reason: str | None = None
    suspect_since: datetime | None = None


@dataclass(frozen=True)
class CrlEvidence:
    """A list that was the newest of its scope at that time; `is_in_force` is false when it had ended by then."""

    crl: StoredCrl
    is_in_force: bool
    listing: Listing | None


@dataclass(frozen=True)
class AnswerEvidence:
    """The stored OCSP answer that was the newest good one. `was_given_out`: what it says is what was true then; otherwise the state
    had just changed, and answers were signed when asked until the next one was stored.
    """

    octets: bytes
    sha256: str
    status: str
    reason: str | None
    responder: str
    this_update: datetime
    next_update: datetime
    was_given_out: bool


@dataclass(frozen=True)
class IssuerPast:
    """An authority on the way to the root, its own certificate at that time: as it was known then, and as it is known today.

    `crls` are the lists of then that speak of that certificate; of a root's own there is none.
    """

    authority: str
    record: CertificateRecord
    then: Standing
    today: Standing
    crls: tuple[CrlEvidence, ...] = ()


@dataclass(frozen=True)
class Gap:
    """Days of which the home has no lists and answers: after the backup from which it was restored, until then.

    In whole seconds that hold all of it, because it is shown in whole seconds: what is asked about its end sees what was lost.
    """

    begun: datetime
    ended: datetime

    @classmethod
    def around(cls, begun: datetime, ended: datetime) -> Gap:
        """The whole seconds from `begun` to `ended`."""
        until = ended if ended.microsecond == 0 else ended.replace(microsecond=0) + timedelta(seconds=1)
        return cls(begun.replace(microsecond=0), until)


@dataclass(frozen=True)
class History:
    """Everything about one certificate at one time. `later` is what happened since; `issuers` lead from its issuer to the root.

    `lost`: the days with which the certificate's own record was lost; `gap`: those that `at` lies in.
    """

    record: CertificateRecord
    at: datetime
    asked_at: datetime
    then: Standing
    today: Standing
    later: tuple[LifeEvent, ...]
    crls: tuple[CrlEvidence, ...]
    answer: AnswerEvidence | None
    issuers: tuple[IssuerPast, ...]
    gap: Gap | None = None
    lost: Gap | None = None

    @property
    def lists(self) -> tuple[CrlEvidence, ...]:
        """Every list of then that a path to the root is judged by."""
        return self.crls + tuple(crl for issuer in self.issuers for crl in issuer.crls)

    @property
    def fallen_issuer(self) -> IssuerPast | None:
        """The nearest authority whose certificate was not in force then, by today's knowledge: a path is as good as each part of it."""
        return next((issuer for issuer in self.issuers if issuer.today.state is not Past.ACTIVE), None)


def history_of(session: Session, serial: str, at: datetime, now: datetime) -> History:
    """What was true of a certificate at `at`; CertificateNotFound, HistoryTimeRefused for a time to come."""
    if at > now:
        raise HistoryTimeRefused(f"{at} is not over", at=rfc3339(at))
    record = get_certificate(session, serial)
    events = life_of(session, record)
    then = standing_at(record, events, at)
    return History(
        record=record,
        at=at,
        asked_at=now,
        then=then,
        today=_by_today(record, events, then, at),
        later=tuple(event for event in events if event.time > at),
        crls=tuple(_crls(session, record, at)),
        answer=_answer(session, record, at, then),
        issuers=tuple(_issuers(session, record, at)),
        gap=_gap(session, at),
        lost=find_loss(session, record),
    )


def find_loss(session: Session, record: CertificateRecord) -> Gap | None:
    """The days between backup and restore with which a certificate's record was lost; None for one that is whole."""
    if not is_lost(record):
        return None
    # Only a trail that was damaged since does not tell of the restore; that the record is lost remains true.
    return _gap(session, record.created_at) or Gap.around(record.created_at, record.created_at)


def _gap(session: Session, at: datetime) -> Gap | None:
    """The lost days that a time lies in: what was the newest list then, may have been lost."""
    query = select(AuditRow).where(AuditRow.action == _RESTORED, AuditRow.time > at).order_by(AuditRow.seq)
    for row in session.scalars(query):
        begun = datetime.fromisoformat(row.details["backup_time"]).astimezone(UTC)
        if begun < at:
            return Gap.around(begun, row.time)
    return None


def _issuers(session: Session, record: CertificateRecord, at: datetime) -> Iterator[IssuerPast]:
    """The authorities above a certificate. A root's own certificate has none."""
    authority = find_authority(session, record.issuer)
    while authority is not None and authority.serial is not None and authority.serial != record.serial:
        own = get_certificate(session, authority.serial)
        events = life_of(session, own)
        then = standing_at(own, events, at)
        crls = tuple(_crls(session, own, at)) if own.issuer != authority.name else ()
        yield IssuerPast(authority.name, own, then, _by_today(own, events, then, at), crls)
        authority = find_authority(session, authority.parent) if authority.parent is not None else None


def life_of(session: Session, record: CertificateRecord) -> tuple[LifeEvent, ...]:
    """Every change in a certificate's life, in the order in which they happened."""
    query = select(AuditRow).where(AuditRow.subject_id == record.serial, AuditRow.subject_kind == _KIND)
    events: list[LifeEvent] = []
    # Who changes a certificate holds its lock while its row gets a number, so the numbers tell the order on both databases.
    for row in session.scalars(query.order_by(AuditRow.seq)):
        act = row.action.removeprefix("certificate.")
        if act in _ACTS:
            since = row.details.get("since")
            suspect_since = datetime.fromisoformat(since).astimezone(UTC) if since else None
            events.append(LifeEvent(row.time, row.time, act, row.details.get("reason"), suspect_since))
    return tuple(_in_order([*_unwritten(record, events), *events]))


# Actions of the audit trail, without what they have in common.
_ACTS = frozenset({"intend", "issue", "suspend", "revoke", "reinstate"})


def _unwritten(record: CertificateRecord, events: Sequence[LifeEvent]) -> list[LifeEvent]:
    """The beginning of a certificate that came from elsewhere: the trail does not tell of its making, the inventory does."""
    written = {event.act for event in events}
    missing = [act for act in ("intend", "issue") if act not in written]
    if record.der is None or "issue" not in missing:
        return []
    return [LifeEvent(record.created_at, record.created_at, act) for act in missing]


def _in_order(events: Sequence[LifeEvent]) -> list[LifeEvent]:
    """A change cannot come before the one it followed: when the clock was set back meanwhile, it counts from that one's time on."""
    ordered: list[LifeEvent] = []
    for event in events:
        time = max(event.time, ordered[-1].time) if ordered else event.time
        ordered.append(replace(event, time=time))
    return ordered


def standing_at(record: CertificateRecord, events: Sequence[LifeEvent], at: datetime) -> Standing:
    """What was true at a time, by what had happened until then."""
    happened = [event for event in events if event.time <= at]
    standing, is_issued = Standing(Past.NOT_ISSUED), False
    for event in happened:
        is_issued = is_issued or event.act == "issue"
        standing = _after(standing, event, is_issued=is_issued)
    later = events[len(happened) :]
    if (
        standing.state in (Past.REVOKED, Past.SUSPENDED)
        and record.revoked_at is not None
        and all(event.act == "revoke" for event in later)
    ):
        # The inventory has its times to the microsecond, and what follows a hold or raises a reason keeps the date.
        suspect_since = standing.suspect_since if later else record.suspect_since
        standing = replace(standing, revoked_at=record.revoked_at, suspect_since=suspect_since)
    if standing.state in (Past.ACTIVE, Past.SUSPENDED) and at > record.not_after:
        return Standing(Past.EXPIRED)
    return standing


def _after(before: Standing, event: LifeEvent, *, is_issued: bool) -> Standing:
    if event.act == "intend":
        return Standing(Past.INTENT)
    if event.act == "issue":
        # One that was revoked or suspended as an intent stays so when it is finished.
        return Standing(Past.ACTIVE) if before.state in (Past.INTENT, Past.NOT_ISSUED) else before
    if event.act == "reinstate":
        return Standing(Past.ACTIVE if is_issued else Past.INTENT)
    # A hold that becomes final keeps its date (revocation.py).
    return Standing(
        Past.SUSPENDED if event.act == "suspend" else Past.REVOKED,
        before.revoked_at or event.noted_at,
        event.reason,
        event.suspect_since or before.suspect_since,
    )


def _by_today(record: CertificateRecord, events: Sequence[LifeEvent], then: Standing, at: datetime) -> Standing:
    """The same time, judged by what became known since. That a hold was lifted later does not undo it: then, it was suspended."""
    later = [event for event in events if event.time > at]
    final = standing_at(record, events, max([at, *(event.time for event in later)]))
    known, is_open = then, then.state is Past.ACTIVE
    raised = [event for event in later if event.act == "revoke"]
    if then.state is Past.REVOKED and raised:
        known = replace(then, reason=raised[-1].reason, suspect_since=final.suspect_since)
    if then.state is Past.SUSPENDED:
        decided = next((event for event in later if event.act in ("reinstate", "revoke")), None)
        if decided is not None and decided.act == "revoke":
            suspect_since = decided.suspect_since or then.suspect_since
            known = Standing(Past.REVOKED, then.revoked_at, decided.reason, suspect_since)
        is_open = decided is not None and decided.act == "reinstate"
    # RFC 5280 5.3.2: the date from which on a signature is doubtful may lie long before the revocation.
    if is_open and final.suspect_since is not None and final.suspect_since <= at:
        return replace(final, state=Past.SUSPECT)
    return known


def _crls(session: Session, record: CertificateRecord, at: datetime) -> list[CrlEvidence]:
    """The full list and the partition that covered it, each with its delta where that was newer."""
    found = []
    for shard in dict.fromkeys((FULL, record.crl_shard or FULL)):
        complete = find_at(session, record.issuer, at, shard)
        delta = find_at(session, record.issuer, at, shard, is_delta=True)
        if complete is not None and delta is not None and delta.number < complete.number:
            delta = None
        found += [crl for crl in (complete, delta) if crl is not None]
    return [
        CrlEvidence(crl, crl.this_update <= at < crl.next_update, find_listing(crl_octets(session, crl), record.serial))
        for crl in found
    ]


def _answer(session: Session, record: CertificateRecord, at: datetime, then: Standing) -> AnswerEvidence | None:
    found = find_answer_at(session, record.serial, at)
    if found is None or found.this_update is None or found.next_update is None:
        return None
    answer = ocsp.load_der_ocsp_response(found.der)
    is_revoked = answer.certificate_status is ocsp.OCSPCertStatus.REVOKED
    reason = answer.revocation_reason.value if is_revoked and answer.revocation_reason else None
    said = Past.ACTIVE
    if is_revoked:
        said = Past.SUSPENDED if reason == HOLD.value else Past.REVOKED
    # What has ended is answered for as it was (RFC 6960 4.4.4).
    is_true = said is then.state or then.state is Past.EXPIRED
    if then.state is Past.REVOKED and (reason or "unspecified") != then.reason:
        is_true = False  # the reason was raised meanwhile
    return AnswerEvidence(
        octets=found.der,
        sha256=hashlib.sha256(found.der).hexdigest(),
        status="revoked" if is_revoked else "good",
        reason=reason,
        responder=serial_hex(answer.certificates[0].serial_number) if answer.certificates else "",
        this_update=found.this_update,
        next_update=found.next_update,
        was_given_out=is_true,
    )
