"""signer/images.py: pictures are opened as they were registered."""

from __future__ import annotations

from pathlib import Path

import pytest

from signer.errors import Unavailable
from signer.images import ImageShelf
from signer.storage import BlobStore
from tests.signing_world import DIAMETER_MM, Pictures, SigningWorld


@pytest.fixture
def seal(signing: SigningWorld) -> str:
    return signing.found_picture("Sở", seal=True)


def shelf(signing: SigningWorld, folder: Path) -> ImageShelf:
    return ImageShelf(signing.registry.blobs, folder / "images", folder / "cache")


def test_what_is_derived_may_be_deleted(signing: SigningWorld, seal: str, tmp_path: Path) -> None:
    first = shelf(signing, tmp_path).image(seal, "seal", DIAMETER_MM)
    assert (first.width_mm, first.height_mm) == (36.0, 36.0)
    for path in (tmp_path / "cache").iterdir():
        path.unlink()
    assert shelf(signing, tmp_path).image(seal, "seal", DIAMETER_MM) == first


def test_a_picture_of_an_earlier_release_is_found_where_it_lies(
    signing: SigningWorld, pictures: Pictures, tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / f"{'1' * 64}.png").write_bytes(pictures.seal)
    found = shelf(signing, tmp_path)
    assert found.image("1" * 64, "seal", 36.0).width_mm == 36.0
    assert found.png("1" * 64) == pictures.seal


def test_octets_that_are_gone_or_altered_are_no_picture(signing: SigningWorld, seal: str, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="BLOB_MISSING"):
        shelf(signing, tmp_path).image("0" * 64, "seal", 36.0)
    copy = BlobStore(tmp_path / "blobs")
    copy.put(signing.registry.blobs.get(seal))
    path = copy.path_of(seal)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(Unavailable, match="BLOB_ALTERED"):
        ImageShelf(copy, tmp_path / "images", tmp_path / "cache").image(seal, "seal", 36.0)
