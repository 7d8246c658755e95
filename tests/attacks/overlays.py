"""Updates that draw over what was signed, or tell another story about it, by means that look like signing and filling in.

Evil annotation and sneaky signature (2021), shadow `hide` and `replace` (2020), and their kin. The signature is never touched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.attacks import documents, updates
from tests.attacks.attack import Attack
from tests.attacks.pki import Pki
from tests.attacks.updates import appended, number_of, object_of, size_of, stream

_COVER = b"1 1 1 rg 0 0 595 842 re f BT /Helv 24 Tf 0 g 72 720 Td (GIA MAO) Tj ET"


def cover() -> bytes:
    """A form XObject as large as the page that hides it and says something else."""
    font = b"/Resources << /Font << /Helv << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
    return stream(_COVER, b"/Type /XObject /Subtype /Form /BBox [0 0 595 842] " + font)


def shown(text: bytes) -> bytes:
    """The appearance of a text field that shows this text (ISO 32000-2 12.7.4.3)."""
    font = b"/Resources << /Font << /Helv << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
    data = b"/Tx BMC q BT /Helv 12 Tf 0 g 2 6 Td (%s) Tj ET Q EMC" % text
    return stream(data, b"/Type /XObject /Subtype /Form /BBox [0 0 120 20] " + font)


def with_entry(definition: bytes, key: bytes, value: bytes) -> bytes:
    """A dictionary with one entry more, or with another value for one that is a name, a string or a reference."""
    plain = re.compile(re.escape(key) + rb"(?![A-Za-z])\s*(\([^)]*\)|\[[^\]]*\]|<<[^<>]*>>|/?[^\s/<>\[\]()]+( 0 R)?)")
    without = plain.sub(b"", definition, count=1)
    end = without.rindex(b">>")
    return without[:end] + b" %s %s " % (key, value) + without[end:]


def with_item(definition: bytes, key: bytes, item: bytes) -> bytes:
    """A dictionary with one item more in an array that stands in it; the array is made when it is not there."""
    found = re.search(re.escape(key) + rb"\s*\[([^\]]*)\]", definition)
    return with_entry(definition, key, b"[%s %s]" % (found[1] if found else b"", item))


def _page(pdf: bytes) -> int:
    return number_of(pdf, b"/Type /Page", b"/Contents")


def _form(pdf: bytes) -> int:
    return number_of(pdf, b"/Fields", b"/DR")


def _field(pdf: bytes) -> int:
    return number_of(pdf, b"/T (So)")


def with_widget(pdf: bytes, field: bytes, *, listed: bool = True, more: dict[int, bytes] | None = None) -> bytes:
    """The document with one field more on its first page, listed in the form or not."""
    number = size_of(pdf)
    page, form = _page(pdf), _form(pdf)
    objects = {
        number: field
        % {b"cover": b"%d 0 R" % (number + 1), b"page": b"%d 0 R" % page, b"value": b"%d 0 R" % (number + 2)},
        number + 1: cover(),
        page: with_item(object_of(pdf, page), b"/Annots", b"%d 0 R" % number),
    }
    if listed:
        objects[form] = with_item(object_of(pdf, form), b"/Fields", b"%d 0 R" % number)
    for further, definition in (more or {}).items():
        objects[number + further] = definition
    return appended(pdf, objects)


_WIDGET = b"<< /Type /Annot /Subtype /Widget /Rect [0 0 595 842] /F 4 /P %(page)s /AP << /N %(cover)s >> "
_TOKEN = b"<< /Type /DocTimeStamp /Filter /Adobe.PPKLite /SubFilter /ETSI.RFC3161 /ByteRange [0 100 200 100] /Contents <3000> >>"


def new_fields(signed: bytes, pki: Pki) -> Iterator[Attack]:
    """Something new is laid over the page and calls itself a field."""
    yield Attack("ssa_empty_field_covers_page", with_widget(signed, _WIDGET + b"/FT /Sig /T (Sau) >>"))
    yield Attack("ssa_empty_field_not_in_form", with_widget(signed, _WIDGET + b"/FT /Sig /T (Sau) >>", listed=False))
    yield Attack("ssa_text_field_covers_page", with_widget(signed, _WIDGET + b"/FT /Tx /T (Sau) /V (x) >>"))
    yield Attack("ssa_button_covers_page", with_widget(signed, _WIDGET + b"/FT /Btn /Ff 65536 /T (Sau) >>"))
    garbage = with_widget(signed, _WIDGET + b"/FT /Sig /T (Sau) /V %(value)s >>", more={2: _TOKEN})
    yield Attack("ssa_broken_timestamp_covers_page", garbage)
    untyped = _TOKEN.replace(b"/Type /DocTimeStamp", b"/Type /Sig")
    yield Attack(
        "ssa_broken_timestamp_of_type_sig_covers_page",
        with_widget(signed, _WIDGET + b"/FT /Sig /T (Sau) /V %(value)s >>", more={2: untyped}),
    )
    yield Attack("ssa_good_timestamp_covers_page", stamped_visibly(signed, pki))
    parts = b"<< /FT /Sig /T (Sau) /Kids [%(value)s] >>"
    kid = _WIDGET % {b"cover": b"%d 0 R" % (size_of(signed) + 1), b"page": b"%d 0 R" % _page(signed)} + b">>"
    yield Attack("ssa_empty_field_with_kid_covers_page", _with_kid(signed, parts, kid))
    yield Attack("eaa_note", documents.with_annotation(signed))
    for kind in (b"Stamp", b"Square", b"FreeText", b"Link", b"Redact", b"Watermark", b"Popup"):
        entry = b"<< /Type /Annot /Subtype /%s /Rect [0 0 595 842] /F 4 /AP << /N %%(cover)s >> >>" % kind
        yield Attack(f"eaa_{kind.decode().lower()}_covers_page", with_widget(signed, entry, listed=False))


def _with_kid(pdf: bytes, field: bytes, kid: bytes) -> bytes:
    number, page, form = size_of(pdf), _page(pdf), _form(pdf)
    objects = {
        number: field % {b"value": b"%d 0 R" % (number + 2)},
        number + 1: cover(),
        number + 2: kid[:-2] + b"/Parent %d 0 R >>" % number,
        page: with_item(object_of(pdf, page), b"/Annots", b"%d 0 R" % (number + 2)),
        form: with_item(object_of(pdf, form), b"/Fields", b"%d 0 R" % number),
    }
    return appended(pdf, objects)


def stamped_visibly(pdf: bytes, pki: Pki) -> bytes:
    """A document time-stamp that is good, of a field that somebody gave a face the size of the page."""
    return documents.timestamped(with_widget(pdf, _WIDGET + b"/FT /Sig /T (Sau) >>"), pki.tsa, field="Sau")


def changed_fields(signed: bytes) -> Iterator[Attack]:
    """A field is filled in, and more happens than that. `signed` holds the field So with the value 15."""
    field = _field(signed)
    entry, number, form = object_of(signed, field), size_of(signed), _form(signed)

    def update(definition: bytes, appearance: bytes = b"", **more: bytes) -> bytes:
        objects = {field: definition}
        if appearance:
            objects[field] = with_entry(definition, b"/AP", b"<< /N %d 0 R >>" % number)
            objects[number] = appearance
        return appended(signed, objects)

    filled = with_entry(entry, b"/V", b"(20)")
    yield Attack("field_shows_another_value", update(filled, shown(b"99")))
    yield Attack("field_shows_nothing_of_its_value", update(filled, shown(b"")))
    yield Attack("field_shows_more_than_its_value", update(filled, shown(b"20 000 000")))
    yield Attack("field_value_hidden_in_appearance_alone", update(entry, shown(b"99")))
    yield Attack("field_value_alone", update(filled))
    yield Attack("field_covers_page", update(filled, cover()))
    yield Attack("field_moved", update(with_entry(filled, b"/Rect", b"[0 0 595 842]"), shown(b"20")))
    yield Attack("field_hidden", update(with_entry(entry, b"/F", b"2")))
    yield Attack("field_renamed", update(with_entry(entry, b"/T", b"(Ngay)")))
    yield Attack(
        "field_with_action",
        update(with_entry(filled, b"/A", b"<< /S /JavaScript /JS (app.alert\\(1\\)) >>"), shown(b"20")),
    )
    yield Attack(
        "field_with_calculation",
        update(with_entry(filled, b"/AA", b"<< /C << /S /JavaScript /JS (1) >> >>"), shown(b"20")),
    )
    yield Attack("field_in_other_writing", update(with_entry(entry, b"/DA", b"(/Helv 1 Tf 1 1 1 rg)")))
    yield Attack(
        "form_needs_appearances",
        appended(signed, {form: with_entry(object_of(signed, form), b"/NeedAppearances", b"true")}),
    )
    picture = stream(
        b"q 595 0 0 842 0 0 cm /Im Do Q",
        b"/Type /XObject /Subtype /Form /BBox [0 0 120 20] /Resources << /XObject << /Im %d 0 R >> >>" % (number + 1),
    )
    image = stream(
        b"\xff", b"/Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray /BitsPerComponent 8"
    )
    drawn = {field: with_entry(filled, b"/AP", b"<< /N %d 0 R >>" % number), number: picture, number + 1: image}
    yield Attack("field_shows_a_picture", appended(signed, drawn))


def resources(signed: bytes) -> Iterator[Attack]:
    """The words stay and look otherwise, because what they are drawn with has changed."""
    form = _form(signed)
    other = b"<< /Type /Font /Subtype /Type3 /FontBBox [0 0 1 1] /FontMatrix [1 0 0 1 0 0] /CharProcs << >> /Encoding << >> /FirstChar 0 /LastChar 0 /Widths [0] >>"
    number = size_of(signed)
    for name, words in (("font_of_page", (b"/Helvetica", b"/F1")), ("font_of_form", (b"/Helvetica", b"/Helv"))):
        yield Attack(f"resource_{name}_replaced", appended(signed, {number_of(signed, *words): other}))
    changed = re.sub(rb"/Helv 4 0 R", b"/Helv %d 0 R" % number, object_of(signed, form))
    yield Attack("resource_default_font_of_form_replaced", appended(signed, {form: changed, number: other}))
    yield Attack(
        "resource_encoding_replaced",
        appended(signed, {number_of(signed, b"/Differences"): b"<< /Type /Encoding /Differences [48 /nine] >>"}),
    )


def catalogue(signed: bytes, marked: bytes) -> Iterator[Attack]:
    """The catalogue, its layers, its actions, its description. `marked` has XMP metadata."""
    root = int(updates.root_of(signed).split()[0])
    entry, number = object_of(signed, root), size_of(signed)

    def update(key: bytes, value: bytes, more: bytes = b"null") -> bytes:
        return appended(signed, {root: with_entry(entry, key, value), number: more})

    yield Attack("catalogue_layers_added", update(b"/OCProperties", b"<< /OCGs [] /D << >> >>"))
    yield Attack("catalogue_open_action", update(b"/OpenAction", b"<< /S /JavaScript /JS (app.alert\\(1\\)) >>"))
    yield Attack("catalogue_additional_action", update(b"/AA", b"<< /WS << /S /JavaScript /JS (1) >> >>"))
    yield Attack(
        "catalogue_scripts", update(b"/Names", b"<< /JavaScript << /Names [(a) << /S /JavaScript /JS (1) >>] >> >>")
    )
    yield Attack("catalogue_embedded_file", update(b"/Names", b"<< /EmbeddedFiles << /Names [] >> >>"))
    yield Attack(
        "catalogue_other_pages", update(b"/Pages", b"%d 0 R" % number, b"<< /Type /Pages /Count 0 /Kids [] >>")
    )
    yield Attack("catalogue_collection", update(b"/Collection", b"<< /Type /Collection >>"))
    yield Attack(
        "catalogue_security_store_holds_a_page",
        update(b"/DSS", b"<< /Type /DSS /Page %d 0 R >>" % number, b"<< /Type /Page >>"),
    )
    yield Attack(
        "catalogue_security_store_of_pictures",
        update(b"/DSS", b"<< /Type /DSS /Certs [%d 0 R] /XObject %d 0 R >>" % (number, number), cover()),
    )
    replaced = appended(
        signed, {number: entry.replace(b"/Type /Catalog", b"/Type /Catalog /Lang (vi)")}, root=b"%d 0 R" % number
    )
    yield Attack("catalogue_replaced", replaced)
    info = number_of(signed, b"/Title", b"/Author")
    yield Attack(
        "description_title_replaced",
        appended(
            signed,
            {info: with_entry(object_of(signed, info), b"/Title", b"(Quyet dinh khac)")},
            trailer=b"/Info %d 0 R" % info,
        ),
    )
    metadata = number_of(marked, b"/Metadata", b"/XML")
    text = object_of(marked, metadata)
    changed = text.replace(b"QUYET DINH", b"GIA MAO XX")
    yield Attack("description_metadata_replaced", appended(marked, {metadata: changed}))
