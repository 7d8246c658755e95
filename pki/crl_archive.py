"""The archive of CRLs: every list that was ever current, complete lists and deltas, by scope, number and time; none is deleted.

What is short stands in its row; a longer list in pieces, so that neither writing nor reading one takes memory. Pieces are not
compressed: they are serials, which are random, and would shrink by two fifths for ten times the work.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, insert, or_, select, update
from sqlalchemy.orm import Session

from pki.crl_entries import FULL
from pki.crl_file import BUFFER, CrlFile
from pki.errors import CrlNotFound
from pki.tables import CrlPieceRow, CrlRow


@dataclass(frozen=True)
class StoredCrl:
    """One finished list without its octets, which `crl_octets` gives. `base` is None for a complete list."""

    authority: str
    shard: int
    number: int
    this_update: datetime
    next_update: datetime
    sha256: str
    size: int
    epoch: int
    base: int | None = None

    @property
    def is_delta(self) -> bool:
        return self.base is not None


_COMPLETE = (
    CrlRow.authority, CrlRow.shard, CrlRow.number, CrlRow.this_update, CrlRow.next_update, CrlRow.sha256,
    func.coalesce(CrlRow.size, func.length(CrlRow.der)), CrlRow.revocation_epoch,
)  # fmt: skip
_DELTA = (
    CrlRow.authority, CrlRow.shard, CrlRow.number, CrlRow.this_update, CrlRow.delta_next_update, CrlRow.delta_sha256,
    CrlRow.delta_size, CrlRow.revocation_epoch, CrlRow.delta_base,
)  # fmt: skip


def add_intent(session: Session, authority: str, shard: int, number: int, now: datetime) -> int:
    """Note that a list of this number is about to be signed; the row's id. Times and epoch are told when it is finished."""
    row = CrlRow(
        authority=authority, shard=shard, number=number, revocation_epoch=0, this_update=now, next_update=now
    )  # fmt: skip
    session.add(row)
    session.flush()
    return row.id


def finish(
    session: Session, row_id: int, epoch: int, complete: CrlFile | None, delta: CrlFile | None, base: int
) -> None:
    """Keep the lists of one number, whole."""
    values: dict[str, Any] = {"revocation_epoch": epoch}
    for crl, is_delta in ((complete, False), (delta, True)):
        if crl is None:
            continue
        values["this_update"] = crl.heading.this_update
        octets = _keep(session, row_id, crl, is_delta=is_delta)
        if is_delta:
            values |= {"delta_der": octets, "delta_sha256": crl.sha256, "delta_size": crl.size, "delta_base": base}
            values["delta_next_update"] = crl.heading.next_update
        else:
            values |= {"der": octets, "sha256": crl.sha256, "size": crl.size, "next_update": crl.heading.next_update}
    session.execute(update(CrlRow).where(CrlRow.id == row_id).values(**values))


def describe(authority: str, shard: int, epoch: int, crl: CrlFile, base: int | None = None) -> StoredCrl:
    """A list that was kept, as it is found."""
    heading = crl.heading
    times = (heading.this_update, heading.next_update)
    return StoredCrl(authority, shard, heading.number, *times, crl.sha256, crl.size, epoch, base)


def find_latest(session: Session, authority: str, shard: int = FULL, *, is_delta: bool = False) -> StoredCrl | None:
    """The newest list of a scope, or the newest delta."""
    query = _lists(authority, is_delta=is_delta).where(CrlRow.shard == shard)
    return _first(session, query.order_by(CrlRow.number.desc()))


def find_by_number(session: Session, authority: str, number: int, *, is_delta: bool = False) -> StoredCrl | None:
    """The list of a number, whatever its scope: an authority gives each number once."""
    return _first(session, _lists(authority, is_delta=is_delta).where(CrlRow.number == number))


def find_at(
    session: Session, authority: str, moment: datetime, shard: int = FULL, *, is_delta: bool = False
) -> StoredCrl | None:
    """The list of a scope that was the newest at a moment, also when it had ended by then."""
    query = _lists(authority, is_delta=is_delta).where(CrlRow.shard == shard, CrlRow.this_update <= moment)
    return _first(session, query.order_by(CrlRow.number.desc()))


def find_oldest_base(session: Session, authority: str, shard: int, now: datetime) -> StoredCrl | None:
    """The oldest complete list that somebody may still be using: a delta says what changed since then, for all of them.

    Lists of releases before there were deltas have no `size`: what changed before and after them was not counted yet.
    """
    query = _lists(authority, is_delta=False).where(
        CrlRow.shard == shard, CrlRow.size.is_not(None), CrlRow.next_update > now
    )
    return _first(session, query.order_by(CrlRow.number))


def find_last_issue(session: Session, authority: str, shard: int) -> tuple[int, datetime] | None:
    """Epoch and this_update of the newest issue of a scope, complete or delta."""
    query = select(CrlRow.revocation_epoch, CrlRow.this_update).where(
        CrlRow.authority == authority,
        CrlRow.shard == shard,
        or_(CrlRow.sha256.is_not(None), CrlRow.delta_sha256.is_not(None)),
    )
    row = session.execute(query.order_by(CrlRow.number.desc()).limit(1)).one_or_none()
    return None if row is None else (row[0], row[1])


def crl_octets(session: Session, crl: StoredCrl) -> Iterator[bytes]:
    """A stored list in DER, piece by piece; CrlNotFound when it is not there."""
    column = CrlRow.delta_der if crl.is_delta else CrlRow.der
    row = session.execute(
        select(CrlRow.id, column).where(CrlRow.authority == crl.authority, CrlRow.number == crl.number)
    ).one_or_none()
    if row is None:
        raise CrlNotFound(f"{crl.authority} has no CRL {crl.number}", authority=crl.authority, number=str(crl.number))
    if row[1] is not None:
        yield row[1]
        return
    pieces = select(CrlPieceRow.octets).where(CrlPieceRow.crl_id == row[0], CrlPieceRow.is_delta == crl.is_delta)
    yield from session.scalars(pieces.order_by(CrlPieceRow.position).execution_options(yield_per=1))


def _keep(session: Session, row_id: int, crl: CrlFile, *, is_delta: bool) -> bytes | None:
    if crl.size <= BUFFER:
        return b"".join(crl.pieces())
    for position, octets in enumerate(crl.pieces()):
        piece = {"crl_id": row_id, "is_delta": is_delta, "position": position, "octets": octets}
        session.execute(insert(CrlPieceRow), piece)
    return None


def _lists(authority: str, *, is_delta: bool) -> Select[Any]:
    finished = CrlRow.delta_sha256 if is_delta else CrlRow.sha256
    return select(*(_DELTA if is_delta else _COMPLETE)).where(CrlRow.authority == authority, finished.is_not(None))


def _first(session: Session, query: Select[Any]) -> StoredCrl | None:
    row = session.execute(query.limit(1)).one_or_none()
    return None if row is None else StoredCrl(*row)
