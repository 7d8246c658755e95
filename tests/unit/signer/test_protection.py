"""Certifications and locks that a signer asks for: what they forbid afterwards, and that the seal still finds its way."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from pyhanko.pdf_utils.generic import TextStringObject, pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.fields import enumerate_sig_fields

from api.demo.papers import write_papers
from signer.errors import SignerError, UsageWrong
from signer.evidence import OwnEvidence
from signer.extending import Extender
from signer.protection import FieldLock, Protection, parse_protection
from signer.timestamps import OwnTimestamper
from tests.signing_world import SigningWorld, plain_paper, raw_pdf
from tests.unit.pki.services import build_services

PAPER = plain_paper("A paper", "with two lines")


@pytest.fixture(scope="session")
def office_paper(pictures, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A paper with form fields for number and date and an empty place for the signature."""
    papers = write_papers(tmp_path_factory.mktemp("papers"), pictures.fonts, pictures.cache)
    return next(each.path.read_bytes() for each in papers)


def form_pdf(*texts: str, lock: str = "") -> bytes:
    """A page with text fields, and a signature field `Boss` that may have a lock of its own."""
    numbers = range(6, 6 + len(texts))
    references = " ".join(f"{number} 0 R" for number in (5, *numbers))
    widget = "/Type /Annot /Subtype /Widget /P 3 0 R /F 4"
    objects = {
        1: f"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [{references}] >> >>",
        2: "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        3: f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Annots [{references}] >>",
        5: f"<< {widget} /FT /Sig /T (Boss) /Rect [300 100 460 160] {lock} >>",
    }
    for number, name in zip(numbers, texts, strict=True):
        objects[number] = f"<< {widget} /FT /Tx /T ({name}) /Rect [50 {50 * number} 200 {50 * number + 20}] >>"
    return raw_pdf(objects)


def filled_in(pdf: bytes, field: str, value: str) -> bytes:
    """What a reader's program does when somebody types into a field."""
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    fields = writer.root["/AcroForm"]["/Fields"]
    found = next(each for each in (fields.raw_get(at).get_object() for at in range(len(fields))) if each["/T"] == field)
    found[pdf_name("/V")] = TextStringObject(value)
    writer.update_container(found)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def judged(signing: SigningWorld, pdf: bytes) -> list[tuple[str, str]]:
    signatures = signing.verdict(pdf).judged.signatures
    return [(each.conclusion, each.facts.changes_after) for each in signatures if each.facts.type == "signature"]


def rules(pdf: bytes, at: int = 0) -> dict[str, Any]:
    """The transform parameters of a signature by method."""
    signed = [
        value.get_object() for _, value, _ in enumerate_sig_fields(PdfFileReader(io.BytesIO(pdf)), filled_status=True)
    ]
    return {each["/TransformMethod"]: each["/TransformParams"] for each in signed[at].get("/Reference", ())}


def refusal(signing: SigningWorld, pdf: bytes, **wishes: Any) -> str:
    with pytest.raises(SignerError) as refused:
        signing.sign(pdf, **wishes)
    return refused.value.code


def lasting(signing: SigningWorld) -> SigningWorld:
    """The same world, which can sign above B-B."""
    world, services = signing.world, build_services(signing.world)
    world.crls()
    extender = Extender(
        OwnTimestamper(services.tsa), OwnEvidence(world.database, world.clock, services.ocsp), signing.judging
    )
    return replace(signing, deps=replace(signing.deps, extender=extender))


@pytest.mark.parametrize("permission", [2, 3])
@pytest.mark.parametrize("level", ["B-B", "B-LTA"])
def test_an_officer_certifies_and_the_seal_still_issues(signing, office_paper, permission, level):
    lasting_signing = lasting(signing)
    signed = lasting_signing.sign(office_paper, protection=Protection(certify=permission), level=level)
    assert rules(signed.content)["/DocMDP"]["/P"] == permission
    assert PdfFileReader(io.BytesIO(signed.content)).root["/Perms"]["/DocMDP"]["/Type"] == "/Sig"
    sealed = lasting_signing.sign(signed.content, "seal", level=level)
    assert (sealed.placed, sealed.level, sealed.filled) == ("reserved", level, ("SoVanBan", "NgayBanHanh"))
    assert [conclusion for conclusion, _ in judged(signing, sealed.content)] == ["valid", "valid"]


def test_a_certification_is_the_first_signature_and_leaves_room_for_the_seal(signing):
    assert refusal(signing, PAPER, protection=Protection(certify=1)) == "CERTIFY_CLOSES"
    signed = signing.sign(PAPER)
    for permission in (2, 3):
        assert refusal(signing, signed.content, protection=Protection(certify=permission)) == "CERTIFY_NOT_FIRST"
    assert refusal(signing, signed.content, credential="seal", protection=Protection(certify=1)) == "CERTIFY_NOT_FIRST"


def test_what_is_changed_after_a_certification_is_found(signing):
    signed = signing.sign(form_pdf("Name"), protection=Protection(certify=2), placement="none")
    assert judged(signing, filled_in(signed.content, "Name", "An")) == [("valid", "permitted")]
    # Another one may sign where a field waits for it, and nowhere else.
    assert refusal(signing, signed.content, placement="auto", field="New") in ("WOULD_BREAK_EARLIER", "INPUT_CLOSED")


@pytest.mark.parametrize("lock", ["all", "all-but Open"])
def test_an_officers_lock_leaves_number_date_and_seal_open(signing, office_paper, lock):
    pdf = office_paper if lock == "all" else form_pdf("Open", "SoVanBan", "NgayBanHanh")
    signed = signing.sign(pdf, protection=parse_protection(None, lock))
    parameters = rules(signed.content)["/FieldMDP"]
    assert parameters["/Action"] == "/Exclude"
    assert {"SoVanBan", "NgayBanHanh"} <= set(parameters["/Fields"])
    assert any(name.startswith("Seal") for name in parameters["/Fields"])
    sealed = signing.sign(signed.content, "seal")
    assert judged(signing, sealed.content) == [("valid", "permitted"), ("valid", "none")]


def test_fields_locked_by_name_are_locked_and_others_are_not(signing):
    signed = signing.sign(form_pdf("Name", "Note"), protection=parse_protection(None, "Name"), placement="none")
    assert judged(signing, filled_in(signed.content, "Note", "x")) == [("valid", "permitted")]
    assert judged(signing, filled_in(signed.content, "Name", "x")) == [("invalid", "forbidden")]


def test_a_seal_locks_everything_and_the_values_that_it_fills(signing, office_paper):
    lasting_signing = lasting(signing)
    signed = signing.sign(office_paper)
    sealed = lasting_signing.sign(signed.content, "seal", protection=Protection(lock=FieldLock("all")), level="B-LT")
    assert (sealed.level, rules(sealed.content, -1)["/FieldMDP"]["/Action"]) == ("B-LT", "/All")
    assert refusal(signing, sealed.content, field="Another") == "FIELD_LOCKED"
    wanted = Protection(lock=FieldLock("all"))
    assert (
        refusal(lasting_signing, signed.content, credential="seal", protection=wanted, level="B-LTA")
        == "LOCK_FORBIDS_ARCHIVE"
    )


def test_what_a_lock_cannot_name_is_refused(signing, office_paper):
    assert refusal(signing, form_pdf("Name"), protection=parse_protection(None, "Nam")) == "LOCK_FIELD_UNKNOWN"
    assert refusal(signing, office_paper, protection=parse_protection(None, "SoVanBan")) == "LOCK_FIELD_NEEDED"
    assert refusal(signing, PAPER, protection=parse_protection(None, "all-but Name")) == "LOCK_FIELD_UNKNOWN"


@pytest.mark.parametrize("lock", ["/All", "/Include /Fields [(Name)]"])
def test_the_lock_that_a_form_gives_its_field_is_kept(signing, lock):
    pdf = form_pdf("Name", lock=f"/Lock << /Type /SigFieldLock /Action {lock} >>")
    signed = signing.sign(pdf, field="Boss")
    assert rules(signed.content)["/FieldMDP"]["/Action"] == lock.split()[0]
    assert judged(signing, filled_in(signed.content, "Name", "x")) == [("invalid", "forbidden")]


def test_many_sign_one_file_and_none_breaks_another(signing):
    content = PAPER
    for number in range(6):
        signing.enrol(f"officer-{number}", "officer")
        content = signing.sign(content, f"officer-{number}", placement="none").content
    content = signing.sign(content, "seal").content
    assert [conclusion for conclusion, _ in judged(signing, content)] == ["valid"] * 7


@pytest.mark.parametrize(
    ("certify", "lock", "code"),
    [
        ("0", None, "CERTIFY_MALFORMED"), ("4", None, "CERTIFY_MALFORMED"), ("P=1", None, "CERTIFY_MALFORMED"),
        ("", None, "CERTIFY_MALFORMED"), (None, "", "LOCK_MALFORMED"), (None, " , ", "LOCK_MALFORMED"),
        (None, "all-but", "LOCK_MALFORMED"), (None, "all-but ,", "LOCK_MALFORMED"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(certify, lock, code):
    with pytest.raises(UsageWrong) as refused:
        parse_protection(certify, lock)
    assert refused.value.code == code


def test_what_people_write_is_read():
    assert parse_protection("2", None) == Protection(certify=2)
    assert parse_protection(None, "all-but A, B,A").lock == FieldLock("all-but", ("A", "B"))
    assert parse_protection(None, "all-but:A").lock == FieldLock("all-but", ("A",))
    assert parse_protection(None, "allowance").lock == FieldLock("only", ("allowance",))
