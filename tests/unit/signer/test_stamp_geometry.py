"""Geometry, colours and fonts of what is drawn, on the page's own numbers: millimetres of registered pictures (ND30, Appendix I, II.7 and 8)."""

from __future__ import annotations

import io
import zlib

import pypdfium2
import pytest
from pyhanko.pdf_utils.reader import PdfFileReader

from signer.appearance.errors import GlyphMissing
from signer.appearance.font_shelf import FontShelf
from signer.appearance.geometry import SEAL_OVERLAP_ACCEPTED, PageBox, pt_to_mm
from signer.appearance.lines import set_line
from signer.image_registry import NewImage, found_image
from signer.particulars import parse_particulars
from tests.signing_world import CLERK, Pictures, SigningWorld, plain_paper

SAO_Y = parse_particulars(None, "sao-y", "paper", None)


def turned(pdf: bytes, rotation: int) -> bytes:
    document = pypdfium2.PdfDocument(pdf)
    document[0].set_rotation(rotation)
    out = io.BytesIO()
    document.save(out)
    document.close()
    return out.getvalue()


def fields(pdf: bytes) -> dict[str, dict]:
    """The signature fields by name: /Rect as the reader sees it, the appearance."""
    reader = PdfFileReader(io.BytesIO(pdf))
    page = reader.root["/Pages"]["/Kids"][0].get_object()
    box = PageBox.of(tuple(float(each) for each in page["/MediaBox"]), None, int(page.get("/Rotate", 0)))
    found = {}
    for field in reader.root["/AcroForm"]["/Fields"]:
        field = field.get_object()  # noqa: PLW2901
        rect = box.to_display(tuple(float(each) for each in field["/Rect"]))
        found[str(field["/T"])] = {"rect": rect, "look": field["/AP"]["/N"]}
    return found


def register(signing: SigningWorld, purpose: str, owner: str, mm: float) -> None:
    png = signing.pictures.seal if purpose == "seal" else signing.pictures.signature
    found_image(NewImage(png, "x.png", purpose, owner, mm), CLERK, signing.registry)  # type: ignore[arg-type]


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize(("seal_mm", "signature_mm"), [(34.0, 45.0), (37.5, 40.0), (38.0, 48.0)])
def test_the_seal_stands_over_a_third_of_the_signature_and_both_are_as_large_as_registered(
    signing: SigningWorld, seal_mm: float, signature_mm: float, rotation: int
) -> None:
    ((agency,),) = signing.rows("SELECT agency FROM credentials WHERE name = 'seal'")
    register(signing, "seal", agency, seal_mm)
    register(signing, "signature", "officer", signature_mm)
    approved = signing.sign(turned(plain_paper("Một văn bản"), rotation)).content
    issued = signing.sign(approved, "seal")
    assert issued.placed == "reserved"
    found = fields(issued.content)
    x0, y0, x1, y1 = found["Signature1"]["rect"]
    left, low, right, high = found["Seal1"]["rect"]
    assert pt_to_mm(x1 - x0) == pytest.approx(signature_mm, abs=0.02)
    assert pt_to_mm(right - left) == pytest.approx(seal_mm, abs=0.02)
    assert pt_to_mm(high - low) == pytest.approx(seal_mm, abs=0.02)
    low_share, high_share = SEAL_OVERLAP_ACCEPTED
    assert low_share <= (right - x0) / (x1 - x0) <= high_share
    assert (right - x0) / (x1 - x0) == pytest.approx(1 / 3, abs=0.002)
    assert pt_to_mm((y0 + y1) / 2) == pytest.approx(pt_to_mm((low + high) / 2), abs=0.02)
    # The appearance is not scaled into its field (ISO 32000-2 12.5.5): its own box is as large.
    _, _, width, height = (float(each) for each in found["Seal1"]["look"]["/BBox"])
    assert (pt_to_mm(width), pt_to_mm(height)) == pytest.approx((seal_mm, seal_mm), abs=0.02)


def test_the_colours_in_the_file_are_those_of_the_law_and_neither_picture_brings_a_font(signing: SigningWorld) -> None:
    found = fields(signing.sign(signing.sign(plain_paper("x")).content, "seal").content)
    for name, strongest in (("Signature1", 2), ("Seal1", 0)):
        resources = found[name]["look"]["/Resources"]
        assert "/Font" not in resources
        image = resources["/XObject"]["/Im0"]
        assert (str(image["/ColorSpace"]), str(image["/SMask"]["/ColorSpace"])) == ("/DeviceRGB", "/DeviceGray")
        pixels = zlib.decompress(image.encoded_data)
        sums = [sum(pixels[channel::3]) for channel in range(3)]
        assert sums.index(max(sums)) == strongest


def test_text_blocks_are_times_new_romans_metric_twin_embedded_size_10_and_black(signing: SigningWorld) -> None:
    copy = signing.sign(plain_paper("Bản giấy"), "seal", intent="copy", particulars=SAO_Y)
    (field,) = (each for each in fields(copy.content).values() if "/Font" in each["look"]["/Resources"])
    font = field["look"]["/Resources"]["/Font"]["/F0"]
    assert str(font["/BaseFont"]).endswith("+Tinos")
    assert font["/DescendantFonts"][0].get_object()["/FontDescriptor"]["/FontFile2"] is not None
    assert b" 0 g BT /F0 10 Tf" in b" " + bytes(field["look"].data).replace(b"q ", b"", 1)


@pytest.mark.parametrize("name", ["Nguyễn Thị Minh Hạnh", "Иван Петров", "Γιώργος", "Łukasz Żółć", "Ưỡn Ợt"])
def test_names_in_latin_greek_and_cyrillic_are_drawn(pictures: Pictures, name: str) -> None:
    font = FontShelf(pictures.fonts, pictures.cache).font("regular", name)
    assert set_line(name, font).wide(10) > 20


def test_a_signer_without_picture_whose_name_no_font_has_is_refused_before_any_key(signing: SigningWorld) -> None:
    signing.enrol("em", "officer", subject="CN=Nguyễn \U0002a7dd,O=Sở,C=VN", picture=False)
    with pytest.raises(GlyphMissing):
        signing.sign(plain_paper("x"), "em")
    assert signing.rows("SELECT count(*) FROM signing_acts") == [(0,)]
    assert signing.sign(plain_paper("x"), "em", placement="none").placed is None


def test_each_revision_brings_one_subset_however_many_lines_it_draws(signing: SigningWorld) -> None:
    once = signing.sign(plain_paper("Bản giấy"), "seal", intent="copy", particulars=SAO_Y).content
    assert once.count(b"/FontFile2") == 1
