"""The pages of a document that are worth a look for a stamp, what is wanted there, and whether a place on one of them is free."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from signer.appearance.errors import PlacementOffPage, SurveyFailed
from signer.appearance.geometry import Rect, intersection, seal_rect
from signer.appearance.ink import Ink
from signer.appearance.survey import Survey, SurveyedPage

PAGES_SEARCHED = 20
"""Pages looked at from either end: a signer's block is near the beginning (a list follows) or near the end."""
_TOUCHING = 1.0


@dataclass(frozen=True)
class Wanted:
    """What needs a place, in points: a box, and the seal that will stand beside it by the rule (its diameter in mm, or None).

    `signer` is the person's name as in the certificate: it tells two signers' blocks apart. `open_fields` are the names of empty
    signature fields if the caller has read them; `ignored_fields` are boxes that may be covered. `role` picks among fields.
    `may_cover`: at a given point it may cover what stands there.
    """

    width: float
    height: float
    seal_mm: float | None = None
    signer: str | None = None
    role: Literal["signature", "seal"] = "signature"
    open_fields: frozenset[str] | None = None
    ignored_fields: frozenset[str] = frozenset()
    may_cover: bool = False


class Pages:
    """The pages worth a look. A page that cannot be loaded is passed over: the stamp can stand on another.

    Only the last picture is kept, because rendering is dear and so is the room of forty pictures.
    """

    def __init__(self, survey: Survey, wanted: Wanted) -> None:
        count = survey.page_count
        self._ignored = wanted.ignored_fields
        self._count = count
        self._pages: dict[int, SurveyedPage] = {}
        for index in range(count):
            if index < PAGES_SEARCHED or index >= count - PAGES_SEARCHED:
                with suppress(SurveyFailed):
                    self._pages[index] = survey.page(index)
        if not self._pages:
            raise SurveyFailed("no page can be loaded", detail="pages")
        self._drawn: tuple[int, Ink] | None = None

    @property
    def indexes(self) -> list[int]:
        return list(self._pages)

    def asked(self, page: int) -> int:
        """The index of the page that a person names, from 1 or, from the end, from -1; PlacementOffPage."""
        index = page - 1 if page > 0 else self._count + page
        if index not in self._pages:
            raise PlacementOffPage(f"no page {page}", placement=str(page), pages=str(self._count))
        return index

    def page(self, index: int) -> SurveyedPage:
        return self._pages[index]

    def ink(self, index: int) -> Ink:
        if self._drawn is None or self._drawn[0] != index:
            self._drawn = (index, self._pages[index].ink(self._ignored))
        return self._drawn[1]


def is_free(pages: Pages, index: int, displayed: Rect, wanted: Wanted) -> bool:
    """Box and seal lie on the page and cover nothing: the box whole, of the seal its circle."""
    box, ink = pages.page(index).box, pages.ink(index)
    seal = seal_rect(displayed, wanted.seal_mm) if wanted.seal_mm else None
    if not box.holds(displayed) or (seal and not box.holds(seal)):
        return False
    blank = ink.is_blank_circle(displayed) if wanted.role == "seal" else ink.is_blank(displayed)
    return blank and (seal is None or ink.is_blank_circle(seal))


def covers_letters(page: SurveyedPage, displayed: Rect) -> bool:
    """Whether a box reaches over letters or digits: what an author has printed for a signature, a line or dots, is none."""
    x0, y0, x1, y1 = displayed
    inner = (x0 + _TOUCHING, y0 + _TOUCHING, x1 - _TOUCHING, y1 - _TOUCHING)
    return any(
        intersection(line.rect, inner) is not None and any(char.isalnum() for char in line.text)
        for line in page.lines()
    )
