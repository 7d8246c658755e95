"""Revocation: takes a certificate out of force for good or for a while. Publishing that is for crl.py."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from sqlalchemy.orm import Session

from certs.clock import Clock, rfc3339
from certs.db import Database
from certs.inventory import CertificateRecord, State, find_by_key, get_certificate, set_state
from certs.search import CertificateQuery, search
from certs.strict import nearest
from pki import audit
from pki.approval import Deed, demand, use
from pki.approval_rules import Act, ApprovalRules
from pki.audit import Actor
from pki.authorities import find_authority, note_revocation_change
from pki.crl_entries import note_listed, note_reinstated
from pki.errors import (
    AlreadyRevoked,
    AlreadySuspended,
    CertificateEnded,
    NotSuspended,
    ReasonUnknown,
    RootNotRevocable,
    SinceBeforeKey,
    SinceRefused,
)
from pki.roles import Permission, require

HOLD = x509.ReasonFlags.certificate_hold
# More than any batch begins; what is beyond it is mended the next time.
_MOST_AT_ONCE = 100_000
# The key, or that of who vouched for it, is in other hands.
_COMPROMISE = frozenset(
    {x509.ReasonFlags.key_compromise, x509.ReasonFlags.ca_compromise, x509.ReasonFlags.aa_compromise}
)
# RFC 5280 5.3.1. removeFromCRL is a word of delta CRLs and not a reason to give.
REASONS: dict[str, x509.ReasonFlags] = {
    flag.value: flag for flag in x509.ReasonFlags if flag is not x509.ReasonFlags.remove_from_crl
}


@dataclass(frozen=True)
class RevocationDeps:
    """What revoking needs: no key."""

    database: Database
    clock: Clock
    approvals: ApprovalRules


def revoke(
    serial: str, reason: str, actor: Actor, deps: RevocationDeps, since: datetime | None = None
) -> CertificateRecord:
    """Revoke, or suspend when the reason is certificateHold. An intent can be revoked too: nobody knows whether it was signed.

    `since` is when the key became suspect (RFC 5280 5.3.2), which may lie long before the revocation. What is revoked already can be
    revoked again for a compromise that became known later; its date stays.
    """
    # A reason that is none is refused with the stricter permission.
    holds = reason.lower() == HOLD.value.lower()
    require(actor, Permission.SUSPEND if holds else Permission.REVOKE)
    flag = parse_reason(reason)
    now = deps.clock.now()
    if since is not None and since > now:
        raise SinceRefused("suspect since a time to come", since=rfc3339(since))
    with deps.database.read() as session:
        record = get_certificate(session, serial)
        _check_revocable(session, record, flag, since)
        if flag is HOLD and record.state_at(now) is State.EXPIRED:
            raise CertificateEnded(f"{serial} has ended", serial=serial, not_after=rfc3339(record.not_after))
        if since is not None:
            _check_since(session, record, since)
    # Suspending waits for nobody: it stops the damage, and can be taken back.
    needed = 0 if flag is HOLD else deps.approvals.needed(Act.CERTIFICATE_REVOKE)
    approval = demand(_revocation_deed(record, flag, since), needed, actor, deps)
    with deps.database.write() as session:
        record = get_certificate(session, serial, lock=True)
        _check_revocable(session, record, flag, since)
        use(session, approval, _revocation_deed(record, flag, since), actor, deps.clock)
        return _take_out(session, record, flag, since, now, actor, deps)


def revoke_intents(before: datetime, actor: Actor, deps: RevocationDeps) -> list[str]:
    """Revoke every certificate that was begun before this time and never finished; their serials.

    It waits for nobody's approval: nobody has these certificates, and whether they exist nobody knows.
    """
    require(actor, Permission.MEND)
    with deps.database.read() as session:
        begun = search(session, before, CertificateQuery(state=State.INTENT, issued_before=before), _MOST_AT_ONCE)
    revoked = []
    for each in begun:
        with deps.database.write() as session:
            record = get_certificate(session, each.serial, lock=True)
            # Finished, or revoked by somebody else, while we were looking. One without octets was issued after the backup
            # that was restored here: somebody has it.
            if record.state is State.INTENT and record.tbs and not _is_of_root(session, record):
                _take_out(session, record, x509.ReasonFlags.unspecified, None, deps.clock.now(), actor, deps)
                revoked.append(each.serial)
    return revoked


def reinstate(serial: str, actor: Actor, deps: RevocationDeps) -> CertificateRecord:
    """End a suspension. Only a suspended certificate comes back; a revoked one never does."""
    require(actor, Permission.SUSPEND)
    with deps.database.read() as session:
        record = get_certificate(session, serial)
        _check_suspended(record)
    approval = demand(_reinstating_deed(record), deps.approvals.needed(Act.CERTIFICATE_REINSTATE), actor, deps)
    now = deps.clock.now()
    with deps.database.write() as session:
        record = get_certificate(session, serial, lock=True)
        _check_suspended(record)
        use(session, approval, _reinstating_deed(record), actor, deps.clock)
        changed = write_reinstatement(session, record, now)
        audit.append(session, deps.clock, actor, "certificate.reinstate", "certificate", serial)
    return changed


def _take_out(
    session: Session,
    record: CertificateRecord,
    flag: x509.ReasonFlags,
    since: datetime | None,
    now: datetime,
    actor: Actor,
    deps: RevocationDeps,
) -> CertificateRecord:
    """State, CRL entry and audit row of a revocation or suspension."""
    # A hold that becomes final keeps the date of the hold (X.509 on certificateHold): what was signed in between
    # was signed under a certificate not in force. So does a revocation whose reason is raised.
    revoked_at = record.revoked_at or now
    changed = write_revocation(session, record, flag, revoked_at, since, now)
    action = "certificate.suspend" if flag is HOLD else "certificate.revoke"
    # The row is written a moment later; a restored backup has to say the very second that lists have said.
    details = {"reason": flag.value, "was": record.state.value, "at": rfc3339(revoked_at)}
    if record.state is State.REVOKED:
        details["was_reason"] = record.revocation_reason or ""
    if since is not None:
        details["since"] = rfc3339(since)
    audit.append(session, deps.clock, actor, action, "certificate", record.serial, **details)
    return changed


def write_revocation(
    session: Session,
    record: CertificateRecord,
    flag: x509.ReasonFlags,
    revoked_at: datetime,
    since: datetime | None,
    now: datetime,
) -> CertificateRecord:
    """The state, and what lists say of it from `now` on. For `revoke`, and for what a restored home learns from its trail."""
    epoch = note_revocation_change(session, record.issuer)
    changed = set_state(
        session,
        record.serial,
        State.SUSPENDED if flag is HOLD else State.REVOKED,
        revoked_at=revoked_at,
        reason=flag.value,
        suspect_since=since or record.suspect_since,
        crl_epoch=epoch,
    )
    if find_authority(session, record.issuer) is not None:
        note_listed(session, changed, epoch, now)
    return changed


def write_reinstatement(session: Session, record: CertificateRecord, now: datetime) -> CertificateRecord:
    """The end of a suspension, likewise. A suspended intent has no certificate to come back to."""
    epoch = note_revocation_change(session, record.issuer)
    state = State.ACTIVE if record.der is not None else State.INTENT
    changed = set_state(session, record.serial, state, crl_epoch=epoch)
    if find_authority(session, record.issuer) is not None:
        note_reinstated(session, changed, epoch, now)
    return changed


def parse_reason(name: str) -> x509.ReasonFlags:
    """A reason by its name in RFC 5280, like keyCompromise; ReasonUnknown with the nearest one otherwise."""
    by_spelling = {reason.lower(): flag for reason, flag in REASONS.items()}
    flag = by_spelling.get(name.lower())
    if flag is None:
        raise ReasonUnknown(
            f"no reason {name!r}", reason=name, nearest=nearest(name, REASONS), valid=", ".join(REASONS)
        )
    return flag


def is_worse(record: CertificateRecord, flag: x509.ReasonFlags, since: datetime | None) -> bool:
    """Whether this says more against a revoked certificate than was said: a compromise, or one that began earlier.

    RFC 5280 5.3.1 has relying parties judge by the reason, so what was `superseded` may not hide that the key is in other hands. The
    other way there is none: what was once said against a key stays.
    """
    if record.revocation_reason == flag.value:
        return (
            flag in _COMPROMISE and since is not None and (record.suspect_since is None or since < record.suspect_since)
        )
    return flag in _COMPROMISE and record.revocation_reason not in {each.value for each in _COMPROMISE}


def _check_revocable(
    session: Session, record: CertificateRecord, flag: x509.ReasonFlags, since: datetime | None
) -> None:
    if _is_of_root(session, record):
        raise RootNotRevocable(
            f"{record.serial} is the root {record.issuer}", serial=record.serial, authority=record.issuer
        )
    _check_may_follow(record, flag, since)


def _is_of_root(session: Session, record: CertificateRecord) -> bool:
    issuer = find_authority(session, record.issuer)
    return issuer is not None and issuer.parent is None and record.public_key_der == issuer.public_key_der


def _check_since(session: Session, record: CertificateRecord, since: datetime) -> None:
    """A key may be suspect since before this certificate, if it was certified before; never since before its first one."""
    first = min(each.not_before for each in find_by_key(session, record.public_key_der))
    # Certificates begin at whole seconds.
    if since.replace(microsecond=0) < first:
        raise SinceBeforeKey(f"{record.serial}: {since}", since=rfc3339(since), first=rfc3339(first))


def _check_suspended(record: CertificateRecord) -> None:
    if record.state is not State.SUSPENDED:
        raise NotSuspended(f"{record.serial} is {record.state}", serial=record.serial, state=record.state.value)


def _revocation_deed(record: CertificateRecord, flag: x509.ReasonFlags, since: datetime | None) -> Deed:
    asked = {"serial": record.serial, "reason": flag.value, "since": rfc3339(since) if since is not None else None}
    rests_on = {"subject": record.subject, "state": record.state.value}
    if record.state is State.REVOKED:
        rests_on["reason"] = record.revocation_reason or ""
    return Deed(Act.CERTIFICATE_REVOKE, f"{record.serial} ({record.subject}): {flag.value}", asked, rests_on)


def _reinstating_deed(record: CertificateRecord) -> Deed:
    rests_on = {"subject": record.subject, "state": record.state.value, "reason": record.revocation_reason}
    return Deed(Act.CERTIFICATE_REINSTATE, f"{record.serial} ({record.subject})", {"serial": record.serial}, rests_on)


def _check_may_follow(record: CertificateRecord, flag: x509.ReasonFlags, since: datetime | None) -> None:
    revoked_at = rfc3339(record.revoked_at) if record.revoked_at is not None else ""
    if record.state is State.REVOKED and not is_worse(record, flag, since):
        reason = record.revocation_reason or ""
        raise AlreadyRevoked(f"{record.serial} is revoked", serial=record.serial, revoked_at=revoked_at, reason=reason)
    if record.state is State.SUSPENDED and flag is HOLD:
        raise AlreadySuspended(f"{record.serial} is suspended", serial=record.serial, revoked_at=revoked_at)
