"""Registration: what is asked for a certificate is written down, and an officer confirms it with his evidence or refuses it.

What a confirmation covers and how an issuance uses it stands in registration_records.py. Who asks and who confirms may be one
officer: where a second person has to agree, approvals say so, and they cover the digest of the registration.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from certs.catalogue import Catalogue
from certs.clock import Clock
from certs.csr import parse_public_key
from certs.db import Database, hold
from certs.names import parse_subject
from certs.profile import (
    Profile,
    check_common_name,
    check_days,
    check_registration,
    check_san,
    check_subject,
)
from pki import audit
from pki.audit import Actor
from pki.errors import EvidenceMissing, RegistrationTextRefused
from pki.issuance import check_key, permission_to_issue
from pki.registration_records import (
    RegistrationRecord,
    RegistrationState,
    Wanted,
    digest_of,
    lock_registration,
    not_open,
    read_registration,
)
from pki.registration_tables import RegistrationRow
from pki.roles import Permission, require

LONGEST_EVIDENCE = 200
LONGEST_REASON = 500


@dataclass(frozen=True)
class RegistrationDeps:
    """What registering needs: no key."""

    database: Database
    clock: Clock
    catalogue: Catalogue


def add_registration(wanted: Wanted, evidence: str | None, actor: Actor, deps: RegistrationDeps) -> RegistrationRecord:
    """Write down what is asked. Refused at once where no certificate could come of it; completeness is for the confirmation."""
    require(actor, Permission.REGISTER)
    _check_possible(wanted, actor, deps)
    evidence = None if evidence is None else _clean("evidence", evidence, LONGEST_EVIDENCE)
    with deps.database.write() as session:
        return read_registration(_add(session, wanted, evidence, actor, deps))


def confirm_registration(number: int, evidence: str | None, actor: Actor, deps: RegistrationDeps) -> RegistrationRecord:
    """Say that every field was checked against the evidence. From now on a certificate can be issued by it, once."""
    require(actor, Permission.REGISTER)
    evidence = None if evidence is None else _clean("evidence", evidence, LONGEST_EVIDENCE)
    with deps.database.write() as session:
        row = lock_registration(session, number)
        _check_open(row)
        row.evidence = evidence or row.evidence
        _check_complete(read_registration(row).wanted, row.evidence, actor, deps, str(row.id))
        _confirm(session, row, actor, deps)
        return read_registration(row)


def refuse_registration(number: int, reason: str, actor: Actor, deps: RegistrationDeps) -> RegistrationRecord:
    """Say no, or take back one's own; also what is confirmed, as long as nothing was issued by it."""
    require(actor, Permission.REGISTER)
    reason = _clean("reason", reason, LONGEST_REASON)
    with deps.database.write() as session:
        row = lock_registration(session, number)
        if RegistrationState(row.state) is not RegistrationState.CONFIRMED:
            _check_open(row)
        own = row.asked_by == actor.name
        row.state = (RegistrationState.WITHDRAWN if own else RegistrationState.REFUSED).value
        row.decided_by, row.decided_at, row.reason = actor.name, deps.clock.now(), reason
        _note(session, actor, "withdraw" if own else "refuse", row, deps, reason=reason)
        return read_registration(row)


def register_at_once(wanted: Wanted, evidence: str, actor: Actor, deps: RegistrationDeps) -> RegistrationRecord:
    """Ask and confirm in one act; repeated while nothing was issued by it, it finds the one that is there.

    So a command that waited for an approval goes on with the registration that was approved.
    """
    require(actor, Permission.REGISTER)
    _check_possible(wanted, actor, deps)
    kept = _clean("evidence", evidence, LONGEST_EVIDENCE)
    _check_complete(wanted, kept, actor, deps, "")
    with deps.database.write() as session:
        hold(session, f"registration {actor.name} {wanted.profile} {wanted.subject}")
        for row in session.scalars(_unused(wanted, kept, actor)):
            if row.sha256 == digest_of(row) and read_registration(row).wanted == wanted:
                return read_registration(row)
        row = _add(session, wanted, kept, actor, deps)
        _confirm(session, row, actor, deps)
        return read_registration(row)


def _unused(wanted: Wanted, evidence: str, actor: Actor) -> Select[RegistrationRow]:
    row = RegistrationRow
    return (
        select(row)
        .where(
            row.state == RegistrationState.CONFIRMED.value,
            row.decided_by == actor.name,
            row.profile == wanted.profile,
            row.subject == wanted.subject,
            row.evidence == evidence,
        )
        .order_by(row.id)
    )


def _add(
    session: Session, wanted: Wanted, evidence: str | None, actor: Actor, deps: RegistrationDeps
) -> RegistrationRow:
    row = RegistrationRow(
        profile=wanted.profile,
        subject=wanted.subject,
        san=list(wanted.san),
        days=wanted.days,
        public_key_der=wanted.public_key_der,
        evidence=evidence,
        state=RegistrationState.OPEN.value,
        asked_by=actor.name,
        asked_at=deps.clock.now(),
    )
    session.add(row)
    session.flush()
    _note(session, actor, "add", row, deps, profile=row.profile, subject=row.subject)
    return row


def _confirm(session: Session, row: RegistrationRow, actor: Actor, deps: RegistrationDeps) -> None:
    row.state, row.decided_by, row.decided_at = RegistrationState.CONFIRMED.value, actor.name, deps.clock.now()
    row.sha256 = digest_of(row)
    _note(session, actor, "confirm", row, deps, sha256=row.sha256, evidence=row.evidence or "")


def _check_possible(wanted: Wanted, actor: Actor, deps: RegistrationDeps) -> Profile:
    profile = deps.catalogue.get(wanted.profile)
    # Nobody registers what he could not issue: registering is the first step of it.
    require(actor, permission_to_issue(profile))
    subject = parse_subject(wanted.subject)
    check_subject(profile, subject)
    check_san(profile, wanted.san)
    check_common_name(profile, subject, wanted.san)
    check_days(profile, wanted.days)
    if wanted.public_key_der is not None:
        check_key(profile, parse_public_key(wanted.public_key_der))
    return profile


def _check_complete(wanted: Wanted, evidence: str | None, actor: Actor, deps: RegistrationDeps, number: str) -> None:
    """What a registration for real use needs: the profile's own list, and evidence wherever it has one."""
    profile = _check_possible(wanted, actor, deps)
    check_registration(profile, parse_subject(wanted.subject))
    if profile.registration and not evidence:
        raise EvidenceMissing(f"{profile.name} needs evidence", profile=profile.name, id=number)


def _check_open(row: RegistrationRow) -> None:
    state = RegistrationState(row.state)
    if state is not RegistrationState.OPEN:
        raise not_open(row, state, RegistrationState.OPEN)


def _clean(field: str, text: str, limit: int) -> str:
    """The text as it is kept: one line that nothing hides in."""
    kept = " ".join(unicodedata.normalize("NFC", text).split())
    if not 0 < len(kept) <= limit or any(unicodedata.category(each)[0] == "C" for each in kept):
        raise RegistrationTextRefused(f"{field} cannot be kept", field=field, limit=str(limit))
    return kept


def _note(
    session: Session, actor: Actor, what: str, row: RegistrationRow, deps: RegistrationDeps, **details: str
) -> None:
    audit.append(session, deps.clock, actor, f"registration.{what}", "registration", str(row.id), **details)
