"""Stamps on plain files: without the library they look as with it, pixel for pixel, and others find nothing wrong with them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace

import pypdfium2
import pytest

from signer.appearance.errors import SurveyFailed
from signer.appearance.font_shelf import FontShelf
from signer.appearance.geometry import parse_placement
from signer.appearance.images import load_image
from signer.appearance.placement import Wanted
from signer.errors import Refused
from signer.long_file import LongFile, Source
from signer.pades import accept_prepared
from signer.placing import PlaceShelf
from signer.plain_base import read_plain
from signer.plain_increment import prepare_plain
from signer.plain_paper import paper_digest
from signer.plain_pdf import NotPlain
from signer.plan import Plan
from signer.preparing import prepare, prepare_by_library
from tests.fakes.clock import START
from tests.installation import VALID_BY_PDFSIG, signatures_by_pdfsig
from tests.large_pdf import large_pdf
from tests.signing_world import DIAMETER_MM, Pictures, SigningWorld, plain_paper, raw_pdf

_FONT = "/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
_TEXT = "BT /F1 12 Tf 60 640 Td (A paper) Tj ET"
_SIGNATURE = "/Type /Annot /Subtype /Widget /FT /Sig /F 4"


def paper(
    page: str = "/MediaBox [0 0 595 842]", catalog: str = "", tree: str = "", more: dict[int, str] | None = None
) -> bytes:
    objects = {
        1: f"<< /Type /Catalog /Pages 2 0 R {catalog} >>",
        2: f"<< /Type /Pages /Kids [3 0 R 5 0 R] /Count 2 {tree} >>",
        3: f"<< /Type /Page /Parent 2 0 R {page} {_FONT} /Contents 4 0 R >>",
        4: f"<< /Length {len(_TEXT)} >>\nstream\n{_TEXT}\nendstream",
        5: f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] {_FONT} /Contents 4 0 R >>",
    }
    return raw_pdf(objects | (more or {}))


def form(field: str, *, own: bool = False, fields: str = "", more: dict[int, str] | None = None) -> bytes:
    """A paper with a field (object 8) on its first page; `own`: form and annotations are objects of their own."""
    body = fields or "<< /Fields [8 0 R] /SigFlags 1 /DA (/Helv 0 Tf) >>"
    objects = {8: f"<< {field} /P 3 0 R >>", 9: body, 10: "[8 0 R]"} | (more or {})
    annots = "10 0 R" if own else "[8 0 R]"
    return paper(
        f"/MediaBox [0 0 595 842] /Annots {annots}", f"/AcroForm {'9 0 R' if own else body}", more=objects
    )  # fmt: skip


PAPERS: dict[str, Callable[[], bytes]] = {
    "a writer's": lambda: plain_paper("A paper", "with two lines", pages=3),
    "two pages": paper,
    **{f"turned by {angle}": lambda angle=angle: paper(f"/MediaBox [0 0 595 842] /Rotate {angle}") for angle in (90, 180, 270)},
    "turned by its tree": lambda: paper("", tree="/MediaBox [0 0 595 842] /Rotate 90"),
    "cropped": lambda: paper("/MediaBox [0 0 800 1000] /CropBox [50 100 645 942]"),
    "an empty field": lambda: form(f"{_SIGNATURE} /T (ChuKy) /Rect [300 200 480 320]"),
    "an empty field, apart": lambda: form(f"{_SIGNATURE} /T <FEFF004B00FD> /Rect [480 320 300 200]", own=True),
    "an unseen field": lambda: form(f"{_SIGNATURE} /T (ChuKy) /Rect [0 0 0 0]"),
    "a text field": lambda: form("/Type /Annot /Subtype /Widget /FT /Tx /T (Signature1) /F 4 /Rect [60 200 200 220]", own=True),
    "a link": lambda: paper(
        "/MediaBox [0 0 595 842] /Annots [<< /Type /Annot /Subtype /Link /Rect [9 9 20 20] /Border [0 0 1] >>]"
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def plans(pictures: Pictures) -> dict[str, Plan]:
    shelf = FontShelf(pictures.fonts, pictures.cache)
    drawn = Plan("signature", START, 9000, ready_seal_mm=DIAMETER_MM, signer="Nguyễn Thị Minh Hạnh")
    return {
        "picture": replace(drawn, image=load_image(pictures.signature, "signature", 45.0)),
        "text": replace(drawn, text=("Nguyễn Thị Minh Hạnh", "Sở Thử nghiệm"), fonts={"regular": shelf.font()}),
        "seal": Plan(
            "seal", START, 9000, image=load_image(pictures.seal, "seal", DIAMETER_MM), diameter_mm=DIAMETER_MM
        ),
    }


def pictures_of(pdf: bytes) -> list[bytes]:
    document = pypdfium2.PdfDocument(pdf)
    try:
        document.init_forms()
        return [page.render(scale=2, may_draw_forms=True).to_pil().tobytes() for page in document]
    finally:
        document.close()


@pytest.mark.parametrize("shape", PAPERS)
@pytest.mark.parametrize("kind", ["picture", "text", "seal"])
def test_both_ways_draw_the_same_in_the_same_place(plans, shape, kind):
    pdf, plan = PAPERS[shape](), plans[kind]
    plain, library = prepare_plain(pdf, plan), prepare_by_library(pdf, plan)
    assert (plain.field, plain.placed, plain.signed) == (library.field, library.placed, library.signed)
    assert plain.placed is not None
    accept_prepared(pdf, plain.tail, plain.hole, plain.field)
    seen = pictures_of(pdf + plain.tail)
    assert seen == pictures_of(pdf + library.tail)
    assert seen != pictures_of(pdf)


@pytest.mark.parametrize("streams", [False, True], ids=["table", "streams"])
@pytest.mark.parametrize("kind", ["picture", "seal"])
def test_a_file_on_disk_is_drawn_on_as_one_in_memory(plans, tmp_path, kind, streams):
    pdf, plan = large_pdf(12, 500, streams=streams), plans[kind]
    (tmp_path / "file").write_bytes(pdf)
    held = LongFile(Source(os.open(tmp_path / "file", os.O_RDONLY), len(pdf)))
    shelf = PlaceShelf()
    plain, library = prepare_plain(held, plan, shelf), prepare_by_library(pdf, plan)
    assert prepare_plain(pdf, plan, shelf).hole == plain.hole
    assert (plain.field, plain.placed) == (library.field, library.placed)
    assert plain.placed is not None
    assert pictures_of(pdf + plain.tail) == pictures_of(pdf + library.tail) != pictures_of(pdf)
    assert paper_digest(held, read_plain(held)) == digest_of(pdf)
    assert (digest_of(pdf) is None) is streams


@pytest.mark.parametrize("placement", ["1,60,60", "-1,300,100", "required"])
def test_a_point_that_was_given_is_obeyed_alike(plans, placement):
    pdf, plan = PAPERS["turned by 90"](), replace(plans["picture"], placement=placement)
    plain, library = prepare_plain(pdf, plan), prepare_by_library(pdf, plan)
    assert pictures_of(pdf + plain.tail) == pictures_of(pdf + library.tail) != pictures_of(pdf)


def test_a_page_without_room_gets_an_unseen_signature_or_a_refusal(plans):
    full = plain_paper(*["text " * 12] * 12, size=(200, 180))
    plain = prepare_plain(full, plans["picture"])
    assert (plain.placed, plain.field) == (None, "Signature1")
    with pytest.raises(Refused) as refused:
        prepare_plain(full, replace(plans["picture"], placement="required"))
    assert refused.value.code == "PLACEMENT_NOWHERE"


@pytest.mark.parametrize("shape", ["a writer's", "turned by 90", "an empty field", "an empty field, apart"])
@pytest.mark.parametrize("picture", [True, False])
def test_signature_and_seal_are_valid_to_everybody(signing: SigningWorld, tmp_path, shape, picture):
    signing.enrol("clerk", "officer", picture=picture, subject="CN=Trần Văn B,O=Sở Thử nghiệm,C=VN")
    first = signing.sign(PAPERS[shape](), "clerk")
    assert first.placed is not None
    assert prepare_plain(first.content, replace(UNSEEN, kind="seal", diameter_mm=DIAMETER_MM)).field == "Seal1"
    # Another one who signs between them, unseen, harms nobody.
    second = signing.sign(first.content, "officer", placement="none")
    both = signing.sign(second.content, "seal")
    assert (both.field, both.placed) == ("Seal1", "reserved")
    file = tmp_path / "both.pdf"
    file.write_bytes(both.content)
    assert signatures_by_pdfsig(file) == [VALID_BY_PDFSIG] * 3
    verdict = signing.verdict(both.content).to_json()
    assert {each["conclusion"] for each in verdict["signatures"]} == {"valid"}
    assert sorted(each["changes_after"] for each in verdict["signatures"]) == ["none", "permitted", "permitted"]


UNSEEN = Plan("signature", START, 9000, placement="none")
_METADATA = {11: "<< /Type /Metadata /Subtype /XML /Length 24 >>\nstream\n<pdfaid:part>2</pdfaid>  \nendstream"}


@pytest.mark.parametrize(
    "pdf",
    [
        paper(catalog="/MarkInfo << /Marked true >> /StructTreeRoot 6 0 R", more={6: "<< /Type /StructTreeRoot >>"}),
        paper(catalog="/Metadata 11 0 R", more=_METADATA),
        paper(catalog="/Metadata 11 0 R", more={11: _METADATA[11].replace("/Length", "/Filter /FlateDecode /Length")}),
        form(f"{_SIGNATURE} /T (A) /Rect [9 9 99 99]", fields="<< /Fields [8 0 R] /XFA [] >>"),
        form(f"{_SIGNATURE} /T (A) /Rect [9 9 99 99] /Lock << /Type /SigFieldLock /Action /All >>"),
        form(f"{_SIGNATURE} /T (A) /Rect [9 9 99 99] /V 12 0 R", more={12: "<< /Type /Sig /Reference [] >>"}),
        form(f"{_SIGNATURE} /T (A) /Kids [] /Rect [9 9 99 99]"),
        form(f"{_SIGNATURE} /T (A.B) /Rect [9 9 99 99]"),
        form(f"{_SIGNATURE} /T (\\101) /Rect [9 9 99 99]"),
        form("/Type /Annot /Subtype /Widget /FT /Tx /T (SoVanBan) /Rect [9 9 99 99]"),
        paper(tree="/Rotate 1 0 R"),
    ],
    ids=[
        "tagged",
        "PDF/A",
        "hidden claim",
        "XFA",
        "lock",
        "conditions",
        "kids",
        "tree",
        "escaped",
        "value",
        "odd rotation",
    ],
)
def test_what_has_more_rules_is_left_to_the_library(plans, pdf):
    with pytest.raises(NotPlain):
        prepare_plain(pdf, replace(plans["picture"], values={"SoVanBan": "12"}))


def test_an_existing_name_and_an_odd_one_are_left_to_the_library():
    pdf = form(f"{_SIGNATURE} /T (A) /Rect [9 9 99 99]")
    for field in ("A", "Chữ ký", "a(b"):
        with pytest.raises(NotPlain):
            prepare_plain(pdf, replace(UNSEEN, field=field))
    assert prepare_plain(pdf, replace(UNSEEN, field="B")).field == "B"
    assert prepare_plain(pdf, UNSEEN).field == "Signature1"


INFORMED = raw_pdf(
    {1: "<< /Type /Catalog /Pages 2 0 R >>", 2: "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
     3: f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] {_FONT} /Contents 4 0 R >>",
     4: "<< /Producer (A writer) /CreationDate (D:20200101) >>",
     5: f"<< /Length {len(_TEXT)} >>\nstream\n{_TEXT}\nendstream"}
).replace(b"/Contents 4", b"/Contents 5").replace(b"/Root", b"/Info 4 0 R /Root")  # fmt: skip


def moved(pdf: bytes, old: bytes, new: bytes) -> bytes:
    """The file with other octets in its fourth object; its offsets are right again."""
    assert pdf.count(old) == 1
    at, more = pdf.index(old), len(new) - len(old)
    changed = pdf.replace(old, new)

    def offset(row: re.Match[bytes]) -> bytes:
        place = int(row[1])
        return b"%010d 00000 n" % (place + more if place > at else place)

    changed = re.sub(rb"(\d{10}) 00000 n", offset, changed)
    return re.sub(rb"startxref\n\d+", b"startxref\n%d" % changed.index(b"xref\n0"), changed)


def digest_of(pdf: bytes) -> bytes | None:
    return paper_digest(pdf, read_plain(pdf))


def test_the_paper_is_the_same_whatever_the_document_information_says():
    other = moved(INFORMED, b"(A writer)", b"(Another writer, of a later day)")
    assert digest_of(other) == digest_of(INFORMED) is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"A paper", b"B paper"),
        (b"/MediaBox [0 0 595 842]", b"/MediaBox [0 0 595 841]"),
        (b"/CreationDate (D:20200101)", b"/Type /Font"),
        (b"(A writer)", b"(7 0 obj << >> endobj)"),
        (b"(A writer)", b"<< /Type /Font >>"),
        (b"%PDF-1.7", b"%PDF-1.6"),
    ],
)
def test_the_paper_is_another_when_anything_else_differs(old, new):
    assert digest_of(moved(INFORMED, old, new)) not in (digest_of(INFORMED), None)


def test_the_paper_is_another_when_numbers_mean_other_objects():
    rows = re.findall(rb"\d{10} 00000 n", INFORMED)
    swapped = INFORMED.replace(rows[4], b"#").replace(rows[3], rows[4]).replace(b"#", rows[3])
    assert digest_of(swapped) != digest_of(INFORMED)


def test_a_file_that_was_appended_to_is_not_remembered():
    pdf = paper()
    assert digest_of(pdf + prepare_plain(pdf, UNSEEN).tail) is None


def test_a_place_is_found_once_for_all_copies_of_a_paper_and_each_wish_apart():
    shelf, wish = PlaceShelf(most=2), Wanted(100.0, 40.0)
    found = shelf.finder(paper(), b"paper")(wish, parse_placement("auto"))
    assert found is not None
    # What cannot even be opened is not looked at.
    again = shelf.finder(b"nothing", b"paper")
    assert again(wish, parse_placement("auto")) == found
    for unknown in (
        lambda: again(Wanted(100.0, 41.0), parse_placement("auto")),
        lambda: again(wish, parse_placement("1,9,9")),
        lambda: shelf.finder(b"nothing", b"other")(wish, parse_placement("auto")),
    ):
        with pytest.raises(SurveyFailed):
            unknown()
    # The oldest goes.
    for width in (50.0, 60.0):
        shelf.finder(paper(), b"paper")(Wanted(width, 40.0), parse_placement("auto"))
    with pytest.raises(SurveyFailed):
        again(wish, parse_placement("auto"))


def test_a_place_that_is_remembered_is_where_it_would_be_found(plans):
    places = PlaceShelf()
    for _ in range(2):
        for kind in plans:
            pdf = moved(INFORMED, b"(A writer)", b"(%b)" % kind.encode())
            remembered, looked = prepare(pdf, plans[kind], places), prepare(pdf, plans[kind])
            assert remembered.placed == looked.placed == "margin"
            assert pictures_of(pdf + remembered.tail) == pictures_of(pdf + looked.tail)
