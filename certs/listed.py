"""Listed certificates: what the inventory's own columns say belongs on a CRL, as lines that a finished list is compared with.

How a list is encoded, and what is kept for it, is for pki/.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, Table, Text, and_, case, func, literal, or_, select, text
from sqlalchemy import cast as sql_cast
from sqlalchemy.orm import Session

from certs.inventory import State
from certs.streaming import stream
from certs.tables import CertificateRow

# RFC 5280 5.3.1; unspecified is said by saying nothing.
REASON_CODES = {
    "keyCompromise": 1,
    "cACompromise": 2,
    "affiliationChanged": 3,
    "superseded": 4,
    "cessationOfOperation": 5,
    "certificateHold": 6,
    "privilegeWithdrawn": 9,
    "aACompromise": 10,
}
# The word of delta CRLs for a hold that was lifted.
REMOVED, REMOVED_NAME = 8, "removeFromCRL"
_BATCH = 10_000
_TABLE = cast("Table", CertificateRow.__table__)
_LISTED_STATES = (State.REVOKED.value, State.SUSPENDED.value)
# Written out, not bound: only so do both databases see that their partial index fits.
_IS_LISTED = text("state IN ('revoked', 'suspended')")


@dataclass(frozen=True)
class Listed:
    """The little of a certificate that its line on a CRL is made of. `epoch` is null when it changed before there were epochs."""

    serial: str
    shard: int | None
    not_after: datetime
    revoked_at: datetime
    reason: str
    suspect_since: datetime | None
    epoch: int | None


def listed_lines(
    session: Session, issuer: str, shards: Sequence[int | None], kept_from: datetime | None
) -> Generator[str]:
    """A line for each certificate that belongs on a complete list, by shard in the given order, then by serial.

    `kept_from` is the time of the last complete list: what ended before it has stood on one list past its end and goes
    (RFC 5280 3.3), unless its revocation is newer than that list. None keeps everything.

    A line is `serial|time|reason|since`, times like 2026-11-21 03:15:30 in UTC; no reason for unspecified.
    """
    for query in _select_listed(_line(session), issuer, shards, kept_from):
        yield from _stream(session, query)


def listed_octets(
    session: Session, issuer: str, shards: Sequence[int | None], kept_from: datetime | None
) -> Generator[str]:
    """The same certificates as entries of a CRL in DER, in hex, many at a time: made of the columns by the database itself.

    Only what nearly every entry looks like: a serial of 20 octets, a time before 2050. Another one is left out, so that the
    octets of a list that has one differ, and lines have to be compared.
    """
    for query in _select_listed(_entry(session), issuer, shards, kept_from):
        with closing(stream(session, query)) as batches:
            for batch in batches:
                yield "".join([row[0] for row in batch])


def changed_lines(session: Session, issuer: str, shards: Sequence[int | None], after: int) -> Generator[str]:
    """The same for what changed after an epoch, which is what a delta says; one that is listed no more is `serial||removeFromCRL|`."""
    c = _TABLE.c
    removed = c.serial.concat(literal(f"||{REMOVED_NAME}|", Text))
    line = case((c.state.in_(_LISTED_STATES), _line(session)), else_=removed)
    for shard in shards:
        query = select(line).where(c.issuer == issuer, _is_shard(shard), c.crl_epoch > after)
        yield from _stream(session, query.order_by(c.serial))


def listed_certificates(session: Session, issuer: str) -> Iterator[Listed]:
    """All that are revoked or suspended, for making anew what lists are made of."""
    c = _TABLE.c
    query = select(
        c.serial, c.crl_shard, c.not_after, c.revoked_at, c.revocation_reason, c.suspect_since, c.crl_epoch
    ).where(c.issuer == issuer, _IS_LISTED)
    for row in session.execute(query.execution_options(yield_per=_BATCH)):
        serial, shard, not_after, revoked_at, reason, since, epoch = row
        yield Listed(serial, shard, not_after, revoked_at, reason or "unspecified", since, epoch)


def reinstated_certificates(session: Session, issuer: str) -> Iterator[tuple[str, int | None, datetime, int]]:
    """Serial, shard, end and epoch of those that were listed once and are no more."""
    c = _TABLE.c
    query = select(c.serial, c.crl_shard, c.not_after, c.crl_epoch).where(
        c.issuer == issuer, c.crl_epoch.is_not(None), c.state.not_in(_LISTED_STATES)
    )
    yield from session.execute(query.execution_options(yield_per=_BATCH))


def _select_listed(
    what: ColumnElement[str], issuer: str, shards: Sequence[int | None], kept_from: datetime | None
) -> Iterator[Select[Any]]:
    c = _TABLE.c
    for shard in shards:
        query = select(what).where(c.issuer == issuer, _is_shard(shard), _IS_LISTED)
        if kept_from is not None:
            query = query.where(or_(c.not_after >= kept_from, c.revoked_at >= kept_from))
        yield query.order_by(c.serial)


def _stream(session: Session, query: Select[Any]) -> Iterator[str]:
    with closing(stream(session, query)) as batches:
        for batch in batches:
            yield from [row[0] for row in batch]


def _is_shard(shard: int | None) -> ColumnElement[bool]:
    return _TABLE.c.crl_shard.is_(None) if shard is None else _TABLE.c.crl_shard == shard


def _line(session: Session) -> ColumnElement[str]:
    """Made by the database: a million rows of four columns cost ten times as much as a million short texts."""
    c = _TABLE.c
    moment = _sqlite_moment if session.get_bind().dialect.name == "sqlite" else _postgresql_moment
    nothing, bar = literal("", Text), literal("|", Text)
    # Older rows have the word, newer ones too; a list says it by saying nothing (RFC 5280 5.3.1).
    reason = func.coalesce(func.nullif(c.revocation_reason, "unspecified"), nothing)
    since = func.coalesce(moment(c.suspect_since), nothing)
    line: ColumnElement[str] = c.serial.concat(bar).concat(moment(c.revoked_at)).concat(bar).concat(reason)
    return line.concat(bar).concat(since)


def _sqlite_moment(column: ColumnElement[Any]) -> Any:
    """Without the fraction, which DER has not."""
    return func.substr(sql_cast(column, Text), 1, 19)


def _postgresql_moment(column: ColumnElement[Any]) -> Any:
    # Sessions of certs/db.py are at UTC.
    return func.to_char(column, "YYYY-MM-DD HH24:MI:SS")


def _entry(session: Session) -> ColumnElement[str]:
    """An element of revokedCertificates (RFC 5280 5.1.2.6): SEQUENCE of INTEGER, UTCTime and extensions, of four lengths."""
    c = _TABLE.c
    hexed = _sqlite_hex if session.get_bind().dialect.name == "sqlite" else _postgresql_hex
    codes = {name: f"{code:02x}" for name, code in REASON_CODES.items()}
    head = _text("0214").concat(c.serial).concat(_text("170d")).concat(func.substr(hexed(c.revoked_at), 5)).concat("5a")
    # 5.3.1 reasonCode, an ENUMERATED; 5.3.2 invalidityDate, a GeneralizedTime.
    reason = _text("300a0603551d1504030a01").concat(case(codes, value=c.revocation_reason, else_=""))
    since = _text("30180603551d180411180f").concat(hexed(c.suspect_since)).concat("5a")
    says_nothing = or_(c.revocation_reason.is_(None), c.revocation_reason == "unspecified")
    entry = case(
        (and_(says_nothing, c.suspect_since.is_(None)), _text("3025").concat(head)),
        (says_nothing, _text("3041").concat(head).concat("301a").concat(since)),
        (c.suspect_since.is_(None), _text("3033").concat(head).concat("300c").concat(reason)),
        else_=_text("304d").concat(head).concat("3026").concat(reason).concat(since),
    )
    is_usual = and_(
        func.length(c.serial) == 40, c.serial >= "01", c.serial < "80", c.revoked_at < datetime(2050, 1, 1, tzinfo=UTC)
    )
    return case((is_usual, entry), else_=_text(""))


def _text(value: str) -> ColumnElement[str]:
    return literal(value, Text)


def _sqlite_hex(column: ColumnElement[Any]) -> Any:
    """The fourteen digits of a time, as octets in hex."""
    digits = _sqlite_moment(column)
    for mark in ("-", " ", ":"):
        digits = func.replace(digits, mark, "")
    return func.hex(digits)


def _postgresql_hex(column: ColumnElement[Any]) -> Any:
    return func.encode(func.convert_to(func.to_char(column, "YYYYMMDDHH24MISS"), "UTF8"), "hex")
