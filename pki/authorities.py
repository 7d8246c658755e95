"""The register of our certificate authorities: names, parents, states and counters. All calls run in the caller's session."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, Row, Table, bindparam, select, update
from sqlalchemy.orm import Session

from certs.db import connection_of
from certs.errors import CertificateNotFound
from certs.inventory import State, get_certificate, keep_standings, of_serials, select_standings
from certs.prepared import Prepared
from pki.errors import AuthorityUnknown, PartitionsRefused
from pki.tables import AuthorityRow

_NAME = re.compile(r"[a-z0-9-]{1,32}")
# Each is a list and a delta of its own to be signed within half of its life.
MOST_PARTITIONS = 1024


def is_name(text: str) -> bool:
    """Whether an authority could be called so. What could not is no question for the database: PostgreSQL takes no NUL."""
    return _NAME.fullmatch(text) is not None


class AuthorityState(StrEnum):
    """PENDING has a key and no certificate yet; RETIRED signs nothing but CRL."""

    PENDING = "pending"
    ACTIVE = "active"
    RETIRED = "retired"


@dataclass(frozen=True)
class AuthorityRecord:
    """One authority. `parent` is None for a root, `serial` None while pending."""

    name: str
    parent: str | None
    profile: str
    subject: str
    public_key_der: bytes
    serial: str | None
    state: AuthorityState
    created_at: datetime
    crl_number: int
    revocation_epoch: int
    crl_partitions: int = 0


def add_pending(
    session: Session,
    now: datetime,
    *,
    name: str,
    parent: str | None,
    profile: str,
    subject: str,
    public_key_der: bytes,
) -> None:
    """Note an authority whose key exists, before it has a certificate."""
    session.add(
        AuthorityRow(
            name=name,
            parent=parent,
            profile=profile,
            subject=subject,
            public_key_der=public_key_der,
            serial=None,
            state=AuthorityState.PENDING.value,
            created_at=now,
            crl_number=0,
            revocation_epoch=0,
        )
    )
    session.flush()


def activate(session: Session, name: str, serial: str) -> AuthorityRecord:
    """Give a pending authority its certificate."""
    row = _row(session, name)
    row.serial, row.state = serial, AuthorityState.ACTIVE.value
    session.flush()
    return _record(row)


def get_authority(session: Session, name: str) -> AuthorityRecord:
    """The authority of this name, or AuthorityUnknown."""
    return _record(_row(session, name))


def find_authority(session: Session, name: str) -> AuthorityRecord | None:
    """The authority of this name, if there is one."""
    row = session.get(AuthorityRow, name) if is_name(name) else None
    return _record(row) if row is not None else None


_TABLE = cast("Table", AuthorityRow.__table__)
# Every issuance asks.
_STATE = Prepared(select(_TABLE.c.state).where(_TABLE.c.name == bindparam("wanted")))
_OWN = select_standings(1).subquery("own")
_ISSUER = Prepared(
    select(
        select(_TABLE.c.state).where(_TABLE.c.name == bindparam("wanted")).scalar_subquery(),
        _OWN.c.state,
        _OWN.c.not_after,
    )
)
_OWNER = Prepared(
    select(_TABLE.c.name, _TABLE.c.profile, _TABLE.c.subject, _TABLE.c.serial).where(
        _TABLE.c.public_key_der == bindparam("wanted")
    )
)


class IssuerStanding(NamedTuple):
    """The state of an authority, and the state and the end of its own certificate."""

    state: AuthorityState
    own: State
    own_not_after: datetime


def get_issuer_standing(connection: Connection, name: str, serial: str, *, keep: bool = False) -> IssuerStanding:
    """The standing of an authority and of a certificate of its own; AuthorityUnknown or CertificateNotFound. One query.

    With `keep` the certificate's does not change before the transaction ends.
    """
    if keep:
        keep_standings(connection, [serial])
    rows = _ISSUER.run(connection, {"wanted": name, **of_serials([serial])}) if is_name(name) else []
    if not rows or rows[0][0] is None:
        # One of the two is missing, and each has its own error.
        _check_known(connection, name)
        raise CertificateNotFound(f"no certificate {serial}", serial=serial)
    state, own, own_not_after = rows[0]
    return IssuerStanding(AuthorityState(state), State(own), own_not_after)


def _check_known(connection: Connection, name: str) -> None:
    if not is_name(name) or not _STATE.run(connection, {"wanted": name}):
        raise AuthorityUnknown(f"no authority {name!r}", authority=name, valid="")


@dataclass(frozen=True)
class KeyOwner:
    """The authority that has a key, certified or not, as far as somebody else who wants the key must know it."""

    name: str
    profile: str
    subject: str
    serial: str | None


def find_key_owner(within: Session | Connection, public_key_der: bytes) -> KeyOwner | None:
    """The authority that has this key."""
    rows = _OWNER.run(connection_of(within), {"wanted": public_key_der})
    return KeyOwner(*rows[0]) if rows else None


def find_issuing_today(session: Session, name: str, now: datetime) -> str:
    """Who issues today what this authority issued: itself, or after a rotation the newest of its kind below the same parent.

    When nobody does, its own name: asked to issue, it says what is the matter with it.
    """
    asked = get_authority(session, name)
    if _issues(session, asked, now):
        return name
    kin = [
        each
        for each in list_authorities(session)
        if (each.profile, each.parent) == (asked.profile, asked.parent) and _issues(session, each, now)
    ]
    return max(kin, key=lambda each: (each.created_at, each.name)).name if kin else name


def _issues(session: Session, authority: AuthorityRecord, now: datetime) -> bool:
    if authority.state is not AuthorityState.ACTIVE or authority.serial is None:
        return False
    return get_certificate(session, authority.serial).state_at(now) is State.ACTIVE


def list_authorities(session: Session) -> list[AuthorityRecord]:
    """All of them: parents before children, active before others, then by name."""
    records = [_record(row) for row in session.scalars(select(AuthorityRow))]
    parents = {record.name: record.parent for record in records}

    def depth(name: str) -> int:
        parent = parents[name]
        return 0 if parent is None else 1 + depth(parent)

    return sorted(records, key=lambda r: (depth(r.name), r.state is not AuthorityState.ACTIVE, r.name))


def next_crl_number(session: Session, name: str) -> int:
    """One more than ever before (RFC 5280 5.2.3). The update holds the row, so two builders never get one number."""
    number: int | None = session.scalar(
        update(AuthorityRow)
        .where(AuthorityRow.name == name)
        .values(crl_number=AuthorityRow.crl_number + 1)
        .returning(AuthorityRow.crl_number)
    )
    if number is None:
        raise _unknown(session, name)
    return number


def note_revocation_change(session: Session, name: str) -> int:
    """Something on this authority's CRL has changed, so its last CRL is out of date. The number of this change."""
    epoch: int | None = session.scalar(
        update(AuthorityRow)
        .where(AuthorityRow.name == name)
        .values(revocation_epoch=AuthorityRow.revocation_epoch + 1)
        .returning(AuthorityRow.revocation_epoch)
        .execution_options(synchronize_session=False)
    )
    return epoch or 0


def set_crl_partitions(session: Session, name: str, count: int) -> int:
    """Spread what this authority issues from now on over so many partitions; how many there were before.

    Partitions are never taken away: their number stands in certificates.
    """
    row = _row(session, name)
    session.refresh(row, with_for_update=True)
    before = row.crl_partitions
    if not max(before, 1) <= count <= MOST_PARTITIONS:
        raise PartitionsRefused(
            f"{count} partitions for {name}, which has {before}",
            authority=name,
            count=str(count),
            least=str(max(before, 1)),
            most=str(MOST_PARTITIONS),
        )
    row.crl_partitions = count
    session.flush()
    return before


def _row(session: Session, name: str) -> AuthorityRow:
    row = session.get(AuthorityRow, name) if is_name(name) else None
    if row is None:
        raise _unknown(session, name)
    return row


def _unknown(session: Session, name: str) -> AuthorityUnknown:
    names = ", ".join(session.scalars(select(AuthorityRow.name).order_by(AuthorityRow.name)))
    return AuthorityUnknown(f"no authority {name!r}", authority=name, valid=names)


def _record(row: AuthorityRow | Row[Any]) -> AuthorityRecord:
    return AuthorityRecord(
        name=row.name,
        parent=row.parent,
        profile=row.profile,
        subject=row.subject,
        public_key_der=row.public_key_der,
        serial=row.serial,
        state=AuthorityState(row.state),
        created_at=row.created_at,
        crl_number=row.crl_number,
        revocation_epoch=row.revocation_epoch,
        crl_partitions=row.crl_partitions,
    )
