"""Where the stamp of a plan stands on a file, and what it looks like there; both ways of preparing share it.

What the file's fields are, those say who have read it: form.py and plain_form.py. Writing is preparing.py's and plain_increment.py's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from signer.appearance.corner import find_corner
from signer.appearance.errors import FieldCoversText, PlacementCoversText, PlacementOffPage, SurveyFailed
from signer.appearance.geometry import PageBox, Place, Placement, Rect, mm_to_pt, parse_placement, seal_rect
from signer.appearance.pages import Wanted, covers_letters
from signer.appearance.placement import check_blank, find_place
from signer.appearance.stamps import Appearance, signature_stamp
from signer.appearance.survey import Drawable, Survey
from signer.errors import Refused
from signer.octets import Octets, stream_of
from signer.plan import Plan

SIGNATURE_STEM, READY_SEAL_STEM = "Signature", "Seal"
_STEMS = {"signature": SIGNATURE_STEM, "seal": READY_SEAL_STEM, "block": "Text"}
# How many places a process remembers; each is a few hundred octets.
_MOST_PLACES = 512

# Nobody has said where: what was left for a seal is meant for it, and the law knows a corner for a block.
_LEFT_TO_US = ("auto", "required", "none")

Find = Callable[[Wanted, Placement], Place | None]


@dataclass(frozen=True)
class SignatureField:
    """A signature field: `box` (x0, y0, x1, y1) and `page` are None where it has no visible place; `free` when it has no value.

    `rotation` is its page's /Rotate.
    """

    name: str
    free: bool
    box: Rect | None
    page: int | None
    rotation: int = 0


@dataclass(frozen=True)
class Target:
    """The field that gets the signature, and where its stamp is drawn; `how` says what found the place."""

    name: str
    exists: bool
    place: Place | None
    how: str | None

    @property
    def page(self) -> int:
        return self.place.page_index if self.place else 0


class PlaceShelf:
    """Places that were found before, of one process, by the paper and the wish: a paper's digest says all that is drawn on it.

    The oldest goes when there are too many.
    """

    def __init__(self, most: int = _MOST_PLACES) -> None:
        self._most = most
        self._places: dict[tuple[bytes, Wanted, Placement], Place | None] = {}

    def finder(self, pdf: Octets, paper: bytes) -> Find:
        """`find_place` for a file on which is drawn what this digest stands for."""

        def find(wanted: Wanted, placement: Placement) -> Place | None:
            key = (paper, wanted, placement)
            if key not in self._places:
                # What cannot be looked at, or is refused, is raised, and looked at again.
                self._places[key] = find_place(_drawable(pdf), wanted, placement)
                if len(self._places) > self._most:
                    del self._places[next(iter(self._places))]
            return self._places[key]

        return find


def choose(
    pdf: Octets, plan: Plan, fields: Sequence[SignatureField], fresh: Callable[[str], str], find: Find | None = None
) -> Target:
    """The field and the place where nobody has named a field that exists. `fresh`: a name for a new one, from its stem."""
    if plan.kind == "seal" and parse_placement(plan.placement).kind in _LEFT_TO_US:
        ready = ready_seal(fields, plan.diameter_mm or 0.0)
        if ready is not None:
            place = None if plan.placement == "none" else box_of(ready, plan)
            how = "reserved" if place else None
            if plan.field is None:
                return Target(ready.name, True, place, how)
            # A field by another name is wanted: it takes the same room.
            return Target(plan.field, False, None if place is None else replace(place, field=None), how)
    place = _search(pdf, plan, fields, find)
    if place is None and parse_placement(plan.placement).kind == "required":
        corner = plan.corner is not None and parse_placement(plan.placement).kind in _LEFT_TO_US
        raise Refused("CORNER_WITHOUT_ROOM" if corner else "PLACEMENT_NOWHERE")
    if place is not None and place.field is not None:
        return Target(place.field, True, place, place.how)
    return Target(fresh(_STEMS[plan.kind]), False, place, place.how if place else None)


def _search(pdf: Octets, plan: Plan, fields: Sequence[SignatureField], find: Find | None) -> Place | None:
    """Where the stamp may stand without covering anything; None for nowhere, or for a page that cannot be rendered."""
    placement = parse_placement(plan.placement)
    if placement.kind == "none":
        return None
    stamp = stamp_of(plan, None)
    if plan.corner is not None and placement.kind in _LEFT_TO_US:
        return find_corner(_drawable(pdf), stamp.width, stamp.height, plan.corner, plan.password.text)
    wanted = Wanted(
        width=stamp.width,
        height=stamp.height,
        seal_mm=plan.ready_seal_mm,
        signer=plan.signer,
        role="seal" if plan.kind == "seal" else "signature",
        open_fields=frozenset(each.name for each in fields if each.free and plan.field is None),
        may_cover=plan.may_cover,
    )
    try:
        if plan.kind == "seal" and placement.kind in _LEFT_TO_US:
            beside = _beside_signature(pdf, plan, fields)
            if beside is not None:
                return beside
        if find is not None:
            return find(wanted, placement)
        return find_place(_drawable(pdf), wanted, placement, plan.password.text)
    except SurveyFailed:
        if placement.kind == "auto":
            return None  # what cannot be looked at gets no stamp, and the caller warns
        raise


def _beside_signature(pdf: Octets, plan: Plan, fields: Sequence[SignatureField]) -> Place | None:
    """The seal's place by the rule of ND30 PL1, over the left third of the newest visible signature, if it covers nothing else."""
    for signed in reversed(fields):
        if signed.free or signed.box is None or signed.page is None or plan.diameter_mm is None:
            continue
        rect = seal_rect(signed.box, plan.diameter_mm, signed.rotation)
        with contextlib.suppress(PlacementCoversText, PlacementOffPage):
            ignored = frozenset({signed.name})
            check_blank(
                _drawable(pdf), signed.page, rect, is_round=True, ignored_fields=ignored, password=plan.password.text
            )
            return Place(signed.page, rect, signed.rotation, "field")
    return None


def _drawable(pdf: Octets) -> Drawable:
    return pdf if isinstance(pdf, bytes) else stream_of(pdf)


def box_of(field: SignatureField, plan: Plan) -> Place | None:
    """An existing field's own box. A seal is never scaled: a box that is too small for it is refused."""
    if field.box is None or field.page is None or plan.placement == "none":
        return None
    x0, y0, x1, y1 = field.box
    if plan.diameter_mm is not None and min(x1 - x0, y1 - y0) < mm_to_pt(plan.diameter_mm) - 0.5:
        raise Refused("FIELD_TOO_SMALL", field=field.name, diameter_mm=f"{plan.diameter_mm:g}")
    return Place(field.page, field.box, field.rotation, "field", field.name)


def refuse_covering(pdf: Octets, plan: Plan, place: Place) -> None:
    """FieldCoversText for a named field that reaches over the text of its page, unless the policy allows it."""
    if plan.may_cover or place.field is None:
        return
    with Survey(_drawable(pdf), plan.password.text) as survey:
        page = survey.page(place.page_index)
        if covers_letters(page, page.box.to_display(place.rect)):
            number = str(place.page_index + 1)
            raise FieldCoversText(f"{place.field} covers text", field=place.field, page=number)


def ready_seal(fields: Sequence[SignatureField], diameter_mm: float) -> SignatureField | None:
    """The empty field that an earlier signature of ours left for the seal, if the seal fits in it."""
    least = mm_to_pt(diameter_mm) - 0.5
    for field in fields:
        if field.free and field.box and field.name.startswith(READY_SEAL_STEM):
            x0, y0, x1, y1 = field.box
            if min(x1 - x0, y1 - y0) >= least:
                return field
    return None


def stamp_of(plan: Plan, place: Place | None) -> Appearance:
    """What is drawn, as large as its place: a viewer stretches an appearance to its field (ISO 32000-2 12.5.5)."""
    if place is None:
        return plan.stamp
    shown = PageBox((0.0, 0.0, 0.0, 0.0), place.rotation).to_display(place.rect)
    width, height = shown[2] - shown[0], shown[3] - shown[1]
    if plan.kind == "signature" and plan.image is not None:
        return signature_stamp(plan.image, width, height)
    return _centred(plan.stamp, width, height)


def _centred(stamp: Appearance, width: float, height: float) -> Appearance:
    """The stamp in the middle of a larger box, its size kept; in a smaller one it is reduced (never a seal: see box_of)."""
    scale = min(1.0, width / stamp.width, height / stamp.height)
    left, bottom = (width - stamp.width * scale) / 2, (height - stamp.height * scale) / 2
    matrix = f"q {scale:.4f} 0 0 {scale:.4f} {left:.4f} {bottom:.4f} cm ".encode("ascii")
    return replace(stamp, width=width, height=height, content=matrix + stamp.content + b" Q")
