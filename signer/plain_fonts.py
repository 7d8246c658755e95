"""Which fonts of a plain page stand in the file (ISO 32000-2 9.6 to 9.9), as far as a renderer would take them."""

from __future__ import annotations

import struct

from signer.plain_objects import PlainObjects
from signer.plain_pdf import NotPlain, RawDictionary, reference, references
from signer.plain_text import PageText, inflated

# ISO 32000-2 9.6.2.2, by the names under which a renderer knows them. Others may be called by another name there.
_STANDARD = frozenset({
    "Courier", "Courier-Bold", "Courier-Oblique", "Courier-BoldOblique", "Helvetica", "Helvetica-Bold", "Helvetica-Oblique",
    "Helvetica-BoldOblique", "Times-Roman", "Times-Bold", "Times-Italic", "Times-BoldItalic", "Symbol", "ZapfDingbats",
})  # fmt: skip
_FILES = (b"/FontFile", b"/FontFile2", b"/FontFile3")
_SFNT = (b"\0\1\0\0", b"true", b"OTTO")
_MOST_OCTETS = 32 * 1024 * 1024
_MOST_TABLES = 64


class Fonts:
    """The fonts of a document; each is looked at once."""

    def __init__(self, objects: PlainObjects) -> None:
        self._objects = objects
        self._names: dict[bytes, str | None] = {}

    def missing(self, page: RawDictionary, text: PageText) -> list[str]:
        """The names of those that letters are shown with and that are not in the file."""
        if not text.chosen:
            return []
        resources = self._objects.resolved(page.entries.get(b"/Resources"))
        if b"gs" in text.operators:
            self._refuse_fonts_in_states(resources)
        fonts = self._objects.resolved(resources.entries.get(b"/Font")).entries
        names = {name: self._name(fonts.get(b"/" + name)) for name in text.chosen}
        if not any(names.values()):
            return []
        return list(dict.fromkeys(name for each in text.shown_with() if (name := names[each]) is not None))

    def _refuse_fonts_in_states(self, resources: RawDictionary) -> None:
        states = self._objects.resolved(resources.entries.get(b"/ExtGState"))
        if any(b"/Font" in self._objects.resolved(each).entries for each in states.entries.values()):
            raise NotPlain("a font in a state of graphics")

    def _name(self, raw: bytes | None) -> str | None:
        """None for a font that stands in the file, else its name."""
        if raw is None:
            raise NotPlain("a font that is not there")
        if raw not in self._names:
            self._names[raw] = self._look_at(self._objects.resolved(raw))
        return self._names[raw]

    def _look_at(self, font: RawDictionary) -> str | None:
        kind = font.entries.get(b"/Subtype")
        if kind == b"/Type0":
            below = references(font.entries.get(b"/DescendantFonts", b""))
            if len(below) != 1:
                raise NotPlain("a font of several")
            font = self._objects.dictionary(below[0])
        elif kind not in (b"/Type1", b"/TrueType"):
            raise NotPlain("an unusual font")
        if b"/FontDescriptor" in font.entries:
            descriptor = self._objects.resolved(font.entries[b"/FontDescriptor"]).entries
            held = [reference(descriptor[each]) for each in _FILES if each in descriptor]
            if len(held) != 1:
                raise NotPlain("a font without a file, or with several")
            self._refuse_odd(held[0])
            return None
        name = font.entries.get(b"/BaseFont", b"/")[1:].decode("latin-1")
        if kind != b"/Type1" or name not in _STANDARD:
            raise NotPlain("a font by another name")
        return name

    def _refuse_odd(self, number: int) -> None:
        """What a renderer would not take, it replaces: that is its to find."""
        data = inflated(self._objects.dictionary(number), self._objects.octets(number), _MOST_OCTETS)
        if data[:4] in _SFNT:
            _refuse_odd_tables(data)
        elif not data.startswith(b"%!") and not (len(data) > 64 and data[:2] == b"\1\0"):
            raise NotPlain("no font that is known")


def _refuse_odd_tables(data: bytes) -> None:
    """OpenType, The OpenType Font File: each table lies within the file."""
    if len(data) < 12:
        raise NotPlain("a font that is cut off")
    (count,) = struct.unpack_from(">H", data, 4)
    if not 0 < count <= _MOST_TABLES or len(data) < 12 + 16 * count:
        raise NotPlain("a font that is cut off")
    tables = {}
    for at in range(12, 12 + 16 * count, 16):
        tag, _, offset, length = struct.unpack_from(">4sLLL", data, at)
        if offset + length > len(data):
            raise NotPlain("a font that is cut off")
        tables[tag] = length
    if not ({b"glyf", b"loca", b"head", b"maxp"} <= tables.keys() or b"CFF " in tables):
        raise NotPlain("a font without glyphs")
