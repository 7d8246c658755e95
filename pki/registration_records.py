"""Registrations as they are stored: records, what a confirmation covers, and their use by an issuance. Deciding is registration.py's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from certs.errors import CertificateNotFound
from certs.inventory import State, get_certificate
from pki.errors import (
    RegistrationMismatch,
    RegistrationNotOpen,
    RegistrationStale,
    RegistrationUnfinished,
    RegistrationUnknown,
    RegistrationUsed,
)
from pki.registration_tables import RegistrationRow

# SQLite's and PostgreSQL's largest number; a longer one is nobody's.
_LARGEST_ID = 2**63 - 1


class RegistrationState(StrEnum):
    """ISSUING: the intent of its certificate is stored, and nothing has said yet that it was signed."""

    OPEN = "open"
    CONFIRMED = "confirmed"
    ISSUING = "issuing"
    ISSUED = "issued"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True)
class Wanted:
    """What is asked: everything of a certificate that people decide. `public_key_der` None: the key is to be made in the token."""

    profile: str
    subject: str
    san: tuple[str, ...]
    days: int | None
    public_key_der: bytes | None


@dataclass(frozen=True)
class RegistrationRecord:
    """One registration. `sha256` covers all that was confirmed; None before."""

    id: int
    wanted: Wanted
    evidence: str | None
    state: RegistrationState
    asked_by: str
    asked_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None
    sha256: str | None
    certificate_serial: str | None


@dataclass(frozen=True)
class Confirmed:
    """The leave to issue one certificate by a registration, and what was confirmed of it."""

    id: int
    sha256: str


def get_registration(session: Session, number: int) -> RegistrationRecord:
    """One registration, or RegistrationUnknown."""
    return read_registration(lock_registration(session, number, lock=False))


def list_registrations(
    session: Session, states: Sequence[RegistrationState] = (), limit: int = 1000
) -> list[RegistrationRecord]:
    """The newest ones, newest first; of these states, or of all."""
    query = select(RegistrationRow).order_by(RegistrationRow.id.desc()).limit(limit)
    if states:
        query = query.where(RegistrationRow.state.in_([each.value for each in states]))
    return [read_registration(row) for row in session.scalars(query)]


def registration_of_certificate(session: Session, serial: str) -> RegistrationRecord | None:
    """The registration that a certificate was issued by, if there is one."""
    row = session.scalars(select(RegistrationRow).where(RegistrationRow.certificate_serial == serial)).one_or_none()
    return None if row is None else read_registration(row)


def rests_on_registration(session: Session, serial: str) -> bool:
    """Whether a certificate, or one that it follows, was issued by a registration."""
    following: str | None = serial
    while following is not None:
        if registration_of_certificate(session, following) is not None:
            return True
        following = get_certificate(session, following).replaces
    return False


def check_confirmed(session: Session, number: int, wanted: Wanted) -> Confirmed:
    """That this registration is confirmed, unused, and says what is wanted; a RegistrationError otherwise."""
    return _confirmed(session, lock_registration(session, number, lock=False), wanted)


def claim(session: Session, confirmed: Confirmed, used: Collection[int] = ()) -> None:
    """Look again, and keep the registration to this transaction. RegistrationStale when it is no more what was confirmed.

    `used`: those that the same transaction makes other certificates of.
    """
    row = lock_registration(session, confirmed.id)
    if row.id in used:
        raise not_open(row, RegistrationState.ISSUING, RegistrationState.CONFIRMED)
    if _confirmed(session, row, read_registration(row).wanted) != confirmed:
        raise _stale(row)


def bind(session: Session, confirmed: Confirmed, serial: str) -> None:
    """Write down which certificate is being made of a claimed registration: it makes no second one."""
    _set(session, confirmed, RegistrationState.ISSUING, certificate_serial=serial)


def note_issued(session: Session, confirmed: Iterable[Confirmed]) -> None:
    """The certificates of these registrations exist."""
    for each in confirmed:
        _set(session, each, RegistrationState.ISSUED)


def _set(session: Session, confirmed: Confirmed, state: RegistrationState, **more: str) -> None:
    row = RegistrationRow
    session.execute(update(row).where(row.id == confirmed.id).values(state=state.value, **more))


def _confirmed(session: Session, row: RegistrationRow, wanted: Wanted) -> Confirmed:
    state = _usable_state(session, row)
    if state is not RegistrationState.CONFIRMED:
        raise not_open(row, state, RegistrationState.CONFIRMED)
    if row.sha256 is None or row.sha256 != digest_of(row):
        raise _stale(row)
    present = read_registration(row).wanted
    for field in ("profile", "subject", "san", "days", "public_key_der"):
        if getattr(present, field) != getattr(wanted, field):
            raise RegistrationMismatch(f"{row.id} says another {field}", id=str(row.id), field=_FIELDS[field])
    return Confirmed(row.id, row.sha256)


_FIELDS = {"profile": "profile", "subject": "subject", "san": "san", "days": "days", "public_key_der": "key"}


def _usable_state(session: Session, row: RegistrationRow) -> RegistrationState:
    """CONFIRMED also after a death: the certificate that was begun has been revoked, and never came to anybody."""
    state = RegistrationState(row.state)
    if state is not RegistrationState.ISSUING or row.certificate_serial is None:
        return state
    try:
        begun = get_certificate(session, row.certificate_serial)
    except CertificateNotFound:
        return state
    if begun.state is State.REVOKED and begun.der is None:
        return RegistrationState.CONFIRMED
    raise RegistrationUnfinished(
        f"{row.id} has begun {begun.serial}",
        id=str(row.id), state=state.value, wanted=RegistrationState.CONFIRMED.value, serial=begun.serial,
    )  # fmt: skip


def lock_registration(session: Session, number: int, *, lock: bool = True) -> RegistrationRow:
    """The row, kept to this transaction; RegistrationUnknown. For this package only (law 8)."""
    row = session.get(RegistrationRow, number, with_for_update=lock) if 0 < number <= _LARGEST_ID else None
    if row is None:
        raise RegistrationUnknown(f"no registration {number}", id=str(number)[:32])
    return row


def read_registration(row: RegistrationRow) -> RegistrationRecord:
    """The record of a row."""
    return RegistrationRecord(
        id=row.id,
        wanted=Wanted(row.profile, row.subject, tuple(row.san), row.days, row.public_key_der),
        evidence=row.evidence,
        state=RegistrationState(row.state),
        asked_by=row.asked_by,
        asked_at=row.asked_at,
        decided_by=row.decided_by,
        decided_at=row.decided_at,
        reason=row.reason,
        sha256=row.sha256,
        certificate_serial=row.certificate_serial,
    )


def digest_of(row: RegistrationRow) -> str:
    """The SHA-256 of all that is confirmed, by whom and on which evidence, in canonical JSON."""
    key = row.public_key_der
    content = {
        "id": row.id,
        "profile": row.profile,
        "subject": row.subject,
        "san": list(row.san),
        "days": row.days,
        "key": None if key is None else hashlib.sha256(key).hexdigest(),
        "evidence": row.evidence,
        "confirmed_by": row.decided_by,
    }
    written = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(written.encode()).hexdigest()


def not_open(row: RegistrationRow, state: RegistrationState, wanted: RegistrationState) -> RegistrationNotOpen:
    """The error for a registration that is in another state than it should be. One that is used is nobody's to confirm."""
    if state is RegistrationState.ISSUED and row.certificate_serial is not None:
        return RegistrationUsed(
            f"{row.id} is used", id=str(row.id), state=state.value, wanted=wanted.value, serial=row.certificate_serial
        )
    return RegistrationNotOpen(f"{row.id} is {state}", id=str(row.id), state=state.value, wanted=wanted.value)


def _stale(row: RegistrationRow) -> RegistrationStale:
    return RegistrationStale(f"{row.id} is not what was confirmed", id=str(row.id))
