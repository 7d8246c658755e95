"""What tests of CRLs ask of a list: its serials, its extensions, what pkilint and OpenSSL say of it."""

from __future__ import annotations

import functools
import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pkilint import loader, pkix
from pkilint.pkix import crl as pkix_crl
from pkilint.pkix import extension, name
from pkilint.validation import ValidationFindingSeverity

from pki.crl import CrlDeps, CrlPolicy
from pki.crl_archive import StoredCrl, crl_octets, find_latest
from pki.crl_entries import FULL
from pki.issuer import Issuer, load_issuer
from tests.world import PUBLIC_URL, World


def current(world: World, shard: int = FULL, *, is_delta: bool = False, authority: str = "issuing") -> bytes:
    """The newest list of a scope, in DER."""
    with world.database.read() as session:
        found = find_latest(session, authority, shard, is_delta=is_delta)
        assert found is not None
        return b"".join(crl_octets(session, found))


def stored(world: World, shard: int = FULL, *, is_delta: bool = False) -> StoredCrl:
    with world.database.read() as session:
        found = find_latest(session, "issuing", shard, is_delta=is_delta)
    assert found is not None
    return found


def parse(der: bytes) -> x509.CertificateRevocationList:
    return x509.load_der_x509_crl(der)


def said(der: bytes) -> dict[str, str]:
    """Serial to reason."""
    found = {}
    for entry in parse(der):
        reasons = [each.value.reason.value for each in entry.extensions if isinstance(each.value, x509.CRLReason)]
        found[f"{entry.serial_number:x}"] = reasons[0] if reasons else "unspecified"
    return found


def extension_of(der: bytes, kind: type[Any]) -> Any:
    return parse(der).extensions.get_extension_for_class(kind)


def has(der: bytes, kind: type[Any]) -> bool:
    return any(isinstance(each.value, kind) for each in parse(der).extensions)


def reloaded(world: World, **more: Any) -> Issuer:
    """The issuing authority as a process that starts now sees it."""
    world.issuing = load_issuer(world.database, world.keys, "issuing", PUBLIC_URL, **more)
    return world.issuing


def with_policy(world: World, **policy: Any) -> CrlDeps:
    return replace(world.crl_deps, policy=CrlPolicy(**policy))


@functools.cache
def _linter() -> Any:
    return pkix_crl.create_pkix_crl_validator_container(
        [
            pkix.create_attribute_decoder(name.ATTRIBUTE_TYPE_MAPPINGS),
            pkix.create_extension_decoder(extension.EXTENSION_MAPPINGS),
        ],
        [
            pkix_crl.create_issuer_validator_container([]),
            pkix_crl.create_validity_validator_container([]),
            pkix_crl.create_extensions_validator_container([]),
        ],
    )


def pkilint_findings(der: bytes) -> list[str]:
    """Codes of everything that pkilint finds worth a notice or more."""
    document = loader.RFC5280CertificateListDocumentLoader().load_der_document(der, "crl")
    results = _linter().validate(document.root)
    return [
        str(found.finding.code)
        for result in results
        for found in result.finding_descriptions
        if found.finding.severity <= ValidationFindingSeverity.NOTICE  # the worst is 0
    ]


def openssl_verify(world: World, folder: Path, serial: str, *crls: bytes, deltas: bool = True) -> str:
    """What `openssl verify` says of a certificate with these lists of its issuer and the root's: OK, or its error."""
    files = {
        "root.pem": world.root.certificate.public_bytes(Encoding.PEM),
        "issuing.pem": world.issuing.certificate.public_bytes(Encoding.PEM),
        "leaf.pem": world.record(serial).certificate().public_bytes(Encoding.PEM),
        "crls.pem": b"".join(parse(der).public_bytes(Encoding.PEM) for der in crls),
    }
    for file, content in files.items():
        (folder / file).write_bytes(content)
    # A moment later: in its very second some readers call a list not yet valid.
    at = str(int((world.clock.now() + timedelta(seconds=1)).timestamp()))
    done = subprocess.run(
        [
            "openssl", "verify", "-x509_strict", "-crl_check_all", "-extended_crl", *(["-use_deltas"] if deltas else []), "-attime", at,
            "-CAfile", "root.pem", "-CRLfile", "crls.pem", "-untrusted", "issuing.pem", "leaf.pem",
        ],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode == 0:
        return "OK"
    lines = [line for line in done.stderr.splitlines() if line.startswith("error ")]
    return lines[0].split(": ", 1)[1] if lines else done.stderr
