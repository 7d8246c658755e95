"""pkilint objects to no kind of OCSP answer of ours."""

from __future__ import annotations

from asn1crypto import ocsp as asn1_ocsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from hsm.spec import KeySpec
from pki.ocsp_store import AnswerSigner, StoredAnswers
from tests.unit.pki.crls import findings
from tests.unit.pki.services import build_services
from tests.world import build_world

STRANGER = 0x5A << 152


def test_pkilint_finds_nothing_in_any_kind_of_answer(tmp_path):
    for spec in (KeySpec.P_256, KeySpec.RSA_2048):
        folder = tmp_path / spec.value
        folder.mkdir()
        said = {kind: findings("ocsp", der) for kind, der in kinds(folder, spec).items()}
        assert said == {kind: [] for kind in said}
        assert len(said) == 12


def kinds(folder, spec) -> dict[str, bytes]:
    """One answer of every kind that we give."""
    world = build_world(folder)
    services = build_services(world, spec)
    records = {name: world.seal().record for name in ("good", "revoked", "suspected", "unspecified", "held")}
    world.clock.advance(days=3)
    world.revoke(records["revoked"].serial, "superseded")
    world.revoke(records["suspected"].serial, "keyCompromise", days=2)
    world.revoke(records["unspecified"].serial, "unspecified")
    world.revoke(records["held"].serial, "certificateHold")

    def request(name, digest=None, nonce=b"") -> bytes:
        issuer = world.issuing.certificate
        builder = ocsp.OCSPRequestBuilder()
        builder = builder.add_certificate(records[name].certificate(), issuer, digest or hashes.SHA1())
        if nonce:
            builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
        return builder.build().public_bytes(Encoding.DER)

    def live(name, **how) -> bytes:
        answer = services.ocsp.answer(request(name, **how))
        assert not answer.cause
        return answer.der

    found = {name: live(name) for name in records}
    found["sha256"] = live("good", digest=hashes.SHA256())
    found["nonce"] = live("good", nonce=b"n" * 32)
    asked = [asn1_ocsp.OCSPRequest.load(request(name))["tbs_request"]["request_list"][0] for name in records]
    several = asn1_ocsp.OCSPRequest({"tbs_request": {"request_list": asked}})
    found["several"] = services.ocsp.answer(several.dump()).der
    issuer, key = x509.Name.public_bytes(world.issuing.certificate.subject), world.issuing.certificate.public_key()
    unknown = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        _sha1(issuer), x509.SubjectKeyIdentifier.from_public_key(key).digest, STRANGER, hashes.SHA1()
    )
    found["unknown"] = services.ocsp.answer(unknown.build().public_bytes(Encoding.DER)).der
    AnswerSigner(world.database, world.clock, world.keys, services.ocsp).sign_due()
    store = StoredAnswers(world.database, world.clock)
    for name in ("good", "revoked"):
        found[f"{name}, stored"] = store.find(request(name)).answer.der
    world.clock.advance(days=760)
    build_services(world, spec)  # renews the responder
    found["ended, with archive cutoff"] = live("revoked")
    world.close()
    return found


def _sha1(octets: bytes) -> bytes:
    digest = hashes.Hash(hashes.SHA1())
    digest.update(octets)
    return digest.finalize()
