"""Service keys: those of OCSP responders, time-stamping authorities, receipts and trust stores, made, certified, renewed and handed out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from cryptography import x509
from sqlalchemy import select
from sqlalchemy.orm import Session

from certs.clock import Clock
from certs.db import Database
from certs.inventory import CertificateRecord, State, find_by_key, get_certificate
from certs.names import SubjectName
from certs.profile import decide_validity
from hsm.spec import KeyRef, KeySpec, PrivateKey, PublicKey, Purpose, load_public_key, spki_der
from hsm.store import KeyStore
from pki import audit
from pki.audit import Actor
from pki.authorities import get_authority
from pki.errors import ServiceExists, ServiceNameRefused, ServiceNotReady
from pki.issuance import IssuanceRequest, IssuingDeps, decide, issue
from pki.roles import Permission, require
from pki.schemes import Scheme, scheme_for
from pki.tables import ServiceKeyRow

_NAME = re.compile(r"[a-z0-9-]{1,32}")
# How long a process may go on with what it once read of a service: a revoked responder is gone after this.
_KEPT = timedelta(seconds=60)


class ServiceKind(StrEnum):
    """What a service key signs; also the name of the first key of the kind."""

    OCSP = "ocsp"
    TSA = "tsa"
    RECEIPT = "receipt"
    TRUST_STORE = "trust-store"

    @property
    def profile(self) -> str:
        return "ocsp-responder" if self is ServiceKind.OCSP else self.value

    @property
    def purpose(self) -> Purpose:
        """What its keys may sign."""
        return _PURPOSES[self]


_PURPOSES = {
    ServiceKind.OCSP: Purpose.OCSP_RESPONDER,
    ServiceKind.TSA: Purpose.TSA,
    ServiceKind.RECEIPT: Purpose.RECEIPT,
    ServiceKind.TRUST_STORE: Purpose.TRUST_STORE,
}


class ServiceState(StrEnum):
    """PENDING has a key and no certificate yet; RETIRED signs nothing any more."""

    PENDING = "pending"
    ACTIVE = "active"
    RETIRED = "retired"


@dataclass(frozen=True)
class ServiceRecord:
    """One service key. `serial` is None while pending."""

    name: str
    kind: ServiceKind
    authority: str
    public_key_der: bytes
    serial: str | None
    state: ServiceState
    created_at: datetime


@dataclass(frozen=True)
class Service:
    """A service ready to sign. `chain` runs from the authority that certified it up to below the root."""

    name: str
    authority: str
    issuer: x509.Certificate
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    key: PrivateKey
    public_key: PublicKey
    scheme: Scheme
    not_before: datetime
    not_after: datetime


def list_services(session: Session, kind: ServiceKind | None = None) -> list[ServiceRecord]:
    """All service keys, or those of a kind, oldest first."""
    query = select(ServiceKeyRow).order_by(ServiceKeyRow.created_at, ServiceKeyRow.name)
    if kind is not None:
        query = query.where(ServiceKeyRow.kind == kind.value)
    return [_record(row) for row in session.scalars(query)]


def ensure_service(
    name: str, kind: ServiceKind, subject: SubjectName, keys: KeyStore, actor: Actor, deps: IssuingDeps,
    spec: KeySpec = KeySpec.P_256,
) -> ServiceRecord:  # fmt: skip
    """Make a service of the issuing authority, finish what an interrupted run began, or renew a certificate that is due.

    Otherwise it does nothing. A service whose certificate was revoked stays as it is: a new certificate for that key
    would undo the revocation, so rotation has to make another key.
    """
    require(actor, Permission.MANAGE_SERVICES)
    database, clock = deps.database, deps.clock
    # 1. Refuse everything that can be refused before a key exists.
    if not _NAME.fullmatch(name):
        raise ServiceNameRefused(f"{name!r} is no name", service=name[:64])
    present = _find_same(name, kind, deps)
    if present is None:
        probe = spki_der(deps.twins.get(spec).public_key())
        decide(IssuanceRequest(kind.profile, subject, probe), deps)
        # 2. The key, then the row that names it. A death in between leaves a key with this label, which the next run takes.
        ref = _find_or_make_key(name, spec, kind.purpose, keys, database)
        keys.check_protected(ref.public_key_der)
        present = _add_pending(name, kind, ref, actor, deps)
    if present.state is ServiceState.RETIRED:
        return present
    # 3. The certificate, unless there is one that will do.
    with database.read() as session:
        finished = [r for r in find_by_key(session, present.public_key_der) if r.profile == kind.profile]
    if any(r.state in (State.REVOKED, State.SUSPENDED) for r in finished):
        return present
    good = [r for r in finished if r.state is State.ACTIVE and not _is_due(r, deps)]
    if good and good[0].serial == present.serial:
        return present
    record = good[0] if good else issue(IssuanceRequest(kind.profile, subject, present.public_key_der), actor, deps)
    # 4. From here on the service signs under this certificate.
    with database.write() as session:
        row = session.get_one(ServiceKeyRow, name)
        row.serial, row.state = record.serial, ServiceState.ACTIVE.value
        action = "service.activate" if present.serial is None else "service.renew"
        audit.append(session, clock, actor, action, "service", name, serial=record.serial)
        session.flush()
        return _record(row)


def is_service_ready(session: Session, name: str, now: datetime) -> bool:
    """Whether `ensure_service` would find nothing to do yet, found out without any key."""
    row = session.get(ServiceKeyRow, name)
    if row is None or row.state == ServiceState.PENDING.value or row.serial is None:
        return False
    certificate = get_certificate(session, row.serial)
    return now < _renewal(certificate)


class ServiceDesk:
    """Hands out the services that may sign now. Built once; safe for threads."""

    def __init__(self, database: Database, keys: KeyStore, clock: Clock) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self._loaded: dict[ServiceKind, tuple[datetime, tuple[Service, ...]]] = {}

    def usable(self, kind: ServiceKind, now: datetime | None = None) -> Sequence[Service]:
        """Every service of a kind whose certificate is in force, oldest key first; ServiceNotReady when there is none."""
        now = now or self._clock.now()
        read_at, services = self._loaded.get(kind, (now, ()))
        if not services or not read_at <= now < read_at + _KEPT:
            services = self._load(kind, now)
            self._loaded[kind] = (now, services)
        good = [each for each in services if each.not_before <= now <= each.not_after]
        if not good:
            raise ServiceNotReady(f"no {kind} key has a certificate in force", kind=kind.value)
        return good

    def _load(self, kind: ServiceKind, now: datetime) -> tuple[Service, ...]:
        found: list[tuple[ServiceRecord, CertificateRecord, tuple[x509.Certificate, ...]]] = []
        with self._database.read() as session:
            for record in list_services(session, kind):
                if record.state is not ServiceState.ACTIVE or record.serial is None:
                    continue
                certificate = get_certificate(session, record.serial)
                if certificate.state_at(now) is State.ACTIVE:
                    found.append((record, certificate, issuers_of(session, record.authority)))
        # Keys are asked for after the last query (law 4).
        return tuple(
            Service(
                name=record.name,
                authority=record.authority,
                issuer=issuers[0],
                certificate=certificate.certificate(),
                chain=issuers[:-1],
                key=self._keys.get(record.public_key_der),
                public_key=(public_key := load_public_key(record.public_key_der)),
                # OpenSSL reads no PSS in time-stamp tokens (its PKCS7 code), so an RSA key stamps with PKCS #1 v1.5.
                scheme=scheme_for(public_key, rsa_padding="pkcs1v15" if kind is ServiceKind.TSA else "pss"),
                not_before=certificate.not_before,
                not_after=certificate.not_after,
            )
            for record, certificate, issuers in found
        )


def key_label(name: str) -> str:
    """What people see beside a service's key on the token."""
    return f"service-{name}"


def issuers_of(session: Session, authority: str) -> tuple[x509.Certificate, ...]:
    """The certificates from an authority to its root."""
    chain: list[x509.Certificate] = []
    step: str | None = authority
    while step is not None:
        record = get_authority(session, step)
        if record.serial is not None:
            chain.append(get_certificate(session, record.serial).certificate())
        step = record.parent
    return tuple(chain)


def _is_due(record: CertificateRecord, deps: IssuingDeps) -> bool:
    """Whether two thirds of its life are over and a new certificate would last longer (the issuer's own end may forbid it)."""
    now = deps.clock.now()
    if now < _renewal(record):
        return False
    issuer_end = deps.issuer.certificate.not_valid_after_utc
    return decide_validity(deps.catalogue.get(record.profile), now, issuer_end).not_after > record.not_after


def _renewal(record: CertificateRecord) -> datetime:
    return record.not_before + (record.not_after - record.not_before) * 2 / 3


def _find_same(name: str, kind: ServiceKind, deps: IssuingDeps) -> ServiceRecord | None:
    with deps.database.read() as session:
        row = session.get(ServiceKeyRow, name)
        if row is None:
            return None
        found = _record(row)
    if (found.kind, found.authority) != (kind, deps.issuer.name):
        raise ServiceExists(
            f"{name} is another service", service=name, kind=found.kind.value, authority=found.authority
        )
    return found


def _find_or_make_key(name: str, spec: KeySpec, purpose: Purpose, keys: KeyStore, database: Database) -> KeyRef:
    with database.read() as session:
        taken = {record.public_key_der for record in list_services(session)}
    for ref in keys.list_keys():
        if ref.label == key_label(name) and ref.spec is spec and ref.public_key_der not in taken:
            if ref.purpose is None:
                keys.assign_purpose(ref.public_key_der, purpose)
            if ref.purpose in {None, purpose}:
                return ref
    return keys.generate(spec, key_label(name), purpose)


def _add_pending(name: str, kind: ServiceKind, ref: KeyRef, actor: Actor, deps: IssuingDeps) -> ServiceRecord:
    row = ServiceKeyRow(
        name=name,
        kind=kind.value,
        authority=deps.issuer.name,
        public_key_der=ref.public_key_der,
        serial=None,
        state=ServiceState.PENDING.value,
        created_at=deps.clock.now(),
    )
    with deps.database.write() as session:
        session.add(row)
        audit.append(
            session, deps.clock, actor, "service.create", "service", name, kind=kind.value,
            authority=deps.issuer.name, key_id=ref.key_id.hex(), spec=ref.spec.value,
        )  # fmt: skip
        session.flush()
        return _record(row)


def _record(row: ServiceKeyRow) -> ServiceRecord:
    return ServiceRecord(
        name=row.name,
        kind=ServiceKind(row.kind),
        authority=row.authority,
        public_key_der=row.public_key_der,
        serial=row.serial,
        state=ServiceState(row.state),
        created_at=row.created_at,
    )
