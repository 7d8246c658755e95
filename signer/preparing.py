"""Appends to a PDF the revision that will be signed: field, stamp, form values and an empty hole for the CMS.

It parses files that strangers wrote, so it runs in the judge process and holds no key (house.md, Processes). What was
there stays octet for octet: the answer is only the tail.
"""

from __future__ import annotations

import contextlib
import io
import re
from dataclasses import dataclass, replace
from typing import Any, cast

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.form_tools import get_single_field_annot
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import FieldMDPAction, FieldMDPSpec, SigFieldSpec, SigSeedSubFilter, append_signature_field
from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigIOSetup, SigMDPSetup, SigObjSetup
from pyhanko.sign.signers.pdf_byterange import SignatureObject

from signer.appearance.errors import AppearanceError, PlacementCoversText, PlacementOffPage, SurveyFailed
from signer.appearance.geometry import PageBox, Place, Rect, mm_to_pt, parse_placement, seal_rect
from signer.appearance.pdf_objects import PdfParts
from signer.appearance.placement import Wanted, check_blank, find_place
from signer.appearance.stamps import Appearance, seal_stamp, signature_stamp, text_stamp
from signer.errors import InputUnreadable, Refused, SignerError
from signer.form import (
    SignatureField,
    fill_text_fields,
    fresh_name,
    refuse_closed,
    refuse_taken_name,
    signature_fields,
)
from signer.plain_increment import prepare_plain
from signer.plain_pdf import NotPlain
from signer.plan import Message, Plan, Prepared
from signer.subfilters import SUBFILTERS

_HEADER = re.compile(rb"%PDF-\d\.\d")
_HEADER_WITHIN = 1024  # readers look this far for it (ISO 32000-1 annex H, implementation note 13)
READY_SEAL_STEM = "Seal"
_STEMS = {"signature": "Signature", "seal": READY_SEAL_STEM}


def prepare_task(header: dict[str, Any], blobs: list[bytes]) -> Message:
    """The judge process's task `prepare`: blob 0 is the file, the rest the plan's. A refusal is an answer, not a failure."""
    try:
        prepared = prepare(blobs[0], Plan.from_message(header, blobs[1:]))
    except SignerError as error:
        return {"error": type(error).__name__, "code": error.code, "facts": error.facts}, []
    except AppearanceError as error:
        return {"error": Refused.__name__, "code": error.code, "facts": error.facts}, []
    answer, tail = prepared.to_message()
    return answer, tail


def prepare(pdf: bytes, plan: Plan) -> Prepared:
    """Append the revision; Refused or InputUnreadable when it cannot be. Uses no key."""
    if _HEADER.search(pdf, 0, _HEADER_WITHIN) is None:
        raise InputUnreadable("INPUT_NOT_PDF")
    with contextlib.suppress(NotPlain):
        return prepare_plain(pdf, plan, plan.field or f"{_STEMS[plan.kind]}1")
    with contextlib.suppress(_LibraryTrouble):
        return _guarded(pdf, plan, strict=True)
    # Strict first; hybrid cross-references and dangling references of honest files only pass leniently.
    try:
        return _guarded(pdf, plan, strict=False)
    except _LibraryTrouble as trouble:
        raise InputUnreadable("INPUT_DAMAGED", kind=trouble.kind) from trouble


class _LibraryTrouble(Exception):
    """The library failed on the file with an error of its own, of whatever kind."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def _guarded(pdf: bytes, plan: Plan, *, strict: bool) -> Prepared:
    try:
        return _prepare(pdf, plan, strict=strict)
    except (SignerError, AppearanceError, MemoryError):
        raise
    except Exception as error:
        # Broken files make the library fail with AssertionError, KeyError, TypeError and a dozen others.
        raise _LibraryTrouble(type(error).__name__) from error


@dataclass(frozen=True)
class _Target:
    """The field that gets the signature, and where its stamp is drawn; `how` says what found the place."""

    name: str
    exists: bool
    place: Place | None
    how: str | None

    @property
    def page(self) -> int:
        return self.place.page_index if self.place else 0


def _prepare(pdf: bytes, plan: Plan, *, strict: bool) -> Prepared:
    writer = _open(pdf, strict=strict)
    fields = signature_fields(writer)
    target = _target(pdf, plan, writer, fields)
    refuse_closed(writer, target.name)
    parts = PdfParts(writer)
    filled = fill_text_fields(writer, parts, plan.values, plan.fonts) if plan.values else []
    # Only the first signature may leave an empty field: to the earlier ones it would be a change nobody asked for.
    leave_room = all(each.free for each in fields) and not _ready_seal(fields, plan.ready_seal_mm or 0.0)
    signed = sum(not field.free for field in fields)
    hole, output = _append_signature(writer, plan, target, parts, filled, leave_room=leave_room)
    return Prepared(output[len(pdf) :], hole, target.name, target.how, tuple(filled), not strict, signed)


def _target(pdf: bytes, plan: Plan, writer: IncrementalPdfFileWriter, fields: list[SignatureField]) -> _Target:
    if plan.field is not None:
        refuse_taken_name(writer, plan.field)
        named = next((each for each in fields if each.name == plan.field), None)
        if named is not None:
            # Somebody has decided where: the field's own box, or nowhere if it has none.
            place = _box_of(named, plan)
            if place is None and parse_placement(plan.placement).kind == "required":
                raise Refused("PLACEMENT_NOWHERE")
            return _Target(named.name, True, place, "field" if place else None)
    if plan.kind == "seal" and parse_placement(plan.placement).kind != "given":
        ready = _ready_seal(fields, plan.diameter_mm or 0.0)
        if ready is not None:
            place = None if plan.placement == "none" else _box_of(ready, plan)
            return _Target(ready.name, True, place, "reserved" if place else None)
    place = _search(pdf, plan, fields)
    if place is None and parse_placement(plan.placement).kind == "required":
        raise Refused("PLACEMENT_NOWHERE")
    if place is not None and place.field is not None:
        return _Target(place.field, True, place, place.how)
    name = plan.field or fresh_name(writer, _STEMS[plan.kind])
    return _Target(name, False, place, place.how if place else None)


def _search(pdf: bytes, plan: Plan, fields: list[SignatureField]) -> Place | None:
    """Where the stamp may stand without covering anything; None for nowhere, or for a page that cannot be rendered."""
    placement = parse_placement(plan.placement)
    if placement.kind == "none":
        return None
    stamp = _stamp(plan, None)
    wanted = Wanted(
        width=stamp.width,
        height=stamp.height,
        seal_mm=plan.ready_seal_mm,
        signer=plan.signer,
        role=plan.kind,
        open_fields=frozenset(each.name for each in fields if each.free and plan.field is None),
    )
    try:
        if plan.kind == "seal" and placement.kind in ("auto", "required"):
            beside = _beside_signature(pdf, plan, fields)
            if beside is not None:
                return beside
        return find_place(pdf, wanted, placement)
    except SurveyFailed:
        if placement.kind == "auto":
            return None  # what cannot be looked at gets no stamp, and the caller warns
        raise


def _beside_signature(pdf: bytes, plan: Plan, fields: list[SignatureField]) -> Place | None:
    """The seal's place by the rule of ND30 PL1, over the left third of the newest visible signature, if it covers nothing else."""
    for signed in reversed(fields):
        if signed.free or signed.box is None or signed.page is None or plan.diameter_mm is None:
            continue
        rect = seal_rect(signed.box, plan.diameter_mm, signed.rotation)
        with contextlib.suppress(PlacementCoversText, PlacementOffPage):
            check_blank(pdf, signed.page, rect, is_round=True, ignored_fields=frozenset({signed.name}))
            return Place(signed.page, rect, signed.rotation, "field")
    return None


def _box_of(field: SignatureField, plan: Plan) -> Place | None:
    """An existing field's own box. A seal is never scaled: a box that is too small for it is refused."""
    if field.box is None or field.page is None or plan.placement == "none":
        return None
    x0, y0, x1, y1 = field.box
    if plan.diameter_mm is not None and min(x1 - x0, y1 - y0) < mm_to_pt(plan.diameter_mm) - 0.5:
        raise Refused("FIELD_TOO_SMALL", field=field.name, diameter_mm=f"{plan.diameter_mm:g}")
    return Place(field.page, field.box, field.rotation, "field", field.name)


def _ready_seal(fields: list[SignatureField], diameter_mm: float) -> SignatureField | None:
    """The empty field that an earlier signature of ours left for the seal, if the seal fits in it."""
    least = mm_to_pt(diameter_mm) - 0.5
    for field in fields:
        if field.free and field.box and field.name.startswith(READY_SEAL_STEM):
            x0, y0, x1, y1 = field.box
            if min(x1 - x0, y1 - y0) >= least:
                return field
    return None


def _add_ready_seal(writer: IncrementalPdfFileWriter, place: Place, diameter_mm: float) -> None:
    """The empty seal field stands there before the officer signs: added later, it would change what he signed."""
    rect = seal_rect(place.rect, diameter_mm, place.rotation)
    name = fresh_name(writer, READY_SEAL_STEM)
    append_signature_field(writer, _field_spec(name, place.page_index, rect))


def _field_spec(name: str, page: int, box: Rect | None) -> SigFieldSpec:
    # pyHanko declares whole points and writes fractions: a seal of 36 mm is 102.05 points wide.
    return SigFieldSpec(name, on_page=page, box=cast("Any", box), empty_field_appearance=False)


def _stamp(plan: Plan, place: Place | None) -> Appearance:
    """What is drawn, as large as its place: a viewer stretches an appearance to its field (ISO 32000-2 12.5.5)."""
    if plan.image is None:
        stamp = text_stamp(plan.text, plan.fonts["regular"])
    elif plan.kind == "seal":
        stamp = seal_stamp(plan.image, plan.diameter_mm or 0.0)
    else:
        stamp = signature_stamp(plan.image)
    if place is None:
        return stamp
    shown = PageBox((0.0, 0.0, 0.0, 0.0), place.rotation).to_display(place.rect)
    width, height = shown[2] - shown[0], shown[3] - shown[1]
    if plan.kind == "signature" and plan.image is not None:
        return signature_stamp(plan.image, width, height)
    return _centred(stamp, width, height)


def _centred(stamp: Appearance, width: float, height: float) -> Appearance:
    """The stamp in the middle of a larger box, its size kept; in a smaller one it is reduced (never a seal: see _box_of)."""
    scale = min(1.0, width / stamp.width, height / stamp.height)
    left, bottom = (width - stamp.width * scale) / 2, (height - stamp.height * scale) / 2
    matrix = f"q {scale:.4f} 0 0 {scale:.4f} {left:.4f} {bottom:.4f} cm ".encode("ascii")
    return replace(stamp, width=width, height=height, content=matrix + stamp.content + b" Q")


def _open(pdf: bytes, *, strict: bool) -> IncrementalPdfFileWriter:
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf), strict=strict)
    if writer.prev.encrypted:
        raise Refused("INPUT_ENCRYPTED")
    if "/Kids" not in writer.root["/Pages"] or not len(writer.root["/Pages"]["/Kids"]):
        raise InputUnreadable("INPUT_NO_PAGES")
    return writer


def _append_signature(
    writer: IncrementalPdfFileWriter,
    plan: Plan,
    target: _Target,
    parts: PdfParts,
    filled: list[str],
    *,
    leave_room: bool,
) -> tuple[tuple[int, int], bytes]:
    """Write field, signature dictionary with its hole and stamp; the hole's offsets and the whole file."""
    box = target.place.rect if target.place else None
    embedder = PdfCMSEmbedder(None if target.exists else _field_spec(target.name, target.page, box))
    steps = embedder.write_cms(target.name, writer, existing_fields_only=target.exists)
    field = next(steps).get_object()
    if target.place:
        annotation = get_single_field_annot(field)
        stamp = _stamp(plan, target.place)
        annotation[pdf_name("/AP")] = generic.DictionaryObject(
            {pdf_name("/N"): parts.form(stamp, target.place.rotation)}
        )
        writer.update_container(annotation)
        if leave_room and plan.ready_seal_mm:
            # After the signature's own field: of two annotations the later one lies on top, and the seal goes over it.
            _add_ready_seal(writer, target.place, plan.ready_seal_mm)
    signature = SignatureObject(
        timestamp=plan.claimed_time,
        subfilter=SigSeedSubFilter("/" + SUBFILTERS[plan.subfilter]),
        bytes_reserved=2 * plan.contents_octets,
    )
    # Number and date are the seal's to fix: what it filled is locked by it (ISO 32000-2 12.8.2.4).
    lock = FieldMDPSpec(FieldMDPAction.INCLUDE, fields=filled) if filled else None
    digest = "sha256"  # only written where a lock refers to it; the document's digest is the parent's to take
    steps.send(SigObjSetup(signature, SigMDPSetup(digest, field_lock=lock) if lock else None))
    answer, output = steps.send(SigIOSetup(digest))
    return (answer.reserved_region_start, answer.reserved_region_end), output.getvalue()
