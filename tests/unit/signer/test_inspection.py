"""signer/inspection and findings: each thing that makes a file other than it looks is named, an honest file is left alone, the policy decides."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from PIL import Image
from reportlab.lib.pagesizes import A4
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from signer.errors import InputUnreadable, Refused
from signer.findings import IGNORE, REFUSE, FindingsPolicy, SafetyFinding, read_findings
from signer.inspection import inspect
from signer.password import NO_PASSWORD
from tests.signing_world import FONTS, SigningWorld, plain_paper, raw_pdf

CATALOG, PAGES = "<< /Type /Catalog /Pages 2 0 R %s >>", "<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
PAGE = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 300] %s >>"


def pdf(catalog: str = "", page: str = "", **more: str) -> bytes:
    """A page with nothing on it; `more` are objects by their numbers, like o4."""
    objects = {1: CATALOG % catalog, 2: PAGES, 3: PAGE % page}
    return raw_pdf(objects | {int(name[1:]): body for name, body in more.items()})


def kinds(data: bytes) -> set[str]:
    return {each.kind for each in inspect(data, NO_PASSWORD)}


def drawn(*deeds: str, words: str = "Số tiền: 1.000.000 đồng") -> bytes:
    """Words in an embedded font, and what is done before or after them."""
    if "Tinos" not in pdfmetrics.getRegisteredFontNames():
        pdfmetrics.registerFont(TTFont("Tinos", str(FONTS / "Tinos-Regular.ttf")))
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4, invariant=True, initialFontName="Tinos")
    for deed in deeds:
        if deed == "words":
            canvas.setFillColorRGB(0, 0, 0)
            canvas.setFont("Tinos", 12)
            canvas.drawString(100, 700, words)
        elif deed == "white box":
            canvas.setFillColorRGB(1, 1, 1)
            canvas.rect(90, 690, 300, 30, stroke=0, fill=1)
        elif deed == "frame":
            canvas.rect(90, 690, 300, 30, stroke=1, fill=0)
        elif deed in ("picture", "seal"):
            mode, colour = ("RGB", (255, 255, 255)) if deed == "picture" else ("RGBA", (255, 0, 0, 90))
            canvas.drawImage(ImageReader(Image.new(mode, (40, 4), colour)), 90, 690, 300, 30, mask="auto")
        elif deed == "form":
            canvas.beginForm("covering")
            canvas.setFillColorRGB(1, 1, 1)
            canvas.rect(0, 0, 300, 30, stroke=0, fill=1)
            canvas.endForm()
            canvas.translate(90, 690)
            canvas.doForm("covering")
    canvas.save()
    return out.getvalue()


@pytest.mark.parametrize(
    "deeds", [("words",), ("white box", "words"), ("words", "frame"), ("words", "seal"), ("picture", "words")]
)
def test_an_honest_page_has_no_finding(deeds: tuple[str, ...]) -> None:
    assert inspect(drawn(*deeds), NO_PASSWORD) == ()


@pytest.mark.parametrize("cover", ["picture", "white box", "form"])
def test_whatever_opaque_lies_over_words_is_found(cover: str) -> None:
    assert inspect(drawn("words", cover), NO_PASSWORD) == (SafetyFinding("covered-text", 1),)


def test_fonts_that_are_used_and_not_there_are_named_with_their_pages() -> None:
    assert inspect(plain_paper("A", pages=2), NO_PASSWORD) == tuple(
        SafetyFinding("font-not-embedded", page, "Helvetica") for page in (1, 2)
    )


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("javascript", pdf("/OpenAction << /S /JavaScript /JS (app.alert\\(1\\)) >>")),
        ("javascript", pdf("/Names << /JavaScript << /Names [(a) 4 0 R] >> >>", o4="<< /S /Java#53cript /JS (x) >>")),
        ("javascript", pdf(page="/AA << /O << /S /JavaScript /JS (x) >> >>")),
        ("launch-action", pdf("/OpenAction << /S /Launch /F (calc.exe) >>")),
        ("launch-action", pdf(page="/Annots [<< /Subtype /Link /Rect [0 0 9 9] /A << /S /Launch /F (calc.exe) >> >>]")),
        ("external-reference", pdf("/OpenAction << /S /GoToR /F (other.pdf) /D [0 /Fit] >>")),
        ("external-reference", pdf(page="/Annots [<< /Subtype /Link /Rect [0 0 9 9] /A << /S /SubmitForm /F (http://x) >> >>]")),
        ("external-reference", pdf(page="/Resources << /XObject << /X 4 0 R >> >>",
                                   o4="<< /Subtype /Image /F (http://x/a.jpg) /Length 0 >>\nstream\n\nendstream")),
        ("hidden-layer", pdf("/OCProperties << /OCGs [4 0 R] /D << /OFF [4 0 R] >> >>", o4="<< /Type /OCG /Name (Nh\\341p) >>")),
        ("hidden-layer", pdf("/OCProperties << /OCGs [4 0 R] /D << /BaseState /OFF >> >>", o4="<< /Type /OCG /Name (x) >>")),
        ("hidden-layer", pdf("/OCProperties << /OCGs [4 0 R] /D << >> >>",
                             o4="<< /Type /OCG /Name (x) /Usage << /Print << /PrintState /OFF >> >> >>")),
        ("broken-structure", pdf() + b"<html>"),
    ],
)  # fmt: skip
def test_each_kind_is_found(kind: str, data: bytes) -> None:
    assert kinds(data) == {kind}


@pytest.mark.parametrize(
    "data",
    [
        pdf(),
        pdf(page="/Annots [<< /Subtype /Link /Rect [0 0 9 9] /A << /S /URI /URI (https://example.vn) >> >>]"),
        pdf("/OCProperties << /OCGs [4 0 R] /D << /ON [4 0 R] >> >>", o4="<< /Type /OCG /Name (x) >>"),
        pdf("/OpenAction [3 0 R /Fit]"),
    ],
)
def test_what_every_office_writes_is_no_finding(data: bytes) -> None:
    assert kinds(data) == set()


def form(value: str, shown: str) -> bytes:
    """A text field with a value, and a look that says something."""
    content = f"/Tx BMC BT /F 12 Tf 2 5 Td ({shown}) Tj ET EMC"
    return pdf(
        "/AcroForm << /Fields [4 0 R] /DR << /Font << /F 6 0 R >> >> >>",
        "/Annots [4 0 R]",
        o4=f"<< /Type /Annot /Subtype /Widget /FT /Tx /T (SoTien) /V ({value}) /P 3 0 R /Rect [10 10 200 30] /F 4 /AP << /N 5 0 R >> >>",
        o5=f"<< /Subtype /Form /BBox [0 0 190 20] /Resources << /Font << /F 6 0 R >> >> /Length {len(content)} >>\nstream\n{content}\nendstream",
        o6="<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )


def test_a_field_that_shows_something_else_than_its_value_is_named() -> None:
    assert inspect(form("1000", "1000"), NO_PASSWORD) == ()
    for value, shown in (("1000", "9000"), ("1000", "1000000"), ("1000", "")):
        assert inspect(form(value, shown), NO_PASSWORD) == (SafetyFinding("value-differs", 1, "SoTien"),)


def test_a_box_that_is_ticked_and_has_another_value_is_named() -> None:
    box = (
        "<< /Type /Annot /Subtype /Widget /FT /Btn /T (DongY) /V /%s /AS /%s /P 3 0 R /Rect [9 9 20 20] /F 4 "
        "/AP << /N << /Yes 5 0 R /Off 5 0 R >> >> >>"
    )
    look = "<< /Subtype /Form /BBox [0 0 9 9] /Length 0 >>\nstream\n\nendstream"
    for value, state, expected in (("Yes", "Yes", set()), ("Off", "Off", set()), ("Yes", "Off", {"value-differs"})):
        data = pdf("/AcroForm << /Fields [4 0 R] >>", "/Annots [4 0 R]", o4=box % (value, state), o5=look)
        assert kinds(data) == expected


def test_what_only_some_readers_can_read_is_said_not_to_be_looked_through() -> None:
    assert kinds(b"junk\n" + pdf()) == {"broken-structure", "not-looked-through"}


@pytest.mark.parametrize("nonsense", [b"", b"nonsense", b"%PDF-1.7\nnonsense", b"%PDF-1.7\n" + bytes(9000)])
def test_what_is_no_pdf_is_unreadable(nonsense: bytes) -> None:
    with pytest.raises(InputUnreadable):
        inspect(nonsense, NO_PASSWORD)


def test_a_taken_judge_process_cannot_make_up_anything_but_findings() -> None:
    good = ["javascript", 1, "a\u202eb\n"]
    answer: list[object] = [
        good,
        ["unheard-of", 1, ""],
        ["javascript", "1", ""],
        5,
        ["javascript"],
        ["javascript", True, ""],
    ]
    assert read_findings(answer) == (SafetyFinding("javascript", 1, "a?b?"),)
    assert len(read_findings([good] * 1000)) == 100
    assert read_findings({"kind": "javascript"}) == ()


SCRIPTED = pdf("/OpenAction << /S /JavaScript /JS (x) >>")


def test_a_signature_warns_by_default_and_refuses_where_the_policy_says_so(signing: SigningWorld) -> None:
    deps = signing.deps
    assert signing.sign(SCRIPTED, placement="none").findings == (), "nobody asked for a look"
    signing.deps = replace(deps, findings=FindingsPolicy())
    signed = signing.sign(SCRIPTED, placement="none")
    assert [each.to_json() for each in signed.findings] == [{"kind": "javascript", "page": None, "detail": ""}]
    before = signing.rows("SELECT count(*) FROM signing_acts")
    signing.deps = replace(deps, findings=FindingsPolicy(kinds={"javascript": REFUSE}))
    with pytest.raises(Refused) as caught:
        signing.sign(SCRIPTED, placement="none")
    assert (caught.value.code, caught.value.facts["kinds"]) == ("FINDINGS_REFUSED", "javascript")
    assert signing.rows("SELECT count(*) FROM signing_acts") == before, "no key was used and nothing begun"
    signing.deps = replace(deps, findings=FindingsPolicy(REFUSE, {"javascript": IGNORE}))
    assert signing.sign(SCRIPTED, placement="none").findings == ()


def test_our_own_signed_and_sealed_file_has_no_finding(signing: SigningWorld) -> None:
    signing.deps = replace(signing.deps, findings=FindingsPolicy())
    paper = drawn("words")
    signed = signing.sign(paper)
    sealed = signing.sign(signed.content, "seal")
    assert (signed.findings, sealed.findings) == ((), ())
    assert signing.judging.inspect(sealed.content) == ()
