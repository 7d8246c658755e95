"""signer/preparing.py: which revision is appended to which file, and which files get none."""

from __future__ import annotations

import io

import pytest
from pyhanko.pdf_utils.generic import NumberObject, parse_pdf_date, pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import copy_into_new_writer
from pyhanko.sign.fields import enumerate_sig_fields

from api.demo.papers import write_papers
from signer.appearance.errors import PlacementCoversText
from signer.errors import InputUnreadable, Refused, SignerError
from signer.pades import accept_prepared
from signer.plan import Plan, Prepared
from signer.preparing import PrepareTask, prepare
from signer.validation.verdict import Verdict
from tests.fakes.clock import START
from tests.signing_world import SigningWorld, plain_paper, raw_pdf

PAPER = plain_paper("A paper", "with two lines")
_OCTETS = 9000
UNSEEN = Plan("signature", START, _OCTETS, placement="none")


def code_of(pdf: bytes, plan: Plan = UNSEEN) -> str:
    with pytest.raises(SignerError) as caught:
        prepare(pdf, plan)
    return caught.value.code


def opened(pdf: bytes, answer: Prepared) -> PdfFileReader:
    """The file with its new revision, in a library's eyes; the answer keeps every octet that was there."""
    accept_prepared(pdf, answer.tail, answer.hole, answer.field)
    return PdfFileReader(io.BytesIO(pdf + answer.tail), strict=False)


def filled(reader: PdfFileReader) -> dict[str, dict]:
    """The signature fields that have a value, by name."""
    return {name: value.get_object() for name, value, _ in enumerate_sig_fields(reader, filled_status=True)}


def widgets(reader: PdfFileReader, page: int = 0) -> list[str]:
    """Names of the form fields that stand on a page."""
    annotations = reader.root["/Pages"]["/Kids"][page].get("/Annots", ())
    found = [each.get_object() for each in annotations]
    return [each["/T"] for each in found if each.get("/Subtype") == "/Widget"]


@pytest.fixture(scope="session")
def office_paper(pictures, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A paper with form fields for number and date and an empty place for the signature."""
    papers = write_papers(tmp_path_factory.mktemp("papers"), pictures.fonts, pictures.cache)
    return next(each.path.read_bytes() for each in papers)


def form_pdf(field: str, *, annots: str = "[5 0 R]", more: dict[int, str] | None = None, page: str = "") -> bytes:
    """One page of 300 × 300 points with a form whose only field is object 5."""
    return raw_pdf(
        {
            1: "<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [5 0 R] /SigFlags 1 >> >>",
            2: "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            3: f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] /Resources << >> /Annots {annots} {page} >>",
            5: field,
            **(more or {}),
        }
    )


WIDGET = "<< /FT /Sig /T (Boss) /Type /Annot /Subtype /Widget /Rect [50 50 200 150] /P 3 0 R >>"


def test_what_was_there_stays_octet_for_octet_and_the_field_is_new() -> None:
    answer = prepare(PAPER, UNSEEN)
    assert (answer.field, answer.placed, answer.lenient) == ("Signature1", None, False)
    reader = opened(PAPER, answer)
    assert list(filled(reader)) == ["Signature1"]
    signature = filled(reader)["Signature1"]
    assert signature["/SubFilter"] == "/ETSI.CAdES.detached"
    # The time of a PAdES signature stands in /M, and equals the plan's (EN 319 142-1 6.3).
    assert parse_pdf_date(signature["/M"]) == START


def test_the_hole_has_the_size_that_the_plan_asks_for() -> None:
    answer = prepare(PAPER, UNSEEN)
    assert answer.hole[1] - answer.hole[0] - 2 == 2 * _OCTETS


@pytest.mark.parametrize(
    ("pdf", "code"),
    [
        (b"no PDF", "INPUT_NOT_PDF"),
        (b" " * 2000 + PAPER, "INPUT_NOT_PDF"),
        (b"%PDF-1.7\n", "INPUT_DAMAGED"),
        (PAPER[: len(PAPER) // 2], "INPUT_DAMAGED"),
        (PAPER[:-30], "INPUT_DAMAGED"),
        (PAPER.replace(b"startxref\n", b"startxref\n9"), "INPUT_DAMAGED"),
        (
            raw_pdf({1: "<< /Type /Catalog /Pages 2 0 R >>", 2: "<< /Type /Pages /Kids [] /Count 0 >>"}),
            "INPUT_NO_PAGES",
        ),
        (raw_pdf({1: "<< /Type /Catalog /Pages 2 0 R >>", 2: "<< /Type /Pages /Count 0 >>"}), "INPUT_NO_PAGES"),
        (raw_pdf({1: "<< /Type /Catalog >>"}), "INPUT_DAMAGED"),
        (raw_pdf({1: "null"}), "INPUT_DAMAGED"),
    ],
)
def test_what_is_no_whole_pdf_is_named(pdf: bytes, code: str) -> None:
    assert code_of(pdf) == code


def test_an_encrypted_file_with_a_mac_is_refused() -> None:
    writer = copy_into_new_writer(PdfFileReader(io.BytesIO(PAPER)))
    writer.encrypt("owner", "")  # opens without a password, but nobody may append to it (ISO/TS 32004)
    out = io.BytesIO()
    writer.write(out)
    assert code_of(out.getvalue()) == "INPUT_ENCRYPTION_UNKNOWN"


def test_a_field_is_made_signed_or_refused_by_its_name() -> None:
    assert prepare(PAPER, UNSEEN_IN("Chữ ký số")).field == "Chữ ký số"
    free = form_pdf(WIDGET)
    answer = prepare(free, UNSEEN_IN("Boss"))
    assert list(filled(opened(free, answer))) == ["Boss"]
    text = form_pdf("<< /FT /Tx /T (Boss) /Type /Annot /Subtype /Widget /Rect [50 50 200 150] /P 3 0 R >>")
    assert code_of(text, UNSEEN_IN("Boss")) == "FIELD_EXISTS"
    signed = free + answer.tail
    assert code_of(signed, UNSEEN_IN("Boss")) == "FIELD_EXISTS"


def UNSEEN_IN(field: str) -> Plan:  # noqa: N802  a variant of UNSEEN
    return Plan("signature", START, _OCTETS, placement="none", field=field)


def test_a_new_field_never_takes_a_name_that_the_form_has() -> None:
    for kind in ("/Tx", "/Btn", "/Ch", "/Sig"):
        pdf = form_pdf(f"<< /FT {kind} /T (Signature1) /Type /Annot /Subtype /Widget /Rect [1 1 1 1] /P 3 0 R >>")
        assert prepare(pdf, UNSEEN).field == "Signature2"


@pytest.mark.parametrize(
    ("pdf", "why"),
    [
        (form_pdf(WIDGET, annots="6 0 R", more={6: "[5 0 R]"}), "annotations in an object of their own"),
        (form_pdf(WIDGET, annots="[]"), "a widget that no page lists"),
        (form_pdf("<< /FT /Sig /T (Boss) >>", annots="[]"), "a field without a widget"),
        (
            form_pdf(
                "<< /FT /Sig /T (Boss) /Kids [6 0 R] >>",
                annots="[6 0 R]",
                more={6: "<< /Type /Annot /Subtype /Widget /Parent 5 0 R /Rect [50 50 200 150] /P 3 0 R >>"},
            ),
            "a field with a widget of its own object",
        ),
        (
            form_pdf(
                "<< /T (Form) /Kids [6 0 R] >>",
                annots="[6 0 R]",
                more={6: WIDGET.replace("/T (Boss)", "/T (Boss) /Parent 5 0 R")},
            ),
            "a field below another",
        ),
    ],
)
def test_forms_that_are_built_otherwise_get_their_signature_too(pdf: bytes, why: str) -> None:
    answer = prepare(pdf, UNSEEN)
    assert list(filled(opened(pdf, answer))) == [answer.field], why


def test_a_field_of_several_widgets_is_signed_unseen(signing: SigningWorld) -> None:
    """Which of its places the stamp belongs to, nobody can tell."""
    kid = "<< /Type /Annot /Subtype /Widget /Parent 5 0 R /Rect [50 {0} 200 {1}] /P 3 0 R >>"
    pdf = form_pdf(
        "<< /FT /Sig /T (Boss) /Kids [6 0 R 7 0 R] >>",
        annots="[6 0 R 7 0 R]",
        more={6: kid.format(50, 90), 7: kid.format(100, 140)},
    )
    signed = signing.sign(pdf, field="Boss")
    assert (signed.field, signed.placed) == ("Boss", None)
    assert valid(signing.verdict(signed.content))


def signature_with(reference: str) -> bytes:
    """A file with a signature whose dictionary refers to a certification or a lock."""
    value = (
        f"<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /ETSI.CAdES.detached /Contents <00> /ByteRange [0 1 2 3] "
        f"/Reference [{reference}] >>"
    )
    return form_pdf(WIDGET.replace("/P 3 0 R", "/P 3 0 R /V 6 0 R"), more={6: value})


def transform(method: str, parameters: str) -> str:
    return f"<< /Type /SigRef /TransformMethod /{method} /TransformParams << /Type /TransformParams /V /1.2 {parameters} >> >>"


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        (transform("DocMDP", "/P 1"), "INPUT_CLOSED"),
        (transform("FieldMDP", "/Action /All"), "FIELD_LOCKED"),
        (transform("FieldMDP", "/Action /Include /Fields [(Signature1)]"), "FIELD_LOCKED"),
        (transform("FieldMDP", "/Action /Exclude /Fields [(Other)]"), "FIELD_LOCKED"),
    ],
)
def test_a_file_that_an_earlier_signature_has_closed_is_refused(reference: str, code: str) -> None:
    assert code_of(signature_with(reference)) == code


@pytest.mark.parametrize(
    "reference",
    [
        transform("DocMDP", "/P 2"),
        transform("DocMDP", ""),
        transform("FieldMDP", "/Action /Include /Fields [(Other)]"),
        transform("FieldMDP", "/Action /Exclude /Fields [(Signature1)]"),
    ],
)
def test_a_file_that_is_still_open_is_signed(reference: str) -> None:
    assert prepare(signature_with(reference), UNSEEN).field == "Signature1"


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_stamp_stands_within_the_page_however_the_page_is_turned(signing: SigningWorld, rotation: int) -> None:
    writer = IncrementalPdfFileWriter(io.BytesIO(PAPER))
    page = writer.root["/Pages"]["/Kids"][0]
    page[pdf_name("/Rotate")] = NumberObject(rotation)
    writer.update_container(page)
    out = io.BytesIO()
    writer.write(out)
    signed = signing.sign(out.getvalue(), placement="1,100,120")
    assert signed.placed == "given"
    reader = PdfFileReader(io.BytesIO(signed.content))
    shown = reader.root["/Pages"]["/Kids"][0]
    x0, y0, x1, y1 = (float(each) for each in shown["/Annots"][0].get_object()["/Rect"])
    assert 0 <= x0 < x1 <= 596
    assert 0 <= y0 < y1 <= 843
    # A turned page turns the stamp back: as wide as 45 mm along the reader's line.
    width = x1 - x0 if rotation % 180 == 0 else y1 - y0
    assert width == pytest.approx(45 / 25.4 * 72, abs=1)
    assert valid(signing.verdict(signed.content))


def valid(verdict: Verdict) -> bool:
    return verdict.conclusion == "valid"


def test_the_officers_signature_leaves_one_empty_place_for_the_seal(signing: SigningWorld, office_paper: bytes) -> None:
    approved = signing.sign(office_paper)
    names = widgets(PdfFileReader(io.BytesIO(approved.content)))
    assert names.count("Seal1") == 1
    again = signing.sign(approved.content)
    assert [name for name in widgets(PdfFileReader(io.BytesIO(again.content))) if name.startswith("Seal")] == ["Seal1"]
    issued = signing.sign(again.content, "seal")
    assert (issued.field, issued.placed) == ("Seal1", "reserved")
    assert set(issued.filled) == {"SoVanBan", "NgayBanHanh"}
    assert valid(signing.verdict(issued.content))


def test_no_empty_place_is_left_behind_an_earlier_signature(signing: SigningWorld) -> None:
    """A field that comes later would be a change to what the first signature covers."""
    unseen = signing.sign(PAPER, placement="none")
    second = signing.sign(unseen.content, placement="1,100,120")
    assert not [name for name in widgets(PdfFileReader(io.BytesIO(second.content))) if name.startswith("Seal")]
    issued = signing.sign(second.content, "seal")
    assert [each.conclusion for each in signing.verdict(issued.content).judged.signatures] == ["valid"] * 3


def test_a_seal_is_never_scaled_into_a_field_that_is_too_small(signing: SigningWorld) -> None:
    approved = signing.sign(form_pdf(WIDGET.replace("[50 50 200 150]", "[50 50 120 120]")), placement="none", field="A")
    with pytest.raises(Refused) as caught:
        signing.sign(approved.content, "seal", field="Boss")
    assert caught.value.code == "FIELD_TOO_SMALL"
    assert caught.value.facts["diameter_mm"] == "36"


def test_an_existing_field_decides_the_place_unless_nothing_is_to_be_drawn(signing: SigningWorld) -> None:
    pdf = form_pdf(WIDGET)
    assert signing.sign(pdf, field="Boss").placed == "field"
    assert signing.sign(pdf, field="Boss", placement="none").placed is None
    hidden = form_pdf(WIDGET.replace("[50 50 200 150]", "[0 0 0 0]"))
    assert signing.sign(hidden, field="Boss").placed is None
    with pytest.raises(Refused) as caught:
        signing.sign(hidden, field="Boss", placement="required")
    assert caught.value.code == "PLACEMENT_NOWHERE"


def test_a_page_without_room_is_signed_unseen_or_refused_as_asked(signing: SigningWorld) -> None:
    full = plain_paper(*["text " * 12] * 12, size=(200, 180))
    assert signing.sign(full).placed is None
    with pytest.raises(Refused) as caught:
        signing.sign(full, placement="required")
    assert caught.value.code == "PLACEMENT_NOWHERE"


def test_a_given_place_on_text_is_refused(signing: SigningWorld) -> None:
    with pytest.raises(Refused) as caught:
        signing.sign(PAPER, placement="1,72,740")
    assert caught.value.code == PlacementCoversText.code


def test_a_refusal_in_the_judge_process_is_an_answer_with_its_facts() -> None:
    header, blobs = UNSEEN_IN("Boss").to_message()
    text = form_pdf("<< /FT /Tx /T (Boss) /Type /Annot /Subtype /Widget /Rect [50 50 200 150] /P 3 0 R >>")
    answer, parts = PrepareTask()(header, [text, *blobs])
    assert (answer, parts) == ({"error": "Refused", "code": "FIELD_EXISTS", "facts": {"field": "Boss"}}, [])


def test_a_file_that_only_a_lenient_reader_opens_is_signed_and_said_to_be_so() -> None:
    """A reference to an object that is not there: real files have them (facts of validation, 3)."""
    pdf = raw_pdf(
        {
            1: "<< /Type /Catalog /Pages 2 0 R >>",
            2: "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            3: "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] /Resources << >> /Annots 9 0 R >>",
        }
    )
    try:
        answer = prepare(pdf, UNSEEN)
    except InputUnreadable as error:
        assert error.code == "INPUT_DAMAGED"  # noqa: PT017  either answer is honest, a crash is not
    else:
        assert list(filled(opened(pdf, answer))) == ["Signature1"]


@pytest.mark.parametrize("after", [b"%% a remark\n", b"\r\n% one\r\n  %%two\n%three", b"% startxref 1 %%EOF"])
def test_comments_behind_the_end_of_a_file_are_kept_and_signed(signing: SigningWorld, after: bytes) -> None:
    paper = raw_pdf(
        {
            1: "<< /Type /Catalog /Pages 2 0 R >>",
            2: "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            3: "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] /Resources << >> >>",
        }
    )
    signed = signing.sign(paper + after, placement="none")
    assert signed.content.startswith(paper + after)
    assert valid(signing.verdict(signed.content))
