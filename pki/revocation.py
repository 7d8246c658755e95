"""Revocation: takes a certificate out of force for good or for a while. Publishing that is for crl.py."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509

from certs.clock import Clock, rfc3339
from certs.db import Database
from certs.inventory import CertificateRecord, State, get_certificate, set_state
from certs.strict import nearest
from pki import audit
from pki.audit import Actor
from pki.authorities import find_authority, note_revocation_change
from pki.crl_entries import note_listed, note_reinstated
from pki.errors import (
    AlreadyRevoked,
    AlreadySuspended,
    NotSuspended,
    ReasonUnknown,
    RootNotRevocable,
    SinceRefused,
)

HOLD = x509.ReasonFlags.certificate_hold
# RFC 5280 5.3.1. removeFromCRL is a word of delta CRLs and not a reason to give.
REASONS: dict[str, x509.ReasonFlags] = {
    flag.value: flag for flag in x509.ReasonFlags if flag is not x509.ReasonFlags.remove_from_crl
}


@dataclass(frozen=True)
class RevocationDeps:
    """What revoking needs: no key."""

    database: Database
    clock: Clock


def revoke(
    serial: str, reason: str, actor: Actor, deps: RevocationDeps, since: datetime | None = None
) -> CertificateRecord:
    """Revoke, or suspend when the reason is certificateHold. An intent can be revoked too: nobody knows whether it was signed.

    `since` is when the key became suspect (RFC 5280 5.3.2), which may lie long before the revocation.
    """
    flag = parse_reason(reason)
    now = deps.clock.now()
    if since is not None and since > now:
        raise SinceRefused("suspect since a time to come", since=rfc3339(since))
    with deps.database.write() as session:
        record = get_certificate(session, serial, lock=True)
        issuer = find_authority(session, record.issuer)
        if issuer is not None and issuer.parent is None and record.public_key_der == issuer.public_key_der:
            raise RootNotRevocable(f"{serial} is the root {issuer.name}", serial=serial, authority=issuer.name)
        _check_may_follow(record, flag)
        # A hold that becomes final keeps the date of the hold (X.509 on certificateHold): what was signed in between
        # was signed under a certificate not in force.
        revoked_at = record.revoked_at or now
        epoch = note_revocation_change(session, record.issuer)
        changed = set_state(
            session,
            serial,
            State.SUSPENDED if flag is HOLD else State.REVOKED,
            revoked_at=revoked_at,
            reason=flag.value,
            suspect_since=since or record.suspect_since,
            crl_epoch=epoch,
        )
        if issuer is not None:
            note_listed(session, changed, epoch, now)
        action = "certificate.suspend" if flag is HOLD else "certificate.revoke"
        details = {"reason": flag.value, "was": record.state.value}
        if since is not None:
            details["since"] = rfc3339(since)
        audit.append(session, deps.clock, actor, action, "certificate", serial, **details)
    return changed


def reinstate(serial: str, actor: Actor, deps: RevocationDeps) -> CertificateRecord:
    """End a suspension. Only a suspended certificate comes back; a revoked one never does."""
    now = deps.clock.now()
    with deps.database.write() as session:
        record = get_certificate(session, serial, lock=True)
        if record.state is not State.SUSPENDED:
            raise NotSuspended(f"{serial} is {record.state}", serial=serial, state=record.state.value)
        # A suspended intent has no certificate to come back to.
        epoch = note_revocation_change(session, record.issuer)
        state = State.ACTIVE if record.der is not None else State.INTENT
        changed = set_state(session, serial, state, crl_epoch=epoch)
        if find_authority(session, record.issuer) is not None:
            note_reinstated(session, changed, epoch, now)
        audit.append(session, deps.clock, actor, "certificate.reinstate", "certificate", serial)
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


def _check_may_follow(record: CertificateRecord, flag: x509.ReasonFlags) -> None:
    revoked_at = rfc3339(record.revoked_at) if record.revoked_at is not None else ""
    if record.state is State.REVOKED:
        reason = record.revocation_reason or ""
        raise AlreadyRevoked(f"{record.serial} is revoked", serial=record.serial, revoked_at=revoked_at, reason=reason)
    if record.state is State.SUSPENDED and flag is HOLD:
        raise AlreadySuspended(f"{record.serial} is suspended", serial=record.serial, revoked_at=revoked_at)
