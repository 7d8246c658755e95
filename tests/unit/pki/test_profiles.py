"""One certificate of every profile, judged by other people's linters and readers, as little and as much as a subject may say."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from certs.catalogue import read_catalogue
from certs.inventory import CertificateRecord
from certs.names import parse_subject
from certs.profile import check_registration
from hsm.spec import KeySpec, Purpose
from pki.audit import list_acts
from pki.issuance import IssuanceRequest, issue
from tests.unit.pki.services import build_services
from tests.unit.pki.test_ocsp import request_for
from tests.world import ADMIN, AGENCY, World, build_world, second_opinion

DOCUMENTED = Path(__file__).parents[3] / "docs" / "lint.md"
LONGEST = f"{AGENCY} " + "Ộ" * (64 - len(AGENCY) - 1)
OUTSIDE_URL = "http://pki.huonggiang.vn"
POLICY = "1.3.6.1.4.1.99999.1"
SERVER = "dichvucong.huonggiang.vn"
NUMBERS = "UID=MST:0012345672,UID=MNS:1000001,organizationIdentifier=VATVN-0012345672"
PERSON = "SN=Nguyễn,GN=Thị Thử Nghiệm,UID=CCCD:012345678901,serialNumber=IDCVN-012345678901"
# What a registration for real use says, and the names in subjectAltName.
COMPLETE = {
    "agency-seal": (f"CN={LONGEST},{NUMBERS},OU=Văn phòng,O={LONGEST},L=Hương Giang,C=VN", ["vanthu@huonggiang.vn"]),
    "officer": (
        f"CN=Nguyễn Thị Thử Nghiệm,T=Phó Giám đốc,{PERSON},OU=Ban Giám đốc,O={LONGEST},C=VN",
        ["n@huonggiang.vn"],
    ),
    "citizen": (f"CN=Nguyễn Thị Thử Nghiệm,{PERSON},UID=HC:B1234567,ST=Hương Giang,C=VN", []),
    "kiosk": (f"CN=Ki-ốt 17,serialNumber=K-17,OU=Sảnh A,{NUMBERS},O={LONGEST},C=VN", ["kiosk-17.huonggiang.vn"]),
    "system": (f"CN=Hệ thống một cửa,OU=Phòng CNTT,{NUMBERS},O={LONGEST},C=VN", []),
    "tls-server": (f"CN={SERVER},O={LONGEST},C=VN", [SERVER, "www.huonggiang.vn"]),
    "ocsp-responder": (f"CN={LONGEST},O={LONGEST},C=VN", []),
    "tsa": (f"CN={LONGEST},O={LONGEST},C=VN", []),
    "receipt": (f"CN={LONGEST},O={LONGEST},C=VN", []),
    "trust-store": (f"CN={LONGEST},O={LONGEST},C=VN", []),
}
# The least that may be typed.
LEAST = dict.fromkeys(COMPLETE, (f"CN={LONGEST},O={LONGEST},C=VN", []))
LEAST |= {"citizen": (f"CN={LONGEST},C=VN", []), "tls-server": ("C=VN", [SERVER])}
SPECS = [KeySpec.P_256, KeySpec.RSA_3072]


@dataclass
class Office:
    """A world, and the issuing of it as an installation for real use has it, or as one that nobody has set up."""

    world: World

    def issue(self, profile: str, subject: str, san: list[str], spec: KeySpec, *, set_up: bool) -> CertificateRecord:
        deps = self.world.issuing_deps
        if set_up:
            issuer = replace(deps.issuer, public_url=OUTSIDE_URL)
            deps = replace(deps, issuer=issuer, catalogue=read_catalogue(policy=POLICY))
            check_registration(deps.catalogue.get(profile), parse_subject(subject))
        key = self.world.keys.generate(spec, "leaf", Purpose.DOCUMENT).public_key_der
        return issue(IssuanceRequest(profile, parse_subject(subject), key, san), ADMIN, deps)

    def objections(self, record: CertificateRecord) -> tuple[set[str], set[str]]:
        """Codes by RFC 5280 and by EN 319 412, from notices on."""
        holder = self.world.catalogue.get(record.profile).holder
        remarks = second_opinion().ask("certificate", record.der, holder.value if holder else "")
        graver = [each for each in remarks if each.severity not in ("INFO", "DEBUG")]
        return tuple({each.code for each in graver if each.standard == name} for name in ("pkix", "etsi"))


@pytest.fixture(scope="module")
def office(tmp_path_factory):
    world = build_world(tmp_path_factory.mktemp("office"))
    yield Office(world)
    world.close()


def documented() -> set[str]:
    """The codes in the table of docs/lint.md."""
    return set(re.findall(r"^\| `(etsi\.[^`]+)` \|", DOCUMENTED.read_text("utf-8"), re.MULTILINE))


def test_every_profile_is_looked_at_here(office):
    assert {profile.name for profile in office.world.catalogue} == {*COMPLETE, "root", "issuing"}


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("profile", COMPLETE)
def test_a_registration_for_real_use_gives_a_certificate_without_any_objection(office, profile, spec):
    subject, san = COMPLETE[profile]
    assert office.objections(office.issue(profile, subject, san, spec, set_up=True)) == (set(), set())


def test_the_least_that_may_be_typed_gives_objections_of_etsi_alone_and_each_is_explained(office):
    found: set[str] = set()
    for profile, (subject, san) in LEAST.items():
        pkix, etsi = office.objections(office.issue(profile, subject, san, KeySpec.P_256, set_up=False))
        assert pkix == set(), profile
        found |= etsi
    assert found == documented()


def test_the_address_of_a_fresh_home_brings_no_other_objection(office):
    home = replace(office.world.issuing_deps.issuer, public_url="http://127.0.0.1:8080")
    key = office.world.keys.generate(KeySpec.P_256, "leaf", Purpose.DOCUMENT).public_key_der
    deps = replace(office.world.issuing_deps, issuer=home)
    record = issue(IssuanceRequest("officer", parse_subject("CN=a,O=b,C=VN"), key), ADMIN, deps)
    pkix, etsi = office.objections(record)
    assert pkix == set()
    assert "etsi.internal_domain_name" in etsi <= documented()


@pytest.mark.parametrize("spec", [KeySpec.P_384, KeySpec.RSA_3072])
def test_root_and_issuing_authority_are_without_objection(tmp_path, spec):
    world = build_world(tmp_path, root_spec=spec, issuing_spec=spec)
    for certificate in (world.root.certificate, world.issuing.certificate):
        remarks = second_opinion().ask("certificate", certificate.public_bytes(Encoding.DER))
        assert [each for each in remarks if each.severity not in ("INFO", "DEBUG")] == []
    world.close()


def test_what_etsi_would_object_to_stands_in_the_audit_trail(office):
    record = office.issue("officer", *LEAST["officer"], KeySpec.P_256, set_up=False)
    with office.world.database.read() as session:
        (intend,) = (act for act in list_acts(session, subject_id=record.serial) if act.action == "certificate.intend")
    assert "etsi.en_319_412_2.nat-4.2.4-1.required_attribute_missing" in intend.details["etsi"].split()


@pytest.mark.parametrize("profile", COMPLETE)
def test_openssl_and_gnutls_read_and_verify_it(office, tmp_path, profile):
    subject, san = COMPLETE[profile]
    leaf = tmp_path / "leaf.pem"
    record = office.issue(profile, subject, san, KeySpec.P_256, set_up=True)
    leaf.write_bytes(record.certificate().public_bytes(Encoding.PEM))
    for name, issuer in (("root", office.world.root), ("issuing", office.world.issuing)):
        (tmp_path / f"{name}.pem").write_bytes(issuer.certificate.public_bytes(Encoding.PEM))
    at = str(int(office.world.clock.now().timestamp()))
    verified = run(
        "openssl", "verify", "-x509_strict", "-policy_check", "-attime", at, "-CAfile", tmp_path / "root.pem",
        "-untrusted", tmp_path / "issuing.pem", leaf,
    )  # fmt: skip
    assert (verified.returncode, verified.stderr) == (0, "")
    text = run("openssl", "x509", "-in", leaf, "-noout", "-text", "-nameopt", "utf8,sep_comma_plus_space")
    assert text.returncode == 0
    for name in san:
        assert name in text.stdout
    if shutil.which("certtool") is None:
        pytest.skip("gnutls-bin is not installed")
    shown = run("certtool", "--certificate-info", "--infile", leaf)
    assert shown.returncode == 0
    assert shown.stderr == ""


def test_crls_and_ocsp_answers_of_ours_are_without_objection(tmp_path):
    world = build_world(tmp_path)
    services = build_services(world)
    revoked, held, good = world.seal().record.serial, world.officer().record.serial, world.officer().record.serial
    world.clock.advance(days=3)
    world.revoke(revoked, "keyCompromise", days=2)
    world.revoke(held, "certificateHold")
    for crl in world.crls():
        second_opinion().check_crl(crl.der)
    for serial in (revoked, held, good, "5a" * 20):
        second_opinion().check_ocsp(services.ocsp.answer(request_for(services, int(serial, 16))).der)
    world.close()


def run(*arguments) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, capture_output=True, text=True, check=False)
