"""Numbers of documents: 01…n per calendar year and agency, never twice, every gap with its reason (ND30 Đ.15)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from certs.clock import VIETNAM
from certs.db import hold
from signer.errors import Refused
from signer.tables import NumberRow, PreparedRow


def year_of(moment: datetime) -> int:
    """The calendar year of a series is Vietnam's."""
    return moment.astimezone(VIETNAM).year


@dataclass(frozen=True)
class GivenNumber:
    """The number a document bears and its day of issue. `fresh`: reserved for this signature, else given to it before."""

    number: int
    day: datetime
    fresh: bool

    def __str__(self) -> str:
        return f"{year_of(self.day)}/{written(self.number)}"


def reserve_number(session: Session, agency: str, moment: datetime, wanted: int | None) -> int:
    """Reserve the wanted number, or the next of the series, in the caller's transaction. Refused NUMBER_TAKEN if given away.

    A wanted number ahead of the series leaves a gap that has no row; the next one counts on from the highest.
    """
    year = year_of(moment)
    # The next number can only be read from rows that are there, so nobody else may be adding one.
    hold(session, f"numbers {year} {agency}")
    if wanted is None:
        highest = select(func.max(NumberRow.number)).where(NumberRow.agency == agency, NumberRow.year == year)
        wanted = (session.scalar(highest) or 0) + 1
    elif session.scalar(
        select(NumberRow.id).where(NumberRow.agency == agency, NumberRow.year == year, NumberRow.number == wanted)
    ):
        # Asked, not tried: a row that is refused ends a transaction in which others get their numbers too.
        raise Refused("NUMBER_TAKEN", number=written(wanted), year=str(year), agency=agency)
    session.add(NumberRow(agency=agency, year=year, number=wanted, state="reserved", reserved_at=moment))
    session.flush()
    return wanted


def use_number(session: Session, agency: str, year: int, number: int, document_id: int) -> None:
    """The document that bears the number exists now."""
    row = _row(session, agency, year, number)
    row.state, row.document_id = "used", document_id


def void_number(session: Session, agency: str, year: int, number: int, reason: str) -> bool:
    """The number will not be used: a gap, with its reason. One that is used already stays used; False then."""
    row = _row(session, agency, year, number)
    if row.state != "reserved":
        return False
    row.state, row.reason = "void", reason
    return True


@dataclass(frozen=True)
class Reservation:
    """A number that was reserved and has neither document nor reason."""

    agency: str
    year: int
    number: int

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
    rows = session.scalars(
        select(NumberRow).where(NumberRow.state == "reserved", NumberRow.reserved_at < before, ~held)
    )
    return [Reservation(row.agency, row.year, row.number) for row in rows]


def _row(session: Session, agency: str, year: int, number: int) -> NumberRow:
    return session.scalars(
        select(NumberRow)
        .where(NumberRow.agency == agency, NumberRow.year == year, NumberRow.number == number)
        .with_for_update()
    ).one()


def written(number: int) -> str:
    """As it stands in the document: below ten with a leading zero (ND30 PL1, II.3)."""
    return f"{number:02d}"


def written_date(moment: datetime) -> str:
    """The date of issue: ngày 05 tháng 02 năm 2026, days below 10 and months 1 and 2 with a zero (ND30 PL1, II.4)."""
    local = moment.astimezone(VIETNAM)
    month = f"{local.month:02d}" if local.month < 3 else str(local.month)
    return f"ngày {local.day:02d} tháng {month} năm {local.year}"
