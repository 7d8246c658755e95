"""The audit trail as it stands in the database, walked whole or at its end. What a chain is stands in audit_chain.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from sqlalchemy import BigInteger, Row, Table, TextClause, func, select, text
from sqlalchemy import cast as sql_cast
from sqlalchemy.orm import Session

from pki.audit_chain import Break, BreakKind, ChainReport, ChainWalk, Mark, broken_at
from pki.audit_link import GENESIS, Entry
from pki.tables import AuditRow

_TABLE = cast("Table", AuditRow.__table__)
_ROWS_AT_ONCE = 1000
# How many of the newest rows of a chain a quick look reads.
TAIL = 200

# Octets, because a row that somebody has changed need not be what its column promises.
_IN_SQLITE = """
    chain, position, seq, CAST(link AS BLOB), CAST(time AS BLOB), CAST(actor AS BLOB), CAST(action AS BLOB),
    CAST(subject_kind AS BLOB), CAST(subject_id AS BLOB), CAST(details AS BLOB)"""
_IN_POSTGRESQL = """
    chain, position, seq, convert_to(link, 'UTF8'),
    convert_to(to_char(time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'UTF8'), convert_to(actor, 'UTF8'),
    convert_to(action, 'UTF8'), convert_to(subject_kind, 'UTF8'), convert_to(subject_id, 'UTF8'), convert_to(details::text, 'UTF8')"""


def _query(columns: str, rest: str) -> TextClause:
    return text(f"SELECT {columns} FROM audit {rest}")  # noqa: S608  columns and conditions are constants of this module


_WHOLE = "WHERE chain = :chain AND position > :after ORDER BY position, seq"
_STRAY = """WHERE chain IS NULL OR position IS NULL OR position < 1 OR chain NOT IN (SELECT chain FROM audit_chains)
    ORDER BY seq"""
# The part of it that an index finds.
_UNLINKED = "WHERE chain IS NULL ORDER BY seq"
_SPAN = "WHERE seq >= :first AND seq <= :last ORDER BY seq"
_ALL = (_WHOLE, _STRAY, _UNLINKED, _SPAN)
_QUERIES = {
    "sqlite": {rest: _query(_IN_SQLITE, rest) for rest in _ALL},
    "postgresql": {rest: _query(_IN_POSTGRESQL, rest) for rest in _ALL},
}
_CHAINS = text("SELECT chain, length, head FROM audit_chains ORDER BY chain")
_AT = text("SELECT link FROM audit WHERE chain = :chain AND position = :position ORDER BY seq LIMIT 1")


@dataclass(frozen=True)
class Survey:
    """What a walk along all chains has found. `stray`: rows without a chain that is known, as a chain of their own."""

    chains: tuple[ChainReport, ...]
    stray: ChainReport

    @property
    def rows(self) -> int:
        return sum(each.rows for each in self.chains) + self.stray.rows

    @property
    def breaks(self) -> tuple[Break, ...]:
        return tuple(found for each in (*self.chains, self.stray) for found in each.breaks)

    @property
    def broken(self) -> int:
        return sum(each.broken for each in (*self.chains, self.stray))


def survey_all(session: Session, seen: Mapping[int, Mark] | None = None) -> Survey:
    """Walk every chain from its first row. `seen`: what a checkpoint says of the chains."""
    remembered = dict(seen or {})
    reports = []
    for chain, end in chain_ends(session).items():
        walk = ChainWalk(chain, watch=remembered.pop(chain, None))
        _take_all(walk, session, _WHOLE, chain=chain, after=0)
        reports.append(walk.report(end))
    return Survey(tuple(reports), _stray(session, _STRAY, remembered if reports else [0]))


def survey_ends(session: Session, rows: int = TAIL) -> Survey:
    """Walk the last rows of every chain: quick, however long the chains are."""
    reports = []
    for chain, end in chain_ends(session).items():
        start = Mark(0, GENESIS)
        if end.position > rows:
            link = session.scalar(_AT, {"chain": chain, "position": end.position - rows})
            # Without that row the walk begins at nothing, and says so.
            start = Mark(end.position - rows, link if isinstance(link, str) else "")
        walk = ChainWalk(chain, start)
        _take_all(walk, session, _WHOLE, chain=chain, after=start.position)
        reports.append(walk.report(end))
    return Survey(tuple(reports), _stray(session, _UNLINKED, [] if reports else [0]))


def chain_ends(session: Session) -> dict[int, Mark]:
    """How long each chain is and what its last link is, by `audit_chains`."""
    rows = session.execute(_CHAINS).all()
    # SQLite stores anything anywhere: what is no length is none.
    return {chain: Mark(length if isinstance(length, int) else 0, str(head)) for chain, length, head in rows}


@dataclass(frozen=True)
class Span:
    """Rows of one chain without a gap: the link before the first, the first and the last position."""

    before: str
    first: int
    last: int


def spans_between(session: Session, since: datetime | None, until: datetime | None) -> tuple[dict[int, Span], int, int]:
    """Of each chain from its first row in that time to its last, whatever the clock said in between; lowest and highest number."""
    rows = select(
        _TABLE.c.chain, *(each(_TABLE.c[name]) for name in ("position", "seq") for each in (func.min, func.max))
    )
    # SQLite stores anything anywhere: a position that is no number has no place in a span.
    place = sql_cast(_TABLE.c.position, BigInteger)
    rows = rows.where(_TABLE.c.chain.is_not(None), place == _TABLE.c.position, place > 0).group_by(_TABLE.c.chain)
    if since is not None:
        rows = rows.where(_TABLE.c.time >= since)
    if until is not None:
        rows = rows.where(_TABLE.c.time <= until)
    spans, lowest, highest = {}, 0, -1
    for chain, first, last, first_seq, last_seq in session.execute(rows.order_by(_TABLE.c.chain)).all():
        before = GENESIS if first == 1 else session.scalar(_AT, {"chain": chain, "position": first - 1})
        spans[chain] = Span(str(before or ""), first, last)
        lowest = first_seq if highest < 0 else min(lowest, first_seq)
        highest = max(highest, last_seq)
    return spans, lowest, highest


def entries_of(
    session: Session, since: datetime | None, until: datetime | None
) -> tuple[dict[int, Span], Iterator[Entry]]:
    """The spans of a time, and their rows in the order of writing, with whatever they say."""
    spans, lowest, highest = spans_between(session, since, until)
    found = (_entry(row) for row in _rows(session, _SPAN, first=lowest, last=highest))
    inside = (
        entry
        for entry, whole in found
        if whole and entry.chain in spans and spans[entry.chain].first <= entry.position <= spans[entry.chain].last
    )
    return spans, inside


def _stray(session: Session, rest: str, missing: Iterable[int]) -> ChainReport:
    """Rows that no known chain holds, and chains that should be there."""
    walk = ChainWalk(-1)
    count = 0
    for row in _rows(session, rest):
        count += 1
        walk.note(broken_at(_entry(row)[0], BreakKind.UNLINKED))
    for chain in missing:
        walk.note(Break(chain, BreakKind.CHAINLESS, 0))
    return replace(walk.report(None), rows=count)


def _take_all(walk: ChainWalk, session: Session, rest: str, **values: int) -> None:
    for row in _rows(session, rest, **values):
        entry, whole = _entry(row)
        if whole:
            walk.take(entry)
        else:
            walk.note(broken_at(entry, BreakKind.INSERTED))


def _rows(session: Session, rest: str, **values: int) -> Iterator[Row[Any]]:
    """Some rows at a time from the server's side, so that millions need no memory."""
    query = _QUERIES[session.get_bind().dialect.name][rest]
    yield from session.execute(query, values, execution_options={"yield_per": _ROWS_AT_ONCE})


def _entry(row: Row[Any]) -> tuple[Entry, bool]:
    """A row in octets, and whether it says where it belongs. SQLite stores anything anywhere."""
    chain, position, seq, *octets = tuple(row)
    link, time, *facts = (each if isinstance(each, bytes) else b"" for each in octets)
    if time and b"T" not in time:
        # SQLite's text, which is in UTC and has six digits of a second.
        time = time.replace(b" ", b"T", 1) + b"Z"
    whole = isinstance(chain, int) and isinstance(position, int)
    if not whole:
        chain, position = -1, 0
    actor, action, subject_kind, subject_id, details = facts
    return Entry(chain, position, seq, link, time, actor, action, subject_kind, subject_id, details), whole
