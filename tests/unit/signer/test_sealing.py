"""signer/sealing.py: a sealed secret opens with its own key and for its own purpose, and for nothing else."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from signer.errors import Unavailable
from signer.sealing import seal, unseal


def test_what_is_sealed_comes_back_and_says_nothing_by_itself(tmp_path: Path) -> None:
    key = tmp_path / "secrets" / "key"
    sealed = seal(b"secret", "batch-1", key)
    assert unseal(sealed, "batch-1", key) == b"secret"
    assert b"secret" not in sealed
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    # The key stays, and no two seals are alike.
    assert seal(b"secret", "batch-1", key) != sealed
    assert unseal(sealed, "batch-1", key) == b"secret"


def test_it_opens_for_nothing_else(tmp_path: Path) -> None:
    key, other = tmp_path / "key", tmp_path / "other"
    sealed = seal(b"secret", "batch-1", key)
    seal(b"x", "y", other)
    flipped = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for octets, purpose, file in (
        (sealed, "batch-2", key), (sealed, "batch-1", other), (flipped, "batch-1", key), (b"", "batch-1", key),
        (sealed, "batch-1", tmp_path / "nowhere"),
    ):  # fmt: skip
        with pytest.raises(Unavailable, match="SEAL_BROKEN"):
            unseal(octets, purpose, file)
