"""Publishes what relying parties fetch: the authorities' certificates and the CRLs that are due, each file whole or not at all.

The files are read back for relying parties while the database is away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from sqlalchemy.orm import Session

from api.home import Home
from api.wiring import Installation
from certs.inventory import get_certificate
from pki.audit import Actor
from pki.authorities import AuthorityRecord, AuthorityState, is_name, list_authorities
from pki.crl import Issued, crl_due, publish_due
from pki.crl_archive import StoredCrl, crl_octets, find_latest
from pki.crl_entries import FULL
from pki.roles import Permission, require
from signer.storage import OutputFile


@dataclass(frozen=True)
class Publication:
    """A CRL or a certificate as relying parties get it. `until` is None for what has no next update.

    `is_newest` is known to the database alone: another site may have published since a file was written here. What is long
    is not held but lies in `file`.
    """

    der: bytes
    sha256: str
    since: datetime
    until: datetime | None
    is_newest: bool
    file: Path | None = None


def publish(installation: Installation, actor: Actor, *, everything: bool = False) -> list[Issued]:
    """Issue the CRLs that are due (or all), and write every file that is missing or old. What was issued is returned.

    Whoever asks wants it now: no change waits for others.
    """
    require(actor, Permission.SIGN_CRL)
    deps = installation.crls
    with installation.database.read() as session:
        names = [each.name for each in list_authorities(session) if each.state is not AuthorityState.PENDING]
    issued: list[Issued] = []
    for name in names:
        if everything or crl_due(name, deps):
            issued += publish_due(installation.issuer(name), actor, deps, hurry=True, everything=everything)
    write_public_files(installation)
    return issued


def write_public_files(installation: Installation) -> None:
    """Bring the public folder up to what the database holds. A file that is right already is not touched."""
    home = installation.home
    with installation.database.read() as session:
        for authority in list_authorities(session):
            if authority.serial is None:
                continue
            der = get_certificate(session, authority.serial).der
            if der is not None:
                sha256 = hashlib.sha256(der).hexdigest()
                _write(home.ca_certificates / f"{authority.name}.cer", sha256, len(der), (der,))
            for crl in current_crls(session, authority):
                _write_crl(session, home, crl)


def write_issued(installation: Installation, issued: Iterable[Issued]) -> None:
    """Write the files of what was just issued, and nothing else."""
    with installation.database.read() as session:
        for each in issued:
            for crl in (each.complete, each.delta):
                if crl is not None:
                    _write_crl(session, installation.home, crl)


def unpublished(installation: Installation) -> Iterator[StoredCrl]:
    """The newest lists whose file is missing or another."""
    with installation.database.read() as session:
        for authority in list_authorities(session):
            for crl in current_crls(session, authority):
                if (
                    _sha256_of(crl_path(installation.home, crl.authority, crl.shard, is_delta=crl.is_delta))
                    != crl.sha256
                ):
                    yield crl


def current_crls(session: Session, authority: AuthorityRecord) -> Iterator[StoredCrl]:
    """The newest complete list and the newest delta of every scope."""
    for shard in range(authority.crl_partitions + 1):
        for is_delta in (False, True):
            crl = find_latest(session, authority.name, shard, is_delta=is_delta)
            if crl is not None:
                yield crl


def crl_path(home: Home, authority: str, shard: int = FULL, *, is_delta: bool = False) -> Path:
    """Where the newest list of a scope lies; the delta beside it, as the URL in the list says."""
    complete = home.crls / (f"{authority}.crl" if shard == FULL else f"{authority}/s/{shard}.crl")
    return complete.with_suffix("") / "delta.crl" if is_delta else complete


def numbered_path(home: Home, authority: str, number: int, *, is_delta: bool = False) -> Path:
    """Where the list of a number lies."""
    return home.crls / authority / (f"delta/{number}.crl" if is_delta else f"{number}.crl")


def read_published_crl(path: Path) -> Publication | None:
    """A CRL as it lies in the public folder; None when there is none that can be read."""
    der = _read(path)
    try:
        crl = x509.load_der_x509_crl(der)
    except ValueError:
        return None
    return _publication(der, crl.last_update_utc, crl.next_update_utc)


def read_published_certificate(home: Home, authority: str) -> Publication | None:
    """An authority's certificate as it lies in the public folder; None when there is none that can be read."""
    der = _read(home.ca_certificates / f"{authority}.cer") if is_name(authority) else b""
    try:
        certificate = x509.load_der_x509_certificate(der)
    except ValueError:
        return None
    return _publication(der, certificate.not_valid_before_utc, None)


def _publication(der: bytes, since: datetime, until: datetime | None) -> Publication:
    return Publication(der, hashlib.sha256(der).hexdigest(), since, until, is_newest=False)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _sha256_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _write_crl(session: Session, home: Home, crl: StoredCrl) -> None:
    """Under its number first: a reader of the newest who asks for its number finds it."""
    for path in (
        numbered_path(home, crl.authority, crl.number, is_delta=crl.is_delta),
        crl_path(home, crl.authority, crl.shard, is_delta=crl.is_delta),
    ):
        _write(path, crl.sha256, crl.size, crl_octets(session, crl))


def _write(path: Path, sha256: str, size: int, pieces: Iterable[bytes]) -> None:
    if _sha256_of(path) == sha256:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with OutputFile(path, expected_size=size, replace=True) as file:
        file.publish_parts(pieces)
    path.chmod(0o644)  # what is published is for everybody to read
