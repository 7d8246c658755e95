"""Search: documents of the register by what people know of them. All calls run in the caller's session."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, select, tuple_
from sqlalchemy.orm import Session

from certs.clock import VIETNAM
from certs.inventory import fold
from signer.documents import ACTS, Document, documents_of, known_form
from signer.errors import UsageWrong
from signer.metadata import parse_day
from signer.tables import DocumentRow

MOST = 1000
STATUSES = ("in-force", "recalled", "replaced", "corrected")
# What may be asked for, as command line and HTTP call it.
NAMES = ("number", "date_from", "date_to", "agency", "code", "hash", "text", "status")
# As a paper bears it: 07, 7/QĐ-UBND. Eleven digits are the longest (ND30 Appendix VI: CodeNumber).
_NUMBER = re.compile(r"(\d{1,11})(?:/(.{1,30}))?", re.ASCII)
# Of fewer digits there are too many.
_HASH = re.compile(r"[0-9a-f]{8,64}", re.ASCII)


@dataclass(frozen=True)
class DocumentQuery:
    """What must all be so; None does not matter.

    `number` with `notation`, which stands among the words; days are bounds of the day of issue, or of registration while there is none,
    in Vietnam and half-open; `agency` is found in the agency or OrganName, `text` in the file's name and all metadata, each word by
    itself, with marks or without; `sha256` is that of a signed revision, and may be its beginning.
    """

    number: int | None = None
    notation: str | None = None
    dated_from: datetime | None = None
    dated_before: datetime | None = None
    agency: str | None = None
    code: str | None = None
    sha256: str | None = None
    text: str | None = None
    status: str | None = None


def parse_query(typed: Mapping[str, str | None]) -> DocumentQuery:
    """What a person or program asked for, by NAMES; UsageWrong that says what is wrong with it."""
    given = {name: value.strip() for name, value in typed.items() if value is not None}
    number, notation = _number(given["number"]) if "number" in given else (None, None)
    last = _day("date_to", given["date_to"]) if "date_to" in given else None
    sha256 = given.get("hash")
    if sha256 is not None and not _HASH.fullmatch(sha256.lower()):
        raise UsageWrong("SEARCH_HASH_WRONG", typed=sha256[:80])
    status = given.get("status")
    if status is not None and status not in STATUSES:
        raise UsageWrong("SEARCH_STATUS_WRONG", typed=status[:40], valid=", ".join(STATUSES))
    return DocumentQuery(
        number=number,
        notation=notation,
        dated_from=_begin_of(_day("date_from", given["date_from"])) if "date_from" in given else None,
        dated_before=_begin_of(last + timedelta(days=1)) if last is not None else None,
        agency=given.get("agency"),
        code=known_form(given["code"]) if "code" in given else None,
        sha256=sha256.lower() if sha256 is not None else None,
        text=given.get("text"),
        status=status,
    )


def search_documents(
    session: Session, wanted: DocumentQuery, limit: int = MOST, after: str | None = None
) -> list[Document]:
    """Documents that fit, newest first, `limit` at the most; those that follow the document of the code `after`.

    Newest by the day that is asked for, else by when they were registered: an index has each order.
    """
    row = DocumentRow
    by_day = wanted.dated_from is not None or wanted.dated_before is not None
    order = (row.dated_at, row.id) if by_day else (row.id,)
    query: Select[Any] = select(row).where(*_conditions(wanted))
    if after is not None:
        last = session.scalar(select(row).where(row.code == known_form(after)))
        if last is None:
            raise UsageWrong("CODE_NOT_FOUND", typed=after[:40])
        query = query.where(tuple_(row.dated_at, row.id) < (last.dated_at, last.id) if by_day else row.id < last.id)
    found = session.scalars(query.order_by(*(each.desc() for each in order)).limit(limit))
    return documents_of(session, found.all())


def _conditions(wanted: DocumentQuery) -> Iterator[ColumnElement[bool]]:
    row = DocumentRow
    for text, column in (
        (wanted.text, row.search_text),
        (wanted.notation, row.search_text),
        (wanted.agency, row.agency_text),
    ):
        for word in fold(text or "").split():
            yield column.contains(word, autoescape=True)
    if wanted.number is not None:
        yield row.number == wanted.number
    if wanted.code is not None:
        yield row.code == wanted.code
    if wanted.status is not None:
        yield row.status == wanted.status
    if wanted.dated_from is not None:
        yield row.dated_at >= wanted.dated_from
    if wanted.dated_before is not None:
        yield row.dated_at < wanted.dated_before
    if wanted.sha256 is not None:
        # A range, which any index answers; `g` follows every hexadecimal digit in every collation.
        begins = and_(ACTS.c.output_sha256 >= wanted.sha256, ACTS.c.output_sha256 < f"{wanted.sha256}g")
        yield row.id.in_(select(ACTS.c.document_id).where(begins, ACTS.c.state == "done"))


def _number(typed: str) -> tuple[int, str | None]:
    found = _NUMBER.fullmatch(typed)
    if found is None:
        raise UsageWrong("SEARCH_NUMBER_WRONG", typed=typed[:40])
    return int(found[1]), found[2]


def _day(name: str, typed: str) -> date:
    day = parse_day(typed)
    # The calendar's first day begins before it in UTC, and after its last there is none.
    if day is None or day in (date.min, date.max):
        raise UsageWrong("SEARCH_DATE_WRONG", name=name, typed=typed[:40])
    return day


def _begin_of(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=VIETNAM)
