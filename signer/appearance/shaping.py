"""Sets words in fonts that have their letters: a JSON request on standard input, a packed supplement on standard output.

Run as `python -m signer.appearance.shaping`, so that HarfBuzz, fontTools and font files are never in the process that signs.
"""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uharfbuzz

from signer.appearance.font_files import FontFiles
from signer.appearance.fonts import EmbeddedFont, Supplement, pack_supplement
from signer.appearance.scripts import COMMON, FREE, Library, clusters, package_of, script_of
from signer.appearance.shaped import Cluster, Run
from signer.appearance.subset import cut_glyphs

_RIGHT = {"R", "AL"}
# Of a ligature for beauty nobody can tell which letters it has, when a line is put in order by its reader.
_FROM_RIGHT = {"liga": False, "dlig": False}
_JOINERS = "\u200c\u200d"
UNKNOWN = "?"


class Unset(Exception):
    """A letter that no font has. `package` has one, where none for its script is there."""

    def __init__(self, char: str, package: str | None) -> None:
        super().__init__(char)
        self.char, self.package = char, package


@dataclass(frozen=True)
class _Piece:
    """Letters of a word for one font, of one script and direction."""

    start: int
    end: int
    file: Path
    script: str
    right: bool


_Shaped = tuple[tuple[_Piece, tuple[Cluster, ...], int, int], ...]


class Setter:
    """Sets words; remembers the fonts that it has opened, and which glyphs of each it used, for which letters."""

    def __init__(self, library: Library, *, bold: bool) -> None:
        self._library, self._bold = library, bold
        self._faces: dict[Path, uharfbuzz.Face] = {}
        self._letters: dict[Path, frozenset[int]] = {}
        self._used: dict[Path, dict[int, str]] = {}
        self._order: list[Path] = []

    def pieces(self, word: str) -> list[_Piece]:
        """A word by fonts; Unset."""
        found: list[_Piece] = []
        before = ""
        for start, end in clusters(word):
            letters = word[start:end]
            script = script_of(letters[0], before)
            file = self._file(letters, script)
            before = script if script not in COMMON else before
            right = unicodedata.bidirectional(letters[0]) in _RIGHT
            found.append(_Piece(start, end, file, script, right))
        return _joined(found)

    def runs(self, word: str) -> _Shaped:
        """Pieces with their clusters, by the glyphs of the whole font files, ascent and descent; Unset."""
        return tuple((piece, *self._shape(word, piece)) for piece in self.pieces(word))

    def readable(self, word: str) -> tuple[str, list[str]]:
        """A word with a question mark for every letter that no font has, and those letters."""
        out, before, lacking = "", "", []
        for start, end in clusters(word):
            letters = word[start:end]
            script = script_of(letters[0], before)
            before = script if script not in COMMON else before
            try:
                self._file(letters, script)
            except Unset:
                lacking.append(letters)
                letters = UNKNOWN
            out += letters
        return out, lacking

    def _file(self, letters: str, script: str) -> Path:
        wanted = {ord(char) for char in letters if char not in _JOINERS}
        for path in self._library.files(script, bold=self._bold):
            if (path in self._letters or path.is_file()) and wanted <= self._covered(path):
                return path
        package = package_of(script)
        missing = package in self._library.others.missing_packages()
        known = frozenset().union(*self._letters.values())
        raise Unset(
            next((char for char in letters if ord(char) not in known), letters[0]), package if missing else None
        )

    def _covered(self, path: Path) -> frozenset[int]:
        if path not in self._letters:
            self._letters[path] = frozenset(self._face(path).unicodes)
        return self._letters[path]

    def _face(self, path: Path) -> uharfbuzz.Face:
        if path not in self._faces:
            self._faces[path] = uharfbuzz.Face(uharfbuzz.Blob.from_file_path(str(path)))
        return self._faces[path]

    def _shape(self, word: str, piece: _Piece) -> tuple[tuple[Cluster, ...], int, int]:
        face = self._face(piece.file)
        font, scale = uharfbuzz.Font(face), 1000 / face.upem
        buffer = uharfbuzz.Buffer()
        buffer.add_codepoints([ord(char) for char in word], piece.start, piece.end - piece.start)
        buffer.direction = "rtl" if piece.right else "ltr"
        buffer.script = "Zyyy" if not piece.script or piece.script == "Zinh" else piece.script
        uharfbuzz.shape(font, buffer, _FROM_RIGHT if piece.right else {})
        high = low = 0.0
        grouped: dict[int, list[tuple[int, int, int, int]]] = {}
        for info, place in zip(buffer.glyph_infos, buffer.glyph_positions, strict=True):
            if info.codepoint == 0:
                raise Unset(word[info.cluster], None)
            box = font.get_glyph_extents(info.codepoint)
            if box is not None:
                high = max(high, (place.y_offset + box.y_bearing) * scale)
                low = min(low, (place.y_offset + box.y_bearing + box.height) * scale)
            advance, right, up = (round(each * scale) for each in (place.x_advance, place.x_offset, place.y_offset))
            grouped.setdefault(info.cluster, []).append((info.codepoint, advance, right, up))
        starts = sorted(grouped)
        for start, end in zip(starts, [*starts[1:], piece.end], strict=True):
            self._remember(piece.file, [glyph for glyph, *_ in grouped[start]], word[start:end])
        shaped = tuple(Cluster(start, False, tuple(grouped[start])) for start in starts)
        return shaped, round(high), round(low)

    def _remember(self, path: Path, glyphs: list[int], letters: str) -> None:
        """What each glyph says: its own letter, and the letters that have none go to the first that has none either."""
        if path not in self._used:
            self._used[path] = {}
            self._order.append(path)
        used, font = self._used[path], uharfbuzz.Font(self._face(path))
        own = {font.get_nominal_glyph(ord(char)): char for char in reversed(letters)}
        rest = "".join(char for char in letters if font.get_nominal_glyph(ord(char)) not in glyphs)
        for glyph in glyphs:
            if glyph in own:
                used.setdefault(glyph, own[glyph])
            elif glyph not in used:
                # Every glyph has to say something (ISO 14289-1 7.21.7), and this one's letters are said already.
                used[glyph], rest = rest or "\u200b", ""

    def _renamed(self, cluster: Cluster, letters: str, piece: _Piece, numbers: Mapping[int, int]) -> Cluster:
        said = [self._used[piece.file][glyph] for glyph, *_ in cluster.glyphs]
        spoken = "".join(reversed(said) if piece.right else said) == letters
        glyphs = tuple((numbers[glyph], advance, right, up) for glyph, advance, right, up in cluster.glyphs)
        return Cluster(cluster.start, spoken, glyphs)

    def packed(self, words: Mapping[str, _Shaped], lacking: Sequence[str]) -> bytes:
        """The fonts, each cut to the glyphs that were used, and the words by the numbers that these have there."""
        parts: list[EmbeddedFont] = []
        numbers: list[dict[int, int]] = []
        for path in self._order:
            font, order = cut_glyphs(path, self._used[path])
            parts.append(font)
            numbers.append(order)
        told: dict[str, tuple[Run, ...]] = {}
        for word, rows in words.items():
            runs = []
            for piece, shaped, high, low in rows:
                part = self._order.index(piece.file)
                ends = [each.start for each in shaped[1:]] + [piece.end]
                renamed = tuple(
                    self._renamed(each, word[each.start : end], piece, numbers[part])
                    for each, end in zip(shaped, ends, strict=True)
                )
                runs.append(Run(piece.start, piece.end, part, piece.script in FREE, high, low, renamed))
            told[word] = tuple(runs)
        return pack_supplement(Supplement(tuple(parts), told, tuple(lacking)))


def _joined(pieces: list[_Piece]) -> list[_Piece]:
    joined: list[_Piece] = []
    for piece in pieces:
        last = joined[-1] if joined else None
        if last and (last.file, last.right, last.script) == (piece.file, piece.right, piece.script):
            joined[-1] = _Piece(last.start, piece.end, piece.file, last.script, piece.right)
        else:
            joined.append(piece)
    return joined


def main() -> int:
    """Read the request, write the supplement; on refusal one line of JSON on standard error and 1.

    `lenient`: what no font has is a question mark, and is named in the answer.
    """
    request: dict[str, Any] = json.load(sys.stdin)
    others = FontFiles(Path(request["korean"]), [Path(each) for each in request["folders"]])
    setter = Setter(Library(Path(request["own"]), others), bold=request["bold"])
    words, lacking = list(request["words"]), set()
    try:
        if request["lenient"]:
            read = [setter.readable(word) for word in words]
            words = [part for word, _ in read for part in word.split(UNKNOWN) if part]
            lacking = {letters for _, unset in read for letters in unset}
        packed = setter.packed({word: setter.runs(word) for word in words}, sorted(lacking))
    except Unset as unset:
        print(json.dumps({"char": unset.char, "package": unset.package}), file=sys.stderr)
        return 1
    except Exception as error:  # noqa: BLE001 - a broken table provokes whatever it does; the parent gets one line
        print(json.dumps({"detail": f"{type(error).__name__}: {error}"[:300]}), file=sys.stderr)
        return 1
    sys.stdout.buffer.write(packed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
