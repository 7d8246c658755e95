"""The code of a document and its QR: drawn in the margin of the first page, in the revision of the first signature, over nothing."""

from __future__ import annotations

import dataclasses
import io
import shutil
import subprocess
from pathlib import Path

import pypdfium2
import pytest
import zxingcpp
from PIL import Image
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from signer.codes import grouped, parse_code
from signer.errors import Refused
from signer.password import Password
from signer.signing_parts import CodeWish
from tests.installation import signatures_by_pdfsig
from tests.signing_world import SigningWorld, plain_paper, raw_pdf
from tests.unit.signer.test_encrypted import PLAIN_OWNER, PLAIN_USER, encrypt

SITE = "https://kiemtra.huonggiang.example"
_SCALE = 300 / 72


def wishing(world: SigningWorld, drawn: str = "required", address: str = SITE) -> SigningWorld:
    return dataclasses.replace(world, deps=dataclasses.replace(world.deps, code=CodeWish(drawn, address)))


def page_image(pdf: bytes, page: int = 0) -> Image.Image:
    with pypdfium2.PdfDocument(pdf) as document:
        return document[page].render(scale=_SCALE).to_pil().convert("RGB")


def read_qr(pdf: bytes) -> tuple[str, float, tuple[float, float, float, float]]:
    """What the QR says, its side in mm, and its box in mm from the lower left."""
    picture = page_image(pdf)
    (found,) = zxingcpp.read_barcodes(picture, formats=zxingcpp.BarcodeFormat.QRCode)
    corners = [getattr(found.position, name) for name in ("top_left", "top_right", "bottom_right", "bottom_left")]
    to_mm = 25.4 / 300
    xs, ys = [each.x * to_mm for each in corners], [(picture.height - each.y) * to_mm for each in corners]
    assert found.ec_level == "M"
    return found.text, max(xs) - min(xs), (min(xs), min(ys), max(xs), max(ys))


def text_of(pdf: bytes) -> str:
    with pypdfium2.PdfDocument(pdf) as document:
        return str(document[0].get_textpage().get_text_range())


def framed(pages: tuple[float, float] = A4, margin: float = 3 * mm) -> bytes:
    """A page with a frame close to its edges: no room in any margin."""
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=pages, invariant=True)
    for inset in range(0, 40, 4):
        gap = margin + inset * mm
        canvas.rect(gap, gap, pages[0] - 2 * gap, pages[1] - 2 * gap)
    canvas.save()
    return out.getvalue()


def test_the_qr_leads_to_the_page_of_the_document_and_the_letters_stand_below_it(signing: SigningWorld, tmp_path):
    done = wishing(signing).sign(plain_paper())
    said, side, box = read_qr(done.content)
    assert said == f"{SITE}/v/{done.code}"
    assert parse_code(done.code) == done.code
    assert 19.9 <= side <= 20.6
    assert box[0] >= 4, "in the left margin, which is 30 to 35 mm"
    assert box[2] <= 30
    assert box[1] >= 4
    first, second = grouped(done.code)[:14], grouped(done.code)[15:]
    assert first in text_of(done.content)
    assert second in text_of(done.content)
    assert signing.document(done.code).code == done.code
    assert signing.verdict(done.content).reason == "VALID"
    (tmp_path / "a.pdf").write_bytes(done.content)
    assert signatures_by_pdfsig(tmp_path / "a.pdf") == ["Signature is Valid."]


def test_what_the_page_shows_already_stays_as_it_is(signing: SigningWorld):
    paper = plain_paper("Một trang có chữ ở mép dưới")
    done = wishing(signing).sign(paper, placement="none")
    before, after = page_image(paper), page_image(done.content)
    _, _, box = read_qr(done.content)
    left, right = round((box[0] - 6) / 25.4 * 300), round((box[2] + 6) / 25.4 * 300)
    top = before.height - round((box[3] + 6) / 25.4 * 300)
    for picture in (before, after):
        picture.paste((255, 255, 255), (max(0, left), top, right, before.height))
    assert before.tobytes() == after.tobytes()


def test_a_later_signature_brings_no_second_code_and_breaks_none(signing: SigningWorld):
    drawing = wishing(signing)
    approved = drawing.sign(plain_paper())
    issued = drawing.sign(approved.content, "seal")
    assert issued.code == approved.code
    assert read_qr(issued.content)[0].endswith(issued.code)
    assert [each.conclusion for each in signing.verdict(issued.content).judged.signatures] == ["valid", "valid"]


def test_where_no_margin_has_room_it_is_refused_or_left_out_as_was_wished(signing: SigningWorld):
    with pytest.raises(Refused, match="CODE_NOWHERE"):
        wishing(signing).sign(framed(), placement="none")
    done = wishing(signing, "auto").sign(framed(), placement="none")
    assert [(each.kind, each.page) for each in done.findings] == [("code-left-out", 1)]
    assert zxingcpp.read_barcodes(page_image(done.content)) == []
    assert signing.verdict(done.content).reason == "VALID"


@pytest.mark.parametrize("size", [A4, landscape(A4), (100 * mm, 150 * mm)])
@pytest.mark.parametrize("turned", [0, 90, 180, 270])
def test_it_stands_upright_on_pages_of_any_size_and_turn(signing: SigningWorld, size, turned):
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=size, invariant=True)
    canvas.setPageRotation(turned)
    canvas.drawString(size[0] / 2, size[1] / 2, "giữa trang".encode("ascii", "ignore").decode())
    canvas.save()
    done = wishing(signing).sign(out.getvalue(), placement="none")
    said, side, box = read_qr(done.content)
    assert said.endswith(done.code)
    assert side >= 19.9
    assert min(box) >= 4


def test_intents_that_draw_none_and_the_policy_alone_leave_the_page(signing: SigningWorld):
    assert zxingcpp.read_barcodes(page_image(signing.sign(plain_paper()).content)) == []
    done = wishing(signing).sign(plain_paper(), "seal", intent="file")
    assert zxingcpp.read_barcodes(page_image(done.content)) == []


def test_an_address_that_is_not_safe_is_refused(signing: SigningWorld):
    with pytest.raises(Refused, match="CODE_ADDRESS_NOT_HTTPS"):
        wishing(signing, address="http://kiemtra.huonggiang.example").sign(plain_paper())


@pytest.mark.parametrize(
    "content",
    [
        "q 0.5 0 0 0.5 0 0 cm",
        "0.2 0 0 0.2 300 0 cm q 1 0 0 rg q",
        "Q 0.3 0 0 0.3 0 0 cm",
        "Q Q q 3 0 0 3 9 9 cm q",
        "(not q) Tj ]",
    ],
)
def test_content_that_leaves_its_state_behind_moves_nothing_that_is_drawn_after_it(signing: SigningWorld, content: str):
    objects = {
        1: "<< /Type /Catalog /Pages 2 0 R >>",
        2: "<< /Type /Pages /Kids [3 0 R] /Count 1 /MediaBox [0 0 595 842] /Resources << >> >>",
        3: "<< /Type /Page /Parent 2 0 R /Contents 4 0 R >>",
        4: f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
    }
    done = wishing(signing).sign(raw_pdf(objects), placement="none")
    said, side, box = read_qr(done.content)
    assert said.endswith(done.code)
    assert 19.9 <= side <= 20.6
    assert 4 <= box[0] <= 12


@pytest.mark.skipif(shutil.which("qpdf") is None, reason="qpdf is not installed")
@pytest.mark.parametrize("way", ["RC4-128", "AES-128", "AES-256 R6"])
def test_an_encrypted_file_bears_it_too_for_who_has_the_password(signing: SigningWorld, tmp_path: Path, way: str):
    locked = encrypt(plain_paper(), tmp_path, way)
    done = wishing(signing).sign(locked, password=Password(PLAIN_OWNER))
    (tmp_path / "a.pdf").write_bytes(done.content)
    clear = tmp_path / "clear-again.pdf"
    subprocess.run(["qpdf", f"--password={PLAIN_OWNER}", "--decrypt", tmp_path / "a.pdf", clear], check=True)
    assert read_qr(clear.read_bytes())[0].endswith(done.code)


def test_pages_that_one_may_not_change_are_left_alone(signing: SigningWorld, tmp_path: Path):
    locked = encrypt(plain_paper(), tmp_path, "AES-256 R6", "--modify=form")
    with pytest.raises(Refused, match="INPUT_PERMISSION"):
        wishing(signing).sign(locked, password=Password(PLAIN_USER))
