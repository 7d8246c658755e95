"""What an appearance says, and when nobody can tell."""

from __future__ import annotations

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name

from signer.validation.appearances import drawn_text, is_blank_appearance

HELVETICA = generic.DictionaryObject(
    {pdf_name("/Subtype"): pdf_name("/Type1"), pdf_name("/BaseFont"): pdf_name("/Helvetica")}
)


def face(data: bytes, font: generic.DictionaryObject = HELVETICA) -> generic.StreamObject:
    fonts = generic.DictionaryObject({pdf_name("/Font"): generic.DictionaryObject({pdf_name("/F"): font})})
    return generic.StreamObject({pdf_name("/Resources"): fonts}, stream_data=data)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"/Tx BMC q BT /F 12 Tf 0 g (15) Tj ET Q EMC", "15"),
        (b"BT /F 9 Tf [(1) -20 (5)] TJ ET", "15"),
        (b"BT /F 9 Tf (a\\(b\\)\\051\\\nc) ' ET", "a(b))c"),
        (b"BT /F 9 Tf <3135> Tj % (99) Tj\nET", "15"),
        (b"BT /F 9 Tf (\xe9) Tj ET", "é"),
        (b"1 1 1 rg 0 0 120 20 re f 0.5 w 1 1 118 18 re S BT /F 9 Tf (x) Tj ET", "x"),
        (b"", ""),
        (b"BT /F 9 Tf 3 Tr (15) Tj ET", None),
        (b"BT /F 9 Tf (15) Tj ET /Im Do", None),
        (b"BT /F 9 Tf (15) Tj ET 0 0 m 1 1 2 2 3 3 c f", None),
        (b"BT /F 9 Tf (15) Tj ET " + b"0 0 m 1 1 l " * 20 + b"f", None),
        (b"BT (15) Tj ET", None),
        (b"BI /W 1 /H 1 ID x EI", None),
        (b"BT /F 9 Tf (15) Tj ET { }", None),
    ],
)
def test_text_is_what_the_plain_operators_draw(data: bytes, text: str | None) -> None:
    assert drawn_text(face(data), None) == text


def test_a_map_to_unicode_says_what_codes_mean() -> None:
    table = b"2 beginbfchar <0001> <0110> <0002> <1ED1> endbfchar 1 beginbfrange <0003> <0005> <0061> endbfrange"
    font = generic.DictionaryObject(
        {pdf_name("/Subtype"): pdf_name("/Type0"), pdf_name("/ToUnicode"): generic.StreamObject(stream_data=table)}
    )
    assert drawn_text(face(b"BT /F 9 Tf <00010002000300040005> Tj ET", font), None) == "Đốabc"
    assert drawn_text(face(b"BT /F 9 Tf <0009> Tj ET", font), None) is None
    assert drawn_text(face(b"BT /F 9 Tf <00> Tj ET", font), None) is None


def test_other_encodings_are_read_by_the_names_of_their_letters_or_not_at_all() -> None:
    listed = generic.ArrayObject([generic.NumberObject(65), pdf_name("/nine"), pdf_name("/Agrave"), pdf_name("/g17")])
    encoding = generic.DictionaryObject({pdf_name("/Differences"): listed})
    font = generic.DictionaryObject({**HELVETICA, pdf_name("/Encoding"): encoding})
    assert drawn_text(face(b"BT /F 9 Tf (ABx) Tj ET", font), None) == "9Àx"
    assert drawn_text(face(b"BT /F 9 Tf (C) Tj ET", font), None) is None
    drawn = generic.DictionaryObject({pdf_name("/Subtype"): pdf_name("/Type3")})
    assert drawn_text(face(b"BT /F 9 Tf (A) Tj ET", drawn), None) is None


def test_what_draws_nothing_is_blank() -> None:
    assert is_blank_appearance(face(b"/Tx BMC q 0 0 9 9 re W n Q EMC"))
    assert not is_blank_appearance(face(b"0 0 9 9 re f"))
