"""signer/plain_look: it finds what the library and the renderer find, or leaves the file to them; nothing is hidden from it."""

from __future__ import annotations

import contextlib
import zlib

import pytest

from signer.errors import SignerError
from signer.inspection import _in_order, _look_thoroughly, inspect
from signer.password import NO_PASSWORD
from signer.plain_look import look_at_plain
from signer.plain_pdf import NotPlain
from tests.integration.test_sign_corpus import CORPUS
from tests.signing_world import SigningWorld, plain_paper, raw_pdf
from tests.unit.signer.test_inspection import PAGES, drawn, pdf

HELVETICA = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
OTHER = "<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>"
WORDS = "BT /F1 12 Tf 50 200 Td (Kinh g\\(u\\)i) Tj ET"


def stream(content: str, head: str = "") -> str:
    return f"<< /Length {len(content)} {head} >>\nstream\n{content}\nendstream"


def page(content: str, resources: str = "/Font << /F1 5 0 R /F2 6 0 R >>", **more: str) -> bytes:
    """A page with this content."""
    objects = {"o4": stream(content), "o5": HELVETICA, "o6": OTHER} | more
    return pdf(page=f"/Contents 4 0 R /Resources << {resources} >>", **objects)


def thoroughly(data: bytes) -> object:
    return _in_order(_look_thoroughly(data, NO_PASSWORD, ()))


@pytest.mark.parametrize(
    "data",
    [
        pdf(),
        page(WORDS),
        page(f"q {WORDS} Q"),
        page("BT /F1 12 Tf 14 TL ET BT /F2 12 Tf (a) Tj ET"),
        page("q BT /F1 12 Tf ET Q BT /F2 12 Tf (a) Tj ET"),
        page("BT /F1 12 Tf q /F2 9 Tf Q (a) Tj ET"),
        page("BT /F1 12 Tf <41> Tj ET"),
        page("BT /F1 12 Tf () Tj ET"),
        page("BT /F1 12 Tf [(a) -120 (b)] TJ (c) ' ET"),
        page(f"1 1 1 rg 0 0 300 300 re f {WORDS}"),
        page(f"{WORDS} 40 190 200 30 re S"),
        page("/Span << /ActualText (f) >> BDC BT /F1 12 Tf (a) Tj ET EMC"),
        drawn("words"),
        drawn("white box", "words", "frame"),
        plain_paper("A", pages=3),
    ],
)
def test_what_is_plain_is_seen_as_the_renderer_sees_it(data: bytes) -> None:
    assert _in_order(look_at_plain(data)) == thoroughly(data)


COMPRESSED = zlib.compress(WORDS.encode()).decode("latin-1")
_LINK = "/Annots [<< /Subtype /Link /Rect [0 0 9 9] /A << /S /GoToR /F (x.pdf) >> >>]"


@pytest.mark.parametrize(
    ("why", "data"),
    [
        ("a cover after text", page(f"{WORDS} 1 1 1 rg 40 190 200 30 re f")),
        ("a picture", page(f"{WORDS} q /X Do Q")),
        ("an inline picture", page(f"{WORDS} BI /W 1 /H 1 ID x EI")),
        ("a comment", page(f"% ( \n{WORDS}")),
        ("a string without end", page("BT /F1 12 Tf (a Tj ET")),
        ("a name that is written otherwise", pdf("/OpenAction << /S /Java#53cript /J#53 (x) >>")),
        ("an action", pdf(page=_LINK)),
        ("a script in an object that nothing leads to", pdf(o7="<< /S /JavaScript /JS (x) >>")),
        ("a reference to nothing", pdf("/Names 9 0 R")),
        ("a key that stands twice, deep", pdf("/Names << /A [<< /B 1 /B 2 >>] >>")),
        ("a font in a state of graphics", page(f"/G gs {WORDS}", "/Font << /F1 5 0 R >> /ExtGState << /G << /Font [6 0 R 9] >> >>")),
        ("the same by a reference", page(f"/G gs {WORDS}", "/Font << /F1 5 0 R >> /ExtGState << /G 7 0 R >>",
                                         o7="<< /Font 8 0 R >>", o8="[6 0 R 9]")),
        ("a font chosen with more than it takes", page("BT (/F1 12 Tf) pop /F2 1 12 Tf (a) Tj ET")),
        ("an operator that readers read otherwise", page("BT /F1 12Tf <41> Tj ET")),
        ("a decoy in a string", page("BT /F1 12 Tf (/F1 12 Tf) Tj /F2 1 12 Tf (a) Tj ET")),
        ("a font of another name", page(WORDS, o5="<< /Type /Font /Subtype /Type1 /BaseFont /Arial >>")),
        ("a font file that is none", page(WORDS, o5="<< /Type /Font /Subtype /TrueType /BaseFont /A /FontDescriptor 7 0 R >>",
                                          o7="<< /Type /FontDescriptor /FontFile2 8 0 R >>", o8=stream("no font"))),
        ("a font file that is cut off", page(WORDS, o5="<< /Type /Font /Subtype /TrueType /BaseFont /A /FontDescriptor 7 0 R >>",
                                             o7="<< /Type /FontDescriptor /FontFile2 8 0 R >>",
                                             o8=stream("\0\1\0\0\0\1" + "\0" * 6 + "glyf" + "\0" * 11 + "\xff"))),
        ("a content that does not inflate", page(WORDS, o4=stream(COMPRESSED[:-9], "/Filter /FlateDecode"))),
        ("a stream of another length", pdf(page="/Contents 4 0 R", o4="<< /Length 1 >>\nstream\nq Q\nendstream")),
        ("a field with a value", pdf("/AcroForm << /Fields [4 0 R] >>", o4="<< /FT /Tx /T (a) /V (b) >>")),
        ("a later generation", raw_pdf({1: "<< /Type /Catalog /Pages 2 0 R >>", 2: PAGES, 3: "<< >>"}).replace(b"00000 n", b"00001 n")),
    ],
)  # fmt: skip
def test_what_may_hold_something_is_left_to_the_library(why: str, data: bytes) -> None:
    with pytest.raises(NotPlain):
        look_at_plain(data)
    with contextlib.suppress(SignerError):  # what cannot be read at all is said so by either
        assert inspect(data, NO_PASSWORD) == thoroughly(data), why


def test_objects_that_a_string_seems_to_hide_are_seen() -> None:
    hidden = pdf(o4="(stream\n)", o5="<< /S /JavaScript /JS (x) >>", o6="(endstream)")
    with pytest.raises(NotPlain, match="something to look at"):
        look_at_plain(hidden)


def test_a_signed_and_a_sealed_file_are_still_plain(signing: SigningWorld) -> None:
    signed = signing.sign(drawn("words"))
    assert look_at_plain(signed.content) == thoroughly(signed.content) == ()


@pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus: set ANTIN_TEST_CORPUS")
def test_on_every_file_of_the_corpus_it_agrees_or_holds_its_tongue() -> None:
    plain = 0
    for path in sorted(CORPUS.rglob("*.pdf")):
        data = path.read_bytes()
        try:
            found = look_at_plain(data)
        except NotPlain:
            continue
        plain += 1
        assert _in_order(found) == thoroughly(data), path.name
    assert plain > 30
