"""Path building ends, whatever maze of certificates it is led into."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from asn1crypto import cms as asn1_cms
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from signer.sandbox import Judge
from signer.trust_path import find_path
from signer.validation.facts import TrustAnchor, ValidationInputs
from signer.validation.paths import PathFinder
from signer.validation.rules import load_policy
from signer.verification import Known, Verifier, verify_file
from tests.attacks import documents
from tests.attacks.pki import NOW, Party, make
from tests.fakes.clock import FixedClock

COUNT = 10_000


@pytest.fixture(scope="module")
def fan() -> tuple[Party, list[bytes]]:
    """A signer under an authority that ten thousand others of its own name and key have certified, none of them to a root."""
    key = ec.generate_private_key(ec.SECP256R1())
    same = make("Cùng một tên", ca=True, key=key)
    others = [make("Cùng một tên", same, ca=True, key=key, serial=at + 1).der for at in range(COUNT)]
    return make("Người ký", same), others


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge(preload=("gather",)) as judge:
        yield judge


def test_ten_thousand_authorities_of_one_name_end_quickly(fan: tuple[Party, list[bytes]]) -> None:
    signer, others = fan
    leaf = asn1_x509.Certificate.load(signer.der)
    root = TrustAnchor(make("Gốc", ca=True).der, "public")
    embedded = [asn1_x509.Certificate.load(der) for der in others]
    loaded = [x509.load_der_x509_certificate(der) for der in others]
    # The processor's time: others may be at work on this machine.
    begun = time.process_time()
    assert PathFinder(ValidationInputs(NOW, (root,), tuple(others))).find(leaf, ()) is None
    assert PathFinder(ValidationInputs(NOW, (root,))).find(leaf, embedded) is None
    assert find_path(signer.certificate, loaded, [], NOW) is None
    assert time.process_time() - begun < 10


def test_a_way_out_of_the_fan_is_found_by_its_name(fan: tuple[Party, list[bytes]]) -> None:
    signer, others = fan
    assert signer.issuer is not None
    anchor = TrustAnchor(signer.issuer.der, "public")
    found = PathFinder(ValidationInputs(NOW, (anchor,), tuple(others))).find(asn1_x509.Certificate.load(signer.der), ())
    assert found is not None
    assert len(found.certificates) == 1


@pytest.mark.parametrize("count", [COUNT // 10, pytest.param(COUNT, marks=pytest.mark.walk)])
def test_a_file_that_brings_them_along_is_answered_quickly(
    fan: tuple[Party, list[bytes]], judge: Judge, count: int
) -> None:
    signer, others = fan[0], fan[1][:count]
    pdf = documents.sign(documents.page_pdf(), signer, bytes_reserved=2 * sum(map(len, others)) + 100_000)
    begin = pdf.index(b"/Contents <") + len(b"/Contents <")
    end = pdf.index(b">", begin)
    info = asn1_cms.ContentInfo.load(bytes.fromhex(pdf[begin:end].decode()))
    certificates = info["content"]["certificates"]
    for der in others:
        certificates.append(asn1_cms.CertificateChoices("certificate", asn1_x509.Certificate.load(der)))
    filled = info.dump(force=True).hex().encode()
    pdf = pdf[:begin] + filled.ljust(end - begin, b"0") + pdf[end:]
    inputs = ValidationInputs(NOW, (TrustAnchor(make("Gốc", ca=True).der, "public"),))
    begun = time.monotonic()
    verdict = verify_file(pdf, "a.pdf", Verifier(judge, inputs, lambda *_: Known(), FixedClock(NOW), load_policy()))
    assert time.monotonic() - begun < 10
    assert verdict.reason == "UNKNOWN_ISSUER"
