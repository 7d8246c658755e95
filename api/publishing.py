"""Publishes what relying parties fetch: the authorities' certificates and the CRLs that are due, each file whole or not at all."""

from __future__ import annotations

from pathlib import Path

from api.wiring import Installation
from certs.inventory import get_certificate
from pki.audit import Actor
from pki.authorities import AuthorityState, list_authorities
from pki.crl import CrlDeps, CrlRecord, crl_due, find_latest_crl, sign_crl
from signer.storage import OutputFile


def publish(installation: Installation, actor: Actor, *, everything: bool = False) -> list[CrlRecord]:
    """Sign the CRLs that are due (or all), and write every file that is missing or old. The new CRLs are returned."""
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


def _write(path: Path, content: bytes) -> None:
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with OutputFile(path, expected_size=len(content), replace=True) as file:
        file.publish(content)
    path.chmod(0o644)  # what is published is for everybody to read
