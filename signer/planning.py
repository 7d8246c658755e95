"""What the revision of a signature contains, decided from who signs what: the stamp, values of form fields, room for the CMS."""

from __future__ import annotations

from collections.abc import Mapping

from certs.clock import for_people
from signer.appearance.fonts import EmbeddedFont, Style
from signer.appearance.images import Purpose
from signer.cms import TIMESTAMP_ROOM
from signer.levels import B_B
from signer.numbering import GivenNumber, written, written_date
from signer.plan import Plan
from signer.signing_parts import ISSUE, Case, SigningDeps

# Text fields that an office leaves open for the number and the date of issue.
NUMBER_FIELD, DATE_FIELD = "SoVanBan", "NgayBanHanh"
# The styles of font that a revision may bring.
DRAWN_STYLES: tuple[Style, ...] = ("regular", "italic")


def build_plan(case: Case, number: GivenNumber | None) -> Plan:
    """A picture alone where there is one (ND30 PL1), lines of text for a signatory without."""
    request, signatory, deps = case.request, case.signatory, case.deps
    drawn = request.placement != "none"
    seal = case.intent == ISSUE
    diameter = signatory.diameter_mm or deps.seal_diameter_mm
    image = None
    if drawn and signatory.image_sha256:
        purpose: Purpose = "seal" if seal else "signature"
        image = deps.image(signatory.image_sha256, purpose, diameter if seal else deps.signature_width_mm)
    text = () if image or not drawn else (signatory.common_name, signatory.agency, for_people(case.now))
    values = {NUMBER_FIELD: written(number.number), DATE_FIELD: written_date(number.day)} if number else {}
    return Plan(
        kind="seal" if seal else "signature",
        claimed_time=case.now,
        contents_octets=max(request.room, signatory.template.reserved_octets(_stamp_room(case))),
        placement=request.placement,
        field=request.field,
        signer=None if seal else signatory.common_name,
        image=image,
        diameter_mm=diameter if seal else None,
        text=text,
        fonts=_fonts(text, values, deps),
        ready_seal_mm=deps.seal_diameter_mm if drawn and not seal else None,
        values=values,
        subfilter=request.subfilter,
        protection=request.protection,
        # The seal fills these and signs in its field: no lock of the officer's shuts them.
        keeps_open=() if seal else (NUMBER_FIELD, DATE_FIELD),
        keeps_signatures=not seal,
        password=request.password,
        inspect=deps.findings.looks,
    )


def _stamp_room(case: Case) -> int:
    """Also at B-B a time-stamp of our own would still fit."""
    extender = case.deps.extender
    return TIMESTAMP_ROOM if extender is None or case.request.level == B_B else extender.timestamper.room


def _fonts(text: tuple[str, ...], values: Mapping[str, str], deps: SigningDeps) -> dict[Style, EmbeddedFont]:
    """Regular for text of ours; a form may want its values in italics, as ND30 PL1 has place and date."""
    drawn = " ".join((*text, *values.values()))
    styles = DRAWN_STYLES if values else DRAWN_STYLES[:1]
    return {style: deps.font(style, drawn) for style in styles} if drawn else {}
