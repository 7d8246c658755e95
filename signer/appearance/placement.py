"""Finds the place of a stamp that covers nothing: by anchor text, by form field, in a free margin, or where somebody said.

Runs in the judge process (it reads the document through `survey.py`). What comes back is a Place; what none means, the caller knows.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

from signer.appearance.anchored import find_at_anchor
from signer.appearance.anchors import WORDS, SignerBlock, room_between, signer_blocks
from signer.appearance.errors import PlacementCoversText, PlacementOffPage, PlacementWithoutRoom
from signer.appearance.geometry import Place, Placement, Rect, intersection, mm_to_pt, seal_rect
from signer.appearance.ink import CELL
from signer.appearance.pages import Pages, Wanted, covers_letters, is_free
from signer.appearance.survey import Drawable, Survey, SurveyedPage, Widget

_EDGE = mm_to_pt(8)
_CLEARANCE = 3.0
_NUDGES = ((0, 0), (2, 0), (4, 0), (0, -4), (0, 4), (8, 0), (12, 0), (16, 0), (24, 0))
"""Steps, in points, tried around the middle of the signer's room: the recipients' list may reach under a large seal."""
_LEAST_FIELD = (mm_to_pt(15), mm_to_pt(6))
_SIGNER_FIELDS = ("chukynguoiky", "nguoiky", "chuky", "signer", "officer", "lanhdao", "kyten", "signature", "ky")
_SEAL_FIELDS = ("condau", "dau", "seal", "stamp", "coquan", "vanthu")


def find_place(pdf: Drawable, wanted: Wanted, placement: Placement, password: str = "") -> Place | None:
    """The place asked for, or None when there is none (or none was wanted); never one that covers anything.

    `auto` and `required` search alike: anchor text, form field, free margin. A given point is obeyed or refused with
    PlacementOffPage or PlacementCoversText; an anchor's text and a page's room are found, or refused with what is wrong.
    """
    if placement.kind == "none":
        return None
    with Survey(pdf, password) as survey:
        if placement.kind == "given":
            return _given(survey, wanted, placement)
        pages = Pages(survey, wanted)
        if placement.kind == "anchor":
            return find_at_anchor(pages, wanted, placement)
        if placement.kind == "margin":
            return _asked_margin(pages, wanted, placement)
        return _by_anchor(pages, wanted) or _by_field(pages, wanted) or _in_margin(pages, wanted)


def check_blank(
    pdf: Drawable,
    page_index: int,
    rect: Rect,
    *,
    is_round: bool = False,
    ignored_fields: frozenset[str] = frozenset(),
    password: str = "",
) -> None:
    """Nothing is raised if a box (or the circle in it) covers nothing but the fields named; user space. PlacementCoversText else.

    For a seal beside a signature, name the signature's field: covering a third of it is the rule.
    """
    with Survey(pdf, password) as survey:
        where = f"{page_index + 1},{rect[0]:.0f},{rect[1]:.0f}"
        if not 0 <= page_index < survey.page_count:
            raise PlacementOffPage(f"no page {page_index + 1}", placement=where, pages=str(survey.page_count))
        page = survey.page(page_index)
        displayed = page.box.to_display(rect)
        if not page.box.holds(displayed):
            raise PlacementOffPage("the stamp hangs over the edge", placement=where, pages=str(survey.page_count))
        ink = page.ink(ignored_fields)
        if not (ink.is_blank_circle(displayed) if is_round else ink.is_blank(displayed)):
            raise PlacementCoversText(
                "the stamp would cover the page's content", placement=where, page=str(page_index + 1)
            )


def _given(survey: Survey, wanted: Wanted, placement: Placement) -> Place:
    count = survey.page_count
    where = f"{placement.page},{placement.x:g},{placement.y:g}"
    index = placement.page - 1 if placement.page > 0 else count + placement.page
    if not 0 <= index < count:
        raise PlacementOffPage(f"no page {placement.page} of {count}", placement=where, pages=str(count))
    page = survey.page(index)
    displayed = (placement.x, placement.y, placement.x + wanted.width, placement.y + wanted.height)
    if not page.box.holds(displayed):
        raise PlacementOffPage("the stamp would hang over the edge", placement=where, pages=str(count))
    ignored = wanted.ignored_fields
    if wanted.role == "seal":
        # Over a signature is where a seal belongs, and the room that was left for one is its own.
        ignored |= {each.name for each in page.widgets() if _is_for_seal_to_cover(each)}
    ink = page.ink(ignored)
    is_blank = ink.is_blank_circle(displayed) if wanted.role == "seal" else ink.is_blank(displayed)
    if not (is_blank or wanted.may_cover):
        raise PlacementCoversText("the stamp would cover the page's content", placement=where, page=str(index + 1))
    return Place(index, page.box.to_user(displayed), page.box.rotation, "given")


def _by_anchor(pages: Pages, wanted: Wanted) -> Place | None:
    """The signer's block with the best evidence; among equals the later page's."""
    blocks: list[tuple[int, SignerBlock]] = []
    for index in pages.indexes:
        page = pages.page(index)
        words = page.words()
        if any(word in words for word in WORDS):
            blocks += [(index, block) for block in signer_blocks(page.lines(), page.box.width, wanted.signer)]
    for index, block in sorted(blocks, key=lambda entry: (-entry[1].score, -entry[0])):
        page = pages.page(index)
        room = (block.centre - 1, block.bottom, block.centre + 1, block.top)
        field = next(
            (
                one
                for one in _fields(page, wanted)
                if intersection(one.rect, room) and _fits_field(pages, index, one, wanted)
            ),
            None,
        )
        if field:
            return Place(index, page.box.to_user(field.rect), page.box.rotation, "field", field.name)
        least = mm_to_pt(wanted.seal_mm) if wanted.seal_mm else 0.0
        middle = room_between(block, wanted.width, wanted.height, least)
        for right, up in _NUDGES:
            displayed = (middle[0] + right, middle[1] + up, middle[2] + right, middle[3] + up)
            if is_free(pages, index, displayed, wanted):
                return Place(index, page.box.to_user(displayed), page.box.rotation, "anchor")
    return None


def _by_field(pages: Pages, wanted: Wanted) -> Place | None:
    """An empty signature field with room, the one whose name fits best; the later page's among equals."""
    found: list[tuple[int, int, Widget]] = []
    for index in pages.indexes:
        found += [(rank, -index, field) for rank, field in enumerate(_fields(pages.page(index), wanted))]
    for _, minus_index, field in sorted(found, key=lambda entry: (_rank(entry[2].name, wanted), entry[1])):
        index = -minus_index
        if _fits_field(pages, index, field, wanted):
            page = pages.page(index)
            return Place(index, page.box.to_user(field.rect), page.box.rotation, "field", field.name)
    return None


def _in_margin(pages: Pages, wanted: Wanted) -> Place | None:
    """Free room on the last page that has any; pages on which nothing stands come last."""
    empty: list[int] = []
    for index in reversed(pages.indexes):
        if not pages.ink(index).has_content:
            empty.append(index)
        elif place := _margin_of(pages, index, wanted):
            return place
    return next((place for index in empty if (place := _margin_of(pages, index, wanted))), None)


def _asked_margin(pages: Pages, wanted: Wanted, placement: Placement) -> Place:
    """The same where free room was asked for, of one page or of any; PlacementWithoutRoom when there is none."""
    page = placement.page
    place = _margin_of(pages, pages.asked(page), wanted) if page else _in_margin(pages, wanted)
    if place is None:
        raise PlacementWithoutRoom("no free room", page=str(placement.page or "–"))
    return place


def _margin_of(pages: Pages, index: int, wanted: Wanted) -> Place | None:
    """The free room of one page that is nearest to where a signer's block would be: under the text, to the right."""
    shape, left_of_box, bottom_of_box = _shape(wanted)
    page, ink = pages.page(index), pages.ink(index)
    text_end = ink.lowest(page.box.height * 0.12)  # a footer is not the end of the text
    wanted_top = page.box.height * 0.4 if text_end is None else text_end - 12
    best: tuple[float, Rect] | None = None
    for x, y in ink.rooms(shape, _EDGE):
        left, bottom = x + left_of_box, y + bottom_of_box
        displayed = (left, bottom, left + wanted.width, bottom + wanted.height)
        cost = abs(left + wanted.width / 2 - 0.7 * page.box.width) + abs(y + len(shape) * CELL - wanted_top)
        if best is None or cost < best[0]:
            best = (cost, displayed)
    if best is None or not is_free(pages, index, best[1], wanted):
        return None
    return Place(index, page.box.to_user(best[1]), page.box.rotation, "margin")


def _shape(wanted: Wanted) -> tuple[list[tuple[float, float]], float, float]:
    """Box and seal circle as slices with clearance; with where the box's lower left corner lies within."""
    box: Rect = (0.0, 0.0, wanted.width, wanted.height)
    seal = seal_rect(box, wanted.seal_mm) if wanted.seal_mm else None
    x0, y0 = (min(0.0, seal[0]), min(0.0, seal[1])) if seal else (0.0, 0.0)
    y1 = max(wanted.height, seal[3]) if seal else wanted.height
    left, low = x0 - _CLEARANCE, y0 - _CLEARANCE
    slices: list[tuple[float, float]] = []
    at = low
    while at < y1 + _CLEARANCE:
        spans = []
        if at + CELL > -_CLEARANCE and at < wanted.height + _CLEARANCE:
            spans.append((-_CLEARANCE, wanted.width + _CLEARANCE))
        if seal:
            radius, axis, middle = (
                (seal[2] - seal[0]) / 2 + _CLEARANCE,
                (seal[0] + seal[2]) / 2,
                (seal[1] + seal[3]) / 2,
            )
            nearest = min(max(middle, at), at + CELL)
            half = max(0.0, radius**2 - (nearest - middle) ** 2) ** 0.5
            spans.append((axis - half, axis + half))
        slices.append((min(begin for begin, _ in spans) - left, max(end for _, end in spans) - left))
        at += CELL
    return slices, -left, -low


def _fits_field(pages: Pages, index: int, field: Widget, wanted: Wanted) -> bool:
    """A field is large enough for a picture, and the seal beside it covers nothing but the field itself."""
    width, height = field.rect[2] - field.rect[0], field.rect[3] - field.rect[1]
    if wanted.role == "seal":
        return min(width, height) >= min(wanted.width, wanted.height) - 0.5
    if width < _LEAST_FIELD[0] or height < _LEAST_FIELD[1]:
        return False
    if covers_letters(pages.page(index), field.rect):
        return False
    if not wanted.seal_mm:
        return True
    page = pages.page(index)
    seal = seal_rect(field.rect, wanted.seal_mm)
    return page.box.holds(seal) and page.ink(wanted.ignored_fields | {field.name}).is_blank_circle(seal)


def _fields(page: SurveyedPage, wanted: Wanted) -> Iterator[Widget]:
    """The page's open signature fields that may serve this role, best names first."""
    for widget in sorted(page.widgets(), key=lambda one: _rank(one.name, wanted)):
        known_open = widget.name in wanted.open_fields if wanted.open_fields is not None else widget.is_open
        if widget.is_signature and known_open and _rank(widget.name, wanted) < 1000:
            yield widget


def _is_for_seal_to_cover(field: Widget) -> bool:
    """A signature that is no seal, or an empty field for one, by the field's name."""
    is_for_seal = _rank(field.name, Wanted(0, 0)) == 1000
    return field.is_signature and field.is_open == is_for_seal


def _rank(name: str, wanted: Wanted) -> int:
    """How well a field's name fits the role; 1000 if it belongs to the other one."""
    plain = "".join(
        char
        for char in unicodedata.normalize("NFD", name.lower().replace("đ", "d"))
        if char.isascii() and char.isalpha()
    )
    signer = next((at for at, word in enumerate(_SIGNER_FIELDS) if word in plain), None)
    seal = next((at for at, word in enumerate(_SEAL_FIELDS) if word in plain), None)
    if wanted.role == "seal":
        return 1000 if seal is None else seal
    if seal is not None and signer is None:
        return 1000
    return 500 if signer is None else signer
