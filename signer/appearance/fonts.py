"""Fonts ready to be embedded, as values: a subset for the Vietnamese and Latin alphabet, and with it words that are set in other fonts."""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from signer.appearance import derived
from signer.appearance.errors import GlyphMissing
from signer.appearance.shaped import Run, words_from_json, words_to_json

Style = Literal["regular", "bold", "italic", "bold-italic"]

ALPHABET_VERSION = 1
_SPACES = re.compile(r"[^\S\u00a0]+")
_NON_JOINER = "\u200c"
_JOINERS = {_NON_JOINER, "\u200d"}
_VIRAMA = 9
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
    What is dropped has no picture and can only mislead: a name must look like the letters it is made of. Joiners stay where they
    change the letters beside them (RFC 5892 appendix A.1, A.2).
    """
    composed = unicodedata.normalize("NFC", text)
    spaced = _SPACES.sub(" ", composed).strip()
    if spaced.isprintable():
        return spaced  # of the categories that have no picture, none is printable
    return "".join(
        char for at, char in enumerate(spaced) if unicodedata.category(char) not in _NO_GLYPH or _joins(spaced, at)
    )


def is_mark(char: str) -> bool:
    """Whether it stands on the letter before it, or joins it to the next."""
    return char != "" and (char in _JOINERS or unicodedata.category(char).startswith("M"))


def _joins(text: str, at: int) -> bool:
    """Whether a joiner stands behind a virama, or a non-joiner between two Arabic letters."""
    if text[at] not in _JOINERS or at == 0:
        return False
    if unicodedata.combining(text[at - 1]) == _VIRAMA:
        return True
    beside = (text[at - 1], text[at + 1 : at + 2] or " ")
    return text[at] == _NON_JOINER and all(unicodedata.bidirectional(char) == "AL" for char in beside)


@dataclass(frozen=True)
class EmbeddedFont:
    """The parts of a Type0 font (ISO 32000-1, 9.7) with Identity-H encoding; the streams are deflated already.

    `widths` are by glyph id in thousandths of the size. Lengths in the descriptor use the same unit. `supplement`: words that other
    fonts set.
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
    supplement: Supplement | None = None

    @functools.cached_property
    def widths_text(self) -> bytes:
        """All widths, as they stand in a file."""
        return " ".join(map(str, self.widths)).encode("ascii")

    @functools.cached_property
    def packed(self) -> bytes:
        """The font as a derived file, and as it travels to the judge process."""
        return pack_font(self)

    @functools.cached_property
    def parts(self) -> tuple[EmbeddedFont, ...]:
        """The fonts of the supplement."""
        return self.supplement.parts if self.supplement is not None else ()

    def shaped(self, word: str) -> tuple[Run, ...] | None:
        """How the supplement sets a word; None for one of this font's own letters."""
        return None if self.supplement is None else self.supplement.words.get(word)

    def strange(self, drawn: str) -> Iterator[tuple[int, int]]:
        """Where letters without a glyph here stand together, from and to, with a letter that they are marks of."""
        start = None
        for at, char in enumerate(drawn):
            is_own = char in self.glyphs and not is_mark(drawn[at + 1 : at + 2])
            if is_own and start is not None:
                yield start, at
                start = None
            elif not is_own and start is None:
                start = at
        if start is not None:
            yield start, len(drawn)

    @functools.cached_property
    def _codes(self) -> dict[str, bytes]:
        return {char: glyph.to_bytes(2, "big") for char, glyph in self.glyphs.items()}

    @functools.cached_property
    def _advances(self) -> dict[str, int]:
        return {char: self.widths[glyph] for char, glyph in self.glyphs.items()}

    def covers(self, text: str) -> bool:
        """Whether every letter has a glyph, here or in the supplement."""
        drawn = drawable(text)
        return self.has(drawn) or all(self.shaped(drawn[start:end]) for start, end in self.strange(drawn))

    def has(self, drawn: str) -> bool:
        """Whether every letter has a glyph here."""
        return self.glyphs.keys() >= set(drawn)

    def encode(self, text: str) -> bytes:
        """Glyph ids, two octets each, as Identity-H wants them; GlyphMissing for a letter that has none."""
        return self.encode_drawn(drawable(text))

    def encode_drawn(self, drawn: str) -> bytes:
        """The same of what `drawable` has been asked about already: spaces at the ends stay."""
        codes = self._codes
        try:
            return b"".join([codes[char] for char in drawn])
        except KeyError as error:
            raise glyph_missing(error.args[0]) from None

    def width(self, text: str, size: float) -> float:
        """Points the text takes at a size."""
        advances = self._advances
        try:
            return sum([advances[char] for char in drawable(text)]) * size / 1000
        except KeyError as error:
            raise glyph_missing(error.args[0]) from None


@dataclass(frozen=True)
class Supplement:
    """Words set in other fonts, and these, cut to their glyphs. `lacking`: letters that no font has; question marks stand for them."""

    parts: tuple[EmbeddedFont, ...]
    words: Mapping[str, tuple[Run, ...]]
    lacking: tuple[str, ...] = field(default=())


def glyph_missing(char: str) -> GlyphMissing:
    """The error for one character, with a name a person can look up."""
    name = unicodedata.name(char, "unnamed")
    point = f"U+{ord(char):04X}"
    return GlyphMissing(f"the font has no glyph for {point} {name}", char=point, name=name)


_HEAD = (
    "base_font", "font_file_length", "widths", "glyphs", "bbox", "ascent", "descent", "cap_height", "italic_angle", "stem_v", "flags",
)  # fmt: skip


def pack_font(font: EmbeddedFont) -> bytes:
    """A font as a derived file, its supplement with it."""
    head, streams = _described(font), [font.to_unicode, font.font_file]
    if font.supplement is not None:
        head["supplement"] = {}
        streams.append(pack_supplement(font.supplement))
    return derived.pack(head, *streams)


def unpack_font(packed: bytes) -> EmbeddedFont:
    """The font of `pack_font`; ValueError when an octet is wrong or missing."""
    head, streams = derived.unpack(packed)
    supplement = unpack_supplement(streams[2]) if head.pop("supplement", None) is not None else None
    return _font(head, streams, supplement)


def pack_supplement(supplement: Supplement) -> bytes:
    """A supplement as a derived file."""
    head = {
        "parts": [_described(part) for part in supplement.parts],
        "words": words_to_json(supplement.words),
        "lacking": list(supplement.lacking),
    }
    return derived.pack(head, *(stream for part in supplement.parts for stream in (part.to_unicode, part.font_file)))


def unpack_supplement(packed: bytes) -> Supplement:
    """The supplement of `pack_supplement`; ValueError when an octet is wrong or missing."""
    head, streams = derived.unpack(packed)
    parts = tuple(_font(each, streams[2 * at : 2 * at + 2]) for at, each in enumerate(head["parts"]))
    return Supplement(parts, words_from_json(head["words"]), tuple(head["lacking"]))


def _described(font: EmbeddedFont) -> dict[str, Any]:
    return {name: getattr(font, name) for name in _HEAD}


def _font(head: dict[str, Any], streams: Sequence[bytes], supplement: Supplement | None = None) -> EmbeddedFont:
    head["widths"], head["bbox"] = tuple(head["widths"]), tuple(head["bbox"])
    return EmbeddedFont(to_unicode=streams[0], font_file=streams[1], supplement=supplement, **head)
