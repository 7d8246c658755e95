"""The interactive form of a PDF as signing sees it: which fields wait, what earlier signatures forbid, filling a text field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.form_tools import enumerate_fields_in, get_single_field_annot
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign.fields import FieldMDPAction, FieldMDPSpec

from signer.appearance.fonts import EmbeddedFont, Style
from signer.appearance.pdf_objects import PdfParts
from signer.appearance.stamps import Align, value_stamp
from signer.errors import Refused
from signer.placing import SignatureField

_READ_ONLY = 1  # /Ff bit 1, ISO 32000-2 table 227
_USUAL_SIZE = 13.0  # the size of an office's text (ND30 PL1); also what "0 Tf", automatic, becomes
_DEFAULT_APPEARANCE = re.compile(r"/(\S+)\s+([\d.]+)\s+Tf")
_KINDS = ("/Sig", "/Tx", "/Btn", "/Ch", None)
_ALIGN: dict[int, Align] = {0: "left", 1: "centre", 2: "right"}


def signature_fields(writer: IncrementalPdfFileWriter) -> list[SignatureField]:
    """All signature fields in the order of the form."""
    fields = list(fields_of(writer, "/Sig"))
    if not fields:
        return []  # the page tree of a thousand pages is not walked for nothing
    pages = _pages_by_annotation(writer)
    return [_signature_field(name, value, reference, pages) for name, value, reference in fields]


def value_of(dictionary: Mapping[str, Any], key: str, default: Any = None) -> Any:
    """An entry with its reference followed. pyHanko's own `get` hands out the reference itself."""
    try:
        return dictionary[key]
    except KeyError:
        return default


def _signature_field(
    name: str, value: object, reference: generic.IndirectObject, pages: Mapping[int, tuple[int, int]]
) -> SignatureField:
    nowhere = SignatureField(name, value is None, None, None)
    field = reference.get_object()
    try:
        kids = value_of(field, "/Kids", ())
        widget = kids.raw_get(0) if len(kids) == 1 else reference
        page, rotation = pages[widget.idnum]
        x0, y0, x1, y1 = (float(each) for each in get_single_field_annot(field)["/Rect"])
    except (KeyError, ValueError, TypeError, AttributeError):
        return nowhere  # a field without a widget on a page, or with a broken one, simply has no place
    if abs(x1 - x0) <= 1 or abs(y1 - y0) <= 1:
        return nowhere
    box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
    return SignatureField(name, value is None, box, page, rotation)


def fields_of(
    writer: IncrementalPdfFileWriter, kind: str | None
) -> Iterator[tuple[str, object, generic.IndirectObject]]:
    """Name, value and reference of the fields of one kind, or of all."""
    try:
        fields = writer.root["/AcroForm"]["/Fields"]
    except KeyError:
        return
    for name, value, reference in enumerate_fields_in(fields, refs_seen=set(), target_field_type=kind):
        yield name, value.get_object() if isinstance(value, generic.IndirectObject) else value, reference


def _pages_by_annotation(writer: IncrementalPdfFileWriter) -> dict[int, tuple[int, int]]:
    """Object number of each annotation to the index and rotation of its page. /P is optional, so /Annots decides."""
    found: dict[int, tuple[int, int]] = {}
    seen: set[int] = set()
    number = 0
    waiting: list[tuple[object, int]] = [(writer.root.raw_get("/Pages"), 0)]
    while waiting:
        reference, rotation = waiting.pop()
        if not isinstance(reference, generic.IndirectObject) or reference.idnum in seen:
            continue
        seen.add(reference.idnum)
        node = reference.get_object()
        rotation = int(value_of(node, "/Rotate", rotation)) % 360 // 90 * 90  # inherited (ISO 32000-2 table 31)
        if "/Kids" in node:
            kids = node["/Kids"]
            waiting.extend((kids.raw_get(at), rotation) for at in reversed(range(len(kids))))
            continue
        annotations = value_of(node, "/Annots", ())
        for at in range(len(annotations)):
            annotation = annotations.raw_get(at)
            if isinstance(annotation, generic.IndirectObject):
                found[annotation.idnum] = (number, rotation)
        number += 1
    return found


def refuse_xfa(writer: IncrementalPdfFileWriter) -> None:
    """Refused for a form in XFA: some viewers show what its template makes, others the pages, and nobody could say what was signed."""
    form = value_of(writer.root, "/AcroForm", {})
    if isinstance(form, generic.DictionaryObject) and "/XFA" in form:
        raise Refused("INPUT_XFA")


def refuse_taken_name(writer: IncrementalPdfFileWriter, name: str) -> None:
    """Refused FIELD_EXISTS when a field of that name exists and is not a free signature field."""
    for kind in _KINDS:
        for existing, value, _reference in fields_of(writer, kind):
            if existing == name and (kind != "/Sig" or value is not None):
                raise Refused("FIELD_EXISTS", field=name)


def form_fields(writer: IncrementalPdfFileWriter) -> list[tuple[str, str]]:
    """Full name and kind of every field of the form."""
    return [(name, str(kind)) for kind in _KINDS for name, _, _ in fields_of(writer, kind)]


def refuse_second_certification(writer: IncrementalPdfFileWriter, signed: int) -> None:
    """Refused CERTIFY_NOT_FIRST: only the first signature of a file certifies it, and once (ISO 32000-2 12.8.2.2.1)."""
    if signed or "/DocMDP" in value_of(writer.root, "/Perms", {}):
        raise Refused("CERTIFY_NOT_FIRST")


def lock_of_field(writer: IncrementalPdfFileWriter, field: str) -> FieldMDPSpec | None:
    """What the maker of the form wants locked when this signature field is signed (ISO 32000-2 table 236)."""
    for name, _, reference in fields_of(writer, "/Sig"):
        lock = value_of(reference.get_object(), "/Lock")
        if name == field and lock is not None:
            return FieldMDPSpec.from_pdf_object(lock)
    return None


def with_locked(lock: FieldMDPSpec | None, names: list[str]) -> FieldMDPSpec:
    """The lock that holds these fields too."""
    if lock is None:
        return FieldMDPSpec(FieldMDPAction.INCLUDE, fields=names)
    if lock.action is FieldMDPAction.ALL:
        return lock
    present = list(lock.fields or ())
    if lock.action is FieldMDPAction.INCLUDE:
        return FieldMDPSpec(FieldMDPAction.INCLUDE, fields=[*present, *(each for each in names if each not in present)])
    return FieldMDPSpec(FieldMDPAction.EXCLUDE, fields=[each for each in present if each not in names])


def fresh_name(writer: IncrementalPdfFileWriter, stem: str) -> str:
    """The stem with the lowest number that no field of the form has yet."""
    taken = {name for kind in _KINDS for name, _, _ in fields_of(writer, kind)}
    return next(name for name in (f"{stem}{number}" for number in range(1, len(taken) + 2)) if name not in taken)


def refuse_closed(writer: IncrementalPdfFileWriter, field: str) -> None:
    """Refused when an earlier signature forbids another one in this field.

    A certification with P=1 allows no change at all (ISO 32000-2 12.8.2.2); a FieldMDP lock may cover the field (12.8.2.4).
    """
    for _name, value, _reference in fields_of(writer, "/Sig"):
        if not isinstance(value, generic.DictionaryObject):
            continue
        for entry in value_of(value, "/Reference", ()):
            method = value_of(entry, "/TransformMethod")
            parameters = value_of(entry, "/TransformParams", {})
            if method == "/DocMDP" and value_of(parameters, "/P", 2) == 1:
                raise Refused("INPUT_CLOSED")
            if method == "/FieldMDP" and FieldMDPSpec.from_pdf_object(parameters).is_locked(field):
                raise Refused("FIELD_LOCKED", field=field)


def fill_text_fields(
    writer: IncrementalPdfFileWriter, parts: PdfParts, values: Mapping[str, str], fonts: Mapping[Style, EmbeddedFont]
) -> list[str]:
    """Fill those of the named text fields that exist, are empty and may be written; the names of the filled ones.

    Only /V and /AP change: that much an earlier signature allows (ISO 32000-2 12.8.2.2, P=2).
    """
    filled = []
    for name, value, reference in fields_of(writer, "/Tx"):
        field = reference.get_object()
        if name not in values or value not in (None, "") or int(value_of(field, "/Ff", 0)) & _READ_ONLY:
            continue
        annotation = get_single_field_annot(field)
        x0, y0, x1, y1 = (float(each) for each in annotation["/Rect"])
        align = _ALIGN.get(int(value_of(field, "/Q", 0)), "left")
        style, size = _look(writer, field)
        stamp = value_stamp(values[name], fonts[style], abs(x1 - x0), abs(y1 - y0), size, align)
        field[pdf_name("/V")] = generic.TextStringObject(values[name])
        annotation[pdf_name("/AP")] = generic.DictionaryObject({pdf_name("/N"): parts.form(stamp)})
        writer.update_container(annotation)
        writer.update_container(field)
        filled.append(name)
    return filled


def _look(writer: IncrementalPdfFileWriter, field: generic.DictionaryObject) -> tuple[Style, float]:
    """Upright or italic, and the size, as the field's default appearance asks for (ISO 32000-2 12.7.4.3)."""
    form = writer.root["/AcroForm"]
    asked = _DEFAULT_APPEARANCE.search(str(value_of(field, "/DA", value_of(form, "/DA", ""))))
    if asked is None:
        return "regular", _USUAL_SIZE
    fonts = value_of(value_of(form, "/DR", {}), "/Font", {})
    base_font = str(value_of(value_of(fonts, f"/{asked[1]}", {}), "/BaseFont", ""))
    italic = "Italic" in base_font or "Oblique" in base_font
    return "italic" if italic else "regular", float(asked[2]) or _USUAL_SIZE
