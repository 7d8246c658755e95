"""Pictures of the demonstration: a round red seal and a blue signature, drawn from numbers, the same bytes every time.

Both are invented. The seal bears a plain star and the word MINH HỌA (illustration), no emblem of any state.
"""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFont

Point = tuple[float, float]

SEAL_RED = (208, 16, 28)
SIGNATURE_BLUE = (22, 48, 160)
SIGNATURE_SIZE_MM = (45.0, 20.0)
_FINER = 4
"""Everything is drawn this many times larger and then reduced: that is the antialiasing."""


def draw_seal(
    ring_text: str, bold_font: Path, *, diameter_mm: float = 36.0, dpi: int = 600, below: str = "MINH HỌA"
) -> bytes:
    """A seal as PNG: double ring, `ring_text` along the arc, a five-pointed star in the middle and a word below it."""
    side = round(diameter_mm / 25.4 * dpi)
    unit = side * _FINER / diameter_mm  # pixels of the fine drawing a millimetre
    ink = Image.new("L", (side * _FINER, side * _FINER), 0)
    centre = side * _FINER / 2
    radius = diameter_mm / 2
    for outer, thickness in ((radius, 0.75), (radius - 1.15, 0.3), (radius - 6.1, 0.3)):
        _ring(ink, centre, outer * unit, thickness * unit)
    _text_on_arc(ink, ring_text.upper(), bold_font, (radius - 4.8) * unit, 2.7 * unit, 312.0)
    _star(ink, (centre, centre + (radius - 3.75) * unit), 1.05 * unit)
    _star(ink, (centre, centre - 1.6 * unit), 6.2 * unit)
    font = ImageFont.truetype(str(bold_font), round(2.5 * unit), layout_engine=ImageFont.Layout.BASIC)
    ImageDraw.Draw(ink).text((centre, centre + 7.2 * unit), below, fill=255, font=font, anchor="ms")
    return _png(ink.resize((side, side), Image.Resampling.BOX), SEAL_RED, dpi)


def draw_signature(*, dpi: int = 600) -> bytes:
    """The invented signature of Nguyễn Thị Minh Hạnh as PNG, 45 mm × 20 mm: pen strokes whose width follows their speed."""
    width, height = (round(side / 25.4 * dpi) for side in SIGNATURE_SIZE_MM)
    unit = dpi / 25.4 * _FINER
    ink = Image.new("L", (width * _FINER, height * _FINER), 0)
    pen = ImageDraw.Draw(ink)
    for stroke in _STROKES:
        for (x, y), thickness in _trace(stroke):
            half = thickness / 2 * unit
            across, down = x * unit, (SIGNATURE_SIZE_MM[1] - y) * unit
            pen.ellipse((across - half, down - half, across + half, down + half), fill=255)
    return _png(ink.resize((width, height), Image.Resampling.BOX), SIGNATURE_BLUE, dpi)


# Where the pen passes, in millimetres from the lower left of 45 × 20.
_STROKES: Sequence[Sequence[Point]] = (
    # The tall initial: a hook, down, and a loop back up through the second stem.
    ((3.2, 12.2), (4.6, 15.6), (6.4, 16.6), (6.9, 14.2), (6.0, 9.0), (4.9, 4.6), (4.6, 3.4)),
    (
        *((2.0, 8.2), (5.0, 9.9), (8.6, 11.4), (11.2, 14.6), (12.0, 17.6), (11.0, 18.2), (10.0, 14.6), (9.4, 9.4)),
        *((9.6, 5.4), (10.8, 4.8), (12.0, 6.8), (13.0, 8.8), (14.2, 9.0), (14.5, 7.4), (13.5, 5.9), (12.7, 6.6)),
        *((13.3, 8.2), (14.8, 8.9), (15.3, 6.9), (15.9, 5.6), (16.8, 7.4), (17.6, 9.1), (18.1, 7.0), (18.6, 5.6)),
        *((19.6, 8.0), (20.5, 9.0), (21.0, 6.8), (21.8, 5.6), (23.4, 8.8), (25.4, 14.2), (25.6, 17.0), (24.6, 16.4)),
        *((23.9, 12.0), (23.8, 6.6), (24.1, 5.4), (25.2, 8.0), (26.4, 9.0), (27.0, 7.2), (27.6, 5.7), (29.4, 6.4)),
        *((33.0, 9.4), (37.6, 12.6), (41.6, 14.2), (43.2, 13.4), (41.4, 11.2), (34.0, 7.6), (24.0, 4.0), (13.0, 1.9)),
        *((7.6, 1.8), (8.8, 2.9), (18.0, 4.0), (30.0, 4.4), (39.6, 4.9)),
    ),
)


def _trace(points: Sequence[Point]) -> list[tuple[Point, float]]:
    """Dense points of a smooth curve through the given ones (Catmull-Rom), each with the width of the line there."""
    padded = [points[0], *points, points[-1]]
    dense: list[Point] = []
    for before, start, end, after in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        steps = max(8, round(math.dist(start, end) * 60))
        dense += [_between(before, start, end, after, step / steps) for step in range(steps)]
    dense.append(points[-1])
    lengths = [0.0]
    for one, other in itertools.pairwise(dense):
        lengths.append(lengths[-1] + math.dist(one, other))
    widths: list[float] = []
    for at, (point, travelled) in enumerate(zip(dense, lengths, strict=True)):
        previous = dense[max(0, at - 40)]
        # Down-strokes press, up-strokes and long runs glide; both ends taper.
        slope = (previous[1] - point[1]) / (math.dist(previous, point) or 1.0)
        taper = min(1.0, 0.35 + travelled / 1.2, 0.3 + (lengths[-1] - travelled) / 4.0)
        widths.append((0.50 + 0.20 * slope) * max(0.3, taper))
    smooth = [sum(part) / len(part) for at in range(len(widths)) for part in [widths[max(0, at - 25) : at + 26]]]
    return list(zip(dense, smooth, strict=True))


def _between(before: Point, start: Point, end: Point, after: Point, part: float) -> Point:
    """A point of a Catmull-Rom segment."""

    def axis(a: float, b: float, c: float, d: float) -> float:
        bend = (2 * a - 5 * b + 4 * c - d) * part**2 + (3 * b - a - 3 * c + d) * part**3
        return 0.5 * (2 * b + (c - a) * part + bend)

    return axis(before[0], start[0], end[0], after[0]), axis(before[1], start[1], end[1], after[1])


def _ring(ink: Image.Image, centre: float, outer: float, thickness: float) -> None:
    ImageDraw.Draw(ink).ellipse(
        (centre - outer, centre - outer, centre + outer, centre + outer), outline=255, width=round(thickness)
    )


def _star(ink: Image.Image, centre: Point, radius: float) -> None:
    """A regular five-pointed star, one point up."""
    inner = radius * math.sin(math.radians(18)) / math.sin(math.radians(54))
    corners = [
        (
            centre[0] + (inner if corner % 2 else radius) * math.sin(math.radians(36 * corner)),
            centre[1] - (inner if corner % 2 else radius) * math.cos(math.radians(36 * corner)),
        )
        for corner in range(10)
    ]
    ImageDraw.Draw(ink).polygon(corners, fill=255)


def _text_on_arc(ink: Image.Image, text: str, font_file: Path, baseline: float, size: float, degrees: float) -> None:
    """Letters along the upper arc, their feet on the circle of radius `baseline`, spread over `degrees`.

    Spacing is what remains after the letters' own widths; a text too long for the arc is set smaller.
    """
    font = ImageFont.truetype(str(font_file), round(size), layout_engine=ImageFont.Layout.BASIC)
    room = math.radians(degrees) * baseline
    natural = sum(font.getlength(char) for char in text)
    if natural > room:
        font = ImageFont.truetype(str(font_file), int(size * room / natural), layout_engine=ImageFont.Layout.BASIC)
        natural = sum(font.getlength(char) for char in text)
    gap = (room - natural) / max(1, len(text) - 1)
    centre = ink.width / 2
    travelled = 0.0
    for char in text:
        advance = font.getlength(char)
        angle = math.radians(-degrees / 2) + (travelled + advance / 2) / baseline
        travelled += advance + gap
        tile_side = round(size * 3)
        tile = Image.new("L", (tile_side, tile_side), 0)
        ImageDraw.Draw(tile).text((tile_side / 2, tile_side / 2), char, fill=255, font=font, anchor="ms")
        tile = tile.rotate(-math.degrees(angle), resample=Image.Resampling.BICUBIC)
        left = round(centre + baseline * math.sin(angle) - tile_side / 2)
        top = round(centre - baseline * math.cos(angle) - tile_side / 2)
        box = (left, top, left + tile_side, top + tile_side)
        ink.paste(ImageChops.lighter(ink.crop(box), tile), box)


def _png(ink: Image.Image, colour: tuple[int, int, int], dpi: int) -> bytes:
    """One colour whose alpha is the ink, so that nothing but ink is ever seen."""
    picture = Image.new("RGB", ink.size, colour)
    picture.putalpha(ink)
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=9, dpi=(dpi, dpi))
    return out.getvalue()
