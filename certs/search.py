"""Search: certificates of the inventory by anything that people know about them. All calls run in the caller's session."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from certs.inventory import CertificateRecord, State, fold, record_of
from certs.tables import NOT_ACTIVE, CertificateRow, IdentifierRow

MOST = 1000
_LIVING = (State.ACTIVE.value, State.SUSPENDED.value)


@dataclass(frozen=True)
class CertificateQuery:
    """What must all be so; None does not matter.

    `text` and `organization` are found anywhere in the subject (the serial too) or its organization, with Vietnamese marks or without, each
    word by itself. `serial`, `sha256` and `key_id` are hexadecimal and may be beginnings. `identifier` is whole, with or without what
    stands before its colon. Times are bounds: `valid_at` lies within the term, the others are half-open.
    """

    text: str | None = None
    organization: str | None = None
    identifier: str | None = None
    serial: str | None = None
    sha256: str | None = None
    key_id: str | None = None
    profile: str | None = None
    issuer: str | None = None
    state: State | None = None
    valid_at: datetime | None = None
    issued_from: datetime | None = None
    issued_before: datetime | None = None
    ends_from: datetime | None = None
    ends_before: datetime | None = None


def search(
    session: Session, now: datetime, wanted: CertificateQuery | None = None, limit: int = MOST
) -> list[CertificateRecord]:
    """Certificates that fit, newest first, `limit` at the most. `now` decides what has expired."""
    query = select(CertificateRow)
    for condition in _conditions(wanted or CertificateQuery(), now):
        query = query.where(condition)
    newest_first: Select[Any] = query.order_by(CertificateRow.created_at.desc(), CertificateRow.serial.desc())
    return [record_of(row) for row in session.scalars(newest_first.limit(limit))]


def _conditions(wanted: CertificateQuery, now: datetime) -> list[ColumnElement[bool]]:
    row = CertificateRow
    found: list[ColumnElement[bool]] = []
    for text, column in ((wanted.text, row.search_text), (wanted.organization, row.organization_text)):
        found += [column.contains(word, autoescape=True) for word in fold(text or "").split()]
    found += [_begins(row.serial, wanted.serial)] if wanted.serial is not None else []
    found += [_begins(row.sha256, wanted.sha256)] if wanted.sha256 is not None else []
    found += [_begins(row.key_id, wanted.key_id)] if wanted.key_id is not None else []
    found += [row.profile == wanted.profile] if wanted.profile is not None else []
    found += [row.issuer == wanted.issuer] if wanted.issuer is not None else []
    if wanted.identifier is not None:
        found.append(
            row.serial.in_(select(IdentifierRow.serial).where(IdentifierRow.value.in_(_spellings(wanted.identifier))))
        )
    if wanted.state is not None:
        found.append(_is_in(wanted.state, now))
    if wanted.valid_at is not None:
        found += [row.not_before <= wanted.valid_at, row.not_after >= wanted.valid_at]
    for start, end, moment in (
        (wanted.issued_from, wanted.issued_before, row.created_at),
        (wanted.ends_from, wanted.ends_before, row.not_after),
    ):
        if start is not None:
            found.append(moment >= start)
        if end is not None:
            found.append(moment < end)
    return found


def _is_in(state: State, now: datetime) -> ColumnElement[bool]:
    row = CertificateRow
    if state is State.EXPIRED:
        return and_(row.state.in_(_LIVING), row.not_after < now)
    if state.value in _LIVING:
        return and_(row.state == state.value, row.not_after >= now)
    return and_(row.state == state.value, NOT_ACTIVE)


def _begins(
    column: InstrumentedAttribute[str] | InstrumentedAttribute[str | None], beginning: str
) -> ColumnElement[bool]:
    """A range, which any index answers; `g` follows every hexadecimal digit in every collation."""
    beginning = beginning.lower()
    return and_(column >= beginning, column < f"{beginning}g")


def _spellings(identifier: str) -> list[str]:
    """A number alone may be any of those that people know by it."""
    number = identifier.strip()
    if ":" in number:
        kind, _, rest = number.partition(":")
        return [f"{kind.strip().upper()}:{rest.strip()}"]
    return [
        number,
        *(f"{kind}:{number}" for kind in ("MST", "MNS", "CCCD", "CMND", "HC")),
        f"VATVN-{number}",
        f"IDCVN-{number}",
    ]
