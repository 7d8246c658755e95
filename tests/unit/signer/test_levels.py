"""Levels B-LT and B-LTA: others confirm them, they outlive expiry and revocation, and what is missing never costs a signature."""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess

import pytest
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import ades
from pyhanko.sign.validation.dss import DocumentSecurityStore

from signer.documents import document_by_code, finished_revisions
from tests.attacks.documents import with_stream_tables
from tests.unit.signer.confirming import by_a_stranger, confirmed
from tests.unit.signer.office import PDF, open_office


@pytest.mark.parametrize(("level", "archive"), [("B-LT", False), ("B-LTA", True)])
def test_another_library_confirms_it_today_and_after_the_signer_is_revoked_and_expired(office, level, archive):
    pdf = office.sign(level)
    signed_at = office.world.clock.now()
    judged = office.judged(pdf)
    assert (judged.conclusion, judged.facts.level, judged.proven_time) == ("valid", f"PAdES-{level}", signed_at)
    assert confirmed(office, pdf, archive=archive) is ades.AdESPassed.OK
    office.world.clock.advance(days=30)
    office.world.revoke(office.serial)
    office.world.clock.advance(days=1)
    assert confirmed(office, pdf, archive=archive) is ades.AdESPassed.OK
    assert office.judged(pdf).conclusion == "valid"
    office.world.clock.advance(days=731)
    assert office.world.record(office.serial).not_after < office.world.clock.now()
    assert office.judged(pdf).conclusion == "valid"


def test_a_stranger_judges_by_what_the_file_brings_along(office, judge):
    plain, proved = by_a_stranger(office, judge, office.sign("B-T")), by_a_stranger(office, judge, office.sign("B-LT"))
    assert (plain.reason, plain.facts.level) == ("UNKNOWN_REVOCATION", "PAdES-B-T")
    assert (proved.conclusion, proved.facts.level, proved.revocation) == ("valid", "PAdES-B-LT", "good")
    assert proved.proven_time == office.world.clock.now()


@pytest.mark.parametrize("level", ["B-LT", "B-LTA"])
def test_a_stranger_still_finds_it_valid_when_the_certificate_is_revoked_and_over(office, judge, level):
    pdf = office.sign(level)
    office.world.clock.advance(days=30)
    office.world.revoke(office.serial)
    office.world.clock.advance(days=900)
    judged = by_a_stranger(office, judge, pdf, fresh=True)
    assert (judged.conclusion, judged.reason) == ("valid", "VALID_EXTENDED")


@pytest.mark.parametrize("level", ["B-LT", "B-LTA"])
def test_pdfsig_and_qpdf_find_nothing_wrong(office, tmp_path, level):
    for tool in ("pdfsig", "qpdf"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    file = tmp_path / "signed.pdf"
    file.write_bytes(office.sign(level))
    shown = subprocess.run(["pdfsig", "-nocert", file], capture_output=True, text=True, check=False).stdout
    assert "Signature is Valid." in shown
    assert ("ETSI.RFC3161" in shown or "Signature #2" in shown) is (level == "B-LTA")
    assert subprocess.run(["qpdf", "--check", file], capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("level", ["B-LT", "B-LTA"])
def test_a_file_of_cross_reference_streams_is_raised_too(office, judge, level):
    pdf = with_stream_tables(PDF)
    signed = office.sign(level, pdf)
    assert signed.startswith(pdf)
    assert office.judged(signed).facts.level == f"PAdES-{level}"
    assert by_a_stranger(office, judge, signed).conclusion == "valid"


def test_the_store_names_the_signature_and_holds_every_certificate_once(office):
    reader = PdfFileReader(io.BytesIO(office.sign("B-LT")))
    (signature,) = reader.embedded_signatures
    store = reader.root["/DSS"]
    name = DocumentSecurityStore.sig_content_identifier(signature.pkcs7_content)
    assert list(store["/VRI"]) == [name]
    held = [each.get_object().data for each in (store["/Certs"].raw_get(at) for at in range(len(store["/Certs"])))]
    assert len(held) == len(set(held)) == 5  # signer, issuing, root, responder, TSA
    assert (len(store["/OCSPs"]), len(store["/CRLs"])) == (2, 1)


def test_without_the_roots_list_a_signature_stays_at_b_t_and_waits(tmp_path, judge):
    office = open_office(tmp_path, judge)
    signed = office.signed("B-LTA")
    assert (signed.level, signed.pending) == ("B-T", "B-LTA")
    assert office.judged(signed.content).facts.level == "PAdES-B-T"
    with office.world.database.read() as session:
        pending = document_by_code(session, signed.code).pending
    assert pending is not None
    assert (pending.level, pending.failure) == ("B-LTA", "REVOCATION_UNAVAILABLE")
    office.world.close()


def test_the_register_knows_signed_revision_and_extended_file(office):
    signed = office.signed("B-LTA")
    with office.world.database.read() as session:
        document = document_by_code(session, signed.code)
        assert document.sha256 == signed.sha256 == hashlib.sha256(signed.content).hexdigest()
        assert finished_revisions(session) == [(signed.code, signed.sha256)]
    (act,) = document.acts
    assert (act.level, document.pending) == ("B-LTA", None)
    end = office.judged(signed.content).facts.revision_end
    assert hashlib.sha256(signed.content[:end]).hexdigest() == act.output_sha256
    assert office.judging.verify(signed.content, "a.pdf").document is not None


def test_a_store_that_lies_about_our_own_certificate_is_not_believed(office):
    office.world.clock.advance(days=10)
    pdf = office.sign("B-LT")
    office.world.clock.advance(days=1)
    office.world.revoke(office.serial, days=3)
    judged = office.judged(pdf)
    # Signed after the key came under suspicion: the answer in the store said "good".
    assert (judged.conclusion, judged.reason) == ("invalid", "INVALID_REVOKED")


@pytest.mark.parametrize("part", ["/OCSPs", "/CRLs"])
def test_a_store_with_a_damaged_part_is_no_b_lt(office, judge, part):
    pdf = office.sign("B-LT")
    reader = PdfFileReader(io.BytesIO(pdf))
    array = reader.root["/DSS"][part]
    for at in range(len(array)):
        der = array.raw_get(at).get_object().data
        damaged = der[:-40] + bytes(40)
        pdf = pdf.replace(der, damaged)
    judged = by_a_stranger(office, judge, pdf)
    assert (judged.conclusion, judged.facts.level) == ("indeterminate", "PAdES-B-T")
