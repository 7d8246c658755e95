"""Where Debian puts the fonts of scripts that Tinos lacks, and a shelf with them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from signer.appearance.font_files import FontFiles

TRUETYPE = Path(os.environ.get("ANTIN_TEST_SCRIPT_FONTS", "/usr/share/fonts/truetype"))
SCRIPT_FONTS = FontFiles(TRUETYPE / "nanum/NanumMyeongjo.ttf", [TRUETYPE / "noto", TRUETYPE / "droid"])


def need_script_fonts() -> None:
    """Skip where a package is missing, and say which."""
    missing = SCRIPT_FONTS.missing_packages()
    if missing:
        pytest.skip(f"fonts are not installed (apt-get install {' '.join(missing)})")
