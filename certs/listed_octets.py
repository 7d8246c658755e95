"""Listed octets: the entries of a CRL in DER as the inventory's own columns call for them, thousands at a time, to compare a list with.

Only what nearly every entry looks like: what does not is said in words by listed.py. It makes nothing that is signed; pki/ does.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, bindparam, func, literal_column, select, type_coerce
from sqlalchemy.orm import Session

from certs.listed import REASON_CODES, TABLE, moment_of, select_listed

_SERIAL = 40  # hex digits of 20 octets
# The digits of a UTCTime, and of a GeneralizedTime, in a time like 2026-11-21 03:15:30.
_SHORT_DIGITS = (2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18)
_LONG_DIGITS = (0, 1, *_SHORT_DIGITS)


def listed_octets(
    session: Session, issuer: str, portions: Iterable[tuple[int | None, Iterable[str]]], kept_from: datetime | None
) -> Generator[bytes | None]:
    """What `listed.listed_lines` says, as elements of revokedCertificates (RFC 5280 5.1.2.6), many at a time.

    `portions` are shards, each with serials at which to pause: any will do, and what lies between two of them is held at once.
    None where one has a serial of fewer octets, a time outside of 2000 to 2049 or a reason that no list knows: then lines have to be
    compared, and nothing follows. A million entries are made here, so nothing is done for one of them alone: the database
    joins each column of a portion into one text, and each octet is laid for all of a portion at once.
    """
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    moment = 26 if is_sqlite else 19
    columns = _columns(session, is_sqlite=is_sqlite)
    for shard, cuts in portions:
        (listed,) = select_listed(issuer, [shard], kept_from, *columns)
        for joined, sinces_joined, between in _between(listed, cuts, is_sqlite=is_sqlite):
            serials, times, reasons, suspected = session.execute(joined, between).one()
            if serials is None:
                continue
            sinces = session.execute(sinces_joined, between).scalar_one() if suspected else ""
            octets = encode(serials, times, reasons, sinces, moment)
            yield octets
            if octets is None:
                return


def _columns(session: Session, *, is_sqlite: bool) -> Sequence[ColumnElement[str]]:
    c = TABLE.c
    # SQLite has times as texts, with a fraction: to cut it off costs more than to read over it.
    moment = _as_stored if is_sqlite else moment_of(session)
    nothing = type_coerce("", Text)
    return (
        c.serial.label("serial"),
        moment(c.revoked_at).label("time"),
        func.coalesce(c.revocation_reason, nothing).label("reason"),
        moment(c.suspect_since).label("since"),
    )


def _as_stored(column: ColumnElement[datetime]) -> ColumnElement[str]:
    return type_coerce(column, Text)


def _between(
    listed: Select[Any], cuts: Iterable[str], *, is_sqlite: bool
) -> Iterator[tuple[Select[Any], Select[Any], dict[str, str]]]:
    """What to ask of the rows between each two of the cuts, before the first and behind the last, joined."""
    # PostgreSQL joins texts in the order of a subquery. SQLite joins them as it walks the index, which has this order, and takes twice
    # as long when it is told; were it another order, nothing would be equal, and lines would be compared.
    rows = listed.order_by(None) if is_sqlite else listed
    after: Any = bindparam("after", type_=Text)
    upto: Any = bindparam("upto", type_=Text)
    behind = rows.where(TABLE.c.serial > after)
    asked = [_joined(each, is_sqlite=is_sqlite) for each in (behind.where(TABLE.c.serial <= upto), behind)]
    stops = ["", *sorted(set(cuts))]
    for first, last in pairwise(stops):
        yield *asked[0], {"after": first, "upto": last}
    yield *asked[1], {"after": stops[-1]}


def _joined(listed: Select[Any], *, is_sqlite: bool) -> tuple[Select[Any], Select[Any]]:
    """Each column as one text with commas, and how many dates of suspicion there are; those, which are rare, apart."""

    def join(column: ColumnElement[str]) -> ColumnElement[str]:
        return func.group_concat(column) if is_sqlite else func.string_agg(column, literal_column("','"))

    rows = listed.subquery().c
    since: Any = func.coalesce(rows.since, type_coerce("", Text))
    columns: list[Any] = [join(rows.serial), join(rows.time), join(rows.reason), func.count(rows.since)]
    return select(*columns), select(join(since))


def encode(serials: str, times: str, reasons: str, sinces: str, moment: int) -> bytes | None:
    """The entries of four columns, each joined by commas; a time has `moment` letters. None when one is unusual.

    `sinces` may be empty where no entry has a date of suspicion.
    """
    said = reasons.split(",")
    count = len(said)
    try:
        # As many octets as digits for them: fromhex reads over blanks.
        _, raw = _letters(serials, _SERIAL, count), bytes.fromhex(serials.replace(",", ""))
        if len(raw) != _OCTETS * count:
            return None
        laid = [(_SERIAL_AT + place, raw[place::_OCTETS]) for place in range(_OCTETS)]
        time = _letters(times, moment, count)
        laid += [(_TIME_AT + place, time(digit)) for place, digit in enumerate(_SHORT_DIGITS)]
        # The first octet of a serial in 20 octets is 01 to 7f (X.690 8.3.2); a year of UTCTime is before 2050 (5.1.2.6), and one
        # before 2000 is no time of ours.
        if laid[0][1].translate(None, _POSITIVE) or time(0).strip(b"2") or time(1).strip(b"0"):
            return None
        if time(2).translate(None, b"01234"):
            return None
        if not sinces.strip(","):
            return _lay("".join(map(_BARE.__getitem__, said)), _SINCE_AT, laid)
        dates, blank = sinces.split(","), " " * moment
        kinds = "".join([(_WITH_SINCE if date else _BARE)[reason] for reason, date in zip(said, dates, strict=True)])
        since = _letters(",".join([date or blank for date in dates]), moment, count)
        laid += [(_SINCE_TIME_AT + place, since(digit)) for place, digit in enumerate(_LONG_DIGITS)]
        return _lay(kinds, len(_FORM) // 2, laid)
    except (KeyError, ValueError):
        return None


def _letters(joined: str, length: int, count: int) -> Callable[[int], bytes]:
    """Of values of one length each, with a comma between them, the letters of all at one place; ValueError for others."""
    octets, step = joined.encode("ascii"), length + 1
    # Where each comma stands is where each value ends: no value is longer at the cost of another.
    if len(octets) + 1 != step * count or octets[length::step] != b"," * (count - 1):
        raise ValueError("values of more than one length")
    return lambda place: octets[place::step]


def _lay(kinds: str, width: int, columns: Sequence[tuple[int, bytes]]) -> bytes:
    """Lay columns into the form of the kinds, one place of all rows after the other. What a kind has not is left out.

    Two octets for each of an entry: the second is 0 where it stands and 1 where it is absent, so that one is a letter of Latin-1
    and the other is not.
    """
    letters, step = kinds.encode("ascii"), 2 * width
    cells = bytearray(_FORM[:step] * len(letters))
    for table, places in _TABLES:
        values = letters.translate(table)
        for place in places:
            if place < step:
                cells[place::step] = values
    for place, values in columns:
        cells[2 * place :: step] = values
    return cells.decode("utf-16-le").encode("latin-1", "ignore")


_OCTETS = 20
_POSITIVE = bytes(range(1, 0x80))
# SEQUENCE, INTEGER, serial, UTCTime, time, extensions with reason and date: where each begins.
_SERIAL_AT, _TIME_AT, _SINCE_AT = 4, 26, 53
_SINCE_TIME_AT = _SINCE_AT + 11


def _cells_of(reason: str, *, has_since: bool) -> list[int | None]:
    """An entry, zeros where the octets of its own go, and None where another kind has more."""
    code = REASON_CODES.get(reason)
    said = bytes.fromhex(f"300a0603551d1504030a01{code or 0:02x}")  # 5.3.1 reasonCode, an ENUMERATED
    since = bytes.fromhex("30180603551d180411180f") + bytes(14) + b"Z"  # 5.3.2 invalidityDate, a GeneralizedTime
    more = (len(said) if code else 0) + (len(since) if has_since else 0)
    head = bytes.fromhex("0214") + bytes(20) + bytes.fromhex("170d") + bytes(12) + b"Z"
    length = len(head) + more + (2 if more else 0)
    cells: list[int | None] = [0x30, length, *head]
    for part, is_there in ((bytes((0x30, more)), more > 0), (said, code is not None), (since, has_since)):
        cells += part if is_there else [None] * len(part)
    return cells


_REASONS = ("unspecified", *REASON_CODES)
_BARE = {reason: chr(ord("a") + place) for place, reason in enumerate(_REASONS)}
_WITH_SINCE = {reason: kind.upper() for reason, kind in _BARE.items()}
_CELLS = {ord(kind): _cells_of(reason, has_since=False) for reason, kind in _BARE.items()}
_CELLS |= {ord(kind): _cells_of(reason, has_since=True) for reason, kind in _WITH_SINCE.items()}
# The column is empty where no reason was given.
_BARE[""], _WITH_SINCE[""] = _BARE["unspecified"], _WITH_SINCE["unspecified"]


def _form_and_tables() -> tuple[bytes, list[tuple[bytes, list[int]]]]:
    """The cells that all kinds share, and of the others what each kind has there, places of the same together."""
    form, tables = bytearray(), dict[bytes, list[int]]()
    for place, cell in enumerate(zip(*_CELLS.values(), strict=True)):
        there = {octet for octet in cell if octet is not None}
        form += bytes((min(there), 0))
        choices = [
            ([octet or 0 for octet in cell], len(there) > 1),
            ([int(octet is None) for octet in cell], None in cell),
        ]
        for at, (choice, differs) in enumerate(choices):
            if differs:
                tables.setdefault(bytes.maketrans(bytes(_CELLS), bytes(choice)), []).append(2 * place + at)
    return bytes(form), list(tables.items())


_FORM, _TABLES = _form_and_tables()
