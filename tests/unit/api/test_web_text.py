"""Text of strangers on a page: normalised, nothing hidden in it, personal numbers masked; and the language of a page."""

from __future__ import annotations

import unicodedata

import pytest

from api.web.languages import choose_language
from api.web.text import Attribute, in_groups, masked, short_name, shown, subject_attributes


@pytest.mark.parametrize(
    "hidden", ["\u202e", "\u2066", "\u200b", "\u200f", "\x00", "\x1b", "\ufeff", "\ue000", "\u00ad"]
)
def test_hidden_and_turning_characters_become_visible(hidden):
    assert shown(f"giay{hidden}phep") == "giay\N{REPLACEMENT CHARACTER}phep"


def test_line_breaks_and_wide_spaces_become_plain_spaces():
    assert shown("a\r\nb\u2028c\u3000d\u00a0e") == "a  b c d e"


def test_decomposed_vietnamese_is_composed():
    assert shown(unicodedata.normalize("NFD", "Ủy ban nhân dân Hương Giang")) == "Ủy ban nhân dân Hương Giang"


def test_towers_of_marks_fall_and_vietnamese_marks_stay():
    assert shown("Nguyễn Thị Ổn") == "Nguyễn Thị Ổn"
    assert len(shown("a" + "\u0301" * 500)) < 10


def test_endless_text_ends_with_an_ellipsis():
    assert shown("x" * 10_000, 20) == "x" * 19 + "…"


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("CCCD:001099001234", "CCCD:********1234"),
        ("cccd: 001099001234", "cccd: ********1234"),
        ("CCCD 001099001234", "CCCD ********1234"),
        ("CMND:123456789", "CMND:*****6789"),
        ("HC:C1234567", "HC:****4567"),
        ("IDCVN-001099001234", "IDCVN-********1234"),
        ("PNOVN-001099001234", "PNOVN-********1234"),
        ("TINVN-001099001234", "TINVN-********1234"),
        ("MST:001099001234", "MST:********1234"),
        ("UID=MST: 001099001234,C=VN", "UID=MST: ********1234,C=VN"),
        ("CCCD:1234", "CCCD:****"),
        ("CN=A,UID=CCCD:001099001234,UID=MST:0400000001", "CN=A,UID=CCCD:********1234,UID=MST:0400000001"),
    ],
)
def test_a_persons_number_keeps_its_last_four_characters(text, safe):
    assert masked(text) == safe


@pytest.mark.parametrize(
    "text",
    [
        "MST:0400000001",
        "MST:0400000001-001",
        "VATVN-0400000001",
        "MNS:1000001",
        "Phòng HC-QT",
        "Phòng HC 2",
        "Số 12/CCCD",
    ],
)
def test_what_belongs_to_no_person_is_left_alone(text):
    assert masked(text) == text


def test_a_subject_is_taken_apart_as_it_was_written():
    subject = "CN=Nguyễn Thị Thử Nghiệm,T=Phó Giám đốc,UID=CCCD:000000000001,O=Sở A\\, B,C=VN"
    assert subject_attributes(subject) == (
        Attribute("CN", "Nguyễn Thị Thử Nghiệm"),
        Attribute("T", "Phó Giám đốc"),
        Attribute("UID", "CCCD:********0001"),
        Attribute("O", "Sở A, B"),
        Attribute("C", "VN"),
    )


def test_a_name_cannot_smuggle_in_an_attribute():
    assert [each.name for each in subject_attributes("CN=A\\,T=Giám đốc\\+UID=MST:1,O=B")] == ["CN", "O"]


def test_a_number_hidden_behind_escapes_is_masked_too():
    assert subject_attributes("UID=CCCD\\3A001099001234")[0].value == "CCCD:********1234"


def test_a_subject_that_is_none_is_shown_whole():
    assert subject_attributes("no name at all") == (Attribute("", "no name at all"),)


def test_a_short_name_is_name_and_organisation():
    assert short_name("CN=Root CA,O=Sở A,C=VN") == "Root CA (Sở A)"
    assert short_name("CN=Sở A,O=Sở A") == "Sở A"
    assert short_name("O=Sở A") == "Sở A"
    assert short_name("L=Huế") == "L=Huế"


def test_long_numbers_are_grouped():
    assert in_groups("0123456789") == "0123 4567 89"


@pytest.mark.parametrize(
    ("asked", "accepted", "language"),
    [
        (None, None, "vi"),
        ("ko", "en", "ko"),
        ("fr", "en-US,en;q=0.9", "en"),
        (None, "fr, de;q=0.9", "vi"),
        (None, "en;q=0.5, ko-KR;q=0.8", "ko"),
        (None, "en;q=0", "vi"),
        (None, "en;q=nan, ko;q=2, en;q=x", "vi"),
        (None, "*", "vi"),
        (None, "," * 100_000, "vi"),
        ("<script>", None, "vi"),
    ],
)
def test_the_link_decides_then_the_browser_then_vietnamese(asked, accepted, language):
    assert choose_language(asked, accepted) == language
