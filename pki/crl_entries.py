"""CRL entries: what CRLs say of a certificate, as DER, written in the transaction that changes its state and kept for every list.

Which list says it, and when a list is due, is for others.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, Table, case, delete, func, insert, select
from sqlalchemy.orm import Session

from certs.inventory import CertificateRecord
from certs.listed import REASON_CODES, REMOVED, Listed, listed_certificates, reinstated_certificates
from certs.streaming import stream
from hsm import der
from pki.crl_lines import parse_entry
from pki.tables import CrlEntryRow

# These are on a list at once; the rest may wait a moment for others.
URGENT = frozenset({"keyCompromise", "cACompromise"})
FULL = 0
_BATCH = 5_000
_READ = 5_000
_TABLE = cast("Table", CrlEntryRow.__table__)
_REASON = der.oid("2.5.29.21")
_INVALIDITY_DATE = der.oid("2.5.29.24")


@dataclass(frozen=True)
class Extent:
    """Which entries a list has. `after` makes it a delta: what changed after that epoch. `kept_from` is for complete lists."""

    authority: str
    shard: int
    after: int | None = None
    kept_from: datetime | None = None


@dataclass(frozen=True)
class Changes:
    """What no list says yet: since when, and whether it can wait."""

    since: datetime
    is_urgent: bool


def build_entry(serial: str, when: datetime, code: int | None, since: datetime | None) -> bytes:
    """An element of revokedCertificates (RFC 5280 5.1.2.6) with its reason code and invalidity date."""
    extensions = b""
    if code is not None:
        extensions += der.sequence(_REASON, der.octets(der.tlv(der.ENUMERATED, bytes((code,)))))  # RFC 5280 5.3.1
    if since is not None:
        extensions += der.sequence(_INVALIDITY_DATE, der.octets(der.generalized_time(since)))  # RFC 5280 5.3.2
    more = der.sequence(extensions) if extensions else b""
    return der.sequence(der.integer(int(serial, 16)), der.certificate_time(when), more)


def note_listed(session: Session, record: CertificateRecord, epoch: int, now: datetime) -> None:
    """A certificate was revoked or suspended: from here on lists say so."""
    assert record.revoked_at is not None
    listed = Listed(
        serial=record.serial,
        shard=record.crl_shard,
        not_after=record.not_after,
        revoked_at=record.revoked_at,
        reason=record.revocation_reason or "unspecified",
        suspect_since=record.suspect_since,
        epoch=epoch,
    )
    _replace(session, record, _listed_row(record.issuer, listed, epoch, now))


def note_reinstated(session: Session, record: CertificateRecord, epoch: int, now: datetime) -> None:
    """A hold was lifted: complete lists say nothing any more, deltas say removeFromCRL (RFC 5280 5.2.4)."""
    row = _removed_row(record.issuer, record.serial, record.crl_shard, record.not_after, epoch, now)
    _replace(session, record, row)


def restore_entries(session: Session, authority: str, now: datetime) -> int:
    """Make all entries of an authority anew from the inventory, as after an upgrade; how many there are."""
    session.execute(delete(_TABLE).where(_TABLE.c.authority == authority))
    rows: list[dict[str, Any]] = []
    count = 0
    listed = (_listed_row(authority, each, each.epoch or 0, now) for each in listed_certificates(session, authority))
    removed = (
        _removed_row(authority, serial, shard, not_after, changed, now)
        for serial, shard, not_after, changed in reinstated_certificates(session, authority)
    )
    for source in (listed, removed):
        for row in source:
            rows.append(row)
            count += 1
            if len(rows) == _BATCH:
                session.execute(insert(_TABLE), rows)
                rows.clear()
    if rows:
        session.execute(insert(_TABLE), rows)
    return count


class EntryStream:
    """The entries of an extent by shard and serial, many at a time. Afterwards `cuts` says at which serials of each shard it paused."""

    def __init__(self, session: Session, extent: Extent) -> None:
        self._session = session
        self._extent = extent
        self.cuts: dict[int, list[str]] = {}

    def __iter__(self) -> Iterator[list[bytes]]:
        c = _TABLE.c
        # A delta is little of much: the sum, which no index has, keeps SQLite from reading all of it because that is in order.
        shard: ColumnElement[int] = c.shard if self._extent.after is None else c.shard + 0
        query = _within(select(c.entry, c.shard), self._extent).order_by(shard, c.serial)
        with closing(stream(self._session, query, _READ)) as batches:
            for batch in batches:
                last, at = batch[-1]
                with suppress(ValueError):  # damaged: whoever compares will see it
                    self.cuts.setdefault(at, []).append(parse_entry(last)[0])
                yield [entry for entry, _ in batch]


def find_changes(session: Session, authority: str, after: int, shard: int | None = None) -> Changes | None:
    """What changed after an epoch in one shard, or in all (None)."""
    c = _TABLE.c
    query = select(func.min(c.changed_at), func.max(case((c.is_urgent, 1), else_=0))).where(
        c.authority == authority, c.epoch > after
    )
    if shard is not None:
        query = query.where(c.shard == shard)
    since, urgent = session.execute(query).one()
    return None if since is None else Changes(since, bool(urgent))


def _within(query: Select[Any], extent: Extent) -> Select[Any]:
    c = _TABLE.c
    query = query.where(c.authority == extent.authority)
    if extent.shard != FULL:
        query = query.where(c.shard == extent.shard)
    if extent.after is not None:
        return query.where(c.epoch > extent.after)
    query = query.where(c.is_listed)
    return query if extent.kept_from is None else query.where(c.kept_until >= extent.kept_from)


def _replace(session: Session, record: CertificateRecord, row: dict[str, Any]) -> None:
    c = _TABLE.c
    session.execute(
        delete(_TABLE).where(c.authority == row["authority"], c.shard == row["shard"], c.serial == record.serial)
    )
    session.execute(insert(_TABLE), row)


def _listed_row(authority: str, listed: Listed, epoch: int, now: datetime) -> dict[str, Any]:
    code = REASON_CODES.get(listed.reason)
    return {
        "authority": authority,
        "shard": listed.shard or FULL,
        "serial": listed.serial,
        "entry": build_entry(listed.serial, listed.revoked_at, code, listed.suspect_since),
        "is_listed": True,
        "is_urgent": listed.reason in URGENT,
        "kept_until": max(listed.not_after, listed.revoked_at),
        "epoch": epoch,
        "changed_at": now,
    }


def _removed_row(
    authority: str, serial: str, shard: int | None, not_after: datetime, epoch: int, now: datetime
) -> dict[str, Any]:
    return {
        "authority": authority,
        "shard": shard or FULL,
        "serial": serial,
        "entry": build_entry(serial, now, REMOVED, None),
        "is_listed": False,
        "is_urgent": False,
        "kept_until": not_after,
        "epoch": epoch,
        "changed_at": now,
    }
