"""An appearance as objects of a plain revision: form XObject, pictures with their masks, Type0 fonts; pdf_objects.py without the library.

Streams go into the file as they were deflated once, and so do the texts about a font; only object numbers are new in each document.
"""

from __future__ import annotations

from signer.appearance.fonts import EmbeddedFont
from signer.appearance.images import StampImage
from signer.appearance.stamps import Appearance
from signer.plain_revision import PlainRevision


def write_appearance(revision: PlainRevision, appearance: Appearance, rotation: int = 0) -> int:
    """The form XObject of an appearance on a page turned by `rotation`; its number."""
    resources = b""
    if appearance.images:
        images = b" ".join(
            b"/%b %d 0 R" % (name.encode("ascii"), _write_image(revision, image))
            for name, image in appearance.images.items()
        )
        resources += b"/XObject << %b >> " % images
    if appearance.fonts:
        fonts = b" ".join(
            b"/%b %d 0 R" % (name.encode("ascii"), _write_font(revision, font))
            for name, font in appearance.fonts.items()
        )
        resources += b"/Font << %b >> " % fonts
    box = numbers(0, 0, appearance.width, appearance.height)
    entries = b"/Type /XObject /Subtype /Form /BBox %b /Resources << %b>> " % (box, resources)
    return revision.write_stream(appearance.content, entries + _matrix(rotation, appearance.width, appearance.height))


def numbers(*values: float) -> bytes:
    """An array of numbers, to four places (ISO 32000-2 7.3.3)."""
    return b"[%b]" % b" ".join(_number(value) for value in values)


def _number(value: float) -> bytes:
    return (f"{value:.4f}".rstrip("0").rstrip(".") or "0").encode("ascii")


def _matrix(rotation: int, width: float, height: float) -> bytes:
    """Content turned against the page's /Rotate stands upright for the reader; as pdf_objects.py turns it."""
    if rotation == 90:
        return b"/Matrix [0 1 -1 0 %b 0] " % _number(height)
    if rotation == 180:
        return b"/Matrix [-1 0 0 -1 %b %b] " % (_number(width), _number(height))
    if rotation == 270:
        return b"/Matrix [0 -1 1 0 0 %b] " % _number(width)
    return b""


def _write_image(revision: PlainRevision, image: StampImage) -> int:
    """The image XObject with its soft mask (ISO 32000-1, 11.6.5.3)."""
    base = b"/Type /XObject /Subtype /Image /Width %d /Height %d /BitsPerComponent 8 /Filter /FlateDecode " % (
        image.width_px,
        image.height_px,
    )
    mask = revision.write_stream(image.alpha, base + b"/ColorSpace /DeviceGray ")
    return revision.write_stream(image.rgb, base + b"/ColorSpace /DeviceRGB /SMask %d 0 R " % mask)


def _write_font(revision: PlainRevision, font: EmbeddedFont) -> int:
    """The Type0 font with its descendant, descriptor, file and ToUnicode map (ISO 32000-1, 9.7)."""
    name = font.base_font.encode("ascii")
    file = revision.write_stream(font.font_file, b"/Filter /FlateDecode /Length1 %d " % font.font_file_length)
    descriptor, descendant, whole = (revision.new_number() for _ in range(3))
    revision.write(
        descriptor,
        b"<< /Type /FontDescriptor /FontName /%b /Flags %d /FontBBox %b /ItalicAngle %b /Ascent %d /Descent %d /CapHeight %d"
        b" /StemV %d /FontFile2 %d 0 R >>"
        % (
            name,
            font.flags,
            numbers(*font.bbox),
            _number(font.italic_angle),
            font.ascent,
            font.descent,
            font.cap_height,
            font.stem_v,
            file,
        ),
    )
    revision.write(
        descendant,
        b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /%b"
        b" /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> /CIDToGIDMap /Identity /DW 0"
        b" /W [0 [%b]] /FontDescriptor %d 0 R >>" % (name, font.widths_text, descriptor),
    )
    to_unicode = revision.write_stream(font.to_unicode, b"/Filter /FlateDecode ")
    revision.write(
        whole,
        b"<< /Type /Font /Subtype /Type0 /BaseFont /%b /Encoding /Identity-H /DescendantFonts [%d 0 R] /ToUnicode %d 0 R >>"
        % (name, descendant, to_unicode),
    )
    return whole
