from __future__ import annotations

import io
import os
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image, ImageDraw
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.pdfdoc import PDFDictionary, PDFName
from reportlab.pdfbase.ttfonts import TTFont

from signer.appearance.anchors import signer_blocks
from signer.appearance.errors import PlacementCoversText, PlacementOffPage, SurveyFailed
from signer.appearance.geometry import PageBox, mm_to_pt, parse_placement, seal_rect
from signer.appearance.placement import Wanted, check_blank, find_place
from signer.appearance.survey import Line, Survey
from tests.drafts import NAME, Draft

AUTO = parse_placement("auto")
WANTED = Wanted(mm_to_pt(45), mm_to_pt(20), seal_mm=36.0, signer=NAME)


@pytest.fixture
def draft(fonts: Path) -> Callable[..., Draft]:
    pdfmetrics.registerFont(TTFont("Tinos-Test", str(fonts / "Tinos-Regular.ttf")))
    return Draft


def with_page_keys(pdf: bytes, rotation=0, crop=None) -> bytes:
    document = pypdfium2.PdfDocument(pdf)
    page = document[0]
    page.set_rotation(rotation)
    if crop:
        page.set_cropbox(*crop)
    out = io.BytesIO()
    document.save(out)
    document.close()
    return out.getvalue()


def centre(rect) -> tuple[float, float]:
    return (rect[0] + rect[2]) / 2, (rect[1] + rect[3]) / 2


def test_the_picture_stands_in_the_middle_between_title_and_name(draft):
    place = find_place(draft().fill(bottom=350).recipients().signer().done(), WANTED, AUTO)
    assert (place.how, place.page_index, place.rotation) == ("anchor", 0, 0)
    x, y = centre(place.rect)
    assert x == pytest.approx(430, abs=1)
    assert y == pytest.approx((300 + 180 + 9) / 2, abs=3)  # title's foot at 300, name's head a cap height above 180
    assert place.rect[2] - place.rect[0] == pytest.approx(mm_to_pt(45))


@pytest.mark.parametrize(
    "title",
    [
        "KT. CHỦ TỊCH\nPHÓ CHỦ TỊCH",
        "TM. ỦY BAN NHÂN DÂN\nKT. CHỦ TỊCH\nPHÓ CHỦ TỊCH",
        "TL. GIÁM ĐỐC\nCHÁNH VĂN PHÒNG",
        "Q. GIÁM ĐỐC",
        "G I Á M  Đ Ố C",
    ],
)
def test_titles_with_a_mandate_and_spaced_capitals_are_anchors(draft, title):
    place = find_place(draft().recipients().signer(title, room=125).done(), WANTED, AUTO)
    assert place.how == "anchor"
    foot = 300 - 16 * title.count("\n")
    assert foot - 125 < place.rect[1] < place.rect[3] < foot


def test_decomposed_text_is_an_anchor_too(draft):
    pdf = draft().signer(unicodedata.normalize("NFD", "GIÁM ĐỐC"), name=unicodedata.normalize("NFD", NAME)).done()
    assert find_place(pdf, WANTED, AUTO).how == "anchor"


def test_letters_drawn_one_by_one_in_any_order_are_put_together(draft):
    page = draft()
    for text, y in (("GIÁM ĐỐC", 300.0), (NAME, 180.0)):
        x = 430 - page.canvas.stringWidth(text, "Tinos-Test", 13) / 2
        spots = []
        for char in text:
            spots.append((char, x))
            x += page.canvas.stringWidth(char, "Tinos-Test", 13)
        for char, at in sorted(spots, key=lambda spot: -spot[1]):
            page.write(char, at, y)
    pdf = page.done()
    with Survey(pdf) as survey:
        assert [line.text for line in survey.page(0).lines()] == ["GIÁM ĐỐC", NAME]
    assert find_place(pdf, WANTED, AUTO).how == "anchor"


def test_the_block_of_the_person_who_signs_is_taken_when_there_are_two(draft):
    pdf = draft().signer("GIÁM ĐỐC", axis=200, name="Trần Văn Bảo").signer("CHỦ TỊCH", axis=440).done()
    assert centre(find_place(pdf, WANTED, AUTO).rect)[0] == pytest.approx(440, abs=1)
    other = Wanted(mm_to_pt(45), mm_to_pt(20), signer="Trần Văn Bảo")
    assert centre(find_place(pdf, other, AUTO).rect)[0] == pytest.approx(200, abs=1)


def test_the_main_document_is_signed_and_not_the_list_behind_it(draft):
    pdf = (
        draft()
        .fill(bottom=350)
        .recipients()
        .signer()
        .next_page()
        .fill(bottom=350)
        .signer("TRƯỞNG PHÒNG", name="Lê Văn Cừ")
        .done()
    )
    assert find_place(pdf, WANTED, AUTO).page_index == 0


def test_a_heading_in_capitals_is_no_signers_block(draft):
    page = draft().write("GIÁM ĐỐC TRUNG TÂM PHỤC VỤ HÀNH CHÍNH CÔNG", 300, 700, centred=True)
    page.write("Căn cứ Luật Thi đua, khen thưởng;", 90, 680)
    assert find_place(page.done(), WANTED, AUTO).how == "margin"
    lines = [Line("GIÁM ĐỐC", (380, 700, 450, 710)), Line("Căn cứ Luật số 06", (90, 600, 420, 612))]
    assert signer_blocks(lines, 595.0) == []


def test_the_seals_circle_counts_and_not_its_square(draft):
    free = draft().recipients().signer().done()
    place = find_place(free, WANTED, AUTO)
    seal = seal_rect(place.rect, 36.0)
    corner = draft().recipients().signer().write("x", seal[0] + 2, seal[1] + 2, 8).done()
    assert find_place(corner, WANTED, AUTO) == place
    inside = draft().recipients().signer().write("x", *centre(seal), 8).done()
    assert find_place(inside, WANTED, AUTO) != place


def test_too_little_room_at_the_anchor_falls_through_to_a_free_margin(draft):
    place = find_place(draft().fill(bottom=420).recipients(400).signer(y=400, room=45).done(), WANTED, AUTO)
    assert place.how == "margin"
    assert place.rect[3] < 345
    assert centre(place.rect)[0] > 595 / 2


@pytest.mark.parametrize("seal_mm", [None, 36.0, 42.0])
def test_whatever_is_found_is_blank_on_the_rendered_page(draft, seal_mm):
    pdf = draft().fill(bottom=400).recipients(380).signer(y=380, room=60).done()
    place = find_place(pdf, Wanted(mm_to_pt(45), mm_to_pt(20), seal_mm), AUTO)
    document = pypdfium2.PdfDocument(pdf)
    picture = document[0].render(scale=3).to_pil().convert("L")
    document.close()
    mask = Image.new("L", picture.size, 0)
    pen = ImageDraw.Draw(mask)

    def pixels(rect):
        return [rect[0] * 3, (842 - rect[3]) * 3, rect[2] * 3, (842 - rect[1]) * 3]

    pen.rectangle(pixels(place.rect), fill=255)
    if seal_mm:
        pen.ellipse(pixels(seal_rect(place.rect, seal_mm)), fill=255)
    assert sum(picture.histogram(mask)[:250]) == 0


def test_a_full_page_has_no_place(draft):
    assert find_place(draft().fill(top=830, bottom=5).done(), WANTED, AUTO) is None


def test_the_last_page_with_text_is_taken_before_an_empty_one(draft):
    place = find_place(draft().fill(bottom=300).next_page().fill(bottom=400).next_page().done(), WANTED, AUTO)
    assert (place.page_index, place.how) == (1, "margin")


def test_none_looks_at_nothing():
    assert find_place(b"not even a PDF", WANTED, parse_placement("none")) is None


def test_an_empty_field_where_the_signer_signs_is_used(draft):
    field = (370, 215, 500, 275)
    pdf = draft().recipients().signer().field("ChuKyNguoiKy", field).done()
    place = find_place(pdf, WANTED, AUTO)
    assert (place.how, place.field) == ("field", "ChuKyNguoiKy")
    assert place.rect == pytest.approx(field)


def test_fields_are_told_apart_by_name_and_state(draft):
    page = draft().fill(bottom=400).field("ConDau", (100, 200, 210, 310)).field("Ky", (330, 200, 460, 260))
    pdf = page.done()
    assert find_place(pdf, WANTED, AUTO).field == "Ky"
    assert find_place(pdf, Wanted(mm_to_pt(36), mm_to_pt(36), role="seal"), AUTO).field == "ConDau"
    assert find_place(pdf, Wanted(100, 50, open_fields=frozenset()), AUTO).how == "margin"


def test_a_signed_field_and_one_without_a_box_are_not_used(draft):
    signed = (
        draft().fill(bottom=400).field("Ky", (330, 200, 460, 260), V=PDFDictionary({"Type": PDFName("Sig")})).done()
    )
    assert find_place(signed, WANTED, AUTO).how == "margin"
    unseen = draft().fill(bottom=400).field("Ky", (0, 0, 0, 0)).done()
    assert find_place(unseen, WANTED, AUTO).how == "margin"


def test_the_room_of_an_empty_field_is_not_given_away(draft):
    pdf = draft().field("NgayBanHanh", (100, 100, 300, 120), kind="Tx").done()
    with pytest.raises(PlacementCoversText):
        find_place(pdf, Wanted(50, 50), parse_placement("1,120,90"))
    ignoring = Wanted(50, 50, ignored_fields=frozenset({"NgayBanHanh"}))
    assert find_place(pdf, ignoring, parse_placement("1,120,90")).how == "given"


def test_a_given_point_is_obeyed_or_refused(draft):
    pdf = draft().fill(bottom=400).next_page().fill(bottom=400).done()
    place = find_place(pdf, WANTED, parse_placement("-1,300,100"))
    assert (place.page_index, place.how, place.rect[:2]) == (1, "given", (300.0, 100.0))
    with pytest.raises(PlacementCoversText) as caught:
        find_place(pdf, WANTED, parse_placement("1,300,500"))
    assert caught.value.facts == {"placement": "1,300,500", "page": "1"}
    for outside in ("3,300,100", "-3,300,100", "1,560,100", "1,300,830", "1,-5,100"):
        with pytest.raises(PlacementOffPage) as off_page:
            find_place(pdf, WANTED, parse_placement(outside))
        assert off_page.value.facts["pages"] == "2"


def test_a_single_hairline_counts_as_content(draft):
    page = draft()
    page.canvas.setLineWidth(0.25)
    page.canvas.line(100, 150, 400, 150)
    with pytest.raises(PlacementCoversText):
        find_place(page.done(), WANTED, parse_placement("1,200,120"))


def test_a_scan_on_grey_paper_has_free_room_beside_its_letters(draft):
    scan = Image.new("RGB", (595, 842), (231, 228, 220))
    ImageDraw.Draw(scan).rectangle((80, 80, 500, 400), fill=(40, 40, 40))
    page = draft()
    page.canvas.drawImage(ImageReader(scan), 0, 0, 595, 842)
    pdf = page.done()
    assert find_place(pdf, WANTED, AUTO).how == "margin"
    with pytest.raises(PlacementCoversText):
        find_place(pdf, WANTED, parse_placement("1,200,500"))


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_turned_and_cropped_pages_get_the_place_the_reader_expects(draft, rotation):
    crop = (30.0, 40.0, 580.0, 820.0)
    pdf = with_page_keys(draft().fill(bottom=420).done(), rotation, crop)
    box = PageBox.of((0, 0, 595, 842), crop, rotation)
    wanted = Wanted(120, 50)
    found = find_place(pdf, wanted, AUTO)
    shown = box.to_display(found.rect)
    assert found.rotation == rotation
    assert (shown[2] - shown[0], shown[3] - shown[1]) == pytest.approx((120, 50))
    assert box.holds(shown)
    check_blank(pdf, 0, found.rect)


@pytest.mark.parametrize(
    ("rotation", "rect"),
    [(0, (35, 45, 155, 95)), (90, (525, 45, 575, 165)), (180, (455, 765, 575, 815)), (270, (35, 695, 85, 815))],
)
def test_a_given_point_is_counted_from_the_corner_that_the_reader_sees(draft, rotation, rect):
    pdf = with_page_keys(draft().write("x", 300, 400).done(), rotation, (30.0, 40.0, 580.0, 820.0))
    assert find_place(pdf, Wanted(120, 50), parse_placement("1,5,5")).rect == pytest.approx(rect)


def test_an_anchor_on_a_sheet_that_is_stored_sideways_is_found(draft):
    page = draft(size=(842, 595))
    page.canvas.translate(842, 0)
    page.canvas.rotate(90)
    pdf = with_page_keys(page.recipients().signer().done(), 90)
    place = find_place(pdf, WANTED, AUTO)
    assert (place.how, place.rotation) == ("anchor", 90)
    shown = PageBox.of((0, 0, 842, 595), None, 90).to_display(place.rect)
    assert centre(shown)[0] == pytest.approx(430, abs=1)
    assert shown[2] - shown[0] == pytest.approx(mm_to_pt(45))


def test_checking_a_seal_beside_its_signature_ignores_the_signatures_own_box(draft):
    pdf = (
        draft()
        .fill(bottom=400)
        .field("Officer", (300, 200, 427, 257), V=PDFDictionary({"Type": PDFName("Sig")}))
        .done()
    )
    seal = seal_rect((300, 200, 427, 257), 36.0)
    check_blank(pdf, 0, seal, is_round=True, ignored_fields=frozenset({"Officer"}))
    with pytest.raises(PlacementCoversText):
        check_blank(pdf, 0, seal, is_round=True)
    with pytest.raises(PlacementOffPage):
        check_blank(pdf, 0, (-50, 200, 50, 300))
    with pytest.raises(PlacementOffPage):
        check_blank(pdf, 7, seal)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"%PDF-1.7\n",
        b"\x89PNG\r\n\x1a\n",
        b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\ntrailer<</Root 1 0 R>>",
    ],
)
def test_a_file_that_cannot_be_read_is_one_error(content):
    with pytest.raises(SurveyFailed):
        find_place(content, WANTED, AUTO)


def test_a_truncated_file_is_one_error_or_an_answer(draft):
    whole = draft().fill().done()
    outcomes = set()
    for keep in range(100, len(whole), len(whole) // 25):
        try:
            find_place(whole[:keep], WANTED, AUTO)
            outcomes.add("answer")
        except SurveyFailed:
            outcomes.add("error")
    assert "error" in outcomes


def test_ten_pages_are_searched_quickly(draft):
    page = draft()
    for _ in range(9):
        page.fill().next_page()
    pdf = page.fill(bottom=350).recipients().signer().done()
    find_place(pdf, WANTED, AUTO)
    started = time.process_time()
    assert find_place(pdf, WANTED, AUTO).page_index == 9
    assert time.process_time() - started < 0.5


def test_only_both_ends_of_a_very_long_file_are_read(draft):
    page = draft().recipients().signer().next_page()
    for _ in range(300):
        page.write("Phụ lục", 100, 700).next_page()
    started = time.process_time()
    place = find_place(page.done(), WANTED, AUTO)
    assert (place.page_index, place.how) == (0, "anchor")
    assert time.process_time() - started < 3


CORPUS = Path(os.environ.get("ANTIN_TEST_CORPUS", Path(__file__).parents[4] / "../shared/corpus"))


@pytest.mark.slow
@pytest.mark.skipif(not (CORPUS / "sign-input").is_dir(), reason="no corpus (ANTIN_TEST_CORPUS)")
def test_on_odd_files_what_is_found_is_blank_and_the_rest_is_one_error():
    found = 0
    for path in sorted((CORPUS / "sign-input").rglob("*.pdf")):
        try:
            place = find_place(path, WANTED, AUTO)
        except SurveyFailed:
            continue
        if place is not None:
            check_blank(path, place.page_index, place.rect)
            check_blank(path, place.page_index, seal_rect(place.rect, 36.0, place.rotation), is_round=True)
            found += 1
    assert found > 40
