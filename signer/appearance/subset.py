"""Cuts a subset out of a TrueType font: a JSON request on standard input, a packed font on standard output.

Run as `python -m signer.appearance.subset`, so that fontTools and a font file are never in the process that signs.
"""

from __future__ import annotations

import hashlib
import io
import json
import sys
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

from signer.appearance.fonts import EmbeddedFont, pack_font

_FIXED_PITCH, _SERIF, _SYMBOLIC, _ITALIC = 1, 2, 4, 64
_NO_EMBEDDING, _NO_SUBSETTING = 0x0002, 0x0100


def cut(path: Path, characters: Iterable[int]) -> EmbeddedFont:
    """The font parts for these code points; those that the font lacks are left out. ValueError if the font forbids embedding."""
    font = TTFont(path, recalcTimestamp=False, lazy=False)
    facts, order = _cut(font, path, unicodes=set(characters))
    ids = {glyph: number for number, glyph in enumerate(order)}
    glyphs = {chr(code): ids[glyph] for code, glyph in sorted((font.getBestCmap() or {}).items())}
    return EmbeddedFont(glyphs=glyphs, to_unicode=zlib.compress(_to_unicode(_first_letters(glyphs)), 9), **facts)


def cut_glyphs(path: Path, letters: Mapping[int, str]) -> tuple[EmbeddedFont, dict[int, int]]:
    """The font parts for glyphs by their numbers in the file, each with what it says, and the numbers that they have now."""
    font = TTFont(path, recalcTimestamp=False, lazy=True)
    names = {glyph: font.getGlyphName(glyph) for glyph in letters}
    facts, order = _cut(font, path, gids=set(letters))
    ids = {glyph: number for number, glyph in enumerate(order)}
    numbers = {glyph: ids[name] for glyph, name in names.items()}
    said = {numbers[glyph]: text for glyph, text in letters.items()}
    return EmbeddedFont(glyphs={}, to_unicode=zlib.compress(_to_unicode(said), 9), **facts), numbers


def _cut(font: TTFont, path: Path, **wanted: set[int]) -> tuple[dict[str, Any], list[str]]:
    """What a font and its cut say, and the names of the glyphs that are left."""
    if "glyf" not in font or font["OS/2"].fsType & (_NO_EMBEDDING | _NO_SUBSETTING):
        raise ValueError("not a TrueType font that may be embedded and subset (OpenType OS/2.fsType)")
    name = str(font["name"].getDebugName(6) or path.stem)
    options = Options(
        hinting=False, layout_features=[], notdef_outline=True, glyph_names=False, name_IDs=[], recalc_timestamp=False
    )
    options.drop_tables += ["GDEF", "GPOS", "GSUB", "kern", "OS/2", "gasp", "post", "name"]
    scale = 1000 / font["head"].unitsPerEm
    os2, post = font["OS/2"], font["post"]
    cap_height = round((getattr(os2, "sCapHeight", 0) or os2.sTypoAscender) * scale)
    weight, angle, fixed = os2.usWeightClass, float(post.italicAngle), bool(post.isFixedPitch)
    subsetter = Subsetter(options)
    subsetter.populate(**wanted)
    subsetter.subset(font)
    buffer = io.BytesIO()
    font.save(buffer, reorderTables=True)
    cut_file = buffer.getvalue()

    order = font.getGlyphOrder()
    metrics = font["hmtx"].metrics
    head, hhea = font["head"], font["hhea"]
    tag = "".join(chr(65 + octet % 26) for octet in hashlib.sha256(cut_file).digest()[:6])
    facts = {
        "base_font": f"{tag}+{name.replace(' ', '')}",  # ISO 32000-1, 9.6.4: six capitals and a plus name a subset
        "font_file": zlib.compress(cut_file, 9),
        "font_file_length": len(cut_file),
        "widths": tuple(round(metrics[glyph][0] * scale) for glyph in order),
        "bbox": (
            round(head.xMin * scale),
            round(head.yMin * scale),
            round(head.xMax * scale),
            round(head.yMax * scale),
        ),
        "ascent": round(hhea.ascent * scale),
        "descent": round(hhea.descent * scale),
        "cap_height": cap_height,
        "italic_angle": angle,
        "stem_v": round(50 + (weight / 65) ** 2),  # no table tells it; the usual estimate from the weight
        "flags": _SERIF | _SYMBOLIC | (_ITALIC if angle else 0) | (_FIXED_PITCH if fixed else 0),
    }
    return facts, order


def _first_letters(glyphs: Mapping[str, int]) -> dict[int, str]:
    """Where letters share a glyph (space and no-break space) the lowest code point speaks."""
    first: dict[int, str] = {}
    for char, glyph in sorted(glyphs.items()):
        first.setdefault(glyph, char)
    return first


def _to_unicode(letters: Mapping[int, str]) -> bytes:
    """A ToUnicode CMap (ISO 32000-1, 9.10.3)."""
    rows = [f"<{glyph:04X}> <{text.encode('utf-16-be').hex().upper()}>" for glyph, text in sorted(letters.items())]
    blocks = [rows[at : at + 100] for at in range(0, len(rows), 100)]  # at most 100 entries a block
    body = "\n".join(f"{len(block)} beginbfchar\n" + "\n".join(block) + "\nendbfchar" for block in blocks)
    return (
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
        "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n"
        "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
        "1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n"
        f"{body}\n"
        "endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n"
    ).encode("ascii")


def main() -> int:
    """Read the request, write the font; on refusal one line on standard error and 1."""
    request = json.load(sys.stdin)
    try:
        font = cut(Path(request["path"]), request["characters"])
    except Exception as error:  # noqa: BLE001 - fontTools raises whatever a broken table provokes; the parent gets one line
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    sys.stdout.buffer.write(pack_font(font))
    return 0


if __name__ == "__main__":
    sys.exit(main())
