"""The pictures of an installation's credentials, kept by SHA-256 as they were approved."""

from __future__ import annotations

import hashlib
from pathlib import Path

from signer.appearance.images import Purpose, StampImage, load_image, open_image
from signer.storage import write_once


class ImageShelf:
    """Registers pictures and opens them for stamping. What is derived from one lies in the cache folder."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self._folder = folder
        self._cache = cache
        self._open: dict[tuple[str, Purpose, float], StampImage] = {}

    def register(self, png: bytes, purpose: Purpose, name: str) -> str:
        """Check a picture by the rules of its purpose and keep it; its SHA-256. Raises AppearanceError or Unavailable."""
        load_image(png, purpose, 1.0, name)
        sha256 = hashlib.sha256(png).hexdigest()
        write_once(self._path(sha256), png)
        return sha256

    def image(self, sha256: str, purpose: Purpose, width_mm: float) -> StampImage:
        """A registered picture, `width_mm` wide on paper."""
        key = (sha256, purpose, width_mm)
        if key not in self._open:
            self._open[key] = open_image(self._path(sha256), purpose, width_mm, self._cache)
        return self._open[key]

    def _path(self, sha256: str) -> Path:
        return self._folder / f"{sha256}.png"
