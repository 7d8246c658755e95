"""Fonts are cut once a process and stand once in a file, however many signatures draw with them."""

from __future__ import annotations

import dataclasses
import io
import subprocess
from pathlib import Path

import pikepdf
import pytest

from signer.appearance.font_shelf import FontShelf
from signer.password import Password
from tests.script_fonts import SCRIPT_FONTS, need_script_fonts
from tests.signing_world import SigningWorld, plain_paper
from tests.unit.signer.test_encrypted import PLAIN_OWNER, encrypt

KHMER = "ស៊ុន ចាន់ថុល"


@pytest.fixture
def shelf(signing: SigningWorld, tmp_path: Path) -> FontShelf:
    need_script_fonts()
    return FontShelf(signing.pictures.fonts, tmp_path / "cut", SCRIPT_FONTS)


@pytest.fixture
def written(signing: SigningWorld, shelf: FontShelf) -> SigningWorld:
    """Two officers without pictures: their names are drawn, one of them in Khmer."""
    signing.enrol("kh", "officer", subject=f"CN={KHMER},O=Sở,C=VN", picture=False)
    signing.enrol("vn", "officer", subject="CN=Nguyễn Văn Ấn,O=Sở,C=VN", picture=False)
    return dataclasses.replace(signing, deps=dataclasses.replace(signing.deps, font=shelf.font))


def test_the_second_signature_draws_with_the_fonts_of_the_first(written: SigningWorld, tmp_path: Path) -> None:
    paper = plain_paper("x")
    first = written.sign(paper, "kh").content
    second = written.sign(first, "vn").content
    third = written.sign(second, "kh").content
    assert [each.count(b"/FontFile2") for each in (first, second, third)] == [
        2,
        2,
        2,
    ]  # Tinos, and what Khmer is set in
    assert len(second) - len(first) < len(first) - len(paper) - 15_000
    judged = written.verdict(third)
    assert [each.conclusion for each in judged.judged.signatures] == ["valid"] * 3
    (tmp_path / "third.pdf").write_bytes(third)
    read = subprocess.run(["pdftotext", tmp_path / "third.pdf", "-"], capture_output=True, text=True, check=True).stdout
    assert read.count(KHMER) == 2
    assert "Nguyễn Văn Ấn" in read


def test_thousands_of_documents_cut_a_font_no_oftener_than_one(written: SigningWorld, shelf: FontShelf) -> None:
    written.sign(plain_paper("x"), "kh")
    assert shelf.runs == 2
    for number in range(5):
        written.sign(written.sign(plain_paper(f"paper {number}"), "kh").content, "vn")
    assert shelf.runs == 2


def test_a_font_that_is_only_called_so_is_not_drawn_with(written: SigningWorld) -> None:
    """Whoever hands a file in could otherwise choose what the letters of the next signature look like."""
    first = written.sign(plain_paper("x"), "vn").content
    with pikepdf.open(io.BytesIO(first)) as pdf:
        for each in pdf.objects:
            if isinstance(each, pikepdf.Stream) and "/Length1" in each:
                each.write(each.read_bytes()[:-4] + b"\0\0\0\0")
        pdf.Root.AcroForm.Fields = pikepdf.Array()
        for widget in pdf.pages[0].Annots:
            widget.Subtype, widget.FT = pikepdf.Name.Stamp, pikepdf.Name.Tx
            widget.V = pikepdf.String("")
        out = io.BytesIO()
        pdf.save(out, static_id=True)
    forged = out.getvalue() + _appended(out.getvalue())
    assert b"+Tinos" in forged
    signed = written.sign(forged, "vn").content
    assert signed[len(forged) :].count(b"/FontFile2") == 1


def test_in_an_encrypted_file_each_revision_brings_its_own(written: SigningWorld, tmp_path: Path) -> None:
    first = written.sign(
        encrypt(plain_paper("x"), tmp_path, "AES-256 R6"), "vn", password=Password(PLAIN_OWNER)
    ).content
    second = written.sign(first, "kh", password=Password(PLAIN_OWNER)).content
    assert second.count(b"/FontFile2") > first.count(b"/FontFile2")


def _appended(pdf: bytes) -> bytes:
    """An empty revision: what was there first counts as appended only when something follows."""
    start = pdf.rindex(b"startxref") + 10
    table = pdf[start:].split()[0].decode()
    size = pdf[pdf.rindex(b"/Size") :].split()[1].decode()
    root = pdf[pdf.rindex(b"/Root") :].split()[1].decode()
    at = len(pdf)
    trailer = f"trailer << /Size {size} /Root {root} 0 R /Prev {table} >>\nstartxref\n{at + 1}\n%%EOF\n"
    return b"\nxref\n0 1\n0000000000 65535 f \n" + trailer.encode()
