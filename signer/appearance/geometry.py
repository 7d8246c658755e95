"""Where a stamp stands on a page, in numbers: millimetres, page boxes, rotation and the rule of seal and signature.

Two spaces are used. *User space* is the page's own (ISO 32000-1, 8.3.2.3): what `/Rect` of an annotation speaks. *Display space*
is what a reader sees: origin at the lower left of the visible page after `/Rotate`, in points.
"""

from __future__ import annotations

import functools
import unicodedata
from dataclasses import asdict, dataclass
from typing import Any, Literal

from signer.appearance.errors import PlacementMalformed

Rect = tuple[float, float, float, float]
"""x0, y0, x1, y1 with x0 < x1 and y0 < y1."""

How = Literal["anchor", "field", "margin", "given"]

SEAL_OVERLAP = 1 / 3
"""The seal covers the left third of the signature (ND30, Appendix I, II.8): its right edge = signature x + W/3."""
SEAL_OVERLAP_ACCEPTED = (0.28, 0.38)


def mm_to_pt(millimetres: float) -> float:
    """Points of a length in millimetres: 72 a 25.4."""
    return millimetres * 72 / 25.4


def pt_to_mm(points: float) -> float:
    """Millimetres of a length in points."""
    return points * 25.4 / 72


@dataclass(frozen=True)
class Place:
    """Where a stamp goes. `rect` is in user space; `rotation` is the page's, so that the stamp is drawn upright for the reader.

    `field` names the existing signature field whose box this is (`how` is then "field").
    """

    page_index: int
    rect: Rect
    rotation: int
    how: How
    field: str | None = None

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "rect": list(self.rect)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Place:
        x0, y0, x1, y1 = (float(number) for number in value["rect"])
        return cls(int(value["page_index"]), (x0, y0, x1, y1), int(value["rotation"]), value["how"], value.get("field"))


@dataclass(frozen=True)
class PageBox:
    """The visible part of a page: CropBox within MediaBox, and how far the page is turned clockwise."""

    box: Rect
    rotation: int = 0

    @classmethod
    def of(cls, media_box: Rect, crop_box: Rect | None = None, rotation: int = 0) -> PageBox:
        """The box a reader shows (ISO 32000-1, 14.11.2.1): an empty intersection or none means the MediaBox."""
        media = normalised(media_box)
        seen = intersection(media, normalised(crop_box)) if crop_box else media
        return cls(seen or media, rotation % 360 // 90 * 90)

    @property
    def width(self) -> float:
        """Width as displayed."""
        x0, y0, x1, y1 = self.box
        return y1 - y0 if self.rotation in (90, 270) else x1 - x0

    @property
    def height(self) -> float:
        """Height as displayed."""
        x0, y0, x1, y1 = self.box
        return x1 - x0 if self.rotation in (90, 270) else y1 - y0

    def to_display(self, rect: Rect) -> Rect:
        """A user-space rectangle as the reader sees it."""
        left, bottom, right, top = self.box
        x0, y0, x1, y1 = rect
        if self.rotation == 90:
            return (y0 - bottom, right - x1, y1 - bottom, right - x0)
        if self.rotation == 180:
            return (right - x1, top - y1, right - x0, top - y0)
        if self.rotation == 270:
            return (top - y1, x0 - left, top - y0, x1 - left)
        return (x0 - left, y0 - bottom, x1 - left, y1 - bottom)

    def to_user(self, rect: Rect) -> Rect:
        """A displayed rectangle in the page's own space."""
        left, bottom, right, top = self.box
        x0, y0, x1, y1 = rect
        if self.rotation == 90:
            return (right - y1, bottom + x0, right - y0, bottom + x1)
        if self.rotation == 180:
            return (right - x1, top - y1, right - x0, top - y0)
        if self.rotation == 270:
            return (left + y0, top - x1, left + y1, top - x0)
        return (left + x0, bottom + y0, left + x1, bottom + y1)

    def holds(self, displayed: Rect) -> bool:
        """Whether a displayed rectangle lies on the page, to a hundredth of a point."""
        x0, y0, x1, y1 = displayed
        return x0 >= -0.01 and y0 >= -0.01 and x1 <= self.width + 0.01 and y1 <= self.height + 0.01


def seal_rect(signature_rect: Rect, diameter_mm: float, rotation: int = 0, user_unit: float = 1.0) -> Rect:
    """The seal's box beside a signature, both in user space, on a page turned by `rotation`.

    ND30, Appendix I, II.8: real size, over about one third of the signature on its left; vertical centres equal.
    `user_unit` is the page's `/UserUnit` (ISO 32000-1, table 30): real size means fewer units where a unit is larger.
    """
    page = PageBox((0.0, 0.0, 0.0, 0.0), rotation)
    x0, y0, x1, y1 = page.to_display(signature_rect)
    diameter = mm_to_pt(diameter_mm) / user_unit
    right = x0 + (x1 - x0) * SEAL_OVERLAP
    middle = (y0 + y1) / 2
    return page.to_user((right - diameter, middle - diameter / 2, right, middle + diameter / 2))


def rect_around(centre_x: float, centre_y: float, width: float, height: float) -> Rect:
    """The rectangle of a size around a point."""
    return (centre_x - width / 2, centre_y - height / 2, centre_x + width / 2, centre_y + height / 2)


def normalised(rect: Rect) -> Rect:
    """The same rectangle with its corners in order: a PDF may name any two opposite ones (ISO 32000-1, 7.9.5)."""
    x0, y0, x1, y1 = rect
    return (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))


def intersection(one: Rect, other: Rect) -> Rect | None:
    """The common part, or None when there is none."""
    x0, y0, x1, y1 = max(one[0], other[0]), max(one[1], other[1]), min(one[2], other[2]), min(one[3], other[3])
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None


PLACEMENTS = "auto, none, required, margin, margin:PAGE, anchor:TEXT, anchor:TEXT#N, PAGE,X,Y"
_LONGEST_PLACEMENT = 64  # what the register keeps of one (BatchDocumentRow)


@dataclass(frozen=True)
class Placement:
    """What was asked for: `auto`, `none`, `required`; `given` with a page (from 1, negative from the end) and a displayed point; free room
    (`margin`, of a page or of any, 0); beside a text (`anchor`), whose `number`-th occurrence is meant, 0 where there is only one.
    """

    kind: Literal["auto", "none", "required", "given", "margin", "anchor"]
    page: int = 0
    x: float = 0.0
    y: float = 0.0
    anchor: str = ""
    number: int = 0


@functools.lru_cache(maxsize=64)  # nearly always one of three words
def parse_placement(text: str) -> Placement:
    """One of PLACEMENTS as a value; PlacementMalformed otherwise."""
    try:
        found = _parsed(text.strip())
    except ValueError:
        found = None
    if found is None or len(text) > _LONGEST_PLACEMENT:
        raise PlacementMalformed(f"not a placement: {text[:80]!r}", placement=text[:80], valid=PLACEMENTS)
    return found


def _parsed(word: str) -> Placement | None:
    """ValueError or None for what is none."""
    kind, colon, rest = word.partition(":")
    match kind.lower(), colon:
        case "auto", "":
            return Placement("auto")
        case "none", "":
            return Placement("none")
        case "required", "":
            return Placement("required")
        case "margin", "":
            return Placement("margin")
        case "margin", _:
            return Placement("margin", _page(rest))
        case "anchor", ":":
            return _anchor(rest)
    page, x, y = word.split(",")
    given = Placement("given", _page(page), float(x), float(y))
    # Infinity or not-a-number would pass every comparison that follows.
    return given if all(abs(number) < 20_000 for number in (given.x, given.y)) else None


def _page(text: str) -> int:
    page = int(text)
    if page == 0:
        raise ValueError  # a page 0 does not exist
    return page


def _without_marks(text: str) -> str:
    """The text within quotation marks, as one writes it for a shell, where no shell has taken them away."""
    bare = text.strip()
    return bare[1:-1].strip() if len(bare) > 2 and bare[0] == bare[-1] == '"' else bare


def _anchor(text: str) -> Placement:
    """The text, and the number of its occurrence behind the last `#`, if digits are all that follows."""
    text = _without_marks(text)
    anchor, mark, number = text.rpartition("#")
    if not (mark and number.isascii() and number.isdecimal() and int(number) > 0):
        anchor, number = text, "0"
    anchor = _without_marks(unicodedata.normalize("NFC", anchor))
    if not any(char.isalnum() for char in anchor) or not anchor.isprintable():
        raise ValueError
    return Placement("anchor", anchor=anchor, number=int(number))
