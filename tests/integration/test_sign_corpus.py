"""Files that other programs wrote are signed so that nothing in them suffers, or refused with a reason; nothing crashes."""

from __future__ import annotations

import csv
import os
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageDraw
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from signer.errors import InputUnreadable, Refused
from signer.form import signature_fields
from signer.sandbox import Judge
from signer.signing import SignedDocument
from tests.installation import VALID_BY_PDFSIG, signatures_by_pdfsig
from tests.signing_world import Pictures, SigningWorld, build_signing_world

ROOT = Path(__file__).parents[2]
CORPUS = Path(os.environ.get("ANTIN_TEST_CORPUS", "../shared/corpus"))
CORPUS = CORPUS if CORPUS.is_absolute() else ROOT / CORPUS
DPI = 36
PAGES = 4  # of the longest files only the first are looked at


def files(role: str) -> list[str]:
    manifest = CORPUS / "manifest.tsv"
    if not manifest.exists():
        return []
    with manifest.open(encoding="utf-8", newline="") as stream:
        return [row["file"] for row in csv.DictReader(stream, delimiter="\t") if row["role"] == role]


pytestmark = pytest.mark.skipif(not files("sign-input"), reason="no corpus: set ANTIN_TEST_CORPUS")


@pytest.fixture(scope="module")
def signing(tmp_path_factory: pytest.TempPathFactory, judge: Judge, pictures: Pictures) -> Iterator[SigningWorld]:
    signing = build_signing_world(tmp_path_factory.mktemp("corpus"), judge, pictures)
    signing.enrol("officer", "officer")
    signing.enrol("seal", "agency-seal")
    yield signing
    signing.world.close()


def signed_or_refused(signing: SigningWorld, name: str, credential: str = "officer") -> SignedDocument | None:
    """None where it was refused with a reason; anything else that is raised fails the test."""
    try:
        return signing.sign((CORPUS / name).read_bytes(), credential)
    except (Refused, InputUnreadable) as error:
        reason = error.code
    assert re.fullmatch(r"[A-Z_]{5,}", reason)
    assert reason != "INPUT_BEYOND_LIMITS"
    return None


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
        ["pdftoppm", "-r", str(DPI), "-l", str(PAGES), "-png", file, folder / "page"],
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


@pytest.mark.parametrize("name", files("sign-input"))
def test_a_file_is_signed_without_harm_or_refused_with_a_reason(
    signing: SigningWorld, tmp_path: Path, name: str
) -> None:
    original = CORPUS / name
    signed = signed_or_refused(signing, name)
    if signed is None:
        return
    output = tmp_path / "signed.pdf"
    output.write_bytes(signed.content)
    assert signed.content.startswith(original.read_bytes())
    verdict = signing.verdict(signed.content)
    ours = next(each for each in verdict.to_json()["signatures"] if each["field"] == signed.field)
    assert (ours["conclusion"], ours["integrity"]) == ("valid", "intact"), ours["reason"]
    assert signatures_by_pdfsig(output)[-1:] == [VALID_BY_PDFSIG]
    assert complaints(output) <= complaints(original)
    before, after = pages_of(original, tmp_path / "before"), pages_of(output, tmp_path / "after")
    assert [each.size for each in after] == [each.size for each in before]
    stamp = box_on_page(output, signed.field) if signed.placed else None
    for at, (old, new) in enumerate(zip(before, after, strict=True)):
        difference = ImageChops.difference(old, new)
        if stamp and stamp[0] == at:
            x0, y0, x1, y1 = (each * DPI / 72 for each in stamp[1])
            assert difference.getbbox() is not None, "the stamp is not to be seen"
            ImageDraw.Draw(difference).rectangle((x0 - 2, y0 - 2, x1 + 2, y1 + 2), fill=0)
        assert difference.getbbox() is None, f"page {at + 1} looks different outside the stamp"


@pytest.mark.parametrize("name", files("must-not-crash"))
def test_a_broken_file_gets_a_clear_answer(signing: SigningWorld, name: str) -> None:
    signed = signed_or_refused(signing, name)
    if signed is not None:
        assert signing.verdict(signed.content).conclusion in ("valid", "invalid", "indeterminate", "unreadable")


def test_most_files_of_other_programs_can_be_signed_with_a_visible_stamp(signing: SigningWorld) -> None:
    answers = [signed_or_refused(signing, name) for name in files("sign-input")]
    done = [each for each in answers if each is not None]
    assert len(done) >= 0.7 * len(answers)
    assert sum(each.placed is not None for each in done) >= 0.7 * len(done)
