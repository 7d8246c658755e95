"""Fonts that an earlier revision of a file has brought, to be drawn with once more: the same octets need not stand in it twice.

A name is no proof: what somebody else calls like one of our subsets may have other pictures for its glyphs. A font counts only when its
file, its widths and its map to Unicode are octet by octet what would be written.
"""

from __future__ import annotations

from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.writer import BasePdfFileWriter

from signer.appearance.fonts import EmbeddedFont

# Revisions of signatures have a few dozen objects; what has thousands is looked for nothing.
_MOST_OBJECTS = 400


class EarlierFonts:
    """Those of one file, found when the first is asked for."""

    def __init__(self, writer: BasePdfFileWriter) -> None:
        self._writer = writer
        self._found: dict[str, list[generic.Reference]] | None = None

    def find(self, font: EmbeddedFont, cid_set: bytes | None) -> generic.IndirectObject | None:
        """The same font, if an appended revision has brought it. `cid_set`: what its descriptor has to have besides, deflated."""
        if self._found is None:
            try:
                self._found = _type0_fonts(self._writer)
            except Exception:  # noqa: BLE001  damaged objects raise many kinds, and nothing is lost but octets
                self._found = {}
        for reference in self._found.get(font.base_font, ()):
            if _is_surely_same(reference, font, cid_set):
                return generic.IndirectObject(reference.idnum, reference.generation, self._writer)
        return None


def _type0_fonts(writer: BasePdfFileWriter) -> dict[str, list[generic.Reference]]:
    found: dict[str, list[generic.Reference]] = {}
    # Streams of encrypted files are others each time.
    if not isinstance(writer, IncrementalPdfFileWriter) or writer.prev.encrypted:
        return found
    table = writer.prev.xrefs
    references = {
        reference
        for revision in range(1, table.total_revisions)
        for reference in table.explicit_refs_in_revision(revision)
    }
    if len(references) > _MOST_OBJECTS:
        return found
    for reference in sorted(references, key=lambda each: each.idnum):
        # The object as it is now; one of the present revision has no place in the table yet.
        value = reference.get_object()
        if isinstance(value, generic.DictionaryObject) and _said(value, "/Subtype") == "/Type0":
            found.setdefault(_said(value, "/BaseFont")[1:], []).append(reference)
    return found


def _is_surely_same(reference: generic.Reference, font: EmbeddedFont, cid_set: bytes | None) -> bool:
    try:
        return _is_same(reference.get_object(), font, cid_set)
    except Exception:  # noqa: BLE001  damaged objects raise many kinds
        return False


def _is_same(whole: Any, font: EmbeddedFont, cid_set: bytes | None) -> bool:
    (descendant,) = whole["/DescendantFonts"]
    below = descendant.get_object() if isinstance(descendant, generic.IndirectObject) else descendant
    descriptor = below["/FontDescriptor"]
    first, widths = below["/W"]
    if isinstance(widths, generic.IndirectObject):
        widths = widths.get_object()
    return (
        _said(whole, "/Encoding") == "/Identity-H"
        and _said(below, "/Subtype") == "/CIDFontType2"
        and _said(below, "/CIDToGIDMap") == "/Identity"
        and (int(first), tuple(map(int, widths))) == (0, font.widths)
        and not {"/FontFile", "/FontFile3"} & set(descriptor)
        and descriptor["/FontFile2"].encoded_data == font.font_file
        and whole["/ToUnicode"].encoded_data == font.to_unicode
        and (cid_set is None or descriptor["/CIDSet"].encoded_data == cid_set)
    )


def _said(dictionary: generic.DictionaryObject, key: str) -> str:
    return str(dictionary[key]) if key in dictionary else ""
