"""Appearance streams: officer's signature, seal, text stamp and form value as plain values that a PDF writer inserts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from signer.appearance.errors import TextTooLong
from signer.appearance.fonts import EmbeddedFont, drawable
from signer.appearance.geometry import mm_to_pt
from signer.appearance.images import StampImage

Align = Literal["left", "centre", "right"]

VALUE_PADDING = 2.0
"""Points between a form field's edge and its text: what viewers leave when they draw a value themselves."""
_SMALLEST_SIZE = 6.0
_LEADING = 1.15


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
    wrapped = [part for line in lines for part in wrap(drawable(line), font, width, size)]
    leading = size * _LEADING
    taken = max((font.width(line, size) for line in wrapped), default=0.0)
    ascent, descent = font.ascent * size / 1000, -font.descent * size / 1000
    height = ascent + descent + leading * max(0, len(wrapped) - 1)
    shown = [
        f"1 0 0 1 0 {_number(height - ascent - leading * row)} Tm <{font.encode(line).hex()}> Tj"
        for row, line in enumerate(wrapped)
    ]
    content = f"q 0 g BT /F0 {_number(size)} Tf {' '.join(shown)} ET Q".encode("ascii")
    return Appearance(taken, height, content, {}, {"F0": font})


def value_stamp(
    text: str, font: EmbeddedFont, width: float, height: float, size: float = 13.0, align: Align = "left"
) -> Appearance:
    """The value of a form field, drawn as a viewer would (ISO 32000-1, 12.7.3.3): one line, in the middle of the height.

    The text is set smaller when it is too wide; TextTooLong when even the smallest readable size does not fit.
    """
    line = drawable(text)
    room = width - 2 * VALUE_PADDING
    natural = font.width(line, size)
    fitted = size if natural <= room else size * room / natural
    if fitted < min(size, _SMALLEST_SIZE):
        raise TextTooLong(f"{line[:40]!r} does not fit a field of {width:.0f} points", text=line)
    slack = room - font.width(line, fitted)
    left = VALUE_PADDING + {"left": 0.0, "centre": slack / 2, "right": slack}[align]
    # Ascent and descent together are centred, so a field can be laid out around a base line that is printed already.
    baseline = (height - (font.ascent - font.descent) * fitted / 1000) / 2 - font.descent * fitted / 1000
    content = (
        f"/Tx BMC q BT 0 g /F0 {_number(fitted)} Tf 1 0 0 1 {_number(left)} {_number(baseline)} Tm "
        f"<{font.encode(line).hex()}> Tj ET Q EMC"
    ).encode("ascii")
    return Appearance(width, height, content, {}, {"F0": font})


def empty_stamp(width: float, height: float) -> Appearance:
    """Nothing: the appearance of an empty field, so that no viewer draws one of its own."""
    return Appearance(width, height, b"", {}, {})


def wrap(line: str, font: EmbeddedFont, width: float, size: float) -> list[str]:
    """A line cut at spaces into parts of at most `width` points; a single word that is wider is cut between letters."""
    parts: list[str] = []
    current = ""
    for word in line.split(" "):
        longer = f"{current} {word}" if current else word
        if font.width(longer, size) <= width:
            current = longer
            continue
        if current:
            parts.append(current)
        current = word
        while len(current) > 1 and font.width(current, size) > width:
            end = next(
                end for end in range(len(current) - 1, 0, -1) if end == 1 or font.width(current[:end], size) <= width
            )
            parts.append(current[:end])
            current = current[end:]
    return [*parts, current]


def _picture(image: StampImage, width: float, height: float, drawn: tuple[float, float, float, float]) -> Appearance:
    across, up, left, bottom = map(_number, drawn)
    content = f"q {across} 0 0 {up} {left} {bottom} cm /Im0 Do Q".encode("ascii")
    return Appearance(width, height, content, {"Im0": image}, {})


def _number(value: float) -> str:
    """A PDF number: no exponent, no needless digits (ISO 32000-1, 7.3.3)."""
    return f"{value:.4f}".rstrip("0").rstrip(".") or "0"
