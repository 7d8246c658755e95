"""What the revision of a signature contains, decided from who signs what: the stamp, values of form fields, room for the CMS."""

from __future__ import annotations

from collections.abc import Mapping

from certs.clock import for_people
from signer.appearance.corner import CornerRule
from signer.appearance.fonts import EmbeddedFont, Style
from signer.appearance.geometry import mm_to_pt
from signer.cms import TIMESTAMP_ROOM
from signer.credentials import OFFICER, SEAL
from signer.levels import B_B
from signer.marking import mark_fonts, marks_of
from signer.numbering import GivenNumber, written, written_date
from signer.office_lines import block_lines
from signer.office_policy import ISSUE
from signer.plan import Plan
from signer.signing_parts import Case, SigningDeps

# Text fields that an office leaves open for the number and the date of issue.
NUMBER_FIELD, DATE_FIELD = "SoVanBan", "NgayBanHanh"
# The styles of font that a revision may bring.
DRAWN_STYLES: tuple[Style, ...] = ("regular", "italic")


def build_plan(case: Case, number: GivenNumber | None) -> Plan:
    """A picture alone where there is one (ND30 PL1), lines of text for a signatory without; a block of text, or nothing, by the policy."""
    request, signatory, deps, rule = case.request, case.signatory, case.deps, case.rule
    placement = _placement(case)
    drawn = placement != "none"
    seal, pictured = case.intent == ISSUE, rule.look == "picture"
    own, image = case.images.own, None
    diameter = own.width_mm if own is not None else signatory.diameter_mm or deps.seal_diameter_mm
    if drawn and pictured and own is not None:
        image = deps.image(own.sha256, own.purpose, own.width_mm)
    text: tuple[str, ...] = ()
    if drawn and rule.look == "block":
        text = block_lines(case, number)
    elif drawn and not image:
        text = (signatory.common_name, signatory.agency, for_people(case.now))
    values = {NUMBER_FIELD: written(number.number), DATE_FIELD: written_date(number.day)} if number and seal else {}
    marks = marks_of(case)
    return Plan(
        kind="seal" if seal else "block" if text and rule.look == "block" else "signature",
        claimed_time=case.now,
        contents_octets=max(request.room, signatory.template.reserved_octets(_stamp_room(case))),
        placement=placement,
        field=request.field,
        signer=signatory.common_name if signatory.role == OFFICER else None,
        image=image,
        diameter_mm=diameter if seal else None,
        text=text,
        fonts=_fonts(text, values, deps) | mark_fonts(marks, text, values, deps),
        ready_seal_mm=(case.images.seal_mm or deps.seal_diameter_mm) if drawn and pictured and not seal else None,
        values=values,
        subfilter=request.subfilter,
        protection=request.protection,
        # The seal fills these and signs in its field: no lock of the officer's shuts them.
        keeps_open=() if signatory.role == SEAL else (NUMBER_FIELD, DATE_FIELD),
        keeps_signatures=signatory.role != SEAL,
        password=request.password,
        corner=_corner(case),
        **_setting(case),
        inspect=deps.findings.looks,
        marks=marks,
        may_cover=case.policy.covering == "allow",
    )


def _placement(case: Case) -> str:
    """As asked; but what the law wants shown is shown, or the signature is refused, unless somebody says that he wants nothing."""
    asked = case.request.placement
    if case.rule.look == "nothing":
        return "none"
    return "required" if case.rule.look == "block" and asked == "auto" else asked


def _setting(case: Case) -> dict[str, float]:
    """How large the text is and how wide, in points; of a stamp without a picture the law says nothing."""
    block = case.policy.block
    return {"text_size": block.size, "text_width": mm_to_pt(block.width_mm)} if case.rule.look == "block" else {}


def _corner(case: Case) -> CornerRule | None:
    if case.rule.look != "block":
        return None
    block = case.policy.block
    return CornerRule(case.rule.corner, block.side_mm, block.top_mm, block.lowest_mm)


def _stamp_room(case: Case) -> int:
    """Also at B-B a time-stamp of our own would still fit."""
    extender = case.deps.extender
    return TIMESTAMP_ROOM if extender is None or case.request.level == B_B else extender.timestamper.room


def _fonts(text: tuple[str, ...], values: Mapping[str, str], deps: SigningDeps) -> dict[Style, EmbeddedFont]:
    """Regular for text of ours; a form may want its values in italics, as ND30 PL1 has place and date."""
    drawn = " ".join((*text, *values.values()))
    styles = DRAWN_STYLES if values else DRAWN_STYLES[:1]
    return {style: deps.font(style, drawn) for style in styles} if drawn else {}
