"""The fonts of one receipt: Tinos, and with it words that other fonts have to set.

Texts of strangers may hold any letter. One that no font has is drawn as a question mark: the file is named by its SHA-256 anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from signer.appearance.errors import FontMissing
from signer.appearance.font_files import HANGUL_PACKAGE
from signer.appearance.font_shelf import FontShelf
from signer.appearance.fonts import EmbeddedFont, drawable
from signer.appearance.lines import Line, part_name, set_line, set_lines

Weight = Literal["regular", "bold"]
WEIGHTS: tuple[Weight, ...] = ("regular", "bold")
UNKNOWN = "?"
# The syllables of Hangul: a text that has them is set in a font that has them, or not at all.
_HANGUL = range(0xAC00, 0xD7A4)


@dataclass(frozen=True)
class Letters:
    """A font for each weight."""

    faces: Mapping[Weight, EmbeddedFont]

    @property
    def fonts(self) -> dict[str, EmbeddedFont]:
        """All fonts by their names in the file."""
        named: dict[str, EmbeddedFont] = {}
        for weight, font in self.faces.items():
            named[weight] = font
            named |= {part_name(weight, at): part for at, part in enumerate(font.parts)}
        return named

    def width(self, text: str, weight: Weight, size: float) -> float:
        """Points that a text takes."""
        return set_line(self._readable(text, weight), self.faces[weight]).wide(size)

    def broken(self, text: str, weight: Weight, size: float, width: float) -> list[Line]:
        """Lines no wider than this: broken at spaces, and inside a word that is wider than a line."""
        return set_lines(self._readable(text, weight), self.faces[weight], width, size)

    def _readable(self, text: str, weight: Weight) -> str:
        supplement = self.faces[weight].supplement
        drawn = drawable(text)
        for letters in sorted(supplement.lacking if supplement else (), key=len, reverse=True):
            drawn = drawn.replace(letters, UNKNOWN)
        return drawn


class LetterCase:
    """Makes `Letters`. Built once; safe for threads."""

    def __init__(self, shelf: FontShelf) -> None:
        self._shelf = shelf

    def letters(self, texts: Iterable[str]) -> Letters:
        """Fonts for these texts; FontMissing when there is Hangul among them and no font for it."""
        whole = " ".join(texts)
        korean = self._shelf.others.korean
        if HANGUL_PACKAGE in self._shelf.others.missing_packages() and any(ord(char) in _HANGUL for char in whole):
            raise FontMissing(f"cannot read the font {korean}", path=str(korean))
        return Letters({weight: self._shelf.font(weight, whole, lenient=True) for weight in WEIGHTS})
