"""An OCSP answer counts when the issuer, or whom it delegated, signed it about this very certificate; else it says nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from signer.validation.facts import CrlFacts
from signer.validation.ocsp_facts import read_ocsp
from tests.attacks.pki import NOW, Party, Pki, build_pki, make

GOOD, REVOKED, UNKNOWN = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED, ocsp.OCSPCertStatus.UNKNOWN


@pytest.fixture(scope="module")
def pki() -> Pki:
    return build_pki()


def responder(
    issuer: Party, *, purpose: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.OCSP_SIGNING, days: int = 1700
) -> Party:
    """Somebody with a certificate of the issuer, delegated or not."""
    plain = make("Trả lời OCSP", issuer)
    certificate = plain.certificate
    builder = (
        x509.CertificateBuilder()
        .subject_name(certificate.subject)
        .issuer_name(certificate.issuer)
        .public_key(plain.key.public_key())
        .serial_number(certificate.serial_number)
        .not_valid_before(NOW - timedelta(days=30))
        .not_valid_after(NOW + timedelta(days=days))
    )
    if purpose is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    return Party(builder.sign(issuer.key, hashes.SHA256()), plain.key, issuer)


def answer(
    about: Party,
    issuer: Party,
    by: Party,
    status: ocsp.OCSPCertStatus = GOOD,
    *,
    days: float = 0,
    by_name: bool = False,
) -> asn1_ocsp.BasicOCSPResponse:
    revoked = status is REVOKED
    moment = NOW + timedelta(days=days)
    encoding = ocsp.OCSPResponderEncoding.NAME if by_name else ocsp.OCSPResponderEncoding.HASH
    builder = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            about.certificate, issuer.certificate, hashes.SHA256(), status, moment, moment + timedelta(hours=1),
            NOW if revoked else None, x509.ReasonFlags.certificate_hold if revoked else None,
        )
        .responder_id(encoding, by.certificate)
        .certificates([by.certificate])
    )  # fmt: skip
    der = builder.sign(by.key, hashes.SHA256()).public_bytes(Encoding.DER)
    basic: asn1_ocsp.BasicOCSPResponse = asn1_ocsp.OCSPResponse.load(der).basic_ocsp_response
    return basic


def said(basic: asn1_ocsp.BasicOCSPResponse, about: Party, issuer: Party) -> CrlFacts | None:
    return read_ocsp(basic, asn1_x509.Certificate.load(about.der), asn1_x509.Certificate.load(issuer.der))


@pytest.mark.parametrize("by_name", [True, False])
def test_the_issuer_and_its_delegate_are_heard(pki, by_name):
    for by in (pki.issuing, responder(pki.issuing)):
        facts = said(answer(pki.officer, pki.issuing, by, by_name=by_name), pki.officer, pki.issuing)
        assert facts is not None
        assert facts.revoked_at is None
        assert facts.next_update is not None
        assert facts.next_update - facts.this_update == timedelta(hours=1)


def test_a_hold_comes_with_time_and_reason(pki):
    facts = said(answer(pki.officer, pki.issuing, pki.issuing, REVOKED), pki.officer, pki.issuing)
    assert facts is not None
    assert (facts.revoked_at, facts.reason) == (NOW, "certificateHold")


def test_unknown_says_nothing(pki):
    assert said(answer(pki.officer, pki.issuing, pki.issuing, UNKNOWN), pki.officer, pki.issuing) is None


def test_an_answer_about_another_certificate_says_nothing(pki):
    assert said(answer(pki.seal, pki.issuing, pki.issuing), pki.officer, pki.issuing) is None


@pytest.mark.parametrize("purpose", [None, ExtendedKeyUsageOID.TIME_STAMPING])
def test_who_was_not_delegated_is_not_heard(pki, purpose):
    assert (
        said(answer(pki.officer, pki.issuing, responder(pki.issuing, purpose=purpose)), pki.officer, pki.issuing)
        is None
    )


def test_the_delegate_of_another_authority_is_not_heard(pki):
    assert said(answer(pki.officer, pki.issuing, responder(pki.root)), pki.officer, pki.issuing) is None


def test_a_delegate_whose_certificate_has_ended_is_not_heard(pki):
    # The answer is produced when the test runs.
    ended = responder(pki.issuing, days=-1)
    assert said(answer(pki.officer, pki.issuing, ended), pki.officer, pki.issuing) is None


def test_a_damaged_signature_is_not_heard(pki):
    basic = answer(pki.officer, pki.issuing, pki.issuing)
    basic["signature"] = bytes(len(basic["signature"].native))
    assert said(basic, pki.officer, pki.issuing) is None


@pytest.mark.parametrize(("digest", "heard"), [("sha1", False), ("sha256", True)])
def test_a_signature_over_sha_1_is_not_heard(pki, digest, heard):
    basic = answer(pki.officer, pki.issuing, pki.issuing)
    hashed = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256()}[digest]
    basic["signature_algorithm"] = {"algorithm": f"{digest}_ecdsa"}
    basic["signature"] = pki.issuing.key.sign(basic["tbs_response_data"].dump(), ec.ECDSA(hashed))
    assert (said(basic, pki.officer, pki.issuing) is not None) is heard
