"""What is drawn on a page, as pixels: whether a rectangle or a circle is blank, and where a shape finds room.

Pixels and not text, because a stamp must not cover a picture, a line or a scanned letter either. Everything is in display space.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache

from PIL import Image, ImageChops, ImageDraw

from signer.appearance.geometry import Rect

_TINT = 32
"""How far, of 255, a channel must be from the paper's colour to count as drawn: antialiasing noise is below, hairlines above."""
CELL = 4.0
"""Points a side of the squares in which room is searched."""


class Ink:
    """One page's ink. The paper's colour is whatever most of the page has: a scan is seldom white."""

    def __init__(self, picture: Image.Image, scale: float, obstacles: Iterable[Rect] = ()) -> None:
        self._scale = scale
        self._height = picture.height / scale
        self._width = picture.width / scale
        paper = _commonest(
            picture.resize((max(1, picture.width // 8), max(1, picture.height // 8)), Image.Resampling.NEAREST)
        )
        red, green, blue = ImageChops.difference(picture, Image.new("RGB", picture.size, paper)).split()
        farthest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
        self._mask = farthest.point([0] * _TINT + [255] * (256 - _TINT))
        self.has_content = self._mask.getbbox() is not None
        pen = ImageDraw.Draw(self._mask)
        for rect in obstacles:
            pen.rectangle(self._pixels(rect), fill=255)

    def is_blank(self, rect: Rect) -> bool:
        """Whether nothing is drawn in a rectangle."""
        left, top, right, bottom = self._pixels(rect)
        return self._mask.crop((left, top, right + 1, bottom + 1)).getbbox() is None

    def is_blank_circle(self, rect: Rect) -> bool:
        """Whether nothing is drawn in the circle that fits a square: a seal covers no more than that."""
        left, top, right, bottom = self._pixels(rect)
        part = self._mask.crop((left, top, right + 1, bottom + 1))
        return ImageChops.darker(part, _disc(part.width, part.height)).getbbox() is None

    def lowest(self, above: float) -> float | None:
        """The height of the lowest ink above a height, or None."""
        box = self._mask.crop((0, 0, self._mask.width, max(1, round((self._height - above) * self._scale)))).getbbox()
        return None if box is None else self._height - box[3] / self._scale

    def rooms(self, rows: list[tuple[float, float]], margin: float) -> Iterator[tuple[float, float]]:
        """Lower left corners, a cell apart, at which a shape stands free.

        `rows` gives the shape from its lowest CELL-high slice upwards: where each begins and ends, from its own left edge.
        `margin` is what must stay free along the page's edges.
        """
        columns, lines = self._cells()
        across = len(columns)
        slices = [(math.floor(begin / CELL), math.ceil(end / CELL)) for begin, end in rows]
        widest = max(end for _, end in slices)
        spread = {piece: [_spread(row, *piece) for row in lines] for piece in set(slices)}
        edge = math.ceil(margin / CELL)
        last = across - edge - widest
        if last < edge:
            return
        wanted = ((1 << (last - edge + 1)) - 1) << edge
        for low in range(edge, len(lines) - edge - len(slices) + 1):
            blocked = 0
            for up, piece in enumerate(slices):
                blocked |= spread[piece][low + up]
            free = wanted & ~blocked
            while free:
                column = (free & -free).bit_length() - 1
                free &= free - 1
                yield column * CELL, low * CELL

    def _cells(self) -> tuple[range, list[int]]:
        """The page as rows of bits from the bottom, one a cell, set where anything is drawn."""
        across, up = math.ceil(self._width / CELL), math.ceil(self._height / CELL)
        # A box filter of a mask is above zero wherever a single pixel is set, if the result is not rounded down to nothing.
        padded = Image.new("L", (round(across * CELL * self._scale), round(up * CELL * self._scale)), 0)
        padded.paste(self._mask, (0, padded.height - self._mask.height))
        grid = padded.point([0] + [255] * 255).resize((across, up), Image.Resampling.BOX, reducing_gap=None)
        octets = grid.tobytes()
        lines = []
        for row in range(up - 1, -1, -1):
            bits = 0
            for column, value in enumerate(octets[row * across : (row + 1) * across]):
                if value:
                    bits |= 1 << column
            lines.append(bits)
        return range(across), lines

    def _pixels(self, rect: Rect) -> tuple[int, int, int, int]:
        """Left, top, right, bottom pixel, all inside the rectangle's reach."""
        x0, y0, x1, y1 = rect
        return (
            math.floor(x0 * self._scale),
            math.floor((self._height - y1) * self._scale),
            math.ceil(x1 * self._scale) - 1,
            math.ceil((self._height - y0) * self._scale) - 1,
        )


def _spread(row: int, begin: int, end: int) -> int:
    """Positions p at which any cell of p+begin … p+end-1 is set: the row moved by each of them, by doubling."""
    moved, done = row >> begin, 1
    length = end - begin
    while done < length:
        step = min(done, length - done)
        moved |= moved >> step
        done += step
    return moved


def _commonest(picture: Image.Image) -> tuple[int, ...]:
    """The colour of most pixels."""
    octets = picture.tobytes()
    counted = Counter(zip(octets[::3], octets[1::3], octets[2::3], strict=True))
    return counted.most_common(1)[0][0]


@lru_cache(maxsize=16)
def _disc(width: int, height: int) -> Image.Image:
    """A filled ellipse as a mask."""
    disc = Image.new("L", (width, height), 0)
    ImageDraw.Draw(disc).ellipse((0, 0, width - 1, height - 1), fill=255)
    return disc
