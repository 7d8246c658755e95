"""Other people's software says of every certificate what we say of it: by complete list, by old list and delta, by partition, by OCSP.

OpenSSL, GnuTLS and pyHanko's validator, of certificates that are good, revoked, suspended, reinstated and expired.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from pyhanko_certvalidator import CertificateValidator, ValidationContext
from pyhanko_certvalidator.errors import ExpiredError, RevokedError

from certs.clock import SystemClock
from pki.crl import partition_crl, publish_due
from pki.revocation import reinstate
from tests.fakes.clock import FixedClock
from tests.unit.pki.crls import current, openssl_verify, parse, reloaded
from tests.unit.pki.services import Services, build_services, openssl
from tests.world import ADMIN, World, build_world

HOLD = "certificateHold"
# What we say, in the one of three words that every judge has a way to say. A certificate on hold is refused like a revoked one.
OURS = {
    "good": "good",
    "revoked before": "revoked",
    "revoked since": "revoked",
    "suspended before": "revoked",
    "suspended since": "revoked",
    "made final since": "revoked",
    "reinstated since": "good",
    "expired": "expired",
    "revoked and expired": "expired",
}

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("openssl", "certtool", "ocsptool"))), reason="openssl or gnutls-bin is not installed"
)


@dataclass(frozen=True)
class Scene:
    """Certificates of every state, the lists of before and those of now."""

    world: World
    services: Services
    folder: Path
    serials: dict[str, str]
    root: bytes
    bases: dict[int, bytes]

    def shard(self, name: str) -> int:
        return self.world.record(self.serials[name]).crl_shard or 0

    def lists(self, name: str, kind: str) -> list[bytes]:
        """The root's list, and those of the certificate's scope: the newest one, or an old one with the newest delta."""
        shard = self.shard(name)
        own = [current(self.world, shard)] if kind == "complete" else [self.bases[shard], current(self.world, shard, is_delta=True)]  # fmt: skip
        return [self.root, *own]

    def certificate(self, name: str) -> x509.Certificate:
        return self.world.record(self.serials[name]).certificate()

    def answer(self, request: bytes) -> bytes:
        return self.services.ocsp.answer(request).der


@pytest.fixture(scope="module", params=[0, 2], ids=["full list", "partitions"])
def scene(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("agree")
    # GnuTLS knows no time but the machine's.
    clock = FixedClock(SystemClock().now().replace(microsecond=0) - timedelta(days=800))
    world = build_world(folder, clock=clock)
    if request.param:
        partition_crl("issuing", request.param, ADMIN, world.crl_deps)
        reloaded(world)
    serials = {name: world.seal().record.serial for name in ("expired", "revoked and expired")}
    world.revoke(serials["revoked and expired"], "superseded")
    publish_due(world.issuing, ADMIN, world.crl_deps, everything=True)
    clock.advance(days=800, hours=-3, minutes=-10)
    serials |= {name: world.officer().record.serial for name in OURS if name not in serials}
    for name in ("suspended before", "made final since", "reinstated since"):
        world.revoke(serials[name], HOLD)
    clock.advance(minutes=10)
    world.revoke(serials["revoked before"], "keyCompromise", minutes=5)
    root, _ = world.crls()
    publish_due(world.issuing, ADMIN, world.crl_deps, everything=True)
    bases = {shard: current(world, shard) for shard in range(request.param + 1)}
    clock.advance(hours=2)
    world.revoke(serials["revoked since"], "affiliationChanged")
    world.revoke(serials["suspended since"], HOLD)
    world.revoke(serials["made final since"], "superseded")
    reinstate(serials["reinstated since"], ADMIN, world.revocation_deps)
    publish_due(world.issuing, ADMIN, world.crl_deps, hurry=True)
    for name, certificate in (("root", world.root.certificate), ("issuing", world.issuing.certificate)):
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "chain.pem").write_bytes((folder / "root.pem").read_bytes() + (folder / "issuing.pem").read_bytes())
    # The responder's own certificate was made in the first hour, and is renewed.
    services = build_services(world)
    clock.advance(minutes=59)
    yield Scene(world, services, folder, serials, root.der, bases)
    world.close()


def test_our_own_word_is_what_the_others_are_compared_with(scene):
    words = {"active": "good", "revoked": "revoked", "suspended": "revoked", "expired": "expired"}
    now = scene.world.clock.now()
    ended = {name for name in OURS if scene.certificate(name).not_valid_after_utc < now}
    said = {name: words[scene.world.record(serial).state_at(now).value] for name, serial in scene.serials.items()}
    # A certificate that was revoked and then ended is both; who asks for a path hears the second.
    assert {name: "expired" if name in ended else word for name, word in said.items()} == OURS


@pytest.mark.parametrize("kind", ["complete", "delta"])
def test_openssl_agrees_by_lists(scene, kind):
    said = {}
    for name in OURS:
        told = openssl_verify(scene.world, scene.folder, scene.serials[name], *scene.lists(name, kind), deltas=kind == "delta")  # fmt: skip
        said[name] = "good" if told == "OK" else "revoked" if "certificate revoked" in told else told
        if "certificate has expired" in told:
            said[name] = "expired"
    check_agreed(said)


@pytest.mark.parametrize("kind", ["complete", "delta"])
def test_pyhankos_validator_agrees_by_lists(scene, kind):
    """Beside a complete list it wants the delta that the list names (freshestCRL), also when that has nothing to add."""
    said = {}
    for name in OURS:
        delta = current(scene.world, scene.shard(name), is_delta=True)
        said[name] = pyhanko(scene, name, crls=list(dict.fromkeys([*scene.lists(name, kind), delta])))
    check_agreed(said)


def test_pyhankos_validator_agrees_by_ocsp(scene):
    # For the issuing authority there is the root's list: nobody answers for a root.
    said = {name: pyhanko(scene, name, crls=[scene.root], ocsps=[scene.answer(request_for(scene, name))]) for name in OURS}  # fmt: skip
    check_agreed(said)


def test_gnutls_agrees_by_lists(scene):
    """By complete lists alone: certtool reads no deltas."""
    said = {}
    for name in OURS:
        crls = b"".join(parse(der).public_bytes(Encoding.PEM) for der in scene.lists(name, "complete"))
        certificate = scene.certificate(name).public_bytes(Encoding.PEM)
        (scene.folder / "crls.pem").write_bytes(crls)
        (scene.folder / "leaf.pem").write_bytes(certificate + (scene.folder / "issuing.pem").read_bytes())
        told = run(scene.folder, "certtool", "--verify", "--load-ca-certificate", "root.pem", "--load-crl", "crls.pem", "--infile", "leaf.pem")  # fmt: skip
        (verdict,) = [line for line in told.stdout.splitlines() if line.startswith("Chain verification output:")]
        said[name] = next((word for word in ("expired", "revoked") if word in verdict), "good" if "Verified." in verdict else verdict)  # fmt: skip
    check_agreed(said)


def test_openssl_and_gnutls_agree_by_ocsp(scene):
    said = {}
    for name in OURS:
        (scene.folder / "leaf.pem").write_bytes(scene.certificate(name).public_bytes(Encoding.PEM))
        asks = ("-issuer", scene.folder / "issuing.pem", "-cert", scene.folder / "leaf.pem")
        openssl("ocsp", *asks, "-reqout", scene.folder / "request")
        (scene.folder / "answer").write_bytes(scene.answer((scene.folder / "request").read_bytes()))
        told = openssl(
            "ocsp", *asks, "-no_nonce", "-reqin", scene.folder / "request", "-respin", scene.folder / "answer", "-CAfile",
            scene.folder / "root.pem", "-verify_other", scene.folder / "issuing.pem",
        )  # fmt: skip
        assert "Response verify OK" in told.stderr
        said[name] = next(line.split(": ")[1] for line in told.stdout.splitlines() if line.startswith(f"{scene.folder}/leaf.pem: "))  # fmt: skip
        run(scene.folder, "ocsptool", "--generate-request", "--load-cert", "leaf.pem", "--load-issuer", "issuing.pem", "--outfile", "gnutls-request")  # fmt: skip
        (scene.folder / "gnutls-answer").write_bytes(scene.answer((scene.folder / "gnutls-request").read_bytes()))
        theirs = run(scene.folder, "ocsptool", "--verify-response", "--load-response", "gnutls-answer", "--load-trust", "chain.pem")  # fmt: skip
        assert "Verifying OCSP Response: Success." in theirs.stdout
        assert f"Certificate Status: {said[name]}" in theirs.stdout
    # That a certificate has ended it says itself; OCSP says whether it was revoked before (RFC 6960 2.2, 4.4.4).
    assert said == OURS | {"expired": "good", "revoked and expired": "revoked"}


def check_agreed(said: dict[str, str]) -> None:
    """Of a certificate that was revoked and then ended some say the one first, some the other."""
    assert said["revoked and expired"] in ("revoked", "expired")
    assert said | {"revoked and expired": "expired"} == OURS


def pyhanko(scene: Scene, name: str, **evidence: list[bytes]) -> str:
    context = ValidationContext(
        trust_roots=[asn1(scene.world.root.certificate)], other_certs=[asn1(scene.world.issuing.certificate)],
        moment=scene.world.clock.now(), allow_fetching=False, revocation_mode="require", **evidence,
    )  # fmt: skip
    validator = CertificateValidator(asn1(scene.certificate(name)), validation_context=context)
    try:
        asyncio.run(validator.async_validate_usage(set()))
    except RevokedError:
        return "revoked"
    except ExpiredError:
        return "expired"
    return "good"


def asn1(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))


def request_for(scene: Scene, name: str) -> bytes:
    builder = ocsp.OCSPRequestBuilder()
    builder = builder.add_certificate(scene.certificate(name), scene.world.issuing.certificate, hashes.SHA1())
    return builder.build().public_bytes(Encoding.DER)


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
