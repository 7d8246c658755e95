"""The older form of a signature, adbe.pkcs7.detached: what stands in the file, and what others say of it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from signer.signing import SignedDocument, SignRequest
from signer.signing_batch import sign_documents
from signer.subfilters import PADES, PKCS7
from tests.fakes.clock import START
from tests.installation import VALID_BY_PDFSIG, signatures_by_pdfsig
from tests.signing_world import CLERK, SigningWorld, plain_paper
from tests.unit.signer.office import PDF, Office


def attributes(pdf: bytes) -> set[str]:
    """The kinds of signed attributes of the first signature, as pyHanko reads them."""
    (signature, *_) = PdfFileReader(io.BytesIO(pdf)).embedded_signatures
    return {each["type"].native for each in signature.signer_info["signed_attrs"]}


@pytest.mark.parametrize("placement", ["none", "auto"])
@pytest.mark.parametrize("subfilter", [PADES, PKCS7])
def test_the_form_is_the_one_asked_for_with_and_without_the_library(
    signing: SigningWorld, tmp_path: Path, subfilter: str, placement: str
) -> None:
    signed = signing.sign(plain_paper(), placement=placement, subfilter=subfilter)
    (judged,) = signing.verdict(signed.content).judged.signatures
    old = subfilter == PKCS7
    assert (judged.conclusion, judged.facts.level) == ("valid", "PDF-PKCS7" if old else "PAdES-B-B")
    # PAdES forbids the attribute (EN 319 142-1 6.3); older viewers look for it.
    assert ("signing_time" in attributes(signed.content)) is old
    assert judged.facts.claimed_time == START
    (tmp_path / "a.pdf").write_bytes(signed.content)
    assert signatures_by_pdfsig(tmp_path / "a.pdf") == [VALID_BY_PDFSIG]


def test_pyhanko_finds_the_older_form_whole_and_by_whom_it_is_said_to_be(signing: SigningWorld) -> None:
    signed = signing.sign(plain_paper(), placement="none", subfilter=PKCS7)
    (found,) = PdfFileReader(io.BytesIO(signed.content)).embedded_signatures
    assert found.sig_object["/SubFilter"] == "/adbe.pkcs7.detached"
    context = ValidationContext(trust_roots=[], allow_fetching=False, moment=START)
    status = validate_pdf_signature(found, signer_validation_context=context)
    assert (status.intact, status.valid, status.signer_reported_dt) == (True, True, START)


def test_a_seal_may_follow_in_the_other_form_and_both_hold(signing: SigningWorld) -> None:
    approved = signing.sign(plain_paper(), subfilter=PKCS7)
    issued = signing.sign(approved.content, "seal", subfilter=PADES)
    assert [(each.conclusion, each.facts.level) for each in signing.verdict(issued.content).judged.signatures] == [
        ("valid", "PDF-PKCS7"),
        ("valid", "PAdES-B-B"),
    ]


def test_each_of_many_documents_has_the_form_asked_for(signing: SigningWorld) -> None:
    forms = [PKCS7, PADES, PKCS7]
    asked = [
        SignRequest(plain_paper(f"Paper {number}"), "a.pdf", "officer", placement="none", subfilter=form)
        for number, form in enumerate(forms)
    ]
    for form, signed in zip(forms, sign_documents(asked, CLERK, signing.deps), strict=True):
        assert isinstance(signed, SignedDocument)
        (judged,) = signing.verdict(signed.content).judged.signatures
        assert (judged.conclusion, judged.facts.level) == ("valid", "PDF-PKCS7" if form == PKCS7 else "PAdES-B-B")
        assert ("signing_time" in attributes(signed.content)) is (form == PKCS7)


@pytest.mark.parametrize("level", ["B-T", "B-LT", "B-LTA"])
def test_proofs_are_added_to_it_but_it_is_never_called_pades(office: Office, level: str) -> None:
    signed = office.signed(level, PDF, subfilter=PKCS7)
    judged = office.judged(signed.content)
    assert (signed.level, judged.conclusion) == (level, "valid")
    assert (judged.facts.level, judged.facts.reached) == ("PDF-PKCS7", level)
    assert judged.proven_time is not None
