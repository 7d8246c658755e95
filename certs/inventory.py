"""The inventory: which certificates exist or were about to, and in what state. All calls run in the caller's session."""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, cast

from cryptography import x509
from sqlalchemy import Connection, Row, Select, Table, bindparam, case, func, insert, select, update
from sqlalchemy.orm import Session

from certs.db import connection_of, hold
from certs.errors import CertificateNotFound
from certs.prepared import Prepared
from certs.shared_primes import KnownKey
from certs.tables import CertificateRow, IdentifierRow
from hsm.spec import key_id_of


class State(StrEnum):
    """The life of a certificate. EXPIRED is never stored: time alone makes it."""

    INTENT = "intent"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True)
class CertificateRecord:
    """One certificate of the inventory. `der` and `sha256` are None while it is an intent, or was revoked as one."""

    serial: str
    profile: str
    subject: str
    common_name: str
    organization: str
    issuer: str
    state: State
    not_before: datetime
    not_after: datetime
    tbs: bytes
    der: bytes | None
    sha256: str | None
    public_key_der: bytes
    key_id: str
    revoked_at: datetime | None
    revocation_reason: str | None
    suspect_since: datetime | None
    created_at: datetime
    crl_shard: int | None = None
    # The serial of the certificate that this one follows.
    replaces: str | None = None

    def state_at(self, now: datetime) -> State:
        """The state as people see it: what is not revoked has expired once its time is over."""
        if self.state in (State.ACTIVE, State.SUSPENDED) and now > self.not_after:
            return State.EXPIRED
        return self.state

    def certificate(self) -> x509.Certificate:
        """The certificate itself; CertificateNotFound for one that was never finished."""
        if self.der is None:
            raise CertificateNotFound(f"{self.serial} was never finished", serial=self.serial)
        return x509.load_der_x509_certificate(self.der)


@dataclass(frozen=True)
class RevocationState:
    """The little of a record that a status answer needs."""

    issuer: str
    state: State
    not_after: datetime
    revoked_at: datetime | None
    revocation_reason: str | None
    suspect_since: datetime | None


@dataclass(frozen=True)
class NewCertificate:
    """What is about to be signed."""

    serial: str
    profile: str
    subject: str
    common_name: str
    organization: str
    issuer: str
    not_before: datetime
    not_after: datetime
    tbs: bytes
    public_key_der: bytes
    created_at: datetime
    # Numbers of the holder, as the subject has them.
    identifiers: tuple[str, ...] = ()
    crl_shard: int | None = None
    replaces: str | None = None
    key_id: str = field(init=False)

    def __post_init__(self) -> None:
        # Asked for four times before it is issued.
        object.__setattr__(self, "key_id", key_id_of(self.public_key_der).hex())


_TABLE = cast("Table", CertificateRow.__table__)
_IDENTIFIERS = cast("Table", IdentifierRow.__table__)
# What a certificate has only later.
_OF_LATER = {"der", "sha256", "revoked_at", "revocation_reason", "suspect_since", "crl_epoch"}
_ADD_INTENT = Prepared(
    insert(_TABLE).values({name: bindparam(name) for name in _TABLE.c.keys() if name not in _OF_LATER})  # noqa: SIM118  its own method
)
_ADD_IDENTIFIERS = Prepared(insert(_IDENTIFIERS).values(serial=bindparam("serial"), value=bindparam("value")))
_COMPLETE = Prepared(
    update(_TABLE)
    .where(_TABLE.c.serial == bindparam("wanted"))
    .values(
        der=bindparam("finished"),
        sha256=bindparam("digest"),
        state=case((_TABLE.c.state == State.INTENT.value, State.ACTIVE.value), else_=_TABLE.c.state),
    )
    .returning(_TABLE.c.state, _TABLE.c.revoked_at, _TABLE.c.revocation_reason, _TABLE.c.suspect_since)
)


def add_intent(within: Session | Connection, new: NewCertificate) -> None:
    """Store what is about to be signed. The database refuses a serial that it has seen (IntegrityError)."""
    add_intents(within, [new])


def add_intents(within: Session | Connection, many: Sequence[NewCertificate]) -> None:
    """Store all that is about to be signed: all of it or nothing."""
    connection = connection_of(within)
    _ADD_INTENT.run_many(connection, [_row_of(new) for new in many])
    identifiers = [{"serial": new.serial, "value": value} for new in many for value in dict.fromkeys(new.identifiers)]
    if identifiers:
        _ADD_IDENTIFIERS.run_many(connection, identifiers)


def _row_of(new: NewCertificate) -> dict[str, Any]:
    return {
        **vars(new),
        "search_text": f"{fold(new.subject)} {new.serial}",
        "organization_text": _fold_organization(new.organization),
        "state": State.INTENT.value,
    }


def complete(within: Session | Connection, new: NewCertificate, der: bytes) -> CertificateRecord:
    """Turn an intent into a certificate. One that was revoked meanwhile stays revoked."""
    return complete_all(within, [(new, der)])[0]


def complete_all(
    within: Session | Connection, finished: Sequence[tuple[NewCertificate, bytes]]
) -> list[CertificateRecord]:
    """Turn intents into certificates; the records in the same order."""
    connection = connection_of(within)
    hold(connection, *(lock_name(new.serial) for new, _ in finished))
    records = []
    for new, der in finished:
        sha256 = hashlib.sha256(der).hexdigest()
        rows = _COMPLETE.run(connection, {"wanted": new.serial, "finished": der, "digest": sha256})
        if not rows:
            raise CertificateNotFound(f"no certificate {new.serial}", serial=new.serial)
        records.append(_finished(new, der, sha256, rows[0]))
    return records


def _finished(new: NewCertificate, der: bytes, sha256: str, row: Sequence[Any]) -> CertificateRecord:
    """The record of what was stored as an intent and is finished now. `row` is what may have happened to it in between."""
    state, revoked_at, revocation_reason, suspect_since = row
    return CertificateRecord(
        serial=new.serial,
        profile=new.profile,
        subject=new.subject,
        common_name=new.common_name,
        organization=new.organization,
        issuer=new.issuer,
        state=State(state),
        not_before=new.not_before,
        not_after=new.not_after,
        tbs=new.tbs,
        der=der,
        sha256=sha256,
        public_key_der=new.public_key_der,
        key_id=new.key_id,
        revoked_at=revoked_at,
        revocation_reason=revocation_reason,
        suspect_since=suspect_since,
        created_at=new.created_at,
        crl_shard=new.crl_shard,
        replaces=new.replaces,
    )


def set_state(
    session: Session,
    serial: str,
    state: State,
    *,
    revoked_at: datetime | None = None,
    reason: str | None = None,
    suspect_since: datetime | None = None,
    crl_epoch: int | None = None,
) -> CertificateRecord:
    """Write a decision of pki/revocation.py, which alone knows what may follow what. `crl_epoch`: the issuer's, counting this."""
    row = _row(session, serial, lock=True)
    row.state = state.value
    row.crl_epoch = crl_epoch
    row.revoked_at, row.revocation_reason, row.suspect_since = revoked_at, reason, suspect_since
    session.flush()
    return record_of(row)


def get_certificate(session: Session, serial: str, *, lock: bool = False) -> CertificateRecord:
    """The certificate of a serial, or CertificateNotFound. `lock` keeps the row until the transaction ends."""
    return record_of(_row(session, serial, lock=lock))


@dataclass(frozen=True)
class Standing:
    """Whether a certificate is in force, without the certificate itself."""

    serial: str
    state: State
    not_before: datetime
    not_after: datetime
    revoked_at: datetime | None
    revocation_reason: str | None


@functools.cache
def select_standings(count: int) -> Select[Any]:
    """The query for so many standings, to be run with `of_serials`; a caller may add columns of his own behind these.

    Made once for each number: building it anew, or writing the list into it each time, costs more than running it, and every
    signature asks.
    """
    return select(
        _TABLE.c.serial,
        _TABLE.c.state,
        _TABLE.c.not_before,
        _TABLE.c.not_after,
        _TABLE.c.revoked_at,
        _TABLE.c.revocation_reason,
    ).where(_TABLE.c.serial.in_([bindparam(f"serial_{each}") for each in range(count)]))


def of_serials(serials: Sequence[str]) -> dict[str, Any]:
    """What `select_standings` is run with."""
    return {f"serial_{each}": serial for each, serial in enumerate(serials)}


def standings_in(rows: Iterable[Sequence[Any]], serials: Sequence[str]) -> list[Standing]:
    """What `select_standings` found, in the order of the serials; CertificateNotFound for one that is not there."""
    found = {row[0]: Standing(row[0], State(row[1]), *row[2:6]) for row in rows}
    missing = next((serial for serial in serials if serial not in found), None)
    if missing is not None:
        raise CertificateNotFound(f"no certificate {missing}", serial=missing)
    return [found[serial] for serial in serials]


def get_standings(within: Session | Connection, serials: Sequence[str], *, keep: bool = False) -> list[Standing]:
    """The standing of each serial, in the order given; CertificateNotFound for one that is not there. One query.

    With `keep` none of them changes before the transaction ends: a revocation waits for it, or has come before it.
    """
    if keep:
        keep_standings(within, serials)
    return standings_in(_prepared_standings(len(serials)).run(connection_of(within), of_serials(serials)), serials)


def keep_standings(within: Session | Connection, serials: Sequence[str]) -> None:
    """Let none of these change before the transaction ends: a revocation waits for it, or has come before it."""
    hold(within, *map(lock_name, serials), shared=True)


@functools.cache
def _prepared_standings(count: int) -> Prepared:
    return Prepared(select_standings(count))


_REVOCATION = select(
    _TABLE.c.serial,
    _TABLE.c.issuer,
    _TABLE.c.state,
    _TABLE.c.not_after,
    _TABLE.c.revoked_at,
    _TABLE.c.revocation_reason,
    _TABLE.c.suspect_since,
)
# For queries of rooms above that need a certificate's revocation state beside rows of their own: the columns of
# RevocationState behind the serial, of all that was signed.
REVOCATIONS = _REVOCATION.where(_TABLE.c.der.is_not(None)).subquery("revocations")


def revocation_states(within: Session | Connection, serials: Sequence[str]) -> dict[str, RevocationState]:
    """What OCSP says about certificates, by serial; those that were never issued are not in it. One query."""
    rows = _prepared_revocations(len(serials)).run(connection_of(within), of_serials(serials))
    return {row[0]: revocation_state_of(row) for row in rows}


@functools.cache
def _prepared_revocations(count: int) -> Prepared:
    return Prepared(_REVOCATION.where(_TABLE.c.serial.in_([bindparam(f"serial_{each}") for each in range(count)])))


def revocation_state_of(row: Sequence[Any]) -> RevocationState:
    """What a row that begins with the columns of REVOCATIONS says."""
    return RevocationState(row[1], State(row[2]), *row[3:7])


def find_by_sha256(session: Session, sha256: str) -> CertificateRecord | None:
    """The certificate with this fingerprint."""
    row = session.scalars(select(CertificateRow).where(CertificateRow.sha256 == sha256.lower())).one_or_none()
    return record_of(row) if row is not None else None


def find_by_key(session: Session, public_key_der: bytes) -> list[CertificateRecord]:
    """Every certificate for this key, newest first."""
    key_id = key_id_of(public_key_der).hex()
    query = select(CertificateRow).where(CertificateRow.key_id == key_id)
    newest_first = query.order_by(CertificateRow.created_at.desc(), CertificateRow.serial.desc())
    return [record_of(row) for row in session.scalars(newest_first)]


def find_successors(session: Session, serial: str) -> list[CertificateRecord]:
    """Every certificate that was issued to follow this one, newest first; intents among them."""
    query = select(CertificateRow).where(CertificateRow.replaces == serial)
    newest_first = query.order_by(CertificateRow.created_at.desc(), CertificateRow.serial.desc())
    return [record_of(row) for row in session.scalars(newest_first)]


# An RSA key of 1024 bits takes 162 octets as SubjectPublicKeyInfo, a point on P-384 takes 120.
_LONGER_THAN_A_POINT = 150


def rsa_keys_since(session: Session, since: datetime | None) -> list[KnownKey]:
    """Every RSA key with a certificate or an intent of this time or later; without one, all of them."""
    query = select(CertificateRow.key_id, CertificateRow.public_key_der, CertificateRow.created_at).where(
        func.length(CertificateRow.public_key_der) > _LONGER_THAN_A_POINT
    )
    if since is not None:
        query = query.where(CertificateRow.created_at >= since)
    return [KnownKey(*row) for row in session.execute(query)]


def fold(text: str) -> str:
    """Plain small letters for searching: marks off, đ as d (which Unicode does not decompose)."""
    base = unicodedata.normalize("NFD", text.casefold().replace("đ", "d"))
    # A text has many marks, and few kinds of them.
    for character in set(_NOT_ASCII.findall(base)):
        if unicodedata.combining(character):
            base = base.replace(character, "")
    return unicodedata.normalize("NFC", base)


_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
# An agency's certificates are issued one after the other.
_fold_organization = functools.lru_cache(maxsize=256)(fold)


def lock_name(serial: str) -> str:
    return f"certificate {serial}"


def _row(session: Session, serial: str, *, lock: bool) -> CertificateRow:
    if lock:
        hold(session, lock_name(serial))
    row = session.get(CertificateRow, serial, with_for_update=lock)
    if row is None:
        raise CertificateNotFound(f"no certificate {serial}", serial=serial)
    return row


def record_of(row: CertificateRow | Row[Any]) -> CertificateRecord:
    """The record of a whole row, for queries of this package."""
    return CertificateRecord(
        serial=row.serial,
        profile=row.profile,
        subject=row.subject,
        common_name=row.common_name,
        organization=row.organization,
        issuer=row.issuer,
        state=State(row.state),
        not_before=row.not_before,
        not_after=row.not_after,
        tbs=row.tbs,
        der=row.der,
        sha256=row.sha256,
        public_key_der=row.public_key_der,
        key_id=row.key_id,
        revoked_at=row.revoked_at,
        revocation_reason=row.revocation_reason,
        suspect_since=row.suspect_since,
        created_at=row.created_at,
        crl_shard=row.crl_shard,
        replaces=row.replaces,
    )
