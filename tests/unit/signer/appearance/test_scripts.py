"""Names of every script: shaped, in order, read back from the page, with as few cuts of fonts as there are words."""

from __future__ import annotations

import subprocess
import unicodedata
from pathlib import Path

import pypdfium2
import pytest
from PIL import ImageChops

from signer.appearance.bidi import levels_of, visual_order
from signer.appearance.errors import GlyphMissing, ScriptFontMissing
from signer.appearance.font_files import FontFiles
from signer.appearance.font_shelf import FontShelf
from signer.appearance.fonts import drawable, pack_font, unpack_font
from signer.appearance.lines import set_line, set_lines
from signer.appearance.stamps import text_stamp, value_stamp
from tests.script_fonts import SCRIPT_FONTS, TRUETYPE, need_script_fonts

NAMES = [
    "Người ký: សុខ វិបុលភាព (Sok Vibolpheap)", "ក្រសួងការបរទេស អន្តរជាតិ", "ທ່ານ ສົມສະຫວັດ ເລັ່ງສະຫວັດ", "นายสมชาย วงศ์สวัสดิ์",
    "王小明, 外交部长", "田中太郎 たなか カタカナ", "Ông 漢字 và Nguyễn Văn Ấn", "김민준 대한민국", "नरेन्द्र क्षत्रिय शर्मा कीर्ति",
    "মুহাম্মদ রহমান", "தமிழ்ச்செல்வன்", "မြန်မာနိုင်ငံ", "Łukasz Żółć, Иван Петров, Γιώργος", "ქართული հայերեն", "አማርኛ",
]  # fmt: skip
FROM_RIGHT = ["الأستاذ محمد عبد الله", "שלום כהן", "سلام لا إلى"]


@pytest.fixture(autouse=True)
def _fonts() -> None:
    need_script_fonts()


def read_back(pdf: bytes, tmp_path: Path) -> str:
    path = tmp_path / "page.pdf"
    path.write_bytes(pdf)
    told = subprocess.run(["pdftotext", "-layout", path, "-"], check=True, capture_output=True, text=True).stdout
    return "".join(char for char in told if unicodedata.category(char) not in ("Cf", "Cc"))


@pytest.mark.parametrize("name", [*NAMES, *FROM_RIGHT])
def test_a_name_is_read_back_from_the_page_as_it_was_typed(shelf, compose, tmp_path, name):
    stamp = text_stamp([name], shelf.font("regular", name), width=380)
    assert drawable(name) in read_back(compose((stamp, 10, 10), size=(400, 60)), tmp_path)


def test_all_of_them_on_one_page_are_embedded_cut_and_whole(shelf, compose, tmp_path):
    font = shelf.font("regular", " ".join([*NAMES, *FROM_RIGHT]))
    path = tmp_path / "page.pdf"
    path.write_bytes(compose((text_stamp([*NAMES, *FROM_RIGHT], font, width=380), 10, 10), size=(400, 500)))
    rows = subprocess.run(["pdffonts", path], check=True, capture_output=True, text=True).stdout.splitlines()[2:]
    assert len(rows) == 1 + len(font.parts) > 12
    assert all(row.split()[4:7] == ["yes", "yes", "yes"] for row in rows)
    assert sum(len(part.font_file) for part in font.parts) < 60_000
    assert "No syntax" in subprocess.run(["qpdf", "--check", path], check=True, capture_output=True, text=True).stdout


def test_khmer_is_shaped_and_not_set_letter_by_letter(shelf):
    """Of ស្រ្តី the vowels and the letters below stand around the first one: fewer glyphs are set than letters are typed."""
    word = "ស្ត្រី"
    (run,) = shelf.font("regular", word).shaped(word)
    glyphs = [glyph for cluster in run.clusters for glyph in cluster.glyphs]
    assert len(glyphs) < len(word)
    assert len(run.clusters) == 1
    assert run.descent < shelf.font().descent  # below the base line deeper than any letter of Tinos


def test_arabic_is_joined_and_stands_from_right_to_left(shelf, compose):
    joined = set_line("بيت", shelf.font("regular", "بيت"))
    parted = [set_line(char, shelf.font("regular", char)).width for char in "بيت"]
    assert joined.width < 0.9 * sum(parted)
    assert joined.from_right
    line = set_line("Ông محمد علي ký", shelf.font("regular", "Ông محمد علي ký"))
    assert [each.text for each in line.shown] == ["Ông ", "علي", " ", "محمد", " ký"]
    assert not line.from_right


def test_brackets_and_numbers_keep_their_places_among_arabic():
    text = "محمد (علي) 123, Tel-Aviv"
    shown = "".join(text[at] for at in visual_order(levels_of(text)))
    assert shown == "Tel-Aviv ,123 )يلع( دمحم"
    assert levels_of("Nguyễn 5") == [0] * 8
    assert levels_of("אב 12 - 3%")[3:5] == [2, 2]


def test_a_line_of_another_size_gets_the_room_that_it_needs(shelf):
    font = shelf.font("regular", "ស្ត្រី កុំព្យូទ័រ")
    two = text_stamp(["ស្ត្រី", "កុំព្យូទ័រ"], font)
    assert two.height > text_stamp(["A", "B"], font).height


@pytest.mark.parametrize(
    "title", ["外" * 200, "ប្រធាននាយកដ្ឋាន" * 13, "ผู้อำนวยการ" * 18, "Giám đốc 漢字 " * 17, "المدير العام محمد (Giám đốc) " * 7]
)  # fmt: skip
def test_two_hundred_letters_stay_within_the_width_and_none_is_lost(shelf, title):
    font = shelf.font("regular", title)
    lines = set_lines(title, font, 150, 10)
    assert max(line.wide(10) for line in lines) <= 150
    said = sum(len(each.text.replace(" ", "")) for line in lines for each in line.shown)
    assert said == len(drawable(title).replace(" ", ""))
    assert len(lines) < 60


def test_no_line_begins_with_a_mark_or_what_closes(shelf):
    text = "中华人民共和国，外交部（北京）。" * 8
    for line in set_lines(text, shelf.font("regular", text), 97, 10)[1:]:
        assert line.shown[0].text[0] not in "，。）"


def test_decomposed_vietnamese_needs_no_other_font(shelf):
    runs = shelf.runs
    name = unicodedata.normalize("NFD", "Nguyễn Thị Ưởng – PHÓ GIÁM ĐỐC")
    assert shelf.font("regular", name).supplement is None
    assert shelf.runs == runs or shelf.runs == runs + 1  # the first test to ask cuts the common subset


def test_text_that_tinos_has_is_drawn_as_ever(shelf):
    plain = text_stamp(["Nguyễn Văn A", "Sở Tư pháp"], shelf.font())
    beside = text_stamp(["Nguyễn Văn A", "Sở Tư pháp"], shelf.font("regular", "漢字"))
    assert plain.content == beside.content
    assert list(beside.fonts) == ["F0"]


def test_one_word_is_cut_once_by_a_process_and_once_by_a_home(fonts, tmp_path):
    shelf = FontShelf(fonts, tmp_path, SCRIPT_FONTS)
    for day in range(1, 29):
        shelf.font("regular", f"Người ký: សុខ វិបុលភាព {day}/3/2026")
    assert shelf.runs == 2  # Tinos, and the two words
    again = FontShelf(fonts, tmp_path, SCRIPT_FONTS)
    font = again.font("regular", "សុខ វិបុលភាព")
    assert again.runs == 0
    assert unpack_font(pack_font(font)) == font


def test_where_a_package_is_missing_it_is_named(fonts, tmp_path):
    bare = FontShelf(fonts, tmp_path, FontFiles(tmp_path / "none.ttf", [tmp_path]))
    for text, package in (("សុខ", "fonts-noto-core"), ("漢", "fonts-droid-fallback"), ("한", "fonts-nanum")):
        with pytest.raises(ScriptFontMissing) as caught:
            bare.font("regular", f"Nguyễn {text}")
        assert caught.value.facts["package"] == package
    assert bare.others.missing_packages() == ["fonts-nanum", "fonts-droid-fallback", "fonts-noto-core"]
    some = FontShelf(fonts, tmp_path, FontFiles(tmp_path / "none.ttf", [TRUETYPE / "noto"]))
    assert some.font("regular", "សុខ").parts
    with pytest.raises(GlyphMissing):
        some.font("regular", "\U0001e290")  # of a script that is younger than the package


def test_a_letter_that_none_has_is_a_question_mark_where_nothing_may_be_refused(shelf):
    font = shelf.font("regular", "漢\U0002a7dd字 X\U0002a7dd", lenient=True)
    assert font.supplement.lacking == ("\U0002a7dd",)
    assert set_line("漢?字 X?", font).width > 0


def test_joiners_stay_where_they_change_letters_and_nowhere_else():
    assert drawable("ශ්\u200dරී") == "ශ්\u200dරී"
    assert drawable("می\u200cخواهم") == "می\u200cخواهم"
    assert drawable("Ngu\u200cyễn\u200d") == "Nguyễn"


def test_a_value_in_a_field_is_drawn_whole(shelf, compose):
    """The box of the field cuts off what stands over it."""
    font = shelf.font("regular", "ស្ត្រី ស៊្រី")
    stamp = value_stamp("ស្ត្រី ស៊្រី", font, 120, 15)
    document = pypdfium2.PdfDocument(compose((stamp, 20, 20), size=(160, 60)))
    seen = document[0].render(scale=6).to_pil().convert("L")
    document.close()
    left, top, right, bottom = ImageChops.invert(seen).getbbox() or (0, 0, 0, 0)
    # It keeps clear of the edges of its box by a part of a point: nothing was cut.
    assert 25 < top / 6 < bottom / 6 < 40
    assert right - left > 100
