"""Which font files have the letters of a script: Debian's Noto fonts by its name, one file each for Hangul and for Han with Kana."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fontTools import unicodedata as scripts

from signer.appearance.font_files import HAN_PACKAGE, HAN_STEM, HANGUL_PACKAGE, OTHERS_PACKAGE, FontFiles
from signer.appearance.fonts import is_mark

COMMON = ("Zyyy", "Zinh", "Zzzz")
EUROPEAN = ("Latn", "Grek", "Cyrl")
HAN = ("Hani", "Hira", "Kana", "Bopo")
HANGUL = "Hang"
# Written without spaces: lines end between any two syllables.
FREE = {*HAN, "Thai", "Laoo", "Khmr", "Mymr", "Tibt", "Yiii", "Lana", "Tale", "Talu", "Java", "Bali"}
_KINDS = ("NotoSerif", "NotoNaskh", "NotoSans")
_GENERAL = ("NotoSerif", "NotoSans", "NotoSansSymbols", "NotoSansSymbols2", "NotoSansMath", HAN_STEM)


@dataclass(frozen=True)
class Library:
    """Where fonts are looked for: the font of the style, then the others."""

    own: Path
    others: FontFiles

    def files(self, script: str, *, bold: bool) -> Iterator[Path]:
        """Files that may have letters of a script, the best first; also such as are not there."""
        if script in EUROPEAN or script in COMMON:
            yield self.own
        elif script == HANGUL:
            yield self.others.korean
        elif script in HAN:
            yield from self._called(HAN_STEM, bold=bold)
        else:
            name = scripts.script_name(script).replace("_", "")
            for kind in _KINDS:
                yield from self._called(f"{kind}{name}", bold=bold)
        for stem in _GENERAL:
            yield from self._called(stem, bold=bold)

    def _called(self, stem: str, *, bold: bool) -> Iterator[Path]:
        names = [f"{stem}-Bold.ttf"] if bold else []
        for name in [*names, f"{stem}-Regular.ttf", f"{stem}.ttf"]:
            yield from (folder / name for folder in self.others.folders)


def package_of(script: str) -> str:
    """The Debian package with the font of a script."""
    return HANGUL_PACKAGE if script == HANGUL else HAN_PACKAGE if script in HAN else OTHERS_PACKAGE


def clusters(word: str) -> Iterator[tuple[int, int]]:
    """Where a letter with its marks and joiners begins and ends."""
    start = 0
    for at in range(1, len(word) + 1):
        if at == len(word) or not is_mark(word[at]):
            yield start, at
            start = at


def script_of(char: str, before: str) -> str:
    """The script of a letter; what several share is of the one `before`, where that is among them."""
    script = str(scripts.script(char))
    if script not in COMMON:
        return script
    among = set(scripts.script_extension(char)) - set(COMMON)
    if not among or before in among:
        return before or script
    return str(min(among))
