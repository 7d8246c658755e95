"""Appends a document security store and an empty document time-stamp to a plain PDF, without the library.

For a file that has no store yet and whose form stands in its catalog, as in files that plain_increment.py has signed; library_extension.py
does the rest.
"""

from __future__ import annotations

import secrets

from signer.extension import Appended, ExtensionPlan, ValidationData
from signer.octets import Octets
from signer.plain_base import PlainPdf, read_plain
from signer.plain_pdf import NotPlain, RawDictionary, read_dictionary
from signer.plain_revision import PlainRevision, with_annotation

_HIDDEN_LOCKED = 132
# What ISO 32000-2 12.8.5 and EN 319 142-1 5.4.3 want of a document time-stamp; there is no /M: the token has the time.
STAMP_ENTRIES = b"/Type /DocTimeStamp /Filter /Adobe.PPKLite /SubFilter /ETSI.RFC3161"
# ISO 32000-2 7.12: readers of PDF 1.7 learn so that there is a store (EN 319 142-1 5.4.2.1 keeps it from PAdES part 4).
_EXTENSION = b"<< /ESIC << /BaseVersion /1.7 /ExtensionLevel 5 >> >>"


def extend_plain(pdf: Octets, plan: ExtensionPlan) -> Appended:
    """The appended revision; NotPlain when the file asks for more."""
    base = read_plain(pdf)
    catalog = base.catalog
    revision = PlainRevision(pdf, base)
    if plan.data:
        if b"/DSS" in catalog.entries:
            raise NotPlain("there is a store")
        store = revision.new_number()
        _write_store(revision, store, plan)
        catalog = _with(catalog, b"/DSS", b"%d 0 R" % store)
        if b"/Extensions" not in catalog.entries and base_version(pdf) < b"2.0":
            catalog = _with(catalog, b"/Extensions", _EXTENSION)
    field = ""
    if plan.stamp_octets:
        field = f"Timestamp-{secrets.token_hex(8)}"
        catalog = _write_stamp(revision, base, catalog, field, plan.stamp_octets)
    revision.write(base.catalog_number, catalog.text)
    tail, hole = revision.finish()
    return Appended(tail, hole, field)


def base_version(pdf: Octets) -> bytes:
    """The version in the header: "1.7"."""
    return pdf[:16].partition(b"%PDF-")[2][:3]


def _with(dictionary: RawDictionary, key: bytes, value: bytes) -> RawDictionary:
    return RawDictionary(dictionary.with_entry(key, value), {**dictionary.entries, key: value})


def _write_store(revision: PlainRevision, number: int, plan: ExtensionPlan) -> None:
    """The store, its VRI entries and its streams (ISO 32000-2 12.8.4.3, 12.8.4.4)."""
    data: ValidationData = plan.data
    arrays = {
        kind: b"[%b]" % b" ".join(b"%d 0 R" % revision.write_stream(der) for der in ders)
        for kind, ders in ((b"Cert", data.certificates), (b"OCSP", data.ocsps), (b"CRL", data.crls))
        if ders
    }
    entries = b" ".join(b"/%bs %b" % (kind, array) for kind, array in arrays.items())
    if plan.signatures:
        related = b" ".join(b"/%b %b" % each for each in arrays.items())
        listed = []
        for name in plan.signatures:
            entry = revision.new_number()
            revision.write(entry, b"<< /Type /VRI %b >>" % related)
            listed.append(b"/%b %d 0 R" % (name.encode("ascii"), entry))
        entries += b" /VRI << %b >>" % b" ".join(listed)
    revision.write(number, b"<< /Type /DSS %b >>" % entries)


def _write_stamp(
    revision: PlainRevision, base: PlainPdf, catalog: RawDictionary, field: str, octets: int
) -> RawDictionary:
    """Field and dictionary of the time-stamp; the catalog with its form."""
    raw = catalog.entries.get(b"/AcroForm", b"<< /Fields [] >>")
    form = read_dictionary(raw, 0)
    fields = form.entries.get(b"/Fields", b"")
    if not fields.startswith(b"["):
        raise NotPlain("the form's fields stand elsewhere")
    widget, stamp = revision.new_number(), revision.new_number()
    revision.write(base.page_number, with_annotation(base, widget))
    revision.write(
        widget,
        b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (%b) /F %d /Rect [0 0 0 0] /P %d 0 R /V %d 0 R >>"
        % (field.encode("ascii"), _HIDDEN_LOCKED, base.page_number, stamp),
    )
    revision.write_signature(stamp, STAMP_ENTRIES, octets)
    with_field = _with(form, b"/Fields", b"%b %d 0 R]" % (fields[:-1].rstrip(), widget))
    return _with(catalog, b"/AcroForm", _with(with_field, b"/SigFlags", b"3").text)
