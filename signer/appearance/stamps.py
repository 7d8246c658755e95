"""Appearance streams: officer's signature, seal, text stamp and form value as plain values that a PDF writer inserts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from signer.appearance.errors import TextTooLong
from signer.appearance.fonts import EmbeddedFont, drawable
from signer.appearance.geometry import mm_to_pt
from signer.appearance.images import StampImage
from signer.appearance.lines import fonts_of, set_line, set_lines

Align = Literal["left", "centre", "right"]

VALUE_PADDING = 2.0
"""Points between a form field's edge and its text: what viewers leave when they draw a value themselves."""
_SMALLEST_SIZE = 6.0
_LEADING = 1.15
_MOST_OF_HEIGHT = 0.95


@dataclass(frozen=True)
class Appearance:
    """One form XObject (ISO 32000-1, 8.10): a box of `width` × `height` points, its content and what the content names."""

    width: float
    height: float
    content: bytes
    images: Mapping[str, StampImage]
    fonts: Mapping[str, EmbeddedFont]


def signature_stamp(image: StampImage, width: float | None = None, height: float | None = None) -> Appearance:
    """The officer's signature: the picture alone, no text (ND30, Appendix I, II.7).

    Without a box it has the picture's own size; in a box (an existing form field) it is as large as fits, in the middle,
    its proportions kept.
    """
    natural_width, natural_height = mm_to_pt(image.width_mm), mm_to_pt(image.height_mm)
    box_width = natural_width if width is None else width
    box_height = natural_height if height is None else height
    scale = min(box_width / natural_width, box_height / natural_height)
    drawn_width, drawn_height = natural_width * scale, natural_height * scale
    left, bottom = (box_width - drawn_width) / 2, (box_height - drawn_height) / 2
    return _picture(image, box_width, box_height, (drawn_width, drawn_height, left, bottom))


def seal_stamp(image: StampImage, diameter_mm: float) -> Appearance:
    """The agency's seal at its actual size (ND30, Appendix I, II.8): the box is the diameter, whatever the picture's resolution."""
    diameter = mm_to_pt(diameter_mm)
    return _picture(image, diameter, diameter, (diameter, diameter, 0.0, 0.0))


def text_stamp(lines: Sequence[str], font: EmbeddedFont, width: float = 190.0, size: float = 10.0) -> Appearance:
    """Lines of black text, upright, size 10 as ND30 Appendix I has it; long ones wrap at spaces and go on below.

    `width` is the most it may take; the box is as wide as the longest line and as high as the lines need.
    """
    set_in = [each for line in lines for each in set_lines(line, font, width, size)]
    taken = max((line.wide(size) for line in set_in), default=0.0)
    leading, baseline, shown = size * _LEADING, 0.0, []
    for row, line in enumerate(set_in):
        if row:
            # Letters that stand on one another take more room than a line has.
            baseline += max(leading, (line.ascent - set_in[row - 1].descent) * size / 1000)
        left = taken - line.wide(size) if line.from_right else 0.0
        shown.append((left, baseline, line))
    ascent, descent = (set_in[0].ascent, -set_in[-1].descent) if set_in else (font.ascent, -font.descent)
    height = (ascent + descent) * size / 1000 + baseline
    top = height - ascent * size / 1000
    operators = [
        f"1 0 0 1 {_number(left)} {_number(top - down)} Tm {line.operators('F0', size)}" for left, down, line in shown
    ]
    content = f"q 0 g BT /F0 {_number(size)} Tf {' '.join(operators)} ET Q".encode("ascii")
    return Appearance(taken, height, content, {}, fonts_of(set_in, "F0", font))


def value_stamp(
    text: str, font: EmbeddedFont, width: float, height: float, size: float = 13.0, align: Align = "left"
) -> Appearance:
    """The value of a form field, drawn as a viewer would (ISO 32000-1, 12.7.3.3): one line, in the middle of the height.

    The text is set smaller when it is too wide; TextTooLong when even the smallest readable size does not fit.
    """
    line = set_line(text, font)
    room = width - 2 * VALUE_PADDING
    natural = line.wide(size)
    fitted = size if natural <= room else size * room / natural
    if (line.ascent, line.descent) != (font.ascent, font.descent):
        # Letters that stand on one another are drawn whole, or the box cuts them off.
        fitted = min(fitted, _MOST_OF_HEIGHT * height * 1000 / (line.ascent - line.descent))
    if fitted < min(size, _SMALLEST_SIZE):
        raise TextTooLong(f"{text[:40]!r} does not fit a field of {width:.0f} points", text=drawable(text))
    slack = room - line.wide(fitted)
    left = VALUE_PADDING + {"left": 0.0, "centre": slack / 2, "right": slack}[align]
    # Ascent and descent together are centred, so a field can be laid out around a base line that is printed already.
    baseline = (height - (line.ascent - line.descent) * fitted / 1000) / 2 - line.descent * fitted / 1000
    content = (
        f"/Tx BMC q BT 0 g /F0 {_number(fitted)} Tf 1 0 0 1 {_number(left)} {_number(baseline)} Tm "
        f"{line.operators('F0', fitted)} ET Q EMC"
    ).encode("ascii")
    return Appearance(width, height, content, {}, fonts_of([line], "F0", font))


def empty_stamp(width: float, height: float) -> Appearance:
    """Nothing: the appearance of an empty field, so that no viewer draws one of its own."""
    return Appearance(width, height, b"", {}, {})


def _picture(image: StampImage, width: float, height: float, drawn: tuple[float, float, float, float]) -> Appearance:
    across, up, left, bottom = map(_number, drawn)
    content = f"q {across} 0 0 {up} {left} {bottom} cm /Im0 Do Q".encode("ascii")
    return Appearance(width, height, content, {"Im0": image}, {})


def _number(value: float) -> str:
    """A PDF number: no exponent, no needless digits (ISO 32000-1, 7.3.3)."""
    return f"{value:.4f}".rstrip("0").rstrip(".") or "0"
