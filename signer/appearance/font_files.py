"""Where the fonts of scripts that Tinos lacks lie, and which of their packages are not installed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

HANGUL_PACKAGE, HAN_PACKAGE, OTHERS_PACKAGE = "fonts-nanum", "fonts-droid-fallback", "fonts-noto-core"
HAN_STEM = "DroidSansFallbackFull"
_OF_OTHERS = "NotoSans-Regular.ttf"


@dataclass(frozen=True)
class FontFiles:
    """The file with Hangul, and the folders in which files are looked for by their names."""

    korean: Path
    folders: Sequence[Path]

    def missing_packages(self) -> list[str]:
        """Debian packages of which nothing is here."""
        found = {
            HANGUL_PACKAGE: self.korean.is_file(),
            HAN_PACKAGE: self._has(f"{HAN_STEM}.ttf"),
            OTHERS_PACKAGE: self._has(_OF_OTHERS),
        }
        return [package for package, is_there in found.items() if not is_there]

    def _has(self, name: str) -> bool:
        return any((folder / name).is_file() for folder in self.folders)
