from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signer.appearance.errors import PlacementMalformed
from signer.appearance.geometry import (
    SEAL_OVERLAP_ACCEPTED,
    PageBox,
    Place,
    Placement,
    mm_to_pt,
    parse_placement,
    pt_to_mm,
    seal_rect,
)

COORDINATE = st.floats(-2000, 2000, allow_nan=False)
EXTENT = st.floats(10, 500)
TURN = st.sampled_from([0, 90, 180, 270])


@given(COORDINATE, COORDINATE, EXTENT, EXTENT, st.floats(30, 45))
def test_the_seals_right_edge_is_a_third_into_the_signature_and_their_middles_are_level(x, y, width, height, diameter):
    x0, y0, x1, y1 = seal_rect((x, y, x + width, y + height), diameter)
    share = (x1 - x) / width
    assert SEAL_OVERLAP_ACCEPTED[0] < share < SEAL_OVERLAP_ACCEPTED[1]
    assert share == pytest.approx(1 / 3, abs=1e-6)
    assert (y0 + y1) / 2 == pytest.approx(y + height / 2, abs=1e-6)
    assert pt_to_mm(x1 - x0) == pytest.approx(diameter)
    assert pt_to_mm(y1 - y0) == pytest.approx(diameter)


@given(COORDINATE, COORDINATE, EXTENT, EXTENT, TURN)
def test_on_a_turned_page_the_rule_holds_as_the_reader_sees_it(x, y, width, height, rotation):
    page = PageBox((0, 0, 600, 800), rotation)
    signature = (x, y, x + width, y + height)
    left, low, right, high = page.to_display(seal_rect(signature, 36.0, rotation))
    shown = page.to_display(signature)
    assert right == pytest.approx(shown[0] + (shown[2] - shown[0]) / 3, abs=1e-6)
    assert (low + high) / 2 == pytest.approx((shown[1] + shown[3]) / 2, abs=1e-6)
    assert left < shown[0] + 1e-6 or right - left < (shown[2] - shown[0]) / 3


def test_a_page_with_larger_units_gets_a_seal_of_the_same_millimetres():
    assert seal_rect((0, 0, 60, 30), 36.0, user_unit=2.0)[2] - seal_rect((0, 0, 60, 30), 36.0, user_unit=2.0)[
        0
    ] == pytest.approx(mm_to_pt(36) / 2)


@given(COORDINATE, COORDINATE, EXTENT, EXTENT, COORDINATE, COORDINATE, TURN)
def test_display_and_user_space_are_each_others_inverse(x, y, width, height, left, bottom, rotation):
    page = PageBox((left, bottom, left + 600, bottom + 800), rotation)
    rect = (x, y, x + width, y + height)
    assert page.to_user(page.to_display(rect)) == pytest.approx(rect, abs=1e-6)


@pytest.mark.parametrize(("rotation", "corner"), [(0, (0, 0)), (90, (0, 590)), (180, (590, 790)), (270, (790, 0))])
def test_the_lower_left_corner_of_the_sheet_goes_where_the_turn_takes_it(rotation, corner):
    page = PageBox((100, 50, 700, 850), rotation)
    assert page.to_display((100, 50, 110, 60))[:2] == corner
    assert (page.width, page.height) == ((800, 600) if rotation in (90, 270) else (600, 800))


def test_the_visible_page_is_the_crop_box_within_the_media_box():
    assert PageBox.of((0, 0, 600, 800), (700, 900, 10, 20)).box == (10, 20, 600, 800)
    assert PageBox.of((0, 0, 600, 800), (900, 900, 950, 950)).box == (0, 0, 600, 800)
    assert PageBox.of((0, 0, 600, 800), None, -90).rotation == 270


@pytest.mark.parametrize("text", ["auto", "none", "required", "AUTO "])
def test_the_words_for_a_placement_are_known(text):
    assert parse_placement(text).kind == text.strip().lower()


@pytest.mark.parametrize("text", ["anchor:Nơi nhận:#2", 'anchor:"Nơi nhận:"#2', 'anchor:"Nơi nhận:#2"'])
def test_marks_around_an_anchor_are_the_shells(text):
    assert parse_placement(text) == Placement("anchor", anchor="Nơi nhận:", number=2)
    assert parse_placement('anchor:a"b').anchor == 'a"b'


def test_a_point_may_count_pages_from_the_end():
    given_point = parse_placement("-1,72.5,100")
    assert (given_point.kind, given_point.page, given_point.x, given_point.y) == ("given", -1, 72.5, 100.0)


@pytest.mark.parametrize(
    "text", ["", "left", "1,2", "1,2,3,4", "0,10,10", "1,nan,5", "1,inf,5", "1,1e9,5", "a,b,c", "1.5,2,3"]
)
def test_anything_else_is_named_as_malformed(text):
    with pytest.raises(PlacementMalformed) as caught:
        parse_placement(text)
    assert caught.value.code == "PLACEMENT_MALFORMED"
    assert caught.value.facts["placement"] == text
    assert "margin:PAGE" in caught.value.facts["valid"]


def test_a_place_survives_json():
    place = Place(2, (1.5, 2.0, 3.0, 4.25), 90, "field", "ChuKy")
    assert Place.from_json(place.as_json()) == place
