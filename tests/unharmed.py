"""Whether a signed file still is the file it was: the same pixels outside the stamp, and no new complaint of qpdf."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageDraw
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from signer.form import signature_fields
from tests.installation import VALID_BY_PDFSIG, signatures_by_pdfsig

DPI = 36
PAGES = 4  # of the longest files only the first are looked at


def complaints(file: Path) -> set[str]:
    """What qpdf says about a file, without names, offsets and object numbers."""
    done = subprocess.run(["qpdf", "--check", file], capture_output=True, text=True, errors="replace", check=False)
    said = [
        line for line in (done.stdout + done.stderr).splitlines() if line.startswith(("WARNING", "ERROR", str(file)))
    ]
    return {re.sub(r"\d+", "#", line.replace(str(file), "")) for line in said}


def pages_of(file: Path, folder: Path) -> list[Image.Image]:
    folder.mkdir()
    subprocess.run(
        ["pdftoppm", "-cropbox", "-r", str(DPI), "-l", str(PAGES), "-png", file, folder / "page"],
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    return [Image.open(path).convert("RGB") for path in sorted(folder.iterdir())]


def box_on_page(pdf: Path, field: str) -> tuple[int, tuple[float, float, float, float]] | None:
    """Page and rectangle of the stamp as the page is shown, in points from its upper left corner."""
    with pdf.open("rb") as stream:
        writer = IncrementalPdfFileWriter(stream, strict=False)
        found = next(each for each in signature_fields(writer) if each.name == field)
        if found.box is None or found.page is None:
            return None
        page = writer.find_page_for_modification(found.page)[0].get_object()
        media = _corners(_inherited(page, "/MediaBox"))
        crop = _corners(_inherited(page, "/CropBox") or media)
    left, bottom = max(crop[0], media[0]), max(crop[1], media[1])
    right, top = min(crop[2], media[2]), min(crop[3], media[3])
    x0, y0, x1, y1 = found.box
    shown = {
        0: (x0 - left, top - y1, x1 - left, top - y0),
        90: (y0 - bottom, x0 - left, y1 - bottom, x1 - left),
        180: (right - x1, y0 - bottom, right - x0, y1 - bottom),
        270: (top - y1, right - x1, top - y0, right - x0),
    }
    return found.page, shown[found.rotation]


def _corners(box: Sequence[float]) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = (float(each) for each in box)
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _inherited(page: Mapping[str, Any], name: str) -> Sequence[float] | None:
    while name not in page:
        if "/Parent" not in page:
            return None
        page = page["/Parent"]
    box: Sequence[float] = page[name]
    return box


def check_unharmed(original: Path, output: Path, field: str, folder: Path, *, placed: bool) -> None:
    """Signing added what it added and nothing else: pages look the same outside the stamp, and nobody complains anew."""
    assert output.read_bytes().startswith(original.read_bytes())
    assert signatures_by_pdfsig(output)[-1:] == [VALID_BY_PDFSIG]
    assert complaints(output) <= complaints(original)
    before, after = pages_of(original, folder / "before"), pages_of(output, folder / "after")
    assert [each.size for each in after] == [each.size for each in before]
    stamp = box_on_page(output, field) if placed else None
    for at, (old, new) in enumerate(zip(before, after, strict=True)):
        difference = ImageChops.difference(old, new)
        if stamp and stamp[0] == at:
            x0, y0, x1, y1 = (each * DPI / 72 for each in stamp[1])
            assert difference.getbbox() is not None, "the stamp is not to be seen"
            ImageDraw.Draw(difference).rectangle((x0 - 2, y0 - 2, x1 + 2, y1 + 2), fill=0)
        assert difference.getbbox() is None, f"page {at + 1} looks different outside the stamp"
