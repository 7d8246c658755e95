"""A look at a document before anything is put on it: page boxes, lines of text, form fields and ink, through PDFium.

PDFium is C++ and reads what strangers sent, so a survey runs in the judge process, and whatever goes wrong is SurveyFailed.
"""

from __future__ import annotations

import ctypes
import math
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import pypdfium2
import pypdfium2.raw as pdfium

from signer.appearance.errors import SurveyFailed
from signer.appearance.geometry import PageBox, Rect, normalised
from signer.appearance.ink import Ink

PIXELS_A_POINT = 2.0
_MOST_PIXELS = 12_000_000
_HIDDEN = 0x02 | 0x20  # annotation flags Hidden and NoView (ISO 32000-1, table 165)
_MOST_LETTERS = 50_000
"""Letters of a page that are read. A page with more has no signer's block that a person could find."""


@dataclass(frozen=True)
class Line:
    """A run of text with no wide gap in it, NFC, and the box of its letters in display space."""

    text: str
    rect: Rect

    @property
    def centre(self) -> float:
        return (self.rect[0] + self.rect[2]) / 2

    @property
    def height(self) -> float:
        return self.rect[3] - self.rect[1]


@dataclass(frozen=True)
class Widget:
    """A visible form field's box in display space. `is_open` only for signature fields that look unsigned."""

    name: str
    rect: Rect
    is_signature: bool
    is_open: bool


@dataclass
class _Letter:
    text: str
    left: float
    right: float
    low: float
    high: float
    size: float
    ink: Rect
    marks: list[str] = field(default_factory=list)


# What PDFium can read from; a stream, where a file is too long for memory.
Drawable = bytes | Path | BinaryIO


class Survey:
    """An open document. Use as a context manager; pages are read when asked for."""

    def __init__(self, pdf: Drawable, password: str = "") -> None:
        with _guarded("open"):
            self._document = pypdfium2.PdfDocument(pdf, password=password or None)
        with _guarded("forms"):
            # A form environment is needed for the fields' names; this PDFium has no JavaScript.
            self._document.init_forms()
            self.page_count = len(self._document)
        if self.page_count < 1:
            self._document.close()
            raise SurveyFailed("the document has no page", detail="no page")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._document.close()

    def page(self, index: int) -> SurveyedPage:
        """A page by its index from 0."""
        with _guarded(f"page {index + 1}"):
            page = self._document[index]
            box = PageBox.of(page.get_mediabox(), page.get_cropbox(), page.get_rotation())
            if box.width < 1 or box.height < 1 or not math.isfinite(box.width * box.height):
                raise ValueError("a page without area")
            return SurveyedPage(index, box, page, self._document.formenv)


class SurveyedPage:
    """One page's box, text, fields and ink; everything in display space."""

    def __init__(self, index: int, box: PageBox, page: Any, form: Any) -> None:
        self.index = index
        self.box = box
        self._page = page
        self._form = form

    def words(self) -> str:
        """All text in the order of the content, NFC, upper case, without white space: enough to see whether a closer look pays."""
        with _guarded(f"text of page {self.index + 1}"):
            textpage = self._page.get_textpage()
            text = textpage.get_text_range(0, min(_MOST_LETTERS, textpage.count_chars()))
            textpage.close()
        return "".join(unicodedata.normalize("NFC", text).upper().split())

    def lines(self) -> list[Line]:
        """The text as lines, from top to bottom and left to right, put together from where the letters stand."""
        with _guarded(f"text of page {self.index + 1}"):
            letters = list(self._letters())
        return _lines_of(letters)

    def widgets(self) -> list[Widget]:
        """The visible form fields."""
        found: list[Widget] = []
        with _guarded(f"fields of page {self.index + 1}"):
            for at in range(pdfium.FPDFPage_GetAnnotCount(self._page.raw)):
                annotation = pdfium.FPDFPage_GetAnnot(self._page.raw, at)
                if not annotation:
                    continue
                try:
                    widget = self._widget(annotation)
                finally:
                    pdfium.FPDFPage_CloseAnnot(annotation)
                if widget:
                    found.append(widget)
        return found

    def ink(self, ignored: Iterable[str] = ()) -> Ink:
        """What is drawn, with the boxes of form fields counted as drawn: even an empty one is somebody's room.

        Fields named in `ignored` are left out.
        """
        names = set(ignored)
        scale = min(PIXELS_A_POINT, math.sqrt(_MOST_PIXELS / (self.box.width * self.box.height)))
        with _guarded(f"picture of page {self.index + 1}"):
            bitmap = self._page.render(scale=scale, may_draw_forms=False, draw_annots=True, rev_byteorder=True)
            picture = bitmap.to_pil().convert("RGB")
            bitmap.close()
        return Ink(picture, picture.height / self.box.height, [w.rect for w in self.widgets() if w.name not in names])

    def _widget(self, annotation: Any) -> Widget | None:
        if pdfium.FPDFAnnot_GetSubtype(annotation) != pdfium.FPDF_ANNOT_WIDGET:
            return None
        if pdfium.FPDFAnnot_GetFlags(annotation) & _HIDDEN:
            return None
        raw = pdfium.FS_RECTF()
        if not pdfium.FPDFAnnot_GetRect(annotation, ctypes.byref(raw)):
            return None
        rect = self.box.to_display(normalised((raw.left, raw.bottom, raw.right, raw.top)))
        if rect[2] - rect[0] < 1 or rect[3] - rect[1] < 1:
            return None  # an invisible signature has an empty box (ISO 32000-1, 12.7.4.5)
        kind = pdfium.FPDFAnnot_GetFormFieldType(self._form, annotation) if self._form else -1
        is_signature = kind == pdfium.FPDF_FORMFIELD_SIGNATURE
        signed = pdfium.FPDFAnnot_HasKey(annotation, b"V") or self._appearance_length(annotation) > 0
        return Widget(self._name(annotation), rect, is_signature, is_signature and not signed)

    def _name(self, annotation: Any) -> str:
        if not self._form:
            return ""
        octets = pdfium.FPDFAnnot_GetFormFieldName(self._form, annotation, None, 0)
        if not 2 < octets < 4096:
            return ""
        buffer = (ctypes.c_ushort * (octets // 2))()
        pdfium.FPDFAnnot_GetFormFieldName(self._form, annotation, buffer, octets)
        return bytes(buffer).decode("utf-16-le", errors="replace").rstrip("\0")

    @staticmethod
    def _appearance_length(annotation: Any) -> int:
        """Octets of the normal appearance's content beyond the terminating zero."""
        return int(pdfium.FPDFAnnot_GetAP(annotation, pdfium.FPDF_ANNOT_APPEARANCEMODE_NORMAL, None, 0)) - 2

    def _letters(self) -> Iterator[_Letter]:
        textpage = self._page.get_textpage()
        raw = textpage.raw
        left, right, bottom, top = (ctypes.c_double() for _ in range(4))
        loose = pdfium.FS_RECTF()
        last: _Letter | None = None
        for at in range(min(_MOST_LETTERS, textpage.count_chars())):
            char = chr(min(pdfium.FPDFText_GetUnicode(raw, at), 0x10FFFF))
            if char.isspace() or unicodedata.category(char) in {"Cc", "Cs", "Cn"}:
                continue  # gaps are measured: PDFium's own spaces follow the order of the content
            if unicodedata.category(char) == "Mn" and last is not None:
                last.marks.append(char)
                continue
            if not pdfium.FPDFText_GetCharBox(raw, at, left, right, bottom, top):
                continue
            ink = self.box.to_display(normalised((left.value, bottom.value, right.value, top.value)))
            if pdfium.FPDFText_GetLooseCharBox(raw, at, ctypes.byref(loose)):
                body = self.box.to_display(normalised((loose.left, loose.bottom, loose.right, loose.top)))
            else:
                body = ink
            last = _Letter(char, ink[0], ink[2], body[1], body[3], body[3] - body[1], ink)
            yield last
        textpage.close()


def _lines_of(letters: list[_Letter]) -> list[Line]:
    """Letters that stand at one height, from left to right, cut at wide gaps."""
    rows: list[list[_Letter]] = []
    for letter in sorted(letters, key=lambda one: -(one.low + one.high)):
        middle = (letter.low + letter.high) / 2
        row = next(
            (row for row in reversed(rows[-3:]) if abs((row[0].low + row[0].high) / 2 - middle) < 0.3 * letter.size),
            None,
        )
        if row is None:
            rows.append([letter])
        else:
            row.append(letter)
    lines: list[Line] = []
    for row in rows:
        row.sort(key=lambda one: one.left)
        part = [row[0]]
        for letter in row[1:]:
            if letter.left - part[-1].right > 1.6 * max(letter.size, part[-1].size):
                lines.append(_line(part))
                part = []
            part.append(letter)
        lines.append(_line(part))
    return lines


def _line(letters: list[_Letter]) -> Line:
    text = ""
    for at, letter in enumerate(letters):
        if at and letter.left - letters[at - 1].right > 0.13 * letter.size:
            text += " "
        text += letter.text + "".join(letter.marks)
    rect = (
        min(letter.ink[0] for letter in letters),
        min(letter.ink[1] for letter in letters),
        max(letter.ink[2] for letter in letters),
        max(letter.ink[3] for letter in letters),
    )
    return Line(unicodedata.normalize("NFC", text), rect)


@contextmanager
def _guarded(what: str) -> Iterator[None]:
    """Whatever the renderer or its Python side raises over a broken file becomes SurveyFailed."""
    try:
        yield
    except (
        pypdfium2.PdfiumError, pypdfium2.PdfiumWarning, OSError, ValueError, OverflowError, RuntimeError, MemoryError,
        IndexError, ctypes.ArgumentError,
    ) as error:  # fmt: skip
        raise SurveyFailed(f"cannot read the document ({what}): {error}", detail=what) from error
