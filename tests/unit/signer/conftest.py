"""A signing world for each test that asks for one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from signer.sandbox import Judge
from tests.signing_world import (
    Pictures,
    SigningWorld,
    build_signing_world,
    judge,  # noqa: F401  fixture by name
    pictures,  # noqa: F401  fixture by name
)
from tests.unit.signer.office import Office, open_office


@pytest.fixture
def office(tmp_path: Path, judge: Judge) -> Iterator[Office]:  # noqa: F811
    """A house with an officer, its services and its newest revocation lists."""
    office = open_office(tmp_path, judge)
    office.world.crls()
    yield office
    office.world.close()


@pytest.fixture
def bare(tmp_path: Path, judge: Judge, pictures: Pictures) -> Iterator[SigningWorld]:  # noqa: F811
    """A signing world without credentials."""
    signing = build_signing_world(tmp_path, judge, pictures)
    yield signing
    signing.world.close()


@pytest.fixture
def signing(bare: SigningWorld) -> SigningWorld:
    """A signing world with an officer and the agency's seal."""
    bare.enrol("officer", "officer")
    bare.enrol("seal", "agency-seal")
    return bare
