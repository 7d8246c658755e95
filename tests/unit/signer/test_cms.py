"""signer/cms.py: what other people's CMS software makes of ours."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from asn1crypto import cms as asn1_cms
from asn1crypto import tsp as _registers_the_attributes_of_rfc_5035  # noqa: F401
from cryptography.hazmat.primitives.serialization import Encoding

from hsm.spec import KeySpec
from pki.schemes import Scheme, scheme_for, sign_message
from signer.cms import CmsTemplate, timestamp_attribute
from tests.world import World, build_world

CONTENT = b"A document of the agency\n"
CASES = [
    (KeySpec.P_256, "pss", Scheme.ECDSA_SHA256),
    (KeySpec.P_384, "pss", Scheme.ECDSA_SHA384),
    (KeySpec.RSA_2048, "pss", Scheme.PSS_SHA256),
    (KeySpec.RSA_3072, "pss", Scheme.PSS_SHA256),
    (KeySpec.RSA_2048, "pkcs1v15", Scheme.PKCS1_SHA256),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = build_world(tmp_path_factory.mktemp("world"))
    yield world
    world.close()


class Signed:
    """One CMS over CONTENT with a fresh key of a kind."""

    def __init__(self, world: World, spec: KeySpec, padding: str) -> None:
        signer = world.officer(spec=spec)
        self.certificate = signer.record.certificate()
        self.chain = world.issuing.certificate, world.root.certificate
        self.scheme = scheme_for(self.certificate.public_key(), rsa_padding=padding)
        self.template = CmsTemplate(self.certificate, self.chain[:1], self.scheme)
        self.attributes = self.template.signed_attributes(hashlib.new(self.scheme.digest, CONTENT).digest())
        self.value = sign_message(world.keys.get(signer.ref.public_key_der), self.scheme, self.attributes)
        self.cms = self.template.assemble(self.attributes, self.value)


@pytest.mark.parametrize(("spec", "padding", "scheme"), CASES)
def test_openssl_accepts_it(world: World, tmp_path: Path, spec: KeySpec, padding: str, scheme: Scheme) -> None:
    signed = Signed(world, spec, padding)
    assert signed.scheme is scheme
    (tmp_path / "cms.der").write_bytes(signed.cms)
    (tmp_path / "content").write_bytes(CONTENT)
    (tmp_path / "root.pem").write_bytes(signed.chain[1].public_bytes(Encoding.PEM))
    at = str(int(world.clock.now().timestamp()))
    verify = [
        "openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", "cms.der", "-CAfile", "root.pem",
        "-attime", at, "-purpose", "any", "-content",
    ]  # fmt: skip
    done = subprocess.run([*verify, "content"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    (tmp_path / "other").write_bytes(CONTENT.replace(b"agency", b"agents"))
    assert subprocess.run([*verify, "other"], cwd=tmp_path, capture_output=True, check=False).returncode != 0


@pytest.mark.parametrize(("spec", "padding", "scheme"), CASES)
def test_it_is_der_and_says_what_pades_asks_for(world: World, spec: KeySpec, padding: str, scheme: Scheme) -> None:
    signed = Signed(world, spec, padding)
    info = asn1_cms.ContentInfo.load(signed.cms, strict=True)
    data = info["content"]
    (signer,) = data["signer_infos"]
    assert info.dump(force=True) == signed.cms  # re-encoded by rule it is the same: DER
    assert data["encap_content_info"]["content"].native is None
    assert (data["version"].native, signer["version"].native) == ("v1", "v1")
    assert {each.chosen.dump() for each in data["certificates"]} == {
        signed.certificate.public_bytes(Encoding.DER),
        signed.chain[0].public_bytes(Encoding.DER),
    }
    assert signer["digest_algorithm"]["algorithm"].native == scheme.digest
    attributes = {each["type"].native: each["values"] for each in signer["signed_attrs"]}
    # EN 319 142-1 6.3: the time stands in /M, never in the CMS.
    assert set(attributes) == {"content_type", "message_digest", "signing_certificate_v2"}
    assert attributes["content_type"].native == ["data"]
    assert attributes["message_digest"].native == [hashlib.new(scheme.digest, CONTENT).digest()]
    (ess,) = attributes["signing_certificate_v2"][0]["certs"]
    assert ess["cert_hash"].native == hashlib.new(scheme.digest, signed.certificate.public_bytes(Encoding.DER)).digest()
    algorithm = signer["signature_algorithm"]
    if scheme is Scheme.PSS_SHA256:
        parameters = algorithm["parameters"]
        assert parameters["salt_length"].native == 32
        assert parameters["mask_gen_algorithm"]["parameters"]["algorithm"].native == "sha256"
    elif scheme is Scheme.PKCS1_SHA256:
        assert algorithm["parameters"].dump() == b"\x05\x00"
    else:
        assert len(algorithm.native) == 2
        assert algorithm["parameters"].native is None


@pytest.mark.parametrize(("spec", "padding", "scheme"), CASES)
def test_it_never_outgrows_what_is_reserved_even_with_a_large_time_stamp(
    world: World, spec: KeySpec, padding: str, scheme: Scheme
) -> None:
    signed = Signed(world, spec, padding)
    token = bytes.fromhex("30821700") + bytes(0x1700)  # six kilobytes: more than a token with its chain has
    largest = signed.template.assemble(signed.attributes, signed.value, timestamp_attribute(token))
    assert len(largest) <= signed.template.reserved_octets()


def test_the_signature_is_read_back_and_nothing_else_may_differ(world: World) -> None:
    signed = Signed(world, KeySpec.P_256, "pss")
    hole = signed.cms + bytes(500)
    assert signed.template.signature_of(hole, signed.attributes) == signed.value
    other = signed.template.signed_attributes(bytes(32))
    assert signed.template.signature_of(hole, other) is None
    assert signed.template.signature_of(hole[:-1] + b"\x01", signed.attributes) is None
    value_at = hole.index(signed.value)
    for at in range(0, len(signed.cms), 7):
        if value_at <= at < value_at + len(signed.value):
            continue
        altered = hole[:at] + bytes([hole[at] ^ 1]) + hole[at + 1 :]
        assert signed.template.signature_of(altered, signed.attributes) is None, at


@pytest.mark.parametrize("hole", [b"", b"\x30", b"\x30\x80\x00\x00", bytes(100), b"\x30\x03\x02\x01\x01", b"\xff" * 50])
def test_what_is_no_cms_has_no_signature(world: World, hole: bytes) -> None:
    signed = Signed(world, KeySpec.P_256, "pss")
    assert signed.template.signature_of(hole, signed.attributes) is None
