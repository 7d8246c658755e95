"""The octets of registered pictures, opened for stamping. Which may be used is image_registry.py's."""

from __future__ import annotations

import hashlib
from pathlib import Path

from signer.appearance.image_rules import Purpose
from signer.appearance.images import StampImage, kept_image, open_image
from signer.errors import Unavailable
from signer.storage import BlobStore


class ImageShelf:
    """Opens pictures by their digest. What is derived from one lies in the cache folder.

    They are blobs; those that were registered before there was a registry lie in a folder of their own, as they came.
    """

    def __init__(self, blobs: BlobStore, folder: Path, cache: Path) -> None:
        self._blobs = blobs
        self._folder = folder
        self._cache = cache
        self._open: dict[tuple[str, Purpose, float], StampImage] = {}

    def image(self, sha256: str, purpose: Purpose, width_mm: float) -> StampImage:
        """A registered picture, `width_mm` wide on paper. Raises Unavailable when its octets are gone or altered."""
        key = (sha256, purpose, width_mm)
        if key not in self._open:
            earlier = self._earlier(sha256)
            self._open[key] = (
                open_image(earlier, purpose, width_mm, self._cache)
                if earlier.exists()
                else kept_image(self._blobs.get(sha256), purpose, width_mm, sha256, self._cache)
            )
        return self._open[key]

    def png(self, sha256: str) -> bytes:
        """The picture as people look at it."""
        earlier = self._earlier(sha256)
        return earlier.read_bytes() if earlier.exists() else self._blobs.get(sha256)

    def check(self, sha256: str) -> None:
        """Whether its octets are there as they were registered; Unavailable BLOB_MISSING or BLOB_ALTERED."""
        earlier = self._earlier(sha256)
        if not earlier.exists():
            self._blobs.get(sha256)
            return
        try:
            found = hashlib.sha256(earlier.read_bytes()).hexdigest()
        except OSError as error:
            raise Unavailable("BLOB_MISSING", sha256=sha256) from error
        if found != sha256:
            raise Unavailable("BLOB_ALTERED", sha256=sha256)

    def _earlier(self, sha256: str) -> Path:
        return self._folder / f"{sha256}.png"
