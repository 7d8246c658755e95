"""Real fonts, pictures drawn by the demonstration's own pen, and papers made with ReportLab."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.writer import PageObject, PdfFileWriter

from api.demo.pictures import draw_seal, draw_signature
from signer.appearance.font_shelf import FontShelf
from signer.appearance.images import StampImage, load_image
from signer.appearance.pdf_objects import PdfParts
from signer.appearance.stamps import Appearance
from tests.script_fonts import SCRIPT_FONTS

FONTS = Path(os.environ.get("ANTIN_TEST_FONTS", "/usr/share/fonts/truetype/croscore"))


@pytest.fixture(scope="session")
def fonts() -> Path:
    if not (FONTS / "Tinos-Regular.ttf").is_file():
        pytest.skip("Tinos is not installed (Debian: fonts-croscore)")
    return FONTS


@pytest.fixture(scope="session")
def font_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def shelf(fonts: Path, font_cache: Path) -> FontShelf:
    return FontShelf(fonts, font_cache, SCRIPT_FONTS)


@pytest.fixture(scope="session")
def seal_png(fonts: Path) -> bytes:
    return draw_seal("TRUNG TÂM PHỤC VỤ HÀNH CHÍNH CÔNG", fonts / "Tinos-Bold.ttf", dpi=300)


@pytest.fixture(scope="session")
def signature_png() -> bytes:
    return draw_signature(dpi=300)


@pytest.fixture(scope="session")
def seal(seal_png: bytes) -> StampImage:
    return load_image(seal_png, "seal", 36.0)


@pytest.fixture(scope="session")
def signature(signature_png: bytes) -> StampImage:
    return load_image(signature_png, "signature", 45.0)


Compose = Callable[..., bytes]


@pytest.fixture
def compose() -> Compose:
    """A page of a size with appearances in annotations at given corners, written by pyHanko."""

    def build(
        *placed: tuple[Appearance, float, float], size: tuple[float, float] = (400.0, 300.0), rotation: int = 0
    ) -> bytes:
        writer = PdfFileWriter(stream_xrefs=False)
        parts = PdfParts(writer)
        content = writer.add_object(generic.StreamObject(stream_data=b" "))
        page = PageObject(contents=content, media_box=(0, 0, *size))
        annotations = generic.ArrayObject()
        for appearance, x, y in placed:
            across, up = appearance.width, appearance.height
            if rotation in (90, 270):
                across, up = up, across
            annotation = generic.DictionaryObject(
                {
                    pdf_name("/Type"): pdf_name("/Annot"),
                    pdf_name("/Subtype"): pdf_name("/Stamp"),
                    pdf_name("/F"): generic.NumberObject(4),
                    pdf_name("/Rect"): generic.ArrayObject(map(generic.FloatObject, (x, y, x + across, y + up))),
                    pdf_name("/AP"): generic.DictionaryObject({pdf_name("/N"): parts.form(appearance, rotation)}),
                }
            )
            annotations.append(writer.add_object(annotation))
        page["/Annots"] = annotations
        if rotation:
            page["/Rotate"] = generic.NumberObject(rotation)
        writer.insert_page(page)
        out = io.BytesIO()
        writer.write(out)
        return out.getvalue()

    return build


@pytest.fixture
def as_png() -> Callable[[Image.Image], bytes]:
    def encode(picture: Image.Image) -> bytes:
        out = io.BytesIO()
        picture.save(out, "PNG")
        return out.getvalue()

    return encode
