"""Other people's software accepts what we sign, and refuses what we revoked."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certs.names import parse_subject
from hsm.spec import KeySpec, Purpose
from pki.issuance import IssuanceRequest, issue
from tests.world import ADMIN, AGENCY, build_world

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
LONGEST = f"{AGENCY} " + "Ộ" * (64 - len(AGENCY) - 1)


def openssl(*arguments) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)


def verify(world, folder: Path, certificate: x509.Certificate) -> subprocess.CompletedProcess[str]:
    root_crl, issuing_crl = (x509.load_der_x509_crl(record.der) for record in world.crls())
    (folder / "root.pem").write_bytes(world.root.certificate.public_bytes(Encoding.PEM))
    (folder / "issuing.pem").write_bytes(world.issuing.certificate.public_bytes(Encoding.PEM))
    (folder / "crls.pem").write_bytes(root_crl.public_bytes(Encoding.PEM) + issuing_crl.public_bytes(Encoding.PEM))
    (folder / "leaf.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    at = str(int(world.clock.now().timestamp()))
    return openssl(
        "verify", "-x509_strict", "-crl_check_all", "-attime", at, "-CAfile", folder / "root.pem",
        "-CRLfile", folder / "crls.pem", "-untrusted", folder / "issuing.pem", folder / "leaf.pem",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("root_spec", "issuing_spec"), [(KeySpec.P_384, KeySpec.P_256), (KeySpec.RSA_3072, KeySpec.RSA_3072)]
)
def test_openssl_accepts_a_good_certificate_and_refuses_it_once_revoked(tmp_path, root_spec, issuing_spec):
    world = build_world(tmp_path, root_spec=root_spec, issuing_spec=issuing_spec)
    record = world.seal().record
    good = verify(world, tmp_path, record.certificate())
    assert (good.returncode, good.stderr) == (0, "")
    world.revoke(record.serial)
    revoked = verify(world, tmp_path, record.certificate())
    assert revoked.returncode == 2
    assert "certificate revoked" in revoked.stderr
    world.close()


def test_openssl_reads_sixty_four_vietnamese_characters(world, tmp_path):
    assert len(LONGEST) == 64
    ref = world.keys.generate(KeySpec.P_256, "seal", Purpose.DOCUMENT)
    subject = parse_subject(f"CN={LONGEST},O={AGENCY},C=VN")
    record = issue(IssuanceRequest("agency-seal", subject, ref.public_key_der), ADMIN, world.issuing_deps)
    (tmp_path / "leaf.der").write_bytes(record.der)
    text = openssl(
        "x509", "-inform", "DER", "-in", tmp_path / "leaf.der", "-noout", "-text", "-nameopt", "utf8,sep_multiline"
    )
    assert text.returncode == 0
    assert f"CN={LONGEST}" in text.stdout.replace(" = ", "=")
    structure = openssl("asn1parse", "-inform", "DER", "-in", tmp_path / "leaf.der")
    assert structure.returncode == 0
    assert "UTF8STRING" in structure.stdout
    assert "PRINTABLESTRING   :VN" in structure.stdout
    checked = verify(world, tmp_path, record.certificate())
    assert (checked.returncode, checked.stderr) == (0, "")


def test_openssl_shows_numbers_reasons_and_dates_of_a_crl(world, tmp_path):
    first, second = world.seal().record.serial, world.officer().record.serial
    world.clock.advance(days=3)
    world.revoke(first, "keyCompromise", days=2)
    world.revoke(second, "certificateHold")
    _, crl = world.crls()
    (tmp_path / "issuing.crl").write_bytes(crl.der)
    text = openssl("crl", "-inform", "DER", "-in", tmp_path / "issuing.crl", "-noout", "-text").stdout
    for expected in (
        first.upper(),
        second.upper(),
        "Key Compromise",
        "Certificate Hold",
        "Invalidity Date",
        "CRL Number",
    ):
        assert expected in text
