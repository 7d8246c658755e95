"""Judging a file beside pyHanko's own validation of it: one signature with its path and lists, the older of two in a long file."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable

from asn1crypto import crl as asn1_crl
from asn1crypto import x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.sign.validation.status import PdfSignatureStatus
from pyhanko_certvalidator import ValidationContext

from certs.clock import Clock
from signer.sandbox import Judge, Limits
from signer.validation.facts import TrustAnchor, ValidationInputs
from signer.validation.policy import load_policy
from signer.validation.verdict import Verdict
from signer.verification import Known, Verifier, verify_file
from tests.attacks import documents
from tests.attacks.pki import NOW, Pki, build_pki
from tests.bench.measure import Row, faster, interleaved
from tests.fakes.clock import FixedClock


def run(*, full: bool = False) -> list[Row]:
    """Both judge the same octets with the same anchor, lists and moment, and must come to the same answer."""
    logging.getLogger("pyhanko").setLevel(logging.CRITICAL)
    pki = build_pki()
    small = documents.sign(documents.page_pdf(), pki.officer)
    long = documents.sign(documents.page_pdf(pages=1000), pki.officer)
    twice = documents.sign(long, pki.seal, "Sig2")
    rounds = 20 if full else 7
    limits = Limits(cpu_seconds=10, wall_seconds=60, memory_bytes=512 * 1024 * 1024)
    with Judge(limits, preload=("gather",)) as judge:
        verifier = _verifier(judge, pki, FixedClock(NOW))
        return [
            _compared("judge one signature, 20 KB, path and CRLs", small, 0, verifier, pki, rounds * 5, goal=1.7),
            _compared("judge the older of two, 1,000 pages", twice, 0, verifier, pki, rounds, goal=8.0),
        ]


def _verifier(judge: Judge, pki: Pki, clock: Clock) -> Verifier:
    inputs = ValidationInputs(at=NOW, anchors=(TrustAnchor(pki.root.der, "internal"),), crls=pki.crls())
    return Verifier(judge, inputs, lambda _certificates, _revisions: Known(), clock, load_policy())


def _compared(name: str, pdf: bytes, which: int, verifier: Verifier, pki: Pki, rounds: int, goal: float) -> Row:
    def ours() -> Verdict:
        return verify_file(pdf, "file.pdf", verifier)

    def peer() -> PdfSignatureStatus:
        return _by_pyhanko(pdf, which, pki)

    verdict, status = ours(), peer()
    assert verdict.judged.signatures[which].conclusion == "valid", verdict.reason
    assert status.bottom_line, status.summary()
    calls: list[Callable[[], object]] = [ours, peer]
    mine, theirs = interleaved(calls, rounds)
    return faster(name, mine, theirs, rounds, goal)


def _by_pyhanko(pdf: bytes, which: int, pki: Pki) -> PdfSignatureStatus:
    """PyHanko as its documentation has it: everything read anew, because each file is another one."""
    context = ValidationContext(
        trust_roots=[x509.Certificate.load(pki.root.der)],
        other_certs=[x509.Certificate.load(pki.issuing.der)],
        crls=[asn1_crl.CertificateList.load(each) for each in pki.crls()],
        moment=NOW,
        allow_fetching=False,
        revocation_mode="hard-fail",
    )
    reader = PdfFileReader(io.BytesIO(pdf))
    return validate_pdf_signature(reader.embedded_regular_signatures[which], context)
