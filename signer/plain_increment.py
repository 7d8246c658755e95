"""Appends a signature field with its stamp to a plain PDF, without the library: a fraction of the time for the commonest files.

For files that claim no PDF/A and are not tagged where something is drawn, and plans that fill and forbid nothing; the caller turns to
preparing.py's way for the rest. Both decide alike: what stands where is placing.py's.
"""

from __future__ import annotations

from collections.abc import Sequence

from signer.appearance.geometry import Place, seal_rect
from signer.appearance.stamps import empty_stamp
from signer.octets import Octets
from signer.placing import (
    READY_SEAL_STEM,
    SIGNATURE_STEM,
    PlaceShelf,
    SignatureField,
    Target,
    choose,
    ready_seal,
    stamp_of,
)
from signer.plain_base import METADATA, PlainPdf, read_plain
from signer.plain_form import PlainForm, PlainPage, annotation_array, read_form, read_pages, signature_fields
from signer.plain_paper import paper_digest
from signer.plain_pdf import NotPlain, RawDictionary, read_dictionary, reference
from signer.plain_revision import PlainRevision, annotated, with_references
from signer.plain_stamp import numbers, write_appearance
from signer.plan import Plan, Prepared
from signer.subfilters import SUBFILTERS

_PRINT_LOCKED = 132  # Print and Locked (ISO 32000-2 table 167)
_NOWHERE = b"[0 0 0 0]"


def prepare_plain(pdf: Octets, plan: Plan, places: PlaceShelf | None = None) -> Prepared:
    """The appended revision; NotPlain when the file or the plan asks for more. `places`: what was found before."""
    if plan.protection:
        raise NotPlain("the plan forbids something")
    base = read_plain(pdf)
    if b"/Perms" in base.catalog.entries:
        raise NotPlain("an earlier signature forbids something")
    form = read_form(base)
    if form.fields or plan.field is not None:
        _refuse_what_is_named(plan, form)
    if plan.placement == "none" and plan.kind == "signature":
        # The commonest of all: nothing is drawn, and no seal's field waits for it.
        target, room = Target(plan.field or form.fresh_name(SIGNATURE_STEM), exists=False, place=None, how=None), None
        pages = [PlainPage(base.page_number, base.page, 0)]
    else:
        _refuse_claims(base, form)
        pages = read_pages(base)
        fields = signature_fields(base, form, pages)
        paper = paper_digest(pdf, base) if places is not None else None
        find = places.finder(pdf, paper) if places is not None and paper is not None else None
        target = choose(pdf, plan, fields, lambda stem: plan.field or form.fresh_name(stem), find)
        if target.page >= len(pages):
            raise NotPlain("a page that is counted in another way")
        room = form.fresh_name(READY_SEAL_STEM) if _leaves_room(plan, form, fields, target) else None
    tail, hole = _write(PlainRevision(pdf, base), base, form, pages, plan, target, room)
    return Prepared(tail, hole, target.name, target.how, (), lenient=False, signed=form.signed, page=target.page)


def _refuse_what_is_named(plan: Plan, form: PlainForm) -> None:
    """Values to be filled in, and fields that somebody has named, are the library's."""
    if any(field.kind == b"/Tx" and field.name in plan.values for field in form.fields):
        raise NotPlain("there is something to fill")
    if plan.field is not None and (
        not (plan.field.isascii() and plan.field.isalnum()) or any(field.name == plan.field for field in form.fields)
    ):
        raise NotPlain("a field with a name of its own")


def _refuse_claims(base: PlainPdf, form: PlainForm) -> None:
    """What is drawn on a PDF/A or first on a tagged file has more rules than are kept here (conformance.py, tagging.py)."""
    entries = base.catalog.entries
    if b"/StructTreeRoot" in entries and b"/MarkInfo" in entries and not form.signed:
        raise NotPlain("a tagged file")
    if b"/Metadata" not in entries:
        return
    metadata, octets = base.objects.stream(reference(entries[b"/Metadata"]), METADATA)
    if b"/Filter" in metadata.entries or len(octets) == METADATA or b"pdfaid" in octets:
        raise NotPlain("what the file claims to be")


def _leaves_room(plan: Plan, form: PlainForm, fields: Sequence[SignatureField], target: Target) -> bool:
    """Whether the empty field for the seal comes too: with the first signature only, and where there is none."""
    return bool(
        target.place and plan.ready_seal_mm and not form.signed and ready_seal(fields, plan.ready_seal_mm) is None
    )


def _write(
    revision: PlainRevision,
    base: PlainPdf,
    form: PlainForm,
    pages: Sequence[PlainPage],
    plan: Plan,
    target: Target,
    room: str | None,
) -> tuple[bytes, tuple[int, int]]:
    """Form, page, stamp, field and signature dictionary; `room`: the name of the empty field for the seal."""
    existing = next((field for field in form.fields if target.exists and field.name == target.name), None)
    widget = existing.number if existing is not None else revision.new_number()
    signature = revision.new_number()
    # After the signature's own field: of two annotations the later one lies on top, and the seal goes over it.
    seal = revision.new_number() if room is not None else None
    added = [number for number in (None if existing else widget, seal) if number is not None]
    page = pages[target.page]
    if added or form.dictionary.entries.get(b"/SigFlags") != b"3":
        _write_form(revision, base, form, added)
    if added:
        _write_annotations(revision, base, page, added)
    drawn = b"/V %d 0 R" % signature
    if target.place is not None:
        look = write_appearance(revision, stamp_of(plan, target.place), target.place.rotation)
        drawn = b"/AP << /N %d 0 R >> %b" % (look, drawn)
    if existing is not None:
        revision.write(widget, _with_entries(existing.dictionary, drawn))
    else:
        rect = numbers(*target.place.rect) if target.place is not None else _NOWHERE
        revision.write(widget, _field(target.name, rect, page.number, drawn))
    if room is not None and seal is not None and target.place is not None:
        _write_room(revision, seal, room, target.place, page.number, plan.ready_seal_mm or 0.0)
    claimed = plan.claimed_time
    day, time = (claimed.year, claimed.month, claimed.day), (claimed.hour, claimed.minute, claimed.second)
    subfilter = SUBFILTERS[plan.subfilter].encode("ascii")
    # By numbers: the words of strftime take several times as long.
    entries = b"/Type /Sig /Filter /Adobe.PPKLite /SubFilter /%b /M (D:%04d%02d%02d%02d%02d%02dZ)" % (
        subfilter,
        *day,
        *time,
    )
    revision.write_signature(signature, entries, plan.contents_octets)
    tail, hole = revision.finish()
    assert hole is not None
    return tail, hole


def _write_form(revision: PlainRevision, base: PlainPdf, form: PlainForm, added: Sequence[int]) -> None:
    text = form.with_fields(added)
    if form.number is not None:
        revision.write(form.number, text)
    else:
        revision.write(base.catalog_number, base.catalog.with_entry(b"/AcroForm", text))


def _write_annotations(revision: PlainRevision, base: PlainPdf, page: PlainPage, added: Sequence[int]) -> None:
    raw = page.dictionary.entries.get(b"/Annots", b"[]")
    if raw.startswith(b"["):
        revision.write(page.number, annotated(page.dictionary, added))
    else:
        revision.write(reference(raw), with_references(annotation_array(base, page), added))


def _field(name: str, rect: bytes, page: int, more: bytes) -> bytes:
    """A signature field that is its own widget (ISO 32000-2 12.5.6.19, 12.7.5.5)."""
    return b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (%b) /F %d /Rect %b /P %d 0 R %b >>" % (
        name.encode("ascii"),
        _PRINT_LOCKED,
        rect,
        page,
        more,
    )


def _with_entries(field: RawDictionary, text: bytes) -> bytes:
    """An existing field with these entries, which take the place of what it had by their names."""
    made = field
    for key, value in read_dictionary(b"<< %b >>" % text, 0).entries.items():
        made = read_dictionary(made.with_entry(key, value), 0)
    return made.text


def _write_room(revision: PlainRevision, number: int, name: str, place: Place, page: int, diameter_mm: float) -> None:
    """The empty seal field stands there before the officer signs: added later, it would change what he signed."""
    rect = seal_rect(place.rect, diameter_mm, place.rotation)
    # An appearance that shows nothing, so that no viewer draws one of its own.
    look = write_appearance(revision, empty_stamp(rect[2] - rect[0], rect[3] - rect[1]))
    revision.write(number, _field(name, numbers(*rect), page, b"/AP << /N %d 0 R >>" % look))
