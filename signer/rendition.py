"""The print rendition of a signed document, made in the judge process: its pages as they look, smaller, over a strip that leads back to it.

PDFium draws annotations into the pages and copies nothing else: no form, script, signature or attachment comes along. The strip is
drawn by page_drawing.py.
"""

from __future__ import annotations

import ctypes
import functools
import io
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from signer.appearance.fonts import EmbeddedFont, Style, unpack_font
from signer.appearance.geometry import PageBox, mm_to_pt
from signer.appearance.lines import Line, fonts_of, set_lines
from signer.appearance.pdf_objects import PdfParts
from signer.appearance.stamps import Appearance
from signer.errors import InputUnreadable
from signer.octets import Octets, stream_of
from signer.page_drawing import Drawing, code_appearance, draw
from signer.rendition_strip import STYLES, Strip

_EDGE_MM, _GAP_MM = 6.0, 4.0
_TITLE_SIZE, _SIZE, _LEADING = 10.5, 9.0, 1.28
_LEAST_SIZE = 5.0
_BASELINE = 0.25
_RULE = 0.6
# A page that is all strip shows nothing.
_MOST_OF_PAGE = 0.5
_PDF_17 = 17
_TROUBLE = (pypdfium2.PdfiumError, OSError, ValueError, OverflowError, RuntimeError, IndexError, ctypes.ArgumentError)


class RenditionTask:
    """The judge process's task `render`. Blob 0 is the file, the rest are the fonts."""

    def __init__(self) -> None:
        self._unpack = functools.lru_cache(maxsize=len(STYLES))(unpack_font)

    def __call__(self, header: dict[str, Any], blobs: list[Any]) -> tuple[dict[str, Any], list[bytes]]:
        fonts = {style: self._unpack(blob) for style, blob in zip(STYLES, blobs[1:], strict=True)}
        try:
            return {}, [make_rendition(blobs[0], Strip.from_json(header), fonts)]
        except InputUnreadable as error:
            return {"error": InputUnreadable.__name__, "code": error.code, "facts": error.facts}, []


def make_rendition(pdf: Octets, strip: Strip, fonts: dict[Style, EmbeddedFont]) -> bytes:
    """A new PDF of the same pages in the same size, each with the strip; InputUnreadable when they cannot be drawn."""
    try:
        flat, boxes = _flattened(pdf)
    except _TROUBLE as error:
        raise InputUnreadable("INPUT_DAMAGED", kind=type(error).__name__) from error
    writer = IncrementalPdfFileWriter(io.BytesIO(flat))
    parts = PdfParts(writer)
    qr = code_appearance(strip.code, fonts["regular"])
    drawings: list[Drawing] = []
    scales: dict[int, tuple[float, float, float]] = {}
    for index, box in enumerate(boxes):
        height = min(qr.height + 2 * mm_to_pt(_EDGE_MM) - mm_to_pt(_GAP_MM), box.height * _MOST_OF_PAGE)
        scale = (box.height - height) / box.height
        x, y, *_ = box.to_user((box.width / 2, box.height, box.width / 2, box.height))
        scales[index] = (scale, x, y)
        look = _strip(strip, qr, fonts, box.width, height, (index + 1, len(boxes)))
        drawings.append(Drawing(index, box, (0.0, 0.0, box.width, height), look))
    draw(writer, parts, drawings, beneath=False, scales=scales)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _flattened(pdf: Octets) -> tuple[bytes, list[PageBox]]:
    """A file of the pages alone, with what annotations show on paper as part of them."""
    source = pdf if isinstance(pdf, bytes) else stream_of(pdf)
    with closing(pypdfium2.PdfDocument(source)) as document, closing(pypdfium2.PdfDocument.new()) as copy:
        document.init_forms()
        boxes = []
        for page in document:
            boxes.append(PageBox.of(page.get_mediabox(), page.get_cropbox(), page.get_rotation()))
            if pdfium.FPDFPage_Flatten(page.raw, pdfium.FLAT_PRINT) == pdfium.FLATTEN_FAIL:
                raise ValueError("a page cannot be flattened")
            page.close()
        copy.import_pages(document)
        out = io.BytesIO()
        copy.save(out, version=_PDF_17)
    return out.getvalue(), boxes


def _strip(
    strip: Strip, qr: Appearance, fonts: dict[Style, EmbeddedFont], width: float, height: float, page: tuple[int, int]
) -> Appearance:
    """QR and code at the left, title and lines beside them, a rule above all; on white, whatever the page's ground."""
    edge, gap = mm_to_pt(_EDGE_MM), mm_to_pt(_GAP_MM)
    left = edge + qr.width + gap
    room = width - left - edge
    said = [each.replace("{page}", str(page[0])).replace("{pages}", str(page[1])) for each in strip.lines]
    title, lines, size = _set(strip.title, said, fonts, room, height - gap)
    top = height - gap / 2
    content = [
        f"q 1 g 0 0 {width:.3f} {height:.3f} re f 0 G {_RULE} w {edge:.3f} {height - 1:.3f} m {width - edge:.3f} {height - 1:.3f} l S Q",
        f"q 1 0 0 1 {edge:.3f} {(height - qr.height) / 2:.3f} cm {qr.content.decode('ascii')} Q",
        "q 0 g BT",
    ]
    for row, line in enumerate([*title, *lines]):
        now = size * _TITLE_SIZE / _SIZE if row < len(title) else size
        top -= now * _pitch(line)
        name = "F1" if row < len(title) else "F0"
        x = width - edge - line.wide(now) if line.from_right else left
        content.append(
            f"/{name} {now:.3f} Tf 1 0 0 1 {x:.3f} {top + now * _below(line):.3f} Tm {line.operators(name, now)}"
        )
    fonts_used = fonts_of(lines, "F0", fonts["regular"]) | fonts_of(title, "F1", fonts["bold"])
    return Appearance(width, height, " ".join([*content, "ET Q"]).encode("ascii"), {}, fonts_used)


def _pitch(line: Line) -> float:
    """How much of the size a line takes; more where letters stand on one another."""
    return max(_LEADING, (line.ascent - line.descent) / 1000 + 0.1)


def _below(line: Line) -> float:
    return max(_BASELINE, -line.descent / 1000)


def _set(
    title: str, lines: list[str], fonts: dict[Style, EmbeddedFont], room: float, height: float
) -> tuple[list[Line], list[Line], float]:
    """Title and lines, broken, in the largest size that fits; InputUnreadable for a page that is too small for them."""
    for size in _sizes():
        larger = size * _TITLE_SIZE / _SIZE
        if room < size * 8:
            continue
        broken_title = set_lines(title, fonts["bold"], room, larger)
        broken = [part for line in lines for part in set_lines(line, fonts["regular"], room, size)]
        if sum(map(_pitch, broken_title)) * larger + sum(map(_pitch, broken)) * size <= height:
            return broken_title, broken, size
    raise InputUnreadable("PRINT_PAGE_TOO_SMALL")


def _sizes() -> Iterator[float]:
    size = _SIZE
    while size >= _LEAST_SIZE:
        yield size
        size -= 0.25
