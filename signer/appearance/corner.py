"""The place of a block of text in an upper corner of the first page: within the margin, beside what stands there already, over nothing.

ND30, Appendix I, II.8 has it at the top right; other stamps are placement.py's to place. Runs in the judge process.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from signer.appearance.geometry import Place, Rect, mm_to_pt
from signer.appearance.survey import Drawable, Survey

_STEP = mm_to_pt(2)


@dataclass(frozen=True)
class CornerRule:
    """Which corner, and in millimetres how far from the side and the upper edge; `lowest_mm`: how far down its lower edge may be."""

    corner: Literal["top-right", "top-left"]
    side_mm: float
    top_mm: float
    lowest_mm: float


def find_corner(pdf: Drawable, width: float, height: float, rule: CornerRule, password: str = "") -> Place | None:
    """The free place for a box (in points) that is nearest to its corner, or None."""
    with Survey(pdf, password) as survey:
        page = survey.page(0)
        ink = page.ink(frozenset())
        for displayed in _tries(page.box.width, page.box.height, (width, height), rule):
            if page.box.holds(displayed) and ink.is_blank(displayed):
                return Place(0, page.box.to_user(displayed), page.box.rotation, "margin")
    return None


def _tries(across: float, up: float, size: tuple[float, float], rule: CornerRule) -> Iterator[Rect]:
    """Row by row downwards, in each from the corner to the page's middle and a little beyond: another block may be there first."""
    width, height = size
    side, top = mm_to_pt(rule.side_mm), up - mm_to_pt(rule.top_mm)
    while top - height >= up - mm_to_pt(rule.lowest_mm) or top == up - mm_to_pt(rule.top_mm):
        shift = 0.0
        while shift <= across / 2:
            left = across - side - width - shift if rule.corner == "top-right" else side + shift
            yield left, top - height, left + width, top
            shift += _STEP
        top -= _STEP
