"""A process that dies at a given step of a deed: before or after any transaction, and before or after any use of a key.

The steps are counted by the database and the key that the process is given, so production code knows nothing of them. It is
forked from a server that has imported everything, and it is ended by SIGKILL: nothing is tidied up.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from sqlalchemy import URL, Connection
from sqlalchemy.orm import Session

from certs.catalogue import read_catalogue
from certs.db import Database
from certs.names import parse_subject
from hsm.handles import Scheme, sign_only_key
from hsm.messages import Message
from hsm.spec import PublicKey, Purpose, spki_der
from pki.approval_rules import ApprovalRules
from pki.crl import CrlDeps, partition_crl, publish_due
from pki.issuance import IssuanceRequest, IssuingDeps, issue
from pki.issuer import Issuer, load_issuer
from pki.revocation import RevocationDeps, reinstate, revoke
from tests.fakes.clock import FixedClock
from tests.world import ADMIN, OFFICER_SUBJECT, PUBLIC_URL, World, memory_store

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload([__name__])


class Steps:
    """Counts, and dies at one of them; at none when it is 0."""

    def __init__(self, fatal: int) -> None:
        self._fatal = fatal
        self._count = 0

    def reach(self) -> None:
        self._count += 1
        if self._count == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)


class DyingDatabase(Database):
    """A database whose user may die before a transaction, at its end before the commit, and after it."""

    def __init__(self, url: URL, steps: Steps) -> None:
        super().__init__(url)
        self.steps = steps

    @contextmanager
    def read(self) -> Iterator[Session]:
        self.steps.reach()
        with super().read() as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        self.steps.reach()
        with super().write() as session:
            yield session
            session.flush()
            self.steps.reach()
        self.steps.reach()

    @contextmanager
    def write_rows(self) -> Iterator[Connection]:
        self.steps.reach()
        with super().write_rows() as connection:
            yield connection
            self.steps.reach()
        self.steps.reach()

    @contextmanager
    def look(self) -> Iterator[Connection]:
        self.steps.reach()
        with super().look() as connection:
            yield connection

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        self.steps.reach()
        with super().glance() as connection:
            yield connection

    @contextmanager
    def at_once(self) -> Iterator[Connection]:
        self.steps.reach()
        with super().at_once() as connection:
            yield connection
            self.steps.reach()
        self.steps.reach()


@dataclass(frozen=True)
class Scene:
    """Where it happens: a database, the authority's key in a file, and a file for everything that this key ever signed."""

    url: URL
    key_file: Path
    signed: Path
    clock: FixedClock

    def messages(self) -> list[bytes]:
        """Every message that was signed, whether or not anybody kept the signature."""
        if not self.signed.exists():
            return []
        return [bytes.fromhex(line) for line in self.signed.read_text("ascii").splitlines()]


def make_scene(world: World, folder: Path) -> Scene:
    """The scene of a world, whose authority's key is made known to the dying."""
    held = next(each.key for each in world.keys._held.values() if each.ref.label == "ca-issuing")
    key_file = folder / "issuing.key"
    key_file.write_bytes(held.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Scene(world.database.url, key_file, folder / "signed", world.clock)


def die_in(deed: str, scene: Scene, fatal: int, *words: str) -> bool:
    """Do a deed in a process that dies at a step; False when it had fewer steps and came to its end."""
    process = _SERVER.Process(target=_perform, args=(deed, scene, fatal, words))
    process.start()
    process.join(120)
    assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
    return process.exitcode != 0


def _perform(deed: str, scene: Scene, fatal: int, words: tuple[str, ...]) -> None:
    steps = Steps(fatal)
    database = DyingDatabase(scene.url, Steps(0))
    key = load_pem_private_key(scene.key_file.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    keys = memory_store()
    keys.hold(key, "ca-issuing", Purpose.AUTHORITY)
    issuer = load_issuer(database, keys, "issuing", PUBLIC_URL)
    # What comes before is no step of the deed.
    database.steps = steps
    _DEEDS[deed](replace(issuer, key=_dying_key(key, scene, steps)), database, scene, *words)
    database.close()
    sys.stdout.flush()


def _dying_key(key: ec.EllipticCurvePrivateKey, scene: Scene, steps: Steps) -> ec.EllipticCurvePrivateKey:
    def sign(message: Message, _scheme: Scheme, digest: hashes.HashAlgorithm) -> bytes:
        steps.reach()
        signature = key.sign(bytes(message), ec.ECDSA(digest))
        with scene.signed.open("a", encoding="ascii") as log:
            log.write(bytes(message).hex() + "\n")
        steps.reach()
        return signature

    made = sign_only_key(key.public_key(), sign)
    assert isinstance(made, ec.EllipticCurvePrivateKey)
    return made


def _revoke(_issuer: Issuer, database: Database, scene: Scene, serial: str, reason: str) -> None:
    revoke(serial, reason, ADMIN, RevocationDeps(database, scene.clock, ApprovalRules()))


def _reinstate(_issuer: Issuer, database: Database, scene: Scene, serial: str) -> None:
    reinstate(serial, ADMIN, RevocationDeps(database, scene.clock, ApprovalRules()))


def _publish(issuer: Issuer, database: Database, scene: Scene) -> None:
    publish_due(issuer, ADMIN, CrlDeps(database, scene.clock), hurry=True)


def _partition(_issuer: Issuer, database: Database, scene: Scene, count: str) -> None:
    partition_crl("issuing", int(count), ADMIN, CrlDeps(database, scene.clock))


def _issue(issuer: Issuer, database: Database, scene: Scene) -> None:
    public_key: PublicKey = ec.generate_private_key(ec.SECP256R1()).public_key()
    request = IssuanceRequest("officer", parse_subject(OFFICER_SUBJECT), spki_der(public_key))
    issue(request, ADMIN, IssuingDeps(database, scene.clock, issuer, read_catalogue(), approvals=ApprovalRules()))


_DEEDS: dict[str, Callable[..., None]] = {
    "revoke": _revoke,
    "reinstate": _reinstate,
    "publish": _publish,
    "partition": _partition,
    "issue": _issue,
}
