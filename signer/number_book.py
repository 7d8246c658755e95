"""The book of numbers: a clerk holds one for a document to come, gives it up with a reason, and sees every gap with its reason.

How numbers are given to signatures is numbering.py's.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from certs.clock import Clock
from certs.db import Database
from pki.audit import Actor, append
from pki.roles import Permission, require
from signer.credentials import SEAL, unknown_credential
from signer.errors import Refused, UsageWrong
from signer.numbering import (
    HELD,
    OUT,
    SERIES,
    USED,
    VOID,
    find_number,
    highest_number,
    lock_series,
    number_facts,
    written,
    year_of,
)
from signer.tables import CredentialRow, DocumentRow, NumberRow

# No row has it: a number ahead of the series was given, and those before it were never asked for.
SKIPPED = "skipped"
_LONGEST = 200


@dataclass(frozen=True)
class NumberEntry:
    """A number, or a run of numbers that were skipped, as the book shows it. `reason` is a code, or what a clerk wrote."""

    agency: str
    year: int
    series: str
    first: int
    last: int
    state: str
    reason: str | None
    purpose: str | None
    code: str | None
    at: datetime | None

    @property
    def is_gap(self) -> bool:
        """No document bears it, now or for ever."""
        return self.state != USED


@dataclass(frozen=True)
class NumberWish:
    """Which number of whose series. `number` None: the next."""

    agency: str
    series: str = OUT
    number: int | None = None
    year: int | None = None


def hold_number(wish: NumberWish, purpose: str, actor: Actor, database: Database, clock: Clock) -> NumberEntry:
    """Hold a number of this year: nobody else gets it, and the seal takes it when the document's metadata name it."""
    require(actor, Permission.SIGN_DOCUMENTS)
    purpose, now = _text(purpose), clock.now()
    year = year_of(now)
    _refuse_series(wish.series)
    with database.write() as session:
        lock_series(session, wish.agency, year, wish.series)
        number = wish.number or highest_number(session, wish.agency, year, wish.series) + 1
        if find_number(session, wish.agency, year, wish.series, number) is not None:
            raise Refused("NUMBER_TAKEN", number=written(number), year=str(year), agency=wish.agency)
        row = NumberRow(
            agency=wish.agency, year=year, series=wish.series, number=number, state=HELD, reserved_at=now,
            purpose=purpose,
        )  # fmt: skip
        session.add(row)
        facts = number_facts(wish.agency, wish.series) | {"purpose": purpose}
        append(session, clock, actor, "number.hold", "number", f"{year}/{written(number)}", **facts)
        session.flush()
        return _entry(row, None)


def give_up_number(wish: NumberWish, reason: str, actor: Actor, database: Database, clock: Clock) -> NumberEntry:
    """Nobody will use a number that is held, or that was skipped: a gap with the reason that a clerk gives."""
    require(actor, Permission.SIGN_DOCUMENTS)
    reason, now = _text(reason), clock.now()
    year, number = wish.year or year_of(now), wish.number or 0
    _refuse_series(wish.series)
    with database.write() as session:
        lock_series(session, wish.agency, year, wish.series)
        row = find_number(session, wish.agency, year, wish.series, number)
        facts = {"number": written(number), "year": str(year), "agency": wish.agency}
        if row is None:
            if number > highest_number(session, wish.agency, year, wish.series):
                raise Refused("NUMBER_NOT_GIVEN", **facts)
            row = NumberRow(
                agency=wish.agency, year=year, series=wish.series, number=number, state=HELD, reserved_at=now
            )
            session.add(row)
        if row.state != HELD:
            raise Refused("NUMBER_NOT_HELD", **facts)
        row.state, row.reason = VOID, reason
        facts = number_facts(wish.agency, wish.series) | {"reason": reason}
        append(session, clock, actor, "number.void", "number", f"{year}/{written(number)}", **facts)
        session.flush()
        return _entry(row, None)


def list_numbers(session: Session, year: int, series: str = OUT) -> list[NumberEntry]:
    """Every number of a year, by agency in their order, and between them the runs that were skipped."""
    _refuse_series(series)
    query = (
        select(NumberRow, DocumentRow.code)
        .outerjoin(DocumentRow, DocumentRow.id == NumberRow.document_id)
        .where(NumberRow.year == year, NumberRow.series == series)
        .order_by(NumberRow.agency, NumberRow.number)
    )
    return list(_with_skipped([_entry(row, code) for row, code in session.execute(query)]))


def agency_of_seal(session: Session, name: str) -> str:
    """Whose numbers a seal gives; UsageWrong for a name that no seal has."""
    row = session.get(CredentialRow, name) if name.isprintable() else None
    if row is None or row.role != SEAL:
        raise unknown_credential(session, name)
    return row.agency


def _with_skipped(entries: Sequence[NumberEntry]) -> Iterator[NumberEntry]:
    agency, next_one = None, 1
    for entry in entries:
        if entry.agency != agency:
            agency, next_one = entry.agency, 1
        if entry.first > next_one:
            yield NumberEntry(
                entry.agency, entry.year, entry.series, next_one, entry.first - 1, SKIPPED, "NUMBER_AHEAD", None, None,
                entry.at,
            )  # fmt: skip
        yield entry
        next_one = entry.last + 1


def _entry(row: NumberRow, code: str | None) -> NumberEntry:
    return NumberEntry(
        row.agency, row.year, row.series, row.number, row.number, row.state, row.reason, row.purpose, code,
        row.reserved_at,
    )  # fmt: skip


def _refuse_series(series: str) -> None:
    if series not in SERIES:
        raise UsageWrong("SERIES_UNKNOWN", series=series[:20], valid=", ".join(SERIES))


def _text(typed: str) -> str:
    text = " ".join(unicodedata.normalize("NFC", typed).split())
    if not text or len(text) > _LONGEST or not text.isprintable():
        raise UsageWrong("NUMBER_TEXT_WRONG", limit=str(_LONGEST))
    return text
