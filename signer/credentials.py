"""Credentials: who signs with which key. The desk hands out those that may sign now, with everything a signature needs."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from sqlalchemy import Connection, bindparam, select
from sqlalchemy.orm import Session

from certs.clock import Clock, rfc3339
from certs.db import Database, hold
from certs.inventory import Standing, State, get_certificate, get_standings, of_serials, select_standings, standings_in
from certs.outside import OutsideCertificate, end_outside, get_outside
from certs.prepared import Prepared
from hsm.spec import PrivateKey, PublicKey, load_public_key
from hsm.store import KeyStore
from pki.authorities import AuthorityRecord, get_authority
from pki.errors import IssuerNotGood
from pki.schemes import Scheme
from signer.cms import CmsTemplate
from signer.errors import Refused, UsageWrong
from signer.official_standing import OfficialStanding
from signer.tables import CredentialRow

OFFICER, SEAL = "officer", "seal"
# Which profile makes which kind of signer.
ROLE_OF_PROFILE = {"officer": OFFICER, "agency-seal": SEAL}
STANDING, CONSENT = "standing", "consent"
# The activation of a credential whose key is elsewhere (outside_credentials.py).
OUTSIDE = "outside"
_SERIAL_OF = select(CredentialRow.certificate_serial).where(CredentialRow.name == bindparam("name")).scalar_subquery()
_OWN = CredentialRow.activation != OUTSIDE
_NAME = re.compile(r"[a-z0-9-]{1,32}")
# How many credentials an answer names.
_MOST_NAMED = 20


@dataclass(frozen=True)
class NewCredential:
    """A credential to be registered. The key is in the store and the certificate in the inventory already."""

    name: str
    role: str
    agency: str
    public_key_der: bytes
    certificate_serial: str
    scheme: Scheme
    image_sha256: str | None
    diameter_mm: float | None
    # The certificate is none of the inventory's: others have issued it.
    outside_sha256: str | None = None


@dataclass(frozen=True)
class CredentialSummary:
    """A credential as lists and the doctor show it."""

    name: str
    role: str
    activation: str
    agency: str
    certificate_serial: str
    public_key_der: bytes
    image_sha256: str | None
    diameter_mm: float | None
    outside_sha256: str | None = None


@dataclass(frozen=True)
class Signatory:
    """Whose signature it will be, wherever the key is. `name`: the credential's, None for a certificate that nobody has enrolled."""

    name: str | None
    role: str
    agency: str
    common_name: str
    serial: str
    image_sha256: str | None
    diameter_mm: float | None
    template: CmsTemplate
    public_key: PublicKey


@dataclass(frozen=True)
class Credential(Signatory):
    """A credential ready to sign."""

    name: str
    public_key_der: bytes
    authorities: tuple[str, ...]
    keys: KeyStore
    # As it was when it was looked up: the commit of an intent asks again (activation.py).
    activation: str = STANDING
    # An official one: its certificate is of others, and `authorities` are none.
    official: OutsideCertificate | None = None

    def key(self) -> PrivateKey:
        """The private key's handle, asked for once: it may be kept, and a key that is destroyed later says so through it."""
        return self._handle

    @functools.cached_property
    def _handle(self) -> PrivateKey:
        return self.keys.get(self.public_key_der)


def check_name(name: str) -> None:
    """Names match [a-z0-9-]{1,32}; UsageWrong NAME_MALFORMED."""
    if not _NAME.fullmatch(name):
        raise UsageWrong("CREDENTIAL_NAME_MALFORMED", name=name[:64])


def credential_exists(session: Session, name: str) -> bool:
    """Whether a credential of that name is registered."""
    return session.get(CredentialRow, name) is not None


def register_credential(session: Session, new: NewCredential, now: datetime) -> None:
    """Store a credential; UsageWrong when the name is taken or malformed. One name, one key."""
    check_name(new.name)
    hold(session, f"credential {new.name}")
    if credential_exists(session, new.name):
        raise UsageWrong("CREDENTIAL_EXISTS", name=new.name)
    session.add(CredentialRow(**(vars(new) | {"scheme": new.scheme.value}), activation=STANDING, created_at=now))


def certificate_serial_of(session: Session, name: str) -> str | None:
    """The serial of the certificate a credential signs with, or None if there is no such credential, or its certificate is none of ours."""
    row = session.get(CredentialRow, name)
    return row.certificate_serial if row and row.activation != OUTSIDE else None


def credential_of_certificate(session: Session, serial: str) -> str | None:
    """The name of the credential that signs with this certificate, or None."""
    return session.scalars(select(CredentialRow.name).where(CredentialRow.certificate_serial == serial, _OWN)).first()


def list_credentials(session: Session) -> list[CredentialSummary]:
    """All credentials by name whose key is here; the others are outside_credentials.py's."""
    rows = session.scalars(select(CredentialRow).where(_OWN).order_by(CredentialRow.name))
    return [_summary_of(row) for row in rows]


def get_credential(session: Session, name: str) -> CredentialSummary:
    """The credential of that name; UsageWrong CREDENTIAL_UNKNOWN, Refused CREDENTIAL_OUTSIDE where its key is elsewhere."""
    row = session.get(CredentialRow, name) if _NAME.fullmatch(name) else None
    if row is None:
        raise unknown_credential(session, name)
    _refuse_outside(row)
    return _summary_of(row)


def find_by_certificate(session: Session, serial: str) -> CredentialSummary | None:
    """The credential that signs with the certificate of this serial, if there is one."""
    row = session.scalars(select(CredentialRow).where(CredentialRow.certificate_serial == serial, _OWN)).first()
    return None if row is None else _summary_of(row)


def find_by_key(session: Session, public_key_der: bytes) -> CredentialSummary | None:
    """The credential that has this key, if there is one."""
    row = session.scalars(select(CredentialRow).where(CredentialRow.public_key_der == public_key_der)).first()
    return None if row is None else _summary_of(row)


def find_by_outside(session: Session, sha256: str) -> CredentialSummary | None:
    """The credential that signs with this certificate of others, if there is one."""
    row = session.scalars(select(CredentialRow).where(CredentialRow.outside_sha256 == sha256)).first()
    return None if row is None else _summary_of(row)


def set_activation(session: Session, name: str, activation: str) -> None:
    """From here on the credential signs standing, or with consent only."""
    hold(session, f"credential {name}")
    session.get_one(CredentialRow, name).activation = activation


def set_certificate(
    session: Session, name: str, serial: str, now: datetime, *, outside_sha256: str | None = None
) -> None:
    """From here on the credential signs with this certificate, which is for its key: of the inventory, or of others."""
    hold(session, f"credential {name}")
    row = session.get_one(CredentialRow, name)
    if row.outside_sha256 is not None and row.outside_sha256 != outside_sha256:
        end_outside(session, row.outside_sha256, now)
    row.certificate_serial, row.outside_sha256 = serial, outside_sha256


def unknown_credential(session: Session, name: str) -> UsageWrong:
    """What is said of a name that no credential has."""
    known = session.scalars(select(CredentialRow.name).order_by(CredentialRow.name).limit(_MOST_NAMED))
    return UsageWrong("CREDENTIAL_UNKNOWN", name=name[:64], valid=", ".join(known))


def _refuse_outside(row: CredentialRow) -> None:
    if row.activation == OUTSIDE:
        raise Refused("CREDENTIAL_OUTSIDE", name=row.name)


def _summary_of(row: CredentialRow) -> CredentialSummary:
    return CredentialSummary(
        row.name, row.role, row.activation, row.agency, row.certificate_serial, row.public_key_der, row.image_sha256,
        row.diameter_mm, row.outside_sha256,
    )  # fmt: skip


class CredentialDesk:
    """Hands out credentials that may sign now. What never changes about one is encoded once and kept."""

    def __init__(
        self, database: Database, keys: KeyStore, clock: Clock, official: OfficialStanding | None = None
    ) -> None:
        """`official`: who says how certificates of others stand; without it only lists that were brought here do."""
        self._official = official or OfficialStanding(database, clock)
        self._database = database
        self._keys = keys
        self._clock = clock
        # By name, as it was last; a renewed one has another certificate.
        self._ready: dict[str, Credential] = {}

    def usable(self, name: str) -> Credential:
        """The credential of that name; Refused unless its certificate and all above it are in force now.

        Not inside a transaction: about a certificate of others the network may be asked (Thông tư 15/2025: before signing).
        """
        credential = self._current(name)
        if credential.official is not None:
            self._official.refuse_unless_good(credential.official, name)
        return credential

    def _current(self, name: str) -> Credential:
        credential = self._ready.get(name)
        if credential is not None and self._is_as_it_was(credential):
            return credential
        with self._database.read() as session:
            # A name that none can bear is no question for the database: PostgreSQL takes no NUL.
            row = session.get(CredentialRow, name) if _NAME.fullmatch(name) else None
            if row is None:
                raise unknown_credential(session, name)
            _refuse_outside(row)
            credential = self._build(session, row)
            self.refuse_if_unusable(session, credential)
        return credential

    def _is_as_it_was(self, credential: Credential) -> bool:
        """Whether this is still the credential of its name; Refused when it is and may not sign now. One query for both."""
        if credential.official is not None:
            with self._database.read() as session:
                row = session.get(CredentialRow, credential.name)
                return row is not None and row.outside_sha256 == credential.official.sha256
        serials = (credential.serial, *credential.authorities)
        with self._database.look() as connection:
            rows = _with_serial(len(serials)).run(connection, {"name": credential.name, **of_serials(serials)})
        if any(row[-1] != credential.serial for row in rows):
            return False
        self._refuse_any(standings_in(rows, serials), credential)
        return True

    def refuse_if_unusable(self, within: Session | Connection, credential: Credential, *, keep: bool = False) -> None:
        """Ask the inventory, in the caller's transaction, whether this credential may sign now; with `keep`, until it ends.

        Of a certificate of others: what its term and the lists that are here say. The network was asked before.
        """
        if credential.official is not None:
            self._official.refuse_known_bad(within, credential.official, credential.name)
            return
        self._refuse_any(get_standings(within, (credential.serial, *credential.authorities), keep=keep), credential)

    def _refuse_any(self, standings: Iterable[Standing], credential: Credential) -> None:
        now = self._clock.now()
        for standing in standings:
            refuse_out_of_force(standing, credential.name, now)

    def any_officer(self, serials: Iterable[str], enrolled: Iterable[str] = (), officials: Iterable[str] = ()) -> bool:
        """Whether one of these certificates of ours, or one of these enrolled credentials, is that of a person who signs for an agency;
        `officials`: SHA-256 of certificates that others have issued for keys of ours.
        """
        with self._database.read() as session:
            if any(session.get_one(CredentialRow, name).role == OFFICER for name in enrolled):
                return True
            by_others = (find_by_outside(session, sha256) for sha256 in officials)
            if any(each is not None and each.role == OFFICER for each in by_others):
                return True
            return any(ROLE_OF_PROFILE.get(get_certificate(session, serial).profile) == OFFICER for serial in serials)

    def _build(self, session: Session, row: CredentialRow) -> Credential:
        if row.outside_sha256 is not None:
            return self._build_official(row, get_outside(session, row.outside_sha256))
        record = get_certificate(session, row.certificate_serial)
        authorities = _authorities(session, record.issuer)
        serials = tuple(_serial(each) for each in authorities)
        # The root stays out of the signature: a relying party must have it from elsewhere.
        above = tuple(get_certificate(session, serial).certificate() for serial in serials[:-1])
        credential = Credential(
            name=row.name,
            role=row.role,
            agency=row.agency,
            common_name=record.common_name,
            serial=record.serial,
            image_sha256=row.image_sha256,
            diameter_mm=row.diameter_mm,
            template=CmsTemplate(record.certificate(), above, Scheme(row.scheme)),
            public_key=load_public_key(row.public_key_der),
            public_key_der=row.public_key_der,
            authorities=serials,
            keys=self._keys,
            activation=row.activation,
        )
        self._ready[row.name] = credential
        return credential

    def _build_official(self, row: CredentialRow, official: OutsideCertificate) -> Credential:
        above = tuple(x509.load_der_x509_certificate(each) for each in official.path[:-1])
        credential = Credential(
            name=row.name,
            role=row.role,
            agency=row.agency,
            common_name=official.common_name,
            serial=official.serial,
            image_sha256=row.image_sha256,
            diameter_mm=row.diameter_mm,
            template=CmsTemplate(official.certificate(), above, Scheme(row.scheme)),
            public_key=load_public_key(row.public_key_der),
            public_key_der=row.public_key_der,
            authorities=(),
            keys=self._keys,
            activation=row.activation,
            official=official,
        )
        self._ready[row.name] = credential
        return credential


@functools.cache
def _with_serial(count: int) -> Prepared:
    """So many standings, and beside each the serial of the certificate that a credential signs with now."""
    return Prepared(select_standings(count).add_columns(_SERIAL_OF))


def _authorities(session: Session, issuer: str) -> list[AuthorityRecord]:
    """The issuer and all above it, the root last."""
    path = [get_authority(session, issuer)]
    while path[-1].parent is not None:
        path.append(get_authority(session, path[-1].parent))
    return path


def _serial(authority: AuthorityRecord) -> str:
    if authority.serial is None:
        raise IssuerNotGood(
            f"{authority.name} has no certificate", authority=authority.name, state=authority.state.value
        )
    return authority.serial


def refuse_out_of_force(record: Standing, name: str, now: datetime) -> None:
    """Refused unless a certificate may sign now."""
    if record.state is State.REVOKED:
        when = rfc3339(record.revoked_at) if record.revoked_at else ""
        raise Refused("CREDENTIAL_REVOKED", name=name, when=when, reason=record.revocation_reason or "unspecified")
    if record.state is State.SUSPENDED:
        raise Refused("CREDENTIAL_SUSPENDED", name=name)
    if record.state is not State.ACTIVE or now < record.not_before:
        raise Refused("CREDENTIAL_NOT_YET_VALID", name=name, when=rfc3339(record.not_before))
    if now > record.not_after:
        raise Refused("CREDENTIAL_EXPIRED", name=name, when=rfc3339(record.not_after))
