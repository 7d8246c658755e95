"""Fonts ready to be embedded: a subset made once for the Vietnamese and Latin alphabet, kept in the cache folder, loaded fast.

Cutting the subset out of the font file is `subset.py`'s deed. It needs fontTools (0.11 s to import), and so runs as a process of
its own, only when the cache has no answer.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import subprocess
import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from signer.appearance import derived
from signer.appearance.errors import FontMissing, GlyphMissing, ScriptNotDrawn

Style = Literal["regular", "bold", "italic", "bold-italic"]

STYLE_FILES: Mapping[Style, str] = {
    "regular": "Tinos-Regular.ttf",
    "bold": "Tinos-Bold.ttf",
    "italic": "Tinos-Italic.ttf",
    "bold-italic": "Tinos-BoldItalic.ttf",
}
"""Tinos is metric-compatible with the Times New Roman that ND30 Appendix I asks for, and has every Vietnamese letter."""

ALPHABET_VERSION = 1
_SPACES = re.compile(r"[^\S\u00a0]+")
_MARKS = {"Mn", "Mc", "Me"}
_RIGHT_TO_LEFT = {"R", "AL", "AN"}
_NO_GLYPH = {"Cc", "Cf", "Cs", "Co", "Cn"}


def alphabet() -> frozenset[str]:
    """What every subset holds: printable ASCII, Latin-1, all Vietnamese letters, dashes, quotation marks, ellipsis, bullet, đồng.

    A change of this set needs a new ALPHABET_VERSION, or old cache files would answer for it.
    """
    codes = [*range(0x20, 0x7F), *range(0xA0, 0x100)]
    codes += [0x102, 0x103, 0x110, 0x111, 0x128, 0x129, 0x168, 0x169, 0x1A0, 0x1A1, 0x1AF, 0x1B0]
    codes += [*range(0x1EA0, 0x1EFA)]
    codes += [0x2010, 0x2011, 0x2012, 0x2013, 0x2014, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2026, 0x20AB]
    return frozenset(map(chr, codes)) - {"\u00ad"}


def drawable(text: str) -> str:
    """Text as it is drawn: NFC, white space as single spaces, no control, format or bidirectional characters.

    The no-break space stays, so that `05/03/2020 09:15:30 +07:00` can be kept on one line.
    What is dropped has no picture and can only mislead: a name must look like the letters it is made of.
    """
    composed = unicodedata.normalize("NFC", text)
    spaced = _SPACES.sub(" ", composed).strip()
    if spaced.isprintable():
        return spaced  # of the categories that have no picture, none is printable
    return "".join(char for char in spaced if unicodedata.category(char) not in _NO_GLYPH)


@dataclass(frozen=True)
class EmbeddedFont:
    """The parts of a Type0 font (ISO 32000-1, 9.7) with Identity-H encoding; the streams are deflated already.

    `widths` are by glyph id in thousandths of the size. Lengths in the descriptor use the same unit.
    """

    base_font: str
    font_file: bytes
    font_file_length: int
    to_unicode: bytes
    widths: tuple[int, ...]
    glyphs: Mapping[str, int]
    bbox: tuple[int, int, int, int]
    ascent: int
    descent: int
    cap_height: int
    italic_angle: float
    stem_v: int
    flags: int

    @functools.cached_property
    def widths_text(self) -> bytes:
        """All widths, as they stand in a file."""
        return " ".join(map(str, self.widths)).encode("ascii")

    @functools.cached_property
    def packed(self) -> bytes:
        """The font as a derived file, and as it travels to the judge process."""
        return pack_font(self)

    @functools.cached_property
    def _codes(self) -> dict[str, bytes]:
        return {char: glyph.to_bytes(2, "big") for char, glyph in self.glyphs.items()}

    @functools.cached_property
    def _advances(self) -> dict[str, int]:
        return {char: self.widths[glyph] for char, glyph in self.glyphs.items()}

    def covers(self, text: str) -> bool:
        """Whether every letter has a glyph."""
        return all(char in self.glyphs for char in drawable(text))

    def encode(self, text: str) -> bytes:
        """Glyph ids, two octets each, as Identity-H wants them; GlyphMissing for a letter that has none."""
        codes = self._codes
        try:
            return b"".join([codes[char] for char in drawable(text)])
        except KeyError as error:
            raise glyph_missing(error.args[0]) from None

    def width(self, text: str, size: float) -> float:
        """Points the text takes at a size."""
        advances = self._advances
        try:
            return sum([advances[char] for char in drawable(text)]) * size / 1000
        except KeyError as error:
            raise glyph_missing(error.args[0]) from None


def glyph_missing(char: str) -> GlyphMissing:
    """The error for one character, with a name a person can look up."""
    name = unicodedata.name(char, "unnamed")
    point = f"U+{ord(char):04X}"
    return GlyphMissing(f"the font has no glyph for {point} {name}", char=point, name=name)


class FontShelf:
    """The fonts of one folder, by style. Each is read once; what is derived lies in `cache` and may be deleted at any time."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self._folder = folder
        self._cache = cache
        self._open: dict[Style, EmbeddedFont] = {}

    def font(self, style: Style = "regular", text: str = "") -> EmbeddedFont:
        """The font of a style; one cut for this text alone when it has a letter outside the common alphabet.

        Raises FontMissing, GlyphMissing when the font file itself lacks a letter, or ScriptNotDrawn.
        """
        path = self._folder / STYLE_FILES[style]
        found = self._open.get(style)
        if found is None:
            found = self._open[style] = open_font(path, self._cache)
        if found.covers(text):
            return found
        refuse_unjoined(text)
        return cut_font(path, alphabet() | set(drawable(text)))


def refuse_unjoined(text: str) -> None:
    """ScriptNotDrawn for letters that stand on one another, or run from right to left: glyphs set one by one would show another word."""
    for char in drawable(text):
        if unicodedata.category(char) in _MARKS or unicodedata.bidirectional(char) in _RIGHT_TO_LEFT:
            point, name = f"U+{ord(char):04X}", unicodedata.name(char, "unnamed")
            raise ScriptNotDrawn(f"text with {point} {name} is not set", char=point, name=name)


def open_font(path: Path, cache: Path) -> EmbeddedFont:
    """The common subset of a font file, from the cache or newly made. A damaged cache file is made again."""
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise FontMissing(f"cannot read the font {path}: {error.strerror}", path=str(path)) from error
    kept = cache / f"font-{digest[:32]}-{ALPHABET_VERSION}.bin"
    try:
        return unpack_font(kept.read_bytes())
    except (OSError, ValueError):
        font = cut_font(path, alphabet())
    derived.keep(kept, pack_font(font))
    return font


def cut_font(path: Path, characters: frozenset[str]) -> EmbeddedFont:
    """A subset for these characters, made in a process of its own; FontMissing or GlyphMissing when it cannot be."""
    request = json.dumps({"path": str(path), "characters": sorted(map(ord, characters))}).encode()
    done = subprocess.run(
        [sys.executable, "-m", "signer.appearance.subset"], input=request, capture_output=True, check=False, timeout=60
    )
    if done.returncode != 0:
        raise FontMissing(f"{path} cannot be embedded: {done.stderr.decode(errors='replace')[-300:]}", path=str(path))
    font = unpack_font(done.stdout)
    for char in sorted(characters - alphabet()):
        if char not in font.glyphs:
            raise glyph_missing(char)
    return font


def pack_font(font: EmbeddedFont) -> bytes:
    """A font as a derived file."""
    head = {
        "base_font": font.base_font,
        "font_file_length": font.font_file_length,
        "widths": font.widths,
        "glyphs": font.glyphs,
        "bbox": font.bbox,
        "ascent": font.ascent,
        "descent": font.descent,
        "cap_height": font.cap_height,
        "italic_angle": font.italic_angle,
        "stem_v": font.stem_v,
        "flags": font.flags,
    }
    return derived.pack(head, font.to_unicode, font.font_file)


def unpack_font(packed: bytes) -> EmbeddedFont:
    """The font of `pack_font`; ValueError when an octet is wrong or missing."""
    head, (to_unicode, font_file) = derived.unpack(packed)
    head["widths"] = tuple(head["widths"])
    head["bbox"] = tuple(head["bbox"])
    return EmbeddedFont(to_unicode=to_unicode, font_file=font_file, **head)
