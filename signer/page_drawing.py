"""Draws on the pages of a file: a watermark over every page, a code with its QR where the first page is free. In the judge process.

What is drawn is part of the page's content, not an annotation that a viewer may leave out. It goes behind what the page draws itself,
with the graphics state put back (ISO 32000-2 7.8.2), and is no part of a tagged document's structure (14.8.2.2.2).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, cast

import pikepdf
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.writer import BasePdfFileWriter

from signer.appearance.fonts import EmbeddedFont, Style
from signer.appearance.geometry import PageBox, Rect, intersection, mm_to_pt
from signer.appearance.pdf_objects import PdfParts
from signer.appearance.stamps import Appearance
from signer.appearance.survey import Drawable, Survey
from signer.page_marks import CODE_STYLE, WATERMARK_STYLE, CodeMark, PageMarks

# The margin that a reader of QR codes needs (ISO/IEC 18004 5.3.8), in modules.
_QUIET = 4
# Finer modules are lost on paper.
_LEAST_MODULE_MM = 0.4
_STEP = mm_to_pt(2)
_CLEARANCE = 1.0
_LEADING = 1.2
# As light as an ink of the survey that counts as blank: later stamps find their room as if it were not there.
_TINT = "1 0.885 0.885"
_RED = "0.75 0.05 0.05"
_FOOT_SIZE, _FOOT_MM = 8.0, 3.5
# How much of the page's diagonal the longest line takes.
_ACROSS = 0.62


@dataclass(frozen=True)
class Drawing:
    """An appearance at a displayed rectangle of a page. `blends`: what is beneath stays to be seen."""

    page_index: int
    box: PageBox
    rect: Rect
    appearance: Appearance
    blends: bool = False


def plan_marks(
    pdf: Drawable,
    marks: PageMarks,
    fonts: Mapping[Style, EmbeddedFont],
    taken: Mapping[int, Sequence[Rect]],
    password: str,
) -> tuple[list[Drawing], bool]:
    """What is to be drawn, and whether the code found its room. `taken`: by page, user-space boxes that stamps of this revision fill."""
    drawings: list[Drawing] = []
    with Survey(pdf, password) as survey:
        if marks.watermark:
            font = fonts[WATERMARK_STYLE]
            for index in range(survey.page_count):
                drawings += _watermark(index, survey.page(index).box, marks.watermark, font)
        if marks.code is None:
            return drawings, True
        page = survey.page(0)
        appearance = code_appearance(marks.code, fonts[CODE_STYLE])
        obstacles = [page.box.to_display(rect) for rect in taken.get(0, ())]
        obstacles += [each.rect for each in drawings if each.page_index == 0 and not each.blends]
        ink = page.ink(frozenset())
        for rect in _edges(page.box, appearance, mm_to_pt(marks.code.edge_mm)):
            around = (rect[0] - _CLEARANCE, rect[1] - _CLEARANCE, rect[2] + _CLEARANCE, rect[3] + _CLEARANCE)
            if (
                page.box.holds(around)
                and not any(intersection(around, one) for one in obstacles)
                and ink.is_blank(around)
            ):
                return [*drawings, Drawing(0, page.box, rect, appearance)], True
    return drawings, False


def code_appearance(mark: CodeMark, font: EmbeddedFont) -> Appearance:
    """The QR with its quiet zone on white, the letters below it in the middle."""
    count = len(mark.modules)
    module = max(mm_to_pt(mark.qr_mm) / count, mm_to_pt(_LEAST_MODULE_MM))
    side = (count + 2 * _QUIET) * module
    leading = mark.text_size * _LEADING
    # The quiet zone below the modules is as good a room for nothing as any: the letters begin under it.
    height = side + leading * len(mark.lines)
    width = max(side, *(font.width(line, mark.text_size) for line in mark.lines))
    left = (width - side) / 2
    content = [f"q 1 g 0 0 {width:.3f} {height:.3f} re f 0 g"]
    content += [
        f"{left + (_QUIET + column) * module:.3f} {height - (_QUIET + row + 1) * module:.3f} {length * module:.3f} {module:.3f} re"
        for row, line in enumerate(mark.modules)
        for column, length in _runs(line)
    ]
    content.append(f"f BT /F0 {mark.text_size:g} Tf")
    for at, line in enumerate(mark.lines):
        x = (width - font.width(line, mark.text_size)) / 2
        y = leading * (len(mark.lines) - 1 - at) - font.descent * mark.text_size / 1000
        content.append(f"1 0 0 1 {x:.3f} {y:.3f} Tm <{font.encode(line).hex()}> Tj")
    return Appearance(width, height, " ".join([*content, "ET Q"]).encode("ascii"), {}, {"F0": font})


def draw(
    writer: BasePdfFileWriter,
    parts: PdfParts,
    drawings: Sequence[Drawing],
    *,
    beneath: bool,
    scales: Mapping[int, tuple[float, float, float]] = MappingProxyType({}),
) -> None:
    """Draw them. `beneath`: what blends lies under the page's content, in files that may not blend (ISO 19005-1 6.4).

    `scales`: by page, how much smaller its own content becomes around a point in user space; it stays within its box.
    """
    forms: dict[tuple[bytes, int, float], generic.IndirectObject] = {}
    ends: dict[bytes, generic.IndirectObject] = {}

    def stream(octets: bytes) -> generic.IndirectObject:
        if octets not in ends:
            ends[octets] = writer.add_object(generic.StreamObject(stream_data=octets))
        return ends[octets]

    for index in dict.fromkeys(each.page_index for each in drawings):
        reference, inherited = writer.find_page_for_modification(index)
        page = reference.get_object()
        resources = _copied(inherited)
        objects, states = _copied(_held(resources, "/XObject")), _copied(_held(resources, "/ExtGState"))
        contents = _contents(page)
        before, after = _balance(contents)
        under, over = [b" ".join([b"q"] * before)], [b" ".join([b"Q"] * after)]
        if index in scales:
            box = next(each.box.box for each in drawings if each.page_index == index)
            under.append(_smaller(*scales[index], box))
        for each in (one for one in drawings if one.page_index == index):
            look = each.appearance
            key = (look.content, each.box.rotation, look.width)
            if key not in forms:
                forms[key] = parts.form(look, each.box.rotation)
            name = _free_name(objects, "Antin")
            objects[pdf_name(name)] = forms[key]
            state = ""
            if each.blends and not beneath:
                state_name = _free_name(states, "AntinTint")
                states[pdf_name(state_name)] = _dictionary(
                    {"/Type": pdf_name("/ExtGState"), "/BM": pdf_name("/Multiply")}
                )
                state = f"{state_name} gs "
            x, y, *_ = each.box.to_user(each.rect)
            octets = f"/Artifact BMC q {state}1 0 0 1 {x:.4f} {y:.4f} cm {name} Do Q EMC".encode("ascii")
            if each.blends and beneath:
                under.insert(0, octets)
            else:
                over.append(octets)
        resources[pdf_name("/XObject")] = objects
        if states:
            resources[pdf_name("/ExtGState")] = states
        page[pdf_name("/Resources")] = resources
        ours_first, ours_last = stream(b"\n".join(under) + b"\n"), stream(b"\n" + b"\n".join(over) + b"\n")
        page[pdf_name("/Contents")] = generic.ArrayObject([ours_first, *contents, ours_last])
        writer.update_container(page)


def _watermark(index: int, box: PageBox, lines: Sequence[str], font: EmbeddedFont) -> Iterator[Drawing]:
    """The lines along the diagonal, and once more in small plain letters at the foot, which also a bad copy shows."""
    diagonal = math.hypot(box.width, box.height)
    size = _ACROSS * diagonal / max(font.width(line, 1.0) for line in lines)
    cosine, sine = box.width / diagonal, box.height / diagonal
    content = [f"q {_TINT} rg BT /F0 {size:.3f} Tf"]
    for at, line in enumerate(lines):
        along, across = -font.width(line, size) / 2, ((len(lines) - 1) / 2 - at) * size * 1.25 - size * 0.33
        x = box.width / 2 + along * cosine - across * sine
        y = box.height / 2 + along * sine + across * cosine
        content.append(
            f"{cosine:.5f} {sine:.5f} {-sine:.5f} {cosine:.5f} {x:.3f} {y:.3f} Tm <{font.encode(line).hex()}> Tj"
        )
    whole = (0.0, 0.0, box.width, box.height)
    yield _drawing(index, box, whole, [*content, "ET Q"], font, blends=True)
    text = " - ".join(lines)
    foot = min(_FOOT_SIZE, 0.9 * box.width / font.width(text, 1.0))
    width = font.width(text, foot)
    left, low = (box.width - width) / 2, min(mm_to_pt(_FOOT_MM), box.height / 20)
    # Capitals with two marks reach above what the font says of itself.
    rect = (left, low, left + width, low + 1.45 * foot)
    drawn = (
        f"q {_RED} rg BT /F0 {foot:.3f} Tf 0 {-font.descent * foot / 1000:.3f} Td <{font.encode(text).hex()}> Tj ET Q"
    )
    yield _drawing(index, box, rect, [drawn], font, blends=False)


def _drawing(
    index: int, box: PageBox, rect: Rect, content: Sequence[str], font: EmbeddedFont, *, blends: bool
) -> Drawing:
    octets = " ".join(content).encode("ascii")
    return Drawing(index, box, rect, Appearance(rect[2] - rect[0], rect[3] - rect[1], octets, {}, {"F0": font}), blends)


def _edges(box: PageBox, look: Appearance, edge: float) -> Iterator[Rect]:
    """Along the lower edge from the left, up the left edge, up the right one, along the upper edge: always in a margin."""
    across, up = box.width - edge - look.width, box.height - edge - look.height

    def at(x: float, y: float) -> Rect:
        return (x, y, x + look.width, y + look.height)

    yield from (at(x, edge) for x in _steps(edge, across))
    yield from (at(edge, y) for y in _steps(edge, up))
    yield from (at(across, y) for y in _steps(edge, up))
    yield from (at(x, up) for x in _steps(edge, across))


def _steps(first: float, last: float) -> Iterator[float]:
    at = first
    while at <= last:
        yield at
        at += _STEP


def _runs(line: str) -> Iterator[tuple[int, int]]:
    """Where dark modules of a row begin, and how many stand together: as one rectangle no hairline shows between them."""
    at = 0
    while (at := line.find("1", at)) >= 0:
        end = line.find("0", at)
        end = len(line) if end < 0 else end
        yield at, end - at
        at = end


def _contents(page: generic.DictionaryObject) -> list[Any]:
    try:
        raw = page.raw_get("/Contents")
    except KeyError:
        return []
    followed = raw.get_object() if isinstance(raw, generic.IndirectObject) else raw
    if isinstance(followed, generic.ArrayObject):
        return [followed.raw_get(at) for at in range(len(followed))]
    return [raw]


def _smaller(scale: float, x: float, y: float, box: Rect) -> bytes:
    left, bottom, right, top = box
    placed = f"{scale:.6f} 0 0 {scale:.6f} {x * (1 - scale):.4f} {y * (1 - scale):.4f} cm"
    return f"{placed} {left:.4f} {bottom:.4f} {right - left:.4f} {top - bottom:.4f} re W n".encode("ascii")


def _balance(contents: Sequence[Any]) -> tuple[int, int]:
    """How often the state has to be saved before a page's content and put back after it: careless content does not do it evenly."""
    depth = lowest = 0
    try:
        octets = b"\n".join(each.get_object().data for each in contents)
        with pikepdf.new() as scratch:
            for instruction in pikepdf.parse_content_stream(pikepdf.Stream(scratch, octets), "q Q"):
                depth += 1 if str(instruction.operator) == "q" else -1
                lowest = min(lowest, depth)
    except Exception:  # noqa: BLE001  damaged content raises many kinds, and is wrapped as content that is even
        return 1, 1
    before = 1 - lowest
    return before, before + depth


def _held(dictionary: generic.DictionaryObject, key: str) -> Any:
    try:
        return dictionary[key]
    except KeyError:
        return None


def _copied(dictionary: Any) -> generic.DictionaryObject:
    """One of its own for this page: others may share the one that was there."""
    if not isinstance(dictionary, generic.DictionaryObject):
        return _dictionary({})
    return _dictionary({key: dictionary.raw_get(key) for key in dictionary})


def _free_name(dictionary: generic.DictionaryObject, stem: str) -> str:
    number = 0
    while f"/{stem}{number}" in dictionary:
        number += 1
    return f"/{stem}{number}"


def _dictionary(entries: dict[str, Any]) -> generic.DictionaryObject:
    made: Any = generic.DictionaryObject
    return cast("generic.DictionaryObject", made({pdf_name(key): value for key, value in entries.items()}))
