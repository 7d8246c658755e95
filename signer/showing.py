"""What the pages of a file show: covered text, fonts that are not in the file, form fields whose look is not their value.

By PDFium, in the judge process. Whatever it cannot read is itself a finding.
"""

from __future__ import annotations

import ctypes
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium

from signer.appearance.errors import SurveyFailed
from signer.findings import SafetyFinding

Box = tuple[float, float, float, float]
Matrix = tuple[float, float, float, float, float, float]

_MOST_PAGES = 500
_MOST_OBJECTS = 20_000
_MOST_TEXTS = 5_000
_DEEPEST = 4
_INVISIBLE = 3  # text rendering mode: the words of a scanned page, which its picture is to cover
_RECTANGLE = 6  # segments at the most
_OPAQUE = 250
# A word counts as covered when this much of it lies under something.
_SHARE = 0.8
_MOST_LETTERS = 4_000
_IDENTITY: Matrix = (1, 0, 0, 1, 0, 0)
_TROUBLE = (pypdfium2.PdfiumError, OSError, ValueError, OverflowError, RuntimeError, IndexError, ctypes.ArgumentError)


@dataclass(frozen=True)
class ShownField:
    """A form field with an appearance of its own: page index, rectangle in the page's space, value."""

    page: int
    rect: tuple[float, ...]
    value: str
    name: str


def look_at_pages(pdf: bytes, password: str, shown: Sequence[ShownField]) -> Iterator[SafetyFinding]:
    """What the first pages show otherwise than it is."""
    try:
        with closing(pypdfium2.PdfDocument(pdf, password=password or None)) as document:
            count = len(document)
            if count > _MOST_PAGES:
                yield SafetyFinding("not-looked-through", _MOST_PAGES + 1)
            fields: dict[int, list[ShownField]] = {}
            for each in shown:
                fields.setdefault(each.page, []).append(each)
            for index in range(min(count, _MOST_PAGES)):
                page = document[index]
                yield from _painted(page, index + 1)
                if index in fields:
                    yield from _differing(document, index, fields[index])
                page.close()
    except (*_TROUBLE, SurveyFailed) as error:
        yield SafetyFinding("broken-structure", None, type(error).__name__)


def _painted(page: Any, number: int) -> Iterator[SafetyFinding]:
    """Whether anything opaque was painted over text after it, and which fonts stand elsewhere.

    Boxes that only frame or lie under text come before it, or are empty.
    """
    texts: list[Box] = []
    fonts: set[int] = set()
    covered = False
    for kind, item, matrix in _objects(page):
        box = _box(item, matrix)
        if box is None:
            continue
        if kind == pdfium.FPDF_PAGEOBJ_TEXT:
            font = pdfium.FPDFTextObj_GetFont(item)
            address = ctypes.cast(font, ctypes.c_void_p).value or 0
            if address not in fonts:
                fonts.add(address)
                if not pdfium.FPDFFont_GetIsEmbedded(font):
                    yield SafetyFinding("font-not-embedded", number, _font_name(font))
            if len(texts) < _MOST_TEXTS and pdfium.FPDFTextObj_GetTextRenderMode(item) != _INVISIBLE:
                texts.append(box)
        elif texts and not covered and any(_share(box, text) >= _SHARE for text in texts):
            covered = _is_cover(kind, item, page)
    if covered:
        yield SafetyFinding("covered-text", number)


def _font_name(font: Any) -> str:
    size = pdfium.FPDFFont_GetBaseFontName(font, None, 0)
    if not 1 < size < _MOST_LETTERS:
        return ""
    buffer = ctypes.create_string_buffer(size)
    pdfium.FPDFFont_GetBaseFontName(font, buffer, size)
    return buffer.value.decode("utf-8", "replace")


def _objects(page: Any) -> Iterator[tuple[int, Any, Matrix]]:
    """Everything that is painted, in its order, with the matrix that leads to the page's space."""
    count = 0
    waiting: list[tuple[Any, Matrix, int]] = [
        (pdfium.FPDFPage_GetObject(page.raw, at), _IDENTITY, 0)
        for at in reversed(range(min(pdfium.FPDFPage_CountObjects(page.raw), _MOST_OBJECTS)))
    ]
    while waiting and count < _MOST_OBJECTS:
        item, matrix, depth = waiting.pop()
        count += 1
        kind = pdfium.FPDFPageObj_GetType(item)
        if kind == pdfium.FPDF_PAGEOBJ_FORM and depth < _DEEPEST:
            own = pdfium.FS_MATRIX()
            pdfium.FPDFPageObj_GetMatrix(item, ctypes.byref(own))
            inner = _joined((own.a, own.b, own.c, own.d, own.e, own.f), matrix)
            held = max(0, pdfium.FPDFFormObj_CountObjects(item))
            waiting += [
                (pdfium.FPDFFormObj_GetObject(item, at), inner, depth + 1)
                for at in reversed(range(min(held, _MOST_OBJECTS)))
            ]
        else:
            yield kind, item, matrix


def _is_cover(kind: int, item: Any, page: Any) -> bool:
    """An opaque picture, or a filled rectangle."""
    if kind == pdfium.FPDF_PAGEOBJ_IMAGE:
        return not pdfium.FPDFPageObj_HasTransparency(item) and _is_opaque(item, page)
    if kind != pdfium.FPDF_PAGEOBJ_PATH or pdfium.FPDFPath_CountSegments(item) > _RECTANGLE:
        return False
    fill, stroke = ctypes.c_int(), ctypes.c_int()
    pdfium.FPDFPath_GetDrawMode(item, ctypes.byref(fill), ctypes.byref(stroke))
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    pdfium.FPDFPageObj_GetFillColor(item, red, green, blue, alpha)
    return fill.value != pdfium.FPDF_FILLMODE_NONE and alpha.value >= _OPAQUE


def _is_opaque(image: Any, page: Any) -> bool:
    """Whether most of a picture lets nothing through: a seal has a mask, and words can be read between its lines."""
    bitmap = pdfium.FPDFImageObj_GetRenderedBitmap(page.pdf.raw, page.raw, image)
    if not bitmap:
        return True
    try:
        if pdfium.FPDFBitmap_GetFormat(bitmap) != pdfium.FPDFBitmap_BGRA:
            return True
        octets = pdfium.FPDFBitmap_GetStride(bitmap) * pdfium.FPDFBitmap_GetHeight(bitmap)
        alpha = ctypes.string_at(pdfium.FPDFBitmap_GetBuffer(bitmap), octets)[3::4]
        return sum(alpha.count(value) for value in range(_OPAQUE, 256)) >= _SHARE * len(alpha)
    finally:
        pdfium.FPDFBitmap_Destroy(bitmap)


def _box(item: Any, matrix: Matrix) -> Box | None:
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    if not pdfium.FPDFPageObj_GetBounds(item, left, bottom, right, top):
        return None
    corners = [(x, y) for x in (left.value, right.value) for y in (bottom.value, top.value)]
    a, b, c, d, e, f = matrix
    points = [(a * x + c * y + e, b * x + d * y + f) for x, y in corners]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def _joined(inner: Matrix, outer: Matrix) -> Matrix:
    a, b, c, d, e, f = inner
    p, q, r, s, t, u = outer
    return (a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u)


def _share(cover: Box, text: Box) -> float:
    area = (text[2] - text[0]) * (text[3] - text[1])
    width = min(cover[2], text[2]) - max(cover[0], text[0])
    height = min(cover[3], text[3]) - max(cover[1], text[1])
    return width * height / area if area > 0 and width > 0 and height > 0 else 0.0


def _differing(document: Any, index: int, fields: Sequence[ShownField]) -> Iterator[SafetyFinding]:
    """Fields whose look, once it is part of the page, says something else than their value."""
    before = [_text_in(document[index], each.rect) for each in fields]
    page = document[index]
    if pdfium.FPDFPage_Flatten(page.raw, pdfium.FLAT_NORMALDISPLAY) == pdfium.FLATTEN_FAIL:
        return
    page.close()
    page = document[index]
    for each, under in zip(fields, before, strict=True):
        shown, value = _text_in(page, each.rect), _plain(each.value)
        same = shown == value if not under else value in shown and len(shown) == len(under) + len(value)
        if not same:
            yield SafetyFinding("value-differs", index + 1, each.name)


def _text_in(page: Any, rect: tuple[float, ...]) -> str:
    left, bottom, right, top = (
        min(rect[0], rect[2]),
        min(rect[1], rect[3]),
        max(rect[0], rect[2]),
        max(rect[1], rect[3]),
    )
    with closing(page.get_textpage()) as textpage:
        text = textpage.get_text_bounded(left=left, bottom=bottom, right=right, top=top)
    return _plain(text[:_MOST_LETTERS])


def _plain(text: str) -> str:
    """Letters alone, as they compare: where lines break and how wide gaps are is the look's own business."""
    return "".join(unicodedata.normalize("NFKC", text).split())
