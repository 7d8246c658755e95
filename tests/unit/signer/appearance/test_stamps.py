from __future__ import annotations

import pypdfium2
import pytest
from PIL import Image, ImageChops

from signer.appearance.errors import TextTooLong
from signer.appearance.geometry import mm_to_pt
from signer.appearance.lines import Line, set_lines
from signer.appearance.stamps import (
    VALUE_PADDING,
    empty_stamp,
    seal_stamp,
    signature_stamp,
    text_stamp,
    value_stamp,
)

SCALE = 6


def texts_of(lines: list[Line]) -> list[str]:
    return ["".join(each.text for each in line.shown) for line in lines]


def drawn(pdf: bytes) -> Image.Image:
    document = pypdfium2.PdfDocument(pdf)
    try:
        return document[0].render(scale=SCALE, rev_byteorder=True).to_pil().convert("RGB")
    finally:
        document.close()


def ink_box(picture: Image.Image) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of what is drawn, in points from the upper left."""
    mask = (
        ImageChops.difference(picture, Image.new("RGB", picture.size, "white"))
        .convert("L")
        .point([0] * 40 + [255] * 216)
    )
    return tuple(side / SCALE for side in mask.getbbox())


@pytest.mark.parametrize("diameter", [34.0, 36.0, 42.0])
def test_the_seal_is_drawn_at_its_actual_size(compose, seal, diameter):
    left, top, right, bottom = ink_box(drawn(compose((seal_stamp(seal, diameter), 50, 60))))
    assert right - left == pytest.approx(mm_to_pt(diameter), abs=0.5)
    assert bottom - top == pytest.approx(mm_to_pt(diameter), abs=0.5)
    assert left == pytest.approx(50, abs=0.3)
    assert bottom == pytest.approx(300 - 60, abs=0.3)


def test_the_seal_is_red_and_lets_the_signature_below_shine_through(compose, seal, signature):
    picture = drawn(compose((signature_stamp(signature), 100, 100), (seal_stamp(seal, 36), 60, 70)))
    shades = set(picture.resize((400, 300)).get_flattened_data())
    assert any(red > 180 and green < 60 and blue < 70 for red, green, blue in shades)
    inside_ring_but_signed = picture.crop((int(105 * SCALE), int(150 * SCALE), int(155 * SCALE), int(200 * SCALE)))
    assert any(blue > 130 and red < 60 for red, _, blue in set(inside_ring_but_signed.get_flattened_data()))


def test_a_signature_in_a_box_keeps_its_proportions_and_stands_in_the_middle(compose, signature):
    left, top, right, bottom = ink_box(drawn(compose((signature_stamp(signature, 200, 40), 50, 50))))
    assert (right - left) / (bottom - top) == pytest.approx(signature.width_mm / signature.height_mm, rel=0.03)
    assert bottom - top == pytest.approx(40, abs=0.7)
    assert (left + right) / 2 == pytest.approx(150, abs=0.7)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_on_a_turned_page_a_stamp_stands_upright(compose, shelf, rotation):
    stamp = text_stamp(["Ấn tín"], shelf.font(), size=20)
    upright = drawn(compose((stamp, 0, 0), size=(stamp.width, stamp.height)))
    size = (stamp.height, stamp.width) if rotation in (90, 270) else (stamp.width, stamp.height)
    turned = drawn(compose((stamp, 0, 0), size=size, rotation=rotation))
    assert turned.size == upright.size
    assert ink_box(turned) == pytest.approx(ink_box(upright), abs=0.5)


def test_a_long_name_wraps_and_the_box_grows(shelf):
    font = shelf.font()
    short = text_stamp(["Ký bởi: A"], font)
    name = "Ký bởi: TRUNG TÂM PHỤC VỤ HÀNH CHÍNH CÔNG THÀNH PHỐ HƯƠNG GIANG"
    long = text_stamp([name], font, width=150)
    assert long.width <= 150
    assert long.height > 2 * short.height
    parts = texts_of(set_lines(name, font, 150, 10))
    assert " ".join(parts) == name
    assert all(font.width(part, 10) <= 150 for part in parts)


def test_two_hundred_letters_without_a_space_stay_within_the_width(shelf):
    font = shelf.font()
    parts = texts_of(set_lines("Ư" * 200, font, 100, 10))
    assert "".join(parts) == "Ư" * 200
    assert max(font.width(part, 10) for part in parts) <= 100


def test_a_time_bound_by_a_no_break_space_is_not_torn(shelf):
    parts = texts_of(set_lines("Thời gian ký: 05/03/2020\u00a009:15:30\u00a0+07:00", shelf.font(), 120, 10))
    assert parts[-1] == "05/03/2020\u00a009:15:30\u00a0+07:00"


@pytest.mark.parametrize(("align", "share"), [("left", 0.0), ("centre", 0.5), ("right", 1.0)])
def test_a_value_stands_in_its_field_as_aligned(compose, shelf, align, share):
    font = shelf.font()
    left, top, right, bottom = ink_box(drawn(compose((value_stamp("H15H", font, 120, 16, 13, align), 100, 100))))
    slack = 120 - 2 * VALUE_PADDING - font.width("H15H", 13)
    assert left == pytest.approx(100 + VALUE_PADDING + share * slack, abs=0.6)
    assert right < 220
    assert 300 - 116 < top < bottom < 300 - 100


def test_a_value_wider_than_its_field_is_set_smaller_and_then_refused(compose, shelf):
    font = shelf.font()
    _, _, right, _ = ink_box(drawn(compose((value_stamp("ngày 05 tháng 12 năm 2026", font, 90, 16), 100, 100))))
    assert right <= 190
    with pytest.raises(TextTooLong) as caught:
        value_stamp("ngày 05 tháng 12 năm 2026", font, 40, 16)
    assert caught.value.facts == {"text": "ngày 05 tháng 12 năm 2026"}


def test_an_empty_field_draws_nothing(compose):
    picture = drawn(compose((empty_stamp(50, 20), 10, 10)))
    assert picture.getcolors() == [(picture.width * picture.height, (255, 255, 255))]


def test_one_revision_holds_a_font_and_a_picture_once(compose, shelf, seal):
    font = shelf.font()
    once = len(compose((seal_stamp(seal, 36), 0, 0), (text_stamp(["A"], font), 0, 0)))
    twice = len(
        compose(
            (seal_stamp(seal, 36), 0, 0),
            (text_stamp(["A"], font), 0, 0),
            (seal_stamp(seal, 36), 150, 0),
            (text_stamp(["B"], font), 0, 150),
        )
    )
    assert twice - once < 1500 < len(font.font_file)
