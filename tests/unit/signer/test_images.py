"""signer/images.py: pictures are kept as they were approved."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from signer.appearance.errors import AppearanceError
from signer.images import ImageShelf
from tests.signing_world import Pictures


def test_a_picture_is_kept_octet_for_octet_under_its_digest(tmp_path: Path, pictures: Pictures) -> None:
    shelf = ImageShelf(tmp_path / "images", tmp_path / "cache")
    sha256 = shelf.register(pictures.seal, "seal", "seal.png")
    assert sha256 == hashlib.sha256(pictures.seal).hexdigest()
    assert (tmp_path / "images" / f"{sha256}.png").read_bytes() == pictures.seal
    assert shelf.register(pictures.seal, "seal", "again.png") == sha256
    assert shelf.image(sha256, "seal", 36.0).width_mm == 36.0


def test_a_picture_that_breaks_the_rules_of_its_purpose_is_not_kept(tmp_path: Path, pictures: Pictures) -> None:
    shelf = ImageShelf(tmp_path / "images", tmp_path / "cache")
    for png in (b"", b"no picture", pictures.signature):  # a blue signature is no red seal
        with pytest.raises(AppearanceError):
            shelf.register(png, "seal", "x.png")
    assert not (tmp_path / "images").exists()


def test_what_is_derived_may_be_deleted(tmp_path: Path, pictures: Pictures) -> None:
    (tmp_path / "cache").mkdir()
    shelf = ImageShelf(tmp_path / "images", tmp_path / "cache")
    sha256 = shelf.register(pictures.signature, "signature", "s.png")
    first = shelf.image(sha256, "signature", 45.0)
    for file in (tmp_path / "cache").iterdir():
        file.unlink()
    assert ImageShelf(tmp_path / "images", tmp_path / "cache").image(sha256, "signature", 45.0) == first
