"""Listed octets: the entries of a CRL in DER as the inventory's own columns call for them, thousands at a time, to compare a list with.

Only what nearly every entry looks like: what does not is said in words by listed.py. It makes nothing that is signed; pki/ does.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, bindparam, func, select, type_coerce
from sqlalchemy.orm import Session

from certs.listed import REASON_CODES, TABLE, moment_of, select_listed

_BATCH = 4_000
_SERIAL = 40  # hex digits of 20 octets
# The digits of a UTCTime, and of a GeneralizedTime, in a time like 2026-11-21 03:15:30.
_SHORT_DIGITS = (2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18)
_LONG_DIGITS = (0, 1, *_SHORT_DIGITS)
_REASONS = ("unspecified", *REASON_CODES)


def listed_octets(
    session: Session, issuer: str, shards: Sequence[int | None], kept_from: datetime | None
) -> Generator[bytes | None]:
    """What `listed.listed_lines` says, as elements of revokedCertificates (RFC 5280 5.1.2.6), many at a time.

    None where one has a serial of fewer octets, a time outside of 2000 to 2049 or a reason that no list knows: then lines have to be
    compared, and nothing follows. A million entries are made here, so nothing is done for one of them alone: the database
    joins each column of a batch into one text, and each digit is laid for all of a batch at once.
    """
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    for listed in select_listed(issuer, shards, kept_from, *_columns(session, is_sqlite=is_sqlite)):
        query = _joined(listed)
        after = ""
        while (row := session.execute(query, {"after": after}).one())[0] is not None:
            serials, times, reasons, sinces = row
            octets = encode(serials, times, reasons, sinces, 26 if is_sqlite else 19)
            yield octets
            if octets is None:
                return
            after = serials[-_SERIAL:]


def _columns(session: Session, *, is_sqlite: bool) -> Sequence[ColumnElement[str]]:
    c = TABLE.c
    # SQLite has times as texts, with a fraction: to cut it off costs more than to read over it.
    moment = _as_stored if is_sqlite else moment_of(session)
    nothing = type_coerce("", Text)
    return (
        c.serial.label("serial"),
        moment(c.revoked_at).label("time"),
        func.coalesce(c.revocation_reason, nothing).label("reason"),
        func.coalesce(moment(c.suspect_since), nothing).label("since"),
    )


def _as_stored(column: ColumnElement[datetime]) -> ColumnElement[str]:
    return type_coerce(column, Text)


def _joined(listed: Select[Any]) -> Select[Any]:
    """The next of them after a serial, each column as one text with commas. Were they not in order, nothing would be equal."""
    after: Any = bindparam("after", type_=Text)
    batch = listed.where(TABLE.c.serial > after).limit(_BATCH).subquery()
    joined: list[Any] = [func.aggregate_strings(column, ",") for column in batch.c]
    return select(*joined)


def encode(serials: str, times: str, reasons: str, sinces: str, moment: int) -> bytes | None:
    """The entries of four columns, each joined by commas; a time has `moment` letters. None when one is unusual."""
    said, since = reasons.split(","), sinces.split(",")
    count = len(said)
    has_since = len(sinces) >= count
    try:
        if has_since:
            kinds = "".join(
                [(_WITH_SINCE if each else _BARE)[reason] for reason, each in zip(said, since, strict=True)]
            )
            sinces = ",".join([each.ljust(moment) for each in since])
        else:
            kinds = "".join(map(_BARE.__getitem__, said))
        columns = [_Column(serials, _SERIAL, count), _Column(times, moment, count)]
        columns += [_Column(sinces, moment, count)] if has_since else []
        return _lay(kinds.encode("ascii"), columns)
    except (KeyError, ValueError):
        return None


class _Column:
    """The values of one column, one length each and a comma between them; ValueError for others."""

    def __init__(self, joined: str, length: int, count: int) -> None:
        self._octets = joined.encode("ascii")
        self._step = length + 1
        # Where each comma stands is where each value ends: no value is longer at the cost of another.
        if len(joined) + 1 != self._step * count or self[length] != b"," * (count - 1):
            raise ValueError("values of more than one length")

    def __getitem__(self, place: int) -> bytes:
        """The letters of all values at one place."""
        return self._octets[place :: self._step]


def _lay(kinds: bytes, columns: Sequence[_Column]) -> bytes | None:
    """Lay the digits of all rows into the form of their kinds, one place after the other. What is absent stays blank."""
    serials, times, *sinces = columns
    # The first octet of a serial in 20 octets is 01 to 7f (X.690 8.3.2); a year of UTCTime is before 2050 (5.1.2.6), and one before
    # 2000 is no time of ours.
    first = serials[0]
    if not set(first) <= set(b"01234567") or (b"0" in first and (48, 48) in zip(first, serials[1], strict=True)):
        return None
    if times[0].strip(b"2") or times[1].strip(b"0") or not set(times[2]) <= set(b"01234"):
        return None
    form = _FORM if sinces else _FORM[:_SINCE_AT]
    length = len(form)
    laid = bytearray(form * len(kinds))
    for place, table in _TABLES:
        if place < length:
            laid[place::length] = kinds.translate(table)
    for place in range(_SERIAL):
        laid[_SERIAL_AT + place :: length] = serials[place]
    for place, digit in enumerate(_SHORT_DIGITS):
        laid[_TIME_AT + 2 * place + 1 :: length] = times[digit]
    for since in sinces:
        for place, digit in enumerate(_LONG_DIGITS):
            laid[_SINCE_TIME_AT + 2 * place + 1 :: length] = since[digit]
    octets = bytes.fromhex(laid.decode("ascii"))
    # Blanks are left out, also one that stood in a serial.
    return octets if len(octets) == sum(kinds.count(kind) * size for kind, size in _SIZES.items()) else None


def _form_of(reason: str, *, has_since: bool) -> str:
    """An entry in hex, with dots where the digits of its own go and blanks where another kind has more."""
    code = REASON_CODES.get(reason)
    said = f"300a0603551d1504030a01{code:02x}" if code else ""  # 5.3.1 reasonCode, an ENUMERATED
    since = f"30180603551d180411180f{'3.' * 14}5a" if has_since else ""  # 5.3.2 invalidityDate, a GeneralizedTime
    more = f"30{len(said + since) // 2:02x}" if said or since else ""
    head = f"0214{'.' * _SERIAL}170d{'3.' * 12}5a"
    return f"30{len(head + more + said + since) // 2:02x}{head}{more:4}{said:24}{since:52}"


_BARE = {reason: chr(ord("a") + place) for place, reason in enumerate(_REASONS)}
_WITH_SINCE = {reason: kind.upper() for reason, kind in _BARE.items()}
_FORMS: dict[int, bytes] = {ord(kind): _form_of(reason, has_since=False).encode() for reason, kind in _BARE.items()}
_FORMS |= {ord(kind): _form_of(reason, has_since=True).encode() for reason, kind in _WITH_SINCE.items()}
# The column is empty where no reason was given.
_BARE[""], _WITH_SINCE[""] = _BARE["unspecified"], _WITH_SINCE["unspecified"]
_FORM = _form_of("unspecified", has_since=False).encode()
_SIZES = {kind: len(form.replace(b" ", b"")) // 2 for kind, form in _FORMS.items()}
# SEQUENCE, INTEGER, serial, UTCTime, time, extensions with reason and date: where each begins, in hex digits.
_SERIAL_AT, _TIME_AT, _SINCE_AT = 8, 52, 106
_SINCE_TIME_AT = _SINCE_AT + 22
# The places at which kinds differ, and what each has there.
_TABLES = [
    (place, bytes.maketrans(bytes(_FORMS), bytes(form[place] for form in _FORMS.values())))
    for place in range(len(_FORM))
    if len({form[place] for form in _FORMS.values()}) > 1
]
