from __future__ import annotations

import os
import subprocess
import unicodedata
from pathlib import Path

import pypdfium2
import pytest
from PIL import Image, ImageDraw

from api.demo.papers import Paper, write_papers
from api.demo.pictures import draw_seal, draw_signature
from signer.appearance.errors import FontMissing
from signer.appearance.geometry import mm_to_pt, parse_placement, pt_to_mm, seal_rect
from signer.appearance.images import load_image
from signer.appearance.placement import Wanted, find_place
from signer.appearance.survey import Survey
from signer.metadata import parse_metadata

FONTS = Path(os.environ.get("ANTIN_TEST_FONTS", "/usr/share/fonts/truetype/croscore"))
LOWER = {
    unicodedata.normalize("NFC", vowel + tone)
    for vowel in "aăâeêioôơuưy"
    for tone in ("", "\u0300", "\u0301", "\u0303", "\u0309", "\u0323")
} | {"đ", *"bcdghklmnpqrstvx"}


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> list[Paper]:
    if not (FONTS / "Tinos-Regular.ttf").is_file():
        pytest.skip("Tinos is not installed (Debian: fonts-croscore)")
    return write_papers(tmp_path_factory.mktemp("papers"), FONTS, tmp_path_factory.mktemp("cache"))


def text_of(paper: Paper) -> str:
    return subprocess.run(["pdftotext", "-layout", paper.path, "-"], check=True, capture_output=True, text=True).stdout


def test_there_are_a_letter_a_decision_and_a_certificate(papers):
    assert [paper.kind for paper in papers] == ["Công văn", "Quyết định", "Giấy chứng nhận"]
    for paper in papers:
        checked = subprocess.run(["qpdf", "--check", paper.path], check=True, capture_output=True, text=True)
        assert "No syntax or stream encoding errors" in checked.stdout


def test_writing_them_again_changes_neither_bytes_nor_files(papers, tmp_path):
    elsewhere = write_papers(tmp_path / "new", FONTS, tmp_path / "cache")
    assert [paper.path.read_bytes() for paper in elsewhere] == [paper.path.read_bytes() for paper in papers]
    before = [paper.path.stat().st_mtime_ns for paper in elsewhere]
    write_papers(tmp_path / "new", FONTS, tmp_path / "cache")
    assert [paper.path.stat().st_mtime_ns for paper in elsewhere] == before


def test_every_paper_says_that_it_is_a_demonstration_on_every_page(papers):
    for paper in papers:
        with Survey(paper.path) as survey:
            for index in range(survey.page_count):
                assert "khôngcógiátrịpháplý".upper() in survey.page(index).words()


def test_every_vietnamese_letter_stands_in_the_decision_and_can_be_read_back(papers):
    assert set(text_of(papers[1]).lower()) >= LOWER


def test_metadata_has_the_decrees_names_and_the_real_number_of_pages(papers):
    for paper in papers:
        metadata = parse_metadata(paper.metadata)
        assert metadata["SignerInfo"] == {"Position": "Giám đốc", "FullName": "Nguyễn Thị Minh Hạnh"}
        assert metadata["CodeNotation"] in text_of(paper)
        with Survey(paper.path) as survey:
            assert metadata["PageAmount"] == str(survey.page_count)


def test_number_and_date_are_open_fields_on_the_printed_line(papers):
    for paper in papers:
        with Survey(paper.path) as survey:
            page = survey.page(0)
            fields = {widget.name: widget for widget in page.widgets()}
            lines = page.lines()
        assert {"SoVanBan", "NgayBanHanh"} <= set(fields)
        number = next(line for line in lines if line.text == "Số:")
        notation = next(line for line in lines if line.text == f"/{paper.metadata['CodeNotation']}")
        rect = fields["SoVanBan"].rect
        assert number.rect[2] <= rect[0] + 1
        assert rect[2] - 1 <= notation.rect[0]
        assert rect[1] < number.rect[1] < number.rect[3] < rect[3]
        place = next(line for line in lines if line.text == "Hương Giang,")
        assert 0 < fields["NgayBanHanh"].rect[0] - place.rect[2] < 6


def test_margins_are_those_of_the_decree(papers):
    document = pypdfium2.PdfDocument(papers[0].path)
    picture = document[0].render(scale=2).to_pil().convert("L")
    document.close()
    pen = ImageDraw.Draw(picture)
    pen.rectangle(
        (0, picture.height - 90, picture.width, picture.height), fill=255
    )  # the notice stands in the bottom margin
    left, top, right, _ = picture.point([255] * 200 + [0] * 56).getbbox()
    assert 29.5 <= pt_to_mm(left / 2) <= 35
    assert 20 <= pt_to_mm(top / 2) <= 26
    assert 14.5 <= pt_to_mm((picture.width - right) / 2) <= 20.5


@pytest.mark.parametrize(("at", "how"), [(0, "anchor"), (1, "anchor"), (2, "field")])
def test_signature_and_seal_find_their_room_and_cover_nothing(papers, at, how):
    signature = load_image(draw_signature(dpi=300), "signature", 45.0)
    wanted = Wanted(mm_to_pt(45), mm_to_pt(signature.height_mm), seal_mm=36.0, signer="Nguyễn Thị Minh Hạnh")
    place = find_place(papers[at].path, wanted, parse_placement("auto"))
    assert (place.how, place.page_index) == (how, 0)
    assert place.field == ("ChuKyNguoiKy" if how == "field" else None)
    document = pypdfium2.PdfDocument(papers[at].path)
    page = document[0]
    picture, height = page.render(scale=4).to_pil().convert("L"), page.get_height()
    document.close()
    mask = Image.new("L", picture.size, 0)
    for shape, (x0, y0, x1, y1) in (("rectangle", place.rect), ("ellipse", seal_rect(place.rect, 36.0))):
        getattr(ImageDraw.Draw(mask), shape)((x0 * 4, (height - y1) * 4, x1 * 4, (height - y0) * 4), fill=255)
    assert sum(picture.histogram(mask)[:250]) == 0


def test_the_same_pictures_are_drawn_each_time_and_pass_the_checks():
    font = FONTS / "Tinos-Bold.ttf"
    if not font.is_file():
        pytest.skip("Tinos is not installed (Debian: fonts-croscore)")
    seal = draw_seal("TRUNG TÂM PHỤC VỤ HÀNH CHÍNH CÔNG THÀNH PHỐ HƯƠNG GIANG", font, dpi=150)
    assert seal == draw_seal("TRUNG TÂM PHỤC VỤ HÀNH CHÍNH CÔNG THÀNH PHỐ HƯƠNG GIANG", font, dpi=150)
    assert draw_signature(dpi=150) == draw_signature(dpi=150)
    image = load_image(seal, "seal", 36.0)
    assert image.width_px == pytest.approx(36 / 25.4 * 150, abs=2)


def test_missing_fonts_are_named(tmp_path):
    with pytest.raises(FontMissing) as caught:
        write_papers(tmp_path, tmp_path / "nowhere", tmp_path)
    assert caught.value.facts == {"path": str(tmp_path / "nowhere" / "Tinos-Regular.ttf")}
