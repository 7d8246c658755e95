"""Every kind of page that an office gives out, made as a clerk makes it, rendered, and measured by the page's own numbers (ND30 PL1)."""

from __future__ import annotations

import ctypes
import io
import json
import shutil
import subprocess
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pypdfium2
import pypdfium2.raw as pdfium
import pytest
import zxingcpp
from PIL import Image
from pyhanko.pdf_utils.reader import PdfFileReader
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from certs.clock import VIETNAM
from signer.codes import grouped
from tests.acceptance.conftest import FreshHome
from tests.installation import FONTS

WIDTH, HEIGHT = 210.0, 297.0
SITE = "https://kiemtra.huonggiang.example"
_PT = 25.4 / 72
_DPI = 150


@dataclass(frozen=True)
class Said:
    """A line of a page: its text, its box in mm from the page's left and lower edge, its font, size in points and colour."""

    text: str
    left: float
    low: float
    right: float
    high: float
    font: str
    size: float
    colour: tuple[int, int, int]
    upright: bool

    @property
    def middle(self) -> float:
        return (self.left + self.right) / 2


@dataclass(frozen=True)
class Paper:
    """One page of a file as a reader has it, stamps and all."""

    file: Path
    lines: tuple[Said, ...]
    picture: Image.Image

    def line(self, text: str) -> Said:
        found = [each for each in self.lines if text in each.text]
        assert len(found) == 1, (text, [each.text for each in self.lines])
        return found[0]

    def boxes(self) -> dict[str, tuple[float, float, float, float]]:
        """Signature fields by name, in mm from the lower left."""
        with self.file.open("rb") as stream:
            reader = PdfFileReader(stream)
            return {
                each.field_name: tuple(float(x) * _PT for x in each.sig_field["/Rect"])
                for each in reader.embedded_signatures
            }  # type: ignore[misc]

    def inked(self, box: tuple[float, float, float, float]) -> list[tuple[int, int, int]]:
        """The colours of what is drawn in a box of millimetres, where it is strong."""
        left, low, right, high = (round(each / 25.4 * _DPI) for each in box)
        part = self.picture.crop((left, self.picture.height - high, right, self.picture.height - low))
        octets = part.tobytes()
        pixels = zip(octets[::3], octets[1::3], octets[2::3], strict=True)
        return [pixel for pixel in pixels if min(pixel) < 110]


def read(file: Path) -> Paper:
    with pypdfium2.PdfDocument(file) as document:
        document.init_forms()
        page = document[0]
        picture = page.render(scale=_DPI / 72, may_draw_forms=True).to_pil().convert("RGB")
        # What annotations show becomes text of the page.
        assert pdfium.FPDFPage_Flatten(page.raw, pdfium.FLAT_PRINT) != pdfium.FLATTEN_FAIL
        page.close()
        lines = tuple(_lines(document[0]))
    picture.save(file.with_suffix(".png"))
    return Paper(file, lines, picture)


def _lines(page: pypdfium2.PdfPage) -> list[Said]:
    text = page.get_textpage()
    raw = text.raw
    letters: list[tuple[str, int, tuple[float, float, float, float]]] = []
    for at in range(text.count_chars()):
        letter = chr(pdfium.FPDFText_GetUnicode(raw, at))
        sides = [ctypes.c_double() for _ in range(4)]
        pdfium.FPDFText_GetCharBox(raw, at, *sides)
        left, right, low, high = (each.value * _PT for each in sides)
        letters.append((letter, at, (left, low, right, high)))
    lines: list[list[tuple[str, int, tuple[float, float, float, float]]]] = [[]]
    for letter in letters:
        if letter[0] in "\r\n":
            lines.append([])
        elif lines[-1] and _is_elsewhere(raw, lines[-1][-1][1], letter[1]):
            lines.append([letter])
        else:
            lines[-1].append(letter)
    return [_said(raw, line) for line in lines if "".join(each[0] for each in line).strip()]


def _is_elsewhere(raw: object, before: int, at: int) -> bool:
    """Whether an upright letter does not go on from the one before: texts of stamps follow each other without a break."""
    places = []
    for index in (before, at):
        x, y = ctypes.c_double(), ctypes.c_double()
        pdfium.FPDFText_GetCharOrigin(raw, index, x, y)
        places.append((x.value, y.value))
    (was_x, was_y), (x_now, y_now) = places
    return abs(pdfium.FPDFText_GetCharAngle(raw, at)) < 0.01 and (abs(y_now - was_y) > 2 or not -1 < x_now - was_x < 40)


def _said(raw: object, line: list[tuple[str, int, tuple[float, float, float, float]]]) -> Said:
    drawn = [each for each in line if not each[0].isspace()]
    at = drawn[0][1]
    name = ctypes.create_string_buffer(128)
    pdfium.FPDFText_GetFontInfo(raw, at, name, 128, None)
    colour = [ctypes.c_uint() for _ in range(4)]
    pdfium.FPDFText_GetFillColor(raw, at, *colour)
    boxes = [each[2] for each in drawn]
    red, green, blue = (each.value for each in colour[:3])
    return Said(
        "".join(each[0] for each in line), min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes),
        max(b[3] for b in boxes), name.value.decode(), pdfium.FPDFText_GetFontSize(raw, at), (red, green, blue),
        abs(pdfium.FPDFText_GetCharAngle(raw, at)) < 0.01,
    )  # fmt: skip


class Clerk:
    """A records clerk with a home of his own."""

    def __init__(self, folder: Path, *words: str) -> None:
        settings = {"ANTIN_HTTP__PUBLIC_URL": SITE, "ANTIN_SIGN__CODE": "required"}
        self.home = FreshHome(folder / "home", settings)
        self.home.done("init", "--demo", *words)
        self.folder = folder
        self.home.done("demo")
        shutil.copy(self.home.path / "demo" / "sources" / "cong-van.pdf", folder / "cong-van.pdf")
        shutil.copy(self.home.path / "demo" / "sources" / "quyet-dinh.pdf", folder / "quyet-dinh.pdf")

    def sign(self, source: str, who: str, out: str, *words: str) -> Path:
        self.home.done("sign", self.folder / source, "--as", who, "-o", self.folder / out, *words)
        return self.folder / out

    def code(self, file: Path) -> str:
        return str(json.loads(self.home.antin("verify", "--json", file).stdout)["document"]["code"])

    def plain(self, name: str, *lines: str) -> None:
        pdfmetrics.registerFont(TTFont("Tinos", FONTS / "Tinos-Regular.ttf"))
        out = io.BytesIO()
        canvas = Canvas(out, pagesize=A4, invariant=True)
        canvas.setFont("Tinos", 14)
        for at, line in enumerate(lines):
            canvas.drawCentredString(A4[0] / 2, A4[1] - 130 - 24 * at, line)
        canvas.save()
        (self.folder / name).write_bytes(out.getvalue())

    def scan(self, name: str, source: Path) -> None:
        """The page of a file as a scanner sees it on paper."""
        with pypdfium2.PdfDocument(source) as document:
            picture = document[0].render(scale=200 / 72).to_pil().convert("L")
        out = io.BytesIO()
        canvas = Canvas(out, pagesize=A4, invariant=True)
        canvas.drawInlineImage(picture, 0, 0, *A4)
        canvas.save()
        (self.folder / name).write_bytes(out.getvalue())


@pytest.fixture(scope="module")
def clerk(tmp_path_factory: pytest.TempPathFactory) -> Clerk:
    return Clerk(tmp_path_factory.mktemp("pages"))


@pytest.fixture(scope="module")
def approved(clerk: Clerk) -> Path:
    (clerk.folder / "words.json").write_text(json.dumps({"CodeNotation": "TTPVHCC-HCTH"}))
    return clerk.sign("cong-van.pdf", "officer", "1-approved.pdf", "--metadata", str(clerk.folder / "words.json"))


@pytest.fixture(scope="module")
def issued(clerk: Clerk, approved: Path) -> Path:
    return clerk.sign(approved.name, "seal", "2-issued.pdf")


def test_an_officer_s_approval_is_a_blue_picture_between_title_and_name(approved: Path) -> None:
    paper = read(approved)
    title, name = paper.line("GIÁM ĐỐC"), paper.line("Nguyễn Thị Minh Hạnh")
    (box,) = paper.boxes().values()
    assert name.high <= box[1]
    assert box[3] <= title.low
    assert abs((box[0] + box[2]) / 2 - title.middle) <= 9, "at most a nudge beside the middle"
    colours = paper.inked(box)
    assert len(colours) > 500
    assert all(blue > red + 20 for red, _, blue in colours), "blue, and no text beside it"


def test_an_issued_document_has_the_seal_in_its_size_over_a_third_of_the_signature(issued: Path) -> None:
    paper = read(issued)
    boxes = paper.boxes()
    (seal,), (signature,) = (
        [box for name, box in boxes.items() if name.startswith(stem)] for stem in ("Seal", "Signature")
    )
    assert (seal[2] - seal[0], seal[3] - seal[1]) == pytest.approx((36.0, 36.0), abs=0.02)
    share = (seal[2] - signature[0]) / (signature[2] - signature[0])
    assert 0.28 <= share <= 0.38
    assert (seal[1] + seal[3]) / 2 == pytest.approx((signature[1] + signature[3]) / 2, abs=0.05)
    outside = (seal[0], seal[1], signature[0] - 0.5, seal[3])
    assert all(red > blue + 60 for red, _, blue in paper.inked(outside)), "red where the signature is not"
    said = paper.line("Số:")
    (number,) = (each for each in paper.lines if each.text.strip().isdecimal() and said.left < each.left < said.right)
    assert number.low == pytest.approx(said.low, abs=0.6), "on the line that was left open for it"
    assert number.colour == (0, 0, 0)


def block(paper: Paper, *texts: str) -> list[Said]:
    """The lines of a stamp: Times New Roman's metrics, upright, black, size 10, below each other at one left edge."""
    lines = [paper.line(text) for text in texts]
    for each in lines:
        assert "Tinos" in each.font
        assert (each.size, each.colour, each.upright) == (pytest.approx(10.0), (0, 0, 0), True)
    assert max(each.left for each in lines) - min(each.left for each in lines) < 0.6
    assert [each.high for each in lines] == sorted((each.high for each in lines), reverse=True)
    return lines


def in_upper_corner(lines: list[Said], *, right: bool) -> None:
    """ND30 PL1: at the top, within the margin, in millimetres from the edges of the page."""
    assert max(each.high for each in lines) <= HEIGHT - 5
    assert min(each.low for each in lines) >= HEIGHT - 40
    if right:
        assert WIDTH - max(each.right for each in lines) == pytest.approx(15, abs=1.2)
        assert min(each.left for each in lines) > WIDTH / 2
    else:
        assert min(each.left for each in lines) == pytest.approx(15, abs=1.2)
        assert max(each.right for each in lines) < WIDTH / 2 + 10


def test_an_appendix_in_its_own_file_bears_number_symbol_and_time(clerk: Clerk, issued: Path) -> None:
    clerk.plain("phu-luc.pdf", "PHỤ LỤC", "Danh mục kết quả giải quyết thủ tục hành chính")
    paper = read(
        clerk.sign("phu-luc.pdf", "seal", "3-appendix.pdf", "--intent", "appendix", "--main", clerk.code(issued))
    )
    in_upper_corner(block(paper, "/TTPVHCC-HCTH", "+07:00"), right=True)
    assert qr_of(paper)[0] == f"{SITE}/v/{clerk.code(paper.file)}"


def copied(clerk: Clerk, source: str, out: str, form: str, kind: str) -> Paper:
    words = ("--intent", "copy", "--copy", form, "--from", kind)
    return read(clerk.sign(source, "seal", out, *words))


def test_an_extract_says_its_form_the_agency_and_the_time(clerk: Clerk) -> None:
    clerk.plain("trich.pdf", "QUYẾT ĐỊNH", "(trích)", "Điều 1. Khen thưởng 01 cá nhân có thành tích xuất sắc.")
    paper = copied(clerk, "trich.pdf", "4-extract.pdf", "trich-sao", "electronic")
    in_upper_corner(block(paper, "TRÍCH SAO", "Trung tâm Phục vụ hành chính công", "+07:00"), right=True)


@pytest.mark.parametrize(("form", "said"), [("sao-y", "SAO Y"), ("sao-luc", "SAO LỤC")])
def test_a_scan_of_paper_is_a_copy_with_form_agency_and_time_and_no_picture(clerk: Clerk, form: str, said: str) -> None:
    name = f"9-{form}.pdf"
    clerk.scan("scan.pdf", clerk.home.path / "demo" / "sources" / "cong-van.pdf")
    paper = copied(clerk, "scan.pdf", name, form, "paper")
    lines = block(paper, said, "Trung tâm Phục vụ hành chính công", "+07:00")
    in_upper_corner(lines, right=True)
    with paper.file.open("rb") as stream:
        (signature,) = PdfFileReader(stream).embedded_signatures
        assert "/XObject" not in signature.sig_field["/AP"]["/N"]["/Resources"], "no picture"
    verdict = json.loads(clerk.home.antin("verify", "--json", paper.file).stdout)
    claimed = datetime.fromisoformat(verdict["signatures"][0]["claimed_time"]).astimezone(VIETNAM)
    assert lines[2].text.strip() == claimed.strftime("%d/%m/%Y %H:%M:%S +07:00"), "the time of the signature itself"
    assert qr_of(paper)[0] == f"{SITE}/v/{clerk.code(paper.file)}"


def test_an_arrival_stamp_has_agency_number_and_time(clerk: Clerk) -> None:
    clerk.plain("den.pdf", "SỞ NỘI VỤ", "Công văn gửi đến")
    paper = read(clerk.sign("den.pdf", "seal", "5-arrived.pdf", "--intent", "income"))
    lines = block(paper, "Trung tâm Phục vụ hành chính công", "ĐẾN Số: 01", "Ngày: ")
    in_upper_corner(lines, right=True)


def test_a_comment_stands_at_the_upper_left_with_name_and_time(clerk: Clerk) -> None:
    clerk.plain("du-thao.pdf", "DỰ THẢO", "Kế hoạch quý IV")
    words = ("--intent", "comment", "--comment", "Đồng ý, đề nghị rút ngắn mục 2.")
    paper = read(clerk.sign("du-thao.pdf", "officer", "6-comment.pdf", *words))
    in_upper_corner(block(paper, "Đồng ý", "Nguyễn Thị Minh Hạnh", "+07:00"), right=False)


def qr_of(paper: Paper) -> tuple[str, tuple[float, float, float, float]]:
    """What the lowest QR says, and its box in mm from the lower left."""
    with pypdfium2.PdfDocument(paper.file) as document:
        picture = document[0].render(scale=300 / 72).to_pil()
    found = max(zxingcpp.read_barcodes(picture), key=lambda each: each.position.top_left.y)
    place, to_mm = found.position, 25.4 / 300
    xs = [each.x * to_mm for each in (place.top_left, place.bottom_right)]
    ys = [HEIGHT - each.y * to_mm for each in (place.bottom_right, place.top_left)]
    return found.text, (xs[0], ys[0], xs[1], ys[1])


def test_the_code_stands_in_the_margin_with_its_letters_below_in_fours(clerk: Clerk, approved: Path) -> None:
    paper, code = read(approved), clerk.code(approved)
    said, box = qr_of(paper)
    assert said == f"{SITE}/v/{code}"
    assert box[2] - box[0] == pytest.approx(20.2, abs=0.4)
    assert box[2] <= 30, "within the left margin of 30 to 35 mm"
    first, second = paper.line(grouped(code)[:14]), paper.line(grouped(code)[15:])
    assert box[1] > first.high > second.high
    assert abs(first.middle - (box[0] + box[2]) / 2) < 1
    assert (first.size, first.colour) == (pytest.approx(7), (0, 0, 0))


def test_a_print_says_below_each_page_what_the_law_asks(clerk: Clerk, issued: Path) -> None:
    out = clerk.folder / "7-print.pdf"
    clerk.home.done("print", issued, "-o", out, "--place", "Bộ phận Một cửa, phường Cồn Hoa", "--printer", "Kiosk K-03")
    paper = read(out)
    title = paper.line("BẢN IN TỪ VĂN BẢN ĐIỆN TỬ")
    assert (title.size, title.colour) == (pytest.approx(10.5), (0, 0, 0))
    assert "Tinos-Bold" in title.font
    lines = [paper.line(text) for text in ("Mã tra cứu:", "Hệ thống:", "In tại:", "Thời gian in:")]
    assert all("Tinos" in each.font and each.size == pytest.approx(9) and each.colour == (0, 0, 0) for each in lines)
    assert all(each.left == pytest.approx(title.left, abs=0.7) and each.right <= WIDTH - 6 for each in lines)
    said, box = qr_of(paper)
    assert said == f"{SITE}/v/{clerk.code(issued)}"
    assert box[2] - box[0] == pytest.approx(20.2, abs=0.4)
    assert box[3] < paper.line("Nguyễn Thị Minh Hạnh").low, "below all of the page"
    assert paper.line("Nguyễn Thị Minh Hạnh").low > title.high


def test_a_training_document_says_on_its_page_that_it_is_one(tmp_path_factory: pytest.TempPathFactory) -> None:
    clerk = Clerk(tmp_path_factory.mktemp("training"), "--training")
    clerk.sign("cong-van.pdf", "officer", "8a.thuc-hanh.pdf")
    paper = read(clerk.sign("8a.thuc-hanh.pdf", "seal", "8.thuc-hanh.pdf"))
    foot = paper.line("VĂN BẢN THỰC HÀNH - KHÔNG CÓ GIÁ TRỊ PHÁP LÝ")
    assert foot.upright
    assert foot.colour[0] > 150, "red"
    assert max(foot.colour[1:]) < 60
    assert foot.middle == pytest.approx(WIDTH / 2, abs=0.5)
    assert foot.high < 9
    across = [each for each in paper.lines if not each.upright]
    assert {each.text.strip() for each in across} >= {"KHÔNG CÓ GIÁ TRỊ PHÁP LÝ"}
    assert all(each.size > 30 and "Tinos-Bold" in each.font for each in across)
    report = subprocess.run(["pdfsig", "-nocert", paper.file], capture_output=True, text=True, check=False).stdout
    assert report.count("Signature is Valid.") == 2
