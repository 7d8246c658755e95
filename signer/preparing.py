"""Appends to a PDF the revision that will be signed: field, stamp, form values and an empty hole for the CMS.

It parses files that strangers wrote, so it runs in the judge process and holds no key (house.md, Processes). What was
there stays octet for octet: the answer is only the tail.
"""

from __future__ import annotations

import contextlib
import functools
import re
from dataclasses import dataclass, replace
from typing import Any, cast

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.form_tools import get_single_field_annot
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import (
    FieldMDPAction,
    FieldMDPSpec,
    MDPPerm,
    SigFieldSpec,
    SigSeedSubFilter,
    append_signature_field,
)
from pyhanko.sign.signers.cms_embedder import PdfCMSEmbedder, SigMDPSetup, SigObjSetup
from pyhanko.sign.signers.pdf_byterange import SignatureObject

from signer.appearance.errors import AppearanceError
from signer.appearance.fonts import unpack_font
from signer.appearance.geometry import Place, Rect, parse_placement, seal_rect
from signer.appearance.pdf_objects import PdfParts
from signer.appearance.stamps import empty_stamp
from signer.conformance import conformance_of
from signer.errors import InputUnreadable, Refused, SignerError
from signer.findings import SafetyFinding
from signer.form import (
    fields_of,
    fill_text_fields,
    form_fields,
    fresh_name,
    lock_of_field,
    refuse_closed,
    refuse_second_certification,
    refuse_taken_name,
    refuse_xfa,
    signature_fields,
    with_locked,
)
from signer.inspection import inspect
from signer.octets import Octets, stream_of
from signer.page_drawing import draw, plan_marks
from signer.password import Password
from signer.placing import (
    READY_SEAL_STEM,
    PlaceShelf,
    SignatureField,
    Target,
    box_of,
    choose,
    ready_seal,
    refuse_covering,
    stamp_of,
)
from signer.plain_increment import prepare_plain
from signer.plain_pdf import NotPlain
from signer.plan import Message, Plan, Prepared
from signer.revision_writer import RevisionWriter
from signer.subfilters import SUBFILTERS
from signer.tagging import tag_field
from signer.unlocking import Rights, refuse_unless_allowed, unlock_for_writing
from signer.validation.readers import install

# The library reads a long cross-reference section row by row, and takes longer for it than for all that is then done.
install()

_HEADER = re.compile(rb"%PDF-\d\.\d")
_HEADER_WITHIN = 1024  # readers look this far for it (ISO 32000-1 annex H, implementation note 13)
_MOST_FONTS = 8
# Only written where a rule refers to it; the document's digest is the parent's to take.
_RULES_DIGEST = "sha256"
# What a screen reader says of a field (/TU).
_SPOKEN = {"signature": "Chữ ký số", "seal": "Con dấu", "block": "Chữ ký số của cơ quan"}


class PrepareTask:
    """The judge process's task `prepare`; what it remembers ends with the process."""

    def __init__(self) -> None:
        self._places = PlaceShelf()
        # The same few fonts come with every plan that draws text.
        self._unpack = functools.lru_cache(maxsize=_MOST_FONTS)(unpack_font)

    def __call__(self, header: dict[str, Any], blobs: list[Any]) -> Message:
        """Blob 0 is the file, the rest the plan's. A refusal is an answer, not a failure."""
        try:
            plan = Plan.from_message(header, blobs[1:], self._unpack)
            prepared = prepare_and_look(blobs[0], plan, self._places)
        except SignerError as error:
            return {"error": type(error).__name__, "code": error.code, "facts": error.facts}, []
        except AppearanceError as error:
            return {"error": Refused.__name__, "code": error.code, "facts": error.facts}, []
        answer, tail = prepared.to_message()
        return answer, tail


def prepare_and_look(pdf: Octets, plan: Plan, places: PlaceShelf | None = None) -> Prepared:
    """`prepare`, and what is found in the file, if the plan wants it looked through."""
    prepared = prepare(pdf, plan, places)
    return replace(prepared, findings=prepared.findings + _look_through(pdf, plan)) if plan.inspect else prepared


def _look_through(pdf: Octets, plan: Plan) -> tuple[SafetyFinding, ...]:
    """What is found in a file that could be prepared; that it cannot be looked through is a finding itself."""
    try:
        return inspect(pdf, plan.password)
    except InputUnreadable as error:
        return (SafetyFinding("broken-structure", None, error.code), SafetyFinding("not-looked-through"))


def prepare(pdf: Octets, plan: Plan, places: PlaceShelf | None = None) -> Prepared:
    """Append the revision; Refused or InputUnreadable when it cannot be. Uses no key. `places`: what was found before."""
    if _HEADER.search(pdf[:_HEADER_WITHIN]) is None:
        raise InputUnreadable("INPUT_NOT_PDF")
    if plan.marks or _has_fonts_of(pdf, plan):
        return prepare_by_library(pdf, plan)
    try:
        return prepare_plain(pdf, plan, places)
    except NotPlain:
        return prepare_by_library(pdf, plan)


def _has_fonts_of(pdf: Octets, plan: Plan) -> bool:
    """Whether the file seems to hold a font already that the stamp draws with: only the library's way looks for it."""
    draws = plan.image is None and plan.text and plan.placement != "none"
    return (
        bool(draws) and isinstance(pdf, bytes) and any(font.base_font.encode() in pdf for font in plan.fonts.values())
    )


def prepare_by_library(pdf: Octets, plan: Plan) -> Prepared:
    """The same for any file."""
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


def _guarded(pdf: Octets, plan: Plan, *, strict: bool) -> Prepared:
    try:
        return _prepare(pdf, plan, strict=strict)
    except (SignerError, AppearanceError, MemoryError):
        raise
    except Exception as error:
        # Broken files make the library fail with AssertionError, KeyError, TypeError and a dozen others.
        raise _LibraryTrouble(type(error).__name__) from error


@dataclass(frozen=True)
class _Wants:
    """What only the first signature may bring besides itself: to an earlier one it would be a change that nobody asked for.

    The name of an empty field for the seal; a place in the structure of a tagged document. `appearance`: an unseen field has one too.
    """

    seal_field: str | None
    tags: bool
    appearance: bool


def _prepare(pdf: Octets, plan: Plan, *, strict: bool) -> Prepared:
    writer, rights = _open(pdf, plan.password, strict=strict)
    refuse_xfa(writer)
    fields = signature_fields(writer)
    target = _target(pdf, plan, writer, fields, rights)
    refuse_unless_allowed(rights, new_field=not target.exists)
    refuse_closed(writer, target.name)
    claims = conformance_of(writer)
    parts = PdfParts(writer, archive_part=claims.archive_part, has_rgb=claims.has_rgb)
    filled = fill_text_fields(writer, parts, plan.values, plan.fonts) if plan.values else []
    signed = sum(not field.free for field in fields)
    if plan.protection.certify is not None:
        refuse_second_certification(writer, signed)
    leave_room = rights.new_field and not signed and plan.ready_seal_mm and not ready_seal(fields, plan.ready_seal_mm)
    room = fresh_name(writer, READY_SEAL_STEM) if leave_room else None
    waiting = [*(each.name for each in fields if each.free), *([room] if room else [])]
    rules = _rules(writer, plan, target, waiting, filled)
    wants = _Wants(seal_field=room, tags=claims.tagged and not signed, appearance=claims.archive_part == 1)
    left_out = _mark_pages(pdf, plan, writer, parts, target, signed, rights) if plan.marks else ()
    tail, hole = _append_signature(writer, plan, target, parts, rules, wants)
    return Prepared(tail, hole, target.name, target.how, tuple(filled), not strict, signed, left_out, page=target.page)


def _mark_pages(
    pdf: Octets, plan: Plan, writer: RevisionWriter, parts: PdfParts, target: Target, signed: int, rights: Rights
) -> tuple[SafetyFinding, ...]:
    """Watermark and code, with the first signature alone; a finding when the code was left out because it found no room."""
    if signed:
        return ()
    refuse_unless_allowed(rights, new_field=True)
    taken: dict[int, list[Rect]] = {}
    if target.place is not None:
        place = target.place
        taken[place.page_index] = [place.rect]
        if plan.ready_seal_mm:
            taken[place.page_index].append(seal_rect(place.rect, plan.ready_seal_mm, place.rotation))
    drawable = pdf if isinstance(pdf, bytes) else stream_of(pdf)
    drawings, found_room = plan_marks(drawable, plan.marks, plan.fonts, taken, plan.password.text)
    if not found_room and plan.marks.code is not None and plan.marks.code.required:
        raise Refused("CODE_NOWHERE")
    # Blending asks for more than a PDF/A says of itself.
    draw(writer, parts, drawings, beneath=parts.archive_part is not None)
    return () if found_room else (SafetyFinding("code-left-out", 1),)


def _target(
    pdf: Octets, plan: Plan, writer: IncrementalPdfFileWriter, fields: list[SignatureField], rights: Rights
) -> Target:
    name = plan.field
    if name is None and not rights.new_field:
        # Where nobody may make a field, the one that waits is what the author meant.
        name = next((each.name for each in fields if each.free), None)
    if name is not None:
        refuse_taken_name(writer, name)
        named = next((each for each in fields if each.name == name), None)
        if named is not None:
            # Somebody has decided where: the field's own box, or nowhere if it has none.
            place = box_of(named, plan)
            if place is None and parse_placement(plan.placement).kind == "required":
                raise Refused("PLACEMENT_NOWHERE")
            if place is not None:
                refuse_covering(pdf, plan, place)
            return Target(named.name, True, place, "field" if place else None)
    return choose(pdf, plan, fields, lambda stem: name or fresh_name(writer, stem))


def _rules(
    writer: IncrementalPdfFileWriter, plan: Plan, target: Target, open_fields: list[str], filled: list[str]
) -> SigMDPSetup | None:
    """What the signature forbids: as asked for, as the field's own dictionary says (ISO 32000-2 12.7.5.5), and the values filled in."""
    certify = plan.protection.certify
    lock = _asked_lock(writer, plan, [each for each in open_fields if each != target.name])
    if lock is None and target.exists:
        lock = lock_of_field(writer, target.name)
    # Number and date are the seal's to fix: what it filled is locked by it (ISO 32000-2 12.8.2.4).
    lock = with_locked(lock, filled) if filled else lock
    if certify is None and lock is None:
        return None
    permission = None if certify is None else MDPPerm(certify)
    return SigMDPSetup(_RULES_DIGEST, certify=certify is not None, field_lock=lock, docmdp_perms=permission)


def _asked_lock(writer: IncrementalPdfFileWriter, plan: Plan, waiting: list[str]) -> FieldMDPSpec | None:
    """The lock of the plan. `waiting`: empty signature fields of others, which those who sign next need."""
    lock = plan.protection.lock
    if lock is None:
        return None
    kept = [*plan.keeps_open, *(waiting if plan.keeps_signatures else [])]
    present = {name for name, _ in form_fields(writer)}
    unknown = next((name for name in lock.names if name not in present), None)
    if unknown is not None:
        raise Refused("LOCK_FIELD_UNKNOWN", field=unknown)
    if lock.scope == "only":
        wrong = next((name for name in lock.names if name in kept), None)
        if wrong is not None:
            raise Refused("LOCK_FIELD_NEEDED", field=wrong)
        return FieldMDPSpec(FieldMDPAction.INCLUDE, fields=list(lock.names))
    if lock.scope == "all" and not kept:
        return FieldMDPSpec(FieldMDPAction.ALL)
    return FieldMDPSpec(FieldMDPAction.EXCLUDE, fields=list(dict.fromkeys((*lock.names, *kept))))


def _add_ready_seal(
    writer: IncrementalPdfFileWriter, name: str, place: Place, diameter_mm: float, *, tags: bool
) -> None:
    """The empty seal field stands there before the officer signs: added later, it would change what he signed."""
    rect = seal_rect(place.rect, diameter_mm, place.rotation)
    append_signature_field(writer, _field_spec(name, place.page_index, rect))
    if tags:
        reference = next(reference for found, _, reference in fields_of(writer, "/Sig") if found == name)
        tag_field(writer, reference, _SPOKEN["seal"])


def _field_spec(name: str, page: int, box: Rect | None) -> SigFieldSpec:
    # pyHanko declares whole points and writes fractions: a seal of 36 mm is 102.05 points wide.
    return SigFieldSpec(name, on_page=page, box=cast("Any", box), empty_field_appearance=False)


def _open(pdf: Octets, password: Password, *, strict: bool) -> tuple[RevisionWriter, Rights]:
    writer = RevisionWriter(pdf, strict=strict)
    rights = unlock_for_writing(writer.prev, password)
    if "/Kids" not in writer.root["/Pages"] or not len(writer.root["/Pages"]["/Kids"]):
        raise InputUnreadable("INPUT_NO_PAGES")
    return writer, rights


def _append_signature(
    writer: RevisionWriter,
    plan: Plan,
    target: Target,
    parts: PdfParts,
    rules: SigMDPSetup | None,
    wants: _Wants,
) -> tuple[bytes, tuple[int, int]]:
    """Write field, signature dictionary with its hole and stamp; what is appended, and the hole's offsets."""
    box = target.place.rect if target.place else None
    embedder = PdfCMSEmbedder(None if target.exists else _field_spec(target.name, target.page, box))
    steps = embedder.write_cms(target.name, writer, existing_fields_only=target.exists)
    reference = next(steps)
    field = reference.get_object()
    if wants.tags and target.place and not target.exists:
        tag_field(writer, reference, ": ".join(filter(None, (_SPOKEN[plan.kind], plan.signer))))
    if not target.place and not target.exists and wants.appearance:
        # ISO 19005-1 6.9: every field has an appearance, also one that shows nothing.
        field[pdf_name("/AP")] = generic.DictionaryObject({pdf_name("/N"): parts.form(empty_stamp(0, 0))})
    if target.place:
        annotation = get_single_field_annot(field)
        stamp = stamp_of(plan, target.place)
        annotation[pdf_name("/AP")] = generic.DictionaryObject(
            {pdf_name("/N"): parts.form(stamp, target.place.rotation)}
        )
        writer.update_container(annotation)
        if wants.seal_field is not None and plan.ready_seal_mm:
            # After the signature's own field: of two annotations the later one lies on top, and the seal goes over it.
            _add_ready_seal(writer, wants.seal_field, target.place, plan.ready_seal_mm, tags=wants.tags)
    signature = SignatureObject(
        timestamp=plan.claimed_time,
        subfilter=SigSeedSubFilter("/" + SUBFILTERS[plan.subfilter]),
        bytes_reserved=2 * plan.contents_octets,
    )
    steps.send(SigObjSetup(signature, rules))
    tail, hole = writer.revision(signature)
    assert hole is not None
    return tail, hole
