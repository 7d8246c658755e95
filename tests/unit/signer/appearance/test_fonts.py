from __future__ import annotations

import subprocess
import time
import unicodedata
from pathlib import Path

import pytest

from signer.appearance.errors import FontMissing, GlyphMissing
from signer.appearance.font_shelf import FontShelf
from signer.appearance.fonts import alphabet, drawable
from signer.appearance.stamps import text_stamp

VOWELS = "aăâeêioôơuưy"
TONES = ["", "\u0300", "\u0301", "\u0303", "\u0309", "\u0323"]
LOWER = [unicodedata.normalize("NFC", vowel + tone) for vowel in VOWELS for tone in TONES] + ["đ", *"bcdghklmnpqrstvx"]
LETTERS = [*LOWER, *(letter.upper() for letter in LOWER)]
LINES = ["".join(LETTERS[at : at + 10]) for at in range(0, len(LETTERS), 10)]


def words_of(pdf: bytes, tmp_path: Path) -> list[str]:
    path = tmp_path / "page.pdf"
    path.write_bytes(pdf)
    return subprocess.run(["pdftotext", path, "-"], check=True, capture_output=True, text=True).stdout.split()


def test_every_vietnamese_letter_is_in_the_common_alphabet():
    assert len(set(LETTERS)) == 2 * (72 + 1 + 16)
    assert set(LETTERS) <= alphabet()


def test_every_vietnamese_letter_can_be_read_back_from_the_page(shelf, compose, tmp_path):
    stamp = text_stamp([*LINES, "Nguyễn Thị Minh Hạnh"], shelf.font(), width=900)
    words = words_of(compose((stamp, 10, 10), size=(300, 300)), tmp_path)
    assert words == [*LINES, "Nguyễn", "Thị", "Minh", "Hạnh"]


def test_decomposed_letters_are_drawn_as_the_composed_ones(shelf):
    name = "Nguyễn Thị Minh Hạnh"
    assert shelf.font().encode(unicodedata.normalize("NFD", name)) == shelf.font().encode(name)
    assert b"\0\0" not in [shelf.font().encode(letter) for letter in LETTERS]


def test_the_page_embeds_the_font_and_poppler_finds_nothing_wrong(shelf, compose, tmp_path):
    path = tmp_path / "page.pdf"
    path.write_bytes(compose((text_stamp(["Ký bởi: Đỗ Ưởng"], shelf.font()), 10, 10)))
    row = subprocess.run(["pdffonts", path], check=True, capture_output=True, text=True).stdout.splitlines()[-1].split()
    assert row[0].endswith("+Tinos")
    assert row[1:3] == ["CID", "TrueType"]
    assert row[4:7] == ["yes", "yes", "yes"]  # embedded, subset, with Unicode map
    qpdf = subprocess.run(["qpdf", "--check", path], check=True, capture_output=True, text=True)
    assert "No syntax or stream encoding errors" in qpdf.stdout


def test_a_second_start_reads_the_cache_in_milliseconds(fonts, tmp_path):
    made = FontShelf(fonts, tmp_path).font()
    (kept,) = tmp_path.iterdir()
    written = kept.stat().st_mtime_ns
    started = time.process_time()
    again = FontShelf(fonts, tmp_path).font()
    assert time.process_time() - started < 0.05
    assert again == made
    assert kept.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    "damage", [lambda octets: octets[:-1], lambda octets: octets[:500] + b"X" + octets[501:], lambda _: b""]
)
def test_a_damaged_cache_file_is_made_again(fonts, tmp_path, damage):
    made = FontShelf(fonts, tmp_path).font()
    (kept,) = tmp_path.iterdir()
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    assert FontShelf(fonts, tmp_path).font() == made
    assert kept.read_bytes() == whole


def test_a_cache_that_cannot_be_written_costs_time_only(fonts, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    assert FontShelf(fonts, blocked).font().covers("Ấn tín")


def test_letters_outside_the_alphabet_come_with_a_subset_of_their_own(shelf):
    common = shelf.font()
    special = shelf.font(text="Ω Ważna Привет")
    assert special.base_font == common.base_font
    assert [each.base_font.split("+")[1] for each in special.parts] == ["Tinos"]
    assert special.covers("Привет, Nguyễn Ω")
    assert shelf.font(text="Nguyễn") is common


def test_a_letter_that_no_font_has_is_named(shelf):
    with pytest.raises(GlyphMissing) as caught:
        shelf.font(text="Kim \U0002a7dd")  # of Chữ Nôm, beyond the fonts of Debian
    assert caught.value.facts == {"char": "U+2A7DD", "name": "CJK UNIFIED IDEOGRAPH-2A7DD"}
    with pytest.raises(GlyphMissing):
        shelf.font().encode("Ω")


def test_a_missing_font_names_its_path(tmp_path):
    with pytest.raises(FontMissing) as caught:
        FontShelf(tmp_path, tmp_path).font()
    assert caught.value.facts == {"path": str(tmp_path / "Tinos-Regular.ttf")}


def test_a_file_that_is_no_font_is_refused(tmp_path):
    (tmp_path / "Tinos-Regular.ttf").write_bytes(b"\0\1\0\0" + b"junk" * 50)
    with pytest.raises(FontMissing):
        FontShelf(tmp_path, tmp_path / "cache").font()


def test_characters_that_only_mislead_are_not_drawn():
    assert drawable("Nguyễn\u202e\u200b  Văn\n A\u00ad\x07") == "Nguyễn Văn A"
    assert drawable("09:15:30\u00a0+07:00") == "09:15:30\u00a0+07:00"


def test_width_is_that_of_the_glyphs(shelf):
    font = shelf.font()
    assert font.width("HH", 10) == pytest.approx(2 * font.width("H", 10))
    assert font.width("H", 10) == pytest.approx(7.22, abs=0.01)  # Times New Roman's H is 722 thousandths wide
