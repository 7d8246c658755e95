"""Publishes what relying parties fetch: the authorities' certificates and the CRLs that are due, each file whole or not at all.

The files are read back for relying parties while the database is away.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from api.home import Home
from api.wiring import Installation
from certs.inventory import get_certificate
from pki.audit import Actor
from pki.authorities import AuthorityState, is_name, list_authorities
from pki.crl import CrlDeps, CrlRecord, crl_due, find_latest_crl, sign_crl
from pki.roles import Permission, require
from signer.storage import OutputFile


@dataclass(frozen=True)
class Publication:
    """A CRL or a certificate as relying parties get it. `until` is None for what has no next update.

    `is_newest` is known to the database alone: another site may have published since a file was written here.
    """

    der: bytes
    sha256: str
    since: datetime
    until: datetime | None
    is_newest: bool


def publish(installation: Installation, actor: Actor, *, everything: bool = False) -> list[CrlRecord]:
    """Sign the CRLs that are due (or all), and write every file that is missing or old. The new CRLs are returned."""
    require(actor, Permission.SIGN_CRL)
    deps = CrlDeps(installation.database, installation.clock)
    with installation.database.read() as session:
        names = [each.name for each in list_authorities(session) if each.state is not AuthorityState.PENDING]
    signed = [sign_crl(installation.issuer(name), actor, deps) for name in names if everything or crl_due(name, deps)]
    write_public_files(installation)
    return signed


def write_public_files(installation: Installation) -> None:
    """Bring the public folder up to what the database holds. A file that is right already is not touched."""
    home = installation.home
    with installation.database.read() as session:
        for authority in list_authorities(session):
            if authority.serial is None:
                continue
            der = get_certificate(session, authority.serial).der
            crl = find_latest_crl(session, authority.name)
            if der is not None:
                _write(home.ca_certificates / f"{authority.name}.cer", der)
            if crl is not None:
                _write(home.crls / f"{authority.name}.crl", crl.der)
                _write(home.crls / authority.name / f"{crl.number}.crl", crl.der)


def read_published_crl(home: Home, authority: str, number: int | None = None) -> Publication | None:
    """An authority's CRL as it lies in the public folder, the last one or that of a number; None when there is none that can be read."""
    file = f"{authority}.crl" if number is None else f"{authority}/{number}.crl"
    der = _read(home.crls / file) if is_name(authority) else b""
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


def _write(path: Path, content: bytes) -> None:
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with OutputFile(path, expected_size=len(content), replace=True) as file:
        file.publish(content)
    path.chmod(0o644)  # what is published is for everybody to read
