"""Lines of text, broken and ready to be shown: letters of the font itself one by one, all others as they were shaped beforehand.

Text that the font has is broken at spaces and shown as one string. Other text goes through clusters: broken at spaces and where its
script allows it, put in order from left to right (Unicode annex 9), and shown with what it says, for whoever copies or searches it.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from signer.appearance.bidi import has_right_to_left, is_right_to_left, levels_of, mirrored, visual_order
from signer.appearance.fonts import EmbeddedFont, drawable, glyph_missing
from signer.appearance.shaped import Cluster, Glyph

BASE = -1
"""The font itself, among its parts."""

# Vowels of Thai and Lao that are written before or behind their consonant, as letters of their own.
_LEADING = set("เแโใไເແໂໃໄ")
_TRAILING = set("ะาำๅๆฯะາຳໆຯーっゃゅょッャュョ々")
_CLOSING, _OPENING = {"Pe", "Pf", "Po"}, {"Ps", "Pi"}


@dataclass(frozen=True)
class _Atom:
    """What is never broken: a letter of the font itself, or a cluster of another one (`part`). `run` tells runs of a word apart."""

    start: int
    end: int
    width: int
    part: int
    run: int
    free: bool
    ascent: int
    descent: int
    cluster: Cluster | None


@dataclass(frozen=True)
class Shown:
    """Letters of one font in a line, from left to right: a string of the font itself, or clusters of another one with their letters."""

    part: int
    text: str
    clusters: tuple[tuple[str, Cluster], ...] = ()
    from_right: bool = False

    def told(self) -> Iterator[tuple[str | None, list[Glyph]]]:
        """Glyphs with the letters that have to be told beside them, or None where the glyphs say them.

        Marks in places of their own mislead readers, so a word is told as a whole. From right to left they put letters in order
        themselves, also those that were told: there it is done for as few as possible.
        """
        if self.from_right:
            for spoken, group in itertools.groupby(self.clusters, lambda each: each[1].spoken):
                if spoken:
                    yield None, [glyph for _, cluster in group for glyph in cluster.glyphs]
                else:
                    yield from ((letters, list(cluster.glyphs)) for letters, cluster in group)
            return
        glyphs = [glyph for _, cluster in self.clusters for glyph in cluster.glyphs]
        plain = all(each.spoken and len(each.glyphs) == 1 for _, each in self.clusters)
        yield None if plain else self.text, glyphs


@dataclass(frozen=True)
class Line:
    """A line in a font; `width`, `ascent` and `descent` in thousandths of the size. `from_right`: it begins at the right."""

    font: EmbeddedFont
    width: float
    ascent: int
    descent: int
    shown: tuple[Shown, ...]
    from_right: bool = False

    def wide(self, size: float) -> float:
        """Points that it takes at a size."""
        return self.width * size / 1000

    def operators(self, name: str, size: float) -> str:
        """What shows it, where `name` is the font's and chosen already; in the end it is chosen again (ISO 32000-1 9.4.3, 14.9.4)."""
        out = []
        for each in self.shown:
            if each.part == BASE:
                out.append(f"<{self.font.encode_drawn(each.text).hex()}> Tj")
                continue
            widths = self.font.parts[each.part].widths
            out.append(f"/{part_name(name, each.part)} {size:.4f} Tf")
            for letters, glyphs in each.told():
                shown = _glyphs(glyphs, widths, size)
                if letters is None:
                    out += shown
                    continue
                said = (chr(0xFEFF) + letters).encode("utf-16-be").hex()
                out += [f"/Span <</ActualText <{said}>>> BDC", *shown, "EMC"]
            out.append(f"/{name} {size:.4f} Tf")
        return " ".join(out)

    @property
    def parts(self) -> set[int]:
        return {each.part for each in self.shown if each.part != BASE}


def part_name(name: str, part: int) -> str:
    """What a font of the supplement is called beside its font."""
    return f"{name}p{part}"


def fonts_of(lines: Iterable[Line], name: str, font: EmbeddedFont) -> dict[str, EmbeddedFont]:
    """A font and those of its supplement that lines need, by their names."""
    needed = sorted({part for line in lines for part in line.parts})
    return {name: font} | {part_name(name, part): font.parts[part] for part in needed}


def set_line(text: str, font: EmbeddedFont) -> Line:
    """One line, however long."""
    return set_lines(text, font, float("inf"), 1.0)[0]


def set_lines(text: str, font: EmbeddedFont, width: float, size: float) -> list[Line]:
    """Text in lines of at most `width` points; GlyphMissing for a letter that neither the font nor its supplement has."""
    drawn = drawable(text)
    if font.has(drawn):
        return [_plain(part, font) for part in _wrapped(drawn, font, width, size)]
    atoms = _atoms(drawn, font)
    levels = levels_of(drawn) if has_right_to_left(drawn) else [0] * len(drawn)
    from_right = is_right_to_left(drawn)
    room = width * 1000 / size
    return [_line(drawn, part, levels, font, from_right=from_right) for part in _broken(drawn, atoms, room)]


def _plain(text: str, font: EmbeddedFont) -> Line:
    return Line(font, font.width(text, 1000), font.ascent, font.descent, (Shown(BASE, text),))


def _wrapped(line: str, font: EmbeddedFont, width: float, size: float) -> list[str]:
    """Cut at spaces into parts of at most `width` points; a single word that is wider is cut between letters."""
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


def _atoms(text: str, font: EmbeddedFont) -> list[_Atom]:
    atoms: list[_Atom] = []
    at = number = 0
    for start, end in [*font.strange(text), (len(text), len(text))]:
        atoms += [_letter(font, text, own) for own in range(at, start)]
        at = end
        runs = font.shaped(text[start:end])
        if runs is None and start < end:
            raise glyph_missing(next(char for char in text[start:end] if char not in font.glyphs))
        for run in runs or ():
            number += 1
            ends = [each.start for each in run.clusters[1:]] + [run.end]
            for cluster, last in zip(run.clusters, ends, strict=True):
                place = (start + cluster.start, start + last, cluster.width, run.part)
                atoms.append(_Atom(*place, number, run.free, run.ascent, run.descent, cluster))
    return atoms


def _letter(font: EmbeddedFont, text: str, at: int) -> _Atom:
    width = font.widths[font.glyphs[text[at]]]
    return _Atom(at, at + 1, width, BASE, 0, False, font.ascent, font.descent, None)


def _broken(text: str, atoms: Sequence[_Atom], room: float) -> Iterator[Sequence[_Atom]]:
    """Lines of atoms, without the space at which they were broken."""
    start = 0
    while start < len(atoms):
        taken, end, may_end = 0, start, start
        while end < len(atoms):
            is_space = text[atoms[end].start] == " "
            if end > start and (is_space or _may_break(text, atoms[end - 1], atoms[end])):
                may_end = end
            if taken + atoms[end].width > room and not is_space:
                break
            taken += atoms[end].width
            end += 1
        else:
            may_end = end
        if may_end == start:
            may_end = max(end, start + 1)  # a word that is wider than a line is cut between letters
        yield atoms[start:may_end]
        start = may_end
        while start < len(atoms) and text[atoms[start].start] == " ":
            start += 1


def _may_break(text: str, before: _Atom, after: _Atom) -> bool:
    first, last = text[after.start], text[before.end - 1]
    if last == " ":
        return True
    if not (before.free or after.free):
        return False
    return not (
        first in _TRAILING
        or last in _LEADING
        or unicodedata.category(first) in _CLOSING
        or unicodedata.category(last) in _OPENING
    )


def _line(
    text: str, atoms: Sequence[_Atom], levels: Sequence[int], font: EmbeddedFont, *, from_right: bool
) -> Line:  # fmt: skip
    kept = list(atoms)
    while kept and text[kept[-1].start] == " ":
        kept.pop()
    own = [levels[atom.start] for atom in kept]
    shown: list[Shown] = []
    group: list[_Atom] = []

    def close() -> None:
        if not group:
            return
        if group[0].part == BASE:
            letters = "".join(
                mirrored(text[each.start]) if levels[each.start] % 2 else text[each.start] for each in group
            )
            shown.append(Shown(BASE, letters))
        else:
            said = text[min(each.start for each in group) : max(each.end for each in group)]
            clusters = tuple((text[each.start : each.end], each.cluster) for each in group if each.cluster is not None)
            shown.append(Shown(group[0].part, said, clusters, levels[group[0].start] % 2 == 1))
        group.clear()

    for index in visual_order(own):
        atom = kept[index]
        if group and (group[-1].part, group[-1].run if atom.part != BASE else 0) != (
            atom.part, atom.run if atom.part != BASE else 0
        ):  # fmt: skip
            close()
        group.append(atom)
    close()
    ascent = max([font.ascent, *(each.ascent for each in kept)])
    descent = min([font.descent, *(each.descent for each in kept)])
    return Line(font, sum(each.width for each in kept), ascent, descent, tuple(shown), from_right)


def _glyphs(glyphs: Sequence[Glyph], widths: Sequence[int], size: float) -> Iterator[str]:
    """Glyphs at their places: moved along by the numbers of TJ, up by the rise (ISO 32000-1 9.3.7, 9.4.3)."""
    rise = 0
    row: list[str] = []

    def shown() -> Iterator[str]:
        if row:
            yield f"[{''.join(row)}] TJ"
            row.clear()

    for glyph, advance, right, up in glyphs:
        if up != rise:
            yield from shown()
            yield f"{up * size / 1000:.3f} Ts"
            rise = up
        if right:
            row.append(f"{-right} ")
        row.append(f"<{glyph:04X}>")
        behind = widths[glyph] + right - advance
        if behind:
            row.append(f"{behind} ")
    yield from shown()
    if rise:
        yield "0 Ts"
