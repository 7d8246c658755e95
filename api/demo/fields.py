"""Form fields of the demonstration's papers: number and date left open, and a place for the signer, with no visible border.

ReportLab's own fields know the standard 14 fonts only, which have no Vietnamese; these bring Tinos in the form's resources.
"""

from __future__ import annotations

from typing import Any

from reportlab.pdfbase.pdfdoc import PDFArray, PDFDictionary, PDFName, PDFStream, PDFString
from reportlab.pdfgen.canvas import Canvas

from signer.appearance.fonts import EmbeddedFont
from signer.appearance.geometry import Rect

_PRINT = 4  # annotation flag (ISO 32000-1, table 165)


class Form:
    """The AcroForm of one paper (ISO 32000-1, 12.7.2)."""

    def __init__(self, canvas: Canvas) -> None:
        self._canvas = canvas
        self._document: Any = canvas._doc  # noqa: SLF001 - ReportLab has no public way to add objects of one's own
        self._fonts: dict[str, Any] = {}
        self._fields: list[Any] = []

    def text(
        self, name: str, tooltip: str, rect: Rect, font_name: str, font: EmbeddedFont, size: float, *, centred: bool
    ) -> None:
        """An empty text field whose value will be drawn in `font`."""
        if font_name not in self._fonts:
            self._fonts[font_name] = self._font(font)
        self._add(
            {
                "FT": PDFName("Tx"),
                "T": PDFString(name),
                "TU": PDFString(tooltip),
                "Rect": _numbers(*rect),
                "DA": PDFString(f"/{font_name} {size:g} Tf 0 g"),
                "Q": 1 if centred else 0,
                "AP": PDFDictionary({"N": self._nothing(rect)}),
            }
        )

    def signature(self, name: str, tooltip: str, rect: Rect) -> None:
        """An empty signature field."""
        self._add({"FT": PDFName("Sig"), "T": PDFString(name), "TU": PDFString(tooltip), "Rect": _numbers(*rect)})

    def finish(self) -> None:
        """Hang the fields into the catalogue; called once, before the file is saved."""
        entries: dict[str, Any] = {"Fields": PDFArray(self._fields)}
        if self._fonts:
            entries["DR"] = PDFDictionary({"Font": PDFDictionary(self._fonts)})
            entries["DA"] = PDFString(f"/{min(self._fonts)} 0 Tf 0 g")
        self._document.Catalog.AcroForm = PDFDictionary(entries)

    def _add(self, entries: dict[str, Any]) -> None:
        widget = PDFDictionary(
            {"Type": PDFName("Annot"), "Subtype": PDFName("Widget"), "F": _PRINT, "MK": PDFDictionary({}), **entries}
        )
        name = f"field-{len(self._fields)}"
        self._canvas._addAnnotation(widget, name)  # noqa: SLF001 - as above
        self._fields.append(self._document.refAnnotation(name))

    def _nothing(self, rect: Rect) -> Any:
        """An appearance that draws nothing: otherwise viewers draw one of their own."""
        box = _numbers(0, 0, rect[2] - rect[0], rect[3] - rect[1])
        return self._stream({"Type": PDFName("XObject"), "Subtype": PDFName("Form"), "BBox": box}, b" ", deflated=False)

    def _font(self, font: EmbeddedFont) -> Any:
        add = self._document.Reference
        name = PDFName(font.base_font)
        descriptor = {
            "Type": PDFName("FontDescriptor"),
            "FontName": name,
            "Flags": font.flags,
            "FontBBox": _numbers(*font.bbox),
            "ItalicAngle": font.italic_angle,
            "Ascent": font.ascent,
            "Descent": font.descent,
            "CapHeight": font.cap_height,
            "StemV": font.stem_v,
            "FontFile2": self._stream({"Length1": font.font_file_length}, font.font_file),
        }
        system_info = {"Registry": PDFString("Adobe"), "Ordering": PDFString("Identity"), "Supplement": 0}
        descendant = {
            "Type": PDFName("Font"),
            "Subtype": PDFName("CIDFontType2"),
            "BaseFont": name,
            "CIDSystemInfo": PDFDictionary(system_info),
            "CIDToGIDMap": PDFName("Identity"),
            "DW": 0,
            "W": PDFArray([0, PDFArray(font.widths)]),
            "FontDescriptor": add(PDFDictionary(descriptor)),
        }
        return add(
            PDFDictionary(
                {
                    "Type": PDFName("Font"),
                    "Subtype": PDFName("Type0"),
                    "BaseFont": name,
                    "Encoding": PDFName("Identity-H"),
                    "DescendantFonts": PDFArray([add(PDFDictionary(descendant))]),
                    "ToUnicode": self._stream({}, font.to_unicode),
                }
            )
        )

    def _stream(self, entries: dict[str, Any], content: bytes, *, deflated: bool = True) -> Any:
        """`Filter` is always named, or ReportLab would apply its own."""
        filters = PDFArray([PDFName("FlateDecode")] if deflated else [])
        return self._document.Reference(PDFStream(PDFDictionary({**entries, "Filter": filters}), content))


def _numbers(*values: float) -> Any:
    return PDFArray([round(value, 4) for value in values])
