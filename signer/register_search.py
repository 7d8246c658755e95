"""Search: documents of the register by what people know of them. All calls run in the caller's session.

Words are looked for among the newest documents first, and by the index of words only where those do not fill the page: common ones are
found soon, rare ones are few. No planner knows which words go together, and one that guesses wrong reads a million rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnCollection, ColumnElement, Select, and_, select, tuple_
from sqlalchemy.orm import Session

from certs.clock import VIETNAM
from certs.inventory import fold
from signer.documents import ACTS, Document, documents_of, known_form
from signer.errors import UsageWrong
from signer.metadata import parse_day
from signer.tables import DocumentRow
from signer.word_index import Word, divide, has_word_index, rows_with

MOST = 1000
# Looked through in a hundredth of a second. Words that do not fill a page of them are in a hundredth of the register at the most.
NEWEST = 10_000
STATUSES = ("in-force", "recalled", "replaced", "corrected")
Order = tuple[str, ...]
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
    session: Session, wanted: DocumentQuery, limit: int = MOST, after: str | None = None, newest: int = NEWEST
) -> list[Document]:
    """Documents that fit, newest first, `limit` at the most; those that follow the document of the code `after`.

    Newest by the day that is asked for, else by when they were registered: an index has each order. So many of the `newest` are
    looked through for words before their index is asked.
    """
    row = DocumentRow
    by_day = wanted.dated_from is not None or wanted.dated_before is not None
    order = ("dated_at", "id") if by_day else ("id",)
    conditions, words = list(_conditions(wanted)), list(_words(wanted))
    if after is not None:
        last = session.scalar(select(row).where(row.code == known_form(after)))
        if last is None:
            raise UsageWrong("CODE_NOT_FOUND", typed=after[:40])
        conditions.append(tuple_(row.dated_at, row.id) < (last.dated_at, last.id) if by_day else row.id < last.id)
    few = wanted.number is not None or wanted.code is not None or wanted.sha256 is not None
    if few or not words:
        conditions += _contained(row.__table__.c, words)
        query: Select[Any] = select(row).where(*conditions).order_by(*_newest_first(row.__table__.c, order))
        return documents_of(session, session.scalars(query.limit(limit)).all())
    found = session.scalars(_among_newest(conditions, words, order, newest).limit(limit)).all()
    if len(found) < limit and _are_more(session, conditions, order, newest):
        found = session.scalars(_by_index(session, conditions, words, order).limit(limit)).all()
    whole = select(row).where(row.id.in_(found)).order_by(*_newest_first(row.__table__.c, order))
    return documents_of(session, session.scalars(whole).all())


def _among_newest(conditions: list[ColumnElement[bool]], words: list[Word], order: Order, most: int) -> Select[Any]:
    columns = DocumentRow.__table__.c
    window = select(columns.id, columns.dated_at, columns.search_text, columns.agency_text).where(*conditions)
    seen = window.order_by(*_newest_first(columns, order)).limit(most).subquery("seen")
    return select(seen.c.id).where(*_contained(seen.c, words)).order_by(*_newest_first(seen.c, order))


def _are_more(session: Session, conditions: list[ColumnElement[bool]], order: Order, than: int) -> bool:
    columns = DocumentRow.__table__.c
    next_one = select(columns.id).where(*conditions).order_by(*_newest_first(columns, order)).offset(than).limit(1)
    return session.scalar(next_one) is not None


def _by_index(session: Session, conditions: list[ColumnElement[bool]], words: list[Word], order: Order) -> Select[Any]:
    columns = DocumentRow.__table__.c
    if session.get_bind().dialect.name == "sqlite" and has_word_index(session):
        indexed, short = divide(words)
        conditions = [*conditions, *([columns.id.in_(rows_with(indexed))] if indexed else [])]
        words = short
    every = select(columns.id, columns.dated_at).where(*conditions, *_contained(columns, words)).cte("every")
    # Without this the order would be thought of first, and all rows be read in it.
    every = every.prefix_with("MATERIALIZED")
    return select(every.c.id).order_by(*_newest_first(every.c, order))


def _newest_first(columns: ColumnCollection[str, Any], order: Order) -> list[ColumnElement[Any]]:
    return [columns[name].desc() for name in order]


def _words(wanted: DocumentQuery) -> Iterator[Word]:
    for text, column in (
        (wanted.text, "search_text"),
        (wanted.notation, "search_text"),
        (wanted.agency, "agency_text"),
    ):
        for word in fold(text or "").split():
            yield Word(column, word)


def _contained(columns: ColumnCollection[str, Any], words: list[Word]) -> list[ColumnElement[bool]]:
    return [columns[word.column].contains(word.text, autoescape=True) for word in words]


def _conditions(wanted: DocumentQuery) -> Iterator[ColumnElement[bool]]:
    row = DocumentRow
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
