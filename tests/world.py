"""A fictive public-key infrastructure for tests: a migrated database, keys in memory, `root`, `issuing`, an agency and an officer.

Everything in it is made by the same code as in production; only the key store and the clock are the tests' own. Tests
that need a token pass its store as `keys`.
"""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
import warnings
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from api.migrations.runner import upgrade
from certs.catalogue import Catalogue, read_catalogue
from certs.db import Database
from certs.inventory import CertificateRecord, get_certificate
from certs.lint.second_opinion import SecondOpinion
from certs.names import parse_subject
from hsm.memory_store import InsecureKeyStoreWarning, MemoryStore
from hsm.spec import KeyRef, KeySpec, Purpose
from hsm.store import KeyStore
from pki.appointment import PersonDeps
from pki.approval_rules import ApprovalRules
from pki.audit import Actor
from pki.ceremony import CeremonyDeps, create_issuing, create_root
from pki.crl import CrlDeps, CrlRecord, sign_crl
from pki.issuance import IssuanceRequest, IssuingDeps, TwinKeys, issue
from pki.issuer import Issuer, load_issuer
from pki.revocation import RevocationDeps, revoke
from pki.roles import Role
from tests import postgres
from tests.fakes.clock import FixedClock

PUBLIC_URL = "http://pki.huonggiang.example"
AGENCY = "TRUNG TÂM PHỤC VỤ HÀNH CHÍNH CÔNG THÀNH PHỐ HƯƠNG GIANG"
ROOT_SUBJECT = "CN=Hương Giang Root CA,O=Sở Khoa học và Công nghệ Hương Giang,C=VN"
ISSUING_SUBJECT = "CN=Hương Giang Issuing CA,O=Sở Khoa học và Công nghệ Hương Giang,C=VN"
SEAL_SUBJECT = f"CN={AGENCY},UID=MST:0400000001,UID=MNS:1000001,O={AGENCY},C=VN"
OFFICER_SUBJECT = f"CN=Nguyễn Thị Thử Nghiệm,T=Phó Giám đốc,UID=CCCD:000000000001,O={AGENCY},C=VN"
ADMIN = Actor("ceremony-admin", frozenset({Role.ADMIN}))


def memory_store() -> MemoryStore:
    """A MemoryStore without its warning, which is meant for everybody but tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureKeyStoreWarning)
        return MemoryStore()


@functools.cache
def second_opinion() -> SecondOpinion:
    """One linting process for all worlds of a test process: to start one takes half a second."""
    return SecondOpinion()


def empty_database(folder: Path, *, busy_timeout: float = 5.0) -> Database:
    """A database without a table: an SQLite file in the folder, or one on PostgreSQL when the tests run there."""
    url = postgres.cluster().new() if postgres.wanted() else f"sqlite:///{folder / 'antin.db'}"
    return Database(url, busy_timeout=busy_timeout)


def new_database(folder: Path, *, busy_timeout: float = 5.0) -> Database:
    """A migrated database without a row."""
    if postgres.wanted():
        return Database(postgres.cluster().migrated(), busy_timeout=busy_timeout)
    shutil.copy(_migrated(), folder / "antin.db")
    return empty_database(folder, busy_timeout=busy_timeout)


@functools.cache
def _migrated() -> Path:
    """An SQLite file with this release's schema, made once a test process and only copied."""
    folder = _template_folder("migrated")
    database = empty_database(folder)
    upgrade(database.engine)
    database.close()
    return _sole_file(folder)


def _template_folder(name: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix=f"antin-{name}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _sole_file(folder: Path) -> Path:
    """The database's file, with everything in it: SQLite takes what it kept beside it along when the last connection closes."""
    (file,) = folder.iterdir()
    return file


@dataclass(frozen=True)
class Signer:
    """A certified key: what a credential is made of."""

    ref: KeyRef
    record: CertificateRecord


@dataclass
class World:
    """The infrastructure. `root` and `issuing` are loaded issuers."""

    database: Database
    clock: FixedClock
    keys: KeyStore
    catalogue: Catalogue
    root: Issuer
    issuing: Issuer
    twins: TwinKeys = field(default_factory=TwinKeys)
    approvals: ApprovalRules = field(default_factory=ApprovalRules)

    @property
    def issuing_deps(self) -> IssuingDeps:
        return IssuingDeps(
            self.database, self.clock, self.issuing, self.catalogue, self.twins, approvals=self.approvals
        )

    @property
    def revocation_deps(self) -> RevocationDeps:
        return RevocationDeps(self.database, self.clock, self.approvals)

    @property
    def person_deps(self) -> PersonDeps:
        return PersonDeps(self.database, self.clock, self.approvals)

    @property
    def crl_deps(self) -> CrlDeps:
        return CrlDeps(self.database, self.clock)

    def certify(self, profile: str, subject: str, *, spec: KeySpec = KeySpec.P_256, label: str = "leaf") -> Signer:
        """A new key and its certificate."""
        ref = self.keys.generate(spec, label, Purpose.DOCUMENT)
        request = IssuanceRequest(profile, parse_subject(subject), ref.public_key_der)
        return Signer(ref, issue(request, ADMIN, self.issuing_deps))

    def seal(self, *, spec: KeySpec = KeySpec.P_256) -> Signer:
        return self.certify("agency-seal", SEAL_SUBJECT, spec=spec, label="seal")

    def officer(self, *, spec: KeySpec = KeySpec.P_256) -> Signer:
        return self.certify("officer", OFFICER_SUBJECT, spec=spec, label="officer")

    def revoke(self, serial: str, reason: str = "keyCompromise", **since: float) -> CertificateRecord:
        """Revoke now; `revoke(serial, days=3)` makes it suspect since three days."""
        suspect = self.clock.now() - timedelta(**since) if since else None
        return revoke(serial, reason, ADMIN, self.revocation_deps, since=suspect)

    def crls(self) -> tuple[CrlRecord, CrlRecord]:
        """Fresh CRLs of root and issuing."""
        return sign_crl(self.root, ADMIN, self.crl_deps), sign_crl(self.issuing, ADMIN, self.crl_deps)

    def record(self, serial: str) -> CertificateRecord:
        """The inventory's record of a certificate."""
        with self.database.read() as session:
            return get_certificate(session, serial)

    def close(self) -> None:
        postgres.discard(self.database)
        self.keys.close()


def build_world(
    folder: Path,
    *,
    keys: KeyStore | None = None,
    clock: FixedClock | None = None,
    root_spec: KeySpec = KeySpec.P_384,
    issuing_spec: KeySpec = KeySpec.P_256,
    apart: bool = False,
) -> World:
    """Make all of it in a folder. The caller closes it.

    Its ceremonies are held once a test process; where nobody wishes for anything special, a world is a copy of that one.
    One that stands `apart` has authorities with other keys.
    """
    if not apart and (keys, clock, root_spec, issuing_spec) == (None, None, KeySpec.P_384, KeySpec.P_256):
        return _copied_world(folder)
    return _world(new_database(folder), clock or FixedClock(), keys or memory_store(), root_spec, issuing_spec)


def _world(database: Database, clock: FixedClock, keys: KeyStore, root_spec: KeySpec, issuing_spec: KeySpec) -> World:
    """A world with ceremonies of its own."""
    catalogue, twins = read_catalogue(), TwinKeys(second_opinion())
    deps = CeremonyDeps(database, clock, keys, catalogue, PUBLIC_URL, twins, approvals=ApprovalRules())
    create_root("root", parse_subject(ROOT_SUBJECT), ADMIN, deps, spec=root_spec)
    create_issuing("issuing", "root", parse_subject(ISSUING_SUBJECT), ADMIN, deps, spec=issuing_spec)
    return _assembled(database, clock, keys, catalogue, twins)


@functools.cache
def _template(*, on_postgresql: bool) -> tuple[MemoryStore, Path | str]:
    """Keys and rows of a world that is only copied: on SQLite a file, on PostgreSQL the name of a database.

    By the database too: some tests want PostgreSQL in a run on SQLite.
    """
    folder, keys = _template_folder("world"), memory_store()
    database = new_database(folder)
    _world(database, FixedClock(), keys, KeySpec.P_384, KeySpec.P_256)
    database.close()
    return keys, str(database.url.database) if on_postgresql else _sole_file(folder)


def _copied_world(folder: Path) -> World:
    template, rows = _template(on_postgresql=postgres.wanted())
    keys = memory_store()
    for held in template._held.values():
        assert held.key is not None
        keys.hold(held.key, held.ref.label, held.ref.purpose)
    if isinstance(rows, Path):
        shutil.copy(rows, folder / "antin.db")
        database = empty_database(folder)
    else:
        database = Database(postgres.cluster().new(rows))
    return _assembled(database, FixedClock(), keys, read_catalogue(), TwinKeys(second_opinion()))


def _assembled(database: Database, clock: FixedClock, keys: KeyStore, catalogue: Catalogue, twins: TwinKeys) -> World:
    return World(
        database=database,
        clock=clock,
        keys=keys,
        catalogue=catalogue,
        root=load_issuer(database, keys, "root", PUBLIC_URL),
        issuing=load_issuer(database, keys, "issuing", PUBLIC_URL),
        twins=twins,
    )
