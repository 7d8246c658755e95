"""The fonts of one receipt: Tinos for what it has, a Korean font for the rest; each cut to what is needed.

Texts of strangers may hold any letter. One that neither font has is drawn as a question mark: the file is named by its SHA-256 anyway.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from signer.appearance.errors import FontMissing
from signer.appearance.fonts import EmbeddedFont, FontShelf, alphabet, drawable, unpack_font

Weight = Literal["regular", "bold"]
WEIGHTS: tuple[Weight, ...] = ("regular", "bold")
UNKNOWN = "?"
_MOST_KEPT = 16
_CUT_SECONDS = 60
# The syllables of Hangul: a text that has them is set in a font that has them, or not at all.
_HANGUL = range(0xAC00, 0xD7A4)


@dataclass(frozen=True)
class Run:
    """Letters of one font on one line."""

    font: str
    octets: bytes
    width: float


@dataclass(frozen=True)
class Letters:
    """Fonts by their name in the file; for each weight the names in the order in which they are asked for a letter."""

    fonts: Mapping[str, EmbeddedFont]
    order: Mapping[Weight, tuple[str, ...]]

    def width(self, text: str, weight: Weight, size: float) -> float:
        """Points that a text takes."""
        return sum(self._advance(char, weight) for char in text) * size / 1000

    def runs(self, text: str, weight: Weight, size: float) -> list[Run]:
        """A line, font by font."""
        runs: list[Run] = []
        for char in text:
            name, glyph = self._find(char, weight)
            octets, width = glyph.to_bytes(2, "big"), self.fonts[name].widths[glyph] * size / 1000
            if runs and runs[-1].font == name:
                runs[-1] = Run(name, runs[-1].octets + octets, runs[-1].width + width)
            else:
                runs.append(Run(name, octets, width))
        return runs

    def _advance(self, char: str, weight: Weight) -> int:
        name, glyph = self._find(char, weight)
        return self.fonts[name].widths[glyph]

    def _find(self, char: str, weight: Weight) -> tuple[str, int]:
        for name in self.order[weight]:
            glyph = self.fonts[name].glyphs.get(char)
            if glyph is not None:
                return name, glyph
        first = self.order[weight][0]
        return first, self.fonts[first].glyphs[UNKNOWN]


@dataclass(frozen=True)
class KoreanFonts:
    """Where the letters of Hangul come from: TrueType files that may be embedded and cut."""

    regular: Path
    bold: Path


class LetterCase:
    """Makes `Letters`. Built once; safe for threads."""

    def __init__(self, shelf: FontShelf, tinos: Path, korean: KoreanFonts) -> None:
        self._shelf = shelf
        self._tinos = tinos
        self._korean = korean
        self._lock = threading.Lock()
        self._kept: dict[tuple[Path, frozenset[str]], EmbeddedFont] = {}

    def letters(self, texts: Iterable[str]) -> Letters:
        """Fonts for these texts; FontMissing when there is Hangul among them and no font for it."""
        wanted = frozenset("".join(drawable(text) for text in texts))
        beyond = wanted - alphabet()
        fonts: dict[str, EmbeddedFont] = {}
        order: dict[Weight, tuple[str, ...]] = {}
        for weight in WEIGHTS:
            named = "Regular" if weight == "regular" else "Bold"
            fonts[f"Tinos{named}"] = self._shelf.font(weight)
            names = [f"Tinos{named}"]
            rest = beyond
            if rest:
                file = self._korean.regular if weight == "regular" else self._korean.bold
                found = self._cut(file, rest, must=any(ord(char) in _HANGUL for char in rest))
                if found is not None:
                    fonts[f"Korean{named}"] = found
                    names.append(f"Korean{named}")
                    rest -= set(found.glyphs)
            more = self._cut(self._tinos / f"Tinos-{named}.ttf", rest, must=False) if rest else None
            if more is not None:
                fonts[f"More{named}"] = more
                names.append(f"More{named}")
            order[weight] = tuple(names)
        return Letters(fonts, order)

    def _cut(self, path: Path, characters: frozenset[str], *, must: bool) -> EmbeddedFont | None:
        """What a font file has of these letters; None when it is not there and need not be, or has none of them."""
        if not path.is_file():
            if must:
                raise FontMissing(f"cannot read the font {path}", path=str(path))
            return None
        with self._lock:
            kept = self._kept.get((path, characters))
        if kept is None:
            request = json.dumps({"path": str(path), "characters": sorted(map(ord, characters))}).encode()
            words = [sys.executable, "-m", "signer.appearance.subset"]
            done = subprocess.run(words, input=request, capture_output=True, check=False, timeout=_CUT_SECONDS)
            if done.returncode != 0:
                raise FontMissing(
                    f"{path} cannot be embedded: {done.stderr.decode(errors='replace')[-300:]}", path=str(path)
                )
            kept = unpack_font(done.stdout)
            with self._lock:
                if len(self._kept) >= _MOST_KEPT:
                    self._kept.clear()
                self._kept[(path, characters)] = kept
        return kept if kept.glyphs else None
