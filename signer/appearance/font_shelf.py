"""The fonts of an installation: subsets made once and kept in the cache folder, and words that another font has to set.

Cutting and shaping are `subset.py`'s and `shaping.py`'s deeds. They need fontTools and HarfBuzz (0.15 s to import), and so run as
processes of their own, only when neither memory nor cache has the answer.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from signer.appearance import derived
from signer.appearance.errors import FontMissing, ScriptFontMissing
from signer.appearance.font_files import FontFiles
from signer.appearance.fonts import (
    ALPHABET_VERSION,
    EmbeddedFont,
    Style,
    Supplement,
    alphabet,
    drawable,
    glyph_missing,
    unpack_font,
    unpack_supplement,
)  # fmt: skip

STYLE_FILES: Mapping[Style, str] = {
    "regular": "Tinos-Regular.ttf",
    "bold": "Tinos-Bold.ttf",
    "italic": "Tinos-Italic.ttf",
    "bold-italic": "Tinos-BoldItalic.ttf",
}
"""Tinos is metric-compatible with the Times New Roman that ND30 Appendix I asks for, and has every Vietnamese letter."""

NO_OTHERS = FontFiles(Path(), ())
SHAPING_VERSION = 1
_MOST_KEPT = 256
# Files of words in the cache; a fresh home of a busy office fills it in months.
_MOST_FILES = 2000
_SECONDS = 60


class FontShelf:
    """The fonts of one folder, by style, and others beside them. What is derived lies in `cache` and may be deleted at any time.

    `runs` counts the processes that cut and shape. Safe for threads.
    """

    def __init__(self, folder: Path, cache: Path, others: FontFiles = NO_OTHERS) -> None:
        self._folder = folder
        self._cache = cache
        self.others = others
        self._open: dict[Style, EmbeddedFont] = {}
        self._whole: OrderedDict[tuple[Style, bool, tuple[str, ...]], EmbeddedFont] = OrderedDict()
        self._lock = threading.Lock()
        self.runs = 0

    def font(self, style: Style = "regular", text: str = "", *, lenient: bool = False) -> EmbeddedFont:
        """The font of a style, with words of the text that other fonts have to set. `lenient`: a letter that none has is a question mark.

        Raises FontMissing; ScriptFontMissing where a script's font is not installed; GlyphMissing for a letter that no font has.
        """
        found = self._open.get(style)
        if found is None:
            found = self._open[style] = self._common(style)
        if found.covers(text):
            return found
        drawn = drawable(text)
        words = tuple(sorted({drawn[start:end] for start, end in found.strange(drawn)}))
        key = (style, lenient, words)
        with self._lock:
            whole = self._whole.get(key)
            if whole is not None:
                self._whole.move_to_end(key)
                return whole
        whole = replace(found, supplement=self._supplement(style, found, words, lenient=lenient))
        with self._lock:
            self._whole[key] = whole
            if len(self._whole) > _MOST_KEPT:
                self._whole.popitem(last=False)
        return whole

    def _common(self, style: Style) -> EmbeddedFont:
        """The common subset of a font file, from the cache or newly made. A damaged cache file is made again."""
        path = self._folder / STYLE_FILES[style]
        try:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise FontMissing(f"cannot read the font {path}: {error.strerror}", path=str(path)) from error
        kept = self._cache / f"font-{digest[:32]}-{ALPHABET_VERSION}.bin"
        try:
            return unpack_font(kept.read_bytes())
        except (OSError, ValueError):
            self.runs += 1
            font = cut_font(path, alphabet())
        derived.keep(kept, font.packed)
        return font

    def _supplement(self, style: Style, font: EmbeddedFont, words: tuple[str, ...], *, lenient: bool) -> Supplement:
        path = self._folder / STYLE_FILES[style]
        request = {
            "own": str(path), "korean": str(self._korean(style)), "folders": [str(each) for each in self.others.folders],
            "bold": "bold" in style, "words": words, "lenient": lenient,
        }  # fmt: skip
        said = json.dumps([SHAPING_VERSION, unicodedata.unidata_version, font.base_font, request], sort_keys=True)
        kept = self._cache / f"words-{hashlib.sha256(said.encode()).hexdigest()[:40]}.bin"
        try:
            return unpack_supplement(kept.read_bytes())
        except (OSError, ValueError):
            self.runs += 1
            packed = _shape(request, path)
        supplement = unpack_supplement(packed)
        if not supplement.lacking:
            # What lacks today may be installed tomorrow.
            derived.keep(kept, packed)
            self._forget_oldest()
        return supplement

    def _korean(self, style: Style) -> Path:
        regular = self.others.korean
        bold = regular.with_name(f"{regular.stem}Bold{regular.suffix}") if regular.name else regular
        return bold if "bold" in style and bold.is_file() else regular

    def _forget_oldest(self) -> None:
        files = list(self._cache.glob("words-*.bin"))
        if len(files) > _MOST_FILES:
            ages = []
            for file in files:
                try:
                    ages.append((file.stat().st_mtime, file))
                except OSError:  # another process forgets too
                    continue
            for _, file in sorted(ages)[: len(ages) // 2]:
                file.unlink(missing_ok=True)


def cut_font(path: Path, characters: frozenset[str]) -> EmbeddedFont:
    """A subset for these characters, made in a process of its own; FontMissing when it cannot be."""
    request = {"path": str(path), "characters": sorted(map(ord, characters))}
    done = _run("signer.appearance.subset", request)
    if done.returncode != 0:
        raise FontMissing(f"{path} cannot be embedded: {done.stderr.decode(errors='replace')[-300:]}", path=str(path))
    return unpack_font(done.stdout)


def _shape(request: Mapping[str, Any], path: Path) -> bytes:
    """Words set in fonts that have their letters; ScriptFontMissing, GlyphMissing or FontMissing."""
    done = _run("signer.appearance.shaping", request)
    if done.returncode == 0:
        return done.stdout
    try:
        said = json.loads(done.stderr.decode().splitlines()[-1])
    except (ValueError, IndexError):
        said = {"detail": done.stderr.decode(errors="replace")[-300:]}
    if "char" not in said:
        raise FontMissing(f"words cannot be set: {said.get('detail')}", path=str(path))
    lacking = glyph_missing(said["char"])
    if said["package"] is None:
        raise lacking
    raise ScriptFontMissing(f"{lacking}; {said['package']} is not installed", **lacking.facts, package=said["package"])


def _run(module: str, request: Mapping[str, Any]) -> subprocess.CompletedProcess[bytes]:
    words: Sequence[str] = [sys.executable, "-m", module]
    return subprocess.run(words, input=json.dumps(request).encode(), capture_output=True, check=False, timeout=_SECONDS)
