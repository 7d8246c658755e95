"""PDF/A and PDF/UA files stay what they are: rules on what a signature adds, and veraPDF's word where it is installed (make verapdf)."""

from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader

from signer.signing import SignRequest, sign_document
from tests.conforming import conforming_pdf
from tests.signing_world import CLERK, Pictures, SigningWorld
from tests.unit.signer.office import Office

VERAPDF = os.environ.get("ANTIN_TEST_VERAPDF", "")
CHECK = Path(__file__).parents[2] / "verapdf" / "Check.java"
_PRINT, _HIDING = 4, 1 | 2 | 32  # annotation flags (ISO 32000-1 table 165)
# veraPDF's name, part, conformance, tagged, with an output intent
KINDS = {
    "1b": ("1b", 1, "B", False, True),
    "1b without intent": ("1b", 1, "B", False, False),
    "1a": ("1a", 1, "A", True, True),
    "2b": ("2b", 2, "B", False, True),
    "2b without intent": ("2b", 2, "B", False, False),
    "2a": ("2a", 2, "A", True, True),
    "3b": ("3b", 3, "B", False, True),
    "UA": ("ua1", None, "", True, True),
}


def base(kind: str, pictures: Pictures) -> bytes:
    _, part, conformance, tagged, intent = KINDS[kind]
    return conforming_pdf(pictures, part=part, conformance=conformance, tagged=tagged, intent=intent)


def signed_in_every_way(signing: SigningWorld, pdf: bytes) -> dict[str, bytes]:
    if not signing.rows("SELECT name FROM credentials WHERE name = 'text'"):
        signing.enrol("text", "officer", picture=False)
    picture = signing.sign(pdf)
    assert picture.placed
    return {
        "a picture": picture.content,
        "text": signing.sign(pdf, "text").content,
        "unseen": signing.sign(pdf, placement="none").content,
        "sealed": signing.sign(picture.content, "seal").content,
    }


def widgets(pdf: bytes) -> Iterator[generic.DictionaryObject]:
    page = PdfFileReader(io.BytesIO(pdf)).root["/Pages"]["/Kids"][0]
    for each in page["/Annots"]:
        yield each.get_object()


def entry(dictionary: Any, *names: str) -> Any:
    for name in names:
        dictionary = dictionary[name]
    return dictionary


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_signature_adds_keeps_the_rules_of_the_file(signing: SigningWorld, kind: str) -> None:
    pdf = base(kind, signing.pictures)
    _, part, _, tagged, intent = KINDS[kind]
    before = PdfFileReader(io.BytesIO(pdf)).root
    for way, signed in signed_in_every_way(signing, pdf).items():
        root = PdfFileReader(io.BytesIO(signed)).root
        assert root["/Metadata"].data == before["/Metadata"].data, way
        assert root.get("/OutputIntents") == before.get("/OutputIntents")
        assert "/Version" not in root
        tail = signed[len(pdf) :]
        assert b"/Info" not in tail
        if part == 1 or (part and not intent):
            assert b"/SMask" not in tail, "ISO 19005-1 6.4, 19005-2 6.2.10"
        for widget in widgets(signed):
            assert widget["/F"] & _PRINT, "ISO 19005-2 6.3.2"
            assert not widget["/F"] & _HIDING
            unseen = [float(each) for each in widget["/Rect"]] == [0] * 4
            if part == 1 or not unseen:
                assert set(widget["/AP"]) == {"/N"}, "ISO 19005-2 6.3.3"
            if tagged and not unseen:
                check_tagged(root, widget)
            for font in fonts_of(widget):
                descriptor = entry(font["/DescendantFonts"][0], "/FontDescriptor")
                assert "/FontFile2" in descriptor
                assert ("/CIDSet" in descriptor) is (part == 1), "ISO 19005-1 6.3.5"
            if part and not intent and "/AP" in widget and not unseen and entry(widget, "/AP", "/N").data:
                assert set(entry(widget, "/AP", "/N", "/Resources", "/ColorSpace")) == {"/DefaultRGB", "/DefaultGray"}


def fonts_of(widget: generic.DictionaryObject) -> Iterator[Any]:
    if "/AP" in widget:
        resources = entry(widget, "/AP", "/N").get("/Resources", {})
        yield from (resources["/Font"][name] for name in resources.get("/Font", {}))


def check_tagged(root: generic.DictionaryObject, widget: generic.DictionaryObject) -> None:
    """The structure names the field and the field names the structure (ISO 32000-1 14.7.4.4)."""
    assert widget["/TU"]
    numbers = entry(root, "/StructTreeRoot", "/ParentTree", "/Nums")
    found = {int(numbers[at]): numbers[at + 1] for at in range(0, len(numbers), 2)}
    assert list(found) == sorted(found)
    element = found[widget["/StructParent"]]
    assert (element["/S"], entry(element, "/P", "/S")) == ("/Form", "/Document")
    assert entry(element, "/K", "/Obj") == widget
    assert entry(root, "/StructTreeRoot")["/ParentTreeNextKey"] > widget["/StructParent"]
    assert widget["/P"]["/Tabs"] == "/S"


def test_a_second_person_signs_a_tagged_file_and_leaves_its_structure_alone(signing: SigningWorld) -> None:
    signing.enrol("second", "officer")
    first = signing.sign(base("UA", signing.pictures)).content
    second = signing.sign(first, "second").content
    assert b"/StructTreeRoot" not in second[len(first) :].replace(b"/StructTreeRoot 12 0 R", b"")
    assert [each["conclusion"] for each in signing.verdict(second).to_json()["signatures"]] == ["valid", "valid"]


@pytest.mark.parametrize("kind", ["1b", "2b", "UA"])
def test_proofs_keep_the_rules_too(office: Office, pictures: Pictures, kind: str) -> None:
    pdf = base(kind, pictures)
    request = SignRequest(pdf, "a.pdf", "officer", level="B-LTA", placement="none")
    signed = sign_document(request, CLERK, office.deps)
    assert signed.level == "B-LTA"
    root = PdfFileReader(io.BytesIO(signed.content)).root
    assert root["/Metadata"].data == PdfFileReader(io.BytesIO(pdf)).root["/Metadata"].data
    if kind == "1b":
        assert all("/AP" in widget for widget in widgets(signed.content)), "ISO 19005-1 6.9"


needs_verapdf = pytest.mark.skipif(not VERAPDF, reason="no veraPDF: make verapdf fetches it")


def broken_rules(folder: Path, kind: str, files: dict[str, bytes]) -> str:
    words = []
    for way, content in files.items():
        file = folder / f"{way.replace(' ', '-')}.pdf"
        file.write_bytes(content)
        words += [KINDS[kind][0], str(file)]
    done = subprocess.run(
        ["java", "-cp", f"{VERAPDF}/*", CHECK, *words], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.stderr == ""
    return done.stdout


@needs_verapdf
@pytest.mark.parametrize("kind", KINDS)
def test_verapdf_finds_every_signed_file_as_conforming_as_before(
    signing: SigningWorld, tmp_path: Path, kind: str
) -> None:
    pdf = base(kind, signing.pictures)
    assert broken_rules(tmp_path, kind, {"base": pdf, **signed_in_every_way(signing, pdf)}) == ""


@needs_verapdf
@pytest.mark.parametrize("kind", KINDS)
def test_verapdf_finds_every_raised_file_as_conforming_as_before(
    office: Office, pictures: Pictures, tmp_path: Path, kind: str
) -> None:
    request = SignRequest(base(kind, pictures), "a.pdf", "officer", level="B-LTA", placement="none")
    assert broken_rules(tmp_path, kind, {"B-LTA": sign_document(request, CLERK, office.deps).content}) == ""
