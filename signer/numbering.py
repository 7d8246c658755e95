"""Numbers of documents: 01…n per calendar year, agency and series, never twice, every gap with its reason (ND30 Đ.15).

What a clerk does with them by hand is number_book.py's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from certs.clock import VIETNAM
from certs.db import hold
from signer.errors import Refused
from signer.tables import NumberRow, PreparedRow

# What the agency issues, and what arrives (Đ.22).
OUT, IN = "out", "in"
SERIES = (OUT, IN)
HELD, RESERVED, USED, VOID = "held", "reserved", "used", "void"


def year_of(moment: datetime) -> int:
    """The calendar year of a series is Vietnam's."""
    return moment.astimezone(VIETNAM).year


@dataclass(frozen=True)
class GivenNumber:
    """The number a document bears and its day of issue. `fresh`: reserved for this signature, else given to it before."""

    number: int
    day: datetime
    fresh: bool
    series: str = OUT

    def __str__(self) -> str:
        return f"{year_of(self.day)}/{written(self.number)}"


def number_facts(agency: str, series: str) -> dict[str, str]:
    """Of which row of numbers one is, as audit rows say it."""
    return {"agency": agency} if series == OUT else {"agency": agency, "series": series}


def reserve_number(session: Session, agency: str, moment: datetime, wanted: int | None, series: str = OUT) -> int:
    """Reserve the wanted number, or the next of the series, in the caller's transaction. Refused NUMBER_TAKEN if given away.

    One that is held by hand is taken by whoever names it. A wanted number ahead of the series leaves a gap that has no row; the
    next one counts on from the highest.
    """
    year = year_of(moment)
    # The next number can only be read from rows that are there, so nobody else may be adding one.
    lock_series(session, agency, year, series)
    if wanted is None:
        wanted = highest_number(session, agency, year, series) + 1
    else:
        # Asked, not tried: a row that is refused ends a transaction in which others get their numbers too.
        row = find_number(session, agency, year, series, wanted)
        if row is not None and row.state == HELD:
            row.state, row.reserved_at = RESERVED, moment
            return wanted
        if row is not None:
            raise Refused("NUMBER_TAKEN", number=written(wanted), year=str(year), agency=agency)
        last = find_number(session, agency, year - 1, series, wanted)
        if last is not None and last.state == HELD:
            # Held before midnight of the last day: it is that year's, and what stands on the document would be this year's.
            raise Refused("NUMBER_OF_LAST_YEAR", number=written(wanted), year=str(year - 1), agency=agency)
    session.add(NumberRow(agency=agency, year=year, series=series, number=wanted, state=RESERVED, reserved_at=moment))
    session.flush()
    return wanted


def lock_series(session: Session, agency: str, year: int, series: str) -> None:
    """Until the transaction ends nobody else adds to these numbers."""
    hold(session, f"numbers {year} {agency}" if series == OUT else f"numbers {series} {year} {agency}")


def highest_number(session: Session, agency: str, year: int, series: str) -> int:
    """The highest that was given or held; 0 before the first."""
    mine = (NumberRow.agency == agency, NumberRow.year == year, NumberRow.series == series)
    return session.scalar(select(func.max(NumberRow.number)).where(*mine)) or 0


def find_number(session: Session, agency: str, year: int, series: str, number: int) -> NumberRow | None:
    """The row of one number, locked."""
    mine = (NumberRow.agency == agency, NumberRow.year == year, NumberRow.series == series, NumberRow.number == number)
    return session.scalars(select(NumberRow).where(*mine).with_for_update()).one_or_none()


def use_number(session: Session, agency: str, year: int, number: int, document_id: int, series: str = OUT) -> None:
    """The document that bears the number exists now."""
    row = _row(session, agency, year, series, number)
    row.state, row.document_id = USED, document_id


def void_number(session: Session, agency: str, year: int, number: int, reason: str, series: str = OUT) -> bool:
    """Nothing came of what it was reserved for: a gap, with its reason. One that is used already stays used; False then.

    One that a clerk holds goes back to him: it may stand on the paper already.
    """
    row = _row(session, agency, year, series, number)
    if row.state != RESERVED:
        return False
    if row.purpose is not None:
        row.state = HELD
        return False
    row.state, row.reason = VOID, reason
    return True


@dataclass(frozen=True)
class Reservation:
    """A number that was reserved and has neither document nor reason."""

    agency: str
    year: int
    number: int
    series: str = OUT

    def __str__(self) -> str:
        return f"{self.year}/{written(self.number)}"


def open_reservations(session: Session, before: datetime) -> list[Reservation]:
    """Numbers reserved before a moment that no document bears and nobody has voided."""
    # That of a prepared document waits with it.
    held = exists().where(
        PreparedRow.state.in_(("waiting", "taken")),
        PreparedRow.agency == NumberRow.agency,
        PreparedRow.number == NumberRow.number,
        PreparedRow.number_day == NumberRow.reserved_at,
    )
    rows = session.scalars(select(NumberRow).where(NumberRow.state == RESERVED, NumberRow.reserved_at < before, ~held))
    return [Reservation(row.agency, row.year, row.number, row.series) for row in rows]


def _row(session: Session, agency: str, year: int, series: str, number: int) -> NumberRow:
    row = find_number(session, agency, year, series, number)
    assert row is not None, "a number that was reserved has a row"
    return row


def written(number: int) -> str:
    """As it stands in the document: below ten with a leading zero (ND30 PL1, II.3)."""
    return f"{number:02d}"


def written_date(moment: datetime) -> str:
    """The date of issue: ngày 05 tháng 02 năm 2026, days below 10 and months 1 and 2 with a zero (ND30 PL1, II.4)."""
    local = moment.astimezone(VIETNAM)
    month = f"{local.month:02d}" if local.month < 3 else str(local.month)
    return f"ngày {local.day:02d} tháng {month} năm {local.year}"
