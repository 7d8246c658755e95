"""Appearances as PDF objects in a pyHanko writer: form XObjects, pictures with their masks, Type0 fonts; each shared part once."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.writer import BasePdfFileWriter

from signer.appearance.earlier_fonts import EarlierFonts
from signer.appearance.fonts import EmbeddedFont
from signer.appearance.images import StampImage
from signer.appearance.stamps import Appearance

# pyHanko gives these constructors no types; here they get the ones that are used.
_Dictionary: Callable[[Mapping[str, Any]], generic.DictionaryObject] = generic.DictionaryObject
_Float: Callable[[str], generic.FloatObject] = generic.FloatObject
_Number: Callable[[int], generic.NumberObject] = generic.NumberObject

# Digits of a stencil by opacity: "0" paints, "1" lets through.
_HALF = b"1" * 128 + b"0" * 128


class PdfParts:
    """What one file revision has been given so far, so that a font or a picture is written once however often it is drawn."""

    def __init__(self, writer: BasePdfFileWriter, *, archive_part: int | None = None, has_rgb: bool = True) -> None:
        """`archive_part`: of PDF/A, whose rules are kept. Without `has_rgb` the colours bring their own meaning."""
        self._writer = writer
        self.archive_part = archive_part
        self._has_rgb = has_rgb
        self._earlier = EarlierFonts(writer)
        self._fonts: dict[str, generic.IndirectObject] = {}
        self._images: dict[tuple[str, int], generic.IndirectObject] = {}

    def form(self, appearance: Appearance, rotation: int = 0) -> generic.IndirectObject:
        """The form XObject of an appearance on a page turned by `rotation`."""
        resources = _dictionary({})
        if appearance.images:
            resources[pdf_name("/XObject")] = _dictionary(
                {f"/{name}": self.image(image) for name, image in appearance.images.items()}
            )
        if appearance.fonts:
            resources[pdf_name("/Font")] = _dictionary(
                {f"/{name}": self.font(font) for name, font in appearance.fonts.items()}
            )
        if self.archive_part is not None and not self._has_rgb:
            resources[pdf_name("/ColorSpace")] = _default_spaces()
        entries: dict[str, Any] = {
            "/Type": pdf_name("/XObject"),
            "/Subtype": pdf_name("/Form"),
            "/BBox": _numbers(0, 0, appearance.width, appearance.height),
            "/Resources": resources,
        }
        if rotation:
            entries["/Matrix"] = _numbers(*_turned(rotation, appearance.width, appearance.height))
        return self._writer.add_object(_stream(entries, appearance.content, deflated=False))

    def image(self, image: StampImage) -> generic.IndirectObject:
        """The image XObject with its soft mask (ISO 32000-1, 11.6.5.3), or with a stencil where soft masks are forbidden."""
        key = (image.sha256, image.width_px)
        if key not in self._images:
            size = {"/Width": _integer(image.width_px), "/Height": _integer(image.height_px)}
            base = {
                "/Type": pdf_name("/XObject"),
                "/Subtype": pdf_name("/Image"),
                **size,
                "/BitsPerComponent": _integer(8),
            }
            if self.archive_part == 1 or (self.archive_part and not self._has_rgb):
                # ISO 19005-1 6.4: no /SMask; 19005-2 6.2.10: none where no intent says what colours blend in.
                # What is more than half opaque is drawn (ISO 32000-1 8.9.6.3).
                stencil = {**base, "/BitsPerComponent": _integer(1), "/ImageMask": generic.BooleanObject(True)}
                mask_key, mask = "/Mask", self._writer.add_object(_stream(stencil, stencil_of(image)))
            else:
                gray = {**base, "/ColorSpace": pdf_name("/DeviceGray")}
                mask_key, mask = "/SMask", self._writer.add_object(_stream(gray, image.alpha))
            self._images[key] = self._writer.add_object(
                _stream({**base, "/ColorSpace": pdf_name("/DeviceRGB"), mask_key: mask}, image.rgb)
            )
        return self._images[key]

    def font(self, font: EmbeddedFont) -> generic.IndirectObject:
        """The Type0 font with its descendant, descriptor, file and ToUnicode map (ISO 32000-1, 9.7)."""
        if font.base_font not in self._fonts:
            cid_set = _cid_set(font) if self.archive_part == 1 else None
            earlier = self._earlier.find(font, cid_set)
            self._fonts[font.base_font] = earlier or self._writer.add_object(self._font_dictionary(font, cid_set))
        return self._fonts[font.base_font]

    def _font_dictionary(self, font: EmbeddedFont, cid_set: bytes | None) -> generic.DictionaryObject:
        add = self._writer.add_object
        name = pdf_name(f"/{font.base_font}")
        descriptor = {
            "/Type": pdf_name("/FontDescriptor"),
            "/FontName": name,
            "/Flags": _integer(font.flags),
            "/FontBBox": _numbers(*font.bbox),
            "/ItalicAngle": _real(font.italic_angle),
            "/Ascent": _integer(font.ascent),
            "/Descent": _integer(font.descent),
            "/CapHeight": _integer(font.cap_height),
            "/StemV": _integer(font.stem_v),
            "/FontFile2": add(_stream({"/Length1": _integer(font.font_file_length)}, font.font_file)),
        }
        if cid_set is not None:
            descriptor["/CIDSet"] = add(_stream({}, cid_set))
        system_info = {
            "/Registry": generic.TextStringObject("Adobe"),
            "/Ordering": generic.TextStringObject("Identity"),
            "/Supplement": _integer(0),
        }
        descendant = {
            "/Type": pdf_name("/Font"),
            "/Subtype": pdf_name("/CIDFontType2"),
            "/BaseFont": name,
            "/CIDSystemInfo": _dictionary(system_info),
            "/CIDToGIDMap": pdf_name("/Identity"),
            "/DW": _integer(0),
            "/W": generic.ArrayObject([_integer(0), generic.ArrayObject(map(_integer, font.widths))]),
            "/FontDescriptor": add(_dictionary(descriptor)),
        }
        return _dictionary(
            {
                "/Type": pdf_name("/Font"),
                "/Subtype": pdf_name("/Type0"),
                "/BaseFont": name,
                "/Encoding": pdf_name("/Identity-H"),
                "/DescendantFonts": generic.ArrayObject([add(_dictionary(descendant))]),
                "/ToUnicode": add(_stream({}, font.to_unicode)),
            }
        )


def _cid_set(font: EmbeddedFont) -> bytes:
    """ISO 19005-1 6.3.5: which CIDs a subset has; here all from 0 on, the first in the highest bit."""
    count = len(font.widths)
    return zlib.compress(((1 << count) - 1 << -count % 8).to_bytes((count + 7) // 8, "big"))


def to_pyhanko_objects(writer: BasePdfFileWriter, appearance: Appearance, rotation: int = 0) -> generic.IndirectObject:
    """The form XObject of a single appearance. For several in one revision keep one PdfParts, which shares fonts and pictures."""
    return PdfParts(writer).form(appearance, rotation)


def stencil_of(image: StampImage) -> bytes:
    """The picture's transparency as one bit a pixel, deflated; 0 is painted."""
    alpha = zlib.decompress(image.alpha)
    rows = []
    for top in range(0, image.width_px * image.height_px, image.width_px):
        bits = bytes(_HALF[octet] for octet in alpha[top : top + image.width_px])
        padded = bits.ljust(-(-image.width_px // 8) * 8, b"1")
        rows.append(int(padded, 2).to_bytes(len(padded) // 8, "big"))
    return zlib.compress(b"".join(rows))


def _default_spaces() -> generic.DictionaryObject:
    """What DeviceRGB and DeviceGray mean in a file that does not say it: sRGB, nearly (ISO 19005-2 6.2.4.3, ISO 32000-1 8.6.5.6)."""
    white = _numbers(0.9505, 1.0, 1.089)
    rgb = {
        "/WhitePoint": white,
        "/Gamma": _numbers(2.2, 2.2, 2.2),
        "/Matrix": _numbers(0.4124, 0.2126, 0.0193, 0.3576, 0.7152, 0.1192, 0.1805, 0.0722, 0.9505),
    }
    gray = {"/WhitePoint": white, "/Gamma": _real(2.2)}
    return _dictionary(
        {
            "/DefaultRGB": generic.ArrayObject([pdf_name("/CalRGB"), _dictionary(rgb)]),
            "/DefaultGray": generic.ArrayObject([pdf_name("/CalGray"), _dictionary(gray)]),
        }
    )


def _turned(rotation: int, width: float, height: float) -> tuple[float, ...]:
    """Content turned against the page's /Rotate stands upright for the reader.

    ISO 32000-1, 12.5.5, algorithm 8.1 lays the turned box into /Rect; the offsets keep it at the origin for viewers that do not.
    """
    return {90: (0, 1, -1, 0, height, 0), 180: (-1, 0, 0, -1, width, height), 270: (0, -1, 1, 0, 0, width)}[rotation]


def _stream(entries: dict[str, Any], content: bytes, *, deflated: bool = True) -> generic.StreamObject:
    """A stream whose octets go to the file as they are: nothing is deflated per document."""
    filters = {"/Filter": pdf_name("/FlateDecode")} if deflated else {}
    return generic.StreamObject(_dictionary({**entries, **filters}), encoded_data=content)


def _dictionary(entries: dict[str, Any]) -> generic.DictionaryObject:
    return _Dictionary({pdf_name(key): value for key, value in entries.items()})


def _numbers(*values: float) -> generic.ArrayObject:
    return generic.ArrayObject(_real(value) for value in values)


def _real(value: float) -> generic.FloatObject:
    return _Float(f"{value:.4f}")


def _integer(value: int) -> generic.NumberObject:
    return _Number(value)
