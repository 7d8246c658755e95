"""What appending to a plain PDF needs of it: the newest trailer, the catalog, the first page. Everything else is left unread.

Plain means: no encryption, nothing odd. Whatever is not, raises NotPlain, and the library's reader takes over; so this reader may be
strict and small. Every step is linear and bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from signer.octets import Octets
from signer.plain_pdf import NotPlain, RawDictionary, first_reference, reference
from signer.plain_references import References

# Comments may follow the end (ISO 32000-2 7.2.4). The lines of one cannot be divided in two ways: this stays linear.
_START = re.compile(rb"startxref[ \t]*\r?\n?\s*(\d{1,12})\s*%%EOF\s*(?:%[^\r\n]*(?:[\r\n]\s*|\Z))*\Z")
_FIRST_ARCHIVE = re.compile(rb"pdfaid:part(?:\s*=\s*[\"']|\s*>)\s*1")
_DEEPEST = 40
_TAIL = 2048
# As much of the metadata is read.
METADATA = 1024 * 1024


@dataclass(frozen=True)
class PlainPdf:
    """Numbers and dictionaries of catalog and first page, the trailer, where the last section begins; `objects` are all others."""

    start: int
    size: int
    trailer: RawDictionary
    catalog_number: int
    catalog: RawDictionary
    page_number: int
    page: RawDictionary
    objects: References

    @property
    def in_streams(self) -> bool:
        """Whether the sections are cross-reference streams."""
        return self.objects.in_streams


def read_plain(pdf: Octets) -> PlainPdf:
    """Read the end, the catalog and the first page; NotPlain for anything out of the ordinary."""
    end = pdf[max(0, len(pdf) - _TAIL) :]
    found = _START.search(end)
    # Which one counts when a comment holds another is for the library to say.
    if found is None or end.find(b"startxref", found.end(1)) != -1:
        raise NotPlain("no startxref at the end")
    start = int(found[1])
    references = References(pdf, start)
    trailer = references.trailer
    if trailer.entries.keys() & {b"/Encrypt", b"/XRefStm"}:
        raise NotPlain("encrypted or hybrid")
    catalog_number = reference(trailer.entries.get(b"/Root"))
    catalog = references.dictionary(catalog_number)
    if catalog.entries.get(b"/Type") != b"/Catalog":
        raise NotPlain("the root is no catalog")
    _refuse_first_archive(references, catalog)
    page_number, page = _first_page(references, catalog)
    size = trailer.entries.get(b"/Size", b"")
    if not size.isdigit() or not 0 < int(size) < 10_000_000:
        raise NotPlain("no size")
    return PlainPdf(start, int(size), trailer, catalog_number, catalog, page_number, page, references)


def _refuse_first_archive(references: References, catalog: RawDictionary) -> None:
    """In a PDF/A-1 file, whose metadata nothing compresses (ISO 19005-1 6.7.2), an unseen field needs more than we write here."""
    if b"/Metadata" not in catalog.entries:
        return
    head, octets = references.stream(reference(catalog.entries[b"/Metadata"]), METADATA)
    if b"/Filter" not in head.entries and _FIRST_ARCHIVE.search(octets):
        raise NotPlain("PDF/A-1")


def _first_page(references: References, catalog: RawDictionary) -> tuple[int, RawDictionary]:
    number = reference(catalog.entries.get(b"/Pages"))
    for _ in range(_DEEPEST):
        node = references.dictionary(number)
        kind = node.entries.get(b"/Type")
        if kind == b"/Page":
            return number, node
        if kind != b"/Pages":
            break
        number = first_reference(node.entries.get(b"/Kids", b""))
    raise NotPlain("no first page")
